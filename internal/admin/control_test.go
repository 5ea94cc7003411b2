package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// control is a Control of functions; one that is nil must not be called.
type control struct {
	reload       func(context.Context) (string, error)
	plan         func(ctx context.Context, name string, text []byte) (string, error)
	servers      func(context.Context) ([]ServerState, error)
	done, failed int64
}

func (c *control) Reload(ctx context.Context) (string, error) { return c.reload(ctx) }

func (c *control) Plan(ctx context.Context, name string, text []byte) (string, error) {
	return c.plan(ctx, name, text)
}

func (c *control) Servers(ctx context.Context) ([]ServerState, error) { return c.servers(ctx) }

func (c *control) Changes() Changes {
	return Changes{Reloads: c.done, ReloadErrors: c.failed, UpgradeErrors: 3}
}

func with(c Control) func(*Options) { return func(o *Options) { o.Control = c } }

// answer is what a page answered.
type answer struct {
	status int
	kind   string
	body   string
}

// ask sends a request as it is on a connection of its own, and returns the answer.
func (p *port) ask(t *testing.T, head, body string) answer {
	t.Helper()
	return askOn(t, p.dial(t), head, body)
}

// askOn may be called by any goroutine.
func askOn(t *testing.T, c net.Conn, head, body string) answer {
	t.Helper()
	fmt.Fprintf(c, "%s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", head, len(body), body)
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{r.StatusCode, r.Header.Get("Content-Type"), string(text)}
}

const (
	textKind  = "text/plain; charset=utf-8"
	allowed   = "\r\nHost: 127.0.0.1:22222\r\nX-Nutmeg-Control: 1"
	postPlan  = "POST /plan HTTP/1.1" + allowed
	postApply = "POST /reload HTTP/1.1" + allowed
)

func TestReloadAndPlan(t *testing.T) {
	c := &control{
		reload: func(context.Context) (string, error) { return "alpha changes\n", nil },
		plan: func(_ context.Context, name string, text []byte) (string, error) {
			return fmt.Sprintf("%s has %q\n", name, text), nil
		},
	}
	bad := errors.New("f.yml:1:1: alpha: listen is missing")
	broken := &control{
		reload: func(context.Context) (string, error) { return "", bad },
		plan:   func(context.Context, string, []byte) (string, error) { return "", bad },
	}
	for _, test := range []struct {
		rule       string
		control    *control
		head, body string
		want       answer
	}{
		{"a reload reports", c, postApply, "", answer{200, textKind, "alpha changes\n"}},
		{"a reload ignores its body", c, postApply, "x", answer{200, textKind, "alpha changes\n"}},
		{"a plan gets the text", c, postPlan, "a: b\n\x00", answer{200, textKind, "file has \"a: b\\n\\x00\"\n"}},
		{"and the name", c, "POST /plan?name=conf/n.yml HTTP/1.1" + allowed, "", answer{200, textKind, "conf/n.yml has \"\"\n"}},
		{"the largest file", c, postPlan, strings.Repeat("x", 64<<10), answer{200, textKind, fmt.Sprintf("file has %q\n", strings.Repeat("x", 64<<10))}},
		{"a file that is too large", c, postPlan, strings.Repeat("x", 64<<10+1), answer{413, textKind, "the file is larger than 65536 bytes; is it a configuration file?\n"}},
		{"a reload that fails", broken, postApply, "", answer{422, textKind, bad.Error() + "\n"}},
		{"a plan of a faulty file", broken, postPlan, "x", answer{422, textKind, bad.Error() + "\n"}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if got := serve(t, nil, ready, patient(), with(test.control)).ask(t, test.head, test.body); got != test.want {
				t.Errorf("got %.200v, want %.200v", got, test.want)
			}
		})
	}
}

