package command

import "encoding/binary"

const (
	slotBits = 10 // 1024 slots for about 250 names

	// The best of three million pairs of random odd numbers: finding each of the
	// 242 names takes 250 looks.
	mulHead = 0x78b86c96a1d5010b
	mulTail = 0x6af7f8d17695fc4f
)

// slot is an entry of the open-addressed table: a name's words and its command.
type slot struct {
	head, tail uint64
	cmd        *Command // nil ends a probe
}

// These are made of the table once and never changed.
var (
	count              = number(table[:])
	slots, longestName = index(table[:])
)

// number gives every command and subcommand its ID and returns how many there are.
func number(commands []Command) (n int) {
	for i := range commands {
		commands[i].ID = n
		n++
		for j := range commands[i].Subcommands {
			commands[i].Subcommands[j].ID = n
			n++
		}
	}
	return n
}

// Lookup returns the command called name, in any case, or nil if the table has
// none of that name. A subcommand is found through its container. name is only
// read; Lookup does not allocate.
func Lookup(name []byte) *Command {
	if len(name) > longestName {
		return nil
	}
	head, tail := words(name)
	for i := hash(head, tail); ; i++ {
		s := &slots[i%(1<<slotBits)]
		if s.cmd == nil {
			return nil
		}
		if s.head == head && s.tail == tail && len(s.cmd.Name) == len(name) &&
			(len(name) <= 16 || foldsTo(name[8:len(name)-8], s.cmd.Name[8:len(name)-8])) {
			return s.cmd
		}
	}
}

// words returns the first and the last eight bytes of name with ASCII upper case
// folded to lower. They overlap in names shorter than 16 bytes; names of up to 8
// have everything in head. Together with the length they tell apart all names
// of up to 16 bytes.
func words(name []byte) (head, tail uint64) {
	n := len(name)
	switch {
	case n >= 8:
		head = fold(binary.LittleEndian.Uint64(name))
		if n > 8 {
			tail = fold(binary.LittleEndian.Uint64(name[n-8:]))
		}
	case n >= 4:
		head = fold(uint64(binary.LittleEndian.Uint32(name)) | uint64(binary.LittleEndian.Uint32(name[n-4:]))<<32)
	case n > 0:
		head = fold(uint64(name[0]) | uint64(name[n/2])<<8 | uint64(name[n-1])<<16)
	}
	return head, tail
}

// fold turns the ASCII upper-case letters among eight bytes into lower case and
// leaves every other byte alone. In each byte without its top bit, adding makes
// the top bit say "at least 'A'" and "above 'Z'"; where they differ is a letter,
// and its top bit moved down two places is the 0x20 of lower case.
func fold(w uint64) uint64 {
	const every = 0x0101010101010101
	low := w & (0x7f * every)
	atLeastA := low + (0x80-'A')*every
	aboveZ := low + (0x80-'Z'-1)*every
	upper := (atLeastA ^ aboveZ) & ^w & (0x80 * every)
	return w | upper>>2
}

// hash returns where the probe for a name begins, in [0, 1<<slotBits).
func hash(head, tail uint64) uint64 {
	return (head*mulHead ^ tail*mulTail) >> (64 - slotBits)
}

// foldsTo reports whether name without case is lower, which has name's length.
func foldsTo(name []byte, lower string) bool {
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}

// index puts the commands into slots with linear probing.
func index(commands []Command) (*[1 << slotBits]slot, int) {
	slots, longest := new([1 << slotBits]slot), 0
	for i := range commands {
		c := &commands[i]
		longest = max(longest, len(c.Name))
		head, tail := words([]byte(c.Name))
		at := hash(head, tail)
		for slots[at].cmd != nil {
			at = (at + 1) % (1 << slotBits)
		}
		slots[at] = slot{head, tail, c}
	}
	return slots, longest
}
