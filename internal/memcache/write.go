package memcache

// A fragment of a retrieval is written in three steps:
//
//	out = AppendRetrieval(out, req.Kind, exptime)
//	out = AppendKey(out, key) // for each key of the fragment
//	out = AppendLineEnd(out)
//
// It is never longer than the client's line, so the limits of the line hold.

// AppendRetrieval appends the name of kind, which must be a retrieval, and for
// gat and gats the text of the client's exptime.
func AppendRetrieval(dst []byte, kind Kind, exptime []byte) []byte {
	dst = append(dst, kind.String()...)
	if kind == Gat || kind == Gats {
		dst = append(dst, ' ')
		dst = append(dst, exptime...)
	}
	return dst
}

// AppendKey appends a blank and key.
func AppendKey(dst, key []byte) []byte {
	dst = append(dst, ' ')
	return append(dst, key...)
}

// AppendLineEnd appends CRLF.
func AppendLineEnd(dst []byte) []byte { return append(dst, '\r', '\n') }

// AppendForward appends the request r, whose bytes are raw from its first to
// its last, as the server shall see it: without noreply, so that every request
// on a server connection has exactly one response, and with CRLF at the end of its line. A quiet one has one or none:
// behind it goes mn, whose MN tells that nothing more will come.
func AppendForward(dst, raw []byte, r *Request) []byte {
	start, end := 0, r.LineEnd
	if r.BareLine {
		end--
	}
	if r.NoReply {
		dst = append(dst, raw[:r.NoReplySpan.Start]...)
		start = int(r.NoReplySpan.End)
	}
	dst = append(dst, raw[start:end]...)
	if r.BareLine {
		dst = append(dst, '\r')
	}
	dst = append(dst, raw[end:]...)
	if r.Quiet {
		dst = append(dst, NoopRequest...)
	}
	return dst
}