// Nothing is done for a request that a web page could have sent.
func TestOnlyCallersOnThisMachineControl(t *testing.T) {
	c := &control{reload: func(context.Context) (string, error) { return "done\n", nil }}
	p := serve(t, nil, ready, patient(), with(c))
	needsHeader := answer{403, textKind, "/reload needs the header X-Nutmeg-Control: 1; use nutmegctl, or curl -X POST -H 'X-Nutmeg-Control: 1'\n"}
	notFor := func(host string) answer {
		return answer{403, textKind, fmt.Sprintf("/reload is not for the host %q; use 127.0.0.1 or localhost\n", host)}
	}
	done := answer{200, textKind, "done\n"}
	for _, test := range []struct {
		rule, headers string
		want          answer
	}{
		{"without the header", "Host: 127.0.0.1", needsHeader},
		{"with another value", "Host: 127.0.0.1\r\nX-Nutmeg-Control: yes", needsHeader},
		{"a name that somebody else points here", "Host: evil.example:22222\r\nX-Nutmeg-Control: 1", notFor("evil.example:22222")},
		{"a name that begins well", "Host: localhost.evil.example\r\nX-Nutmeg-Control: 1", notFor("localhost.evil.example")},
		{"no host", "Host:\r\nX-Nutmeg-Control: 1", notFor("")},
		{"localhost", "Host: localhost:22222\r\nX-Nutmeg-Control: 1", done},
		{"IPv6", "Host: [::1]:22222\r\nX-Nutmeg-Control: 1", done},
		{"IPv6 without a port", "Host: [::1]\r\nX-Nutmeg-Control: 1", done},
		{"a port that is reached under another number", "Host: 127.0.0.1\r\nX-Nutmeg-Control: 1", done},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if got := p.ask(t, "POST /reload HTTP/1.1\r\n"+test.headers, ""); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
	for _, path := range []string{"/reload", "/plan"} {
		if got := p.ask(t, "GET "+path+" HTTP/1.1"+allowed, ""); got.status != 405 {
			t.Errorf("GET %s: got %+v", path, got)
		}
	}
}

// farListener makes its connections look as if they came from elsewhere.
type farListener struct {
	net.Listener
	peer string
}

func (l farListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return farConn{c, l.peer}, err
}

type farConn struct {
	net.Conn
	peer string
}

func (c farConn) RemoteAddr() net.Addr {
	address, err := net.ResolveTCPAddr("tcp", c.peer)
	if err != nil {
		panic(err)
	}
	return address
}

func TestCallersElsewhereDoNotControl(t *testing.T) {
	c := &control{
		reload:  func(context.Context) (string, error) { return "done\n", nil },
		servers: func(context.Context) ([]ServerState, error) { return nil, nil },
	}
	for _, test := range []struct {
		peer   string
		status int
	}{
		{"192.0.2.1:1000", 403},
		{"[2001:db8::1]:1000", 403},
		{"[::ffff:192.0.2.1]:1000", 403},
		{"[::ffff:127.0.0.1]:1000", 200},
		{"127.8.8.8:1000", 200},
		{"[::1]:1000", 200},
	} {
		t.Run(test.peer, func(t *testing.T) {
			p := serve(t, farListener{listen(t), test.peer}, ready, patient(), with(c))
			if got := p.ask(t, postApply, ""); got.status != test.status {
				t.Errorf("got %+v, want %d", got, test.status)
			}
			if got := p.ask(t, "GET /servers HTTP/1.1\r\nHost: proxy1.example", ""); got.status != 200 {
				t.Errorf("reading is for everybody, got %+v", got)
			}
		})
	}
	t.Run("a unix socket is on this machine", func(t *testing.T) {
		ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "stats.sock"))
		if err != nil {
			t.Fatal(err)
		}
		p := serve(t, ln, ready, patient(), with(c))
		if got := p.ask(t, "POST /reload HTTP/1.1\r\nHost: h\r\nX-Nutmeg-Control: 1", ""); got.status != 200 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestWithoutControlThePagesSaySo(t *testing.T) {
	p := serve(t, nil, ready, patient())
	for head, path := range map[string]string{postApply: "/reload", postPlan: "/plan", "GET /servers HTTP/1.1" + allowed: "/servers"} {
		want := answer{501, textKind, path + " is not available: this process cannot be controlled\n"}
		if got := p.ask(t, head, ""); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestServersPage(t *testing.T) {
	states := []ServerState{
		{Pool: "alpha", Server: "s1", Address: "127.0.0.1:6379", State: "in"},
		{
			Pool: "alpha", Server: "s2", Address: "/tmp/s", State: "ejected", Since: 1763679600123456,
			Cause: "Connection refused", Failures: 3, Ejections: 7, Retry: 1500,
		},
	}
	for _, test := range []struct {
		rule   string
		states []ServerState
		err    error
		want   answer
	}{
		{"all of them", states, nil, answer{200, "application/json", `{"servers":[` +
			`{"pool":"alpha","server":"s1","address":"127.0.0.1:6379","state":"in","since":0,"cause":"","failures":0,"ejections":0,"retry":0},` +
			`{"pool":"alpha","server":"s2","address":"/tmp/s","state":"ejected","since":1763679600123456,"cause":"Connection refused","failures":3,"ejections":7,"retry":1500}]}` + "\n"}},
		{"none is a list, too", nil, nil, answer{200, "application/json", `{"servers":[]}` + "\n"}},
		{"a failure", nil, errors.New("no workers"), answer{503, textKind, "cannot read the health of servers: no workers\n"}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			c := &control{servers: func(context.Context) ([]ServerState, error) { return test.states, test.err }}
			if got := serve(t, nil, ready, patient(), with(c)).ask(t, "GET /servers HTTP/1.1"+allowed, ""); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestReloadsAreCounted(t *testing.T) {
	p := serve(t, nil, ready, patient(), with(&control{done: 7, failed: 2}))
	if got := p.get(t, "/stats"); !strings.Contains(got, `"curr_connections":5, "reloads":7, "reload_errors":2, "upgrade_errors":3, "workers":4, `) {
		t.Errorf("got %q", got)
	}
}

// Reloads and plans wait for each other; what takes too long is given up, and the next one goes on.
func TestOneAtATime(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var running, most atomic.Int32
	c := &control{reload: func(context.Context) (string, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		entered <- struct{}{}
		<-release
		return "done\n", nil
	}}
	p := serve(t, nil, ready, patient(), with(c))
	answers := make(chan answer)
	for range 3 {
		c := p.dial(t)
		go func() { answers <- askOn(t, c, postApply, "") }()
	}
	for range 3 {
		<-entered
		release <- struct{}{}
		if got := <-answers; got.status != 200 {
			t.Errorf("got %+v", got)
		}
	}
	if most.Load() != 1 {
		t.Errorf("%d reloads ran at a time", most.Load())
	}
}

func TestTimeForControlIsLimited(t *testing.T) {
	l := patient()
	l.control = 20 * time.Millisecond
	t.Run("a reload that does not end", func(t *testing.T) {
		c := &control{reload: func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}}
		want := answer{503, textKind, "the reload did not end within 20ms; a worker is stuck or overloaded: context deadline exceeded\n"}
		if got := serve(t, nil, ready, l, with(c)).ask(t, postApply, ""); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("one that waits for another", func(t *testing.T) {
		entered, release := make(chan struct{}), make(chan struct{})
		c := &control{reload: func(ctx context.Context) (string, error) {
			select {
			case entered <- struct{}{}:
			case <-ctx.Done():
				return "", ctx.Err()
			}
			<-release
			return "done\n", nil
		}}
		p := serve(t, nil, ready, l, with(c))
		first, conn := make(chan answer), p.dial(t)
		go func() { first <- askOn(t, conn, postApply, "") }()
		<-entered
		want := answer{503, textKind, "another reload or plan is still under way; try again later\n"}
		if got := p.ask(t, postApply, ""); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		close(release)
		if got := <-first; got.status != 200 {
			t.Errorf("the first one got %+v", got)
		}
	})
}

// A caller that goes away does not undo what it has begun.
func TestReloadOutlivesItsCaller(t *testing.T) {
	gone, leave := context.WithCancel(t.Context())
	leave()
	var got error
	s := newServer(options(), patient())
	s.options.Control = &control{reload: func(ctx context.Context) (string, error) {
		got = ctx.Err()
		return "", nil
	}}
	r := httptest.NewRequestWithContext(gone, http.MethodPost, "/reload", nil)
	s.serveReload(httptest.NewRecorder(), r, time.Now().Add(time.Minute))
	if got != nil {
		t.Errorf("the reload's context ends with its caller: %v", got)
	}
}

func TestCloseEndsAReload(t *testing.T) {
	entered, ended := make(chan struct{}), make(chan error, 1)
	p := serve(t, nil, ready, patient(), with(&control{reload: func(ctx context.Context) (string, error) {
		close(entered)
		<-ctx.Done()
		ended <- ctx.Err()
		return "", ctx.Err()
	}}))
	fmt.Fprint(p.dial(t), postApply+"\r\n\r\n")
	<-entered
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the reload ended with %v", err)
	}
}

// A reload may take longer than any other request.
func TestReloadMayTakeLongerThanTheOthers(t *testing.T) {
	l := patient()
	l.request, l.write = time.Millisecond, 10*time.Millisecond
	p := serve(t, nil, ready, l, with(&control{reload: func(ctx context.Context) (string, error) {
		timer := time.NewTimer(30 * time.Millisecond) // longer than both
		defer timer.Stop()
		select {
		case <-timer.C:
			return "done\n", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}}))
	if got := p.ask(t, postApply, ""); got.status != 200 {
		t.Errorf("got %+v", got)
	}
}
