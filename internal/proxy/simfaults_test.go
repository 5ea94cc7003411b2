package proxy

import (
	"fmt"
	"time"
)

// fault is one thing that goes wrong with a server for a while. undo, which may be nil, ends it; mendEverything does too.
type fault struct {
	name string
	do   func(s *simulation, p *simPool, i int) (undo func())
}

var faults = []fault{
	{"killed", func(_ *simulation, p *simPool, i int) func() {
		p.servers[i].Kill()
		return p.servers[i].Revive
	}},
	{"killed, and its data lost", func(_ *simulation, p *simPool, i int) func() {
		p.loose = true
		p.servers[i].Kill()
		p.servers[i].forget()
		return p.servers[i].Revive
	}},
	{"frozen", func(_ *simulation, p *simPool, i int) func() {
		p.servers[i].Freeze()
		return p.servers[i].Thaw
	}},
	{"late", func(s *simulation, p *simPool, i int) func() {
		p.servers[i].late = max(p.timeout, 50*time.Millisecond) * time.Duration(1+s.Random().IntN(3)) / 2
		return func() { p.servers[i].late = 0 }
	}},
	{"connections reset", func(s *simulation, p *simPool, i int) func() {
		s.eachConn(p.servers[i], func(c *simSession) { c.peer.Reset() })
		return nil
	}},
	{"connections closed", func(s *simulation, p *simPool, i int) func() {
		s.eachConn(p.servers[i], func(c *simSession) { c.peer.Close() })
		return nil
	}},
	{"connections stall", func(s *simulation, p *simPool, i int) func() {
		s.eachConn(p.servers[i], func(c *simSession) {
			c.stalled = true
			c.peer.Freeze()
		})
		s.After(time.Duration(s.Random().Int64N(int64(10*time.Millisecond))), func() { s.operate(p, (*simPool).drawLimits) })
		return p.servers[i].thawConns
	}},
	{"rubbish", func(s *simulation, p *simPool, i int) func() {
		s.eachConn(p.servers[i], func(c *simSession) {
			if !c.midway {
				c.peer.SendString("\x00rubbish\r\n")
			}
		})
		return nil
	}},
	{"half an answer", func(s *simulation, p *simPool, i int) func() {
		s.eachConn(p.servers[i], func(c *simSession) { c.fate = pickOne(s.Random(), fateSilence, fateCut, fateReset) })
		p.servers[i].brittle = true
		return func() { p.servers[i].brittle = false }
	}},
	{"refusing", func(s *simulation, p *simPool, i int) func() {
		p.servers[i].StopListening()
		s.eachConn(p.servers[i], func(c *simSession) { c.peer.Reset() })
		return p.servers[i].Revive
	}},
	{"unreachable", func(s *simulation, p *simPool, i int) func() {
		s.Unreachable(p.plans[i].place)
		s.eachConn(p.servers[i], func(c *simSession) { c.peer.Reset() })
		return func() { s.Restore(p.plans[i].place) }
	}},
	{"dials hang", func(s *simulation, p *simPool, i int) func() {
		s.Hang(p.plans[i].place)
		s.eachConn(p.servers[i], func(c *simSession) { c.peer.Reset() })
		return func() { s.Restore(p.plans[i].place) }
	}},
	{"unwell", func(_ *simulation, p *simPool, i int) func() {
		p.servers[i].unwell = true
		return func() { p.servers[i].unwell = false }
	}},
	{"name gone", func(s *simulation, p *simPool, i int) func() {
		s.eachConn(p.servers[i], func(c *simSession) { c.peer.Reset() })
		plan := p.plans[i]
		if plan.host == "" {
			return nil
		}
		s.SetHost(plan.host)
		return func() { s.SetHost(plan.host, plan.ip) }
	}},
	{"no descriptors", func(s *simulation, p *simPool, i int) func() {
		s.eachConn(p.servers[i], func(c *simSession) { c.peer.Reset() })
		o := s.outsides[s.Random().IntN(len(s.outsides))]
		o.FilesExhausted = true
		return func() { o.FilesExhausted = false }
	}},
}

