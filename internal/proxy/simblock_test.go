package proxy

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// blocker is an actor that waits for elements which another connection of it pushes, and leaves at any moment. Each element is delivered
// once, or still in its list, unless its client left, or a connection broke, while it was on its way.
type blocker struct {
	*actor
	partner *actor
	key     string
	pushed  int
	rounds  int
}

// element is an element of a list.
type element struct {
	owner    *blocker
	poppedAt int64 // -1: it is in its list
	received bool
}

func (s *simulation) blocks(p *simPool, id int) {
	c := &blocker{actor: s.newActor(p, id), partner: s.newActor(p, id+1), rounds: 1 + s.actors.random.IntN(15)}
	c.key = fmt.Sprintf("l%d", id)
	c.partner.utter()
	c.then = c.round
	if p.password == "" {
		c.round()
	} else {
		c.utter()
	}
	c.s.After(0, c.push)
}

// push pushes a few elements now and then, also when nobody waits for them any more.
func (c *blocker) push() {
	r := c.s.actors.random
	if c.partner.gone() || c.s.over() {
		return
	}
	for range r.IntN(3) {
		c.pushed++
		name := fmt.Sprintf("e%d.%d", c.id, c.pushed)
		c.s.actors.heap[name] = &element{owner: c, poppedAt: -1}
		c.partner.say("RPUSH", func(response []byte) {
			if response[0] != ':' {
				c.partner.wrong("RPUSH", response)
			}
		}, c.key, name)
	}
	c.partner.utter()
	c.s.After(c.s.while(), c.push)
}

func (c *blocker) round() {
	r := c.s.actors.random
	if c.rounds--; c.rounds < 0 || c.s.over() {
		c.exit(pickOne(r, c.Close, c.Reset))
		return
	}
	if r.IntN(3) == 0 {
		c.say("GET", func(response []byte) {
			if string(response) != "$-1\r\n" {
				c.wrong("GET", response)
			}
		}, c.key+"x")
	}
	seconds := pickOne(r, "0", "0.02", "0.1", "0.3")
	c.say("BLPOP", c.popped, c.key, seconds)
	if r.IntN(4) == 0 {
		c.say("PING", func(response []byte) {
			if string(response) != "+PONG\r\n" {
				c.wrong("PING", response)
			}
		})
	}
	c.utter()
	switch r.IntN(10) {
	case 0, 1:
		c.exit(pickOne(r, c.Close, c.CloseWrite, c.CloseWrite)) // behind what it has sent
	case 2, 3:
		c.s.After(c.s.while(), func() { c.exit(pickOne(r, c.Close, c.Reset)) })
	}
}

// popped checks what BLPOP is answered with.
func (c *blocker) popped(response []byte) {
	switch {
	case string(response) == "*-1\r\n":
		return
	case response[0] == '-':
		c.wrong("BLPOP", response)
		return
	}
	key, rest, _ := cutBulk(response)
	name, _, _ := cutBulk(rest)
	e := c.s.actors.heap[string(name)]
	switch {
	case !bytes.HasPrefix(response, []byte("*2\r\n")) || string(key) != c.key || e == nil || e.owner != c:
		c.fail("BLPOP of %s is answered %.80q", c.key, response)
	case e.poppedAt < 0:
		c.fail("%s is delivered, and still in its list", name)
	case e.received:
		c.fail("%s is delivered twice", name)
	default:
		e.received = true
	}
}

// crossing is for how long a server may not know that a client has left.
const crossing = 30 * time.Millisecond

// popped is a server's word that an element leaves its list.
func (s *simulation) popped(name string) {
	e := s.actors.heap[name]
	switch {
	case e == nil:
		s.fail("a server pops %q, which nobody has pushed", name)
	case e.poppedAt >= 0:
		s.fail("%s is popped twice", name)
	default:
		e.poppedAt = int64(s.Now())
		if c := e.owner; c.gone() && e.poppedAt > c.goneAt+int64(crossing) && !c.excused(c.goneAt-int64(crossing)) {
			s.fail("%s is popped %v after its client has left", name, time.Duration(e.poppedAt-c.goneAt))
		}
	}
}

// checkElements accounts for all elements when the actors have left.
func (s *simulation) checkElements() {
	var names []string
	for name := range s.actors.heap {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e := s.actors.heap[name]
		if e.poppedAt < 0 || e.received || e.owner.goneAt < e.poppedAt+int64(crossing) {
			continue
		}
		if !e.owner.excused(e.poppedAt - int64(crossing)) {
			s.fail("%s was popped at %v, and its client, which left at %v, has not got it", name, time.Duration(e.poppedAt), time.Duration(e.owner.goneAt))
		}
	}
	clear(s.actors.heap)
}
