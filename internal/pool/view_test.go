package pool

import (
	"testing"

	"nutmeg/internal/config"
)

// ownersNow is the distribution that Pick asks.
func ownersNow(p *Pool) any { return p.view.Load().owners }

func TestServerThatComesAndGoesCostsNoNewDistribution(t *testing.T) {
	c := modulaPool(4)
	c.Routing.Distribution = "ketama"
	p := mustNew(t, c)
	p.Prepare()
	whole := ownersNow(p)
	eject(t, p, 0, 0)
	eject(t, p, 1, second)
	without0And1 := ownersNow(p)
	p.Pick(0, retry, 0)
	without1 := ownersNow(p)
	eject(t, p, 0, retry)
	if ownersNow(p) != without0And1 {
		t.Error("server 0 left again: another distribution")
	}
	p.Pick(0, 2*retry, 0)
	if ownersNow(p) != whole {
		t.Error("all are in: another distribution")
	}
	eject(t, p, 1, 2*retry)
	if ownersNow(p) != without1 {
		t.Error("server 1 left again: another distribution")
	}
}

// Whoever asks before the pool is prepared, and whatever happens meanwhile, gets
// the same answers as afterwards.
func TestPrepareChangesNoAnswer(t *testing.T) {
	c := modulaPool(4)
	c.Routing.Distribution = "ketama"
	for name, happens := range map[string]func(p *Pool){
		"nothing":        func(*Pool) {},
		"a server goes":  func(p *Pool) { eject(t, p, 2, 0) },
		"all servers go": func(p *Pool) { ejectAll(t, p) },
		"a server comes back": func(p *Pool) {
			eject(t, p, 2, 0)
			p.Pick(0, retry, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			early, late := mustNew(t, c), mustNew(t, c)
			late.Prepare()
			happens(early)
			happens(late)
			check := func() {
				t.Helper()
				for hash := uint32(0); hash < 1<<32-1<<24; hash += 1 << 24 {
					a, okA := early.Pick(hash, retry-1, 0)
					b, okB := late.Pick(hash, retry-1, 0)
					if a != b || okA != okB || early.Owner(hash) != late.Owner(hash) || early.Home(hash) != late.Home(hash) {
						t.Fatalf("hash %#x: server %d %v, when prepared %d %v", hash, a, okA, b, okB)
					}
				}
			}
			check()
			early.Prepare()
			check()
			early.Prepare()
			check()
		})
	}
}

// What was prepared costs Pick no detour.
func TestPreparedPoolAsksItsDistribution(t *testing.T) {
	c := modulaPool(3)
	c.Routing.Distribution = "ketama"
	p := mustNew(t, c)
	if ownersNow(p) != any(p.builder) {
		t.Fatal("built before anybody asked")
	}
	p.Prepare()
	if ownersNow(p) != any(p.builder.Whole()) {
		t.Error("a detour")
	}
	before := p.view.Load()
	if p.Prepare(); p.view.Load() != before {
		t.Error("prepared twice: another view")
	}
}

func ejectAll(t *testing.T, p *Pool) {
	t.Helper()
	for i := range p.servers {
		eject(t, p, i, 0)
	}
}

func TestFailedTrialCostsNoNewDistribution(t *testing.T) {
	c := modulaPool(4)
	c.Routing.Distribution, c.Health.Return = "ketama", config.ReturnTrial
	p := mustNew(t, c)
	eject(t, p, 0, 0)
	eject(t, p, 1, second)
	before := ownersNow(p)
	for now := retry; now < 5*retry; now += retry {
		for hash := uint32(1 << 24); hash != 0; hash += 1 << 24 {
			if server, _ := p.Pick(hash, now, 0); server == 0 {
				p.Failed(0, now, 0, "refused")
			}
		}
		if ownersNow(p) != before {
			t.Fatal("another distribution")
		}
	}
	if got := p.States(5 * retry)[0].Row; got < 4 {
		t.Errorf("%d failures in a row, so there were no trials", got)
	}
}

// The next two are about a worker that acts on a view which another has
// replaced meanwhile.

func TestTryingWhatAnotherTries(t *testing.T) {
	p, _ := returning(t, config.ReturnTrial, 2)
	eject(t, p, 1, 0)
	p.Pick(0, retry, 0)
	if !p.try(1, retry, 0) || p.try(1, retry, 1) || !p.try(1, retry, 0) {
		t.Error("not exactly the first worker tries")
	}
	p.Succeeded(1, retry, 0)
	if p.try(1, retry, 1) {
		t.Error("a worker tries a server that is in")
	}
}

func TestAdmittingWhomAnotherHasAdmitted(t *testing.T) {
	p, record := returning(t, config.ReturnTime, 2)
	eject(t, p, 1, 0)
	first := p.admit(retry, 0)
	if second := p.admit(retry, 1); second != first {
		t.Error("a second view of the same")
	}
	checkReturned(t, record, "1/0@30")
}
