// Package testkit holds what tests put around the proxy.
//
// Real servers (Redis, Memcached, Nutcracker): processes on free ports of
// 127.0.0.1 with a folder each, gone when the test is. A program that is not
// installed fails the test; it never skips it. The Start functions do the same
// outside of tests and leave the Close to the caller.
//
// The daemon never imports this package.
package testkit
