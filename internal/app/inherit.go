package app

import (
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/handover"
	"nutmeg/internal/systemd"
)

// What two processes call the listeners that one hands to the other. Those that the service manager opened are told apart:
// their paths are never taken away.
const (
	namePool    = "pool "
	nameManager = "manager "
	nameStats   = "stats "
)

// inheritance is the listening sockets that others have opened for this process: the process before it, and the service
// manager.
type inheritance struct {
	log         *slog.Logger
	predecessor *handover.Predecessor // nil = none
	manager     map[evloop.Address]evloop.Socket
	managed     map[config.Address]bool // where pools listen with sockets of the manager
}

// inherit takes what the service manager passed.
func inherit(predecessor *handover.Predecessor, log *slog.Logger) *inheritance {
	h := &inheritance{log: log, predecessor: predecessor, manager: map[evloop.Address]evloop.Socket{}, managed: map[config.Address]bool{}}
	for _, s := range systemd.Sockets() {
		socket, err := evloop.InheritListener(s.FD)
		if err != nil {
			log.Warn("a socket of the service manager cannot be used", "name", s.Name, "cause", err)
			_ = syscall.Close(s.FD)
			continue
		}
		h.manager[evloop.LocalAddress(socket)] = socket
	}
	return h
}

// pool is the socket on which somebody listens for a pool already, nil if nobody does.
func (h *inheritance) pool(at config.Address) evloop.Socket {
	if socket := h.fromPredecessor(namePool + at.String()); socket != nil {
		return socket
	}
	if socket := h.fromPredecessor(nameManager + at.String()); socket != nil {
		h.managed[at] = true
		return socket
	}
	socket := h.fromManager(evloop.Address{Host: at.Host, Port: at.Port, Path: at.Path})
	if socket != nil {
		h.managed[at] = true
	}
	return socket
}

// stats is the descriptor on which somebody listens for readers of statistics already.
func (h *inheritance) stats(address string) (fd int, ok bool) {
	if h.predecessor != nil {
		if fd, ok = h.predecessor.Listener(nameStats + address); ok {
			return fd, true
		}
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return -1, false
	}
	return evloop.FD(h.fromManager(evloop.Address{Host: at.Addr().String(), Port: int(at.Port())}))
}

func (h *inheritance) fromPredecessor(name string) evloop.Socket {
	if h.predecessor == nil {
		return nil
	}
	fd, ok := h.predecessor.Listener(name)
	if !ok {
		return nil
	}
	socket, err := evloop.InheritListener(fd)
	if err != nil {
		h.log.Warn("a socket of the old process cannot be used", "address", name, "cause", err)
		_ = syscall.Close(fd)
		return nil
	}
	return socket
}

func (h *inheritance) fromManager(at evloop.Address) evloop.Socket {
	if ip, err := netip.ParseAddr(at.Host); err == nil {
		at.Host = ip.Unmap().String()
		if ip.IsUnspecified() {
			at.Host = "" // however it is written, that is all interfaces
		}
	}
	socket := h.manager[at]
	delete(h.manager, at)
	return socket
}

// isManaged reports whether the service manager listens at an address too.
func (h *inheritance) isManaged(at config.Address) bool { return h.managed[at] }

// closeRest closes what nothing in the configuration asks for.
func (h *inheritance) closeRest() {
	for _, at := range slices.SortedFunc(maps.Keys(h.manager), func(a, b evloop.Address) int { return strings.Compare(a.String(), b.String()) }) {
		h.log.Warn("no pool listens at the address of a socket that the service manager passed", "address", at.String())
		_ = h.manager[at].Close()
	}
	clear(h.manager)
	if h.predecessor != nil {
		for _, name := range h.predecessor.CloseListeners() {
			h.log.Info("no longer listening", "address", name)
		}
	}
}

// anywhere is for an address that another process listens at too, whichever it is.
func anywhere(config.Address) bool { return true }
