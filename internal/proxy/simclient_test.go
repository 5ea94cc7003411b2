package proxy

import (
	"fmt"
	"io"
	"strings"
	"time"

	"nutmeg/internal/testkit/sim"
)

// language is what differs between simulated Redis and memcached.
type language interface {
	// protocol is a line of configuration.
	protocol() string
	// newSession is the server's side of one connection.
	newSession() executor
	// newReader cuts a client's input into responses.
	newReader() responseReader
	// hello, next, rubbish make up a client's request: they append it to dst and say in o what it was.
	hello(c *simClient, dst []byte, o *op) []byte
	next(c *simClient, dst []byte, o *op) []byte
	rubbish(c *simClient, dst []byte, o *op) []byte
	// quit has the client end the conversation.
	quit(c *simClient)
	// check says what is wrong with the response to o, which is no failure.
	check(c *simClient, o *op, response []byte) string
	// isFailure recognises an error that a client may get when servers fail.
	isFailure(response []byte) bool
}

// responseReader cuts a client's input into responses.
type responseReader interface {
	// next takes a response off the front of data; it is nil if the rest of it is still to come.
	next(data []byte) (response, rest []byte, err error)
	// within is how much of a response has come whose rest is still to come.
	within() int
}

// takeResponse is what readers do with n bytes that belong to a response, after those in kept.
func takeResponse(kept *[]byte, data []byte, n int, done bool) (response, rest []byte, err error) {
	response, rest = data[:n], data[n:]
	if !done || len(*kept) > 0 {
		*kept = append(*kept, response...)
		response = *kept
	}
	if !done {
		return nil, rest, nil
	}
	*kept = (*kept)[:0]
	return response, rest, nil
}

// readAll takes all responses that end in data.
func readAll(r responseReader, data []byte) (responses []string, err error) {
	for len(data) > 0 {
		var response []byte
		if response, data, err = r.next(data); err != nil {
			return responses, err
		}
		if response != nil {
			responses = append(responses, string(response))
		}
	}
	return responses, nil
}

// failureTexts are what clients are told when servers fail, with the word of the protocol before it.
var failureTexts = map[string]bool{
	"Connection refused": true, "Connection timed out": true, "Connection closed by server": true, "Invalid argument": true,
	"Host is down": true, "Connection reset by peer": true, "Broken pipe": true, "No route to host": true,
	"No such file or directory": true, "Too many open files": true,
}

func isFailureText(text string) bool { return failureTexts[text] || isOverload(text) }

// isOverload recognises what clients are told when too much is queued for a server.
func isOverload(text string) bool {
	return strings.Contains(text, " has too many requests waiting (server_")
}

// opKind is what a request of a simulated client is.
type opKind uint8

const (
	opHello opKind = iota
	opGet          // read a key; carries no unit
	opTell         // read a key; the response names the request
	opSet
	opGetMany
	opSetMany
	opDelete
	opExists
	opEcho    // answered by the proxy
	opList    // answered by all servers
	opScan    // answered by one, with a cursor of all
	opRefused // answered by the server with an error
	opUnknown // answered by the proxy with an error
	opCount   // answered by a number that names the request
	opTouch
	opSetSilently
	opCountSilently
	opDeleteSilently
	opVersion
	opVerbosity
	opQuit
	opRubbish // not the protocol; the proxy closes
	opMetaGet
	opMetaSet
	opMetaGetQuietly // these two may have a response or not; opMetaEnd follows
	opMetaSetQuietly
	opMetaEnd
)

// silent says that there is no response.
func (k opKind) silent() bool { return k >= opSetSilently && k <= opDeleteSilently }

// quiet says that there need not be a response.
func (k opKind) quiet() bool { return k == opMetaGetQuietly || k == opMetaSetQuietly }

// changes says that keys are another afterwards.
func (k opKind) changes() bool {
	return k == opMetaSet || k == opMetaSetQuietly || k == opSet || k == opSetMany || k == opDelete || k == opSetSilently || k == opDeleteSilently
}

// op is a request whose response has not come.
type op struct {
	kind    opKind
	unit    int32 // that the request as a whole is; 0 if it is none
	sentAt  int64
	ahead   int // requests in flight before it
	unknown int // how many of these, and of itself, are of a command that is not known
	keys    []wanted
}

// wanted is a key of a request: for a read the unit that wrote it last, for a write the request's own.
type wanted struct {
	key  int
	unit int32
}

