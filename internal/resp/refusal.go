package resp

import (
	"bytes"
	"strings"
)

// Arguments is a request as its list of arguments; argument 0 is the command's name.
type Arguments interface {
	// Len returns the number of arguments, the name counted.
	Len() int
	// Arg returns argument i, for 0 <= i < Len(). Nothing of it is kept.
	Arg(i int) []byte
}

// mostQuoted is how many bytes of a name, and of all arguments, Redis repeats in an error.
const mostQuoted = 128

// AppendUnknownCommand appends the error of a server that does not know a request's command. It is Redis 7.0's, byte for
// byte: text ends at a NUL, names and arguments are cut, line ends become blanks.
func AppendUnknownCommand(dst []byte, args Arguments) []byte {
	start := len(dst)
	dst = append(dst, "-ERR unknown command '"...)
	dst = appendQuoted(dst, args.Arg(0), mostQuoted)
	dst = append(dst, "', with args beginning with: "...)
	for i, left := 1, mostQuoted; i < args.Len() && left > 0; i++ {
		before := len(dst)
		dst = append(dst, '\'')
		dst = appendQuoted(dst, args.Arg(i), left)
		dst = append(dst, '\'', ' ')
		left -= len(dst) - before
	}
	return endError(dst, start)
}

// AppendUnknownSubcommand appends the error for a request whose argument 1 is no subcommand of argument 0, likewise.
func AppendUnknownSubcommand(dst []byte, args Arguments) []byte {
	start := len(dst)
	dst = append(dst, "-ERR unknown subcommand '"...)
	dst = appendQuoted(dst, args.Arg(1), mostQuoted)
	dst = append(dst, "'. Try "...)
	dst = append(dst, strings.ToUpper(string(text(args.Arg(0))))...)
	dst = append(dst, " HELP."...)
	return endError(dst, start)
}

// AppendWrongArity appends the error for a command, by its full name ("config|get"), with too few arguments or too many.
// EXEC ends a transaction even so.
func AppendWrongArity(dst []byte, name string) []byte {
	code := "-ERR "
	if name == "exec" {
		code = "-EXECABORT Transaction discarded because of: "
	}
	dst = append(dst, code...)
	dst = append(dst, "wrong number of arguments for '"...)
	dst = append(dst, name...)
	return append(dst, "' command\r\n"...)
}

// appendQuoted appends the first bytes of a text, at most most.
func appendQuoted(dst, arg []byte, most int) []byte {
	arg = text(arg[:min(len(arg), most)])
	return append(dst, arg...)
}

// text is what a program written in C takes for the text in arg.
func text(arg []byte) []byte {
	before, _, _ := bytes.Cut(arg, []byte{0})
	return before
}

// endError ends the error that begins at start: it must be one line.
func endError(dst []byte, start int) []byte {
	for i, c := range dst[start:] {
		if c == '\r' || c == '\n' {
			dst[start+i] = ' '
		}
	}
	return append(dst, '\r', '\n')
}
