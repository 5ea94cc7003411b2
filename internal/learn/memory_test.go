package learn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nutmeg/internal/command"
)

const second = int64(time.Second)

func recalled(m *Memory, name string, now int64) string {
	cmd, lower, fresh := m.Recall([]byte(name), now)
	switch {
	case !fresh:
		return "nothing"
	case lower != strings.ToLower(name):
		return "the name " + lower
	case cmd == nil:
		return "unknown"
	}
	return cmd.Name
}

func TestMemory(t *testing.T) {
	var m Memory
	check := func(name string, now int64, want string) {
		t.Helper()
		if got := recalled(&m, name, now); got != want {
			t.Errorf("%s after %d s: %s; want %s", name, now/second, got, want)
		}
	}
	check("json.set", 0, "nothing")
	m.Keep([]byte("JSON.set"), &command.Command{Name: "json.set"}, 0)
	m.Keep([]byte("nosuch"), nil, 0)
	check("json.SET", 0, "json.set")
	check("NoSuch", 59*second, "unknown")
	check("nosuch", 60*second, "nothing")
	check("json.set", 599*second, "json.set")
	check("json.set", 600*second, "nothing")

	m.Keep([]byte("json.set"), nil, 700*second) // the module was unloaded
	check("json.set", 701*second, "unknown")
	m.Keep([]byte("json.set"), &command.Command{Name: "json.set"}, 702*second)
	check("json.set", 1000*second, "json.set")

	long := strings.Repeat("x", mostName+1)
	m.Keep([]byte(long), nil, 0)
	check(long, 0, "nothing")
}

func TestMemoryIsBounded(t *testing.T) {
	var m Memory
	m.Keep([]byte("json.set"), &command.Command{Name: "json.set"}, 0)
	for i := range 3*mostRemembered + 7 {
		m.Keep(fmt.Append(nil, "made-up-", i), nil, 0)
		m.Keep(fmt.Append(nil, "made-up-", i), nil, 1) // a second time takes no second place
	}
	if n := len(m.unknown.entries); n != mostRemembered {
		t.Errorf("%d unknown names; want %d", n, mostRemembered)
	}
	if got := recalled(&m, "json.set", 0); got != "json.set" {
		t.Errorf("made-up names have pushed out json.set: %s", got)
	}
	if got := recalled(&m, fmt.Sprint("made-up-", 3*mostRemembered+6), 0); got != "unknown" {
		t.Errorf("the newest name: %s", got)
	}
	if got := recalled(&m, fmt.Sprint("made-up-", 2*mostRemembered), 0); got != "nothing" {
		t.Errorf("an old name: %s", got)
	}
	for i := range mostRemembered {
		name := fmt.Append(nil, "flips-", i)
		m.Keep(name, nil, 0)
		m.Keep(name, &command.Command{Name: string(name)}, 0)
	}
	if n := len(m.unknown.entries); n > mostRemembered || len(m.unknown.order) > mostRemembered {
		t.Errorf("%d unknown names", n)
	}
	if n := len(m.known.entries); n > mostRemembered {
		t.Errorf("%d known names", n)
	}
}

func TestRecallDoesNotAllocate(t *testing.T) {
	var m Memory
	m.Keep([]byte("json.set"), &command.Command{Name: "json.set"}, 0)
	name := []byte("JSON.SET")
	if n := testing.AllocsPerRun(100, func() { m.Recall(name, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
