package proxy

import (
	"bytes"
	"slices"
	"strconv"

	"nutmeg/internal/resp"
)

// subscriptions is what a client listens to. It has a dedicated connection to every server that it hears messages from.
//
// A channel is at home on one server, that of the channel's name: there it is published and subscribed, so each message comes once. Patterns
// are subscribed on all servers, and so are the channels on which servers tell of their keys, as each tells of its own only.
type subscriptions struct {
	names [numScopes]map[string]bool // true when the client has been told
	bytes int                        // what these take
	ears  []*serverConn
	deaf  bool // nothing is read from ears: the client does not read either

	untold  []subscription // of the request to subscribe that is in flight
	pending int            // of these: how many are not settled
	undone  []subscription // refused by one server, and not ended yet on one that had agreed; once for each such server
}

// subscription is one that a client has asked for.
type subscription struct {
	of   scope
	name string
}

// mostSubscribed bounds what one client's subscriptions take, with all that is kept of each besides its name.
const (
	mostSubscribed       = 64 << 20
	subscriptionOverhead = 512
)

// add remembers a subscription. It reports false if there is one of that name already.
func (s *subscriptions) add(w *worker, of scope, name string) bool {
	if _, is := s.names[of][name]; is {
		return false
	}
	if s.names[of] == nil {
		s.names[of] = map[string]bool{}
	}
	s.names[of][name] = false
	s.charge(w, len(name)+subscriptionOverhead)
	return true
}

// remove forgets a subscription. It reports false if there is none of that name.
func (s *subscriptions) remove(w *worker, of scope, name string) bool {
	if _, is := s.names[of][name]; !is {
		return false
	}
	delete(s.names[of], name)
	s.charge(w, -len(name)-subscriptionOverhead)
	return true
}

func (s *subscriptions) charge(w *worker, n int) {
	s.bytes += n
	w.nameBytes += n
}

// settled says that all servers have answered for one of the request in flight. When that is so for the last, the client is told of all.
func (s *subscriptions) settled() {
	if s.pending--; s.pending > 0 {
		return
	}
	for _, u := range s.untold {
		if _, is := s.names[u.of][u.name]; is {
			s.names[u.of][u.name] = true
		}
	}
	s.untold = nil
}

// unwanted reports whether a message is for a subscription that the client has not been told of, because servers agree one after the
// other, or that it has been told it does not have.
func (s *subscriptions) unwanted(message []byte) bool {
	word, rest, _ := cutBulk(message)
	name, _, _ := cutBulk(rest)
	this := subscription{scopeOf(word), string(name)}
	told, is := s.names[this.of][this.name]
	return is && !told || !is && slices.Contains(s.undone, this)
}

// scopeOf is the scope of a message, by its first word.
func scopeOf(word []byte) scope {
	switch word[0] {
	case 'p':
		return scopePattern
	case 's':
		return scopeShard
	}
	return scopeChannel
}

// cutBulk finds the first bulk string of an array or a push.
func cutBulk(text []byte) (value, rest []byte, ok bool) {
	_, text, found := bytes.Cut(text, []byte("$"))
	if !found {
		return nil, nil, false
	}
	head, rest, _ := bytes.Cut(text, []byte("\r\n"))
	n, err := strconv.Atoi(string(head))
	if err != nil || n < 0 || len(rest) < n+2 {
		return nil, nil, false
	}
	return rest[:n], rest[n+2:], true
}

// scope is a name space of subscriptions.
type scope uint8

const (
	scopeChannel scope = iota
	scopePattern
	scopeShard
	numScopes
)

// scopes are the words of each scope, as commands and in messages.
var scopes = [numScopes]struct{ subscribe, unsubscribe string }{
	scopeChannel: {"subscribe", "unsubscribe"},
	scopePattern: {"psubscribe", "punsubscribe"},
	scopeShard:   {"ssubscribe", "sunsubscribe"},
}

// count is the number that Redis counts a scope's subscriptions by: shard channels apart, the others together.
func (s *subscriptions) count(of scope) int {
	if of == scopeShard {
		return len(s.names[scopeShard])
	}
	return len(s.names[scopeChannel]) + len(s.names[scopePattern])
}

func (s *subscriptions) any() bool { return s.count(scopeChannel)+s.count(scopeShard) > 0 }

// subscribed reports whether the client is subscribed to anything.
func (c *client) subscribed() bool { return c.session != nil && c.session.subscriptions.any() }

// ear returns the connection by which the client hears a server; nil if it has to wait for one.
func (c *client) ear(sv *server) *serverConn {
	s := &c.needSession().subscriptions
	if conn := s.earOf(sv); conn != nil {
		return conn
	}
	conn := sv.dedicated.take(c)
	if conn != nil {
		conn.listens, conn.pushes = true, true
		s.ears = append(s.ears, conn)
	}
	return conn
}

// forget takes out a connection that the client does not hear by any more.
func (s *subscriptions) forget(conn *serverConn) {
	if i := slices.Index(s.ears, conn); i >= 0 {
		s.ears = slices.Delete(s.ears, i, i+1)
	}
}

