package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"nutmeg/internal/admin"
)

// statsShutdown bounds how long answers of the stats port may still take when it is closed.
const statsShutdown = time.Second

// statsPort is where counters are read. It can be closed while another process serves it, and opened again.
type statsPort struct {
	address string
	fd      int // a descriptor of the listening socket that nothing closes before free
	options admin.Options
	log     *slog.Logger

	mu     sync.Mutex // guards server
	server *admin.Server
}

// listenStats opens the stats port, or takes over the descriptor on which it is open.
func listenStats(address string, inherited func(string) (fd int, ok bool)) (fd int, err error) {
	if fd, ok := inherited(address); ok {
		return fd, nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return -1, fmt.Errorf("cannot listen on %s (statistics): %w; choose another port with -s", address, err)
	}
	defer ln.Close()
	fd, err = duplicate(ln.(*net.TCPListener))
	if err != nil {
		return -1, fmt.Errorf("cannot listen on %s (statistics): %w", address, err)
	}
	return fd, nil
}

// duplicate is another descriptor of a socket.
func duplicate(s syscall.Conn) (fd int, err error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	controlErr := raw.Control(func(own uintptr) { fd, err = duplicateFD(int(own)) })
	if controlErr != nil {
		return -1, controlErr
	}
	return fd, err
}

// duplicateFD is dup(2), with a descriptor that programs started from here do not inherit.
func duplicateFD(own int) (fd int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if fd, err = syscall.Dup(own); err == nil {
		syscall.CloseOnExec(fd)
	}
	return fd, os.NewSyscallError("dup", err)
}

// open begins to answer.
func (p *statsPort) open() {
	ln, err := p.listener()
	if err != nil {
		p.log.Error("cannot serve statistics", "cause", err)
		return
	}
	server := admin.New(p.options)
	p.mu.Lock()
	p.server = server
	p.mu.Unlock()
	go func() {
		if err := server.Serve(ln); err != nil {
			p.log.Debug("statistics port closed", "cause", err)
		}
	}()
}

func (p *statsPort) listener() (net.Listener, error) {
	fd, err := duplicateFD(p.fd)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "stats")
	defer file.Close() // the listener has a descriptor of its own
	return net.FileListener(file)
}

// close ends it when what has been asked is answered. Who connects later waits for whoever serves the socket next.
func (p *statsPort) close() {
	p.mu.Lock()
	server := p.server
	p.server = nil
	p.mu.Unlock()
	if server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), statsShutdown)
	defer cancel()
	_ = server.Shutdown(ctx) // what is not answered by then is not answered
}

// free closes the socket for good.
func (p *statsPort) free() {
	p.close()
	_ = syscall.Close(p.fd)
}
