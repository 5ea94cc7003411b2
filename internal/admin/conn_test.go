package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/stats"
)

func TestBareClientsGetTheJSON(t *testing.T) {
	for _, c := range []struct {
		name, send string
		halfClose  bool
		sort       time.Duration
	}{
		{"silent, as nc does", "", false, time.Millisecond},
		{"half-closed, as nc does from /dev/null", "", true, time.Minute},
		{"a word", "stats\r\n", false, time.Minute},
		{"an empty line", "\r\n", false, time.Minute},
		{"part of a method, then silence", "GE", false, 20 * time.Millisecond},
		{"part of a method, then the end", "GET", true, time.Minute},
		{"a longer word than any method", strings.Repeat("A", longestMethod+1), false, time.Minute},
		{"methods are upper case", "get / HTTP/1.1\r\n\r\n", false, time.Minute},
		{"TLS", "\x16\x03\x01\x02\x00\x01", false, time.Minute},
		{"much more than it takes to decide", strings.Repeat("stats\r\n", 5000), false, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := patient()
			l.sort = c.sort
			client := serve(t, nil, ready, l).dial(t)
			if _, err := io.WriteString(client, c.send); err != nil {
				t.Fatal(err)
			}
			if c.halfClose {
				closeWrite(t, client)
			}
			// A reset would be an error here, instead of the end of the stream.
			if got, err := io.ReadAll(client); err != nil || string(got) != wantJSON() {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestBareClientThatStaysIsClosed(t *testing.T) {
	l := patient()
	l.connections, l.drain = 1, 20*time.Millisecond
	p := serve(t, nil, ready, l)
	first := p.dial(t)
	fmt.Fprint(first, "hello\n")
	second := p.dial(t) // gets the only place when the first, still open at its end, is closed
	fmt.Fprint(second, "hello\n")
	for _, c := range []net.Conn{first, second} {
		if got, err := io.ReadAll(c); err != nil || string(got) != wantJSON() {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "stats.sock"))
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t, ln, ready, patient())
	c := p.dial(t)
	closeWrite(t, c)
	if got, err := io.ReadAll(c); err != nil || string(got) != wantJSON() {
		t.Errorf("got %q, %v", got, err)
	}
	if got := p.get(t, "/stats"); !strings.HasSuffix(got, wantJSON()) {
		t.Errorf("got %q", got)
	}
}

// logLines collects what is logged.
type logLines struct {
	mutex sync.Mutex // guards text
	text  strings.Builder
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(b)
}

func (l *logLines) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

func TestCountersThatCannotBeHad(t *testing.T) {
	broken := func(context.Context) (*config.Config, *stats.Worker, error) {
		return nil, nil, errors.New("no workers yet")
	}
	for _, c := range []struct {
		name   string
		source source
		want   string
	}{
		{"a worker does not answer", stuck, "cannot read the counters: a worker did not answer within 10ms; it is stuck or overloaded: context deadline exceeded\n"},
		{"another failure", broken, "cannot read the counters: no workers yet\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := patient()
			l.counters = 10 * time.Millisecond
			log := &logLines{}
			p := serve(t, nil, c.source, l, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })

			got := p.get(t, "/stats")
			if !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.HasSuffix(got, "\r\n\r\n"+c.want) {
				t.Errorf("HTTP answer is %q", got)
			}
			bareClient := p.dial(t)
			closeWrite(t, bareClient)
			if got, err := io.ReadAll(bareClient); err != nil || len(got) != 0 {
				t.Errorf("bare answer is %q, %v; want nothing", got, err)
			}
			if got := strings.Count(log.String(), strings.TrimSuffix(c.want, "\n")); got != 2 {
				t.Errorf("the reason is logged %d times, want 2: %s", got, log)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	for head, want := range map[string]verdict{
		"":                       undecided,
		"G":                      undecided,
		"GET":                    undecided,
		"GET ":                   requestLine,
		"GET /":                  requestLine,
		"M-SEARCH * HTTP/1.1":    requestLine,
		" GET /":                 bare,
		"GET\r\n":                bare,
		"Get /":                  bare,
		"GE\x00":                 bare,
		"*1\r\n$4\r\nPING\r\n":   bare,
		strings.Repeat("A", 20):  undecided,
		strings.Repeat("A", 21):  bare,
		strings.Repeat("A", 300): bare,
		"AAAAAAAAAAAAAAAAAAAA ":  requestLine,
		"AAAAAAAAAAAAAAAAAAAAA ": bare,
	} {
		if got := judge([]byte(head)); got != want {
			t.Errorf("judge(%q) = %d, want %d", head, got, want)
		}
	}
}

// However the bytes are cut, the first decision is the final one, and it is made
// within the bytes that sort makes room for.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{"GET / HTTP/1.1\r\n\r\n", "stats\r\n", "", "POST", strings.Repeat("X", 40)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		whole := judge(head)
		for n := range len(head) + 1 {
			got := judge(head[:n])
			if got != undecided && got != whole {
				t.Errorf("%q is %d, but %d as a whole", head[:n], got, whole)
			}
			if n > longestMethod && got == undecided {
				t.Errorf("%q is not decided", head[:n])
			}
		}
	})
}
