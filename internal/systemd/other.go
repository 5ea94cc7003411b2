//go:build !linux

// Package systemd speaks to the service manager. There is none of its kind on this system: all of it does nothing.
package systemd

import "context"

// Ready does nothing.
func Ready(string) error { return nil }

// Status does nothing.
func Status(string) error { return nil }

// Reloading does nothing.
func Reloading() error { return nil }

// Stopping does nothing.
func Stopping(string) error { return nil }

// MainPID does nothing.
func MainPID(int, string) error { return nil }

// Watch returns at once.
func Watch(context.Context, func(context.Context) error, func(error)) {}

// Socket is a socket that a manager passed.
type Socket struct {
	Name string
	FD   int
}

// Sockets finds none.
func Sockets() []Socket { return nil }
