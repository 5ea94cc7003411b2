package proxy

import (
	"hash/fnv"
	"math/bits"
	"strconv"

	"nutmeg/internal/command"
	"nutmeg/internal/config"
	"nutmeg/internal/resp"
)

// SCAN over all servers visits one after the other. A cursor says where it is:
//
//	the server's own cursor | index of the server | check of the pool's servers
//
// The check is of their names and addresses in order. A cursor from before a change of them is refused: a scan that went on
// with other servers would miss keys and say nothing of it. Nothing is remembered for a scan, so it may go on over another
// connection, worker or process. What one server promises holds for all: a key that is there from the beginning
// to the end is returned, on whatever server it is, unless its server was out meanwhile.

// checkBits is how many bits of a cursor are the check.
const checkBits = 12

// cursors is how the cursors of a pool are made.
type cursors struct {
	servers   int
	check     uint64
	indexBits int
}

func newCursors(servers []config.Server) cursors {
	h := fnv.New64a()
	var text []byte
	for i := range servers {
		text = append(append(text[:0], servers[i].Name...), 0)
		text = append(servers[i].Address.Append(text), 0)
		_, _ = h.Write(text) // it never fails
	}
	sum := h.Sum64()
	return cursors{
		servers: len(servers), check: (sum ^ sum>>checkBits ^ sum>>(2*checkBits)) & (1<<checkBits - 1),
		indexBits: bits.Len(uint(len(servers) - 1)),
	}
}

// encode makes a cursor; ok is false if the server's own leaves no room for the rest.
func (p cursors) encode(index int, own uint64) (cursor uint64, ok bool) {
	shift := checkBits + p.indexBits
	return own<<shift | uint64(index)<<checkBits | p.check, own<<shift>>shift == own
}

// decode takes a cursor apart; ok is false if it is not one of these servers.
func (p cursors) decode(cursor uint64) (index int, own uint64, ok bool) {
	if cursor == 0 {
		return 0, 0, true
	}
	index = int(cursor >> checkBits & (1<<p.indexBits - 1))
	return index, cursor >> (checkBits + p.indexBits), cursor&(1<<checkBits-1) == p.check && index < p.servers
}

// nextIn is the first server from an index on that is in; the number of servers if there is none.
func (p *workerPool) nextIn(index int) int {
	for index < len(p.servers) && !p.health.In(index) {
		index++
	}
	return index
}

const errScanCursor = "ERR invalid cursor: it is not of the servers that this pool has now; begin again with 0"

func (p *redisProtocol) scan(c *client, m *message, request *resp.Request, cmd *command.Command) {
	pool := c.pool
	if len(pool.servers) == 1 {
		p.forwardKey(c, m, placeholder)
		return
	}
	cursor, err := strconv.ParseUint(string(m.Arg(1)), 10, 64)
	if err != nil {
		c.reply([]byte(resp.BadCursor))
		return
	}
	if pool.pick(placeholder) == nil { // also: it takes back those whose time has come
		c.replyFailure(failRefused)
		return
	}
	index, own, ok := pool.cursors.decode(cursor)
	if !ok {
		p.refuse(c, errScanCursor)
		return
	}
	if next := pool.nextIn(index); next != index {
		index, own = next, 0
	}
	if index == len(pool.servers) {
		c.reply([]byte("*2\r\n$1\r\n0\r\n*0\r\n"))
		return
	}
	p.scanServer(c, m, request, cmd, index, own)
}

// scanServer asks one server, with its own cursor.
func (p *redisProtocol) scanServer(c *client, m *message, request *resp.Request, cmd *command.Command, index int, own uint64) {
	w := c.worker
	f := w.newFamily(mergeScan)
	f.own(w, index)
	f.all.names = append(f.all.names, c.pool.servers[index].conf.Name)
	f.all.index, f.all.cursors = index, c.pool.cursors
	if cause := f.refusal(c, m.size()); cause != nil {
		f.disband(w)
		c.replyFailure(cause)
		return
	}
	f.settleOwners(w)
	f.bear(c, m.size())
	conn := w.childConns[0]
	w.scratch = resp.AppendBulk(resp.AppendArray(w.scratch[:0], m.Len()), m.nameFor(cmd))
	w.scratch = resp.AppendBulk(w.scratch, strconv.FormatUint(own, 10))
	conn.append(w.scratch)
	if last := m.Len() - 1; last > 1 {
		m.sendRange(conn, request.Raw(2).Start, request.Raw(last).End)
	}
	f.launch(w)
}

// mergeScan puts the pool's cursor in the place of the server's. It reports false for what is no answer to SCAN.
func (p *redisProtocol) mergeScan(pool *workerPool, parent *request) bool {
	w, f := pool.worker, parent.family
	body := &f.children[0].response
	const head = 64 // an array of two, and a number of 64 bits as a bulk string
	n := min(body.Len(), head)
	r := resp.NewReader(body.View(0, n, w.shortScratch(n)))
	list, ok := r.Next()
	text, there := r.Next()
	own, err := strconv.ParseUint(string(text.Text), 10, 64)
	if !ok || !there || list.Kind != resp.Array || list.Count != 2 || !text.IsText() || err != nil {
		return false
	}
	index, cursor, fits := f.all.index, uint64(0), true
	if own == 0 {
		index++
		if f.all.cursors == pool.cursors { // else the next request is refused
			index = pool.nextIn(index)
		}
	}
	if index < f.all.cursors.servers {
		cursor, fits = f.all.cursors.encode(index, own)
	}
	switch {
	case !fits:
		w.scratch = resp.AppendError(w.scratch[:0], "ERR the cursor of server "+printable([]byte(f.all.names[0]))+
			" leaves no room to name the server beside it; scan each server by NUTMEG ON <server> SCAN")
		body.Reset(&w.loop.Chunks)
	default:
		body.Discard(&w.loop.Chunks, n-r.Len())
		w.scratch = resp.AppendBulk(resp.AppendArray(w.scratch[:0], 2), strconv.FormatUint(cursor, 10))
	}
	parent.response.Append(&w.loop.Chunks, w.scratch)
	parent.response.Take(&w.loop.Chunks, body)
	return true
}
