package proxy

import "iter"

// session is what Redis keeps for a connection, as far as it differs from a new one's. Most clients have none.
type session struct {
	identity *identity // whose lanes its requests take; nil is the pool's own

	held   heldRequest
	queued *dedicated // whose connection it waits for

	inquires bool // a server has been asked what the held request's command is

	id      int64  // 0: see client.id
	name    string // CLIENT SETNAME
	library library
	noEvict bool // CLIENT NO-EVICT; only shown, as the proxy evicts nobody
	mute    mute

	monitoring bool // MONITOR

	subscriptions subscriptions

	// pinned is the connection of the client's own that its requests to that server take, while it has a transaction,
	// watches keys, or blocks.
	pinned      *serverConn
	transaction transaction
	blocked     bool // what is in flight on pinned, or on waits, may take as long as it wants

	waits []*serverConn // of WAIT: one to each server
}

// library is what CLIENT SETINFO says.
type library struct{ name, version string }

// needSession returns the client's session, which it has from now on.
func (c *client) needSession() *session {
	if c.session == nil {
		c.session = &session{}
	}
	return c.session
}

// identity is what the client's server connections begin with; nil is the pool's own.
func (c *client) identity() *identity {
	if c.session == nil {
		return nil
	}
	return c.session.identity
}

// version is the protocol version that the client speaks.
func (c *client) version() int {
	if id := c.identity(); id != nil {
		return id.protocol
	}
	return 2
}

// key is what makes the client's identity.
func (c *client) identityKey() identityKey {
	if id := c.identity(); id != nil {
		return id.identityKey
	}
	return c.pool.ownIdentity()
}

// become gives the client another identity, which it has been given by identify. Requests that are in flight keep theirs; the next ones wait
// for them, because they take other connections.
func (c *client) become(id *identity) {
	s := c.needSession()
	c.pool.forgo(s.identity)
	s.identity = id
	c.alone = true
}

// pin returns the connection to a server that is the client's own from now on. It returns nil if the client has to wait
// for one: its request is to be held then.
func (c *client) pin(sv *server) *serverConn {
	s := c.needSession()
	switch {
	case s.pinned != nil && s.pinned.server == sv:
		return s.pinned
	case s.pinned != nil, c.requests > 0:
		return nil // what is in flight comes first
	}
	s.pinned = sv.dedicated.take(c)
	return s.pinned
}

// ownConn is the connection of its own that the client's requests take while it watches keys, or has a transaction there; nil if it has none.
func (c *client) ownConn() *serverConn {
	if s := c.session; s != nil && s.pinned != nil && s.needs(s.pinned) {
		return s.pinned
	}
	return nil
}

// needs reports whether a connection that has nothing in flight has state of the client's.
func (s *session) needs(conn *serverConn) bool {
	if conn.listens {
		return s.subscriptions.any()
	}
	return s.transaction.begun || s.transaction.asking || s.transaction.watching
}

// engaged reports whether the client has state that nobody else can take over.
func (s *session) engaged() bool {
	if s == nil {
		return false
	}
	return s.pinned != nil || s.transaction.open || len(s.subscriptions.ears)+len(s.waits) > 0
}

// lost says that a connection of the client's own has failed.
func (s *session) lost(c *client, conn *serverConn) {
	if s.pinned == conn {
		s.pinned = nil
		s.blocked = false
		s.transaction.lost()
		c.goOnHolding()
		return
	}
	if conn.waits {
		s.forgetWait(conn)
	} else {
		s.subscriptions.forget(conn)
	}
	if conn.heeded && s.subscriptions.any() {
		c.overflowed = true // messages are lost from now on: the client has to know, and it does when it is closed
		c.callBack()
	}
}

// blockedOn yields the connections on which the client waits for something to happen.
func (s *session) blockedOn() iter.Seq[*serverConn] {
	return func(yield func(*serverConn) bool) {
		for _, conn := range s.waits {
			if s.blocked && !yield(conn) {
				return
			}
		}
		if s.blocked && s.pinned != nil && s.pinned.queue.oldest != nil {
			yield(s.pinned)
		}
	}
}

// end lets go of all that the client has.
func (s *session) end(c *client) {
	if s.queued != nil {
		s.queued.leaveQueue(c)
	}
	s.held.drop(c)
	c.endMonitor()
	s.endWaits(nil)
	if conn := s.pinned; conn != nil {
		s.pinned = nil
		conn.release()
	}
	s.subscriptions.closeEars()
	s.subscriptions.charge(c.worker, -s.subscriptions.bytes)
	s.transaction.early.Reset(&c.worker.loop.Chunks)
	c.pool.forgo(s.identity)
	s.identity = nil
}

// release takes the connection from an owner that leaves. What it left there is nobody's: a command that blocks would take an
// element out of a list for nobody.
func (s *serverConn) release() {
	s.owner = nil
	s.close()
}

// sessionState is what of a session moves to another process with its client. The rest of it is bound to connections that do not.
type sessionState struct {
	ID       int64  `json:"id"`
	Name     string `json:"name,omitempty"`
	Protocol int    `json:"protocol"`
	Own      bool   `json:"own"` // the identity is the pool's own: what follows is not set
	Database int    `json:"database,omitempty"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	NoTouch  bool   `json:"no_touch,omitempty"`

	Library        string `json:"library,omitempty"`
	LibraryVersion string `json:"library_version,omitempty"`
	WatchLost      bool   `json:"watch_lost,omitempty"` // the next EXEC does nothing
	NoEvict        bool   `json:"no_evict,omitempty"`
	ReplyOff       bool   `json:"reply_off,omitempty"`
	ReplySkip      bool   `json:"reply_skip,omitempty"`
}

func (s *session) state(c *client) *sessionState {
	state := &sessionState{
		ID: c.id(), Name: s.name, Own: s.identity == nil, Protocol: 2, Library: s.library.name, LibraryVersion: s.library.version,
		WatchLost: s.transaction.broken, NoEvict: s.noEvict, ReplyOff: s.mute.off, ReplySkip: s.mute.skip,
	}
	if id := s.identity; id != nil {
		state.Protocol, state.Database, state.User, state.Password, state.NoTouch = id.protocol, id.database, id.user, id.password, id.noTouch
	}
	return state
}

// resumeSession gives the client the session that it had in another process. It reports false if it cannot have it.
func (c *client) resumeSession(state *sessionState) bool {
	s := c.needSession()
	s.id, s.name = state.ID, state.Name
	s.library, s.noEvict = library{state.Library, state.LibraryVersion}, state.NoEvict
	s.mute = mute{state.ReplyOff, state.ReplySkip}
	s.transaction.broken = state.WatchLost
	c.worker.proxy.reserveSerial(state.ID) // so that nobody gets this id
	if state.Own {
		return true
	}
	id, ok := c.pool.identify(identityKey{
		protocol: state.Protocol, database: state.Database, user: state.User, password: state.Password, noTouch: state.NoTouch,
	})
	if ok {
		c.become(id)
	}
	return ok
}
