package demo

import (
	"bufio"
	"net"
	"testing"
	"time"

	"nutmeg/internal/config"
	"nutmeg/internal/resp"
)

func TestBackendsAnswer(t *testing.T) {
	b, err := Start(3)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, address := range b.Addresses() {
		if got := ask(t, address, "SET", "k", "v"); got != "+OK\r\n" {
			t.Errorf("%s answers %q to SET, want OK", address, got)
		}
	}
}

func TestCloseFreesThePorts(t *testing.T) {
	b, err := Start(1)
	if err != nil {
		t.Fatal(err)
	}
	address := b.Addresses()[0]
	b.Close()
	b.Close()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	_ = l.Close()
}

func TestConfigIsValid(t *testing.T) {
	text := Config("127.0.0.1:22121", []string{"127.0.0.1:7001", "127.0.0.1:7002"})
	conf, err := config.Parse("demo.yml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	pool := conf.Pools[0]
	if pool.Protocol != config.Redis || pool.Listen.Address.Port != 22121 || len(pool.Servers) != 2 ||
		pool.Servers[1].Name != "shard2" || pool.Servers[1].Address.Port != 7002 {
		t.Errorf("got %+v from\n%s", pool, text)
	}
}

// ask sends a command and returns the line that comes back.
func ask(t *testing.T, address string, command ...string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(resp.AppendCommand(nil, command...)); err != nil {
		t.Fatal(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
