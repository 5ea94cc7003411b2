package pool

import (
	"sync"
	"sync/atomic"
	"testing"

	"nutmeg/internal/config"
)

// Whatever many workers do at the same time, one at most tests a server, and
// in the end all servers are in.
func TestWorkersShareTheTests(t *testing.T) {
	const workers, rounds = 4, 5000
	for _, how := range []config.Return{config.ReturnTime, config.ReturnProbe, config.ReturnTrial} {
		t.Run(how.String(), func(t *testing.T) {
			c := modulaPool(5)
			c.Health.Return, c.Health.RetryTimeout = how, 20 // ns: rounds below
			var returns, ejections, probing atomic.Int64
			p, err := New(c, Options{Returned: func(int, int, int64) { returns.Add(1) }})
			if err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			for w := range workers {
				group.Go(func() {
					for now := range int64(rounds) {
						if _, ok := p.Claim(2, now, w); ok {
							if n := probing.Add(1); n != 1 {
								t.Errorf("%d workers probe one server", n)
							}
							probing.Add(-1)
							if now%2 == 0 {
								p.Flunked(2, now, w, "refused")
							} else {
								p.Passed(2, now, w)
							}
						}
						server, ok := p.Pick(uint32(now)*7+uint32(w), now, w)
						switch {
						case !ok:
						case now%3 == 0:
							p.Succeeded(server, now, w)
						case p.Failed(server, now, w, "refused").Outcome == Ejected:
							ejections.Add(1)
						}
						if now%100 == 0 {
							p.States(now)
						}
					}
				})
			}
			group.Wait()

			out := int64(0)
			for i, s := range p.States(rounds) {
				if s.Status >= Out {
					out++
				}
				restore(t, p, i, 10*rounds+10*second)
			}
			if got := returns.Load(); got != ejections.Load() {
				t.Errorf("%d returns told of %d ejections, %d of them at the end", got, ejections.Load(), out)
			}
			checkSpread(t, p, 20*second, "012340")
		})
	}
}

// restore does what brings a server back, if it is out.
func restore(t *testing.T, p *Pool, server int, now int64) {
	t.Helper()
	if _, ok := p.Claim(server, now, 0); ok {
		p.Passed(server, now, 0)
	}
	for hash := range uint32(60) { // one of them is a key of the server, however many are in
		if picked, ok := p.Pick(hash, now, 0); ok {
			p.Succeeded(picked, now, 0)
		}
	}
	if got := p.States(now)[server]; got.Status != In {
		t.Errorf("server %d cannot recover: %+v", server, got)
	}
}

// Of workers that pick at the same time, after the retry time, one tries.
func TestOneWorkerOfManyTries(t *testing.T) {
	p, _ := returning(t, config.ReturnTrial, 3)
	eject(t, p, 1, 0)
	var group sync.WaitGroup
	var trying atomic.Int64
	for w := range 32 {
		group.Go(func() {
			for range 100 {
				if server, _ := p.Pick(1, retry, w); server == 1 {
					trying.Add(1)
				}
			}
		})
	}
	group.Wait()
	if got := trying.Load(); got != 100 {
		t.Errorf("%d picks tried the server, want the 100 of one worker", got)
	}
}
