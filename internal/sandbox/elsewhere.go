// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"time"
)

// Supported tells whether this system has what the wall is made of.
const Supported = false

func unsupported(what string) error {
	return fmt.Errorf("%s: no sandbox on %s: %w", what, runtime.GOOS, errors.ErrUnsupported)
}

// A Child is a running sandboxed process. None runs on this system.
type Child struct {
	In    io.WriteCloser // its standard input
	Out   io.Reader      // its standard output
	Lanes []*Lane
}

// Start is [errors.ErrUnsupported] on this system.
func Start(context.Context, Options) (*Child, error) { return nil, unsupported("start") }

// Wait is [errors.ErrUnsupported] on this system.
func (c *Child) Wait() error { return unsupported("wait") }

// Kill does nothing on this system.
func (c *Child) Kill() {}

// Usage is nothing on this system.
func (c *Child) Usage() (cpu time.Duration, rss int64) { return 0, 0 }

// Confine is [errors.ErrUnsupported] on this system.
func Confine() (*Inherited, error) { return nil, unsupported("confine") }

// A Lane carries streams from parent to child. There is none on this system.
type Lane struct{}

// Send is [errors.ErrUnsupported] on this system.
func (l *Lane) Send(context.Context, io.Reader, hash.Hash) (int64, error) {
	return 0, unsupported("send")
}

// Map is [errors.ErrUnsupported] on this system.
func Map(*os.File, int) ([]byte, error) { return nil, unsupported("map") }

// A LaneReader is the child's end of a lane. There is none on this system.
type LaneReader struct{}

// Reset does nothing on this system.
func (l *LaneReader) Reset() {}

// Read is [errors.ErrUnsupported] on this system.
func (l *LaneReader) Read([]byte) (int, error) { return 0, unsupported("read") }
