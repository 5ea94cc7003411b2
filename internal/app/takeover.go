package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"nutmeg/internal/evloop"
	"nutmeg/internal/handover"
	"nutmeg/internal/proxy"
)

// takeOver adopts the clients of the process before this one.
func (d *daemonProcess) takeOver(p *handover.Predecessor) {
	defer d.takingOver.Store(false)
	defer p.Close()
	for taken := 0; ; taken++ {
		c, err := p.Next()
		if errors.Is(err, io.EOF) {
			d.notice("all clients of the old process have been taken over", "clients", taken)
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return // this process was told to stop, and has told the old one
		}
		if err != nil {
			d.log.Warn("the old process hands over no more", "clients", taken, "cause", err)
			return
		}
		if err := d.adopt(c); err != nil {
			d.log.Error("client lost", "cause", err)
		}
	}
}

func (d *daemonProcess) adopt(c handover.Client) error {
	socket, err := evloop.InheritConn(c.FD)
	if err != nil {
		_ = syscall.Close(c.FD)
		return fmt.Errorf("cannot take a client of pool %s over: %w", c.Pool, err)
	}
	return d.proxy.Adopt(proxy.Handed{Socket: socket, Pool: c.Pool, State: c.State})
}
