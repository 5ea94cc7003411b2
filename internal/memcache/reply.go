package memcache

// This file holds every text that nutmeg itself says to a memcached client.

// Responses of one line that the proxy may give by itself.
const (
	EndReply       = "END\r\n"
	OKReply        = "OK\r\n"
	NoopReply      = "MN\r\n"
	unsupportedFmt = "CLIENT_ERROR unsupported command '"
	unsupportedEnd = "', send it to the server itself\r\n"
)

// Problem is why a request was refused. It is an error; a fatal one is returned
// by RequestParser.Parse, the others stand in Request.Problem.
type Problem uint8

// Recoverable problems first (the connection lives on), then fatal ones (the
// stream can no longer be cut into requests: answer, then close).
const (
	NoProblem Problem = iota
	UnknownCommand
	UnsupportedCommand // AppendProblem adds the name
	WrongArity
	KeyTooLong
	ControlByte
	BadNumber
	BadExptime
	BadDelta
	BadDelete
	MissingKey
	BadFlag
	TooManyFlags
	TooManyKeys // the engine's own from here, by the limits of the configuration
	ValueTooLarge
	OutOfMemory
	BadStorageLine // ms without a length
	BadDataChunk
	LineTooLong // the first fatal one
	BinaryProtocol
	HTTPRequest
	TooSlow     // the engine's own, like the next
	ValueForOne // a storage command behind nutmeg on
	numProblems
)

// problemReplies are memcached's own words where it has words for the cause.
var problemReplies = [numProblems]string{
	UnknownCommand:     "ERROR\r\n",
	UnsupportedCommand: "CLIENT_ERROR unsupported command\r\n",
	WrongArity:         "ERROR\r\n",
	KeyTooLong:         "CLIENT_ERROR bad command line format\r\n",
	ControlByte:        "CLIENT_ERROR control byte in command line\r\n",
	BadNumber:          "CLIENT_ERROR bad command line format\r\n",
	BadExptime:         "CLIENT_ERROR invalid exptime argument\r\n",
	BadDelta:           "CLIENT_ERROR invalid numeric delta argument\r\n",
	BadDelete:          "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n",
	MissingKey:         "CLIENT_ERROR bad command line format\r\n",
	BadFlag:            "CLIENT_ERROR invalid flag\r\n",
	TooManyFlags:       "CLIENT_ERROR options flags too long\r\n",
	TooManyKeys:        "CLIENT_ERROR too many keys in request (request_keys)\r\n",
	ValueTooLarge:      "SERVER_ERROR object too large for cache\r\n",
	OutOfMemory:        "SERVER_ERROR nutmeg is out of memory (max_memory)\r\n",
	LineTooLong:        "CLIENT_ERROR line too long\r\n",
	BadStorageLine:     "CLIENT_ERROR bad command line format\r\n",
	BadDataChunk:       "CLIENT_ERROR bad data chunk\r\n",
	BinaryProtocol:     "CLIENT_ERROR binary protocol not supported, use the text protocol\r\n",
	HTTPRequest:        "ERROR\r\n",
	ValueForOne:        "CLIENT_ERROR a command with a value cannot be sent with 'nutmeg on'\r\n",
	TooSlow:            "CLIENT_ERROR request not complete in time (request_timeout)\r\n",
}

// problemNames are for logs and metrics.
var problemNames = [numProblems]string{
	NoProblem:          "no problem",
	UnknownCommand:     "unknown command",
	UnsupportedCommand: "unsupported command",
	WrongArity:         "wrong number of arguments",
	KeyTooLong:         "key longer than 250 bytes",
	ControlByte:        "control byte in command line",
	BadNumber:          "malformed or out-of-range number",
	BadExptime:         "malformed or out-of-range exptime",
	BadDelta:           "malformed delta",
	BadDelete:          "delete with a time or a further argument",
	MissingKey:         "command without a key",
	BadFlag:            "flag of a meta command that is no letter",
	TooManyFlags:       "more than 16 flags of ms",
	TooManyKeys:        "more keys than request_keys",
	ValueTooLarge:      "larger than request_size",
	OutOfMemory:        "no memory left of max_memory",
	LineTooLong:        "command line too long",
	BadStorageLine:     "storage command without the length of its value",
	BadDataChunk:       "value not followed by CRLF",
	BinaryProtocol:     "binary protocol",
	HTTPRequest:        "HTTP request",
	ValueForOne:        "a command with a value behind nutmeg on",
	TooSlow:            "request not complete within request_timeout",
}

// Error names the problem for logs.
func (p Problem) Error() string { return problemNames[p] }

// Fatal tells whether the connection must be closed after the reply.
func (p Problem) Fatal() bool { return p >= LineTooLong }

// Reply is the whole line for the client, with CRLF; empty for NoProblem.
func (p Problem) Reply() string { return problemReplies[p] }

// AppendProblem appends the line that answers the refused request r to dst.
// It is for r.Problem; a fatal problem has its Reply. When r.NoReply is set the
// client reads no answer and must not get one: it would take it for the next.
func (r *Request) AppendProblem(dst []byte) []byte {
	if r.Problem == UnsupportedCommand {
		dst = append(dst, unsupportedFmt...)
		dst = append(dst, r.Name...)
		return append(dst, unsupportedEnd...)
	}
	return append(dst, r.Problem.Reply()...)
}

// AppendServerError appends "SERVER_ERROR text\r\n" to dst. Control bytes in
// text become '?', so that no text can end the line early.
func AppendServerError(dst []byte, text string) []byte {
	return appendLine(dst, "SERVER_ERROR ", text)
}

func appendLine(dst []byte, prefix, text string) []byte {
	dst = append(dst, prefix...)
	for i := range len(text) {
		c := text[i]
		if c < ' ' || c == 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return append(dst, "\r\n"...)
}
