package proxy

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"encoding/hex"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// scriptName is the SHA-1 of a script in hexadecimal digits, lower case: what EVALSHA calls it by.
type scriptName [2 * sha1.Size]byte

// scriptCache is the scripts that clients of a pool have sent, so that a server which lacks one can be given it: it was restarted,
// or is new, or the script came by EVAL to another server. All workers share it. It is asked once for each script and
// connection; see scriptsOn.
type scriptCache struct {
	mu     sync.Mutex // guards the three below
	bodies map[scriptName][]byte
	oldest []scriptName // in the order in which they came
	bytes  int

	added   atomic.Int64 // how often one has been added
	flushed atomic.Int64 // how often all have been forgotten
}

const (
	// mostScriptBytes bounds the scripts that are kept for a pool. Beyond, the oldest go.
	mostScriptBytes = 16 << 20
	// scriptOverhead is what a script takes besides its text.
	scriptOverhead = 256
)

// add keeps a script. The body is copied.
func (s *scriptCache) add(body []byte) {
	if len(body) > mostScriptBytes/4 {
		return
	}
	name := nameOf(body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.bodies[name]; known {
		return
	}
	if s.bodies == nil {
		s.bodies = map[scriptName][]byte{}
	}
	s.bodies[name] = append([]byte(nil), body...)
	s.oldest = append(s.oldest, name)
	s.bytes += len(body) + scriptOverhead
	for s.bytes > mostScriptBytes {
		s.bytes -= len(s.bodies[s.oldest[0]]) + scriptOverhead
		delete(s.bodies, s.oldest[0])
		s.oldest = s.oldest[1:]
	}
	s.added.Add(1)
}

// find returns a script that must not be changed, nil if it is unknown.
func (s *scriptCache) find(name scriptName) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[name]
}

// flush forgets all scripts: the servers have been told to.
func (s *scriptCache) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies, s.oldest, s.bytes = nil, nil, 0
	s.flushed.Add(1)
}

func nameOf(body []byte) (name scriptName) {
	sum := sha1.Sum(body) //nolint:gosec // see above
	hex.Encode(name[:], sum[:])
	return name
}

// asScriptName reads what a client calls a script; ok is false for what can be no script's name.
func asScriptName(text []byte) (name scriptName, ok bool) {
	if len(text) != len(name) {
		return name, false
	}
	for i, b := range text {
		switch {
		case '0' <= b && b <= '9', 'a' <= b && b <= 'f':
		case 'A' <= b && b <= 'F':
			b |= 0x20
		default:
			return name, false
		}
		name[i] = b
	}
	return name, true
}

// seenScripts is what a worker has given to a cache already, so that a script which comes with each EVAL is hashed by SHA-1 once.
type seenScripts struct {
	seed    maphash.Seed
	flushed int64
	hashes  map[uint64]struct{}
}

// mostSeen bounds what is remembered of scripts by a worker, and by a connection.
const mostSeen = 4096

// remember gives a script to the cache, unless the worker has just done so.
func (s *seenScripts) remember(cache *scriptCache, body []byte) {
	if flushed := cache.flushed.Load(); s.hashes == nil || len(s.hashes) >= mostSeen || s.flushed != flushed {
		*s = seenScripts{seed: maphash.MakeSeed(), flushed: flushed, hashes: map[uint64]struct{}{}}
	}
	hash := maphash.Bytes(s.seed, body)
	if _, known := s.hashes[hash]; !known {
		cache.add(body)
		s.hashes[hash] = struct{}{}
	}
}

// scriptsOn is what a server connection knows of scripts.
type scriptsOn struct {
	flushed int64
	known   map[scriptName]int64 // told, or the count of scripts added while the proxy did not have it
}

const told = -1 // the server has been told the script

// needs reports whether the server is to be told a script before it is asked to run it, and if so returns the script. had
// says whether the proxy has it.
func (s *scriptsOn) needs(cache *scriptCache, name scriptName) (body []byte, had bool) {
	added := cache.added.Load()
	if flushed := cache.flushed.Load(); s.known == nil || len(s.known) >= mostSeen || s.flushed != flushed {
		*s = scriptsOn{flushed: flushed, known: map[scriptName]int64{}}
	}
	at, known := s.known[name]
	switch {
	case known && at == told:
		return nil, true
	case known && at == added:
		return nil, false
	}
	if body = cache.find(name); body == nil {
		s.known[name] = added
		return nil, false
	}
	s.known[name] = told
	return body, true
}
