//go:build unix && !linux

package systemd

import "time"

var start = time.Now()

// monotonicMicros never goes back. Managers that speak the protocol elsewhere have no clock to compare it with.
func monotonicMicros() int64 { return time.Since(start).Microseconds() }
