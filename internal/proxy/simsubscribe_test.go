package proxy

import (
	"fmt"
	"strings"
	"time"

	"nutmeg/internal/resp"
)

// subscriber is an actor that listens to a channel, or a pattern, to which another connection of it publishes. It gets messages in order,
// each once, and only between the confirmations that it is subscribed and that it is not any more. It gets all of them, or its
// connection ends.
type subscriber struct {
	*actor
	partner *actor
	prefix  string // of its channels
	pattern bool
	word    string // of messages
	name    string // what it subscribes to
	state   subscriberState
	told    int64 // when that began

	published []*publication
	heard     int // by number: the last one
	rounds    int
}

type subscriberState uint8

const (
	listensNot subscriberState = iota
	subscribing
	listens
	unsubscribing
)

// publication is one message.
type publication struct {
	sentAt    int64
	answered  bool // the server has said that it is out
	failed    bool // it may be out later, behind others
	due       bool // the subscriber has to get it
	delivered bool
}

func (s *simulation) subscribes(p *simPool, id int) {
	r := s.actors.random
	c := &subscriber{actor: s.newActor(p, id), partner: s.newActor(p, id+1), prefix: fmt.Sprintf("n%d-", id), pattern: r.IntN(3) == 0, rounds: 1 + r.IntN(6)}
	c.word, c.name = "message", c.prefix+"0"
	if c.pattern {
		c.word, c.name = "pmessage", c.prefix+"*"
	}
	c.hears = c.message
	c.partner.utter()
	c.then = c.round
	if r.IntN(3) == 0 {
		c.say("HELLO", func(response []byte) {
			if response[0] == '%' {
				c.version = 3
			} else {
				c.wrong("HELLO", response)
			}
		}, "3")
	}
	if len(c.due) == 0 {
		c.round()
	} else {
		c.utter()
	}
	s.After(0, c.publish)
}

func (c *subscriber) publish() {
	r := c.s.actors.random
	if c.partner.gone() || c.gone() || c.s.over() {
		return
	}
	for range r.IntN(4) {
		p := &publication{sentAt: int64(c.s.Now())}
		c.published = append(c.published, p)
		channel := c.prefix + "0"
		if c.pattern {
			channel = c.prefix + fmt.Sprint(r.IntN(3))
		}
		was := c.state == listens
		c.partner.say("PUBLISH", func(response []byte) {
			if response[0] != ':' {
				c.partner.wrong("PUBLISH", response)
				p.failed = true
				return
			}
			p.answered = true
			p.due = was && c.state == listens && c.told <= p.sentAt
		}, channel, fmt.Sprint(len(c.published)))
	}
	c.partner.utter()
	if c.version == 3 && c.state == listens && r.IntN(2) == 0 {
		c.ask()
		c.utter()
	}
	c.s.After(time.Duration(r.Int64N(int64(15*time.Millisecond))), c.publish)
}

// ask has the subscriber ask for a value, within which no message may come. It is not there before its partner has set it, nor
// after the server has lost it.
func (c *subscriber) ask() {
	value := strings.Repeat("message", 400)
	c.say("GET", func(response []byte) {
		if got, _, ok := cutBulk(response); string(response) != c.null("") && (!ok || string(got) != value) {
			c.wrong("GET", response)
		}
	}, c.prefix+"value")
	if !c.partner.gone() {
		c.partner.say("SET", func(response []byte) {
			if string(response) != resp.OK {
				c.partner.wrong("SET", response)
			}
		}, c.prefix+"value", value)
		c.partner.utter()
	}
}

func (c *subscriber) enter(state subscriberState) { c.state, c.told = state, int64(c.s.Now()) }

func (c *subscriber) round() {
	r := c.s.actors.random
	if c.rounds--; c.rounds < 0 || c.s.over() {
		c.exit(pickOne(r, c.Close, c.Reset))
		return
	}
	c.enter(subscribing)
	word := "subscribe"
	if c.pattern {
		word = "psubscribe"
	}
	c.then = nil
	c.say(strings.ToUpper(word), func(response []byte) {
		if c.confirms(response, word, 1) {
			c.enter(listens)
			c.s.After(c.s.while(), c.end)
			return
		}
		c.enter(listensNot)
		c.s.After(time.Duration(r.Int64N(int64(20*time.Millisecond))), func() {
			if !c.gone() {
				c.round()
			}
		})
	}, c.name)
	c.utter()
}

// end unsubscribes: what was published before has come then.
func (c *subscriber) end() {
	r := c.s.actors.random
	if c.gone() {
		return
	}
	if r.IntN(6) == 0 {
		c.exit(pickOne(r, c.Close, c.Reset))
		return
	}
	c.enter(unsubscribing)
	word := "unsubscribe"
	if c.pattern {
		word = "punsubscribe"
	}
	c.say(strings.ToUpper(word), func(response []byte) {
		if !c.confirms(response, word, 0) {
			return // it is going to be closed
		}
		c.enter(listensNot)
		for i, p := range c.published {
			if p.due && !p.delivered {
				c.fail("message %d of %s was published while it listened, and has not come", i+1, c.name)
			}
			p.due = false
		}
		c.then = c.round
	}, c.name)
	if r.IntN(2) == 0 {
		c.say("GET", func(response []byte) {
			if string(response) != c.null("$-1\r\n") {
				c.wrong("GET", response)
			}
		}, c.prefix)
	}
	c.utter()
}

func (c *subscriber) confirms(response []byte, word string, count int) bool {
	want := fmt.Sprintf("3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:%d\r\n", len(word), word, len(c.name), c.name, count)
	if string(response[1:]) != want {
		c.wrong(word, response)
		return false
	}
	return true
}

// message takes what is a message.
func (c *subscriber) message(response []byte) bool {
	if response[0] != '*' && response[0] != '>' {
		return false
	}
	word, rest, _ := cutBulk(response)
	if !strings.HasSuffix(string(word), "message") {
		return false
	}
	channel, rest, _ := cutBulk(rest)
	if c.pattern {
		if string(channel) != c.name {
			c.fail("a message of pattern %.60q", channel)
		}
		channel, rest, _ = cutBulk(rest)
	}
	text, _, _ := cutBulk(rest)
	number, _ := leadingNumber(text)
	switch {
	case (response[0] == '>') != (c.version == 3) || string(word) != c.word || !strings.HasPrefix(string(channel), c.prefix):
		c.fail("a message of somebody else: %.80q", response)
	case c.state == listensNot || c.state == subscribing:
		c.fail("message %d though it is not subscribed", number)
	case number < 1 || number > len(c.published):
		c.fail("a message that was not published: %.80q", response)
	case c.published[number-1].delivered:
		c.fail("message %d twice", number)
	case c.published[number-1].failed:
		c.published[number-1].delivered = true
	case number < c.heard && !c.pattern:
		c.fail("message %d behind message %d", number, c.heard)
	default:
		c.published[number-1].delivered = true
		c.heard = number
	}
	return true
}
