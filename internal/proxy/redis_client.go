package proxy

import (
	"strconv"
	"strings"

	"nutmeg/internal/resp"
)

// CLIENT is about the connection of who says it. That is the one to the proxy: servers see others.

// longestName bounds what a client may have kept of itself.
const longestName = 4 << 10

var errLongName = "ERR Client names cannot have more than " + strconv.Itoa(longestName) + " bytes."

func (p *redisProtocol) clientID(c *client, _ *message) {
	w := c.worker
	w.scratch = resp.AppendInteger(w.scratch[:0], c.id())
	c.reply(w.scratch)
}

func (p *redisProtocol) clientGetName(c *client, _ *message) {
	w := c.worker
	if c.session == nil || c.session.name == "" {
		c.replyNull()
		return
	}
	w.scratch = resp.AppendBulk(w.scratch[:0], c.session.name)
	c.reply(w.scratch)
}

func (p *redisProtocol) clientSetName(c *client, m *message) {
	name := m.Arg(2)
	switch {
	case len(name) > longestName:
		p.refuse(c, "%s", errLongName)
		return
	case !validName(string(name)):
		p.refuse(c, errClientName)
		return
	case len(name) > 0 || c.session != nil:
		c.needSession().name = string(name)
	}
	c.reply(okText)
}

// clientSetInfo keeps what a client library says of itself.
func (p *redisProtocol) clientSetInfo(c *client, m *message) {
	field := strings.ToLower(printable(m.Arg(2)))
	value := m.Arg(3)
	switch {
	case field != "lib-name" && field != "lib-ver":
		p.refuse(c, "ERR Unrecognized option '%s'", printable(m.Arg(2)))
	case len(value) > longestName:
		p.refuse(c, "ERR %s cannot have more than %d bytes.", field, longestName)
	case !validName(string(value)):
		p.refuse(c, "ERR %s cannot contain spaces, newlines or special characters.", field)
	case field == "lib-name":
		c.needSession().library.name = string(value)
		c.reply(okText)
	default:
		c.needSession().library.version = string(value)
		c.reply(okText)
	}
}

// onOff reads an argument; ok is false if it is neither.
func onOff(arg []byte) (on, ok bool) {
	on = isWord(arg, "ON")
	return on, on || isWord(arg, "OFF")
}

func (p *redisProtocol) clientNoEvict(c *client, m *message) {
	on, ok := onOff(m.Arg(2))
	if !ok {
		p.refuse(c, errSyntax)
		return
	}
	c.needSession().noEvict = on
	c.reply(okText)
}

// clientNoTouch has the client's requests take connections that do not touch keys. Not all servers can.
func (p *redisProtocol) clientNoTouch(c *client, m *message) {
	on, ok := onOff(m.Arg(2))
	if !ok {
		p.refuse(c, errSyntax)
		return
	}
	key, word := c.identityKey(), "OFF"
	if key.noTouch = on; on {
		word = "ON"
	}
	p.adoptIdentity(c, key, nil, "CLIENT", "NO-TOUCH", word)
}

func (p *redisProtocol) clientGetRedir(c *client, _ *message) { c.reply([]byte(":-1\r\n")) }

func (p *redisProtocol) clientTrackingInfo(c *client, _ *message) {
	head, flags := "*6\r\n", "*1\r\n"
	if c.version() == 3 {
		head, flags = "%3\r\n", "~1\r\n"
	}
	c.reply([]byte(head + "$5\r\nflags\r\n" + flags + "$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n"))
}

func (p *redisProtocol) clientCaching(c *client, _ *message) {
	p.refuse(c, "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
}

// trackingRequest is what a CLIENT TRACKING asks for.
type trackingRequest struct {
	redirect             int64 // 0: none
	bcast, optIn, optOut bool
	prefixes             []string
}

// clientTracking refuses to tell the client when others change keys that it has read. Its reads share connections with those
// of others, so servers could not tell whose keys they are.
func (p *redisProtocol) clientTracking(c *client, m *message) {
	t, refusal := parseTracking(m)
	on, ok := onOff(m.Arg(2))
	decide := func() string {
		switch {
		case refusal != "":
			return refusal
		case !ok:
			return errSyntax
		case on:
			refusal = t.fault()
		}
		if on && refusal == "" {
			refusal = "ERR nutmeg does not run 'client|tracking' with ON: clients share its server connections, so nobody could tell whose keys " +
				"an invalidation is about; read without a cache, or connect to the server itself"
		}
		return refusal
	}
	if t.redirect == 0 {
		p.okUnless(c, decide())
		return
	}
	c.inquire(func(pool *workerPool, answer func(found)) {
		f := found{}
		pool.every(func(other *client) { f.known = f.known || other.id() == t.redirect })
		answer(f)
	}, func(all []found) []byte {
		if !anyKnown(all) {
			refusal = "ERR The client ID you want redirect to does not exist"
		}
		if text := decide(); text != "" {
			return resp.AppendError(nil, text)
		}
		return okText
	})
}

func (p *redisProtocol) okUnless(c *client, refusal string) {
	if refusal != "" {
		p.refuse(c, "%s", refusal)
		return
	}
	c.reply(okText)
}

func anyKnown(all []found) bool {
	for i := range all {
		if all[i].known {
			return true
		}
	}
	return false
}

// mostPrefixes bounds the prefixes of a request, because each is compared with each.
const mostPrefixes = 1024

// parseTracking reads the options in their order, as Redis does, so that of several faults the same is named.
func parseTracking(m *message) (t trackingRequest, refusal string) {
	for i := 3; i < m.Len(); i++ {
		more := i+1 < m.Len()
		switch option := m.Arg(i); {
		case isWord(option, "REDIRECT") && more:
			i++
			if t.redirect != 0 {
				return t, "ERR A client can only redirect to a single other client"
			}
			id, err := strconv.ParseInt(string(m.Arg(i)), 10, 64)
			if err != nil {
				return t, errNotInteger
			}
			if t.redirect = id; id == 0 {
				t.redirect = -1 // nobody's
			}
		case isWord(option, "BCAST"):
			t.bcast = true
		case isWord(option, "OPTIN"):
			t.optIn = true
		case isWord(option, "OPTOUT"):
			t.optOut = true
		case isWord(option, "NOLOOP"):
		case isWord(option, "PREFIX") && more:
			i++
			if len(t.prefixes) == mostPrefixes {
				return t, "ERR too many prefixes: at most " + strconv.Itoa(mostPrefixes)
			}
			t.prefixes = append(t.prefixes, string(m.Arg(i)))
		default:
			return t, errSyntax
		}
	}
	return t, ""
}

const errNotInteger = "ERR value is not an integer or out of range"

// fault is what is wrong with the options together, "" if nothing is.
func (t *trackingRequest) fault() string {
	switch {
	case !t.bcast && len(t.prefixes) > 0:
		return "ERR PREFIX option requires BCAST mode to be enabled"
	case t.bcast && (t.optIn || t.optOut):
		return "ERR OPTIN and OPTOUT are not compatible with BCAST"
	case t.optIn && t.optOut:
		return "ERR You can't specify both OPTIN mode and OPTOUT mode"
	}
	for i, one := range t.prefixes {
		for _, other := range t.prefixes[i+1:] {
			if strings.HasPrefix(one, other) || strings.HasPrefix(other, one) {
				return "ERR Prefix '" + one + "' overlaps with another provided prefix '" + other +
					"'. Prefixes for a single client must not overlap."
			}
		}
	}
	return ""
}
