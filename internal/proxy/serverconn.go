package proxy

import (
	"time"

	"nutmeg/internal/buffer"
	"nutmeg/internal/evloop"
	"nutmeg/internal/memcache"
	"nutmeg/internal/resp"
)

// serverConn is one connection to a server. It implements evloop.Handler.
type serverConn struct {
	conn   evloop.Conn
	worker *worker
	server *server
	lane   *lane
	slot   int  // in its lane, or one of those below
	era    int  // of its lane
	large  bool // is its lane's for large requests, which is closed when there are none

	identity  *identity // what it begins with; nil is the pool's own
	owner     *client   // of a dedicated connection: who has it; nil while nobody does
	listens   bool      // has subscriptions, or had
	serverID  int64     // of a dedicated connection: by which the server knows it; 0 = unknown
	suspect   bool      // likewise: CLIENT UNBLOCK may still come for it, so nobody else gets it
	heeded    bool      // listens, and the server has confirmed one
	pushes    bool      // the server may send what is no response
	transacts bool      // of a dedicated connection: MULTI has been accepted before
	waits     bool      // has a WAIT, or is to get one

	previous, next *serverConn // the worker's connections

	queue    connQueue
	pending  int           // requests in the queue
	heard    buffer.Buffer // what has come of a message, on a connection that listens
	waiting  buffer.Buffer // requests that came before the connection was ready
	appended uint64        // bytes ever put into the output, or into waiting
	timer    evloop.Timer

	waitsFor    *client  // it is not read from because this client does not read; nil for nearly all
	crowd       crowd    // who is not read from because of what is in the queue
	overload    *failure // what requests are refused with, once one was
	overloadKey string   // the limit that it names

	scripts  scriptsOn
	redis    resp.ResponseParser
	memcache struct {
		parser   memcache.ResponseParser
		response memcache.Response
		dialect  dialect
		errors   uint8 // of the answer to the question about it, so far
		skipped  bool  // what that question has for a value was one
	}

	greeting     []greeting // what the server has still to answer before requests may be sent
	greetingText []byte     // the answer that is coming
	connected    bool
	ready        bool
	dead         bool
}

// Slots of connections that are in no lane.
const (
	slotRetired   = -1 // it was in one, and closes when it has nothing more to do
	slotDedicated = -2
)

// output is where requests go: held back until the connection is ready.
func (s *serverConn) output() *buffer.Buffer {
	if s.ready {
		return s.conn.Output()
	}
	return &s.waiting
}

func (s *serverConn) chunks() *buffer.Pool { return &s.worker.loop.Chunks }

// append adds bytes of a request to the output. When the request is complete, enqueue follows.
func (s *serverConn) append(data []byte) {
	s.appended += uint64(len(data))
	s.output().Append(s.chunks(), data)
}

// enqueue makes r, whose n bytes have been appended last, wait for the next response but those before it.
func (s *serverConn) enqueue(r *request, n int) {
	r.sent = n
	r.end = s.appended
	if timeout := s.server.pool.timeout; timeout > 0 {
		r.deadline = s.worker.loop.Now() + timeout
		if !s.timer.Armed() || (s.large || s.slot == slotDedicated) && s.queue.oldest == nil && s.connected {
			s.worker.loop.Arm(&s.timer, r.deadline, s)
		}
	}
	s.queue.push(r)
	s.pending++
	if s.waitsFor != nil && r.sender() != s.waitsFor {
		s.readOn()
	}
	st := s.server.stats
	st.Requests++
	st.RequestBytes += int64(n)
	if s.ready {
		s.conn.Send(nil)
	}
	if s.crowded() {
		s.holdBack(r.sender())
	}
}

// Expired looks whether the oldest request is overdue. The timer runs on its own time: a request that is answered in
// time costs it nothing.
func (s *serverConn) Expired() {
	oldest := s.queue.oldest
	if oldest == nil {
		switch {
		case !s.connected || len(s.greeting) > 0: // nobody waits for it yet; who comes shall not find it hanging
			s.conn.Close()
			s.fail(failTimedOut)
		case s.large && s.ready, s.slot == slotDedicated && s.owner == nil:
			s.close()
		}
		return
	}
	late := oldest.deadline != 0 && oldest.deadline <= s.worker.loop.Now()
	switch {
	case oldest.patient && (!s.connected || len(s.greeting) > 0): // it may take long when the server has it, not before
	case oldest.deadline == 0:
		return
	case s.listens && s.owner.deaf(), s.waitsFor != nil:
		s.worker.loop.Arm(&s.timer, s.worker.loop.Now()+max(s.server.pool.timeout, minSweep), s) // it is the client that keeps it waiting
		return
	case !late:
		s.worker.loop.Arm(&s.timer, oldest.deadline, s)
		return
	}
	s.conn.Close()
	s.fail(failTimedOut)
}

func (s *serverConn) shortenDeadlines(latest int64) {
	for r := s.queue.oldest; r != nil; r = r.behind {
		if !r.patient && (r.deadline == 0 || r.deadline > latest) {
			r.deadline = latest
		}
	}
	if oldest := s.queue.oldest; oldest != nil && oldest.deadline != 0 {
		s.worker.loop.Arm(&s.timer, oldest.deadline, s)
	}
}

