package proxy

import "sync/atomic"

// found is what one worker has to say about the clients of a pool.
type found struct {
	lines   []clientLine
	count   int64
	known   bool   // of KILL USER: there is a client of that user
	itself  bool   // of KILL: who asks is one of those
	refusal []byte // an error of a server's, whole
}

// inquire answers a request of the client's with what all workers know of its pool: a client is on one of them, and sees
// only that one's. Ask is called on the goroutine of each worker and calls answer there, once, now or later. Done makes the response, on
// the client's own worker; the client may have left by then. What the client sends next waits for it.
//
// No client begins to move to another worker until all have been asked, and those on their way arrive first: each is found once. Who gives
// clients away says so and then looks whether anybody asks; who asks says so and then looks whether anybody is on the way.
func (c *client) inquire(ask func(p *workerPool, answer func(found)), done func(all []found) []byte) {
	home, of := c.worker, c.pool.census
	r := home.newRequest()
	c.accept(r, 0)
	c.alone = true
	p := home.proxy
	p.asking.Add(1)
	var unasked atomic.Int32
	unasked.Store(int32(len(p.workers)))
	asked := func() {
		if unasked.Add(-1) == 0 {
			p.asking.Add(-1)
		}
	}
	var all []found
	take := func(f found) {
		if all = append(all, f); len(all) == len(p.workers) {
			home.answer(r, done(all))
		}
	}
	var begin func()
	begin = func() {
		if p.moving.Load() != 0 {
			home.loop.Post(begin) // it takes a moment
			return
		}
		for _, w := range p.workers {
			if w == home {
				continue
			}
			w.loop.Post(func() {
				answer := func(f found) { home.loop.Post(func() { take(f) }) }
				if pool := w.poolOf[of]; pool != nil {
					ask(pool, answer)
				} else {
					answer(found{}) // a reload is under way
				}
				asked()
			})
		}
		asked()
		ask(c.pool, take) // last: with one worker it is all, and the request is gone after it
	}
	begin()
}

// every calls do with each client of the pool on this worker.
func (p *workerPool) every(do func(*client)) {
	for c := p.worker.clients; c != nil; {
		next := c.next
		if c.pool == p && !c.gone {
			do(c)
		}
		c = next
	}
}
