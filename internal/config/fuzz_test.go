package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// addGoldenInputs gives a fuzz target the inputs of the golden files.
func addGoldenInputs(f *testing.F) {
	f.Helper()
	for _, file := range []string{"testdata/errors.txt", "testdata/accepted.txt"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for block := range strings.SplitSeq(string(data), "\n\n") {
			head, _, _ := strings.Cut(block, "----\n")
			_, input, _ := strings.Cut(head, "\n")
			f.Add([]byte(input))
		}
	}
}

// Any input gives either a valid configuration or faults with a position.
func FuzzParse(f *testing.F) {
	addGoldenInputs(f)
	example, err := os.ReadFile("testdata/twemproxy-example.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("f", data)
		if err != nil {
			checkFaults(t, err)
			return
		}
		if len(cfg.Pools) == 0 || !increasing(cfg.Pools, func(p Pool) string { return p.Name }) {
			t.Errorf("pools missing, unsorted or not unique: %+v", cfg.Pools)
		}
		checkGlobal(t, cfg.Global)
		listeners := make(map[Address]bool)
		for _, p := range cfg.Pools {
			checkPool(t, p)
			if listeners[p.Listen.Address] {
				t.Errorf("two pools on %v", p.Listen.Address)
			}
			listeners[p.Listen.Address] = true
		}
	})
}

// A size within its bounds, and shown as text that means the same.
func FuzzParseSize(f *testing.F) {
	for _, text := range []string{"0", "1", "64kb", "64KB", "1mB", "0001gb", "1024gb", "1025gb", "8388608tb", "9223372036854775807gb", "kb", "1 kb", "-1", "1.5mb", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := parseSize(text, bounds{high: maxSize})
		if err != nil {
			return
		}
		if size < 0 || size > maxSize {
			t.Fatalf("%q is %d", text, size)
		}
		shown := formatSize(size)
		if again, err := parseSize(shown, bounds{high: maxSize}); again != size || err != nil {
			t.Errorf("%q is %d, which is shown as %q, which is %d, %v", text, size, shown, again, err)
		}
	})
}

func checkFaults(t *testing.T, err error) {
	faults := (*Errors)(nil)
	if !errors.As(err, &faults) || len(*faults) == 0 {
		t.Fatalf("error is %T with no faults", err)
	}
	for i, fault := range *faults {
		if fault.Line < 1 || fault.Column < 1 || fault.Message == "" || fault.File != "f" {
			t.Errorf("fault without a place or message: %+v", fault)
		}
		if i > 0 && (*faults)[i-1].Line > fault.Line {
			t.Errorf("faults out of order: line %d after %d", fault.Line, (*faults)[i-1].Line)
		}
		if strings.ContainsAny(fault.Error(), "\n\x00") {
			t.Errorf("fault is more than one line: %q", fault.Error())
		}
	}
}

func checkGlobal(t *testing.T, g Global) {
	if g.Workers < 0 || g.Workers > maxWorkers || g.ClientConnections < 0 || g.MaxMemory != 0 && g.MaxMemory < 64<<20 || g.MaxMemory > maxSize ||
		g.DrainTimeout < 0 || g.UpgradeTimeout < time.Second || g.ResolveInterval != 0 && g.ResolveInterval < time.Second {
		t.Errorf("settings of the process: %+v", g)
	}
}

func checkPool(t *testing.T, p Pool) {
	if p.Name == "" || len(p.Servers) == 0 || !increasing(p.Servers, func(s Server) string { return s.Name }) {
		t.Errorf("pool %q: servers missing, unsorted or not unique: %+v", p.Name, p.Servers)
	}
	if p.ServerConnections < 1 || p.Health.FailureLimit < 1 || p.ClientConnections < 0 || p.Timeout < 0 || p.Listen.Mode > 0o777 {
		t.Errorf("pool %q: number out of range: %+v", p.Name, p)
	}
	if n := len(p.Routing.HashTag); n != 0 && n != 2 {
		t.Errorf("pool %q: hash tag %q", p.Name, p.Routing.HashTag)
	}
	if h := p.Health; h.RetryJitter < 0 || h.RetryJitter > 100 || h.Floor < 0 || h.Floor > 100 || h.Return > ReturnTrial || h.RetryTimeoutMax != 0 && h.RetryTimeoutMax < h.RetryTimeout {
		t.Errorf("pool %q: health %+v", p.Name, h)
	}
	if l := p.Limits; l.ClientBuffer < 16<<10 || l.ClientBufferLimit != 0 && l.ClientBufferLimit < l.ClientBuffer || l.ClientRequests < 1 || l.ClientIdle < 0 ||
		l.RequestBytes < 16<<10 || l.RequestKeys < 1 || l.RequestTimeout < 0 || l.ServerBuffer < 64<<10 || l.ServerRequests < 1 {
		t.Errorf("pool %q: limits %+v", p.Name, l)
	}
	checkAddress(t, p.Listen.Address)
	for _, s := range p.Servers {
		if s.Name == "" || s.Weight < 1 || s.Weight > maxInt || s.Address.Network == "tcp" && s.Address.Host == "" {
			t.Errorf("pool %q: server %+v", p.Name, s)
		}
		checkAddress(t, s.Address)
	}
}

func checkAddress(t *testing.T, a Address) {
	switch a.Network {
	case "tcp":
		if a.Port < 1 || a.Port > 65535 || a.Path != "" || strings.ContainsAny(a.Host, "[] ") {
			t.Errorf("tcp address %+v", a)
		}
	case "unix":
		if !strings.HasPrefix(a.Path, "/") || len(a.Path) > 107 || a.Host != "" || a.Port != 0 {
			t.Errorf("unix address %+v", a)
		}
	default:
		t.Errorf("network of %+v", a)
	}
}

// increasing tells whether the names are sorted and each is there once.
func increasing[T any](items []T, name func(T) string) bool {
	for i := 1; i < len(items); i++ {
		a, b := name(items[i-1]), name(items[i])
		if len(a) > len(b) || len(a) == len(b) && a >= b {
			return false
		}
	}
	return true
}
