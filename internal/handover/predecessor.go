//go:build unix

package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Predecessor is the old process, as the new one sees it. Ready, Fail, Stop and Close may be called from any goroutine, the
// rest from one.
type Predecessor struct {
	channel   *channel
	listeners []Listener
}

// Inherit takes over from the process that started this one with Start: it returns when all listeners are there. Call it
// first in main. Without such a process it returns nil and no error.
//
// A process that dies before it has handed over all is no error either: this one has what came, and may serve.
func Inherit() (*Predecessor, error) {
	text, marked := os.LookupEnv(marker)
	if !marked {
		return nil, nil //nolint:nilnil // most processes have no predecessor, and that is no fault
	}
	if err := os.Unsetenv(marker); err != nil {
		return nil, fmt.Errorf("cannot take over from the old process: %w", err)
	}
	ch, err := claim(text)
	if err != nil {
		return nil, fmt.Errorf("cannot take over: the environment variable %s is for the program's own use, unset it (%w)", marker, err)
	}
	p := &Predecessor{channel: ch}
	ch.setDeadline(time.Now().Add(helloTimeout))
	if err := p.receiveListeners(); err != nil && !gone(err) {
		p.Fail(err)
		p.CloseListeners()
		p.Close()
		return nil, fmt.Errorf("cannot take over from the old process: %w", err)
	}
	ch.setDeadline(time.Time{})
	return p, nil
}

// claim takes the inherited descriptor over. One that is no socket is left alone.
func claim(text string) (*channel, error) {
	fd, err := strconv.Atoi(text)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%q is no inherited descriptor", text)
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return nil, fmt.Errorf("descriptor %d is not a socket", fd)
	}
	syscall.CloseOnExec(fd)
	return newChannel(os.NewFile(uintptr(fd), "hand-over"))
}

// gone reports whether an error means that the other process is there no more.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func hello(version uint32) []byte { return binary.BigEndian.AppendUint32([]byte(magic), version) }

func (p *Predecessor) receiveListeners() error {
	for greeted := false; ; {
		m, err := p.channel.receive()
		if err != nil {
			return err
		}
		switch {
		case !greeted:
			err = checkHello(m)
			greeted = true
		case m.kind == kindListening:
			return nil
		case m.kind == kindListener && m.fd >= 0 && len(m.body) <= maxName && len(p.listeners) < maxListeners:
			p.listeners = append(p.listeners, Listener{Name: string(m.body), FD: m.fd})
			continue
		default:
			err = fmt.Errorf("message %d was not expected", m.kind)
		}
		if m.fd >= 0 {
			closeAll([]int{m.fd})
		}
		if err != nil {
			return err
		}
	}
}

func checkHello(m message) error {
	rest, ok := strings.CutPrefix(string(m.body), magic)
	if m.kind != kindHello || !ok || len(rest) < 4 {
		return errors.New("the old process does not greet as nutmeg does")
	}
	if theirs := binary.BigEndian.Uint32([]byte(rest)); theirs != version {
		return fmt.Errorf("the old process hands over in version %d, this one takes version %d; stop the old one and start the new one instead", theirs, version)
	}
	return nil
}

// Listener takes the listener of that name, whose descriptor is the caller's from then on; false if there is none.
func (p *Predecessor) Listener(name string) (fd int, ok bool) {
	for i, l := range p.listeners {
		if l.Name == name {
			p.listeners = append(p.listeners[:i:i], p.listeners[i+1:]...)
			return l.FD, true
		}
	}
	return -1, false
}

// CloseListeners closes the listeners that nobody took, and returns their names.
func (p *Predecessor) CloseListeners() (names []string) {
	for _, l := range p.listeners {
		names = append(names, l.Name)
		closeAll([]int{l.FD})
	}
	p.listeners = nil
	return names
}

// Ready tells the old process that this one serves. An error means that the old one is dead: there is nobody left to take
// over from, and nobody else who serves.
func (p *Predecessor) Ready() error {
	if err := p.channel.send(message{kind: kindReady, fd: -1}); err != nil {
		return fmt.Errorf("cannot report to the old process: %w", err)
	}
	return nil
}

// Fail tells the old process why this one cannot serve. It goes on as if nothing had happened.
func (p *Predecessor) Fail(cause error) {
	reason := cause.Error()
	_ = p.channel.send(message{kind: kindFailed, body: []byte(reason[:min(len(reason), maxReason)]), fd: -1}) // or it sees this process die
}

// Next waits for the next client, whose descriptor is the caller's. The error is io.EOF after the last one; any other says
// that the old process died, or went wrong, before it had given all of its clients away.
func (p *Predecessor) Next() (Client, error) {
	m, err := p.channel.receive()
	if err == nil && m.kind == kindEnd {
		return Client{}, io.EOF
	}
	var c Client
	if err == nil {
		if c, err = parseClient(m); err == nil {
			err = p.channel.send(message{kind: kindReceipt, fd: -1})
		}
	}
	if err != nil {
		if m.fd >= 0 {
			closeAll([]int{m.fd}) // without a receipt the client is the old process's
		}
		return Client{}, p.brokenOff(err)
	}
	return c, nil
}

func (p *Predecessor) brokenOff(err error) error {
	p.Close()
	if gone(err) {
		return errors.New("the old process died before it had handed over all of its clients")
	}
	return fmt.Errorf("the hand-over of clients broke off: %w", err)
}

// Stop tells the old process that this one was told to stop, and that nobody shall take its place. It ends a Next that waits.
func (p *Predecessor) Stop() {
	_ = p.channel.conn.SetWriteDeadline(time.Now().Add(deathTimeout))
	_ = p.channel.send(message{kind: kindStopped, fd: -1}) // it may be gone
	p.Close()
}

// Close ends the connection, and a Next that waits. An old process that still has clients goes on with them.
func (p *Predecessor) Close() { p.channel.close() }
