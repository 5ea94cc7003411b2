//go:build !race

package test

// raceEnabled tells whether these tests run with the race detector. The daemon is then built with it too.
const raceEnabled = false
