package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// defaultStatsAddress is where the daemon's statistics are on its own machine.
const defaultStatsAddress = "127.0.0.1:22222"

// askWithin is longer than the daemon takes for anything, so that its own answer says what is wrong.
const askWithin = time.Minute

// largestAnswer bounds what is read: the statistics of some ten thousand servers.
const largestAnswer = 64 << 20

// addressFlag is the option that says which daemon.
func addressFlag(flags *pflag.FlagSet) *string {
	return flags.StringP("stats", "s", defaultStatsAddress, "HOST:PORT of nutmeg's statistics port")
}

// ask sends one request to the statistics port at address and returns the
// answer. Any status but 200 is an error with the text of the answer.
func ask(ctx context.Context, method, address, page string, body io.Reader) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+address+page, body)
	if _, _, bad := net.SplitHostPort(address); err != nil || bad != nil {
		return "", fmt.Errorf("%q is not an address; write HOST:PORT, for example -s %s", address, defaultStatsAddress)
	}
	r.Header.Set("X-Nutmeg-Control", "1")

	transport := &http.Transport{DialContext: dialPort} // without a proxy of the environment: this is about one machine
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	for try := 1; errors.Is(err, errTooLate) && try < askTries; try++ {
		again := r.Clone(ctx)
		if r.GetBody != nil {
			again.Body, _ = r.GetBody() // of bytes in memory: it cannot fail
		}
		answer, err = client.Do(again)
	}
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // without method and URL, which say nothing here
		}
		return "", fmt.Errorf("cannot ask nutmeg at %s: %w; does it run, and is this its statistics port (-s)?", address, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, largestAnswer))
	if err != nil {
		return "", fmt.Errorf("the answer of nutmeg at %s breaks off: %w", address, err)
	}
	switch kind := answer.Header.Get("Content-Type"); {
	case answer.StatusCode == http.StatusOK:
		return string(text), nil
	case !strings.HasPrefix(kind, "text/plain"):
		return "", fmt.Errorf("what answers at %s is not nutmeg: %s", address, answer.Status)
	default:
		return "", errors.New(strings.TrimRight(string(text), "\n"))
	}
}

// errTooLate is for a statistics port that answers before it was asked: it takes a client that is silent for a moment
// for one that only listens. A busy machine makes a client late. The request was not read, so it can be sent again.
var errTooLate = errors.New("it answers before it is asked, as a busy nutmeg does")

// askTries is how often a request that came too late is sent.
const askTries = 5

// portConn is a connection to the statistics port that tells when the request came too late.
type portConn struct {
	net.Conn
	begun bool // the first bytes of the answer have come
}

func dialPort(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &portConn{Conn: conn}, nil
}

// Read fails if the answer begins as the bare JSON does, and no HTTP.
func (c *portConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.begun && n > 0 {
		c.begun = true
		if b[0] == '{' {
			return 0, errTooLate
		}
	}
	return n, err
}

// noArguments refuses words behind the options of a command that takes none.
func noArguments(flags *pflag.FlagSet) error {
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes no %q; it has only options", flags.Name(), flags.Arg(0))
	}
	return nil
}
