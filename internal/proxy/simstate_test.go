package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"nutmeg/internal/resp"
)

// What a simulated Redis server keeps for a connection, and what it does by it: databases, protocol versions,
// transactions. Commands that wait and channels are in simlisten_test.go.

// redisState is the state of one connection.
type redisState struct {
	session  *simSession
	version  int // 0 is 2
	database int

	multi   bool
	dirty   bool // EXEC will be refused
	queued  [][][]byte
	watched map[string]int // by place: its version then

	blocked  *blockedPop
	channels []string
	patterns []string
}

// simStore is what a simulated Redis server has besides the data of ledgers: all is by database and key.
type simStore struct {
	lists    map[string][]string
	versions map[string]int
	blocked  []*redisSession // in the order in which they came
	ears     []*redisSession // those with subscriptions
	log      stateLog        // may be nil
}

// stateLog is told what a server does that tests want to account for.
type stateLog interface {
	// executes a transaction's commands.
	executes(commands [][][]byte)
	// popped says that an element leaves a list, for a connection.
	popped(element string)
}

// place is a key of the database that the connection is in.
func (c *redisState) place(key []byte) string {
	if c.database == 0 {
		return string(key)
	}
	return fmt.Sprintf("%d/%s", c.database, key)
}

// touch notes that a place has changed.
func (s *simServer) touch(place string) {
	if s.store.versions == nil {
		s.store.versions = map[string]int{}
	}
	s.store.versions[place]++
}

// attach is called when the session has its connection.
func (c *redisSession) attach(to *simSession) { c.state.session = to }

// closed is called when its connection is gone.
func (c *redisSession) closed(s *simServer) {
	c.state.blocked = nil
	s.store.blocked = without(s.store.blocked, c)
	s.store.ears = without(s.store.ears, c)
}

