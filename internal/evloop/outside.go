package evloop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"nutmeg/internal/buffer"
)

// Outside is all that a loop reaches of the world: sockets, readiness, a clock, randomness, names.
//
// There are two: the operating system (NewSystem), and a simulated one for tests, in memory, with virtual time and a seed.
// All methods but Wake and Resolve's callback are called from the loop's goroutine only.
type Outside interface {
	// Now is the time in nanoseconds since some fixed moment; it never goes back.
	Now() int64
	// Wall is the time of day, for what people read.
	Wall() time.Time
	// Random returns 64 random bits.
	Random() uint64
	// Busy is for how long the loop has worked rather than waited, and how much processor time the whole process has taken,
	// both in nanoseconds since some fixed moment. The first is estimated, and counts from the first call on; it goes on while
	// the thread has to wait for a processor. The second is 0 where it is not known.
	Busy() (worked, process int64)

	// Listen opens a listening socket that does not block.
	Listen(addr Address, opt ListenOptions) (Socket, error)
	// Relisten gives a listening socket, whatever opened it, the backlog and the mode of opt, in place: nobody who connects
	// meanwhile is refused. addr is where it listens. ReusePort cannot be changed any more and is not looked at.
	Relisten(s Socket, addr Address, opt ListenOptions) error
	// Dial begins a connection. It may be there at once (connected), else its socket turns writable when the outcome is known.
	Dial(ip netip.AddrPort, path string, opt SocketOptions) (s Socket, connected bool, err error)
	// Resolve looks up a host name and calls done from another goroutine, later.
	Resolve(host string, done func([]netip.Addr, error))

	// Watch sets which readiness of s Wait reports, under token. Hang-ups and errors are always reported. With Changes, Wait may
	// report readiness once only: when it begins, when there is more of it (bytes or an end that came), and after each Watch.
	Watch(s Socket, token uint64, want Interest) error
	// Forget ends the watch on s; it is called before s is closed.
	Forget(s Socket)
	// Wait fills events with what is ready. It waits at most timeout nanoseconds, for ever if that is negative.
	Wait(events []Event, timeout int64) (int, error)
	// Wake makes a Wait that is under way, or else the next one, return. Any goroutine may call it.
	Wake()
	// Close frees what the outside itself holds.
	Close() error
}

// Socket is one end of a stream, or a listener. No call waits: what cannot be done now returns ErrWouldBlock.
type Socket interface {
	Transport
	// Accept takes one waiting connection off a listening socket.
	Accept(opt SocketOptions) (Socket, error)
	// PendingError is what went wrong on the socket and nobody has been told of yet, nil if nothing: the outcome of a Dial
	// after the socket turned writable, a reset that came while nothing was read.
	PendingError() error
	// CloseWrite tells the peer that no more bytes follow.
	CloseWrite() error
	// Peer is the other side's address, for people.
	Peer() string
}

// Transport moves the bytes of a connection: a socket, or a layer such as TLS over one.
type Transport interface {
	// Read fills p with what has come. At the end of the stream it returns 0, io.EOF.
	Read(p []byte) (int, error)
	// Write sends from the front of out as much as is taken now, and returns how much that was. It leaves out alone.
	Write(out *buffer.Buffer) (int, error)
	// Close frees the connection at once.
	Close() error
}

// ErrWouldBlock says that a call on a socket had nothing to do now: wait for readiness.
var ErrWouldBlock = errors.New("would block")

// ErrTooManyFiles says that the process has no descriptor left for a new socket.
var ErrTooManyFiles = errors.New("too many open files")

// Interest is a set of readiness that Wait shall report, and how.
type Interest uint8

// The two kinds of readiness, and what makes a socket cheaper to watch.
const (
	Readable Interest = 1 << iota
	Writable
	Changes
)

// Event is one socket's readiness. Hangup comes with errors and with the end of both directions. Ended says that the end of the
// stream is there, perhaps behind bytes; an outside that goes on reporting an end need not say so.
type Event struct {
	Token  uint64
	Ready  Interest
	Hangup bool
	Ended  bool
}

// Address is where to listen or to connect: a TCP host and port, or the path of a unix socket.
type Address struct {
	Host string // name or literal IP, without brackets; empty means all interfaces
	Port int
	Path string // not empty: a unix socket
}

func (a Address) String() string {
	if a.Path != "" {
		return a.Path
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

// SocketOptions are set on every stream socket.
type SocketOptions struct {
	KeepAlive bool
}

// ListenOptions are set on a listening socket.
type ListenOptions struct {
	Backlog   int
	ReusePort bool
	Mode      os.FileMode // permission bits of a unix socket's path; 0 leaves them as they come
}

// ResolveError says that a server's host name has no address now.
type ResolveError struct {
	Host string
	Err  error
}

func (e *ResolveError) Error() string { return fmt.Sprintf("cannot resolve %q: %v", e.Host, e.Err) }

func (e *ResolveError) Unwrap() error { return e.Err }
