package proxy

import (
	"bytes"
	"crypto/subtle"
	"slices"
	"strconv"
	"strings"

	"nutmeg/internal/resp"
)

// AUTH, SELECT and HELLO change a client's identity: which lanes its requests take. Whether servers accept the new one is
// asked of one of them, on a connection that begins with it; the client goes on when the answer is there.

// nobody is the user of an AUTH that names none.
const nobody = "\x00"

// greeting is what a connection with an identity begins with.
func (p *redisProtocol) greeting(id *identity, dedicated bool) ([]byte, []greeting) {
	hello, steps := p.hello, p.steps
	if id != nil {
		hello, steps = p.greetingFor(id)
	}
	if dedicated {
		hello = append(slices.Clip(hello), p.command(nil, "CLIENT", "ID")...)
		steps = append(slices.Clip(steps), greeting{name: "CLIENT ID", id: true})
	}
	return hello, steps
}

func (p *redisProtocol) greetingFor(id *identity) ([]byte, []greeting) {
	var hello []byte
	var steps []greeting
	say := func(essential bool, words ...string) {
		hello = p.command(hello, words...)
		steps = append(steps, greeting{name: words[0], essential: essential})
	}
	user, password := id.user, id.password
	if user == "" {
		user, password = nobody, p.password
	}
	logsIn := id.user != "" || password != ""
	switch {
	case id.protocol == 3 && !logsIn:
		say(true, "HELLO", "3")
	case id.protocol == 3 && user == nobody:
		say(true, "HELLO", "3", "AUTH", "default", password)
	case id.protocol == 3:
		say(true, "HELLO", "3", "AUTH", user, password)
	case logsIn && user == nobody:
		say(id.user != "", "AUTH", password) // servers before version 6 know no users
	case logsIn:
		say(true, "AUTH", user, password)
	}
	if id.noTouch {
		say(false, "CLIENT", "NO-TOUCH", "ON")
	}
	if id.database != 0 {
		say(true, "SELECT", strconv.Itoa(id.database))
	}
	return hello, steps
}

// ask sends a request of a client to some server with an identity, and has the errand do the rest. If a server cannot be asked,
// the next one is: a dead one must not keep clients out. A client that watches keys has its own connection asked.
func (p *redisProtocol) ask(c *client, id *identity, do errand, words ...string) {
	w := c.worker
	request := p.command(nil, words...)
	next, tried := 0, 0
	if sv := c.pool.pick(placeholder); sv != nil {
		next = sv.index
	}
	r := w.newRequest()
	own := c.ownConn()
	send := func() {
		conn := own
		if conn == nil {
			servers := c.pool.servers // a reload may have come since the last one was asked
			conn = servers[next%len(servers)].connOf(c, id)
		}
		conn.append(request)
		conn.enqueue(r, len(request))
		next, tried = next+1, tried+1
	}
	r.errand = func(response []byte, cause *failure) ([]byte, bool) {
		servers := c.pool.servers
		if cause != nil && !cause.verbatim && own == nil && tried < len(servers) && !servers[0].ended && !c.gone {
			send()
			return nil, true
		}
		if _, refused := resp.ErrorText(response); !refused && own != nil && !own.dead {
			own.identity = id
		}
		return do(response, cause)
	}
	c.accept(r, len(request))
	send()
	c.alone = true
}

// adoptIdentity gives the client another identity as soon as a server has accepted it. Words are the request to ask one with; then,
// which may be nil, is done when it has, and returns what the client gets instead of the server's response, nil for that.
func (p *redisProtocol) adoptIdentity(c *client, key identityKey, then func(response []byte) []byte, words ...string) {
	if words[0] != "SELECT" && c.ownConn() != nil && key != c.identityKey() {
		p.refuse(c, "ERR '%s' while keys are watched is not supported by nutmeg; EXEC or UNWATCH first", words[0])
		return
	}
	id, ok := c.pool.identify(key)
	if !ok {
		p.refuse(c, "ERR too many different databases and users are in use at a time")
		return
	}
	p.ask(c, id, func(response []byte, cause *failure) ([]byte, bool) {
		if _, isError := resp.ErrorText(response); isError || cause != nil || c.gone {
			c.pool.forgo(id)
			return nil, false
		}
		if id != nil {
			id.proven = true
		}
		c.become(id)
		if then == nil {
			return nil, false
		}
		return then(response), false
	}, words...)
}

// auth checks who the client is. The pool's password, which is also the one for its servers, is the default user's; all else is
// for the servers to know.
func (p *redisProtocol) auth(c *client, m *message) {
	if m.Len() > 3 {
		p.refuse(c, "ERR syntax error")
		return
	}
	user := nobody
	if m.Len() == 3 {
		user = string(m.Arg(1))
	}
	p.login(c, user, string(m.Arg(m.Len()-1)), c.identityKey(), nil, "")
}

// longestLogin bounds what is kept of a user for as long as its lane is. A server that wants no password takes any.
const longestLogin = 16 << 10

// login gives the client a user, and the rest of the key. Then is as for adoptIdentity; hello is "" for AUTH, else the protocol version
// of a HELLO.
func (p *redisProtocol) login(c *client, user, password string, key identityKey, then func([]byte) []byte, hello string) {
	if (user == "default" || user == nobody) && p.password != "" {
		if subtle.ConstantTimeCompare([]byte(password), []byte(p.password)) != 1 {
			c.reply([]byte(resp.WrongPassword))
			return
		}
		c.authenticated = true
		key.user, key.password = "", ""
		if hello == "" && key == c.identityKey() {
			c.reply([]byte(resp.OK))
			return
		}
		if hello == "" {
			p.adoptIdentity(c, key, func([]byte) []byte { return []byte(resp.OK) }, "PING")
		} else {
			p.adoptIdentity(c, key, then, "HELLO", hello)
		}
		return
	}
	if len(user)+len(password) > longestLogin {
		p.refuse(c, "ERR the name and the password of a user cannot have more than %d bytes", longestLogin)
		return
	}
	key.user, key.password = user, password
	words := []string{"AUTH", user, password}
	switch {
	case hello != "":
		words = []string{"HELLO", hello, "AUTH", user, password} // the connection may have been open before
	case user == nobody:
		words = []string{"AUTH", password}
	}
	p.adoptIdentity(c, key, func(response []byte) []byte {
		c.authenticated = true
		if then == nil {
			return nil
		}
		return then(response)
	}, words...)
}

