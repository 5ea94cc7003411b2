package proxy

import (
	"slices"

	"nutmeg/internal/evloop"
)

// succession is the retired connections of a pool to one place, and those that wait for them: what earlier ones have in
// flight comes first. It is there as long as a connection is retired. The place is an address, not a server of the
// configuration: that may have got another name since, or was removed and came back.
type succession struct {
	retired []*serverConn
	waiting []*serverConn // they would be ready but for that
}

// successionAt is that of an address, which there is from now on.
func (p *workerPool) successionAt(address evloop.Address) *succession {
	s := p.successions[address]
	if s == nil {
		if p.successions == nil {
			p.successions = map[evloop.Address]*succession{}
		}
		s = &succession{}
		p.successions[address] = s
	}
	return s
}

// waitsInLine reports whether a connection has to wait for retired ones that are earlier and lead to the same place. It is
// told to begin when one of them is gone.
func (s *serverConn) waitsInLine() bool {
	before := s.server.pool.successions[s.server.address]
	if before == nil || !slices.ContainsFunc(before.retired, func(conn *serverConn) bool { return conn.era < s.era }) {
		return false
	}
	before.waiting = append(before.waiting, s)
	return true
}

// leaveLine takes a connection that has failed out of the line, if it is in one.
func (s *serverConn) leaveLine() {
	if before := s.server.pool.successions[s.server.address]; before != nil {
		before.waiting = slices.DeleteFunc(before.waiting, func(conn *serverConn) bool { return conn == s })
	}
}

// outlived says that a retired connection is gone. The last one of its era lets those of the next begin.
func (s *serverConn) outlived() {
	p := s.server.pool
	at := p.successions[s.server.address]
	at.retired = slices.DeleteFunc(at.retired, func(conn *serverConn) bool { return conn == s })
	if len(at.retired) == 0 {
		delete(p.successions, s.server.address)
	}
	waiting := at.waiting
	at.waiting = nil
	for _, conn := range waiting {
		conn.begin()
	}
}
