package evloop

// Timer calls Expired on its handler at a time. The zero value is not armed. It belongs to its loop's goroutine and must not be copied while armed.
type Timer struct {
	at       int64
	position int // in the heap, from 1; 0 when not armed
	handler  Expirer
}

// Expirer is told that its timer's time has come. The timer is no longer armed then.
type Expirer interface {
	Expired()
}

// Armed reports whether the timer will fire.
func (t *Timer) Armed() bool { return t.position != 0 }

// Arm sets t to fire at the given time of Now, in place of any earlier setting. A time that has come already means the next batch.
func (l *Loop) Arm(t *Timer, at int64, handler Expirer) {
	t.handler = handler
	l.timers.arm(t, max(at, l.now+1))
}

// Disarm makes sure that t does not fire.
func (l *Loop) Disarm(t *Timer) {
	if t.position != 0 {
		l.timers.remove(t)
	}
}

// NextTimer is when the earliest timer fires; ok is false if none is armed.
func (l *Loop) NextTimer() (at int64, ok bool) {
	if len(l.timers) == 0 {
		return 0, false
	}
	return l.timers[0].at, true
}

// timerHeap is a binary heap with the earliest timer at index 0.
type timerHeap []*Timer

// wait is how long nothing is due, in nanoseconds; -1 if no timer is armed.
func (h timerHeap) wait(now int64) int64 {
	if len(h) == 0 {
		return -1
	}
	return max(0, h[0].at-now)
}

func (h *timerHeap) expire(now int64) {
	for len(*h) > 0 && (*h)[0].at <= now {
		t := (*h)[0]
		h.remove(t)
		t.handler.Expired()
	}
}

func (h *timerHeap) arm(t *Timer, at int64) {
	earlier := at < t.at
	t.at = at
	if t.position == 0 {
		*h = append(*h, t)
		t.position = len(*h)
		h.up(t.position - 1)
	} else if earlier {
		h.up(t.position - 1)
	} else {
		h.down(t.position - 1)
	}
}

func (h *timerHeap) remove(t *Timer) {
	s := *h
	i := t.position - 1
	last := len(s) - 1
	s[i] = s[last]
	s[i].position = i + 1
	s[last] = nil
	*h = s[:last]
	t.position = 0
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h timerHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].at <= h[i].at {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h timerHeap) down(i int) {
	for {
		least, leastAt := i, h[i].at
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].at < leastAt {
				least, leastAt = child, h[child].at
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

func (h timerHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].position, h[j].position = i+1, j+1
}
