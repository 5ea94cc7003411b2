package evloop

import "time"

// courtesy lets others on the processor go first when the loop is about to wait. Clients and servers on the same machine
// then say what they have to say, and the next batch is larger: fewer waits, wake-ups and writes a request, a tenth of the work
// with 50 clients. With nobody else there it costs a quarter of a microsecond a batch.
//
// It pays only while there is always something to do. A loop that sleeps between batches lets others go first by that, and to be
// polite besides would only make its requests wait.
//
// Neighbours of that kind take a few microseconds. One that takes the processor for as long as it may get it has other
// things to do, and requests are not to wait for that: then the loop is impolite for a while, a longer one each time.
type courtesy struct {
	waits int64 // since when the loop waits
	looks bool  // it does not wait in truth, it only looks whether something is there
	slept int32 // how many of the last waits were a sleep, as an average that forgets; of allWaits

	until int64 // when it is polite again
	last  int64 // when a turn took too long
	pause int64
}

const (
	// asleep is what a wait takes that did not find something at once.
	asleep = int64(5 * time.Microsecond)
	// A wait counts for 1/sleepMemory of the average. Who sleeps in more than sleepShare of the waits has time.
	allWaits    = 1 << 16
	sleepMemory = 128
	sleepShare  = allWaits * 3 / 8

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
		slept := int32(0)
		if woke-c.waits > asleep {
			slept = allWaits
		}
		c.slept += (slept - c.slept) / sleepMemory
	}
	c.waits, c.looks = began, timeout == 0
	if c.slept > sleepShare || began < c.until {
		return
	}
	yield()
	ended := now()
	c.waits = ended
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