// manner is how a client behaves.
type manner struct {
	depth    int  // requests in flight, at most
	bursts   int  // how often it begins to send
	burst    int  // requests of one burst, at most
	dribbles bool // sends a few bytes at a time
	sluggish bool // rests before it reads on
	greedy   bool // sends all it has, and never reads
	fickle   bool // leaves when it has sent a burst
	rude     bool // ends with what is not the protocol
}

// simClient is a client that keeps requests in flight and checks what comes back.
type simClient struct {
	*sim.Peer
	ledger
	manner
	sim     *simulation
	pool    *simPool
	reader  responseReader
	ops     []op // a ring of requests in flight
	first   int
	flight  int
	quota   int // requests that it is going to send now
	out     []byte
	scratch []byte
	cursor  string // where the scan is

	opened   bool
	active   time.Duration // when it last sent or got something, but for what is in flight
	answers  int
	doomed   bool // may lose its connection
	dripping bool // drip is going to be called
	gone     bool // has left on purpose
	halfway  bool // sends no more, and waits for the rest
}

func (s *simulation) addClient(p *simPool, m manner) *simClient {
	c := &simClient{
		Peer: s.Connect(p.listen), ledger: newLedger(s.forgotten+len(s.clients)+1, p.keyForm), manner: m, sim: s, pool: p,
		reader: p.language.newReader(), ops: make([]op, 8), doomed: p.absent, cursor: "0",
	}
	c.OnOpen = func(*sim.Peer) { c.begin() }
	c.OnData = func(_ *sim.Peer, data []byte) { c.received(data) }
	c.OnClose = func(_ *sim.Peer, err error) { c.closed(err) }
	if m.greedy {
		c.Pause()
	}
	s.clients = append(s.clients, c)
	return c
}

// closed is right when the client has ended the conversation and has all that it asked for.
func (c *simClient) closed(err error) {
	if c.isTorn(err) {
		c.sim.count.torn++
	} else if !c.gone && (!c.halfway || c.flight > 0 || err != io.EOF) && !c.sim.mayLose(c) { //nolint:errorlint // the simulation's own value
		c.sim.fail("client %d lost its connection (%v) with %d requests in flight", c.client, err, c.flight)
	}
	c.leave(c.Close)
}

// isTorn reports whether the connection has ended in the middle of a response that flowed, with a cause.
func (c *simClient) isTorn(err error) bool {
	return !c.gone && c.flight > 0 && err == io.EOF && c.reader.within() >= c.sim.flowBytes() && //nolint:errorlint // the simulation's own value
		c.pool.explains(c.ops[c.first].sentAt)
}

// leave is the end of the client.
func (c *simClient) leave(how func()) {
	c.gone = true
	c.flight, c.quota, c.bursts = 0, 0, 0
	how()
}

// begin is called once the connection is there.
func (c *simClient) begin() {
	c.opened = true
	c.active = c.sim.Now()
	if c.gone || c.halfway {
		return // left before it was there
	}
	if c.pool.password != "" {
		c.send(c.pool.language.hello)
		c.flushOut()
	}
	c.sim.After(time.Duration(c.sim.Random().Int64N(int64(c.sim.span)/8)), c.startBurst)
}

func (c *simClient) startBurst() {
	if c.gone || c.halfway || c.bursts == 0 {
		return
	}
	c.bursts--
	r := c.sim.Random()
	if c.quota += 1 + r.IntN(c.burst); c.greedy {
		c.quota = c.burst
	}
	c.fill()
	if c.fickle && oneIn(r, 2) {
		c.sim.After(time.Duration(r.Int64N(int64(2*time.Millisecond))), c.leaveSomehow)
	}
	if left := c.sim.until - c.sim.Now(); c.bursts > 0 {
		gap := time.Millisecond
		if left > 0 {
			gap = time.Duration(r.Int64N(int64(left) * 2 / int64(c.bursts)))
		}
		c.sim.After(gap, c.startBurst)
	} else if c.rude {
		c.halfway = true
		c.send(c.pool.language.rubbish)
		c.flushOut()
	}
}

// fill sends what may be in flight.
func (c *simClient) fill() {
	if c.gone || c.halfway {
		return
	}
	for c.quota > 0 && (c.flight < c.depth || c.greedy) {
		c.quota--
		c.send(c.pool.language.next)
		if c.flight > 0 && c.ops[(c.first+c.flight-1)%len(c.ops)].kind.quiet() {
			c.send(endQuiet)
		}
	}
	c.flushOut()
}

