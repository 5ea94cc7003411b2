package proxy

import (
	"fmt"
	"strings"

	"nutmeg/internal/resp"
)

// selector is an actor that changes databases and protocol versions between its requests, all in one pipeline. Each value that it writes
// is in the database that it had selected when the write was answered, and it never finds one of another.
type selector struct {
	*actor
	database int
	model    map[string]string // by database and key; absent: nobody knows
	homes    map[string]int    // by value: its database
	written  int
	rounds   int
}

func (s *simulation) selects(p *simPool, id int) {
	c := &selector{
		actor: s.newActor(p, id), database: p.database, model: map[string]string{}, homes: map[string]int{},
		rounds: 1 + s.actors.random.IntN(12),
	}
	c.then = c.round
	if p.password == "" {
		c.round()
	} else {
		c.utter()
	}
}

// round sends a few requests at once.
func (c *selector) round() {
	r := c.s.actors.random
	if c.rounds--; c.rounds < 0 || c.s.over() {
		c.exit(pickOne(r, c.Close, c.Reset))
		return
	}
	if r.IntN(3) == 0 {
		c.then = nil
		c.s.After(c.s.while(), func() {
			if !c.gone() {
				c.then = c.round
				c.burst()
			}
		})
		return
	}
	c.burst()
}

func (c *selector) burst() {
	r := c.s.actors.random
	for range 1 + r.IntN(12) {
		switch r.IntN(12) {
		case 0, 1, 2:
			c.choose(r.IntN(4))
		case 3, 4, 5:
			c.write(r.IntN(3))
		case 6, 7, 8, 9:
			c.read(r.IntN(3))
		case 10:
			c.speak(2 + r.IntN(2))
		default:
			if r.IntN(3) == 0 {
				c.startAnew()
			}
		}
	}
	if len(c.due) == 0 {
		c.read(0)
	}
	c.utter()
}

func (c *selector) choose(database int) {
	c.say("SELECT", func(response []byte) {
		if string(response) == resp.OK {
			c.database = database
			return
		}
		c.wrong("SELECT", response)
	}, fmt.Sprint(database))
}

func (c *selector) key(i int) string { return fmt.Sprintf("s%d-%d", c.id, i) }

func (c *selector) write(i int) {
	c.written++
	value := fmt.Sprintf("s%d.%d", c.id, c.written)
	c.say("SET", func(response []byte) {
		c.homes[value] = c.database
		place := fmt.Sprintf("%d/%d", c.database, i)
		if string(response) == resp.OK {
			c.model[place] = value
			return
		}
		c.model[place] = "?"
		c.wrong("SET", response)
	}, c.key(i), value)
}

func (c *selector) read(i int) {
	c.say("GET", func(response []byte) {
		want := c.model[fmt.Sprintf("%d/%d", c.database, i)]
		value, there, _ := takeBulk(response)
		switch {
		case c.isFailure(response):
		case !there && string(response) != c.null("$-1\r\n"):
			c.fail("GET in version %d is answered %.80q", c.version, response)
		case !there && want != "" && want != "?" && !c.pool.loose:
			c.fail("database %d has lost %s", c.database, want)
		case there && c.homes[string(value)] != c.database:
			c.fail("GET in database %d finds %.60q, which is of database %d", c.database, value, c.homes[string(value)])
		case there && !strings.HasPrefix(string(value), fmt.Sprintf("s%d.", c.id)):
			c.fail("GET finds %.60q, which somebody else has written", value)
		case there && want != "?" && string(value) != want && !c.pool.loose:
			c.fail("GET in database %d finds %.60q, should find %q", c.database, value, want)
		}
	}, c.key(i))
}

func (c *selector) speak(version int) {
	c.say("HELLO", func(response []byte) {
		switch {
		case c.isFailure(response):
		case !strings.Contains(string(response), "proto"):
			c.wrong("HELLO", response)
		case version == 3 && response[0] != '%', version == 2 && response[0] != '*':
			c.fail("HELLO %d is answered %.80q", version, response)
		default:
			c.version = version
		}
	}, fmt.Sprint(version))
}

// startAnew makes the connection what a new one is.
func (c *selector) startAnew() {
	c.say("RESET", func(response []byte) {
		if string(response) != "+RESET\r\n" {
			c.wrong("RESET", response)
		}
		c.version, c.database = 2, c.pool.database
	})
	if c.pool.password != "" {
		c.login()
	}
}
