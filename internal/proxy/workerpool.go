package proxy

import (
	"os"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/pool"
	"nutmeg/internal/stats"
)

// workerPool is a pool as one worker sees it: the clients and server connections that the worker has of it.
type workerPool struct {
	worker   *worker
	shared   *sharedPool
	conf     *config.Pool
	health   *pool.Pool
	protocol protocol
	servers  []*server
	timeout  int64 // nanoseconds; 0 = none
	stats    *stats.Pool
	listener *evloop.Listener // of the worker that accepts

	socketFile os.FileInfo // of the listening unix socket, if it is one and of the worker that accepts
}

// protocol is what differs between Redis and memcached.
type protocol interface {
	// request takes one request, or the part of it that has come, off the front of data and returns its size in data.
	request(c *client, data []byte, source input) int
	// response takes one response, or the part of it that has come, off the front of data.
	response(s *serverConn, data []byte) (n int, done bool, err error)
	// inspect looks at a whole response, of which flat is all unless nil. It reports whether the server seems well.
	inspect(s *serverConn, r *request, flat []byte) bool
	// merge makes the response of a parent whose children all have theirs.
	merge(p *workerPool, parent *request)
	// appendFailure appends the error that tells a client the cause.
	appendFailure(dst []byte, cause *failure) []byte
	// greeting is what a new connection begins with, and the answers that it gets.
	greeting() (hello []byte, steps []greeting)
	// tooSlow tells a client that its request took too long to come, and closes it. What has come of it is dropped already.
	tooSlow(c *client)
	// tooManyClients is the error that a client is turned away with.
	tooManyClients() string
}

func newWorkerPool(w *worker, shared *sharedPool, st *stats.Pool) *workerPool {
	conf := shared.conf
	p := &workerPool{worker: w, shared: shared, conf: conf, health: shared.health, timeout: int64(conf.Timeout), stats: st}
	if conf.Protocol == config.Redis {
		p.protocol = newRedisProtocol(conf.RedisAuth, conf.RedisDB)
	} else {
		p.protocol = memcacheProtocol{}
	}
	for i := range conf.Servers {
		s := &conf.Servers[i]
		p.servers = append(p.servers, &server{
			pool: p, index: i, conf: s, stats: &st.Servers[i],
			address: evloop.Address{Host: s.Address.Host, Port: s.Address.Port, Path: s.Address.Path},
			lane:    newLane(conf.ServerConnections),
		})
	}
	return p
}

func (p *workerPool) name() string { return p.conf.Name }

// pick returns the server of a key, nil if all servers are ejected.
func (p *workerPool) pick(key []byte) *server {
	var hash uint32
	if p.shared.random {
		hash = uint32(p.worker.loop.Outside().Random())
	} else {
		hash = p.health.Hash(key)
	}
	i, ok := p.health.Pick(hash, p.worker.loop.Now())
	if !ok {
		return nil
	}
	return p.servers[i]
}

// forward sends a whole request to a server.
func (c *client) forward(m *message, sv *server, expects uint8) {
	n := m.size()
	conn := sv.connFor(c, n)
	if cause := conn.refusal(); cause != nil {
		c.replyFailure(cause)
		return
	}
	r := c.worker.newRequest()
	r.expects = expects
	m.sendAll(conn)
	c.accept(r, n)
	conn.enqueue(r, n)
}

// replyFailure answers a request that cannot be sent to any server.
func (c *client) replyFailure(cause *failure) {
	w := c.worker
	c.pool.stats.ForwardError++
	w.scratch = c.pool.protocol.appendFailure(w.scratch[:0], cause)
	c.reply(w.scratch)
}

// Accepted gives a new client to the worker that has the fewest.
func (p *workerPool) Accepted(s evloop.Socket) {
	shared := p.shared
	if limit := int64(p.conf.ClientConnections); limit > 0 && shared.clients.Load() >= limit {
		p.turnAway(s, limit)
		return
	}
	if limit := p.worker.proxy.maxClients.Load(); limit > 0 && p.worker.proxy.clients() >= limit {
		p.turnAway(s, limit)
		return
	}
	shared.clients.Add(1)
	to := p.worker.proxy.leastLoaded()
	to.load.Add(1)
	if to == p.worker {
		p.admit(s)
		return
	}
	target := to.pools[shared.index]
	to.loop.Post(func() { target.admit(s) })
}

// AcceptFailed says that the process has no descriptor for another client.
func (p *workerPool) AcceptFailed(err error) {
	p.reached(limitDescriptors, nil, "cause", err)
}

// turnAway tells a client over the limit why it is closed.
func (p *workerPool) turnAway(s evloop.Socket, limit int64) {
	w := p.worker
	p.reached(limitConnections, s.Peer, "limit", limit)
	c := &client{worker: w, pool: p, leaving: true, gone: true}
	if w.loop.Adopt(&c.conn, s, c) == nil {
		c.conn.SendString(p.protocol.tooManyClients())
		c.conn.CloseGracefully(nil)
	}
}

// admit begins to serve a client that was accepted for this worker.
func (p *workerPool) admit(s evloop.Socket) {
	w := p.worker
	w.serial++
	c := &client{worker: w, pool: p, serial: w.serial, expected: firstExpected, guessed: guessedResponses, authenticated: p.conf.RedisAuth == ""}
	c.watchIdle()
	c.next = w.clients
	if c.next != nil {
		c.next.previous = c
	}
	w.clients = c
	p.stats.ClientConnections++
	w.stats.TotalConnections++
	if err := w.loop.Adopt(&c.conn, s, c); err != nil {
		w.log.Error("cannot serve a client", "pool", p.name(), "cause", err)
		c.depart(false)
	}
}

// forget takes a client that has left out of the worker's books.
func (p *workerPool) forget(c *client, orderly bool) {
	w := p.worker
	if c.previous != nil {
		c.previous.next = c.next
	} else {
		w.clients = c.next
	}
	if c.next != nil {
		c.next.previous = c.previous
	}
	c.previous, c.next = nil, nil
	w.load.Add(-1)
	p.shared.clients.Add(-1)
	p.stats.ClientConnections--
	if orderly {
		p.stats.ClientEOF++
	} else {
		p.stats.ClientErr++
	}
}
