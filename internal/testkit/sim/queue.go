package sim

// happening is something that events happen to.
type happening interface {
	happen(w *World, what eventKind)
}

type eventKind uint8

const (
	eventDeliver eventKind = iota // a stream brings bytes or its end
	eventConnect                  // a dial's outcome is known
	eventReset                    // an end learns of a reset
)

// call is a function as a happening.
type call func()

func (c call) happen(*World, eventKind) { c() }

type event struct {
	at       int64
	sequence uint64 // events of one time happen in the order in which they were scheduled
	target   happening
	what     eventKind
}

func (e *event) before(other *event) bool {
	return e.at < other.at || (e.at == other.at && e.sequence < other.sequence)
}

// eventQueue is a binary heap with the earliest event at index 0.
type eventQueue struct {
	events   []event
	sequence uint64
}

func (w *World) schedule(at int64, target happening, what eventKind) {
	w.queue.push(event{at: at, target: target, what: what})
}

func (q *eventQueue) push(e event) {
	q.sequence++
	e.sequence = q.sequence
	q.events = append(q.events, e)
	i := len(q.events) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if q.events[parent].before(&e) {
			break
		}
		q.events[i] = q.events[parent]
		i = parent
	}
	q.events[i] = e
}

func (q *eventQueue) pop() event {
	first := q.events[0]
	last := len(q.events) - 1
	e := q.events[last]
	q.events[last] = event{}
	q.events = q.events[:last]
	if last == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && q.events[child+1].before(&q.events[child]) {
			child++
		}
		if e.before(&q.events[child]) {
			break
		}
		q.events[i] = q.events[child]
		i = child
	}
	q.events[i] = e
	return first
}
