package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The golden files hold blocks of: a title, the configuration, "----", what
// Parse makes of it, and an empty line. UPDATE_GOLDEN=1 rewrites them.
func TestGolden(t *testing.T) {
	for _, file := range []string{"testdata/errors.txt", "testdata/accepted.txt"} {
		t.Run(file, func(t *testing.T) { runGolden(t, file) })
	}
}

func runGolden(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rewritten strings.Builder
	for block := range strings.SplitSeq(strings.TrimRight(string(data), "\n"), "\n\n") {
		head, want, found := strings.Cut(block+"\n", "----\n")
		if !found {
			t.Fatalf("block %q has no ---- line", block)
		}
		title, input, _ := strings.Cut(head, "\n")
		got := describe(Parse("f.yml", []byte(input)))
		if rewritten.Len() > 0 {
			rewritten.WriteString("\n")
		}
		fmt.Fprintf(&rewritten, "%s----\n%s", head, got)
		if os.Getenv("UPDATE_GOLDEN") == "" && got != want {
			t.Errorf("%s: got\n%swant\n%s", title, got, want)
		}
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(rewritten.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// describe prints what Parse returned: the faults, or all fields of all pools.
func describe(cfg *Config, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	g := &cfg.Global
	fmt.Fprintf(&b, "%s: workers %d busy %d clients %d memory %d drain %v upgrade %v resolve %v watch %v\n",
		cfg.File, g.Workers, g.WorkerBusy, g.ClientConnections, g.MaxMemory, g.DrainTimeout, g.UpgradeTimeout, g.ResolveInterval, g.Watch)
	for _, p := range cfg.Pools {
		fmt.Fprintf(&b, "pool %q %v: listen %q (%v, mode %04o, backlog %d, reuseport %v) clients %d keepalive %v\n",
			p.Name, p.Protocol, p.Listen.Text, p.Listen.Address, p.Listen.Mode, p.Listen.Backlog, p.Listen.ReusePort, p.ClientConnections, p.TCPKeepalive)
		fmt.Fprintf(&b, "  auth %q db %d connections %d preconnect %v timeout %v\n", p.RedisAuth, p.RedisDB, p.ServerConnections, p.Preconnect, p.Timeout)
		fmt.Fprintf(&b, "  hash %s tag %q distribution %s eject %v after %d for %v\n", p.Routing.Hash, p.Routing.HashTag, p.Routing.Distribution, p.Health.AutoEject, p.Health.FailureLimit, p.Health.RetryTimeout)
		fmt.Fprintf(&b, "  return %v retry up to %v jitter %d%% floor %d%%\n", p.Health.Return, p.Health.RetryTimeoutMax, p.Health.RetryJitter, p.Health.Floor)
		fmt.Fprintf(&b, "  limits %+v\n", p.Limits)
		if p.Commands != nil {
			fmt.Fprintf(&b, "  commands %s renamed %s\n", showCommands(&p), showRenamed(&p))
		}
		for _, s := range p.Servers {
			fmt.Fprintf(&b, "  server %q %v weight %d (%q)\n", s.Name, s.Address, s.Weight, s.Text)
		}
	}
	return b.String()
}