// closeEars ends what the client hears.
func (s *subscriptions) closeEars() {
	for len(s.ears) > 0 {
		last := len(s.ears) - 1
		conn := s.ears[last]
		s.ears = s.ears[:last]
		conn.release()
	}
	s.deaf = false
}

// closeIdle ends the connections that wait for nothing any more, when nothing is subscribed.
func (s *subscriptions) closeIdle() {
	if s.any() {
		return
	}
	for _, conn := range slices.Clone(s.ears) {
		if conn.queue.oldest == nil {
			s.forget(conn)
			conn.release()
		}
	}
	if len(s.ears) == 0 {
		s.deaf = false
	}
}

// earOf is the connection by which the client hears a server, nil if it does not.
func (s *subscriptions) earOf(sv *server) *serverConn {
	for _, conn := range s.ears {
		if conn.server == sv {
			return conn
		}
	}
	return nil
}

// rehome closes clients that would miss messages from now on, because what they are subscribed to is at home on other servers than before.
func (p *workerPool) rehome() {
	for c := p.worker.clients; c != nil; c = c.next {
		if c.pool == p && c.session != nil && !c.session.subscriptions.athome(p) {
			c.overflowed = true
			c.callBack()
		}
	}
}

// athome reports whether everything is subscribed where it is at home.
func (s *subscriptions) athome(p *workerPool) bool {
	for of, names := range s.names {
		for name := range names {
			for _, sv := range p.homes(scope(of), []byte(name)) {
				if s.earOf(sv) == nil {
					return false
				}
			}
		}
	}
	return true
}

// deaf reports whether the client does not read the messages that it has subscribed to.
func (c *client) deaf() bool { return c != nil && c.session != nil && c.session.subscriptions.deaf }

// home is the server of a channel. Unlike a key's it does not change while servers are ejected: subscribers would not know.
func (p *workerPool) home(channel []byte) *server {
	hash := p.health.Hash(channel)
	if p.random {
		return p.servers[int(hash)%len(p.servers)]
	}
	return p.servers[p.health.Home(hash)]
}

// homes are the servers on which something is subscribed.
func (p *workerPool) homes(of scope, name []byte) []*server {
	if of == scopePattern || of == scopeChannel && (bytes.HasPrefix(name, []byte("__keyspace@")) || bytes.HasPrefix(name, []byte("__keyevent@"))) {
		return p.servers
	}
	return []*server{p.home(name)}
}

// overheard takes a piece of what a server sends on its own account on connections where it may. It reports false if the piece belongs
// to a response.
func (s *serverConn) overheard(piece []byte, done bool, source input) bool {
	if !s.listens { // version 3: nobody has asked for a push here
		return s.redis.Kind() == resp.Push
	}
	s.worker.store(&s.heard, piece, source)
	if !done {
		return true
	}
	n := s.heard.Len()
	var scratch [64]byte
	start := s.heard.View(0, min(n, len(scratch)), scratch[:0])
	c := s.owner
	switch {
	case isMessage(start) && c != nil && !c.gone:
		c.hear(s)
	case s.queue.oldest != nil && !isMessage(start):
		r := s.queue.oldest
		if !r.kept() {
			s.responded(start, input{})
			s.heard.Reset(s.chunks())
			break
		}
		r.response.Take(s.chunks(), &s.heard)
		r.collect(n)
		s.responded(nil, input{})
	default:
		s.heard.Reset(s.chunks())
	}
	return true
}

// isMessage reports whether what a server sends to a subscriber is a message, by how it begins.
func isMessage(start []byte) bool {
	word, _, ok := cutBulk(start)
	if !ok {
		return false
	}
	switch string(word) {
	case "message", "pmessage", "smessage":
		return true
	}
	return false
}

// hear gives the client a message. One that does not read is not listened for: the server's own limit for that holds then.
func (c *client) hear(conn *serverConn) {
	s := &c.session.subscriptions
	if n := conn.heard.Len(); s.pending+len(s.undone) > 0 && s.unwanted(conn.heard.View(0, n, c.worker.shortScratch(n))) {
		conn.heard.Reset(conn.chunks())
		return
	}
	c.conn.SendBuffer(&conn.heard)
	c.lastActive = c.worker.loop.Now()
	if c.conn.Unsent() > c.mark() { // also if it was so before: a connection may be new
		s.deaf = true
		c.conn.NotifyFlushed(true)
		for _, ear := range s.ears {
			ear.conn.Pause()
		}
	}
}

// listenAgain hears messages again when the client has read enough.
func (c *client) listenAgain() {
	if c.session == nil || !c.session.subscriptions.deaf || c.conn.Unsent() > c.mark()/2 {
		return
	}
	s := &c.session.subscriptions
	s.deaf = false
	for _, ear := range s.ears {
		ear.conn.Resume()
	}
	c.notifyFlushed()
}
