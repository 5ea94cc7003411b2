//go:build unix && race

package handover

// timeFactor stretches the times that a new process is given.
const timeFactor = 5
