package conformance

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"nutmeg/internal/testkit"
)

// target is a place to run cases at: a server, or a pool of the proxy, with the servers behind it.
type target struct {
	name      string
	addr      string
	refusals  []*regexp.Regexp   // errors by which it says that it does not do something; nil for a server
	password  string             // of the servers
	processes []*testkit.Process // the servers
	controls  []*control         // connections to them, made with the first case
}

// run is one run of a case at a target.
type run struct {
	target   *target
	c        *testCase
	conns    [9]*conn
	vars     map[string][]byte
	outcomes []outcome
	refused  bool // the proxy has refused something, so what is waited for may never come
}

// run starts from empty servers and returns one outcome for each reply that the case reads, whatever happens.
func (t *target) run(c *testCase) ([]outcome, error) {
	if err := t.reset(c); err != nil {
		return nil, fmt.Errorf("%s: cannot prepare the server: %w", t.name, err)
	}
	r := &run{target: t, c: c, vars: map[string][]byte{}}
	defer r.close()
	if err := r.play(); err != nil {
		return nil, err
	}
	r.close()
	if c.linger {
		r.settle()
	}
	return r.outcomes, nil
}

// reset empties the servers.
func (t *target) reset(c *testCase) error {
	for len(t.controls) < len(t.processes) {
		s, err := dial(t.processes[len(t.controls)].Addr())
		if err != nil {
			return err
		}
		if t.password != "" {
			s.send([]byte("AUTH " + t.password + "\r\n"))
			s.read(false, patience)
		}
		t.controls = append(t.controls, &control{s})
	}
	for _, s := range t.controls {
		if err := s.reset(c); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) play() error {
	c := r.c
	if c.resp3 {
		if err := r.step(&step{line: "HELLO 3", op: opCall, words: [][]byte{[]byte("HELLO"), []byte("3")}, n: 1, rule: commandRules["hello"]}); err != nil {
			return err
		}
	}
	for i := range c.steps {
		if err := r.step(&c.steps[i]); err != nil {
			return err
		}
	}
	r.sentinels()
	return nil
}

// settle waits until the clients have left nothing at the servers. What stays is as bad as a hang.
func (r *run) settle() {
	for _, s := range r.target.controls {
		if err := s.settle(); err != nil {
			r.outcomes = append(r.outcomes, outcome{line: "(after the case) " + err.Error(), status: hung})
			return
		}
	}
}

func (r *run) close() {
	for _, c := range r.conns {
		if c != nil {
			c.close()
		}
	}
}

// sentinels asks each connection that is at rest for one more reply.
func (r *run) sentinels() {
	for i, c := range r.conns {
		if c == nil || r.c.quiet || c.waits > 0 || c.ended != replied {
			continue
		}
		c.send([]byte("*2\r\n$4\r\nPING\r\n$3\r\nend\r\n"))
		r.record(c, fmt.Sprintf("(c%d: PING end)", i+1), "", false)
	}
}

func (r *run) conn(i int) (*conn, error) {
	if r.conns[i] == nil {
		c, err := dial(r.target.addr)
		if err != nil {
			return nil, fmt.Errorf("%s: cannot connect: %w", r.target.name, err)
		}
		r.conns[i] = c
	}
	return r.conns[i], nil
}

func (r *run) step(s *step) error {
	switch s.op {
	case opBlocked:
		r.awaitBlocked(s.n)
		return nil
	case opSettled:
		r.settle()
		return nil
	}
	c, err := r.conn(s.conn)
	if err != nil {
		return err
	}
	switch s.op {
	case opRead:
		for range s.n {
			c.waits = max(0, c.waits-1)
			r.record(c, s.line, s.rule, true)
		}
		r.sortReplies(s)
		return nil
	case opScan:
		r.scan(c, s)
		return nil
	case opClose:
		c.close()
		r.conns[s.conn] = nil
		return nil
	}
	c.queued = append(c.queued, r.bytesOf(s)...)
	c.owed = append(c.owed, *s)
	if s.op == opQueue {
		return nil
	}
	c.send(c.queued)
	owed := c.owed
	c.queued, c.owed = nil, nil
	for i := range owed {
		if owed[i].op == opSend {
			c.waits++
			continue
		}
		r.readReplies(c, &owed[i])
	}
	return nil
}

func (r *run) bytesOf(s *step) []byte {
	if s.raw != nil {
		return s.raw
	}
	return appendCommand(nil, r.expand(s.words))
}

// expand replaces the variables in words.
func (r *run) expand(words [][]byte) [][]byte {
	words = slices.Clone(words)
	for i, w := range words {
		if bytes.Contains(w, []byte("$(")) {
			words[i] = variable.ReplaceAllFunc(w, func(m []byte) []byte { return r.vars[string(m[2:len(m)-1])] })
		}
	}
	return words
}

func (r *run) readReplies(c *conn, s *step) {
	for range s.n {
		o := r.record(c, s.line, s.rule, subscribes(s))
		if s.save != "" {
			r.vars[s.save] = o.value.text
		}
	}
	r.sortReplies(s)
	if o := r.last(); len(s.words) > 1 && o.status == replied && !o.value.isError() && strings.EqualFold(string(s.words[0]), "hello") {
		c.resp3 = string(s.words[1]) == "3"
	}
}

// sortReplies brings the replies of a step that may come in any order into one.
func (r *run) sortReplies(s *step) {
	if s.n > 1 && s.rule == "unordered" {
		slices.SortFunc(r.outcomes[len(r.outcomes)-s.n:], func(a, b outcome) int { return bytes.Compare(a.raw, b.raw) })
	}
}

func (r *run) last() *outcome {
	if len(r.outcomes) == 0 {
		return &outcome{status: dead}
	}
	return &r.outcomes[len(r.outcomes)-1]
}

// subscribes reports whether the replies of a step are of the kind that otherwise comes unasked.
func subscribes(s *step) bool {
	return len(s.words) > 0 && strings.HasSuffix(strings.ToLower(string(s.words[0])), "subscribe")
}

func (r *run) record(c *conn, line string, by rule, pushes bool) *outcome {
	limit := patience
	if r.refused {
		limit = patienceRefused
	}
	o := c.read(pushes, limit)
	if o.status == hung && r.refused {
		o.status = dead
	}
	o.line, o.rule = line, by
	r.refused = r.refused || o.value.isError() && (isRefusal(&o, r.target.refusals) || bytes.Contains(o.value.text, []byte("nutmeg")))
	r.outcomes = append(r.outcomes, o)
	return r.last()
}

// scan follows a cursor. What it makes of the replies is one reply: all elements, sorted, each once.
func (r *run) scan(c *conn, s *step) {
	words := r.expand(s.words)
	at, width := 2, 1
	switch strings.ToLower(string(words[0])) {
	case "scan":
		at = 1
	case "hscan", "zscan":
		width = 2
	}
	var found []string
	for range 10_000 {
		c.send(appendCommand(nil, words))
		o := c.read(false, patience)
		o.line, o.rule = s.line, s.rule
		if o.status != replied || o.value.isError() || len(o.value.elems) != 2 {
			r.outcomes = append(r.outcomes, o)
			return
		}
		found = append(found, sortedElements(&o.value.elems[1], width)...)
		cursor := o.value.elems[0].text
		if string(cursor) == "0" {
			slices.Sort(found)
			o.raw = []byte(strings.Join(slices.Compact(found), ""))
			o.value = value{kind: 's'}
			r.outcomes = append(r.outcomes, o)
			return
		}
		words[at] = cursor
	}
	r.outcomes = append(r.outcomes, outcome{line: s.line, status: hung})
}

// awaitBlocked waits until the servers together have n blocked clients. It gives up when a connection that should wait has
// its reply already: then nothing will block.
func (r *run) awaitBlocked(n int) {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		total := 0
		for _, s := range r.target.controls {
			total += s.blocked()
		}
		if total >= n {
			return
		}
		for _, c := range r.conns {
			if c != nil && c.waits > 0 && c.readable() {
				return
			}
		}
		<-tick.C
	}
}

