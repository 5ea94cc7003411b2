package proxy

import (
	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
	"nutmeg/internal/pool"
	"nutmeg/internal/stats"
)

// workerPool is a pool as one worker sees it: the clients and server connections that the worker has of it.
type workerPool struct {
	worker   *worker
	census   *census
	conf     *config.Pool
	health   *pool.Pool
	random   bool // any server will do
	protocol protocol
	servers  []*server
	timeout  int64 // nanoseconds; 0 = none
	eras     int   // of the servers' lanes: how many there have been
	cursors  cursors

	successions map[evloop.Address]*succession
	stats       *stats.Pool

	audience []int     // by worker: how many clients are shown requests; nil while none is
	monitors []*client // those of this worker
	tape     tape

	identities map[identityKey]*identity // but the pool's own
	seen       seenScripts
}

// protocol is what differs between Redis and memcached.
type protocol interface {
	// request takes one request, or the part of it that has come, off the front of data and returns its size in data.
	request(c *client, data []byte, source input) int
	// again dispatches a request that was held.
	again(c *client, m *message)
	// response takes one response, or the part of it that has come, off the front of data.
	response(s *serverConn, data []byte) (n int, done bool, err error)
	// flows reports whether the response that is coming is no error and is r's for sure: its client may get the beginning before the end has come.
	flows(s *serverConn, r *request) bool
	// inspect looks at a whole response, of which flat is all unless nil. It says what ails the server, "" if it seems well.
	inspect(s *serverConn, r *request, flat []byte) (unwell string)
	// merge makes the response of a parent whose children all have theirs.
	merge(p *workerPool, parent *request)
	// appendFailure appends the error that tells a client the cause.
	appendFailure(dst []byte, cause *failure) []byte
	// greeting is what a new connection begins with, and the answers that it gets.
	// Identity is whose connection it is; nil is the pool's own. A dedicated one learns what the server calls it.
	greeting(identity *identity, dedicated bool) (hello []byte, steps []greeting)
	// probe is a request that any server that is well can answer, and the kind of request that it is.
	probe() (request string, expects uint8)
	// tooSlow tells a client that its request took too long to come, and closes it. What has come of it is dropped already.
	tooSlow(c *client)
	// tooManyClients is the error that a client is turned away with.
	tooManyClients() string
}

// change takes over the settings of a generation, for a pool that is new or goes on. Counters of what goes on do, too.
func (p *workerPool) change(to *sharedPool, counters *stats.Pool) {
	before, renew := p.servers, p.conf != nil && dialedDifferently(p.conf, to.conf)
	p.conf, p.health, p.random, p.timeout = to.conf, to.health, to.health.Random(), int64(to.conf.Timeout)
	if p.conf.Protocol == config.Redis {
		p.protocol = newRedisProtocol(p.conf.RedisAuth, p.conf.RedisDB, to.rules)
	} else {
		p.protocol = memcacheProtocol{}
	}
	p.cursors = to.cursors
	servers := counters.Servers
	*counters = *p.stats
	counters.Servers = servers
	p.stats = counters

	p.servers = make([]*server, len(p.conf.Servers))
	isNew := func(i int) bool { return len(before) == 0 || to.same[i] < 0 }
	count := 0
	for i := range p.servers {
		if isNew(i) {
			count++
		}
	}
	fresh, lanes := make([]server, count), newLanes(count, p.conf.ServerConnections) // at once: there may be thousands
	for i := range p.conf.Servers {
		conf := &p.conf.Servers[i]
		var s *server
		if isNew(i) {
			s, fresh = &fresh[0], fresh[1:]
			s.setUp(p, conf, lanes[0])
			lanes = lanes[1:]
		} else {
			s = before[to.same[i]]
			servers[i] = *s.stats
			if renew {
				s.renewLanes()
			}
		}
		s.conf, s.index, s.health, s.stats = conf, i, p.health, &servers[i]
		p.servers[i] = s
	}
	for _, s := range before {
		if s.health != p.health {
			s.end()
		}
		s.dedicated.settingsChanged()
	}
	p.rehome()
	p.scheduleProbes()
}

