// Package stats holds the counters of one worker and the tables that describe them.
//
// A worker owns one [Worker] and adds to its plain int64 fields on the request
// path; nothing is atomic and nothing is locked. Whoever wants the numbers asks
// the worker, through its inbox, for a [Worker.Clone] and sums the copies:
//
//	worker 0: Clone ─┐
//	worker 1: Clone ─┼─ Add ─ one Worker ─ admin: JSON, and whatever comes later
//	worker 2: Clone ─┘
//
// The package knows no names of pools or servers, only their indexes, no clocks
// and no formats. What a counter is called, means and measures stands in
// [PoolFields] and [ServerFields] alone. To add a counter: a field in the struct,
// a line in its add method, a row in its table; a test fails while one is missing.
package stats

// Server counts what one worker exchanged with one server of a pool.
//
// Owned by the worker's goroutine. Each connection to the server that closes is
// counted in exactly one of EOF, Err and TimedOut, or in none when the proxy
// itself wanted it closed.
type Server struct {
	EOF         int64 // server connections closed by the server
	Err         int64 // server connections closed by any other failure, refused connects among them
	TimedOut    int64 // server connections closed because a deadline passed
	Connections int64 // gauge: established server connections
	EjectedAt   int64 // microseconds since the Unix epoch of the last ejection, 0 = never; not cleared on return

	Requests      int64 // requests and fragments queued to the server
	RequestBytes  int64
	Responses     int64 // responses forwarded; swallowed ones are not counted
	ResponseBytes int64

	InQueue       int64 // gauge: requests not yet fully sent
	InQueueBytes  int64
	OutQueue      int64 // gauge: requests sent that await their response
	OutQueueBytes int64

	Stalls  int64 // times that a client was not read from: server_buffer, server_requests
	Refused int64 // requests refused: twice those

	Dedicated      int64 // gauge: connections lent to single clients, or ready to be
	DedicatedWaits int64 // times that a client had to wait for one
}

// Pool counts what one worker did for one pool. Owned by the worker's goroutine.
//
// Each client that closes is counted in exactly one of ClientEOF and ClientErr.
type Pool struct {
	ClientEOF         int64 // clients closed in order, by end of stream or quit
	ClientErr         int64 // clients closed for any other reason
	ClientConnections int64 // gauge: clients connected
	ServerEjects      int64 // ejections
	ForwardError      int64 // error texts the proxy answered in place of a server
	Fragments         int64 // fragments made out of multi-key requests

	// What limits did, in the order of their severity.
	ClientStalls      int64 // times that a client was not read from: client_buffer, client_requests
	ClientRefused     int64 // clients turned away: client_connections of the pool or of the process
	AcceptFailed      int64 // times that clients could not be accepted for lack of descriptors
	RequestExcessKeys int64 // requests refused: request_keys
	RequestTooLarge   int64 // requests refused: request_size
	RequestTimedOut   int64 // clients closed: request_timeout
	ClientIdle        int64 // clients closed: client_idle_timeout
	ClientOverflow    int64 // clients closed: client_buffer_limit
	MemoryRefused     int64 // requests refused: max_memory
	MemoryClosed      int64 // clients closed: max_memory
	ClientTorn        int64 // clients closed: their server failed in the middle of a response

	Servers []Server // by server index of the config
}

// Worker is everything one worker counts, or a sum of several.
//
// A live Worker belongs to its worker's goroutine; nobody else may read it. The
// result of Clone belongs to whoever asked for it.
type Worker struct {
	TotalConnections int64 // connections ever opened: clients, servers and listeners
	CurrConnections  int64 // gauge: those open now

	Workers      int64 // gauge: how many there are
	WorkersInUse int64 // gauge: those that have clients
	Busy         int64 // gauge: processor time that the workers take, in thousandths of a processor
	ClientMoves  int64 // clients that went from one worker to another

	Pools []Pool // by pool index of the config
}

