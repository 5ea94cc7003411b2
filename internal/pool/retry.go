package pool

import (
	"math/rand/v2"

	"nutmeg/internal/config"
)

// retryTime returns for how long a server is put out the row-th time in a row,
// which counts from 1, in nanoseconds: the configured time, doubled with each
// time after the first, up to the configured maximum.
func retryTime(policy *config.Health, row int) int64 {
	t, most := int64(policy.RetryTimeout), int64(policy.RetryTimeoutMax)
	for ; row > 1 && t > 0 && t < most; row-- {
		t = min(most, double(t))
	}
	return t
}

// longestRetry returns the longest time that policy puts a server out for.
func longestRetry(policy *config.Health) int64 {
	t := max(int64(policy.RetryTimeout), int64(policy.RetryTimeoutMax))
	return later(t, share(t, policy.RetryJitter))
}

// lengthen returns t and a random share of it, of up to so many percent.
func lengthen(t int64, percent int, random *rand.Rand) int64 {
	if span := share(t, percent); span > 0 {
		return later(t, random.Int64N(min(span, never-1)+1))
	}
	return t
}

// share returns so many percent of t, at most 100, rounded down.
func share(t int64, percent int) int64 {
	return t/100*int64(percent) + t%100*int64(percent)/100
}

// double returns twice t, or the longest time there is.
func double(t int64) int64 {
	if t > never/2 {
		return never
	}
	return 2 * t
}

// later returns now plus timeout, a time before never whatever the timeout.
func later(now, timeout int64) int64 {
	if now > never-1-timeout {
		return never - 1
	}
	return now + timeout
}
