// Package load makes the load of a benchmark: many connections on one thread,
// requests whose only right response is known, every response compared byte
// by byte.
//
// It knows no protocol and no subject. A closed loop (Session.Closed) sends a
// client's next requests when it has the responses of the last ones; it
// measures capacity and cost. An open loop (Session.Open) sends at times that
// were fixed before, whatever comes back, and counts a latency from the time
// at which the request should have gone: a subject that stalls cannot hide it
// by slowing its clients down.
//
// It works on Linux only; elsewhere Dial returns errors.ErrUnsupported.
package load

import (
	"bytes"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Exchange is one request and the right response to it, as bytes on the wire.
type Exchange struct {
	Request, Response []byte
	// Blocks, if not 0, says that the response begins with that many parts of
	// the same size, 64 at the most, whose order is free: the values of a
	// memcached get of many keys.
	Blocks int
	// BlockSize is the size of such a part in bytes.
	BlockSize int
}

// Right reports whether got, which has the length of the response, is it.
func (e *Exchange) Right(got []byte) bool {
	if e.Blocks == 0 {
		return bytes.Equal(got, e.Response)
	}
	end := e.Blocks * e.BlockSize
	if !bytes.Equal(got[end:], e.Response[end:]) {
		return false
	}
	var used uint64
	for i := range e.Blocks {
		block, found := got[i*e.BlockSize:(i+1)*e.BlockSize], false
		for j := 0; j < e.Blocks && !found; j++ {
			if used>>j&1 == 0 && bytes.Equal(block, e.Response[j*e.BlockSize:(j+1)*e.BlockSize]) {
				used |= 1 << j
				found = true
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// Load is what a session sends. Nothing of it may change while a session uses it.
type Load struct {
	Clients   int
	Exchanges []Exchange
	// Order says which exchange comes next, again from the start when it has
	// ended. The clients begin at different places of it.
	Order []uint32
	// Pipeline is how many requests a client of the closed loop sends together.
	Pipeline int
	// Loose compares lengths only: for a subject that gives every request of a
	// kind the same response.
	Loose bool
}

// Outcome is what a session saw.
type Outcome struct {
	Requests int
	Took     time.Duration
	// Latency counts nanoseconds: in a closed loop from the write of the
	// request, in an open one from the time at which it was due.
	Latency *hdrhistogram.Histogram
	// Late counts by how many nanoseconds the open loop sent after the due
	// time: what the load tool itself adds to the latency. It is empty in a
	// closed loop.
	Late *hdrhistogram.Histogram
}

// Millis returns a percentile of a histogram of nanoseconds, in milliseconds.
func Millis(h *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(h.ValueAtPercentile(percentile)) / 1e6
}

// longest is the end of the histograms. Nothing takes longer: see stallLimit.
const longest = 2 * time.Minute

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(100, int64(longest), 3)
}

func (l *Load) check() error {
	switch {
	case l.Clients < 1 || l.Pipeline < 1:
		return fmt.Errorf("cannot load with %d clients and a pipeline of %d; both must be at least 1", l.Clients, l.Pipeline)
	case len(l.Exchanges) == 0 || len(l.Order) == 0:
		return fmt.Errorf("cannot load without requests; give Exchanges and an Order")
	}
	return nil
}

// clip shortens what an error message shows.
func clip(b []byte) []byte { return b[:min(len(b), 60)] }
