package test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nutmeg/internal/testkit"
)

// insideNamespace is set in the process that runs a test in a network of its own.
const insideNamespace = "NUTMEG_TEST_INSIDE_NAMESPACE"

// TestPeerVanishes: a server's machine is cut off: no answer, no acknowledgement, no end of any connection. It runs in a
// network namespace, with the server in another one, and so touches no network of this machine. That takes root's rights.
func TestPeerVanishes(t *testing.T) {
	if os.Getenv(insideNamespace) != "" {
		peerVanishes(t)
		return
	}
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace takes root's rights")
	}
	cmd := exec.Command("unshare", "-n", os.Args[0], "-test.run", "^TestPeerVanishes$", "-test.v")
	cmd.Env = append(os.Environ(), insideNamespace+"=1")
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("within the namespace: %v\n%s", err, output)
	}
	t.Logf("%s", lastLines(string(output), 20))
}

// machine is a network namespace with a cable to that of the test.
type machine struct {
	t    *testing.T
	pid  string // of a process that holds the namespace
	addr string
}

func startMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, addr: "10.99.0.2"}
	holder := m.start("unshare", "-n", "sleep", "600")
	m.pid = strconv.Itoa(holder.Process.Pid)
	run(t, "ip link set lo up")
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other namespace", func() error {
		other, err := os.Readlink("/proc/" + m.pid + "/ns/net")
		if err != nil || other == own {
			return fmt.Errorf("it is %s, error %w", other, err)
		}
		return nil
	})
	run(t, "ip link add near type veth peer name far netns "+m.pid)
	run(t, "ip addr add 10.99.0.1/24 dev near")
	run(t, "ip link set near up")
	m.run("ip addr add " + m.addr + "/24 dev far")
	m.run("ip link set far up")
	m.run("ip link set lo up")
	return m
}

// start starts a process that ends with the test.
func (m *machine) start(command ...string) *exec.Cmd {
	m.t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread is the "parent": it must live as long as the process
		started <- cmd.Start()
		_ = cmd.Wait()
	}()
	if err := <-started; err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

// run runs a command on the machine.
func (m *machine) run(command string) {
	m.t.Helper()
	run(m.t, "nsenter -t "+m.pid+" -n "+command)
}

func run(t *testing.T, command string) {
	t.Helper()
	words := strings.Fields(command)
	if output, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, output)
	}
}

// redis starts a redis-server on the machine, on a port that is always the same.
func (m *machine) redis() *exec.Cmd {
	m.t.Helper()
	cmd := m.start("nsenter", "-t", m.pid, "-n", "redis-server", "--port", "6379", "--bind", m.addr, "--save", "", "--protected-mode", "no")
	eventually(m.t, "the redis-server", func() error {
		return exec.Command("nsenter", "-t", m.pid, "-n", "redis-cli", "-h", m.addr, "ping").Run()
	})
	return cmd
}

// vanish drops all that the machine sends; appear ends that.
func (m *machine) vanish() { m.run("ip route add blackhole 10.99.0.1/32") }
func (m *machine) appear() { m.run("ip route del blackhole 10.99.0.1/32") }

func peerVanishes(t *testing.T) {
	m := startMachine(t)
	server, neighbour := m.redis(), testkit.Redis(t)
	n := startNutmeg(t, workersConf(2, "redis: true\nhash: murmur\ndistribution: modula\ntimeout: 400", m.addr+":6379 s1", neighbour.Addr()+" s2"))
	start := func(name, errors string, server int) *load {
		keys := func(client int) []string { return keysOf(server, fmt.Sprintf("%s%d.", name, client)) }
		return startLoad(t, loadOptions{addr: n.Addr(), dialect: &redisLoad, clients: 4, keys: keys, errors: errors, loses: errors != ""})
	}
	victims, neighbours := start("v", timedOutText+"|"+lostTexts+"|"+refusedText, 0), start("n", "", 1)
	victims.more(50)
	neighbours.more(50)
	before := n.figures()

	// For a while; what is under way is answered or timed out, and nobody else waits.
	m.vanish()
	victims.moreErrors(8)
	neighbours.more(50)
	m.appear()
	victims.recovered(50)

	// The server dies unseen and another is there when the machine is back.
	m.vanish()
	victims.moreErrors(4)
	_ = server.Process.Kill()
	victims.moreErrors(4)
	m.appear() // nobody listens: refused, until there is a server again
	m.redis()
	victims.recovered(50)

	victims.stop()
	neighbours.more(50)
	neighbours.stop()
	n.noMoreDescriptors(before)
	t.Logf("victims: %v; neighbours: %v", victims, neighbours)
}
