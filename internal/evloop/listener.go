package evloop

import (
	"errors"
	"time"
)

const (
	acceptsPerTurn = 64
	// acceptPause is how long accepting rests when the process has run out of descriptors.
	acceptPause = 100 * time.Millisecond
)

// Listener accepts connections and hands them to its handler.
type Listener struct {
	loop    *Loop
	socket  Socket
	handler AcceptHandler
	options SocketOptions
	slot    uint32
	closed  bool
	paused  bool
	rest    Timer
}

// AcceptHandler takes what a listener accepted.
type AcceptHandler interface {
	// Accepted gets a connected socket, and owns it: it goes to some loop's Adopt, or is closed.
	Accepted(s Socket)
	// AcceptFailed is told why connections cannot be accepted at the moment. The listener goes on by itself.
	AcceptFailed(err error)
}

// Accept begins to accept connections from a socket that Outside.Listen returned, or that another loop or process gave away.
// It owns the socket from then on, also when it fails.
func (l *Loop) Accept(socket Socket, opt SocketOptions, handler AcceptHandler) (*Listener, error) {
	n := &Listener{loop: l, socket: socket, handler: handler, options: opt}
	n.slot = l.register(nil, n)
	if err := l.outside.Watch(socket, l.token(n.slot), Readable); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Socket is what the listener accepts from. It stays the listener's.
func (n *Listener) Socket() Socket { return n.socket }

func (n *Listener) ready() {
	if n.paused {
		return // since earlier in this batch
	}
	for range acceptsPerTurn {
		s, err := n.socket.Accept(n.options)
		switch {
		case err == nil:
			n.handler.Accepted(s)
		case errors.Is(err, ErrWouldBlock):
			return
		case errors.Is(err, ErrTooManyFiles):
			n.restAfter(err)
			return
		default:
			return // the connection died before it was accepted
		}
		if n.closed || n.paused {
			return
		}
	}
}

// Pause stops accepting until Resume. Connections wait in the socket's backlog, for this process or another one that has
// the same socket open.
func (n *Listener) Pause() {
	if n.closed || n.paused {
		return
	}
	n.paused = true
	n.loop.Disarm(&n.rest)
	n.loop.outside.Forget(n.socket)
}

// Resume accepts again after Pause.
func (n *Listener) Resume() {
	if n.closed || !n.paused {
		return
	}
	n.paused = false
	n.Expired()
}

// restAfter stops asking for a while: without descriptors the listener would be ready again and again, and nothing gained.
func (n *Listener) restAfter(err error) {
	n.handler.AcceptFailed(err)
	if n.closed || n.paused {
		return
	}
	_ = n.loop.outside.Watch(n.socket, n.loop.token(n.slot), 0) // at worst it is ready again at once
	n.loop.Arm(&n.rest, n.loop.now+int64(acceptPause), n)
}

// Expired ends a rest.
func (n *Listener) Expired() {
	if err := n.loop.outside.Watch(n.socket, n.loop.token(n.slot), Readable); err != nil {
		n.handler.AcceptFailed(err)
		n.loop.Arm(&n.rest, n.loop.now+int64(acceptPause), n)
	}
}

// AcceptRest accepts what waits in the backlog. Closing the listener would reset these connections, which to their clients
// are there already.
func (n *Listener) AcceptRest() {
	for !n.closed && !n.paused {
		s, err := n.socket.Accept(n.options)
		if err != nil {
			return
		}
		n.handler.Accepted(s)
	}
}

// Close stops accepting. Connections that wait in the backlog are refused.
func (n *Listener) Close() {
	if n.closed {
		return
	}
	n.closed = true
	n.loop.Disarm(&n.rest)
	n.loop.outside.Forget(n.socket)
	_ = n.socket.Close() // nothing is left to be done about an error
	n.loop.unregister(n.slot)
}

// SetOptions sets what connections that are accepted from now on get.
func (n *Listener) SetOptions(opt SocketOptions) { n.options = opt }
