package sim

// Service is a simulated server: who listens at an address, and the peers that it accepted.
type Service struct {
	world   *World
	place   *place
	accepts func(*Peer)
	peers   []*Peer
	frozen  bool
	killed  bool
	held    []heldEvent
}

// Listen makes a simulated server at addr, "ip:port" or a path. For each connection accepted is called with its peer,
// whose callbacks it sets. The address must be free.
func (w *World) Listen(addr string, accepted func(*Peer)) *Service {
	s := &Service{world: w, place: w.place(addr), accepts: accepted}
	if len(s.place.acceptors) > 0 {
		panic("BUG: simulated server at an address in use: " + addr)
	}
	s.place.acceptors = append(s.place.acceptors, s)
	return s
}

func (s *Service) accept(e *end) bool {
	if s.frozen {
		return false // the dial is repeated
	}
	e.link.service = s
	p := &Peer{world: s.world, end: e, opened: true}
	e.peer = p
	s.prune()
	s.peers = append(s.peers, p)
	s.accepts(p)
	return true
}

// prune lets go of closed peers, now and then.
func (s *Service) prune() {
	if len(s.peers) < cap(s.peers) {
		return
	}
	kept := s.peers[:0]
	for _, p := range s.peers {
		if !p.Closed() {
			kept = append(kept, p)
		}
	}
	clear(s.peers[len(kept):])
	s.peers = kept
}

// Peers are the connections of the server that are open now, oldest first.
func (s *Service) Peers() []*Peer {
	var open []*Peer
	for _, p := range s.peers {
		if !p.Closed() {
			open = append(open, p)
		}
	}
	return open
}

// Kill ends the server as the end of its process does: dials are refused, connections are reset.
func (s *Service) Kill() {
	s.StopListening()
	for _, p := range s.Peers() {
		p.Reset()
	}
}

// StopListening makes dials fail from now on; connections stay.
func (s *Service) StopListening() {
	s.killed = true
	s.place.remove(s)
}

// Revive listens again after Kill or StopListening.
func (s *Service) Revive() {
	if s.killed {
		s.killed = false
		s.place.acceptors = append(s.place.acceptors, s)
	}
}

// Freeze cuts the server off from the network: nothing arrives on either side of its connections, dials hang.
func (s *Service) Freeze() { s.frozen = true }

// Thaw ends Freeze; what was held arrives.
func (s *Service) Thaw() {
	held := s.held
	s.frozen, s.held = false, nil
	s.world.release(held)
}
