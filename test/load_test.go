package test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is clients that keep asking while a test breaks things. Each value names its key and its writing, each key its
// client, so that a client can tell of every answer whether it is its own, in its turn, and the value that must be
// there. An error in place of an answer must be one that the test expects; a client's connection must never fail.
type load struct {
	t        testing.TB
	options  loadOptions
	clients  []*loadClient
	stopping chan struct{}
	stopOnce sync.Once
	expected *regexp.Regexp // errors that may come; nil: none
	group    sync.WaitGroup
	served   atomic.Int64 // right answers that are no errors
	refused  atomic.Int64 // errors that were expected

	mu    sync.Mutex // guards the rest
	texts map[string]int
	wrong error // the first answer that was wrong
}

type loadOptions struct {
	addr    string
	dialect *loadDialect
	clients int
	hello   string                    // what each client begins with, unless empty; the answer is OK
	keys    func(client int) []string // nil: twenty of the client's own
	errors  string                    // a regular expression of the errors that may come; empty: none
	loses   bool                      // servers may forget: a key may be absent
	moves   bool                      // keys may move to another server: an old value may be there
	value   int                       // bytes that are added to each value
	pace    time.Duration             // how often a client sends a pipeline; 0: usualPace
}

// startLoad begins, with every client connected. The load ends with t, if not before.
func startLoad(t testing.TB, o loadOptions) *load {
	t.Helper()
	l := newLoad(t, o)
	for i := range o.clients {
		conn, err := l.dial(i)
		if err != nil {
			t.Fatal(err)
		}
		l.clients = append(l.clients, l.newClient(i, conn))
	}
	for _, c := range l.clients {
		l.group.Go(func() { l.failed(c.id, c.run()) })
	}
	return l
}

// newLoad is a load without clients yet.
func newLoad(t testing.TB, o loadOptions) *load {
	l := &load{t: t, options: o, stopping: make(chan struct{}), texts: map[string]int{}}
	if o.errors != "" {
		l.expected = regexp.MustCompile("^(?:" + o.errors + ")$")
	}
	t.Cleanup(l.stop)
	return l
}

// dial connects client i: from one of several addresses of this host, since each has only so many ports.
func (l *load) dial(i int) (net.Conn, error) {
	d := net.Dialer{Timeout: patience}
	if networkOf(l.options.addr) == "tcp" {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i%16))}
	}
	return d.Dial(networkOf(l.options.addr), l.options.addr)
}

func (l *load) newClient(i int, conn net.Conn) *loadClient {
	keys := named(fmt.Sprintf("c%d.", i), 20)
	if l.options.keys != nil {
		keys = l.options.keys(i)
	}
	c := &loadClient{load: l, id: i, conn: conn, r: bufio.NewReader(conn), keys: keys, known: map[string]*written{}}
	c.random = rand.New(rand.NewPCG(uint64(i), uint64(len(keys))))
	if l.options.hello != "" {
		first := &rawConn{t: l.t, conn: conn, r: c.r}
		first.send(l.options.hello)
		first.want(okReply)
	}
	for _, key := range keys {
		c.known[key] = &written{}
	}
	return c
}

// stop ends the load after the answers that are under way, and fails the test if one was wrong.
func (l *load) stop() {
	l.stopOnce.Do(func() {
		close(l.stopping)
		l.group.Wait()
		for _, c := range l.clients {
			_ = c.conn.Close()
		}
		if err := l.fault(); err != nil {
			l.t.Errorf("wrong: %v", err)
		}
	})
}

// failed notes what was wrong for a client; nil is nothing.
func (l *load) failed(client int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong == nil && err != nil {
		l.wrong = fmt.Errorf("client %d: %w", client, err)
	}
}

func (l *load) fault() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wrong
}

// String sums the load up.
func (l *load) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d clients, %d served", len(l.clients), l.served.Load())
	for _, text := range slices.Sorted(maps.Keys(l.texts)) {
		fmt.Fprintf(&b, ", %d %q", l.texts[text], text)
	}
	return b.String()
}

// more waits for so many right answers from now on.
func (l *load) more(answers int64) {
	l.t.Helper()
	l.grown("answers", &l.served, l.served.Load()+answers)
}

// moreErrors waits for so many of the expected errors from now on.
func (l *load) moreErrors(errors int64) {
	l.t.Helper()
	l.grown("errors", &l.refused, l.refused.Load()+errors)
}

func (l *load) grown(what string, counter *atomic.Int64, to int64) {
	l.t.Helper()
	eventually(l.t, what, func() error {
		if err := l.fault(); err != nil {
			l.t.Fatalf("wrong: %v", err)
		}
		if now := counter.Load(); now < to {
			return fmt.Errorf("%d %s, want %d (%v)", now, what, to, l)
		}
		return nil
	})
}

// recovered waits until so many answers have come without an error between them.
func (l *load) recovered(answers int64) {
	l.t.Helper()
	served, refused := l.served.Load(), l.refused.Load()
	eventually(l.t, "answers without errors", func() error {
		if err := l.fault(); err != nil {
			l.t.Fatalf("wrong: %v", err)
		}
		if now := l.refused.Load(); now != refused {
			served, refused = l.served.Load(), now
		}
		if now := l.served.Load(); now < served+answers {
			return fmt.Errorf("%d answers since the last error, want %d (%v)", now-served, answers, l)
		}
		return nil
	})
}

