package pool

// Status says whether requests are sent to a server.
type Status uint8

// The statuses of a server.
const (
	In      Status = iota // it is well
	Failing               // it is in, and its latest requests have failed
	Out                   // it is ejected
	Probing               // it is ejected, and a worker asks whether it is well again
	Trial                 // it is ejected, and one worker's requests show whether it is well again
)

var statusNames = [...]string{In: "in", Failing: "failing", Out: "ejected", Probing: "probing", Trial: "trial"}

// String returns the word that operators see.
func (s Status) String() string { return statusNames[s] }

// State is what the pool knows of one server's health at one time.
type State struct {
	Status Status

	// Kept: the server has failed often enough to be ejected, but server_floor
	// keeps it in.
	Kept bool

	// Since is when Status began, a time of the callers' clock; 0 if it has
	// been so since the pool was made. A test that failed does not make a
	// server newly ejected.
	Since int64

	// Failures counts those without a success in between; of a server that is
	// out, those that put it out and its failed tests. Cause is why the last
	// one happened, and stays after a success; "" if there was none.
	Failures int
	Cause    string

	// Ejections counts how often the server was ejected in all. Row counts how
	// often it was put out in a row, by an ejection or a failed test.
	Ejections int
	Row       int

	// RetryAt is when an ejected server comes back or may be tested, and when
	// another worker may take over a test under way; 0 if the server is in.
	RetryAt int64
}

// String returns the words that operators see.
func (s State) String() string {
	if s.Kept {
		return s.Status.String() + ", kept in by server_floor"
	}
	return s.Status.String()
}

// States returns the health of every server at time now, by index. The slice
// belongs to the caller.
func (p *Pool) States(now int64) []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	states := make([]State, len(p.servers))
	for i := range p.servers {
		states[i] = p.stateOf(&p.servers[i], now)
	}
	return states
}

func (p *Pool) stateOf(s *server, now int64) State {
	state := State{Since: s.steadySince, Failures: s.failures, Cause: s.cause, Ejections: s.ejections, Row: s.row}
	switch {
	case s.out && s.claim.held(now):
		state.Status, state.Since, state.RetryAt = Probing, s.claim.since, s.claim.until
		if p.hasTrials() {
			state.Status = Trial
		}
	case s.out:
		state.Status, state.Since, state.RetryAt = Out, s.outSince, s.retryAt
	default:
		if s.failures > 0 {
			state.Status, state.Kept = Failing, s.kept
		}
		if s.rowIsOver(now) {
			state.Row = 0
		}
	}
	return state
}
