package proxy

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
)

// What operators do: reloads, upgrades, stops. No client may notice, but for those whose pool goes and those who are to leave.

// operate does one of these things, if it can be done now: an upgrade, or a reload with another pool p.
func (s *simulation) operate(p *simPool, change func(*simPool, *rand.Rand)) {
	r := s.Random()
	switch {
	case s.busy || s.draining || s.Now() >= s.until || s.reloads == 0:
	case oneIn(r, 4):
		s.upgrade()
	default:
		loose, listens := p.loose, p.listens
		p.loose = false
		change(p, r)
		if s.actors != nil && (p.loose || p.listens != listens) {
			s.actors.changes[p] = int64(s.Now() + 50*time.Millisecond) // until workers and clients know
		}
		p.loose = p.loose || loose
		s.reload(p)
	}
}

// changePool changes something in a pool.
func (s *simulation) changePool(p *simPool, r *rand.Rand) {
	switch r.IntN(8) {
	case 0:
		for i := range p.plans {
			p.plans[i].weight = 1 + r.IntN(3)
		}
		p.loose = true
	case 1, 2:
		v := &p.plans[r.IntN(len(p.plans))]
		if v.out = !v.out; p.size() == 0 {
			v.out = false
		}
		p.loose = true
	case 3, 4, 5:
		p.drawLimits(r)
	case 6:
		s.moves++
		p.listens = fmt.Sprintf("127.0.0.1:%d", 23000+s.moves)
		s.doom(p, func(c *simClient) bool { return c.answers == 0 }) // the proxy may not have accepted it yet
	default:
		s.comeOrGo(p)
	}
}

// reload has the proxy go over to the configuration as it is now; p is what has changed.
func (s *simulation) reload(p *simPool) {
	conf, err := config.Parse("sim.yml", []byte(s.text()))
	if err != nil {
		s.fail("%v", err)
		return
	}
	s.Note("reload")
	s.count.reloads++
	s.busy = true
	s.proxy.Change(conf, func(err error) {
		if err != nil {
			s.fail("reload: %v", err)
		}
		if p.listen != p.listens {
			s.doom(p, func(c *simClient) bool { return c.answers == 0 })
		}
		p.listen, p.absent = p.listens, p.out
		s.busy = false
	})
}

// comeOrGo takes a pool out of the configuration, unless it is the last one, or puts it back.
func (s *simulation) comeOrGo(p *simPool) {
	present := 0
	for _, q := range s.pools {
		if !q.out {
			present++
		}
	}
	switch {
	case p.out:
		p.out = false
	case present > 1:
		p.out, p.absent = true, true
		p.loose = true // what is under way may happen after the pool has come back
		s.doom(p, func(*simClient) bool { return true })
	}
}

// doom says of clients that they may lose their connection.
func (s *simulation) doom(p *simPool, which func(*simClient) bool) {
	for _, c := range s.clients {
		if c.pool == p && which(c) {
			c.doomed = true
		}
	}
}

// upgrade has a second proxy take everything over from the first.
func (s *simulation) upgrade() {
	old := s.proxy
	conf, err := config.Parse("sim.yml", []byte(s.text()))
	if err != nil {
		s.fail("%v", err)
		return
	}
	s.Note("upgrade")
	s.count.upgrades++
	next, err := s.newProxy(conf, 1+s.Random().IntN(4))
	if err == nil {
		err = next.Listen(func(at config.Address) evloop.Socket {
			if l := old.listeners[at]; l != nil {
				return l.socket.Release()
			}
			return nil
		})
	}
	if err != nil {
		s.fail("upgrade: %v", err)
		return
	}
	s.Join(next.Loops()...)
	old.HandOver(func(h Handed) {
		if err := next.Adopt(h); err != nil {
			s.fail("upgrade: %v", err)
		}
	}, old.Stop)
	s.busy = true
	s.awaitEnd(old)
}

// awaitEnd looks now and then whether a proxy has nothing left to do.
func (s *simulation) awaitEnd(old *Proxy) {
	if old.ended() {
		s.busy = false
		return
	}
	s.After(10*time.Millisecond, func() { s.awaitEnd(old) })
}

// flowBytes is from which size responses flow in a run. It is not drawn: seeds keep their meaning.
func (s *simulation) flowBytes() int { return [...]int{1, flowBytes, 1}[s.Seed()%3] }

// newProxy makes a proxy of the simulation, the one that it is about from then on.
func (s *simulation) newProxy(conf *config.Config, workers int) (*Proxy, error) {
	outsides := make([]evloop.Outside, workers)
	for i := range outsides {
		o := s.Outside(fmt.Sprintf("proxy%d-worker%d", len(s.proxies), i))
		s.outsides = append(s.outsides, o)
		outsides[i] = o
	}
	p, err := New(conf, outsides, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if s.agitation != nil {
		p.pace = simPace
	}
	for _, w := range p.workers {
		if w.flowBytes = s.flowBytes(); w.flowBytes == 1 {
			w.flowAhead = 1000
		}
	}
	s.proxy = p
	s.proxies = append(s.proxies, p)
	s.loops = append(s.loops, p.Loops()...)
	return p, nil
}

// drain ends the proxy, while clients are at work or not.
func (s *simulation) drain() {
	if s.busy {
		return
	}
	s.Note("drain")
	s.draining = true
	s.proxy.Drain()
}

// mayLose reports whether a client's connection may end though the client waits for more.
func (s *simulation) mayLose(c *simClient) bool {
	if s.draining || c.doomed || c.pool.limited {
		return true
	}
	idle, now := c.pool.idle, s.Now()
	const crossing = 2 * time.Millisecond // what it sends at the moment at which it is closed is lost
	switch since := now - c.active; {
	case idle == 0, since > crossing && since < idle-100*time.Millisecond:
		return false
	case c.flight == 0:
		return true
	}
	return now-time.Duration(c.ops[c.first].sentAt) < crossing
}