// dialedDifferently reports whether connections to servers have to be made in another way than before.
func dialedDifferently(before, after *config.Pool) bool {
	return before.RedisAuth != after.RedisAuth || before.RedisDB != after.RedisDB ||
		before.TCPKeepalive != after.TCPKeepalive || before.ServerConnections != after.ServerConnections
}

// end lets go of a pool that is not in the configuration any more, once its clients have been told to leave.
func (p *workerPool) end() {
	for _, s := range p.servers {
		s.end()
		s.dedicated.settingsChanged()
	}
	p.endIdentities()
}

func (p *workerPool) name() string { return p.conf.Name }

// pick returns the server of a key, nil if all servers are ejected.
func (p *workerPool) pick(key []byte) *server {
	var hash uint32
	if p.random {
		hash = uint32(p.worker.loop.Outside().Random())
	} else {
		hash = p.health.Hash(key)
	}
	i, ok := p.health.Pick(hash, p.worker.loop.Now(), p.worker.index)
	if !ok {
		return nil
	}
	return p.servers[i]
}

// forward sends a whole request to a server. It returns nil if it has refused the request.
func (c *client) forward(m *message, sv *server, expects uint8) *request {
	n := m.size()
	conn := sv.connFor(c, n)
	if cause := conn.refusal(); cause != nil {
		c.replyFailure(cause)
		return nil
	}
	r := c.worker.newRequest()
	r.expects = expects
	start := conn.appended
	m.sendAll(conn)
	c.accept(r, n)
	conn.enqueue(r, int(conn.appended-start))
	return r
}

// replyFailure answers a request that cannot be sent to any server.
func (c *client) replyFailure(cause *failure) {
	w := c.worker
	c.pool.stats.ForwardError++
	w.scratch = c.pool.protocol.appendFailure(w.scratch[:0], cause)
	c.reply(w.scratch)
}

// turnAway tells a client over the limit why it is closed.
func (p *workerPool) turnAway(s evloop.Socket, limit int64) {
	w := p.worker
	p.reached(limitConnections, s.Peer, "limit", limit)
	if w.turnedAway >= mostTurnedAway {
		_ = s.Close() // its descriptor is needed
		return
	}
	c := &client{worker: w, pool: p, leaving: true, gone: true}
	if w.loop.Adopt(&c.conn, s, c) == nil {
		w.guests++
		w.turnedAway++
		c.conn.SendString(p.protocol.tooManyClients())
		c.conn.CloseGracefully(w.sawOff)
	}
}

// mostTurnedAway is how many clients at a time are told why they are turned away. Each takes a descriptor until it has read that.
const mostTurnedAway = 64

func (p *workerPool) admit(s evloop.Socket, serial uint32) *client {
	w := p.worker
	c := &client{worker: w, pool: p, serial: serial, expected: firstExpected, guessed: guessedResponses, authenticated: p.conf.RedisAuth == ""}
	c.watchIdle()
	link(&w.clients, c)
	w.guests++
	p.stats.ClientConnections++
	w.stats.TotalConnections++
	if err := w.loop.Adopt(&c.conn, s, c); err != nil {
		w.log.Error("cannot serve a client", "pool", p.name(), "cause", err)
		c.depart(false)
	}
	return c
}

// forget takes a client that has left out of the worker's books.
func (p *workerPool) forget(c *client) {
	w := p.worker
	w.unlinkClient(c)
	w.count(c, -1)
	p.stats.ClientConnections--
}

// count adds n to what says how many clients there are: those with a socket, also when they are leaving.
func (w *worker) count(c *client, n int) {
	w.guests += n
	w.load.Add(int64(n))
	w.proxy.population.Add(int64(n))
	c.pool.census.clients.Add(int64(n))
}

// link and unlink keep a list of the worker's clients.
func link(list **client, c *client) {
	if c.next = *list; c.next != nil {
		c.next.previous = c
	}
	*list = c
}

func unlink(list **client, c *client) {
	if c.previous != nil {
		c.previous.next = c.next
	} else {
		*list = c.next
	}
	if c.next != nil {
		c.next.previous = c.previous
	}
	c.previous, c.next = nil, nil
}
