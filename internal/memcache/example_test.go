package memcache_test

import (
	"fmt"

	"nutmeg/internal/memcache"
)

func ExampleRequestParser() {
	var (
		parser memcache.RequestParser
		req    memcache.Request
	)
	data := []byte("get a b\r\nincr n x\r\nset c 0 60 5 noreply\r\nhello\r\n")
	for len(data) > 0 {
		n, done, err := parser.Parse(data, &req)
		if err != nil || !done {
			break
		}
		raw := data[:n]
		data = data[n:]
		if req.Problem != memcache.NoProblem {
			fmt.Printf("answer  %q\n", req.AppendProblem(nil))
			continue
		}
		for _, key := range req.Keys {
			fmt.Printf("%s of %s\n", req.Kind, key.Of(raw))
		}
		fmt.Printf("forward %q\n", memcache.AppendForward(nil, raw, &req))
	}
	// Output:
	// get of a
	// get of b
	// forward "get a b\r\n"
	// answer  "CLIENT_ERROR invalid numeric delta argument\r\n"
	// set of c
	// forward "set c 0 60 5\r\nhello\r\n"
}

func ExampleNextValue() {
	response := []byte("VALUE a 0 1\r\n1\r\nVALUE b 0 2\r\n22\r\nEND\r\n")
	for {
		key, block, rest, ok := memcache.NextValue(response)
		if !ok {
			break
		}
		fmt.Printf("%s: %q\n", key, block)
		response = rest
	}
	fmt.Printf("%q\n", response)
	// Output:
	// a: "VALUE a 0 1\r\n1\r\n"
	// b: "VALUE b 0 2\r\n22\r\n"
	// "END\r\n"
}
