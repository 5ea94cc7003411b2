package main

import (
	"io"
	"net"
	"strings"
	"testing"

	"nutmeg/internal/demo"
)

func TestExec(t *testing.T) {
	backends, err := demo.Start(1)
	if err != nil {
		t.Fatal(err)
	}
	defer backends.Close()
	_, port, err := net.SplitHostPort(backends.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		rule   string
		words  []string
		code   int
		stdout string
	}{
		{"a status is bare", []string{"set", "greeting", "hello"}, 0, "OK\n"},
		{"a string is quoted", []string{"get", "greeting"}, 0, "\"hello\"\n"},
		{"a missing value is nil", []string{"get", "nobody"}, 0, "(nil)\n"},
		{"a number says so", []string{"append", "greeting", "!"}, 0, "(integer) 6\n"},
		{"an array is numbered", []string{"mget", "greeting", "nobody"}, 0, "1) \"hello!\"\n2) (nil)\n"},
		{"an error is printed and fails", []string{"incr", "greeting"}, 1, "(error) ERR value is not an integer or out of range\n"},
		{"words that look like options are the command's", []string{"set", "-p", "-h"}, 0, "OK\n"},
		{"a word may hold anything", []string{"set", "x y", "a\r\nb\x00"}, 0, "OK\n"},
		{"and comes back escaped", []string{"get", "x y"}, 0, "\"a\\r\\nb\\x00\"\n"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got := call(t, append([]string{"exec", "-h", "127.0.0.1", "-p", port}, test.words...)...)
			if got.code != test.code || got.stdout != test.stdout || got.stderr != "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestExecSaysWhyThereIsNoReply(t *testing.T) {
	for _, test := range []struct {
		rule    string
		answer  string // what the server sends before it closes
		wait    bool   // the server does not close
		timeout string
		want    string
	}{
		{"the server closes", "", false, "1m", "it closed the connection"},
		{"the server closes inside the reply", "$5\r\nhel", false, "1m", "it closed the connection"},
		{"the server is no Redis", "HTTP/1.1 400 Bad Request\r\n", false, "1m", "it does not speak Redis"},
		{"the server does not answer", "", true, "50ms", "context deadline exceeded"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			address := serve(t, test.answer, test.wait)
			_, port, _ := net.SplitHostPort(address)
			got := call(t, "exec", "-p", port, "--timeout", test.timeout, "get", "a")
			if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, "nutmegctl: no reply from "+address) || !strings.Contains(got.stderr, test.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		got := call(t, "exec", "-s", t.TempDir()+"/none.sock", "get", "a")
		if got.code != 1 || !strings.HasPrefix(got.stderr, "nutmegctl: cannot connect: ") {
			t.Errorf("got %+v", got)
		}
	})
}

// serve accepts one client, reads what it sends first, answers and closes, or waits until the client does.
func serve(t *testing.T, answer string, wait bool) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = conn.Read(make([]byte, 1024))
		_, _ = io.WriteString(conn, answer)
		if wait {
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	return l.Addr().String()
}
