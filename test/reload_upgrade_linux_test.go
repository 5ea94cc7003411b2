package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A reload that is asked for while a new process starts waits until it serves or is dead: it must not change what has just
// been handed over.
func TestReloadWhileANewProcessStarts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		starts bool // the new process does
	}{{"the new process starts", true}, {"the new process fails", false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
			at, more := freeAddr(t), freeAddr(t)
			dir := t.TempDir()
			program, gate := filepath.Join(dir, "nutmeg"), filepath.Join(dir, "gate")
			copyFile(t, nutmegBinary(t), program)
			l := startLineageAt(t, program, poolYAML("alpha", at, nil, a.addr+":1 only"), "-v", "6")
			c := dial(t, at)
			c.wantAll("k", 1, bulk("a"))

			// The new program waits until somebody opens the gate.
			if err := syscall.Mkfifo(gate, 0o600); err != nil {
				t.Fatal(err)
			}
			then := "exec " + nutmegBinary(t) + " \"$@\""
			if !test.starts {
				then = "exit 3"
			}
			script := writeFile(t, dir, "script", fmt.Sprintf("#!/bin/sh\nread word < %s\n%s\n", gate, then))
			if err := os.Chmod(script, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(script, program); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(l.pid, syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			l.waitLog("upgrade: starting a new process")

			l.rewrite(poolYAML("alpha", at, nil, b.addr+":1 only") + poolYAML("beta", more, nil, b.addr+":1 b"))
			reloaded := make(chan outcome, 1)
			go func() { reloaded <- l.ctl("reload") }()
			l.waitLog("asked to reload")
			c.wantAll("k", 10, bulk("a")) // clients do not wait
			old := l.pid
			if err := os.WriteFile(gate, []byte("go\n"), 0); err != nil {
				t.Fatal(err)
			}
			if test.starts {
				if got := <-reloaded; got.code != 1 || !strings.Contains(got.stderr, "hands its clients over to another") {
					t.Errorf("the reload: %+v", got)
				}
				l.wantEnd(t, old)
				var err error
				if l.pid, err = l.pidInFile(); err != nil || l.pid == old {
					t.Fatalf("the pid file has %d, %v", l.pid, err)
				}
			} else {
				if got := <-reloaded; got.code != 0 {
					t.Errorf("the reload: %+v", got)
				}
				l.wantReloads(1, 0)
				l.waitLog("upgrade failed, this process goes on")
			}
			c.wantAll("k", 1, bulk("b"))
			dial(t, more).wantAll("k", 1, bulk("b"))
		})
	}
}

// A change of the file that is made after it was read at the start, and before it is watched, is not missed.
func TestChangeDuringTheStart(t *testing.T) {
	t.Parallel()
	a, b := serveScript(t, sayName("a")), serveScript(t, sayName("b"))
	at, dir := freeAddr(t), t.TempDir()
	conf := func(server *scriptedServer) string {
		return "nutmeg: {watch: true}\n" + poolYAML("alpha", at, nil, server.addr+":1 only")
	}
	file, next := filepath.Join(dir, "fifo"), writeFile(t, dir, "next.yml", conf(b))
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	changed := make(chan error, 1)
	go func() { // while the daemon reads
		fifo, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err == nil {
			_, writeErr := fifo.WriteString(conf(a))
			err = errors.Join(os.Rename(next, file), writeErr, fifo.Close())
		}
		changed <- err
	}()
	startNutmeg(t, conf(a), "-c", file)
	if err := <-changed; err != nil {
		t.Fatal(err)
	}
	c := dial(t, at)
	eventually(t, "the new file to be in force", func() error {
		if got := c.ask("GET", "k"); got != bulk("b") {
			return fmt.Errorf("got %s", short(got))
		}
		return nil
	})
}

// A new process with another protocol in the client's pool does not serve the client: it would be answered in words that it
// does not understand.
func TestUpgradeToAnotherProtocol(t *testing.T) {
	t.Parallel()
	a := serveScript(t, sayName("a"))
	at, other := freeAddr(t), freeAddr(t)
	conf := poolYAML("alpha", at, nil, a.addr+":1 a")
	stays := poolYAML("beta", other, nil, a.addr+":1 a")
	l := startLineage(t, conf+stays)
	going, halfway, staying := dial(t, at), dial(t, at), dial(t, other)
	going.wantAll("k", 1, bulk("a"))
	halfway.wantAll("k", 1, bulk("a"))
	staying.wantAll("k", 1, bulk("a"))
	halfway.send("*2\r\n$3\r\nGET")
	l.rewrite(strings.Replace(conf, "redis: true", "redis: false", 1) + stays)
	l.upgrade(t)
	going.wantClosed()
	halfway.wantGone()
	staying.wantAll("k", 1, bulk("a"))
	c := dial(t, at)
	c.send("unknown\r\n")
	c.want("ERROR\r\n")
	eventually(t, "the log to say why", func() error { // it is written a moment later
		const line = "client closed: its pool has another protocol now"
		if !strings.Contains(l.Log(), line) {
			return fmt.Errorf("no %q", line)
		}
		return nil
	})
}
