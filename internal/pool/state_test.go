package pool

import (
	"testing"

	"nutmeg/internal/config"
)

func TestStatesOfALife(t *testing.T) {
	p, _ := returning(t, config.ReturnProbe, 3)
	check := func(now int64, words string, want State) {
		t.Helper()
		got := p.States(now)
		if got[1] != want || got[1].String() != words {
			t.Errorf("at %d s: %q %+v, want %q %+v", now/second, got[1], got[1], words, want)
		}
		if got[0] != (State{}) || got[2] != (State{}) {
			t.Errorf("at %d s: states of others %+v", now/second, got)
		}
	}
	check(0, "in", State{})
	p.Failed(1, 3*second, 0, "refused")
	check(4*second, "failing", State{Status: Failing, Since: 3 * second, Failures: 1, Cause: "refused"})
	p.Succeeded(1, 5*second, 1)
	check(6*second, "in", State{Since: 5 * second, Cause: "refused"})
	p.Succeeded(1, 6*second, 1)
	p.Failed(1, 7*second, 0, "refused")
	p.Failed(1, 8*second, 0, "timed out")
	out := State{Status: Out, Since: 8 * second, Failures: 2, Cause: "timed out", Ejections: 1, Row: 1, RetryAt: 38 * second}
	check(9*second, "ejected", out)
	p.Failed(1, 9*second, 1, "late")
	check(99*second, "ejected", out)
	p.Claim(1, 40*second, 0)
	check(41*second, "probing", State{Status: Probing, Since: 40 * second, Failures: 2, Cause: "timed out", Ejections: 1, Row: 1, RetryAt: 70 * second})
	check(70*second, "ejected", out) // the claim is over
	p.Flunked(1, 50*second, 0, "closed")
	check(51*second, "ejected", State{Status: Out, Since: 8 * second, Failures: 3, Cause: "closed", Ejections: 1, Row: 2, RetryAt: 110 * second})
	p.Claim(1, 110*second, 0)
	p.Passed(1, 111*second, 0)
	check(112*second, "in", State{Since: 111 * second, Cause: "closed", Ejections: 1, Row: 2})
	check(171*second, "in", State{Since: 111 * second, Cause: "closed", Ejections: 1}) // two retry times later
}

func TestStateOfATrial(t *testing.T) {
	p, _ := returning(t, config.ReturnTrial, 3)
	eject(t, p, 1, 0)
	checkSpreadOf(t, p, 3, retry, "010212")
	want := State{Status: Trial, Since: retry, Failures: limit, Cause: "refused", Ejections: 1, Row: 1, RetryAt: 2 * retry}
	if got := p.States(retry)[1]; got != want || got.String() != "trial" {
		t.Errorf("state %q %+v, want %+v", got, got, want)
	}
}

func TestFailuresShowWithoutEjection(t *testing.T) {
	c := modulaPool(2)
	c.Health.AutoEject = false
	p := mustNew(t, c)
	for range 10 {
		p.Failed(0, second, 0, "refused")
	}
	want := State{Status: Failing, Since: second, Failures: 10, Cause: "refused"}
	if got := p.States(second)[0]; got != want {
		t.Errorf("state %+v, want %+v", got, want)
	}
}
