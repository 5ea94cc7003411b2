package main

import (
	"net"
	"time"
)

// law is a cost and what it grows with.
type law struct {
	id    string
	what  string
	unit  string
	sizes []int
	each  bool    // a part of the cost for each of n means something
	most  float64 // the exponent that it may have
	// measure returns the cost at size n.
	measure func(b *bed, n int) (float64, error)
}

// linear is the exponent of a cost in proportion, and what measuring adds.
const linear = 1.1

// flat is the exponent of a cost that does not grow, likewise.
const flat = 0.15

// laws are all of them, in the order of docs/performance.md.
func laws() []law {
	servers, clients := []int{100, 1000, 10000}, []int{500, 2000, 8000}
	return []law{
		{"start", "from exec to listening, n servers in pools of 100", "ms of processor time", servers, false, linear, startCPU},
		{"start-wall", "the same", "ms on the clock", servers, false, linear, startWall},
		{"memory-server", "memory of n servers in pools of 100, one worker", "KiB", []int{1000, 3000, 10000}, true, linear, memoryOfServers},
		{"memory-worker", "memory of n workers more, 1000 servers", "KiB", []int{7, 15, 31, 63}, true, linear, memoryOfWorkers},
		{"memory-client", "memory of n idle clients", "KiB", []int{4000, 8000, 16000}, true, linear, memoryOfClients},
		{"connections", "sockets for n servers, 2 workers, preconnect", "sockets", []int{10, 100, 1000}, true, linear, connections},
		{"request", "PING while n clients are idle", "microseconds of processor time", clients, false, flat, request},
		{"accept", "connect, PING, close while n clients are idle", "microseconds of processor time", clients, false, flat, accept},
		{"idle", "a second while n clients are idle, client_idle_timeout a minute", "ms of processor time", clients, false, linear, idle},
		{"reload-servers", "reload that changes each of n servers' pools, of 100", "ms of processor time", servers, false, linear, reloadServers},
		{"reload-workers", "reload of 1000 servers in pools of 100 with n workers", "ms of processor time", []int{1, 4, 16, 64}, false, linear, reloadWorkers},
		{"reload-pools", "reload that changes each of n pools of 10 servers", "ms of processor time", []int{10, 100, 1000}, false, linear, reloadPools},
		{"reload-renew", "reload that makes n server connections anew", "ms of processor time", []int{100, 500, 2000}, true, linear, reloadRenew},
		{"reload-clients", "reload while n clients are idle", "ms of processor time", clients, false, linear, reloadClients},
		{"scrape", "JSON of n servers in pools of 100", "ms of processor time", servers, false, linear, scrapeOf("/stats")},
		{"scrape-servers", "page /servers of n servers in pools of 100", "ms of processor time", servers, false, linear, scrapeOf("/servers")},
		{"scrape-workers", "JSON of 1000 servers in pools of 100 with n workers", "ms of processor time", []int{1, 4, 16, 64}, false, linear, scrapeOfWorkers},
		{"ejection", "one of n servers of a pool is ejected", "microseconds of processor time", []int{16, 128, 1024, 4096}, false, linear, ejectionOf(0)},
		{"ejection-many", "likewise, and a quarter is out already", "microseconds of processor time", []int{16, 128, 1024, 4096}, true, linear, ejectionOf(4)},
		{"return", "the server comes back", "microseconds of processor time", []int{16, 128, 1024, 4096}, false, linear, comeback},
		{"continuum", "continuum of n servers from nothing", "microseconds of processor time", []int{10, 100, 1000, 5000}, true, linear, continuum},
		{"lookup", "server of a key, among n", "nanoseconds of processor time", []int{10, 100, 1000, 5000}, false, 0.35, lookup},
	}
}

// repetitions is how often what is over at once is measured; the least counts.
const repetitions = 3

// several is a number of repetitions, or one if the numbers mean nothing.
func (b *bed) several(n int) int {
	if b.short {
		return 1
	}
	return n
}

// with runs a daemon for one measurement.
func with(b *bed, s setup, measure func(d *daemon) (float64, error)) (float64, error) {
	d, err := b.start(s)
	if err != nil {
		return 0, err
	}
	defer d.close()
	return measure(d)
}

// least is the smallest of some measurements.
func least(times int, measure func() (float64, error)) (smallest float64, err error) {
	for i := range times {
		cost, err := measure()
		if err != nil {
			return 0, err
		}
		if i == 0 || cost < smallest {
			smallest = cost
		}
	}
	return smallest, nil
}

func startCPU(b *bed, n int) (float64, error) {
	return least(b.several(2*repetitions), func() (float64, error) {
		return with(b, setup{servers: n, perPool: 100}, func(d *daemon) (float64, error) {
			if _, err := d.restart(); err != nil {
				return 0, err
			}
			seconds, err := d.cpu()
			return seconds * 1000, err
		})
	})
}

func startWall(b *bed, n int) (float64, error) {
	return least(b.several(2*repetitions), func() (float64, error) {
		return with(b, setup{servers: n, perPool: 100}, func(d *daemon) (float64, error) {
			took, err := d.restart()
			return float64(took) / float64(time.Millisecond), err
		})
	})
}

// fewClients are there in any case where memory is measured: what a daemon takes
// for its first client does not count.
const fewClients = 100

