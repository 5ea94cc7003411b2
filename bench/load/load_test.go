package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// server answers every request of the given length with what reply says, and
// gives up its connections when the test ends.
func server(t *testing.T, requestLength int, reply func(request []byte) []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, requestLength, reply)
		}
	}()
	return l.Addr().String()
}

func serve(c net.Conn, requestLength int, reply func([]byte) []byte) {
	defer func() { _ = c.Close() }()
	request := make([]byte, requestLength)
	for {
		if _, err := io.ReadFull(c, request); err != nil {
			return
		}
		if _, err := c.Write(reply(request)); err != nil {
			return
		}
	}
}

// echoes are requests of four bytes that an echo answers rightly.
func echoes(n int) []Exchange {
	all := make([]Exchange, n)
	for i := range all {
		text := fmt.Appendf(nil, "%03d\n", i)
		all[i] = Exchange{Request: text, Response: text}
	}
	return all
}

func echo(request []byte) []byte { return request }

func session(t *testing.T, addr string, l Load) *Session {
	t.Helper()
	s, err := Dial(t.Context(), addr, l)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestCountSendsExactlySoMany(t *testing.T) {
	addr := server(t, 4, echo)
	for _, pipeline := range []int{1, 7} {
		s := session(t, addr, Load{Clients: 5, Pipeline: pipeline, Exchanges: echoes(10), Order: Uniform(10)})
		for _, want := range []int{1, 100, 1001} {
			out, err := s.Count(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			if out.Requests != want || out.Latency.TotalCount() != int64(want) || out.Took <= 0 {
				t.Errorf("pipeline %d: %d requests, %d latencies in %v, want %d", pipeline, out.Requests, out.Latency.TotalCount(), out.Took, want)
			}
		}
	}
}

// What does not fit into the socket goes out when there is room.
func TestLargeRequestsAndResponsesPass(t *testing.T) {
	large := Exchange{Request: []byte(strings.Repeat("r", 8<<20)), Response: []byte(strings.Repeat("s", 8<<20))}
	addr := server(t, len(large.Request), func([]byte) []byte { return large.Response })
	s := session(t, addr, Load{Clients: 2, Pipeline: 2, Exchanges: []Exchange{large}, Order: []uint32{0}})
	if out, err := s.Count(t.Context(), 6); err != nil || out.Requests != 6 {
		t.Errorf("%d requests, error %v; want 6", out.Requests, err)
	}
}

func TestClosedLoopEndsInTime(t *testing.T) {
	s := session(t, server(t, 4, echo), Load{Clients: 3, Pipeline: 4, Exchanges: echoes(10), Order: Zipf(10)})
	out, err := s.Closed(t.Context(), 30*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if out.Took < 29*time.Millisecond || out.Requests < 12 || out.Requests%4 != 0 {
		t.Errorf("%d requests in %v", out.Requests, out.Took)
	}
}

func TestClosedLoopSendsInNoTime(t *testing.T) {
	s := session(t, server(t, 4, echo), Load{Clients: 3, Pipeline: 4, Exchanges: echoes(10), Order: Zipf(10)})
	if out, err := s.Closed(t.Context(), 0); err != nil || out.Requests < 4 {
		t.Errorf("%d requests, error %v; want 4 at least", out.Requests, err)
	}
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	s := session(t, server(t, 4, echo), Load{Clients: 3, Pipeline: 1, Exchanges: echoes(10), Order: Uniform(10)})
	out, err := s.Open(t.Context(), 2000, 250*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	// 500 are expected; the times are the same in every run, so this is not a matter of luck.
	if out.Requests < 400 || out.Requests > 600 || out.Late.TotalCount() != int64(out.Requests) {
		t.Errorf("%d requests, %d of them looked at when they went", out.Requests, out.Late.TotalCount())
	}
}

// A server that stands still for a while delays everything that was due
// meanwhile, and not only the requests that it has.
func TestOpenLoopCountsFromTheDueTime(t *testing.T) {
	const stall = 200 * time.Millisecond
	stalled := false
	addr := server(t, 4, func(request []byte) []byte {
		if !stalled {
			stalled = true
			<-time.After(stall)
		}
		return request
	})
	s := session(t, addr, Load{Clients: 1, Pipeline: 1, Exchanges: echoes(10), Order: Uniform(10)})
	out, err := s.Open(t.Context(), 1000, 2*stall)
	if err != nil {
		t.Fatal(err)
	}
	// About half of the requests were due in the stall, and half of those in its first half.
	if slow := Millis(out.Latency, 80); slow < 75 {
		t.Errorf("a fifth of the requests waited for more than %v ms, want 75 at least", slow)
	}
}

func TestWrongResponsesAreErrors(t *testing.T) {
	cases := []struct {
		name  string
		reply func([]byte) []byte
		loose bool
		want  string
	}{
		{"one wrong byte", func([]byte) []byte { return []byte("xyz\n") }, false, "wrong response"},
		{"one byte too many", func(r []byte) []byte { return append(slices.Clone(r), '!') }, false, "nobody asked for"},
		{"too many bytes of a loose load", func([]byte) []byte { return []byte("xyz\n!") }, true, "nobody asked for"},
		{"what differs is fine when loose", func([]byte) []byte { return []byte("xyz\n") }, true, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := session(t, server(t, 4, c.reply), Load{Clients: 1, Pipeline: 1, Exchanges: echoes(10), Order: Uniform(10), Loose: c.loose})
			_, err := s.Count(t.Context(), 10)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestClosedConnectionIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
		}
	}()
	s := session(t, l.Addr().String(), Load{Clients: 1, Pipeline: 1, Exchanges: echoes(10), Order: Uniform(10)})
	if _, err := s.Count(t.Context(), 10); err == nil {
		t.Error("no error after the server has gone")
	}
}

func TestCanceledRunStops(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	s := session(t, server(t, 4, echo), Load{Clients: 1, Pipeline: 1, Exchanges: echoes(10), Order: Uniform(10)})
	if _, err := s.Open(ctx, 10, time.Hour); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

func TestBlocksMayComeInAnyOrder(t *testing.T) {
	e := Exchange{Response: []byte("aabbccEND"), Blocks: 3, BlockSize: 2}
	for got, want := range map[string]bool{
		"aabbccEND": true, "ccaabbEND": true,
		"aabbbbEND": false, "aabbcdEND": false, "aabbccENE": false,
	} {
		if e.Right([]byte(got)) != want {
			t.Errorf("%s is right: %v, want %v", got, !want, want)
		}
	}
}

func TestOrders(t *testing.T) {
	const n = 1000
	often := func(order []uint32) (most, different int) {
		counts := map[uint32]int{}
		for _, i := range order {
			if i >= n {
				t.Fatalf("%d is not below %d", i, n)
			}
			counts[i]++
			most = max(most, counts[i])
		}
		return most, len(counts)
	}
	if most, different := often(Uniform(n)); most > 150 || different != n {
		t.Errorf("uniform: %d of %d different, one of them %d times", different, n, most)
	}
	if most, different := often(Zipf(n)); most < 1000 || different < n/2 {
		t.Errorf("zipf: %d of %d different, one of them %d times", different, n, most)
	}
	if !slices.Equal(Zipf(n), Zipf(n)) {
		t.Error("two runs have different orders")
	}
}

func TestLoadIsChecked(t *testing.T) {
	for _, l := range []Load{
		{Clients: 0, Pipeline: 1, Exchanges: echoes(1), Order: Uniform(1)},
		{Clients: 1, Pipeline: 0, Exchanges: echoes(1), Order: Uniform(1)},
		{Clients: 1, Pipeline: 1, Order: Uniform(1)},
	} {
		if s, err := Dial(t.Context(), "127.0.0.1:1", l); err == nil {
			s.Close()
			t.Errorf("%+v is accepted", l)
		}
	}
}
