package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// maxFileBytes bounds the memory that a wrong file name can cost.
const maxFileBytes = 4 << 20

// Load reads and validates the file at path.
//
// The error is an *Errors with every fault of the file, the first thousand if
// there are more, or an *os.PathError when the file cannot be read.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var data bytes.Buffer
	if info, err := f.Stat(); err == nil {
		data.Grow(int(min(info.Size(), maxFileBytes)) + bytes.MinRead)
	}
	if _, err := data.ReadFrom(io.LimitReader(f, maxFileBytes+1)); err != nil {
		return nil, err
	}
	return Parse(path, data.Bytes())
}

// Parse validates data as the content of a file called name, which need not
// exist. The error is an *Errors as Load has it. Parse keeps no reference to
// data and may be called from any goroutine.
func Parse(name string, data []byte) (*Config, error) {
	r := &reader{file: name, entriesLeft: maxEntries}
	cfg := &Config{File: name, Global: defaultGlobal()}
	if len(data) > maxFileBytes {
		r.faultAt(1, 1, "", fmt.Sprintf("the file is larger than %d bytes; is it a configuration file?", maxFileBytes))
	} else if root := r.decode(data); root != nil {
		r.readRoot(root, cfg)
	}
	if len(r.faults) > 0 {
		r.faults.sort()
		if last := r.faults[len(r.faults)-1]; r.unshown > 0 {
			r.faults = append(r.faults, Error{
				File: name, Line: last.Line, Column: last.Column,
				Message: fmt.Sprintf("%d more faults are not shown; mend these first, or is it another kind of file?", r.unshown),
			})
		}
		return nil, &r.faults
	}
	return cfg, nil
}
