package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"nutmeg/internal/resp"
)

// defaultPort is where twemproxy's examples, and so most pools, listen.
const defaultPort = 22121

// runExec sends one Redis command and prints the reply as redis-cli does on a
// terminal. An error reply is printed, too, and makes the exit code 1.
func runExec(ctx context.Context, p program, args []string) error {
	flags := p.newFlags("exec")
	host := flags.StringP("host", "h", "127.0.0.1", "where to connect")
	port := flags.IntP("port", "p", defaultPort, "its port")
	socket := flags.StringP("socket", "s", "", "connect to this unix socket instead")
	timeout := flags.Duration("timeout", 5*time.Second, "how long all of it may take")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("exec needs a command to send, for example: exec get greeting")
	}
	network, address := "tcp", net.JoinHostPort(*host, strconv.Itoa(*port))
	if *socket != "" {
		network, address = "unix", *socket
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	reply, err := roundTrip(ctx, network, address, flags.Args())
	if err != nil {
		return err
	}
	text, isError, err := formatReply(reply)
	if err != nil {
		return err
	}
	p.say("%s", text)
	if isError {
		return errSilent
	}
	return nil
}

// roundTrip sends one command over a connection of its own and returns the
// bytes of the whole reply.
func roundTrip(ctx context.Context, network, address string, words []string) ([]byte, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	defer func() { _ = conn.Close() }() // all that counts has been read by then
	cut := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer cut()

	if _, err := conn.Write(resp.AppendCommand(nil, words...)); err != nil {
		return nil, fmt.Errorf("cannot send to %s: %w", address, cause(ctx, err))
	}
	reply, err := readReply(conn)
	if err != nil {
		return nil, fmt.Errorf("no reply from %s: %w", address, cause(ctx, err))
	}
	return reply, nil
}

// cause is why a connection failed: the end of ctx closes it, and then says more than the error of the closed connection.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// readReply reads until one reply is complete.
func readReply(r io.Reader) ([]byte, error) {
	var (
		parser resp.ResponseParser
		reply  []byte
		chunk  = make([]byte, 16<<10)
	)
	for {
		n, err := r.Read(chunk)
		used, done, syntax := parser.Parse(chunk[:n])
		reply = append(reply, chunk[:used]...)
		switch {
		case syntax != nil:
			return nil, fmt.Errorf("it does not speak Redis: %w", syntax)
		case done:
			return reply, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("it closed the connection")
		case err != nil:
			return nil, err
		}
	}
}
