package evloop

import "time"

// courtesy lets others on the processor go first when the loop is about to wait. Clients and servers on the same machine
// then say what they have to say, and the next batch is larger: fewer waits, wake-ups and writes a request, a tenth of the work
// with 50 clients. With nobody else there it costs a quarter of a microsecond a batch.
//
// Neighbours of that kind take a few microseconds. One that takes the processor for as long as it may get it has other
// things to do, and requests are not to wait for that: then the loop is impolite for a while, a longer one each time.
type courtesy struct {
	until int64 // when it is polite again
	last  int64 // when a turn took too long
	pause int64
}

const (
	longestTurn   = int64(500 * time.Microsecond)
	shortestPause = int64(10 * time.Millisecond)
	longestPause  = int64(10 * time.Second)
	// pauseMemory is how many pauses must go by without a turn that is too long until one counts as the first again.
	pauseMemory = 16
)

// giveWay calls yield, unless that has taken too long lately.
func (c *courtesy) giveWay(now func() int64, yield func()) {
	began := now()
	if began < c.until {
		return
	}
	yield()
	ended := now()
	if ended-began <= longestTurn {
		return
	}
	if c.pause == 0 || began-c.last > pauseMemory*c.pause {
		c.pause = shortestPause
	} else {
		c.pause = min(2*c.pause, longestPause)
	}
	c.last, c.until = began, ended+c.pause
}
