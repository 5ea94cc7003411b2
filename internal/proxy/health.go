package proxy

import (
	"context"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/pool"
)

// failed counts a failure of the server towards its ejection.
func (s *server) failed(cause string) {
	if s.ended {
		return
	}
	w := s.pool.worker
	now := w.loop.Now()
	verdict := s.health.Failed(s.index, now, w.index, cause)
	switch verdict.Outcome {
	case pool.Ejected:
		s.stats.EjectedAt = w.loop.Outside().Wall().UnixMicro()
		s.pool.stats.ServerEjects++
		s.logOut("server ejected", verdict, cause)
		s.scheduleProbe(verdict.RetryAt)
	case pool.StaysOut:
		s.logOut("server stays out: its trial failed", verdict, cause)
	case pool.Kept:
		w.logServer(s, "server fails, but server_floor keeps it in", "cause", cause)
	}
}

func (s *server) logOut(message string, verdict pool.Verdict, cause string) {
	w := s.pool.worker
	w.log.Warn(message, "pool", s.pool.name(), "server", s.conf.Name, "cause", cause,
		"for", time.Duration(verdict.RetryAt-w.loop.Now()), "in_a_row", verdict.Row)
}

// scheduleProbes arms timers for the servers of the pool that are out. Several workers may: who comes first has the claim.
func (p *workerPool) scheduleProbes() {
	if p.conf.Health.Return != config.ReturnProbe {
		return
	}
	for i, state := range p.health.States(p.worker.loop.Now()) {
		if state.RetryAt != 0 {
			p.servers[i].scheduleProbe(state.RetryAt)
		}
	}
}

func (s *server) scheduleProbe(at int64) {
	if loop := s.pool.worker.loop; s.pool.conf.Health.Return == config.ReturnProbe {
		loop.Arm(&s.retry, max(at, loop.Now()+minProbeInterval), s)
	}
}

// minProbeInterval keeps probes of a server that refuses them apart, however short its retry time is, which may be 0.
const minProbeInterval = int64(100 * time.Millisecond)

// Expired says that the server, which is out, may be probed, or that its probe is taking too long. The question goes the
// way of every request, on a connection that requests take later: so it finds out all that they need, name, connection,
// password and database.
func (s *server) Expired() {
	w := s.pool.worker
	if conn := s.probing; conn != nil {
		conn.conn.Close()
		conn.fail(failTimedOut)
		return
	}
	until, ok := s.health.Claim(s.index, w.loop.Now(), w.index)
	if !ok {
		return // it is back, or another worker asks
	}
	conn := s.lane.conns[0]
	if conn == nil {
		conn = s.open(&s.lane, 0, nil)
	}
	s.probing = conn
	w.loop.Arm(&s.retry, until, s)
	question, expects := s.pool.protocol.probe()
	r := w.newRequest()
	r.probe, r.expects = true, expects
	conn.append([]byte(question))
	conn.enqueue(r, len(question))
}

// probed takes the outcome of a probe: why the server is not well, or "".
func (s *server) probed(unwell string) {
	w := s.pool.worker
	s.probing = nil
	w.loop.Disarm(&s.retry)
	if s.ended {
		return
	}
	if unwell == "" {
		s.health.Passed(s.index, w.loop.Now(), w.index)
		return
	}
	if verdict := s.health.Flunked(s.index, w.loop.Now(), w.index, unwell); verdict.Outcome == pool.StaysOut {
		s.logOut("server stays out: it failed its probe", verdict, unwell)
		s.scheduleProbe(verdict.RetryAt)
	}
}

// ServerHealth is what the proxy knows of one server.
type ServerHealth struct {
	Pool, Server, Address string
	Status                string        // in, failing, ejected, probing, trial; with a remark if the floor keeps it in
	Since                 time.Time     // when that began; zero: from the start
	Cause                 string        // of the last failure; "" = there was none
	Failures              int           // without a success in between
	Ejections             int           // in all
	Retry                 time.Duration // until an ejected server may come back; 0 if it is in
}

// Health returns what the proxy knows of its servers, in the order of the configuration.
func (p *Proxy) Health(ctx context.Context) ([]ServerHealth, error) {
	answer := make(chan []ServerHealth, 1)
	first := p.workers[0]
	first.loop.Post(func() { answer <- first.generation.describe(first.loop.Now(), first.loop.Outside().Wall()) })
	select {
	case list := <-answer:
		return list, nil
	case <-p.stopped:
		return nil, errStopping
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *generation) describe(now int64, wall time.Time) (list []ServerHealth) {
	for i := range g.pools {
		sp := &g.pools[i]
		for j, state := range sp.health.States(now) {
			server := &sp.conf.Servers[j]
			h := ServerHealth{
				Pool: sp.conf.Name, Server: server.Name, Address: server.Address.String(), Status: state.String(),
				Cause: state.Cause, Failures: state.Failures, Ejections: state.Ejections,
			}
			if state.Since != 0 {
				h.Since = wall.Add(time.Duration(state.Since - now))
			}
			if state.RetryAt != 0 {
				h.Retry = time.Duration(max(state.RetryAt-now, 0))
			}
			list = append(list, h)
		}
	}
	return list
}
