package distribution

import "slices"

// maxSlots is how many slots modula spells out in an array, 256 KiB at most;
// above it the owner of a slot is searched for.
const maxSlots = 1 << 16

// newModula gives each live server, in order, as many consecutive slots as its
// weight; hash modulo the number of slots is the slot.
// Algorithm: twemproxy's hashkit/nc_modula.c.
func newModula(live []member) Distribution {
	total := totalWeight(live)
	if total > maxSlots {
		return newModulaSearch(live, total)
	}
	slots := make(modula, 0, total)
	for _, m := range live {
		for range m.Weight {
			slots = append(slots, m.index)
		}
	}
	return slots
}

// modula holds the owner of every slot.
type modula []uint32

func (m modula) Locate(hash uint32) int {
	return int(m[hash%uint32(len(m))])
}

// modulaSearch is modula for weights whose slots would fill the memory.
type modulaSearch struct {
	total uint64
	ends  []uint64 // first slot after each owner's
	owner []uint32
}

func newModulaSearch(live []member, total uint64) *modulaSearch {
	m := &modulaSearch{total: total}
	end := uint64(0)
	for _, server := range live {
		end += uint64(server.Weight)
		m.ends = append(m.ends, end)
		m.owner = append(m.owner, server.index)
	}
	return m
}

func (m *modulaSearch) Locate(hash uint32) int {
	// An end is itself the first slot of the next owner.
	i, _ := slices.BinarySearch(m.ends, uint64(hash)%m.total+1)
	return int(m.owner[i])
}