func without(list []*redisSession, c *redisSession) []*redisSession {
	if i := slices.Index(list, c); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// stateful executes a command that reads or changes the connection's state; ok is false for all others.
func (c *redisSession) stateful(s *simServer, name string, out []byte) (after []byte, ok bool) {
	st := &c.state
	switch name {
	case "hello":
		return c.hello(s, out), true
	case "select":
		n, err := strconv.Atoi(string(c.args[1]))
		if err != nil || n > 15 {
			return resp.AppendError(out, "ERR DB index is out of range"), true
		}
		st.database = n
		return append(out, resp.OK...), true
	case "multi":
		if st.multi {
			s.fail("server %s was sent MULTI inside MULTI: the connection had an owner before", s.name)
		}
		st.multi, st.dirty = true, false
		return append(out, resp.OK...), true
	case "exec":
		return c.exec(s, out), true
	case "discard":
		if !st.multi {
			return resp.AppendError(out, "ERR DISCARD without MULTI"), true
		}
		c.endMulti()
		return append(out, resp.OK...), true
	case "watch":
		if st.watched == nil {
			st.watched = map[string]int{}
		}
		for _, key := range c.args[1:] {
			place := st.place(key)
			if _, is := st.watched[place]; !is {
				st.watched[place] = s.store.versions[place]
			}
		}
		return append(out, resp.OK...), true
	case "unwatch":
		st.watched = nil
		return append(out, resp.OK...), true
	}
	return out, false
}

func (c *redisSession) hello(s *simServer, out []byte) []byte {
	if len(c.args) > 1 {
		c.state.version, _ = strconv.Atoi(string(c.args[1]))
	}
	if len(c.args) == 5 {
		c.known = string(c.args[4]) == s.password
	}
	if s.password != "" && !c.known {
		return resp.AppendError(out, "WRONGPASS invalid username-password pair or user is disabled.")
	}
	if c.state.version == 3 {
		out = append(out, "%2\r\n"...)
	} else {
		out = resp.AppendArray(out, 4)
	}
	out = resp.AppendBulk(resp.AppendBulk(out, "proto"), "x")
	return resp.AppendInteger(resp.AppendBulk(out, "id"), 99)
}

// queues reports whether a command is for EXEC to execute.
func (c *redisSession) queues(name string) bool {
	return c.state.multi && name != "multi" && name != "exec" && name != "discard" && name != "watch"
}

func (c *redisSession) queue(out []byte) []byte {
	args := make([][]byte, len(c.args))
	for i, a := range c.args {
		args[i] = bytes.Clone(a)
	}
	c.state.queued = append(c.state.queued, args)
	return append(out, "+QUEUED\r\n"...)
}

func (c *redisSession) endMulti() {
	c.state.multi, c.state.dirty, c.state.queued, c.state.watched = false, false, nil, nil
}

func (c *redisSession) exec(s *simServer, out []byte) []byte {
	st := &c.state
	if !st.multi {
		return resp.AppendError(out, "ERR EXEC without MULTI")
	}
	queued, dirty := st.queued, st.dirty
	for place, version := range st.watched {
		if s.store.versions[place] != version {
			c.endMulti()
			return c.null(out, "*-1\r\n")
		}
	}
	c.endMulti()
	if dirty {
		return resp.AppendError(out, "EXECABORT Transaction discarded because of previous errors.")
	}
	if s.store.log != nil {
		s.store.log.executes(queued)
	}
	out = resp.AppendArray(out, len(queued))
	c.inExec = true
	defer func() { c.inExec = false }()
	for _, args := range queued {
		c.args = args
		out = c.command(s, strings.ToLower(string(args[0])), out)
	}
	return out
}

// null appends what stands for nothing; old is that of version 2.
func (c *redisSession) null(out []byte, old string) []byte {
	if c.state.version == 3 {
		return append(out, "_\r\n"...)
	}
	return append(out, old...)
}

// list executes a command on lists; ok is false for all others.
func (c *redisSession) list(s *simServer, name string, out []byte) (after []byte, ok bool) {
	switch name {
	case "rpush":
		place := c.state.place(c.args[1])
		if s.store.lists == nil {
			s.store.lists = map[string][]string{}
		}
		for _, element := range c.args[2:] {
			s.store.lists[place] = append(s.store.lists[place], string(element))
		}
		s.touch(place)
		out = resp.AppendInteger(out, int64(len(s.store.lists[place])))
		s.serveBlocked()
		return out, true
	case "llen":
		return resp.AppendInteger(out, int64(len(s.store.lists[c.state.place(c.args[1])]))), true
	case "blpop":
		for _, key := range c.args[1 : len(c.args)-1] {
			if element, there := s.pop(c.state.place(key)); there {
				return appendPopped(out, string(key), element), true
			}
		}
		if c.inExec {
			return c.null(out, "*-1\r\n"), true
		}
		c.wait(s)
		return out, true
	}
	return out, false
}

func appendPopped(out []byte, key, element string) []byte {
	return resp.AppendBulk(resp.AppendBulk(resp.AppendArray(out, 2), key), element)
}

func (s *simServer) pop(place string) (element string, ok bool) {
	list := s.store.lists[place]
	if len(list) == 0 {
		return "", false
	}
	s.store.lists[place] = list[1:]
	s.touch(place)
	if s.store.log != nil {
		s.store.log.popped(list[0])
	}
	return list[0], true
}

// blockedPop is a BLPOP that waits.
type blockedPop struct {
	keys []string
}

func (c *redisSession) wait(s *simServer) {
	b := &blockedPop{}
	for _, key := range c.args[1 : len(c.args)-1] {
		b.keys = append(b.keys, string(key))
	}
	c.state.blocked = b
	s.store.blocked = append(s.store.blocked, c)
	seconds, _ := strconv.ParseFloat(string(c.args[len(c.args)-1]), 64)
	if seconds > 0 {
		s.world.After(time.Duration(seconds*float64(time.Second)), func() {
			if c.state.blocked == b {
				c.unblock(s, c.null(nil, "*-1\r\n"))
			}
		})
	}
}

// serveBlocked gives elements to those who wait for them.
func (s *simServer) serveBlocked() {
	for _, c := range slices.Clone(s.store.blocked) {
		if c.state.session.peer.Closed() {
			c.closed(s)
			continue
		}
		for _, key := range c.state.blocked.keys {
			if element, ok := s.pop(c.state.place([]byte(key))); ok {
				c.unblock(s, appendPopped(nil, key, element))
				break
			}
		}
	}
}

// unblock ends what the connection waits for, and goes on with what came meanwhile.
func (c *redisSession) unblock(s *simServer, response []byte) {
	c.state.blocked = nil
	s.store.blocked = without(s.store.blocked, c)
	c.state.session.say(response)
	if more := c.later; len(more) > 0 {
		c.later = nil
		c.state.session.received(more)
	}
}