// retire takes the connection out of its lane. It is closed when the requests that it has are answered.
func (s *serverConn) retire() {
	if s.slot < 0 {
		return // it is already, or its owner has it
	}
	s.lane.conns[s.slot] = nil
	s.slot = slotRetired
	at := s.server.pool.successionAt(s.server.address)
	at.retired = append(at.retired, s)
	s.readOn()
	if s.queue.oldest == nil {
		s.close()
	}
}

// close ends a connection that has nothing to do.
func (s *serverConn) close() {
	s.conn.Close()
	s.fail(failRetired)
}

// Received takes responses: each belongs to the oldest request.
func (s *serverConn) Received(data []byte) {
	whole := data
	for len(data) > 0 && !s.dead {
		n, done, err := s.server.pool.protocol.response(s, data)
		if err != nil {
			s.conn.Close()
			s.worker.logServer(s.server, "server sent what is not the protocol", "cause", err)
			s.fail(failProtocol)
			return
		}
		piece := data[:n]
		data = data[n:]
		switch {
		case len(s.greeting) > 0:
			s.greeted(piece, done)
		case s.pushes && s.overheard(piece, done, input{whole: whole}):
		case s.queue.oldest == nil:
			s.conn.Close()
			s.worker.logServer(s.server, "server sent a response that nobody asked for")
			s.fail(failProtocol)
		case done:
			s.responded(piece, input{whole: whole})
		default:
			s.arrived(piece, input{whole: whole})
		}
	}
}

// responded ends the oldest request with the last piece of its response.
func (s *serverConn) responded(piece []byte, source input) {
	r := s.queue.pop()
	s.pending--
	s.relieve()
	w := s.worker
	size := len(piece)
	switch {
	case r.flowed > 0:
		r.flow(piece, source)
		size = r.flowed
		piece = nil
	case r.response.Len() > 0, len(piece) >= detachBytes && r.client != nil:
		w.store(&r.response, piece, source)
		r.collect(len(piece))
		size = r.response.Len()
		piece = nil
	}
	unwell := s.server.pool.protocol.inspect(s, r, piece)
	switch {
	case r.probe:
		s.server.probed(unwell)
	case unwell == "":
		s.server.health.Succeeded(s.server.index, w.loop.Now(), w.index)
	default:
		s.server.failed(unwell)
	}
	if r.wanted() {
		s.server.stats.Responses++
		s.server.stats.ResponseBytes += int64(size)
	}
	if r.encore == nil || !w.playEncore(s, r, piece) {
		w.answer(r, piece)
	}
	if s.queue.oldest == nil && !s.dead {
		s.rest()
	}
}

// rest says that the connection has nothing to do.
func (s *serverConn) rest() {
	switch {
	case s.slot == slotRetired:
		s.close()
	case s.slot == slotDedicated:
		s.giveBack()
	case s.large:
		s.worker.loop.Arm(&s.timer, s.worker.loop.Now()+largeIdle, s)
	}
}

// EOF says that the server closed the connection.
func (s *serverConn) EOF() {
	s.conn.Close()
	s.fail(failClosed)
}

// Closed says that the connection failed, or could not be made.
func (s *serverConn) Closed(err error) { s.fail(failureOf(err)) }

// Flushed says that requests have left. It is asked for while there are clients who wait for that.
func (s *serverConn) Flushed() { s.relieve() }

// fail ends the closed connection: every request in its queue is answered with the cause.
func (s *serverConn) fail(cause *failure) {
	if s.dead {
		return
	}
	s.dead = true
	s.readOn()
	w, sv := s.worker, s.server
	if s.memcache.dialect == dialectAsked {
		sv.unanswered = unanswered{cause: cause, at: w.loop.Now()}
	}
	w.loop.Disarm(&s.timer)
	s.waiting.Reset(s.chunks())
	s.heard.Reset(s.chunks())
	s.relieve()
	w.dropConn(s)
	s.leaveLine()
	switch {
	case s.slot >= 0:
		s.lane.conns[s.slot] = nil
	case s.slot == slotRetired:
		s.outlived()
	default:
		sv.dedicated.lost(s, cause)
	}
	sv.count(cause, s.connected)

	pending := 0
	for s.queue.oldest != nil {
		r := s.queue.pop()
		pending++
		if r.probe {
			sv.probed(cause.text)
		}
		if r.flowed > 0 && r.client != nil {
			w.tear(r)
			continue
		}
		w.dropResponse(r)
		w.refuse(r, sv.pool, cause)
	}
	if cause == failShutdown || cause == failRetired || cause.kind == failureAsked {
		return
	}
	if pending == 0 && s.connected && cause.kind != failureTimeout {
		w.log.Info("idle server connection closed", "pool", sv.pool.name(), "server", sv.conf.Name, "cause", cause)
		return // a server may close what nobody uses: it restarts, or has an idle time-out of its own
	}
	w.logServer(sv, "server connection failed", "cause", cause, "requests", pending)
	if cause.kind != failureLocal { // a crowd of clients that takes all descriptors must not eject every server
		sv.failed(cause.text)
	}
}

// largeIdle is how long a connection for large requests is kept for the next one, in nanoseconds.
const largeIdle = int64(10 * time.Second)
