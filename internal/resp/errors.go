package resp

import "strconv"

// SyntaxError says that a stream is not the protocol. Its text is what the client is told, behind "ERR Protocol error: ".
type SyntaxError struct{ Text string }

func (e *SyntaxError) Error() string { return "protocol error: " + e.Text }

// The texts for requests are Redis's where Redis has one.
var (
	errMultibulkLength  = &SyntaxError{"invalid multibulk length"}
	errBulkLength       = &SyntaxError{"invalid bulk length"}
	errBulkEnd          = &SyntaxError{"expected CRLF after bulk string"}
	errInlineTooBig     = &SyntaxError{"too big inline request"}
	errUnbalancedQuotes = &SyntaxError{"unbalanced quotes in request"}
	errTooLarge         = &SyntaxError{"request of more than 1073741824 bytes"}

	errResponseType   = &SyntaxError{"unknown response type"}
	errResponseLine   = &SyntaxError{"expected LF after CR"}
	errResponseNumber = &SyntaxError{"invalid number in response"}
)

func expectedDollar(got byte) error {
	return &SyntaxError{"expected '$', got " + strconv.QuoteRuneToASCII(rune(got))}
}

// Responses that the proxy gives by itself. Clients compare some of them byte by byte.
const (
	OK            = "+OK\r\n"
	Pong          = "+PONG\r\n"
	WrongPassword = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	NoAuth        = "-NOAUTH Authentication required.\r\n"
	NoCluster     = "-ERR This instance has cluster support disabled\r\n"
	BadCursor     = "-ERR invalid cursor\r\n"
)
