package sim

import (
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"nutmeg/internal/evloop"
)

// redialDelay is when a dial that found a full backlog tries again, as the kernel does.
const redialDelay = time.Second

// Dial begins a connection. Some outcomes are known at once; all are for unix sockets.
func (o *Outside) Dial(ip netip.AddrPort, path string, _ evloop.SocketOptions) (evloop.Socket, bool, error) {
	if o.FilesExhausted {
		return nil, false, syscall.EMFILE
	}
	w := o.world
	address := path
	if path == "" {
		address = ip.String()
	}
	l := w.dial(address)
	e := &l.ends[0]
	e.owner = o
	if l.unix || w.chance(w.Net.InstantPercent) {
		switch errno := l.connect(); {
		case errno == 0:
			o.sockets++
			return e, true, nil
		case errno == syscall.EAGAIN && l.unix:
			return nil, false, syscall.ECONNREFUSED
		case errno != syscall.EAGAIN:
			return nil, false, errno
		}
	}
	o.sockets++
	w.schedule(w.arrival(), l, eventConnect)
	return e, false, nil
}

func (w *World) dial(address string) *link {
	l := w.newLink(address)
	if w.port++; w.port > 65535 {
		w.port = 32768
	}
	l.from = "10.255.255.254:" + strconv.Itoa(w.port)
	if l.unix {
		l.from = "unix"
	}
	w.record("dials", l.id, 0, 0)
	return l
}

// connect tries to make the connection. EAGAIN says that its outcome is still open.
func (l *link) connect() syscall.Errno {
	w := l.world
	p := w.find(l.address)
	switch {
	case p.unreachable:
		return syscall.EHOSTUNREACH
	case p.hanging:
		return syscall.EAGAIN
	case len(p.acceptors) == 0 && l.unix:
		return syscall.ENOENT
	case len(p.acceptors) == 0:
		return syscall.ECONNREFUSED
	}
	acceptor := p.acceptors[0]
	if n := len(p.acceptors); n > 1 {
		acceptor = p.acceptors[w.random.IntN(n)]
	}
	l.ends[0].connected, l.ends[1].connected = true, true
	if !acceptor.accept(&l.ends[1]) {
		l.ends[0].connected, l.ends[1].connected = false, false
		return syscall.EAGAIN
	}
	w.record("connected", l.id, 0, 0)
	return 0
}

// happen is when the outcome of a dial is due.
func (l *link) happen(w *World, _ eventKind) {
	e := &l.ends[0]
	if e.closed {
		return
	}
	switch errno := l.connect(); errno {
	case 0:
		e.out().move()
	case syscall.EAGAIN:
		if p := w.find(l.address); p.hanging {
			p.waiting = append(p.waiting, l)
		} else {
			w.schedule(w.now+int64(redialDelay), l, eventConnect)
		}
		return
	default:
		e.dead, e.failure = true, errno
		w.record("cannot connect", l.id, 0, 0)
	}
	e.changed(evloop.Readable | evloop.Writable)
}
