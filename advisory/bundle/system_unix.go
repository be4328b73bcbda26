// SPDX-License-Identifier: Apache-2.0

//go:build unix

package bundle

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// mapFile maps a file for reading. Nothing may change it while it is mapped.
func mapFile(f *os.File, size int64) ([]byte, func() error, error) {
	if size == 0 || int64(int(size)) != size {
		return readAll(f, size)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return readAll(f, size) // a file system that cannot
	}
	return b, func() error { return unix.Munmap(b) }, nil
}

// lock takes an advisory lock, which ends with the process.
func lock(ctx context.Context, name string) (func() error, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f.Close, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(lockWait):
		}
	}
}
