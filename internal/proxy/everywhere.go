package proxy

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
func (c *client) inquire(ask func(p *workerPool, answer func(found)), done func(all []found) []byte) {
	home, of := c.worker, c.pool.census
	r := home.newRequest()
	c.accept(r, 0)
	c.alone = true
	var all []found
	take := func(f found) {
		if all = append(all, f); len(all) == len(home.proxy.workers) {
			home.answer(r, done(all))
		}
	}
	for _, w := range home.proxy.workers {
		if w == home {
			continue
		}
		w.loop.Post(func() {
			answer := func(f found) { home.loop.Post(func() { take(f) }) }
			if p := w.poolOf[of]; p != nil {
				ask(p, answer)
			} else {
				answer(found{}) // a reload is under way
			}
		})
	}
	ask(c.pool, take) // last: with one worker it is all, and the request is gone after it
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