// send makes up a request.
func (c *simClient) send(compose func(c *simClient, dst []byte, o *op) []byte) {
	if c.flight == len(c.ops) {
		c.growOps()
	}
	o := &c.ops[(c.first+c.flight)%len(c.ops)]
	*o = op{sentAt: int64(c.sim.Now()), ahead: c.flight, keys: o.keys[:0]}
	before := len(c.out)
	c.out = compose(c, c.out, o)
	c.pool.largestRequest = max(c.pool.largestRequest, len(c.out)-before)
	c.sim.count.requests++
	if o.kind.silent() {
		c.active = c.sim.Now()
		return
	}
	c.flight++
	for i := range c.flight {
		if c.ops[(c.first+i)%len(c.ops)].kind == opUnknown {
			o.unknown++
		}
	}
}

// endQuiet is the request behind a quiet one, whose response says that there was none to that, or no other.
func endQuiet(_ *simClient, dst []byte, o *op) []byte {
	o.kind = opMetaEnd
	return append(dst, "mn\r\n"...)
}

func (c *simClient) growOps() {
	grown := make([]op, 0, 2*len(c.ops))
	for i := range c.flight {
		grown = append(grown, c.ops[(c.first+i)%len(c.ops)])
	}
	c.ops, c.first = grown[:cap(grown)], 0
}

func (c *simClient) flushOut() {
	switch {
	case len(c.out) == 0 || c.dripping:
	case c.dribbles:
		c.drip()
	default:
		c.Send(c.out)
		c.out = c.out[:0]
	}
}

// drip sends a few bytes, and the others later.
func (c *simClient) drip() {
	c.dripping = false
	if c.gone || len(c.out) == 0 {
		return
	}
	n := min(len(c.out), 1+c.sim.Random().IntN(3))
	if len(c.out) > 2048 {
		n = len(c.out) / 2
	}
	c.Send(c.out[:n])
	c.out = c.out[:copy(c.out, c.out[n:])]
	c.dripping = true
	c.sim.After(time.Duration(c.sim.Random().IntN(100_000)), c.drip)
}

func (c *simClient) received(data []byte) {
	for len(data) > 0 && !c.gone {
		response, rest, err := c.reader.next(data)
		if err != nil {
			c.sim.fail("client %d was sent rubbish: %v", c.client, err)
			return
		}
		data = rest
		if response != nil {
			c.answered(response)
		}
	}
	c.fill()
	if c.sluggish && !c.gone && c.sim.Random().IntN(4) == 0 {
		c.Pause()
		c.sim.After(time.Duration(c.sim.Random().Int64N(int64(40*time.Millisecond))), c.Resume)
	}
}

// answered checks the response to the oldest request in flight.
func (c *simClient) answered(response []byte) {
	if c.flight == 0 {
		c.sim.fail("client %d got a response that it did not ask for: %.80q", c.client, response)
		return
	}
	o := &c.ops[c.first]
	if o.kind.quiet() && string(response) == "MN\r\n" {
		c.take(o, nil)
		o = &c.ops[c.first]
	}
	c.take(o, response)
}

// take checks the response to a request, which may be nil for a quiet one.
func (c *simClient) take(o *op, response []byte) {
	c.first = (c.first + 1) % len(c.ops)
	c.flight--
	c.sim.count.responses++
	c.answers++
	c.active = c.sim.Now()
	if late := c.sim.Now() - time.Duration(o.sentAt); late > c.dueIn(o) {
		c.sim.fail("client %d waited %v for a response, with %d others before it and a time-out of %v", c.client, late, o.ahead, c.pool.timeout)
	}
	if c.pool.language.isFailure(response) {
		c.failed(o, response)
		return
	}
	if wrong := c.pool.language.check(c, o, response); wrong != "" {
		c.sim.fail("client %d: %s", c.client, wrong)
	}
}

// dueIn is how long the response to a request may take in a pool with a time-out: that for itself, and for each before it
// that the proxy may not have taken while it was there.
func (c *simClient) dueIn(o *op) time.Duration {
	_, asks := c.pool.language.(memcacheLanguage) // a server whether it speaks meta commands, when all before is answered
	if c.pool.timeout == 0 || c.sluggish || c.dribbles || o.sentAt <= c.sim.starving || asks && c.pool.loose {
		return time.Hour
	}
	turns := o.ahead + 1
	if asks {
		turns++
	} else if c.pool.roomy {
		turns = o.ahead/16 + 1 + 2*o.unknown // so many are taken from a new client at once; a server is asked what a command is
	}
	return time.Duration(turns)*c.pool.timeout + 100*time.Millisecond
}

