package daemon

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestPIDFile(t *testing.T) {
	create := func(t *testing.T) (*PIDFile, string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "pid")
		if err := os.WriteFile(path, []byte("an older and longer text\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := CreatePIDFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return file, path
	}
	t.Run("it holds the number and nothing else", func(t *testing.T) {
		_, path := create(t)
		if text, err := os.ReadFile(path); err != nil || string(text) != strconv.Itoa(os.Getpid()) {
			t.Errorf("%q, %v", text, err)
		}
	})
	t.Run("it can be removed, also twice", func(t *testing.T) {
		file, path := create(t)
		for range 2 {
			if err := file.Remove(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("it is still there")
			}
		}
	})
	t.Run("another process's is not removed", func(t *testing.T) {
		file, path := create(t)
		if err := os.WriteFile(path, []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := file.Remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
	t.Run("a path that cannot be written is an error", func(t *testing.T) {
		if _, err := CreatePIDFile(filepath.Join(t.TempDir(), "missing", "pid")); err == nil {
			t.Error("no error")
		}
	})
}