// control is a connection to a server itself, to clear it and to look at it.
type control struct {
	*conn
}

// reset empties a server and waits until nothing of the case before is left.
func (s *control) reset(c *testCase) error {
	words := "FLUSHALL\r\n"
	if c.resets() {
		words += "SCRIPT FLUSH\r\nFUNCTION FLUSH\r\nCONFIG RESETSTAT\r\nSLOWLOG RESET\r\nACL LOG RESET\r\nCONFIG SET maxmemory 0\r\n"
	}
	s.send([]byte(words))
	for range strings.Count(words, "\n") {
		if o := s.read(false, patience); o.status != replied || o.value.isError() {
			return fmt.Errorf("%v %s", o.status, o.raw)
		}
	}
	return nil
}

// resets reports whether the case depends on more of the server than its data.
func (c *testCase) resets() bool {
	for _, word := range []string{"EVAL", "SCRIPT", "FCALL", "FUNCTION", "CONFIG", "SLOWLOG", "ACL", "INFO"} {
		if strings.Contains(strings.ToUpper(c.name), word) {
			return true
		}
	}
	return false
}

// settle waits until a server has no blocked client and no subscription any more.
func (s *control) settle() error {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		left := s.info("blocked_clients", "pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "tracking_clients")
		if left == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%v after the clients have gone, a server still has %s", patience, left)
		}
		<-tick.C
	}
}

func (s *control) blocked() int {
	_, n, _ := strings.Cut(s.info("blocked_clients"), ":")
	count, _ := strconv.Atoi(strings.TrimSpace(n)) // none is empty
	return count
}

// info returns those of the fields of INFO that are not 0.
func (s *control) info(fields ...string) (found string) {
	s.send([]byte("INFO\r\n"))
	o := s.read(false, patience)
	for line := range strings.SplitSeq(string(o.value.text), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if slices.Contains(fields, name) && value != "0" {
			found += line + " "
		}
	}
	return found
}
