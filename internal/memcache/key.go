package memcache

// AppendDecodedKey appends the bytes that an encoded key of a meta command stands
// for. ok is false where memcached says that it cannot decode the key.
//
// memcached is lenient, and who finds another key than it sends the request to
// another server: it passes over what is no letter of base64, wants a multiple of
// four letters, pads included, stops behind the first padded group of four, and
// does not mind a pad in the group's middle.
func AppendDecodedKey(dst, key []byte) (decoded []byte, ok bool) {
	letters := 0
	for _, c := range key {
		if base64Values[c] != noBase64 {
			letters++
		}
	}
	if letters == 0 || letters%4 != 0 {
		return dst, false
	}
	group, n, pads := uint32(0), 0, 0
	for _, c := range key {
		v := base64Values[c]
		if v == noBase64 {
			continue
		}
		if c == '=' {
			pads++
		}
		group = group<<6 | uint32(v)
		if n++; n < 4 {
			continue
		}
		if pads > 2 {
			return dst, false
		}
		whole := [3]byte{byte(group >> 16), byte(group >> 8), byte(group)}
		dst = append(dst, whole[:3-pads]...)
		if pads > 0 {
			break
		}
		group, n = 0, 0
	}
	return dst, true
}

const noBase64 = 0xff

// base64Values are the letters of base64; a pad counts as 0.
var base64Values = func() (values [256]byte) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range values {
		values[i] = noBase64
	}
	for i := range len(letters) {
		values[letters[i]] = byte(i)
	}
	values['='] = 0
	return values
}()
