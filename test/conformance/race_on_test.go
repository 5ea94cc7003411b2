//go:build race

package conformance

// raceEnabled tells whether these tests run with the race detector. The daemon is then built with it too.
const raceEnabled = true
