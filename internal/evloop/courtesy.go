package evloop

import "time"

// courtesy lets others on the processor go first when the loop is about to wait. Clients and servers on the same machine
// then say what they have to say, and the next batch is larger: fewer waits, wake-ups and writes a request, a tenth of the work
// with 50 clients. With nobody else there it costs a quarter of a microsecond a batch.
//
// It pays only while there is nearly always something to do. A loop that sleeps between batches lets others go first by that, and to be
// polite besides would only make its requests wait.
//
// Neighbours of that kind take a few microseconds. One that takes the processor for as long as it may get it has other
// things to do, and requests are not to wait for that: then the loop is impolite for a while, a longer one each time.
type courtesy struct {
	waits int64 // since when the loop waits, and lets others go first
	looks bool  // it does not wait in truth, it only looks whether something is there
	busy  int32 // the share of the time that batches take, as an average that forgets; of allTime

	until int64 // when it is polite again
	last  int64 // when a turn took too long
	pause int64
}

const (
	// A batch and the wait before it count for 1/busyMemory of the average. Who is busy for less than busyShare of the time has some.
	// At half of what a loop can do it is about half; being polite saves nothing there.
	allTime    = 1 << 16
	busyMemory = 128
	busyShare  = allTime * 3 / 4

	longestTurn   = int64(500 * time.Microsecond)
	shortestPause = int64(10 * time.Millisecond)
	longestPause  = int64(10 * time.Second)
	// pauseMemory is how many pauses must go by without a turn that is too long until one counts as the first again.
	pauseMemory = 16
)

// giveWay calls yield where that pays, unless it has taken too long lately. The last wait ended at woke, the next has that time-out.
func (c *courtesy) giveWay(woke, timeout int64, now func() int64, yield func()) {
	began := now()
	if !c.looks {
		worked, waited := began-woke, woke-c.waits
		c.busy += (int32(allTime*worked/(worked+waited+1)) - c.busy) / busyMemory
	}
	c.waits, c.looks = began, timeout == 0
	if c.busy < busyShare || began < c.until {
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
