package proxy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"nutmeg/internal/resp"
)

// clientLine is a line of CLIENT LIST.
type clientLine struct {
	id   int64
	text []byte
}

const lineNote = "fd is -1, cmd is that of who asks only, what the proxy does not have is 0"

// line describes the client as Redis would. Cmd is what it says now, "" for one that does not.
func (c *client) line(cmd string) clientLine {
	w := c.worker
	s := c.session
	if s == nil {
		s = &session{}
	}
	key, multi := c.identityKey(), -1
	if s.transaction.open {
		multi = s.transaction.length
	}
	if cmd == "" {
		cmd = "NULL"
	}
	input, events := c.unparsed.size(), "r"
	if c.cut != nil {
		input += c.cut.rope.Len()
	}
	if c.conn.Unsent() > 0 {
		events = "rw"
	}
	age := (w.loop.Now() - w.proxy.arrivals.of(c.serial)) / 1e9
	idle := min((w.loop.Now()-c.lastActive)/1e9, age)
	text := fmt.Appendf(nil, "id=%d addr=%s laddr=%s fd=-1 name=%s age=%d idle=%d flags=%s db=%d sub=%d psub=%d ssub=%d multi=%d "+
		"qbuf=%d qbuf-free=0 argv-mem=0 multi-mem=%d rbs=0 rbp=0 obl=%d oll=0 omem=%d tot-mem=%d events=%s cmd=%s user=%s redir=-1 resp=%d",
		c.id(), c.address(), c.localAddress(), s.name, age, idle, c.flags(), key.database,
		len(s.subscriptions.names[scopeChannel]), len(s.subscriptions.names[scopePattern]), len(s.subscriptions.names[scopeShard]),
		multi, input, s.transaction.early.Len(), c.conn.Unsent(), c.collected, int(unsafe.Sizeof(*c))+c.held+c.conn.Unsent()+input,
		events, cmd, key.userName(), key.protocol)
	if s.library != (library{}) {
		text = fmt.Appendf(text, " lib-name=%s lib-ver=%s", s.library.name, s.library.version)
	}
	return clientLine{c.id(), append(text, '\n')}
}

// address is where the client is, in Redis's form.
func (c *client) address() string {
	if path := c.pool.conf.Listen.Address.Path; path != "" {
		return path + ":0"
	}
	return c.conn.Peer()
}

// localAddress is where the pool listens, in Redis's form.
func (c *client) localAddress() string {
	at := c.pool.conf.Listen.Address
	if at.Path != "" {
		return at.Path + ":0"
	}
	return listenAddress(at).String()
}

// flags are Redis's letters for what a client is doing.
func (c *client) flags() string {
	var flags []byte
	if s := c.session; s != nil {
		add := func(is bool, letter byte) {
			if is {
				flags = append(flags, letter)
			}
		}
		add(s.monitoring, 'O')
		add(s.subscriptions.any(), 'P')
		add(s.transaction.open, 'x')
		add(s.blocked, 'b')
		add(s.transaction.broken, 'd')
		add(c.leaving, 'c')
		add(c.pool.conf.Listen.Address.Path != "", 'U')
		add(s.noEvict, 'e')
		add(s.identity != nil && s.identity.noTouch, 'T')
	} else if c.pool.conf.Listen.Address.Path != "" {
		return "U"
	}
	if len(flags) == 0 {
		return "N"
	}
	return string(flags)
}

// kind is the type by which CLIENT LIST and CLIENT KILL know a client.
func (c *client) kind() string {
	if c.subscribed() {
		return "pubsub"
	}
	return "normal"
}

// kindNamed returns the type of a name; ok is false if there is none of that name.
func kindNamed(name []byte) (kind string, ok bool) {
	kind = strings.ToLower(string(name))
	if kind == "slave" {
		kind = "replica"
	}
	return kind, slices.Contains([]string{"normal", "replica", "master", "pubsub"}, kind)
}

// clientFilter says which clients are meant. Zero values are no condition.
type clientFilter struct {
	ids                        []int64
	address, local, user, kind string
	but                        int64 // the id of one that is not meant
}

func (f *clientFilter) matches(c *client) bool {
	return (f.ids == nil || slices.Contains(f.ids, c.id())) && (f.address == "" || f.address == c.address()) &&
		(f.local == "" || f.local == c.localAddress()) && f.meansUser(c.identityKey().userName()) &&
		(f.kind == "" || f.kind == c.kind()) && (f.but == 0 || f.but != c.id())
}

func (f *clientFilter) meansUser(name string) bool { return f.user == "" || f.user == name }

// appendVerbatim appends a text that is meant to be read by people.
func (c *client) appendVerbatim(dst, text []byte) []byte {
	if c.version() != 3 {
		return resp.AppendBulk(dst, text)
	}
	dst = append(dst, '=')
	dst = strconv.AppendInt(dst, int64(len(text)+4), 10)
	dst = append(append(dst, "\r\ntxt:"...), text...)
	return append(dst, "\r\n"...)
}

func (p *redisProtocol) clientInfo(c *client, _ *message) {
	c.reply(c.appendVerbatim(nil, c.line("client|info").text))
}

