// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package bundle

import (
	"context"
	"errors"
	"os"
	"time"
)

func mapFile(f *os.File, size int64) ([]byte, func() error, error) { return readAll(f, size) }

// lock makes a file that only one process can make. One that was left behind by
// a process that died must be removed by hand.
func lock(ctx context.Context, name string) (func() error, error) {
	for {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
		if err == nil {
			return func() error { return errors.Join(f.Close(), os.Remove(name)) }, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockWait):
		}
	}
}
