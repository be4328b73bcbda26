// SPDX-License-Identifier: Apache-2.0

// Package whole writes files that others see complete or not at all: each is
// written aside and renamed into place. It does not know what is in them, and it
// does not wait for the disk: after a power failure a file may be cut off, which
// its reader must be able to tell.
package whole

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// prefix begins the names of files that are being written.
const prefix = ".new-"

// abandoned is the age from which on an unfinished file belongs to a process that
// was killed. Finishing takes seconds.
const abandoned = time.Hour

// tries is how often a step is repeated that another process was faster in.
const tries = 10

// ErrGone says that the folder was removed while the file was written.
var ErrGone = errors.New("the folder is gone")

// Write makes the file name of what fill writes, and the folders that it needs,
// for this user alone. When fill errs or panics nothing is left and what was there
// before stays. The error is fill's own, [ErrGone], or one of the file system. It
// is safe for use by any number of goroutines and processes.
func Write(name string, fill func(io.Writer) error) error {
	tmp, err := create(filepath.Dir(name))
	if err != nil {
		return err
	}
	// Also when fill panics. After the rename there is nothing left to remove.
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if err := fill(tmp); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	err = os.Rename(tmp.Name(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %q: %w", name, ErrGone)
	}
	return err
}

// Unfinished tells whether a file of that base name is still being written.
func Unfinished(base string) bool { return strings.HasPrefix(base, prefix) }

// Abandoned tells whether what was last touched at a time and is not finished
// will never be.
func Abandoned(touched time.Time) bool { return time.Since(touched) > abandoned }

// create makes a file to write in a folder, which somebody else may be clearing.
func create(dir string) (tmp *os.File, err error) {
	for range tries {
		// A folder that goes while it is made is said to exist, or not to.
		if err = os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if tmp, err = os.CreateTemp(dir, prefix+"*"); !errors.Is(err, fs.ErrNotExist) {
			return tmp, err
		}
	}
	return nil, err
}
