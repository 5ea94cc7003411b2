package proxy

import (
	"bytes"
	"fmt"
	"strings"

	"nutmeg/internal/resp"
)

// transactor is an actor that executes transactions, each all or nothing, in order and at most once. Now and then it watches its key, and
// another connection of it changes the key: then nothing is executed.
type transactor struct {
	*actor
	partner *actor
	key     string
	count   int
	rounds  int
	failed  int64 // when it sent a WATCH that an error answered, -1 for none: the next transaction may come to nothing
}

// simTxn is a transaction: its commands, and what has become of it.
type simTxn struct {
	name      string
	commands  int
	executed  bool
	discarded bool // its client has been told so
}

func (s *simulation) transacts(p *simPool, id int) {
	c := &transactor{actor: s.newActor(p, id), partner: s.newActor(p, id+1), rounds: 1 + s.actors.random.IntN(15), failed: -1}
	c.key = fmt.Sprintf("t%d", id)
	c.onGone = func() { c.partner.exit(c.partner.Close) }
	c.partner.utter()
	c.then = c.round
	if p.password == "" {
		c.round()
	} else {
		c.utter()
	}
}

func (c *transactor) round() {
	r := c.s.actors.random
	c.then = nil
	if c.rounds--; c.rounds < 0 || c.s.over() || c.partner.gone() {
		c.exit(pickOne(r, c.Close, c.Reset))
		return
	}
	next := func() {
		if c.gone() {
			return
		}
		c.then = c.round
		if r.IntN(3) == 0 {
			c.watched()
		} else {
			c.begin(int64(c.s.Now()), false)
		}
	}
	if r.IntN(3) == 0 {
		c.s.After(c.s.while(), next)
		return
	}
	next()
}

// watched executes a transaction whose key another connection may have changed.
func (c *transactor) watched() {
	r := c.s.actors.random
	since := int64(c.s.Now())
	c.then = nil
	c.say("WATCH", func(response []byte) {
		if string(response) != resp.OK {
			c.wrong("WATCH", response)
			c.failed, c.then = since, c.round
			return
		}
		if r.IntN(2) == 0 || c.partner.gone() {
			c.then = c.round
			c.begin(since, false)
			return
		}
		c.partner.onGone = func() { c.exit(c.Reset) }
		c.s.After(c.s.while(), func() { c.change(since) })
	}, c.key)
	c.utter()
}

// change has the key changed, and goes on with the transaction.
func (c *transactor) change(since int64) {
	c.partner.say("SET", func(response []byte) {
		if c.gone() {
			return
		}
		c.s.After(c.s.while()/8, func() {
			if !c.gone() {
				c.then = c.round
				c.begin(since, string(response) == resp.OK)
			}
		})
	}, c.key, "partner")
	c.partner.utter()
}

// begin sends a transaction, in one write or in several.
func (c *transactor) begin(since int64, changed bool) {
	r := c.s.actors.random
	if c.failed >= 0 {
		since, c.failed = c.failed, -1
	}
	c.count++
	t := &simTxn{name: fmt.Sprintf("w%d.%d", c.id, c.count), commands: r.IntN(6)}
	c.s.actors.txns[t.name] = t
	refused := false
	c.say("MULTI", func(response []byte) {
		if string(response) != resp.OK {
			c.wrong("MULTI", response)
		}
	})
	var want []string
	for i := range t.commands {
		value := fmt.Sprintf("%s.%d.%d", t.name, i+1, t.commands)
		check := func(response []byte) {
			if string(response) != "+QUEUED\r\n" {
				refused = true
				c.wrong("a command of a transaction", response)
			}
		}
		if r.IntN(3) == 0 {
			c.say("ECHO", check, value)
			want = append(want, fmt.Sprintf("$%d\r\n%s\r\n", len(value), value))
		} else {
			c.say("SET", check, c.key, value)
			want = append(want, resp.OK)
		}
		if r.IntN(4) == 0 {
			c.utter()
		}
	}
	if r.IntN(8) == 0 {
		c.say("DISCARD", func(response []byte) {
			t.discarded = true
			if string(response) != resp.OK {
				c.wrong("DISCARD", response)
			}
		})
	} else {
		c.say("EXEC", func(response []byte) { c.executed(t, response, want, since, changed, refused) })
	}
	if r.IntN(16) == 0 { // it leaves in the middle
		c.Send(c.out[:r.IntN(len(c.out)+1)])
		c.out = c.out[:0]
		c.exit(pickOne(r, c.Close, c.Reset))
		return
	}
	c.utter()
}

// executed checks what EXEC is answered with.
func (c *transactor) executed(t *simTxn, response []byte, want []string, since int64, changed, refused bool) {
	whole := fmt.Sprintf("*%d\r\n%s", len(want), strings.Join(want, ""))
	switch {
	case string(response) == c.null("*-1\r\n"):
		t.discarded = true
		if !changed && !c.excused(since) {
			c.fail("%s is not executed, though nobody has changed its key", t.name)
		}
	case bytes.HasPrefix(response, []byte("-EXECABORT")):
		t.discarded = true
		if !refused && !c.excused(since) {
			c.fail("%s is aborted, though none of its commands was refused", t.name)
		}
	case string(response) == whole:
		switch {
		case refused:
			c.fail("%s is executed, though one of its commands was refused", t.name)
		case changed && !c.pool.loose:
			c.fail("%s is executed, though its key was changed", t.name)
		case !t.executed && len(want) > 0:
			c.fail("%s is said to be executed, and is not", t.name)
		}
	default:
		c.wrong("EXEC", response)
	}
	if t.discarded && t.executed {
		c.fail("%s is executed, and was said not to be", t.name)
	}
}

// executes is a transaction as a server has it: it must be whole, and one client's.
func (s *simulation) executes(commands [][][]byte) {
	var t *simTxn
	for i, args := range commands {
		last := string(args[len(args)-1])
		name := last
		for range 2 {
			name = name[:max(strings.LastIndexByte(name, '.'), 0)]
		}
		this := s.actors.txns[name]
		if t == nil {
			t = this
		}
		if this == nil || this != t || last != fmt.Sprintf("%s.%d.%d", t.name, i+1, len(commands)) {
			s.fail("a server executes a transaction whose command %d of %d is %q", i+1, len(commands), args)
			return
		}
	}
	switch {
	case t == nil:
	case t.executed:
		s.fail("%s is executed twice", t.name)
	case t.discarded:
		s.fail("%s is executed, and was said not to be", t.name)
	case len(commands) != t.commands:
		s.fail("%s is executed with %d commands of %d", t.name, len(commands), t.commands)
	default:
		t.executed = true
	}
}