// strange reports whether the client has still to give a password. A reload may have taken the pool's away.
func (p *redisProtocol) strange(c *client) bool { return !c.authenticated && p.password != "" }

// selectDatabase changes the database.
func (p *redisProtocol) selectDatabase(c *client, m *message) {
	n, err := strconv.Atoi(string(m.Arg(1)))
	switch {
	case err != nil || n > maxDatabase || n < -maxDatabase:
		p.refuse(c, "ERR value is not an integer or out of range")
		return
	case n < 0:
		p.refuse(c, "ERR DB index is out of range")
		return
	}
	key := c.identityKey()
	if key.database == n {
		c.reply([]byte(resp.OK))
		return
	}
	key.database = n
	known := c.pool.identities[key]
	proven := key == c.pool.ownIdentity() || known != nil && known.proven
	if !proven || c.ownConn() != nil {
		p.adoptIdentity(c, key, nil, "SELECT", strconv.Itoa(n))
		return
	}
	if id, ok := c.pool.identify(key); ok {
		c.become(id)
		c.reply([]byte(resp.OK))
	}
}

// maxDatabase is the largest number that Redis takes for a database's.
const maxDatabase = 1<<31 - 1

// hello is what a HELLO asks for.
type helloRequest struct {
	version        int // 0: none
	auth, named    bool
	user, password string
	name           string
}

// hello changes the protocol version, and whatever else its options say.
func (p *redisProtocol) hello3(c *client, m *message) {
	h, refusal := parseHello(m)
	if refusal != "" {
		p.refuse(c, "%s", refusal)
		return
	}
	if !h.auth && p.strange(c) {
		p.refuse(c, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> "+
			"option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	key := c.identityKey()
	if h.version != 0 {
		key.protocol = h.version
	}
	if key.protocol != c.version() && c.session != nil && len(c.session.subscriptions.ears) > 0 {
		p.refuse(c, "ERR 'HELLO %d' while subscribed is not supported by nutmeg; UNSUBSCRIBE first", key.protocol)
		return
	}
	version := strconv.Itoa(key.protocol)
	then := func(response []byte) []byte {
		if h.named {
			c.needSession().name = h.name
		}
		return withClientID(response, c.id())
	}
	if h.auth {
		p.login(c, h.user, h.password, key, then, version)
		return
	}
	p.adoptIdentity(c, key, then, "HELLO", version)
}

func parseHello(m *message) (h helloRequest, refusal string) {
	if m.Len() == 1 {
		return h, ""
	}
	version, err := strconv.ParseInt(string(m.Arg(1)), 10, 64)
	switch {
	case err != nil:
		return h, "ERR Protocol version is not an integer or out of range"
	case version != 2 && version != 3:
		return h, "NOPROTO unsupported protocol version"
	}
	h.version = int(version)
	for i := 2; i < m.Len(); i++ {
		left := m.Len() - i - 1
		switch option := string(m.Arg(i)); {
		case strings.EqualFold(option, "AUTH") && left >= 2:
			h.auth, h.user, h.password = true, string(m.Arg(i+1)), string(m.Arg(i+2))
			i += 2
		case strings.EqualFold(option, "SETNAME") && left >= 1:
			h.named, h.name = true, string(m.Arg(i+1))
			switch {
			case len(h.name) > longestName:
				return h, errLongName
			case !validName(h.name):
				return h, errClientName
			}
			i++
		default:
			return h, "ERR Syntax error in HELLO option '" + option + "'"
		}
	}
	return h, ""
}

// errClientName is Redis's text for a name that would break the lines of CLIENT LIST.
const errClientName = "ERR Client names cannot contain spaces, newlines or special characters."

// validName reports whether CLIENT LIST could show a name.
func validName(name string) bool {
	for _, b := range []byte(name) {
		if b < '!' || b > '~' {
			return false
		}
	}
	return true
}

// withClientID puts the client's id in the place of that of the connection, in a response to HELLO.
func withClientID(response []byte, id int64) []byte {
	field := []byte("$2\r\nid\r\n:")
	at := bytes.Index(response, field)
	if at < 0 {
		return nil
	}
	at += len(field)
	end := bytes.IndexByte(response[at:], '\r')
	if end < 0 {
		return nil
	}
	changed := append([]byte(nil), response[:at]...)
	changed = strconv.AppendInt(changed, id, 10)
	return append(changed, response[at+end:]...)
}

// id tells the client from all others of the process.
func (c *client) id() int64 {
	if c.session != nil && c.session.id != 0 {
		return c.session.id
	}
	return int64(c.serial)
}

// reset makes the client what it was when it came.
func (p *redisProtocol) reset(c *client, m *message) {
	if c.requests > 0 {
		c.hold(m)
		return
	}
	if s := c.session; s != nil {
		s.end(c)
		c.session = nil
		if s.id != 0 {
			c.session = &session{id: s.id}
		}
	}
	c.authenticated = p.password == ""
	c.reply([]byte("+RESET\r\n"))
}