// padding is how many unused elements follow the counters of a worker in memory.
// Workers are built one after the other, so without it two of them count in the
// same cache line, which makes an increment cost 7.0 ns instead of 3.1
// (BenchmarkNeighbours, 2 cores). Two elements of either type are longer than the
// pair of lines a CPU fetches at once (128 bytes).
const padding = 2

// NewWorker returns zeroed counters for len(serversPerPool) pools, where pool i
// has serversPerPool[i] servers. The counters of its pools and servers share no
// cache line with those of another Worker made here.
func NewWorker(serversPerPool []int) *Worker {
	w := &Worker{Pools: make([]Pool, len(serversPerPool), len(serversPerPool)+padding)}
	for i, n := range serversPerPool {
		w.Pools[i].Servers = make([]Server, n, n+padding)
	}
	return w
}

// Clone returns a deep copy, which shares no memory with w. The clone of nil is
// nil. Call it on the goroutine that owns w.
func (w *Worker) Clone() *Worker {
	if w == nil {
		return nil
	}
	c := new(Worker)
	c.Add(w)
	return c
}

// Add adds the counters of o to w, pool by pool and server by server; of two
// EjectedAt the later one stays.
//
// The two may differ in size, as they do while workers move to a new config one
// by one: w grows to the larger size, and what the smaller lacks counts as zero.
// A nil o adds nothing; w must not be nil. Nothing of o is kept or changed.
func (w *Worker) Add(o *Worker) {
	if o == nil {
		return
	}
	w.TotalConnections += o.TotalConnections
	w.CurrConnections += o.CurrConnections
	w.Workers += o.Workers
	w.WorkersInUse += o.WorkersInUse
	w.Busy += o.Busy
	w.ClientMoves += o.ClientMoves
	w.Pools = grow(w.Pools, len(o.Pools))
	for i := range o.Pools {
		w.Pools[i].add(&o.Pools[i])
	}
}

func (p *Pool) add(o *Pool) {
	p.ClientEOF += o.ClientEOF
	p.ClientErr += o.ClientErr
	p.ClientConnections += o.ClientConnections
	p.ServerEjects += o.ServerEjects
	p.ForwardError += o.ForwardError
	p.Fragments += o.Fragments
	p.ClientStalls += o.ClientStalls
	p.ClientRefused += o.ClientRefused
	p.AcceptFailed += o.AcceptFailed
	p.RequestExcessKeys += o.RequestExcessKeys
	p.RequestTooLarge += o.RequestTooLarge
	p.RequestTimedOut += o.RequestTimedOut
	p.ClientIdle += o.ClientIdle
	p.ClientOverflow += o.ClientOverflow
	p.MemoryRefused += o.MemoryRefused
	p.MemoryClosed += o.MemoryClosed
	p.ClientTorn += o.ClientTorn
	p.Servers = grow(p.Servers, len(o.Servers))
	for i := range o.Servers {
		p.Servers[i].add(&o.Servers[i])
	}
}

func (s *Server) add(o *Server) {
	s.EOF += o.EOF
	s.Err += o.Err
	s.TimedOut += o.TimedOut
	s.Connections += o.Connections
	s.EjectedAt = max(s.EjectedAt, o.EjectedAt)
	s.Requests += o.Requests
	s.RequestBytes += o.RequestBytes
	s.Responses += o.Responses
	s.ResponseBytes += o.ResponseBytes
	s.InQueue += o.InQueue
	s.InQueueBytes += o.InQueueBytes
	s.OutQueue += o.OutQueue
	s.OutQueueBytes += o.OutQueueBytes
	s.Stalls += o.Stalls
	s.Refused += o.Refused
	s.Dedicated += o.Dedicated
	s.DedicatedWaits += o.DedicatedWaits
}

// grow returns list with at least n elements, the new ones zero.
func grow[T any](list []T, n int) []T {
	if n <= len(list) {
		return list
	}
	return append(list, make([]T, n-len(list))...)
}
