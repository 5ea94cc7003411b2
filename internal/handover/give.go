//go:build unix

package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
)

// gift is a client on its way, and who wants to know what became of it.
type gift struct {
	client  Client
	outcome func(taken bool)
}

// Give hands a client over. It does not wait: clients queue up. outcome is called once, maybe before Give returns: with true
// when the new process has the client, which is the new process's alone from then on, or with false when it takes no more,
// or the client is too large to go. Until then FD must stay open and nobody may read from it; afterwards it is the caller's,
// to be closed or to go on with. When Done is closed, all outcomes of earlier calls are known.
func (s *Successor) Give(c Client, outcome func(taken bool)) {
	if !s.enqueue(gift{c, outcome}) {
		outcome(false)
	}
}

func (s *Successor) enqueue(g gift) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.finished || len(g.client.State) > MaxState || len(g.client.Pool) > maxName {
		return false
	}
	s.queue = append(s.queue, g)
	s.changed.Broadcast()
	return true
}

// End says that no more clients follow. Done is closed when the new process has all of them.
func (s *Successor) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	s.changed.Broadcast()
}

// Done is closed after End, when the new process has all clients, or when it failed: Err tells.
func (s *Successor) Done() <-chan struct{} { return s.done }

// Err is why the new process failed, nil if it has not. It is ErrRefused if the new process lives, or was stopped by
// somebody; after any other error it is dead.
func (s *Successor) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// sendAll sends clients until the end.
func (s *Successor) sendAll() {
	for {
		m, more := s.next()
		if !more {
			return
		}
		_ = s.channel.conn.SetWriteDeadline(time.Now().Add(s.timeout))
		err := s.channel.send(m)
		switch {
		case m.kind == kindEnd: // everything has a receipt, so an error has nobody to interest
			s.finish()
			return
		case err != nil:
			s.sendingFailed(err)
			return
		}
	}
}

// next waits for the next message to send. more is false after a failure. A client joins those without a receipt before it is
// sent: the receipt may be quick.
func (s *Successor) next() (m message, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.err != nil:
			return message{}, false
		case len(s.queue) > 0 && len(s.sent) < window:
			g := s.queue[0]
			s.queue[0] = gift{}
			s.queue = s.queue[1:]
			if s.sent = append(s.sent, g); len(s.sent) == 1 {
				s.expectReceipt()
			}
			return clientMessage(g.client), true
		case s.ending && len(s.queue) == 0 && len(s.sent) == 0:
			return message{kind: kindEnd, fd: -1}, true
		}
		s.changed.Wait()
	}
}

func (s *Successor) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.finished = true
		close(s.done)
	}
	s.channel.close()
}

// sendingFailed leaves the failure to the receiving side, which may still find receipts, and a reason.
func (s *Successor) sendingFailed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendErr = err
	_ = s.channel.conn.SetReadDeadline(time.Now().Add(deathTimeout))
}

// expectReceipt sets the time within which the oldest client must get its receipt.
func (s *Successor) expectReceipt() {
	if s.sendErr == nil {
		_ = s.channel.conn.SetReadDeadline(time.Now().Add(s.timeout))
	}
}

// receiveAll takes receipts until the new process ends the connection.
func (s *Successor) receiveAll() {
	for {
		m, err := s.channel.receive()
		if err == nil && m.fd >= 0 {
			closeAll([]int{m.fd})
		}
		switch {
		case err != nil:
		case m.kind == kindStopped:
			err = ErrRefused
		case m.kind != kindReceipt || !s.receipt():
			err = fmt.Errorf("message %d was not expected", m.kind)
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// receipt closes the matter of the oldest client that was sent; false if there is none.
func (s *Successor) receipt() bool {
	s.mu.Lock()
	if len(s.sent) == 0 {
		s.mu.Unlock()
		return false
	}
	outcome := s.sent[0].outcome
	s.mu.Unlock()
	outcome(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[0] = gift{}
	if s.sent = s.sent[1:]; len(s.sent) > 0 {
		s.expectReceipt()
	} else if s.sendErr == nil {
		_ = s.channel.conn.SetReadDeadline(time.Time{}) // no hurry
	}
	s.changed.Broadcast()
	return true
}

// fail ends the hand-over. What has no receipt is the caller's again.
func (s *Successor) fail(err error) {
	s.mu.Lock()
	if s.finished {
		s.mu.Unlock()
		return
	}
	if s.sendErr != nil && !errors.Is(err, ErrRefused) {
		err = s.sendErr
	}
	s.mu.Unlock()
	err = s.verdict(err)
	s.mu.Lock()
	if s.finished { // the end mark was there sooner than this side knew
		s.mu.Unlock()
		return
	}
	s.err = err
	back := append(s.sent, s.queue...)
	s.sent, s.queue = nil, nil
	s.changed.Broadcast()
	s.mu.Unlock()
	s.channel.close()
	for _, g := range back {
		g.outcome(false)
	}
	close(s.done)
}

// verdict tells what became of a new process whose connection ended with err. One that takes too long is killed: it would
// serve nobody.
func (s *Successor) verdict(err error) error {
	switch {
	case errors.Is(err, ErrRefused):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.process.kill(0)
		return fmt.Errorf("the new process did not take a client within %v, and was killed", s.timeout)
	case s.process.ends(deathTimeout):
		return s.process.death("while it was given clients")
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// clientMessage is a client on the wire.
func clientMessage(c Client) message {
	body := make([]byte, 2, 2+len(c.Pool)+len(c.State))
	binary.BigEndian.PutUint16(body, uint16(len(c.Pool)))
	body = append(body, c.Pool...)
	return message{kind: kindClient, body: append(body, c.State...), fd: c.FD}
}

// parseClient is what clientMessage wrote. The state aliases the body.
func parseClient(m message) (Client, error) {
	if m.kind != kindClient || m.fd < 0 || len(m.body) < 2 {
		return Client{}, fmt.Errorf("message %d was not expected", m.kind)
	}
	size := int(binary.BigEndian.Uint16(m.body))
	if rest := m.body[2:]; size <= min(len(rest), maxName) {
		return Client{FD: m.fd, Pool: string(rest[:size]), State: rest[size:]}, nil
	}
	return Client{}, errors.New("a client's message is cut")
}
