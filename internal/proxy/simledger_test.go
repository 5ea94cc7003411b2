package proxy

import (
	"bytes"
	"fmt"
	"strconv"
)

// The ledger of a simulation knows all that clients asked for and all that servers did. Everything on the wire names its
// author: a key its client, a value the key and the unit that wrote it, a token the unit that it stands for.
//
//	key    c12:k7, c12:{k7} and the like: client 12, its key 7
//	value  c12:k7|345|...: written by the client's unit 345; the rest follows from the number and the length
//	token  x12.345: the client's unit 345, where no value can say so

// unit is something that a server does for a client, at most once: a write of one key, a read of one key.
type unit struct {
	key    int16 // of the client; noKey if it has none
	length int32 // of the value's filler, -1 if it writes none
	found  int32 // a read: the unit that wrote what was found, 0 for nothing
	done   bool  // some server has done it
	secret bool  // the client has not sent all of it: nobody may do it
}

const noKey = -1

// keysOfClient is how many keys a client has. Nobody else writes to them.
const keysOfClient = 24

// ledger is a client's part of the books.
type ledger struct {
	client int
	units  []unit // unit n is at index n; 0 stands for nothing
	keys   [keysOfClient]keyState
	form   int // of its keys on the wire

	everywhere map[int32][]string // by unit: the servers that were asked, of those that all are asked for

	// Requests that carry no unit are only counted.
	plainSent, plainDone int
}

// keyState is what a client knows of one of its keys.
type keyState struct {
	last     int32 // the unit that wrote it last, 0 if it is not there
	doubtful bool  // a write was answered by an error: it may have happened, or may happen yet
	silentAt int64 // when a write without a response was sent last
}

func newLedger(client, form int) ledger {
	return ledger{client: client, form: form, units: make([]unit, 1, 256), everywhere: map[int32][]string{}}
}

// add makes up a unit and returns its number.
func (l *ledger) add(key int, length int) int32 {
	l.units = append(l.units, unit{key: int16(key), length: int32(length)})
	return int32(len(l.units) - 1)
}

// do notes that a server has done a unit, and says what is wrong with that.
func (l *ledger) do(number int, key int) (*unit, error) {
	if number <= 0 || number >= len(l.units) {
		return nil, fmt.Errorf("client %d has never asked for its unit %d", l.client, number)
	}
	u := &l.units[number]
	switch {
	case u.secret:
		return nil, fmt.Errorf("client %d has not sent all of its unit %d", l.client, number)
	case u.done:
		return nil, fmt.Errorf("unit %d of client %d is done twice", number, l.client)
	case int(u.key) != key:
		return nil, fmt.Errorf("unit %d of client %d is about key %d, not %d", number, l.client, u.key, key)
	}
	u.done = true
	return u, nil
}

// appendKey appends a key of the client.
func (l *ledger) appendKey(dst []byte, key int) []byte {
	open, middle, end := "c", ":k", ""
	switch {
	case l.form == 1 && key%3 == 0:
		open, middle = "{c", "}:k" // these have one hash tag
	case l.form == 1:
		middle, end = ":{k", "}"
	}
	dst = append(dst, open...)
	dst = strconv.AppendInt(dst, int64(l.client), 10)
	dst = append(dst, middle...)
	dst = strconv.AppendInt(dst, int64(key), 10)
	return append(dst, end...)
}

// appendToken appends what stands for a unit.
func (l *ledger) appendToken(dst []byte, number int32) []byte {
	dst = append(dst, 'x')
	dst = strconv.AppendInt(dst, int64(l.client), 10)
	dst = append(dst, '.')
	return strconv.AppendInt(dst, int64(number), 10)
}

// appendValue appends what a unit writes.
func (l *ledger) appendValue(dst []byte, number int32) []byte {
	u := &l.units[number]
	dst = append(dst, 'c')
	dst = strconv.AppendInt(dst, int64(l.client), 10)
	dst = append(dst, ":k"...)
	dst = strconv.AppendInt(dst, int64(u.key), 10)
	dst = append(dst, '|')
	dst = strconv.AppendInt(dst, int64(number), 10)
	dst = append(dst, '|')
	return append(dst, filler(number, int(u.length))...)
}

// filler is what fills a value: different for each unit, with all that could mislead who frames it.
func filler(number int32, length int) []byte {
	at := int(uint32(number) * 2654435761 % 65521)
	return fillers[at : at+length]
}

// maxFiller bounds the length of a filler.
const maxFiller = 128 << 10

var fillers = buildFillers()

func buildFillers() []byte {
	words := []string{"\r\n", "END\r\n", "$5\r\n", "nutmeg", "-ERR ", "\x00", "VALUE x 0 1\r\n", "*3\r\n", "mace ", "+OK\r\n", "{", "}"}
	var all []byte
	for i := uint32(1); len(all) < 65536+maxFiller; i++ {
		x := i * 2654435761
		all = append(all, words[x>>8%uint32(len(words))]...)
		all = strconv.AppendUint(all, uint64(x), 36)
	}
	return all
}

// names are the two numbers in a key or a token, the kind of which is its first letter.
type names struct{ client, number int }

// parseKey reads a key. ok is false for keys that are nobody's.
func parseKey(b []byte) (n names, ok bool) {
	b = bytes.TrimPrefix(b, []byte("{"))
	if len(b) == 0 || b[0] != 'c' {
		return n, false
	}
	return parseNames(b[1:])
}

// parseToken reads a token.
func parseToken(b []byte) (n names, ok bool) {
	if len(b) == 0 || b[0] != 'x' {
		return n, false
	}
	return parseNames(b[1:])
}

// parseNames reads two numbers with something between them.
func parseNames(b []byte) (n names, ok bool) {
	client, rest := leadingNumber(b)
	gap := 0
	for gap < len(rest) && (rest[gap] < '0' || rest[gap] > '9') {
		gap++
	}
	number, after := leadingNumber(rest[gap:])
	return names{client, number}, len(rest) < len(b) && gap > 0 && len(after) < len(rest[gap:])
}

func leadingNumber(b []byte) (n int, rest []byte) {
	for len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		n = n*10 + int(b[0]-'0')
		b = b[1:]
	}
	return n, b
}

// checkValue reads the value of a key and says which unit wrote it.
func (l *ledger) checkValue(value []byte, key int) (number int32, err error) {
	head, rest, _ := bytes.Cut(value, []byte("|"))
	text, body, found := bytes.Cut(rest, []byte("|"))
	n, ok := parseKey(head)
	writer, after := leadingNumber(text)
	switch {
	case !ok || !found || len(after) > 0:
		return 0, fmt.Errorf("key %d of client %d has a value that nobody wrote: %.60q", key, l.client, value)
	case n.client != l.client || n.number != key:
		return 0, fmt.Errorf("key %d of client %d has the value of key %d of client %d", key, l.client, n.number, n.client)
	case writer <= 0 || writer >= len(l.units) || int(l.units[writer].key) != key || l.units[writer].length < 0:
		return 0, fmt.Errorf("key %d of client %d has a value of unit %d, which does not write it", key, l.client, writer)
	case !bytes.Equal(body, filler(int32(writer), int(l.units[writer].length))):
		return 0, fmt.Errorf("key %d of client %d has a spoilt value of unit %d, %d bytes", key, l.client, writer, len(body))
	}
	return int32(writer), nil
}