// memoryAbove is what a daemon has resident more than one with another setup,
// and with so many clients more.
func memoryAbove(b *bed, base, s setup, clients int) (float64, error) {
	memory := func(s setup, clients int) (float64, error) {
		return least(b.several(repetitions), func() (float64, error) {
			return with(b, s, func(d *daemon) (float64, error) {
				if err := d.open(clients); err != nil {
					return 0, err
				}
				return d.memory()
			})
		})
	}
	before, err := memory(base, fewClients)
	if err != nil {
		return 0, err
	}
	after, err := memory(s, fewClients+clients)
	return after - before, err
}

func nothing(*daemon) error { return nil }

func memoryOfServers(b *bed, n int) (float64, error) {
	return memoryAbove(b, setup{servers: 1}, setup{servers: n, perPool: 100}, 0)
}

func memoryOfWorkers(b *bed, n int) (float64, error) {
	return memoryAbove(b, setup{servers: 1000}, setup{servers: 1000, workers: n + 1}, 0)
}

func memoryOfClients(b *bed, n int) (float64, error) {
	return memoryAbove(b, setup{servers: 1}, setup{servers: 1}, n)
}

func connections(b *bed, n int) (float64, error) {
	l, err := sink()
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return with(b, setup{servers: n, workers: 2, connections: 1, address: l.Addr().String()}, func(d *daemon) (float64, error) {
		if _, err := d.quiet(); err != nil {
			return 0, err
		}
		return d.sockets()
	})
}

// sink is a server that takes connections and reads what comes.
func sink() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 1)) // until the daemon closes it
			}()
		}
	}()
	return l, nil
}

// perAction is the processor time of one of many actions while n clients are
// idle, in microseconds.
func perAction(b *bed, n, actions int, act func(d *daemon) error) (float64, error) {
	return with(b, setup{servers: 10}, func(d *daemon) (float64, error) {
		if err := d.open(n); err != nil {
			return 0, err
		}
		return least(b.several(repetitions), func() (float64, error) {
			cost, err := d.costOf(func() error {
				for range actions {
					if err := act(d); err != nil {
						return err
					}
				}
				return nil
			})
			return cost * 1000 / float64(actions), err
		})
	})
}

func request(b *bed, n int) (float64, error) {
	return perAction(b, n, b.several(20_000), func(d *daemon) error { return ping(d.clients[0], 1) })
}

func accept(b *bed, n int) (float64, error) {
	return perAction(b, n, b.several(1000), func(d *daemon) error {
		c, err := net.Dial("unix", d.bed.socket(0))
		if err != nil {
			return err
		}
		defer c.Close()
		return ping(c, 1)
	})
}

func idle(b *bed, n int) (float64, error) {
	seconds := b.several(4)
	return with(b, setup{servers: 10, settings: "  client_idle_timeout: 60000\n"}, func(d *daemon) (float64, error) {
		if err := d.open(n); err != nil {
			return 0, err
		}
		cost, err := d.costOf(func() error {
			time.Sleep(time.Duration(seconds) * time.Second)
			return nil
		})
		return cost / float64(seconds), err
	})
}

// reloadCost is the processor time of a reload from one setup to another, in
// milliseconds.
func reloadCost(b *bed, before, after setup, fill func(d *daemon) error) (float64, error) {
	return with(b, before, func(d *daemon) (float64, error) {
		if err := fill(d); err != nil {
			return 0, err
		}
		return least(b.several(repetitions), func() (float64, error) {
			before, after = after, before
			return d.costOf(func() error { return d.reload(before) })
		})
	})
}

// changed is s with another setting in each pool.
func (s setup) changed() setup {
	s.settings += "  timeout: 1000\n"
	return s
}

func reloadServers(b *bed, n int) (float64, error) {
	s := setup{servers: n, perPool: 100}
	return reloadCost(b, s, s.changed(), nothing)
}

func reloadWorkers(b *bed, n int) (float64, error) {
	s := setup{servers: 1000, perPool: 100, workers: n}
	return reloadCost(b, s, s.changed(), nothing)
}

func reloadPools(b *bed, n int) (float64, error) {
	s := setup{servers: 10 * n, perPool: 10}
	return reloadCost(b, s, s.changed(), nothing)
}

func reloadRenew(b *bed, n int) (float64, error) {
	l, err := sink()
	if err != nil {
		return 0, err
	}
	defer l.Close()
	s := setup{servers: n, perPool: 100, connections: 1, address: l.Addr().String()}
	renewed := s
	renewed.settings = "  tcpkeepalive: true\n"
	return reloadCost(b, s, renewed, func(d *daemon) error { _, err := d.quiet(); return err })
}

func reloadClients(b *bed, n int) (float64, error) {
	s := setup{servers: 10}
	return reloadCost(b, s, s.changed(), func(d *daemon) error { return d.open(n) })
}

func scrapeOf(path string) func(b *bed, n int) (float64, error) {
	return func(b *bed, n int) (float64, error) { return scrapeCost(b, setup{servers: n, perPool: 100}, path) }
}

func scrapeOfWorkers(b *bed, n int) (float64, error) {
	return scrapeCost(b, setup{servers: 1000, perPool: 100, workers: n}, "/stats")
}

func scrapeCost(b *bed, s setup, path string) (float64, error) {
	return with(b, s, func(d *daemon) (float64, error) {
		return least(b.several(2*repetitions), func() (float64, error) {
			return d.costOf(func() error { return d.scrape(path) })
		})
	})
}
