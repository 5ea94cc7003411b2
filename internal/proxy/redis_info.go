package proxy

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"nutmeg/internal/resp"
)

// sectionName is the section of INFO that tells of the proxy.
const sectionName = "NUTMEG"

// asksForOwn reports whether an INFO wants the proxy's own section, and whether it names that.
func asksForOwn(m *message) (wanted, named bool) {
	wanted = m.Len() == 1
	for i := 1; i < m.Len(); i++ {
		switch arg := m.Arg(i); {
		case isWord(arg, sectionName):
			wanted, named = true, true
		case isWord(arg, "DEFAULT"), isWord(arg, "ALL"), isWord(arg, "EVERYTHING"):
			wanted = true
		}
	}
	return wanted, named
}

// ownInfo answers INFO nutmeg, for which no server is needed.
func (p *redisProtocol) ownInfo(c *client) {
	w := c.worker
	w.scratch = resp.AppendText(w.scratch[:0], c.version() == 3, c.pool.appendOwnInfo(nil, nil, true))
	c.reply(w.scratch)
}

// appendOwnInfo appends the section about the proxy. It is what one worker knows without asking the others; what is only
// its own part says so. Missing are the servers that what stands above it does not cover; without whole it tells of them only.
func (p *workerPool) appendOwnInfo(dst []byte, missing []string, whole bool) []byte {
	dst = append(dst, "# Nutmeg\r\n"...)
	line := func(name string, value any) { dst = fmt.Appendf(dst, "%s:%v\r\n", name, value) }
	if len(missing) > 0 {
		line("servers_missing", nameList(missing))
	}
	if !whole {
		return dst
	}
	w := p.worker
	var out []string
	requests, open := int64(0), int64(0)
	for i, sv := range p.servers {
		if !p.health.In(i) {
			out = append(out, sv.conf.Name)
		}
		requests += sv.stats.Requests
		open += sv.stats.Connections
	}
	line("nutmeg_version", w.proxy.Version)
	line("process_id", os.Getpid())
	line("uptime_in_seconds", (w.loop.Now()-w.proxy.startedAt)/1e9)
	line("workers", len(w.proxy.workers))
	line("workers_clients", w.proxy.ofWorkers(func(w *worker) int64 { return w.load.Load() }))
	line("workers_busy_percent", w.proxy.ofWorkers(func(w *worker) int64 { return int64(w.share.Load()) / 10 }))
	line("clients", w.proxy.population.Load())
	line("memory_held", w.proxy.memory.held.Load())
	line("memory_limit", w.proxy.memory.limit.Load())
	line("pool", p.name())
	line("pool_distribution", p.conf.Routing.Distribution)
	line("pool_hash", p.conf.Routing.Hash)
	line("pool_clients", p.census.clients.Load())
	line("pool_servers", len(p.servers))
	line("pool_servers_in", len(p.servers)-len(out))
	line("pool_servers_out", nameList(out))
	line("this_worker", w.index)
	line("this_worker_requests", requests)
	line("this_worker_fragments", p.stats.Fragments)
	line("this_worker_forward_errors", p.stats.ForwardError)
	line("this_worker_server_connections", open)
	return dst
}

// ofWorkers is a figure of each worker, in their order.
func (p *Proxy) ofWorkers(figure func(*worker) int64) string {
	list := make([]string, len(p.workers))
	for i, w := range p.workers {
		list[i] = strconv.FormatInt(figure(w), 10)
	}
	return strings.Join(list, ",")
}

// nameList is names of the configuration in one line.
func nameList(names []string) string {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = printable([]byte(name))
	}
	return strings.Join(shown, ",")
}
