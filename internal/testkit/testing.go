package testkit

import "testing"

// Redis starts a redis-server for t and ends it with t; see StartRedis. A
// machine without one fails the test and is told what to install.
func Redis(t testing.TB, args ...string) *Process {
	t.Helper()
	return owned(t)(StartRedis(args...))
}

// RedisUnix is Redis on a unix socket only.
func RedisUnix(t testing.TB, args ...string) *Process {
	t.Helper()
	return owned(t)(StartRedisUnix(args...))
}

// Memcached starts a memcached for t and ends it with t; see StartMemcached.
func Memcached(t testing.TB, args ...string) *Process {
	t.Helper()
	return owned(t)(StartMemcached(args...))
}

// MemcachedUnix is Memcached on a unix socket only.
func MemcachedUnix(t testing.TB, args ...string) *Process {
	t.Helper()
	return owned(t)(StartMemcachedUnix(args...))
}

// Nutcracker starts twemproxy with the given configuration text for t and ends
// it with t; see StartProxy. Take the ports to listen on from FreePort.
func Nutcracker(t testing.TB, conf string, args ...string) *Process {
	t.Helper()
	return owned(t)(StartProxy("nutcracker", conf, args...))
}

// Proxy is Nutcracker with another program, such as nutmeg.
func Proxy(t testing.TB, binary, conf string, args ...string) *Process {
	t.Helper()
	return owned(t)(StartProxy(binary, conf, args...))
}

// owned hands a started process to t: t ends it, and prints its log if t failed.
func owned(t testing.TB) func(*Process, error) *Process {
	t.Helper()
	return func(p *Process, err error) *Process {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s on %s printed:\n%s", p.command.binary, p.Addr(), tail(p.Log(), 50))
			}
			p.Close()
		})
		return p
	}
}
