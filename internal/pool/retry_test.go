package pool

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"nutmeg/internal/config"
)

// eject reports failures of server, at the same time, up to its ejection, and
// returns the verdict on the last.
func eject(t *testing.T, p *Pool, server int, now int64) Verdict {
	t.Helper()
	for range limit - 1 {
		if v := p.Failed(server, now, 0, "refused"); v.Outcome != Counted {
			t.Fatalf("a failure below the limit led to %+v", v)
		}
	}
	v := p.Failed(server, now, 0, "refused")
	if v.Outcome != Ejected {
		t.Fatalf("the last failure led to %+v, not to an ejection", v)
	}
	return v
}

func TestRetryTime(t *testing.T) {
	tests := []struct {
		rule      string
		base, max time.Duration
		want      []int64 // of the first, the second ... time in a row
	}{
		{"without a maximum it does not grow", 5, 0, []int64{5, 5, 5}},
		{"with a maximum it doubles up to it", 5, 30, []int64{5, 10, 20, 30, 30}},
		{"a power of two is reached exactly", 5, 20, []int64{5, 10, 20, 20}},
		{"a maximum that equals the first keeps it", 5, 5, []int64{5, 5}},
		{"nothing doubles to nothing", 0, 30, []int64{0, 0, 0}},
		{"the longest does not overflow", math.MaxInt64 / 2, math.MaxInt64, []int64{math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			policy := config.Health{RetryTimeout: tt.base, RetryTimeoutMax: tt.max}
			for i, want := range tt.want {
				if got := retryTime(&policy, i+1); got != want {
					t.Errorf("time %d in a row: %d, want %d", i+1, got, want)
				}
			}
		})
	}
}

func TestEachEjectionInARowIsLonger(t *testing.T) {
	c := modulaPool(3)
	c.Health.RetryTimeoutMax = 4 * c.Health.RetryTimeout
	p := mustNew(t, c)
	now := int64(0)
	for i, times := range []int64{1, 2, 4, 4} {
		if v := eject(t, p, 1, now); v.RetryAt != now+times*retry || v.Row != i+1 {
			t.Fatalf("ejection %d: %+v, want %d retry times and row %d", i+1, v, times, i+1)
		}
		now += times * retry
		checkSpread(t, p, now-1, "020202")
		checkSpread(t, p, now, "012012")
		p.Succeeded(1, now, 0) // a success alone does not end the row
	}
}

func TestRowEndsWhenAServerWasInForItsLastRetryTime(t *testing.T) {
	c := modulaPool(3)
	c.Health.RetryTimeoutMax = 100 * c.Health.RetryTimeout
	for _, tt := range []struct {
		rule  string
		in    int64 // how long it is in after its second ejection, of two retry times
		wantN int
	}{
		{"a moment less goes on", 2*retry - 1, 3},
		{"as long ends it", 2 * retry, 1},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := mustNew(t, c)
			eject(t, p, 1, 0)
			checkSpread(t, p, retry, "012012")
			eject(t, p, 1, retry)
			back := 3 * retry
			checkSpread(t, p, back, "012012")
			if got, want := p.States(back + tt.in)[1].Row, tt.wantN-1; got != want {
				t.Errorf("the state shows a row of %d, want %d", got, want)
			}
			if v := eject(t, p, 1, back+tt.in); v.Row != tt.wantN {
				t.Errorf("the next ejection is number %d in a row, want %d", v.Row, tt.wantN)
			}
		})
	}
}

