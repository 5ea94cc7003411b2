package test

import (
	"fmt"
	"reflect"
	"testing"
)

// The user that clients of applications log in as, beside the default one.
const appUser, appPassword = "app", "secret"

// startClientBed is the daemon with two workers in front of one server or several, which know appUser. Hash tags are as
// Redis Cluster has them.
func startClientBed(t testing.TB, servers int) *redisBed {
	t.Helper()
	return startRedisBed(t, bedOptions{
		servers: servers, workers: 2, pool: []string{`hash_tag: "{}"`},
		serverArgs: []string{"--user", appUser, "on", ">" + appPassword, "~*", "&*", "+@all"},
	})
}

// overServers runs a test with one server behind the pool, and with three.
func overServers(t *testing.T, test func(t *testing.T, b *redisBed)) {
	t.Helper()
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", servers), func(t *testing.T) {
			t.Parallel()
			test(t, startClientBed(t, servers))
		})
	}
}

// wantResult fails the test at once when a client's result is not what it must be: what follows builds on it.
func wantResult(t testing.TB, what string, got any, err error, want any) {
	t.Helper()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: got %#v and error %v, want %#v", what, got, err, want)
	}
}
