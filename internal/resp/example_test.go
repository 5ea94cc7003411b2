package resp_test

import (
	"fmt"

	"nutmeg/internal/resp"
)

// A request may come in any pieces; arguments are counted from its start.
func ExampleRequestParser() {
	var (
		parser  resp.RequestParser
		request resp.Request
		whole   []byte
	)
	for _, piece := range []string{"*2\r\n$3\r\nGE", "T\r\n$8\r\ngreet", "ing\r\n*1\r\n$4\r\nPING\r\n"} {
		n, done, err := parser.Parse([]byte(piece), &request)
		if err != nil {
			fmt.Println(err)
			return
		}
		whole = append(whole, piece[:n]...)
		if done {
			for _, arg := range request.Args {
				fmt.Printf("%s\n", whole[arg.Start:arg.End])
			}
			fmt.Printf("%d bytes of the next request\n", len(piece)-n)
		}
	}
	// Output:
	// GET
	// greeting
	// 14 bytes of the next request
}

// A response is told apart from the next, whatever is nested in it.
func ExampleResponseParser() {
	var parser resp.ResponseParser
	data := []byte("*2\r\n$1\r\na\r\n*-1\r\n-ERR no\r\n")
	for len(data) > 0 {
		n, done, err := parser.Parse(data)
		if err != nil || !done {
			break
		}
		fmt.Printf("%c of %d elements: %q\n", parser.Kind(), parser.Count(), data[:n])
		data = data[n:]
	}
	// Output:
	// * of 2 elements: "*2\r\n$1\r\na\r\n*-1\r\n"
	// - of -1 elements: "-ERR no\r\n"
}

func ExampleAppendCommand() {
	fmt.Printf("%q\n", resp.AppendCommand(nil, "get", "greeting"))
	// Output:
	// "*2\r\n$3\r\nget\r\n$8\r\ngreeting\r\n"
}

// A line of words stands for an array.
func ExampleAppendInline() {
	array, err := resp.AppendInline(nil, []byte("set \"a b\" '\\x41'\r\n"))
	fmt.Printf("%q %v\n", array, err)
	// Output:
	// "*3\r\n$3\r\nset\r\n$3\r\na b\r\n$4\r\n\\x41\r\n" <nil>
}
