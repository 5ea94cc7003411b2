package pool

import (
	"fmt"
	"slices"
	"testing"

	"nutmeg/internal/config"
)

// checkSpreadOf is checkSpread as worker sees it.
func checkSpreadOf(t *testing.T, p *Pool, worker int, now int64, want string) {
	t.Helper()
	if got := spreadOf(p, worker, now); got != want {
		t.Errorf("for worker %d hashes go to %s, want %s", worker, got, want)
	}
}

// returning is a pool of count servers that return in the given way, and the
// record of those that did: "server/worker@time".
func returning(t *testing.T, how config.Return, count int) (*Pool, *[]string) {
	t.Helper()
	c := modulaPool(count)
	c.Health.Return = how
	c.Health.RetryTimeoutMax = 8 * c.Health.RetryTimeout
	var record []string
	p, err := New(c, Options{Returned: func(server, worker int, now int64) {
		record = append(record, fmt.Sprintf("%d/%d@%d", server, worker, now/second))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p, &record
}

func checkReturned(t *testing.T, record *[]string, want ...string) {
	t.Helper()
	if !slices.Equal(*record, want) {
		t.Errorf("returned: %q, want %q", *record, want)
	}
}

func TestReturnByTimeIsTold(t *testing.T) {
	p, record := returning(t, config.ReturnTime, 3)
	eject(t, p, 0, 0)
	eject(t, p, 2, second)
	checkSpreadOf(t, p, 4, retry-1, "111111")
	checkReturned(t, record)
	checkSpreadOf(t, p, 4, retry+second, "012012")
	checkReturned(t, record, "0/4@31", "2/4@31")
	if _, ok := p.Claim(0, retry, 1); ok {
		t.Error("somebody may probe a server that returns by time")
	}
}

func TestProbe(t *testing.T) {
	p, record := returning(t, config.ReturnProbe, 3)
	if _, ok := p.Claim(1, 0, 0); ok {
		t.Error("somebody may probe a server that is in")
	}
	eject(t, p, 1, 0)
	if _, ok := p.Claim(1, retry-1, 0); ok {
		t.Error("somebody may probe before the retry time")
	}
	checkSpread(t, p, 100*retry, "020202") // time alone does not bring it back
	if until, ok := p.Claim(1, retry, 2); !ok || until != 2*retry {
		t.Errorf("Claim = %d, %v", until, ok)
	}
	if _, ok := p.Claim(1, retry, 3); ok {
		t.Error("two workers probe one server")
	}
	p.Succeeded(1, retry, 2) // answers of old connections are no probes
	p.Failed(1, retry, 2, "refused")
	if p.Passed(1, retry, 3) {
		t.Error("a worker brought a server back that another probes")
	}
	if v := p.Flunked(1, retry, 3, "refused"); v.Outcome != Counted {
		t.Errorf("a worker put a server off that another probes: %+v", v)
	}
	checkSpread(t, p, retry, "020202")
	checkReturned(t, record)
	if !p.Passed(1, retry+second, 2) {
		t.Error("the probe that passed did not bring the server back")
	}
	checkSpread(t, p, retry+second, "012012")
	checkReturned(t, record, "1/2@31")
	if p.Passed(1, retry+second, 2) {
		t.Error("one probe passed twice")
	}
}

func TestFlunkedProbePutsTheServerOutForLonger(t *testing.T) {
	p, _ := returning(t, config.ReturnProbe, 3)
	eject(t, p, 1, 0)
	now := retry
	for i, times := range []int64{2, 4, 8, 8} {
		if _, ok := p.Claim(1, now, i); !ok {
			t.Fatalf("nobody may make probe %d", i+1)
		}
		now += second
		want := Verdict{Outcome: StaysOut, RetryAt: now + times*retry, Row: i + 2}
		if v := p.Flunked(1, now, i, "timed out"); v != want {
			t.Errorf("probe %d: %+v, want %+v", i+1, v, want)
		}
		if _, ok := p.Claim(1, want.RetryAt-1, i); ok {
			t.Errorf("probe %d may follow at once", i+2)
		}
		now = want.RetryAt
	}
	got := p.States(now)[1]
	if want := (State{Status: Out, Failures: limit + 4, Cause: "timed out", Ejections: 1, Row: 5, RetryAt: now}); got != want {
		t.Errorf("state %+v, want %+v", got, want)
	}
}

func TestProbeThatComesToNothingIsTakenOver(t *testing.T) {
	p, record := returning(t, config.ReturnProbe, 3)
	eject(t, p, 1, 0)
	until, _ := p.Claim(1, retry, 0)
	if _, ok := p.Claim(1, until-1, 1); ok {
		t.Error("it is taken over before its time")
	}
	if _, ok := p.Claim(1, until, 1); !ok {
		t.Error("it is not taken over")
	}
	if v := p.Flunked(1, until, 0, "late"); v.Outcome != Counted {
		t.Errorf("who lost the probe decided: %+v", v)
	}
	if p.Passed(1, until, 0) || !p.Passed(1, until, 1) {
		t.Error("who lost the probe decided, or who has it did not")
	}
	checkReturned(t, record, "1/1@60")
}

func TestProbeThatIsLateButNotTakenOverCounts(t *testing.T) {
	p, _ := returning(t, config.ReturnProbe, 3)
	eject(t, p, 1, 0)
	until, _ := p.Claim(1, retry, 0)
	if !p.Passed(1, until+second, 0) {
		t.Error("the late probe did not bring the server back")
	}
}

func TestClaimIsGoodForASecondAtLeast(t *testing.T) {
	c := modulaPool(3)
	c.Health.Return, c.Health.RetryTimeout = config.ReturnProbe, 0
	p := mustNew(t, c)
	eject(t, p, 1, 0)
	if until, ok := p.Claim(1, 5, 0); !ok || until != 5+second {
		t.Errorf("Claim = %d, %v", until, ok)
	}
}

func TestTrial(t *testing.T) {
	p, record := returning(t, config.ReturnTrial, 3)
	eject(t, p, 1, 0)
	checkSpreadOf(t, p, 0, retry-1, "020202")
	// Keys 1 and 4 are the server's. Those of the others stay where they are.
	checkSpreadOf(t, p, 2, retry, "010212")
	checkSpreadOf(t, p, 0, retry, "020202")
	if _, ok := p.Claim(1, retry, 0); ok {
		t.Error("somebody may probe a server that returns by trial")
	}
	p.Succeeded(1, retry, 0) // answers of old connections of others say nothing
	if v := p.Failed(1, retry, 0, "refused"); v.Outcome != Counted {
		t.Errorf("a failure that another worker saw decided: %+v", v)
	}
	checkSpreadOf(t, p, 0, retry, "020202")
	checkSpreadOf(t, p, 2, retry+second, "010212")
	checkReturned(t, record)
	p.Succeeded(1, retry+second, 2)
	checkSpreadOf(t, p, 0, retry+second, "012012")
	checkReturned(t, record, "1/2@31")
}

func TestFailedTrialPutsTheServerOutForLonger(t *testing.T) {
	p, record := returning(t, config.ReturnTrial, 3)
	eject(t, p, 1, 0)
	now := retry
	for i, times := range []int64{2, 4, 8, 8} {
		checkSpreadOf(t, p, i, now, "010212")
		want := Verdict{Outcome: StaysOut, RetryAt: now + times*retry, Row: i + 2}
		if v := p.Failed(1, now, i, "refused"); v != want {
			t.Errorf("trial %d: %+v, want %+v", i+1, v, want)
		}
		checkSpreadOf(t, p, i, want.RetryAt-1, "020202")
		now = want.RetryAt
	}
	checkReturned(t, record)
}

func TestOnlyAWorkerWithAKeyOfTheServerTriesIt(t *testing.T) {
	p, _ := returning(t, config.ReturnTrial, 3)
	eject(t, p, 1, 0)
	for _, hash := range []uint32{0, 2, 3, 5} {
		p.Pick(hash, retry, 0)
	}
	if got := p.States(retry)[1].Status; got != Out {
		t.Errorf("it is %v though nobody has a key of it", got)
	}
	checkSpreadOf(t, p, 1, retry, "010212")
}

func TestTrialThatComesToNothingIsTakenOver(t *testing.T) {
	p, _ := returning(t, config.ReturnTrial, 3)
	eject(t, p, 1, 0)
	checkSpreadOf(t, p, 0, retry, "010212")
	checkSpreadOf(t, p, 1, 2*retry-1, "020202")
	checkSpreadOf(t, p, 1, 2*retry, "010212")
	checkSpreadOf(t, p, 0, 2*retry, "020202")
	if v := p.Failed(1, 2*retry, 0, "late"); v.Outcome != Counted {
		t.Errorf("who lost the trial decided: %+v", v)
	}
	p.Succeeded(1, 2*retry, 0)
	checkSpreadOf(t, p, 2, 2*retry, "020202")
	p.Succeeded(1, 2*retry, 1)
	checkSpreadOf(t, p, 2, 2*retry, "012012")
}

func TestTrialOfTwoServersByTwoWorkers(t *testing.T) {
	p, record := returning(t, config.ReturnTrial, 3)
	eject(t, p, 0, 0)
	eject(t, p, 1, 0)
	if server, _ := p.Pick(0, retry, 5); server != 0 {
		t.Errorf("worker 5 does not try server 0 but has %d", server)
	}
	checkSpreadOf(t, p, 6, retry, "212212")
	checkSpreadOf(t, p, 5, retry, "022022")
	p.Succeeded(1, retry, 6)
	checkSpreadOf(t, p, 6, retry, "121212")
	checkSpreadOf(t, p, 5, retry, "021012")
	p.Succeeded(0, retry, 5)
	checkSpreadOf(t, p, 7, retry, "012012")
	checkReturned(t, record, "1/6@30", "0/5@30")
}

func TestTrialWhenAllAreEjected(t *testing.T) {
	p, _ := returning(t, config.ReturnTrial, 2)
	eject(t, p, 0, 0)
	eject(t, p, 1, second)
	checkSpreadOf(t, p, 0, retry-1, "------")
	checkSpreadOf(t, p, 1, retry, "000000")
	checkSpreadOf(t, p, 0, retry, "------")
	if v := p.Failed(0, retry, 1, "refused"); v.Outcome != StaysOut {
		t.Errorf("%+v", v)
	}
	checkSpreadOf(t, p, 1, retry, "------")
	checkSpreadOf(t, p, 1, retry+second, "111111")
	p.Succeeded(1, retry+second, 1)
	checkSpreadOf(t, p, 0, retry+second, "111111")
}

func TestReturnedMayUseThePool(t *testing.T) {
	c := modulaPool(2)
	var p *Pool
	called := 0
	p, err := New(c, Options{Returned: func(server, _ int, now int64) {
		called++
		if p.States(now)[server].Status != In {
			t.Error("told of a server that is not in")
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	eject(t, p, 1, 0)
	p.Pick(0, retry, 0)
	if called != 1 {
		t.Errorf("called %d times, want 1", called)
	}
}

func TestNothingAllocatesDuringATrial(t *testing.T) {
	p, _ := returning(t, config.ReturnTrial, 3)
	eject(t, p, 1, 0)
	checkSpreadOf(t, p, 0, retry, "010212")
	if allocs := testing.AllocsPerRun(1000, func() {
		p.Pick(1, retry, 0)
		p.Pick(1, retry, 1)
		p.Pick(2, retry, 0)
		p.Succeeded(1, retry, 1)
		p.Failed(1, retry, 1, "refused")
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