// written is what a client knows of one of its keys.
type written struct {
	last     int          // number of the last writing that was acknowledged; 0: none
	doubtful map[int]bool // writings that failed: they may have happened, or happen later
}

// loadClient is one client. It belongs to its goroutine.
type loadClient struct {
	load   *load
	id     int
	conn   net.Conn
	r      *bufio.Reader
	random *rand.Rand
	keys   []string
	known  map[string]*written
	number int // of writings
}

// usualPace is how often a client sends a pipeline: a test's load leaves room on the machine for other tests.
const usualPace = 3 * time.Millisecond

func (c *loadClient) run() error {
	pace := c.load.options.pace
	if pace == 0 {
		pace = usualPace
	}
	tick := time.NewTicker(pace*3/4 + time.Duration(c.random.Int64N(int64(pace/2))))
	defer tick.Stop()
	for {
		select {
		case <-c.load.stopping:
			return nil
		case <-tick.C:
		}
		if err := c.pipeline(1 + c.random.IntN(6)); err != nil {
			return err
		}
	}
}

// check judges the response to one request.
type check func(response string) error

// pipeline sends some requests at once and checks the answers.
func (c *loadClient) pipeline(requests int) error {
	var text strings.Builder
	checks := make([]check, requests)
	for i := range checks {
		var request string
		request, checks[i] = c.next()
		text.WriteString(request)
	}
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c.conn, text.String()); err != nil {
		return err
	}
	for i, check := range checks {
		response, err := c.load.options.dialect.read(c.r)
		if err != nil {
			return fmt.Errorf("response %d of %d: %s and then %w", i, len(checks), short(response), err)
		}
		if err := check(response); err != nil {
			return fmt.Errorf("response %d of %d: %w", i, len(checks), err)
		}
	}
	return nil
}

func (c *loadClient) next() (request string, check check) {
	d := c.load.options.dialect
	switch c.random.IntN(8) {
	case 0, 1, 2:
		return c.set()
	case 3, 4, 5:
		return c.get(c.keys[c.random.IntN(len(c.keys))])
	case 6:
		n := 2 + c.random.IntN(min(8, len(c.keys)-1))
		keys := make([]string, n)
		for i, at := range c.random.Perm(len(c.keys))[:n] {
			keys[i] = c.keys[at]
		}
		return c.get(keys...)
	}
	c.number++
	request, want := d.own(fmt.Sprintf("c%d:%d", c.id, c.number))
	return request, func(response string) error {
		if response != want {
			return fmt.Errorf("%s was answered by %s", short(request), short(response))
		}
		return nil
	}
}

func (c *loadClient) set() (string, check) {
	key := c.keys[c.random.IntN(len(c.keys))]
	c.number++
	number := c.number
	return c.load.options.dialect.set(key, c.text(key, number)), func(response string) error {
		known := c.known[key]
		if response == c.load.options.dialect.stored {
			known.last = number
			c.load.served.Add(1)
			return nil
		}
		if known.doubtful == nil {
			known.doubtful = map[int]bool{}
		}
		known.doubtful[number] = true
		return c.refusal(response)
	}
}

// text is the value of a writing.
func (c *loadClient) text(key string, number int) string {
	return key + "|" + strconv.Itoa(number) + "|" + strings.Repeat(string(rune('a'+number%26)), c.load.options.value)
}

func (c *loadClient) get(keys ...string) (string, check) {
	d := c.load.options.dialect
	return d.get(keys...), func(response string) error {
		if d.isError(response) {
			return c.refusal(response)
		}
		values, err := d.values(response, keys)
		if err != nil {
			return err
		}
		for i, key := range keys {
			if err := c.judge(key, values[i]); err != nil {
				return err
			}
		}
		c.load.served.Add(1)
		return nil
	}
}

// judge says what is wrong with a value that was read; "" is an absent key.
func (c *loadClient) judge(key, value string) error {
	known := c.known[key]
	if value == "" {
		if known.last != 0 && !c.load.options.loses {
			return fmt.Errorf("%s is absent, but writing %d was acknowledged", key, known.last)
		}
		return nil
	}
	owner, rest, _ := strings.Cut(value, "|")
	digits, _, _ := strings.Cut(rest, "|")
	number, err := strconv.Atoi(digits)
	switch {
	case owner != key || err != nil:
		return fmt.Errorf("asked for %s and got %s", key, short(value))
	case value != c.text(key, number):
		return fmt.Errorf("%s has the wrong bytes: %s", key, short(value))
	case number > c.number, number != known.last && !known.doubtful[number] && !c.load.options.moves:
		return fmt.Errorf("%s has the value of writing %d, should have that of %d or %v", key, number, known.last, known.doubtful)
	}
	return nil
}

// refusal is nil for an error that the test expects.
func (c *loadClient) refusal(response string) error {
	text := strings.TrimSuffix(response, "\r\n")
	if !c.load.options.dialect.isError(response) || c.load.expected == nil || !c.load.expected.MatchString(text) {
		return fmt.Errorf("unexpected response %s", short(response))
	}
	c.load.refused.Add(1)
	c.load.mu.Lock()
	c.load.texts[text]++
	c.load.mu.Unlock()
	return nil
}
