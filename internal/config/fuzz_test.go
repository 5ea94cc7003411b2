package config

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Any input gives either a valid configuration or faults with a position.
func FuzzParse(f *testing.F) {
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
