package proxy

import (
	"errors"
	"io"
	"syscall"

	"nutmeg/internal/evloop"
)

// failure is why a server gave no response. One value is one cause: clients, log and statistics use the same word for it.
type failure struct {
	text string
	kind failureKind
	// verbatim: the text is a whole error of the protocol, code included.
	verbatim bool
}

// failureKind says which counter a closed server connection belongs to.
type failureKind uint8

const (
	failureError failureKind = iota
	failureEOF
	failureTimeout
	failureOwn   // no failure: the proxy closed the connection because it wanted to
	failureLocal // the proxy's own machine lacks something: that says nothing about the server
	failureAsked // the server refuses what a client wants to be: likewise
)

func (f *failure) Error() string { return f.text }

// The texts are those of C's strerror, which twemproxy's clients know.
var (
	failRefused     = &failure{text: "Connection refused"}
	failTimedOut    = &failure{text: "Connection timed out", kind: failureTimeout}
	failClosed      = &failure{text: "Connection closed by server", kind: failureEOF}
	failProtocol    = &failure{text: "Invalid argument"}
	failUnresolved  = &failure{text: "Host is down"}
	failShutdown    = &failure{text: "Proxy is shutting down", kind: failureOwn}
	failRetired     = &failure{text: "Connection no longer needed", kind: failureOwn}
	failUnspecified = &failure{text: "Input/output error"}
)

var failuresByErrno = map[syscall.Errno]*failure{
	syscall.ECONNREFUSED:  failRefused,
	syscall.ETIMEDOUT:     failTimedOut,
	syscall.ECONNRESET:    {text: "Connection reset by peer"},
	syscall.EPIPE:         {text: "Broken pipe"},
	syscall.ENOENT:        {text: "No such file or directory"},
	syscall.EACCES:        {text: "Permission denied"},
	syscall.EHOSTDOWN:     failUnresolved,
	syscall.EHOSTUNREACH:  {text: "No route to host"},
	syscall.ENETUNREACH:   {text: "Network is unreachable"},
	syscall.ENETDOWN:      {text: "Network is down"},
	syscall.ECONNABORTED:  {text: "Software caused connection abort"},
	syscall.EADDRNOTAVAIL: {text: "Cannot assign requested address", kind: failureLocal},
	syscall.EMFILE:        {text: "Too many open files", kind: failureLocal},
	syscall.ENFILE:        {text: "Too many open files in system", kind: failureLocal},
	syscall.ENOBUFS:       {text: "No buffer space available", kind: failureLocal},
	syscall.ENOMEM:        {text: "Cannot allocate memory", kind: failureLocal},
	syscall.ENOTSOCK:      {text: "Socket operation on non-socket"},
}

// failureOf classifies an error of a server connection.
func failureOf(err error) *failure {
	var f *failure
	var errno syscall.Errno
	var unresolved *evloop.ResolveError
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, io.EOF):
		return failClosed
	case errors.As(err, &unresolved):
		return failUnresolved
	case errors.As(err, &errno):
		if f, ok := failuresByErrno[errno]; ok {
			return f
		}
	}
	return failUnspecified
}
