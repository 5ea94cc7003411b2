package proxy

import (
	"nutmeg/internal/command"
	"nutmeg/internal/resp"
)

// What a Redis client is told when one of its requests reaches a limit.
const (
	errTooManyKeys = "ERR too many keys in request (request_keys)"
	errOutOfMemory = "ERR nutmeg is out of memory (max_memory)"
)

var (
	errTooLarge         = &resp.SyntaxError{Text: "request too large (request_size)"}
	errTooSlow          = &resp.SyntaxError{Text: "request not complete in time (request_timeout)"}
	errStrangerTooLarge = &resp.SyntaxError{Text: "request too large before authentication"}
)

// strangerBytes bounds the request of a client that has not given the password: it could fill the memory with requests
// that are never whole. Redis has such a limit too.
const strangerBytes = 1 << 20

// boundCut applies the limits to a request that has not come whole. What breaks one of them is not kept.
func (p *redisProtocol) boundCut(c *client, in *intake) {
	w := c.worker
	switch {
	case in.redis.parser.Announced() > c.pool.conf.Limits.RequestBytes:
		c.dropCut()
		p.tooLarge(c)
	case in.skips:
		in.redis.request.Args = in.redis.request.Args[:0]
	case p.strange(c) && in.rope.Len() > strangerBytes:
		c.dropCut()
		p.breakOff(c, errStrangerTooLarge)
	case p.announcesTooManyKeys(c, in):
		c.hit(limitRequestKeys)
		p.skip(w, in, errTooManyKeys)
	case w.pressure == pressureStarved && in.rope.Len() > starvedRequest && w.starving():
		c.hit(limitMemoryRefuse)
		p.skip(w, in, errOutOfMemory)
	}
}

func (p *redisProtocol) skip(w *worker, in *intake, refusal string) {
	in.redis.refusal = refusal
	in.redis.request.Args = in.redis.request.Args[:0]
	w.skip(in)
}

// announcesTooManyKeys reports whether a request that has not come whole has too many keys by the number of arguments
// that it announced. Of commands whose keys stand anywhere that is known only in the end.
func (p *redisProtocol) announcesTooManyKeys(c *client, in *intake) bool {
	have, left := len(in.redis.request.Args), in.redis.parser.ArgsLeft()
	if have < 2 || have+left <= c.pool.conf.Limits.RequestKeys {
		return false
	}
	name := in.redis.request.Args[0]
	if name.Len() > maxCommandName {
		return false
	}
	cmd := command.Lookup(in.rope.View(int(name.Start), name.Len(), c.worker.shortScratch(maxCommandName)))
	if cmd == nil {
		return false
	}
	step := 1
	switch actions[cmd.ID] {
	case actSplitPairs:
		step = 2
	case actSplitArray, actSplitSum:
	default:
		return false
	}
	return (have+left-2)/step > c.pool.conf.Limits.RequestKeys // without the name; one may be counted on both sides
}

// maxCommandName is longer than the name of any command that splits.
const maxCommandName = 64

func (p *redisProtocol) tooManyKeys(c *client) {
	c.hit(limitRequestKeys)
	p.refuse(c, errTooManyKeys)
}

func (p *redisProtocol) tooLarge(c *client) {
	c.hit(limitRequestSize)
	p.breakOff(c, errTooLarge)
}

func (p *redisProtocol) tooSlow(c *client) { p.breakOff(c, errTooSlow) }
