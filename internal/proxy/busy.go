package proxy

// meter tells how busy a worker was over the last second or so.
//
// By the clock alone a worker that has to wait for a processor would look busy, and a second one would only take more of what
// others need as well. So the processor time of the whole process is shared out by the time that the workers spent on batches.
type meter struct {
	samples [meterWindow + 1]sample // the latest is the last
	count   int
}

// sample is what the outside says at a moment.
type sample struct{ at, worked, process int64 }

// meterWindow is over how many ticks the share is measured; settledWindow is how many it takes until it is worth acting on.
const (
	meterWindow   = 4
	settledWindow = 3
)

// begin forgets what was before a time of rest.
func (m *meter) begin(now sample) { m.count, m.samples[meterWindow] = 1, now }

func (m *meter) add(now sample) {
	copy(m.samples[:], m.samples[1:])
	m.samples[meterWindow] = now
	m.count = min(m.count+1, len(m.samples))
}

// settled reports whether enough has been seen.
func (m *meter) settled() bool { return m.count > settledWindow }

// measure returns which part of the time the worker spent on batches, and how much processor time the process took, in
// thousandths of a processor; the latter is 0 where it is unknown.
func (m *meter) measure() (batches, process int) {
	first, last := &m.samples[meterWindow+1-m.count], &m.samples[meterWindow]
	span := last.at - first.at
	if span <= 0 {
		return 0, 0
	}
	return int((last.worked - first.worked) * 1000 / span), int((last.process - first.process) * 1000 / span)
}

// shareOf is a worker's share of the processor time of the process; all is what the workers spent on batches, it included.
func shareOf(batches, all, process int) int {
	if process > 0 && all > 0 {
		batches = batches * process / all
	}
	return min(batches, 1000)
}
