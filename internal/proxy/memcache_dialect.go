package proxy

import (
	"fmt"

	"nutmeg/internal/memcache"
)

// Old memcached servers do not know the meta commands, or know others by their names: they would run the value of ms as
// commands, and their answers would meet other clients. So before the first meta command on a connection the server is asked
// (memcache.MetaQuestion), and the command is held until it has answered. Who never sends a meta command never pays for it.

// dialect is what is known of the meta commands of a server connection.
type dialect uint8

const (
	dialectUnknown dialect = iota
	dialectAsked
	dialectPlain // the server speaks no meta commands
	dialectMeta
)

// unanswered is a question that a connection has failed with.
type unanswered struct {
	cause *failure
	at    int64
}

var dialectQuestion = []byte(memcache.MetaQuestion)

// learnDialect is for a request that needs a dialect which the connection is not known to speak.
func (s *serverConn) learnDialect(c *client, whole *message) {
	w, sv := s.worker, s.server
	switch last := &sv.unanswered; {
	case s.memcache.dialect == dialectPlain:
		c.replyText(fmt.Sprintf("CLIENT_ERROR meta commands need a newer memcached than server %s\r\n", printable([]byte(sv.conf.Name))))
		return
	case last.cause != nil && last.at == w.loop.Now(): // it was this request's question, or that of another who waited with it
		c.replyFailure(last.cause)
		return
	case s.memcache.dialect == dialectUnknown:
		s.memcache.dialect = dialectAsked
	}
	// A question of the client's own, though others may have asked: it is held until nothing of it is in flight.
	r := w.newRequest()
	r.expects = uint8(memcache.Question)
	s.append(dialectQuestion)
	c.acceptSilent(r, 0)
	s.enqueue(r, len(dialectQuestion))
	s.server.stats.Requests--
	c.hold(whole)
}

// mostErrors is how many errors the question can be answered with, one for each of its lines.
const mostErrors = 4

// dialectAnswered takes one response of those that answer the question.
func (s *serverConn) dialectAnswered(kind memcache.ResponseKind) (done bool, err error) {
	m := &s.memcache
	isError := kind == memcache.Error
	switch {
	case kind == memcache.MetaEnd && !m.skipped:
		m.skipped = true
		return false, nil
	case !isError && kind != memcache.VersionLine:
		return true, failProtocol
	case m.skipped && m.errors == 1: // whatever the server says of its version
		m.dialect = dialectMeta
	case isError && m.errors < mostErrors-1:
		m.errors++
		return false, nil
	default:
		m.dialect = dialectPlain
	}
	m.errors, m.skipped = 0, false
	return true, nil
}