func (p *redisProtocol) clientList(c *client, m *message) {
	f, refusal := parseClientList(m)
	if refusal != "" {
		p.refuse(c, "%s", refusal)
		return
	}
	c.inquire(func(pool *workerPool, answer func(found)) {
		var here found
		pool.every(func(other *client) {
			cmd := ""
			if other == c {
				cmd = "client|list"
			}
			if f.matches(other) {
				here.lines = append(here.lines, other.line(cmd))
			}
		})
		answer(here)
	}, func(all []found) []byte {
		return c.appendVerbatim(nil, joinLines(all, f.ids))
	})
}

// joinLines puts the lines of all workers in order: that of the ids, if some were asked for, else that in which Redis would have them.
func joinLines(all []found, ids []int64) (text []byte) {
	var lines []clientLine
	for i := range all {
		lines = append(lines, all[i].lines...)
	}
	slices.SortFunc(lines, func(a, b clientLine) int { return int(max(min(a.id-b.id, 1), -1)) })
	if ids == nil {
		for i := range lines {
			text = append(text, lines[i].text...)
		}
		return text
	}
	for _, id := range ids {
		if i, is := slices.BinarySearchFunc(lines, id, func(l clientLine, id int64) int { return int(max(min(l.id-id, 1), -1)) }); is {
			text = append(text, lines[i].text...)
		}
	}
	return text
}

// mostFilterIDs bounds how many clients a request can name: each is looked for among all, and as often as it is named there is a line.
const mostFilterIDs = 4 << 10

func parseClientList(m *message) (f clientFilter, refusal string) {
	n := m.Len()
	switch {
	case n == 2:
	case n == 4 && isWord(m.Arg(2), "TYPE"):
		kind, ok := kindNamed(m.Arg(3))
		if !ok {
			return f, errClientType(m.Arg(3))
		}
		f.kind = kind
	case n-3 > mostFilterIDs && isWord(m.Arg(2), "ID"):
		return f, "ERR too many client IDs in a request: at most " + strconv.Itoa(mostFilterIDs)
	case n > 3 && isWord(m.Arg(2), "ID"):
		f.ids = make([]int64, 0, n-3)
		for i := 3; i < n; i++ {
			id, err := strconv.ParseInt(string(m.Arg(i)), 10, 64)
			if err != nil {
				return f, "ERR Invalid client ID"
			}
			f.ids = append(f.ids, id)
		}
	default:
		return f, errSyntax
	}
	return f, ""
}

func errClientType(name []byte) string { return "ERR Unknown client type '" + printable(name) + "'" }

// clientKill closes clients: one by its address, or all that options are true of.
func (p *redisProtocol) clientKill(c *client, m *message) {
	single := m.Len() == 3
	f, refusal := parseClientKill(c, m)
	if refusal != "" {
		p.refuse(c, "%s", refusal)
		return
	}
	own := c.id()
	c.inquire(func(pool *workerPool, answer func(found)) {
		var here found
		pool.every(func(other *client) {
			here.known = here.known || (&clientFilter{user: f.user}).matches(other)
			switch {
			case !f.matches(other):
				return
			case other.id() == own:
				here.itself = true // behind the answer
			default:
				other.kill()
			}
			here.count++
		})
		answer(here)
	}, func(all []found) []byte {
		count := int64(0)
		for i := range all {
			if count += all[i].count; all[i].itself && !c.gone {
				c.leaving = true
			}
		}
		switch {
		case f.user != "" && f.user != "default" && !anyKnown(all):
			return resp.AppendError(nil, "ERR No such user '"+printable([]byte(strings.Trim(f.user, "\x00")))+"'")
		case !single:
			return resp.AppendInteger(nil, count)
		case count == 0:
			return resp.AppendError(nil, "ERR No such client")
		}
		return okText
	})
}

// kill closes the client at the end of the batch.
func (c *client) kill() {
	c.overflowed = true
	c.callBack()
}

// condition is a value of a filter: an empty one is true of nobody, not of all.
func condition(value []byte) string {
	if len(value) == 0 {
		return "\x00"
	}
	return string(value)
}

func parseClientKill(c *client, m *message) (f clientFilter, refusal string) {
	if m.Len() == 3 {
		f.address = condition(m.Arg(2))
		return f, ""
	}
	f.but = c.id()
	for i := 2; i < m.Len(); i += 2 {
		if i+1 == m.Len() {
			return f, errSyntax
		}
		option, value := strings.ToUpper(string(m.Arg(i))), m.Arg(i+1)
		switch option {
		case "ID":
			id, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil || id < 1 {
				return f, "ERR client-id should be greater than 0"
			}
			f.ids = []int64{id}
		case "TYPE":
			kind, ok := kindNamed(value)
			if !ok {
				return f, errClientType(value)
			}
			f.kind = kind
		case "ADDR":
			f.address = condition(value)
		case "LADDR":
			f.local = condition(value)
		case "USER":
			f.user = condition(value)
		case "SKIPME":
			switch {
			case isWord(value, "YES"):
				f.but = c.id()
			case isWord(value, "NO"):
				f.but = 0
			default:
				return f, errSyntax
			}
		default:
			return f, errSyntax
		}
	}
	return f, ""
}
