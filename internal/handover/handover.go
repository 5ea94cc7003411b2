//go:build unix

// Package handover passes the sockets of a process on to the process that takes its place: listeners, so that nobody who
// connects is refused, and then the clients one by one, each with what the old process knows of it.
//
//	old process                                       new process
//	Start: run the program, socketpair ──────────────► Inherit: the other end, by environment and descriptor 3
//	       hello, listeners ─────────────────────────► Listener, ...
//	       wait for the report ◄─────────────────────  Ready, or Fail with the reason
//	Give:  client, client ... ───────────────────────► Next
//	       Taken   ◄───────────────── receipt of each  (before Next returns it)
//	End:   end mark ─────────────────────────────────► Next: io.EOF
//
// Who owns a client is never in doubt. The old process keeps its copy of the socket until it has the receipt; the new one
// writes the receipt before it shows the client to anybody. Whichever of the two dies, at whatever moment, a client without
// a receipt is the old one's, and nobody has read a byte from it meanwhile.
//
// Until the new process is ready, all that goes wrong with it ends with its death, and leaves the old one as it was.
//
// The package knows neither what is listened for nor what a client's state means, and prints and exits for nobody.
package handover

import (
	"errors"
	"time"
)

const (
	// marker is the environment variable that holds the number of the inherited descriptor. It is removed on sight, so
	// that the new process's own children do not inherit it.
	marker = "NUTMEG_HANDOVER"
	// inheritedFD is the new process's end of the socketpair: the first of ExtraFiles.
	inheritedFD = 3

	// magic and version are the first message. Its form, and that of a failed report, never change.
	magic   = "nutmeg handover "
	version = 1

	// MaxState bounds the state of one client, in bytes.
	MaxState = 32 << 20
	// maxListeners bounds what a new process takes over.
	maxListeners = 4096
	maxName      = 4 << 10  // bytes of a listener's or a pool's name
	maxReason    = 64 << 10 // bytes of a failed report

	// helloTimeout is how long the new process waits for listeners, which are sent at once.
	helloTimeout = 30 * time.Second
	// deathTimeout is how long a new process that broke the connection may take to exit, so that its exit status can be told.
	deathTimeout = time.Second
	// window is how many clients are on their way at a time. The kernel bounds the descriptors in flight of one user.
	window = 32
)

// Listener is a listening socket.
type Listener struct {
	Name string // what the two processes call it, for example its address; at most 4 KiB
	FD   int
}

// Client is a connected socket with what the old process knows of it.
type Client struct {
	FD    int
	Pool  string // at most 4 KiB
	State []byte // at most MaxState
}

// ErrRefused says that the new process takes no more clients, but is in charge: it serves, or was told to stop. The old one
// shall not go on in its place.
var ErrRefused = errors.New("the new process takes no more clients")