// failed takes an error in place of a response.
func (c *simClient) failed(o *op, response []byte) {
	c.sim.count.errors++
	refused := c.pool.overloads && isOverload(string(response))
	if !refused && !c.pool.explains(o.sentAt) {
		c.sim.fail("client %d: error %.80q without a cause; the request was sent at %v", c.client, response, time.Duration(o.sentAt))
	}
	if o.kind.changes() {
		for _, w := range o.keys {
			if w.key != noKey {
				c.keys[w.key].doubtful = true
			}
		}
	}
}

// want picks a key to ask for, and notes who wrote it last.
func (c *simClient) want(o *op) int {
	key := c.sim.Random().IntN(keysOfClient)
	o.keys = append(o.keys, wanted{key, c.keys[key].last})
	return key
}

// overwrite makes up a new value for a key.
func (c *simClient) overwrite(o *op, key int) int32 {
	length := c.pool.length(c.sim.Random())
	if c.greedy {
		length = 2000
	}
	c.pool.largestValue = max(c.pool.largestValue, length)
	unit := c.add(key, length)
	c.keys[key].last = unit
	o.keys = append(o.keys, wanted{key, unit})
	return unit
}

// isDoubtful says that nobody knows who wrote a key last.
func (c *simClient) isDoubtful(key int) bool {
	k := &c.keys[key]
	if k.silentAt != 0 && (c.pool.overloads || c.pool.explains(k.silentAt)) { // who wants no reply is not told of a refusal
		k.doubtful = true
	}
	return k.doubtful
}

// judge says what is wrong with the value of a key, "" if nothing; ok says whether there is one.
func (c *simClient) judge(w wanted, value []byte, ok bool) string {
	number := int32(0)
	if ok {
		var err error
		if number, err = c.checkValue(value, w.key); err != nil {
			return err.Error()
		}
		if !c.units[number].done {
			return fmt.Sprintf("key %d has the value of unit %d, which no server has done", w.key, number)
		}
	}
	if number != w.unit && !c.pool.loose && !c.isDoubtful(w.key) {
		return fmt.Sprintf("key %d should have been written by unit %d, is by unit %d", w.key, w.unit, number)
	}
	return ""
}

// judgeFound is judge for a read whose server has told the ledger what it found.
func (c *simClient) judgeFound(o *op, value []byte, ok bool) string {
	if wrong := c.mustBeDone(o); wrong != "" {
		return wrong
	}
	wrong := c.judge(o.keys[0], value, ok)
	if number := int32(0); wrong == "" {
		if ok {
			number, _ = c.checkValue(value, o.keys[0].key)
		}
		if found := c.units[o.unit].found; found != number {
			return fmt.Sprintf("read of unit %d gives what unit %d wrote; the server found unit %d", o.unit, number, found)
		}
	}
	return wrong
}

// judgeOrToken is judge for a key of several, one of which is the request's token.
func (c *simClient) judgeOrToken(o *op, w wanted, value []byte, ok bool) string {
	if w.key != noKey {
		return c.judge(w, value, ok)
	}
	if n, is := parseToken(value); !ok || !is || n != (names{c.client, int(o.unit)}) {
		return fmt.Sprintf("the token of unit %d is %.60q", o.unit, value)
	}
	return c.mustBeDone(o)
}

// mustBeDone says which unit of an answered request no server has done.
func (c *simClient) mustBeDone(o *op) string {
	if o.unit != 0 && !c.units[o.unit].done {
		return fmt.Sprintf("unit %d is answered, and no server has done it", o.unit)
	}
	for _, w := range o.keys {
		if o.kind.changes() && o.kind != opDelete && !c.units[w.unit].done {
			return fmt.Sprintf("write of unit %d is answered, and no server has done it", w.unit)
		}
	}
	return ""
}

func (c *simClient) mustBe(response []byte, format string, args ...any) string {
	c.scratch = fmt.Appendf(c.scratch[:0], format, args...)
	if string(response) != string(c.scratch) {
		return fmt.Sprintf("answered by %.60q, should be %q", response, c.scratch)
	}
	return ""
}

// opMix is how often clients ask for what.
type opMix []struct {
	kind   opKind
	weight int
}

// draw says what a client asks for next.
func (m opMix) draw(c *simClient) opKind {
	total := 0
	for _, entry := range m {
		total += entry.weight
	}
	pick, kind := c.sim.Random().IntN(total), opKind(0)
	for _, entry := range m {
		if pick -= entry.weight; pick < 0 {
			kind = entry.kind
			break
		}
	}
	if c.greedy && len(c.units) > 50 && kind.changes() {
		return opGetMany // else it would send more than it asks for
	}
	return kind
}
