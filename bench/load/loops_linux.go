package load

import (
	"context"
	"math/rand/v2"
	"runtime"
	"time"
)

// Closed loads for the given time: each client sends its next requests when it
// has all responses to the last ones. It ends when the last one is answered. At
// least one client sends, however short the time and busy the machine.
func (s *Session) Closed(ctx context.Context, length time.Duration) (Outcome, error) {
	var end int64
	return s.closed(ctx, func(now int64) int {
		if end == 0 {
			end = now + max(1, int64(length))
		}
		if now >= end {
			return 0
		}
		return s.load.Pipeline
	})
}

// Count is Closed with a number of requests instead of a time.
func (s *Session) Count(ctx context.Context, requests int) (Outcome, error) {
	left := requests
	return s.closed(ctx, func(int64) int {
		n := min(left, s.load.Pipeline)
		left -= n
		return n
	})
}

// closed asks next how many requests a client shall send now, and stops when
// it says 0.
func (s *Session) closed(ctx context.Context, next func(now int64) int) (Outcome, error) {
	s.answered = func(c *conn) error {
		now := s.now()
		if n := next(now); n > 0 {
			return s.send(c, n, now)
		}
		return nil
	}
	begun := false
	return s.run(ctx, func() (int64, error) {
		if begun {
			return -1, nil
		}
		begun = true
		for i := range s.conns {
			if err := s.answered(&s.conns[i]); err != nil {
				return -1, err
			}
		}
		return -1, nil
	})
}

// Open sends perSecond requests in a second for the given time: at random
// times, as many clients that know nothing of each other do (a Poisson process,
// the same in every run), client after client, no matter what has been
// answered. It ends when the last one is answered.
func (s *Session) Open(ctx context.Context, perSecond float64, length time.Duration) (Outcome, error) {
	end := s.now() + int64(length)
	return s.open(ctx, perSecond, func(due int64) bool { return due >= end })
}

// OpenUntil is Open until done is closed.
func (s *Session) OpenUntil(ctx context.Context, perSecond float64, done <-chan struct{}) (Outcome, error) {
	return s.open(ctx, perSecond, func(int64) bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}

// open asks over whether the request that is due then shall not be sent any
// more, nor any after it.
func (s *Session) open(ctx context.Context, perSecond float64, over func(due int64) bool) (Outcome, error) {
	s.answered = func(*conn) error { return nil }
	random := rand.New(rand.NewPCG(3, uint64(perSecond)))
	gap := func() int64 { return int64(random.ExpFloat64() / perSecond * 1e9) }
	due, turn := s.now()+gap(), 0
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer preciseTimers()()
	return s.run(ctx, func() (int64, error) {
		for now := s.now(); due <= now; now = s.now() {
			if over(due) {
				return -1, nil
			}
			if err := s.send(&s.conns[turn], 1, due); err != nil {
				return -1, err
			}
			_ = s.out.Late.RecordValue(now - due)
			turn = (turn + 1) % len(s.conns)
			due += gap()
		}
		return due, nil
	})
}
