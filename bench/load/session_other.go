//go:build !linux

package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Session is a set of connections to one address; on Linux only.
type Session struct{}

// Dial fails: the load needs Linux.
func Dial(context.Context, string, Load) (*Session, error) {
	return nil, fmt.Errorf("cannot make load on this system, only on Linux: %w", errors.ErrUnsupported)
}

// Closed is there for the compiler.
func (s *Session) Closed(context.Context, time.Duration) (Outcome, error) {
	return Outcome{}, errors.ErrUnsupported
}

// Count is there for the compiler.
func (s *Session) Count(context.Context, int) (Outcome, error) {
	return Outcome{}, errors.ErrUnsupported
}

// Open is there for the compiler.
func (s *Session) Open(context.Context, float64, time.Duration) (Outcome, error) {
	return Outcome{}, errors.ErrUnsupported
}

// OpenUntil is there for the compiler.
func (s *Session) OpenUntil(context.Context, float64, <-chan struct{}) (Outcome, error) {
	return Outcome{}, errors.ErrUnsupported
}

// Close is there for the compiler.
func (s *Session) Close() {}
