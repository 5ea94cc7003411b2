//go:build unix

package handover

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ends are both ends of a hand-over within one process.
func ends(t testing.TB) (old, young *channel) {
	t.Helper()
	one, other, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	if old, err = newChannel(one); err != nil {
		t.Fatal(err)
	}
	if young, err = newChannel(other); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*channel{old, young} {
		c.setDeadline(time.Now().Add(patience))
		t.Cleanup(c.close)
	}
	return old, young
}

// stream is what an old process sends.
func stream(t *testing.T, messages ...message) []byte {
	t.Helper()
	old, young := ends(t)
	read := make(chan []byte)
	go func() {
		text, _ := io.ReadAll(young.conn)
		read <- text
	}()
	for _, m := range messages {
		if err := old.send(m); err != nil {
			t.Fatal(err)
		}
	}
	old.close()
	return <-read
}

// An old process may die at any byte. What came is used, or closed.
func TestCutAtEveryByte(t *testing.T) {
	if openFDs() < 0 {
		t.Log("descriptors cannot be counted here")
	}
	fd := int(os.Stderr.Fd())
	whole := stream(t,
		message{kind: kindHello, body: hello(version), fd: -1},
		message{kind: kindListener, body: []byte("a"), fd: -1}, // its descriptor is added below
		message{kind: kindListening, fd: -1},
		clientMessage(Client{Pool: "p", State: []byte("state"), FD: -1}),
		message{kind: kindEnd, fd: -1})
	helloEnd := headerBytes + len(hello(version))
	listenerEnd := helloEnd + headerBytes + 1
	clientStart := listenerEnd + headerBytes
	clientEnd := clientStart + headerBytes + 2 + 1 + 5
	whole[helloEnd+1], whole[clientStart+1] = 1, 1
	if clientEnd+headerBytes != len(whole) {
		t.Fatalf("%d bytes, want %d", len(whole), clientEnd+headerBytes)
	}
	before := openFDs()
	for cut := range len(whole) + 1 {
		old, young := ends(t)
		p := &Predecessor{channel: young}
		go func() {
			rest, sent := whole[:cut], 0
			for _, part := range []int{helloEnd, listenerEnd, clientStart, clientEnd, len(whole)} {
				n := min(part, cut)
				var rights []byte
				if sent == helloEnd || sent == clientStart {
					rights = syscall.UnixRights(fd)
				}
				if n > sent {
					_, _, _ = old.conn.WriteMsgUnix(rest[sent:n], rights, nil)
				}
				sent = max(sent, n)
			}
			_ = old.conn.CloseWrite()
		}()
		err := p.receiveListeners()
		if (err == nil) != (cut >= clientStart) || err != nil && !gone(err) {
			t.Errorf("cut at %d: listeners: %v", cut, err)
		}
		if got := len(p.listeners); (got == 1) != (cut >= listenerEnd) {
			t.Errorf("cut at %d: %d listeners", cut, got)
		}
		p.CloseListeners()
		if err == nil {
			c, err := p.Next()
			if (err == nil) != (cut >= clientEnd) {
				t.Errorf("cut at %d: client: %v", cut, err)
			}
			if err == nil {
				if string(c.State) != "state" || c.Pool != "p" {
					t.Errorf("got %+v", c)
				}
				_ = syscall.Close(c.FD)
				if _, err = p.Next(); errors.Is(err, io.EOF) != (cut == len(whole)) {
					t.Errorf("cut at %d: end: %v", cut, err)
				}
			}
		}
		old.close()
		young.close()
		if now := openFDs(); now != before {
			t.Fatalf("cut at %d: %d descriptors, %d before", cut, now, before)
		}
	}
}

func TestUnknownVersion(t *testing.T) {
	old, young := ends(t)
	p := &Predecessor{channel: young}
	if err := old.send(message{kind: kindHello, body: hello(version + 1), fd: -1}); err != nil {
		t.Fatal(err)
	}
	err := p.receiveListeners()
	if err == nil || gone(err) || !strings.Contains(err.Error(), "hands over in version 2, this one takes version 1") {
		t.Fatalf("got %v", err)
	}
	p.Fail(err)
	if m, receiveErr := old.receive(); m.kind != kindFailed || string(m.body) != err.Error() {
		t.Errorf("the old process is told %d %q, %v", m.kind, m.body, receiveErr)
	}
}

