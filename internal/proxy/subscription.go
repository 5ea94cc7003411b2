package proxy

import (
	"bytes"
	"slices"

	"nutmeg/internal/resp"
)

// subscriptions is what a client listens to. It has a dedicated connection to every server that it hears messages from.
//
// A channel is at home on one server, that of the channel's name: there it is published and subscribed, so each message comes once. Patterns
// are subscribed on all servers, and so are the channels on which servers tell of their keys, as each tells of its own only.
type subscriptions struct {
	names [numScopes]map[string]struct{}
	ears  []*serverConn
	deaf  bool // nothing is read from ears: the client does not read either
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
	for _, conn := range s.ears {
		if conn.server == sv {
			return conn
		}
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
		if r.kept() {
			r.response.Take(s.chunks(), &s.heard)
			r.collect(n)
		}
		s.heard.Reset(s.chunks())
		s.responded(nil)
	default:
		s.heard.Reset(s.chunks())
	}
	return true
}

// isMessage reports whether what a server sends to a subscriber is a message, by how it begins.
func isMessage(start []byte) bool {
	_, rest, ok := bytes.Cut(start, []byte("\r\n$"))
	if !ok {
		return false
	}
	_, rest, ok = bytes.Cut(rest, []byte("\r\n"))
	if !ok {
		return false
	}
	word, _, _ := bytes.Cut(rest, []byte("\r\n"))
	switch string(word) {
	case "message", "pmessage", "smessage":
		return true
	}
	return false
}

// hear gives the client a message. One that does not read is not listened for: the server's own limit for that holds then.
func (c *client) hear(conn *serverConn) {
	s := &c.session.subscriptions
	c.conn.SendBuffer(&conn.heard)
	c.lastActive = c.worker.loop.Now()
	if c.conn.Unsent() > c.mark() && !s.deaf {
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
	if !c.stalled {
		c.conn.NotifyFlushed(false)
	}
}
