package proxy

import (
	"unsafe"

	"nutmeg/internal/buffer"
)

// request is one request from its acceptance until its response has been handed to its client.
//
// It stands in up to two queues: its client's, which holds the order of the responses, and its server connection's, which
// says whose response comes next. A parent is only in its client's queue, its fragments only in those of connections.
//
//	client     oldest ─► request ─► parent ─► request
//	                        │        │ ▲ ▲
//	connection oldest ─► request ─► fragment ─► request (its client has gone: swallowed)
type request struct {
	client *client  // who waits for the response; nil for a fragment, and when nobody waits
	silent *client  // who sent a request that wants no response; it may have left
	parent *request // a fragment's parent
	family *family  // a parent's fragments and how to merge them
	errand errand   // what else its response is for; nil for nearly all
	encore *encore  // the request once more, of one that runs a script by its name

	next   *request // behind it in its client's queue
	behind *request // behind it in its connection's queue

	// response collects the response while it is incomplete, or while it waits for its turn.
	response buffer.Buffer
	done     bool // response is complete
	failed   bool // response is an error that stands in for a server's response
	probe    bool // the proxy's own question whether the server is well
	patient  bool // it may block: the time-out is not for it
	flowed   int  // bytes of the response that went to the client while it was coming; 0: it is collected

	cause *failure // of failed

	charge    int // bytes that count as held for the client, from the beginning
	collected int // bytes of the response, of its fragments too, that count likewise

	sent     int    // bytes that went into the connection's output
	end      uint64 // where they end in the connection's stream
	deadline int64  // when the response is overdue; 0 = never
	expects  uint8  // what the protocol knows of the response that must come

	// Of a fragment: how many keys it has, and what its response is made of.
	keys     int64
	kind     byte
	elements int64
}

// wanted reports whether somebody still waits for the response.
func (r *request) wanted() bool {
	if r.parent != nil {
		return r.parent.client != nil
	}
	return r.client != nil
}

// kept reports whether the response is collected while it is coming.
func (r *request) kept() bool { return r.errand != nil || r.wanted() }

// requestOverhead is what a request in flight costs besides its bytes.
const requestOverhead = 256

const (
	// keptRequests bounds the free list of requests: beyond, a burst's memory goes back at once.
	keptRequests = 16 << 10
	// calmRequests is how many stay in it for good.
	calmRequests = 1 << 10
)

func (w *worker) newRequest() *request {
	w.requests++
	if r := w.freeRequests; r != nil {
		w.freeRequests = r.next
		w.freeCount--
		w.freeLow = min(w.freeLow, w.freeCount)
		r.next = nil
		return r
	}
	return &request{}
}

func (w *worker) freeRequest(r *request) {
	w.requests--
	r.response.Reset(&w.loop.Chunks)
	if r.family != nil {
		w.freeFamily(r.family)
	}
	if r.encore != nil {
		w.freeEncore(r.encore)
	}
	if w.freeCount >= keptRequests {
		return
	}
	*r = request{next: w.freeRequests}
	w.freeRequests = r
	w.freeCount++
}

// trimRequests lets go of half of the free requests that nobody needed since the last time, and returns their bytes.
func (w *worker) trimRequests() (released int) {
	for drop := min((w.freeLow+1)/2, w.freeCount-calmRequests); drop > 0; drop-- {
		w.freeRequests = w.freeRequests.next
		w.freeCount--
		released += int(unsafe.Sizeof(request{}))
	}
	w.freeLow = w.freeCount
	return released
}

// clientQueue is a client's requests in the order in which they came, and in which their responses leave.
type clientQueue struct{ oldest, newest *request }

func (q *clientQueue) push(r *request) {
	if q.oldest == nil {
		q.oldest = r
	} else {
		q.newest.next = r
	}
	q.newest = r
}

func (q *clientQueue) pop() *request {
	r := q.oldest
	q.oldest = r.next
	r.next = nil
	return r
}

// connQueue is the requests that a server connection owes a response to, in the order in which they were sent.
type connQueue struct{ oldest, newest *request }

func (q *connQueue) push(r *request) {
	if q.oldest == nil {
		q.oldest = r
	} else {
		q.newest.behind = r
	}
	q.newest = r
}

func (q *connQueue) pop() *request {
	r := q.oldest
	q.oldest = r.behind
	r.behind = nil
	return r
}