func TestMessagesThatAreWrong(t *testing.T) {
	fd := int(os.Stderr.Fd())
	header := func(kind kind, fds byte, size byte) []byte { return []byte{byte(kind), fds, 0, 0, 0, 0, 0, size} }
	greeting := append(header(kindHello, 0, byte(len(hello(version)))), hello(version)...)
	for _, row := range []struct {
		name  string
		bytes []byte
		fds   int
		want  string
	}{
		{"no greeting", header(kindListening, 0, 0), 0, "does not greet"},
		{"a greeting of another program", append(header(kindHello, 0, 4), "abcd"...), 0, "does not greet"},
		{"too long", []byte{byte(kindHello), 0, 0, 0, 255, 0, 0, 0}, 0, "too long"},
		{"a descriptor that was not announced", header(kindListening, 0, 0), 1, "has 1 descriptors and announces 0"},
		{"a descriptor that does not come", header(kindListener, 1, 0), 0, "has 0 descriptors and announces 1"},
		{"two descriptors", header(kindListener, 2, 0), 2, "has 2 descriptors and announces 2"},
		{"more than there is room for", header(kindListener, 20, 0), 20, ""},
		{"a listener without a descriptor", append(bytes.Clone(greeting), header(kindListener, 0, 0)...), 0, "not expected"},
		{"a client among listeners", append(bytes.Clone(greeting), header(kindClient, 0, 0)...), 0, "not expected"},
	} {
		t.Run(row.name, func(t *testing.T) {
			wantNoLeak(t)
			old, young := ends(t)
			var rights []byte
			if row.fds > 0 {
				all := make([]int, row.fds)
				for i := range all {
					all[i] = fd
				}
				rights = syscall.UnixRights(all...)
			}
			if _, _, err := old.conn.WriteMsgUnix(row.bytes, rights, nil); err != nil {
				t.Fatal(err)
			}
			p := &Predecessor{channel: young}
			err := p.receiveListeners()
			if err == nil || gone(err) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
			if names := p.CloseListeners(); len(names) != 0 {
				t.Errorf("listeners %q", names)
			}
			old.close()
			young.close()
		})
	}
}

func TestMarkerFromElsewhere(t *testing.T) {
	for _, value := range []string{"", "x", "0", "2", "-1", "99999"} {
		t.Setenv(marker, value)
		p, err := Inherit()
		if p != nil || err == nil || !strings.Contains(err.Error(), "unset it") {
			t.Errorf("%q: got %v", value, err)
		}
		if _, set := os.LookupEnv(marker); set {
			t.Error("the variable is still there")
		}
	}
	if p, err := Inherit(); p != nil || err != nil {
		t.Errorf("without the variable: %v, %v", p, err)
	}
}

// What a wrong old process sends is an error, and closed, never a crash.
func FuzzOldProcess(f *testing.F) {
	f.Add([]byte{byte(kindHello), 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4})
	f.Add(append([]byte{byte(kindHello), 0, 0, 0, 0, 0, 0, 20}, hello(version)...))
	f.Add([]byte{byte(kindClient), 1, 0, 0, 0, 0, 0, 3, 0, 1, 'p'})
	f.Fuzz(func(t *testing.T, sent []byte) {
		old, young := ends(t)
		sent = sent[:min(len(sent), 1<<12)]
		for i, part := range [][]byte{sent[:len(sent)/2], sent[len(sent)/2:]} {
			if len(part) > 0 {
				_, _, _ = old.conn.WriteMsgUnix(part, syscall.UnixRights(2)[:i*len(syscall.UnixRights(2))], nil)
			}
		}
		_ = old.conn.CloseWrite()
		p := &Predecessor{channel: young}
		if p.receiveListeners() == nil {
			for {
				c, err := p.Next()
				if err != nil {
					break
				}
				_ = syscall.Close(c.FD)
			}
		}
		p.CloseListeners()
		old.close()
		young.close()
	})
}

// A client whose receipt cannot be written is the old process's, and so is one that came wrong.
func TestClientWithoutAReceiptIsClosed(t *testing.T) {
	for _, row := range []struct {
		name string
		send func(old *channel)
		want string
	}{
		{"the old process is gone", func(old *channel) { _ = old.send(clientMessage(Client{FD: 2, Pool: "p"})); old.close() }, "died before"},
		{"the message is cut", func(old *channel) { _ = old.send(message{kind: kindClient, body: []byte{0, 3, 'p'}, fd: 2}) }, "is cut"},
		{"a listener among clients", func(old *channel) { _ = old.send(message{kind: kindListener, body: []byte("name"), fd: 2}) }, "not expected"},
	} {
		t.Run(row.name, func(t *testing.T) {
			wantNoLeak(t)
			old, young := ends(t)
			row.send(old)
			c, err := (&Predecessor{channel: young}).Next()
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %+v, %v; want %q", c, err, row.want)
			}
			old.close()
		})
	}
}

func TestEnvironmentIsCleaned(t *testing.T) {
	got := environment([]string{"A=1", "LISTEN_PID=1", "LISTEN_FDS=1", "WATCHDOG_PID=1", "NOTIFY_SOCKET=s", "LISTEN_FDNAMES=x", marker + "=9", "WATCHDOG_USEC=5"})
	if want := []string{"A=1", "NOTIFY_SOCKET=s", "WATCHDOG_USEC=5", "NUTMEG_HANDOVER=3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
