package proxy

import "nutmeg/internal/resp"

// greeting is a step of the conversation that opens a connection.
type greeting struct {
	name string
	// essential: an error as the answer means that the connection must not be used.
	essential bool
	// id: the answer is the number by which the server knows the connection. A server that has none, or does not tell, is as good.
	id bool
}

// Opened begins the conversation.
func (s *serverConn) Opened() {
	s.connected = true
	s.server.stats.Connections++
	var hello []byte
	hello, s.greeting = s.server.pool.protocol.greeting(s.identity, s.slot == slotDedicated)
	if len(s.greeting) == 0 {
		s.begin()
		return
	}
	s.conn.Send(hello)
	s.appended += uint64(len(hello))
	for r := s.queue.oldest; r != nil; r = r.behind {
		r.end += uint64(len(hello))
	}
}

// begin lets requests through, unless earlier connections to the same place still have some.
func (s *serverConn) begin() {
	if s.waitsInLine() {
		return
	}
	s.ready = true
	s.conn.SendBuffer(&s.waiting)
}

// refusalOf is the failure of a connection whose greeting is refused. What a client has made up, a password or a database, says
// nothing about the server: whoever tries passwords must not have servers ejected.
func (s *serverConn) refusalOf(answer, text []byte) *failure {
	cause := &failure{text: string(text), verbatim: true}
	if s.identity != nil && ailment(answer) == "" {
		cause.kind = failureAsked
	}
	return cause
}

// maxGreeting bounds an answer of the greeting, which is OK or an error.
const maxGreeting = 16 << 10

// greeted takes a piece of an answer of the greeting.
func (s *serverConn) greeted(piece []byte, done bool) {
	if len(s.greetingText)+len(piece) > maxGreeting {
		s.conn.Close()
		s.worker.logServer(s.server, "server sent an endless answer to "+s.greeting[0].name)
		s.fail(failProtocol)
		return
	}
	s.greetingText = append(s.greetingText, piece...)
	if !done {
		return
	}
	text := s.greetingText
	s.greetingText = s.greetingText[:0]
	step := s.greeting[0]
	s.greeting = s.greeting[1:]
	if step.id {
		s.serverID, _ = integerOf(text)
	} else if refusal, isError := resp.ErrorText(text); isError {
		s.worker.logServer(s.server, "server refused "+step.name, "response", string(refusal))
		if step.essential {
			s.conn.Close()
			s.fail(s.refusalOf(text, refusal))
			return
		}
	}
	if len(s.greeting) == 0 {
		s.begin()
	}
}
