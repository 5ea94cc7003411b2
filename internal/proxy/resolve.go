package proxy

import (
	"maps"
	"net/netip"
	"slices"

	"nutmeg/internal/config"
	"nutmeg/internal/evloop"
)

// resolver looks the host names of connected servers up again from time to time. Who connects looks up the name anyway; this
// is for connections that live on when the name has long moved to another machine.
type resolver struct {
	worker *worker
	timer  evloop.Timer
}

// schedule arms the timer as the configuration in force says.
func (r *resolver) schedule() {
	w := r.worker
	w.loop.Disarm(&r.timer)
	if interval := w.generation.conf.Global.ResolveInterval; interval > 0 && w.generation.hasNames {
		w.loop.Arm(&r.timer, w.loop.Now()+int64(interval), r)
	}
}

// names are the servers that have a host name, by name.
func (r *resolver) names() map[string][]*server {
	names := map[string][]*server{}
	for _, p := range r.worker.pools {
		for _, s := range p.servers {
			if hasName(s.conf) {
				names[s.address.Host] = append(names[s.address.Host], s)
			}
		}
	}
	return names
}

// hasName reports whether a server is given by a host name.
func hasName(s *config.Server) bool {
	if s.Address.Host == "" {
		return false
	}
	_, err := netip.ParseAddr(s.Address.Host)
	return err != nil
}

// Expired looks all names up, of servers that are connected to.
func (r *resolver) Expired() {
	loop := r.worker.loop
	names := r.names()
	for _, host := range slices.Sorted(maps.Keys(names)) {
		servers := names[host]
		if !slices.ContainsFunc(servers, (*server).connected) {
			continue
		}
		loop.Outside().Resolve(host, func(ips []netip.Addr, err error) {
			if err != nil || len(ips) == 0 {
				return // the name may come back; what is connected works
			}
			loop.Post(func() {
				for _, s := range servers {
					s.resolved(ips)
				}
			})
		})
	}
	r.schedule()
}

// connected reports whether there is a connection that requests can take.
func (s *server) connected() bool {
	for conn := range s.shared() {
		if conn.connected {
			return true
		}
	}
	return false
}

// resolved replaces connections to addresses that are not the server's any more.
func (s *server) resolved(ips []netip.Addr) {
	for conn := range s.shared() {
		if !conn.connected {
			continue
		}
		peer, err := netip.ParseAddrPort(conn.conn.Peer())
		if err == nil && !slices.Contains(ips, peer.Addr()) {
			s.pool.worker.log.Info("server moves to another address", "pool", s.pool.name(), "server", s.conf.Name,
				"from", peer.Addr().String(), "to", ips)
			s.renewLanes()
			return
		}
	}
}
