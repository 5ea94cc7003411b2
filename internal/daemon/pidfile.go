package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
)

// PIDFile is a file that holds the number of this process.
type PIDFile struct {
	path string
}

// CreatePIDFile writes the process's number to path: decimal, no newline. What
// is there is overwritten; a new file has mode 0644, less umask.
//
// It is no lock: two processes may write to one path, and the later one wins.
func CreatePIDFile(path string) (*PIDFile, error) {
	if err := os.WriteFile(path, ownPID(), 0o644); err != nil {
		return nil, fmt.Errorf("cannot write the pid file: %w", err)
	}
	return &PIDFile{path: path}, nil
}

// Remove deletes the file, if it still holds this process's number: a process
// that took over may have written its own. A file that is gone is no error.
func (p *PIDFile) Remove() error {
	text, err := os.ReadFile(p.path)
	if err == nil && string(text) == string(ownPID()) {
		err = os.Remove(p.path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the pid file: %w", err)
	}
	return nil
}

func ownPID() []byte { return strconv.AppendInt(nil, int64(os.Getpid()), 10) }
