package plan

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"nutmeg/internal/config"
)

// maxMoves is how many pairs of servers the text names; the rest is summed up.
const maxMoves = 10

const (
	newProcess  = " (needs a new process; a reload keeps the old value)"
	disconnects = "its clients are closed when they have their responses"
)

// String describes the plan in lines for people, each ended by a newline.
func (p *Plan) String() string {
	if p.Empty() {
		return "Nothing changes.\n"
	}
	var t text
	if len(p.Process) > 0 {
		t.line("process:")
		t.settings(p.Process)
	}
	for _, pool := range p.Removed {
		t.line("pool %s is removed; %s", shown(pool.Name), disconnects)
	}
	for _, pool := range p.Added {
		t.line("pool %s is added: %v, %s, %s", shown(pool.Name), pool.Protocol, count(len(pool.Servers), "server"), pool.Routing.Distribution)
	}
	for i := range p.Changed {
		t.pool(&p.Changed[i])
	}
	t.listeners(p.Listeners)
	return t.String()
}

type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) {
	fmt.Fprintf(t, format, args...)
	t.WriteByte('\n')
}

func (t *text) pool(p *Pool) {
	t.line("pool %s changes:", shown(p.Name))
	t.settings(p.Settings)
	for _, s := range p.Servers {
		t.server(s)
	}
	for i := range p.Keys {
		t.line("  %s", &p.Keys[i])
	}
}

func (t *text) settings(list []Change) {
	for _, c := range list {
		suffix := ""
		switch {
		case c.NewProcess:
			suffix = newProcess
		case c.Disconnects:
			suffix = " (" + disconnects + ")"
		}
		t.line("  %s: %s -> %s%s", c.Key, value(c.Old), value(c.New), suffix)
	}
}

func (t *text) server(s Server) {
	name := shown(s.Name)
	switch {
	case s.Old == nil:
		t.line("  server %s is added: %s, weight %d", name, shown(s.New.Address.String()), s.New.Weight)
		return
	case s.New == nil:
		t.line("  server %s is removed: %s", name, shown(s.Old.Address.String()))
		return
	}
	if s.Old.Address != s.New.Address {
		t.line("  server %s: address %s -> %s; keys stay with the name", name, shown(s.Old.Address.String()), shown(s.New.Address.String()))
	}
	if s.Old.Weight != s.New.Weight {
		t.line("  server %s: weight %d -> %d", name, s.Old.Weight, s.New.Weight)
	}
}

func (t *text) listeners(list []Listener) {
	if len(list) > 0 {
		t.line("listeners:")
	}
	for _, l := range list {
		address := listenText(l.Address)
		switch {
		case l.New == "":
			t.line("  %s is closed (pool %s)", address, shown(l.Old))
		case l.Old == "":
			t.line("  %s is opened (pool %s)", address, shown(l.New))
		case l.NewProcess:
			t.line("  %s passes from pool %s to pool %s; another reuseport%s", address, shown(l.Old), shown(l.New), newProcess)
		default:
			t.line("  %s passes from pool %s to pool %s", address, shown(l.Old), shown(l.New))
		}
	}
}

// String says in one line, without a newline, which share of the keys moves.
func (k *Keys) String() string {
	what := "keys"
	if k.Tag != "" {
		what = "keys with a hash tag in " + shown(k.Tag)
	}
	switch {
	case k.Homeless:
		return "keys have no home: with random any server may have any key"
	case k.Moved == 0:
		return "no " + what + " move"
	}
	var moves []string
	for i, m := range k.Moves {
		if i == maxMoves {
			left := k.Moved
			for _, m := range k.Moves[:i] {
				left -= m.Keys
			}
			moves = append(moves, fmt.Sprintf("between %s %s", count(len(k.Moves)-i, "other pair"), k.share(left)))
			break
		}
		moves = append(moves, fmt.Sprintf("%s -> %s %s", shown(m.From), shown(m.To), k.share(m.Keys)))
	}
	return k.share(k.Moved) + " of " + what + " move: " + strings.Join(moves, ", ")
}

// share is a part of the sample in percent. What is rounded away is still not nothing, and all but one key not everything.
func (k *Keys) share(keys int) string {
	percent := 100 * float64(keys) / float64(k.Sample)
	switch {
	case percent < 0.05:
		return "less than 0.1 %"
	case keys < k.Sample && percent >= 99.95:
		return "more than 99.9 %"
	}
	return fmt.Sprintf("%.1f %%", percent)
}

// value is a setting's value in a change.
func value(s string) string {
	if s == "" {
		return "(not set)"
	}
	return shown(s)
}

// shown returns a name as it is, or quoted if it would garble the line.
func shown(name string) string {
	odd := func(c rune) bool {
		return c != ' ' && !unicode.IsGraphic(c) || c == unicode.ReplacementChar || c == '"'
	}
	if name == "" || strings.ContainsFunc(name, odd) || strings.Trim(name, " ") != name {
		return strconv.Quote(name)
	}
	return name
}

// listenText is an address as a file holds it.
func listenText(a config.Address) string {
	if a.Network == "tcp" && a.Host == "" {
		return "*" + a.String()
	}
	return shown(a.String())
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