// thawConns lets connections go on that were stalled one by one.
func (v *simServer) thawConns() {
	for _, c := range v.conns {
		if c.stalled {
			c.stalled = false
			c.peer.Thaw()
		}
	}
}

// eachConn does something to some of a server's connections.
func (s *simulation) eachConn(v *simServer, do func(*simSession)) {
	for _, c := range v.conns {
		if !c.peer.Closed() && !oneIn(s.Random(), 3) {
			do(c)
		}
	}
}

// breakSomething makes a server fail in some way, at most until end.
func (s *simulation) breakSomething(end time.Duration) {
	r := s.Random()
	p := s.pools[r.IntN(len(s.pools))]
	f := faults[r.IntN(len(faults))]
	s.count.faults++
	s.Note(f.name)
	for _, q := range s.pools {
		if q == p || f.name == "no descriptors" {
			q.upset(end)
		}
	}
	if f.name == "no descriptors" {
		s.starving = int64(end + 200*time.Millisecond)
	}
	if oneIn(r, 4) {
		s.After(time.Duration(r.Int64N(int64(20*time.Millisecond))), func() { s.operate(p, s.changePool) })
	}
	undo := f.do(s, p, r.IntN(len(p.servers)))
	if undo != nil {
		s.After(time.Duration(r.Int64N(int64(end-s.Now())+1)), undo)
	}
}

// upset says that errors of the pool have a cause until some time after end.
func (p *simPool) upset(end time.Duration) {
	p.echoUntil = max(p.echoUntil, int64(end+p.aftermath()))
	p.loose = p.loose || p.ejects
}

// mendEverything ends all faults. Connections on which nothing more will be said are closed: their servers have restarted.
func (s *simulation) mendEverything() {
	for _, o := range s.outsides {
		o.FilesExhausted = false
	}
	for _, p := range s.pools {
		for i, v := range p.servers {
			v.Thaw()
			v.thawConns()
			v.Revive()
			v.late, v.unwell, v.brittle = 0, false, false
			plan := p.plans[i]
			s.Restore(plan.place)
			if plan.host != "" {
				s.SetHost(plan.host, plan.ip)
			}
			for _, c := range v.conns {
				if c.mute || c.fate != fateNone {
					c.peer.Reset()
				}
			}
		}
	}
}

// stray has a server send a response that nobody asked for, at a moment when nobody waits for one of this server: the
// proxy must not keep it for the next request.
func (s *simulation) stray() {
	r := s.Random()
	p := s.pools[r.IntN(len(s.pools))]
	i := r.IntN(len(p.servers))
	if !s.isQuiet(p, i) {
		return
	}
	if s.actors != nil {
		s.actors.strays[p] = int64(s.Now())
	}
	for _, c := range p.servers[i].conns {
		if c.mute || c.timed || c.midway || c.fate != fateNone {
			continue
		}
		if c.peer.SendNow([]byte(pickOne(r, "+OK\r\n", "$3\r\nyou\r\n", ":1\r\n", "END\r\n", "STORED\r\n"))) {
			s.count.faults++
		}
	}
}

// isQuiet reports whether no worker waits for anything of a server.
func (s *simulation) isQuiet(p *simPool, i int) bool {
	name, pool := p.plans[i].name, fmt.Sprintf("pool%d", p.index)
	for _, proxy := range s.proxies {
		for _, w := range proxy.workers {
			for conn := w.conns; conn != nil; conn = conn.next {
				mine := conn.server.conf.Name == name && conn.server.pool.name() == pool
				if mine && (!conn.ready || conn.queue.oldest != nil || conn.conn.Unsent() > 0) {
					return false
				}
			}
		}
	}
	return true
}