func TestJitterMakesRetryTimesLongerByUpToItsShare(t *testing.T) {
	times := func(seed uint64, percent int) (all []int64) {
		c := modulaPool(2)
		c.Health.RetryJitter = percent
		p, err := New(c, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		now := int64(0)
		for range 200 {
			v := eject(t, p, 1, now)
			all = append(all, v.RetryAt-now)
			now = v.RetryAt
			p.Pick(1, now, 0)
		}
		return all
	}
	with := times(1, 20)
	if low, high := slices.Min(with), slices.Max(with); low < retry || low > retry+retry/50 || high > retry+retry/5 || high < retry+retry*18/100 {
		t.Errorf("retry times lie between %d and %d, want nearly all of %d to %d", low, high, retry, retry+retry/5)
	}
	if !slices.Equal(with, times(1, 20)) {
		t.Error("the same seed makes other retry times")
	}
	if slices.Equal(with, times(2, 20)) {
		t.Error("another seed makes the same retry times")
	}
	if without := times(1, 0); slices.Max(without) != retry {
		t.Errorf("without jitter a retry time of %d, want %d", slices.Max(without), retry)
	}
}

func TestEndlessJitterDoesNotOverflow(t *testing.T) {
	c := modulaPool(2)
	c.Health.RetryTimeout, c.Health.RetryTimeoutMax, c.Health.RetryJitter = math.MaxInt64, math.MaxInt64, 100
	p := mustNew(t, c)
	if v := eject(t, p, 1, second); v.RetryAt != never-1 {
		t.Errorf("it returns at %d, want %d", v.RetryAt, int64(never-1))
	}
}

func TestFloor(t *testing.T) {
	tests := []struct {
		servers, percent int
		ejected          int
	}{
		{4, 0, 4},
		{4, 1, 3},
		{4, 25, 3},
		{4, 26, 2},
		{4, 50, 2},
		{4, 75, 1},
		{4, 76, 0},
		{4, 100, 0},
		{3, 34, 1},
		{3, 33, 2},
		{1, 0, 1},
		{1, 1, 0},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d%% of %d", tt.percent, tt.servers), func(t *testing.T) {
			c := modulaPool(tt.servers)
			c.Health.Floor = tt.percent
			p := mustNew(t, c)
			for server := range tt.servers {
				want := Ejected
				if server >= tt.ejected {
					want = Kept
				}
				p.Failed(server, 0, 0, "refused")
				if v := p.Failed(server, 0, 0, "refused"); v.Outcome != want {
					t.Errorf("server %d: %+v, want outcome %d", server, v, want)
				}
				if got := p.States(0)[server]; got.Kept != (want == Kept) || got.Failures != limit {
					t.Errorf("server %d: state %+v", server, got)
				}
			}
		})
	}
}

func TestServerThatTheFloorKeptIn(t *testing.T) {
	c := modulaPool(2)
	c.Health.Floor = 50
	p := mustNew(t, c)
	eject(t, p, 0, 0)
	for i := range 3 * limit {
		if v := p.Failed(1, second, 0, "timed out"); (v.Outcome == Kept) != (i+1 >= limit) || v.RetryAt != 0 {
			t.Errorf("failure %d: %+v", i+1, v)
		}
	}
	checkSpread(t, p, second, "111111")
	if got := p.States(second)[1].String(); got != "failing, kept in by server_floor" {
		t.Errorf("state %q", got)
	}

	t.Run("is ejected by its next failure once the floor allows it", func(t *testing.T) {
		checkSpread(t, p, retry, "010101")
		if v := p.Failed(1, retry, 0, "timed out"); v.Outcome != Ejected {
			t.Errorf("%+v", v)
		}
		checkSpread(t, p, retry, "000000")
	})
}

func TestSuccessOfAServerThatTheFloorKeptIn(t *testing.T) {
	c := modulaPool(1)
	c.Health.Floor = 1
	p := mustNew(t, c)
	for range limit {
		p.Failed(0, 0, 0, "timed out")
	}
	p.Succeeded(0, 7, 0)
	if got, want := p.States(7)[0], (State{Since: 7, Cause: "timed out"}); got != want {
		t.Errorf("state %+v, want %+v", got, want)
	}
	p.Failed(0, 8, 0, "refused")
	if got := p.States(8)[0].String(); got != "failing" {
		t.Errorf("state %q after one more failure", got)
	}
}
