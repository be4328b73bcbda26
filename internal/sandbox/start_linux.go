// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Supported tells whether this system has what the wall is made of.
const Supported = true

// firstFile is the first descriptor after standard error.
const firstFile = 3

// A Child is a running sandboxed process.
type Child struct {
	In    io.WriteCloser // its standard input
	Out   io.Reader      // its standard output
	Lanes []*Lane

	cmd    *exec.Cmd
	stderr capped
	wait   func() error
}

// capped keeps the first bytes of what a child says before it dies.
type capped struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (c *capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if room := 16<<10 - c.buf.Len(); room > 0 {
		c.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (c *capped) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.String()
}

// Start runs a child. It is killed when ctx is done. The caller closes In and
// calls Wait. Files remain the caller's to close.
func Start(ctx context.Context, o Options) (*Child, error) {
	if o.Path == "" {
		o.Path = "/proc/self/exe"
	}
	if o.Memory == 0 {
		o.Memory = 768 << 20
	}
	if o.CPU == 0 {
		o.CPU = 3600
	}
	c := &Child{cmd: exec.CommandContext(ctx, o.Path, o.Args...)}
	c.cmd.Args[0] = "bulwark"
	// The environment holds credentials and proxies; the child has no use for it.
	c.cmd.Env = []string{
		fmt.Sprint(envLimits, "=", o.Memory, ",", o.CPU, ",", len(o.Files), ",", o.Lanes),
		"GOTRACEBACK=single",
	}
	if o.Soft > 0 {
		c.cmd.Env = append(c.cmd.Env, "GOMEMLIMIT="+strconv.FormatInt(o.Soft, 10))
	}
	c.cmd.Stderr = &c.stderr
	c.cmd.Dir = "/"
	c.cmd.WaitDelay = 2 * time.Second
	// A parent that is killed takes its child along.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	c.cmd.ExtraFiles = append(c.cmd.ExtraFiles, o.Files...)

	var theirs []*os.File
	closeTheirs := func() {
		for _, f := range theirs {
			f.Close()
		}
	}
	fail := func(err error) (*Child, error) {
		closeTheirs()
		for _, l := range c.Lanes {
			l.Close()
		}
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	for range o.Lanes {
		l, child, err := newLane()
		if err != nil {
			return fail(err)
		}
		theirs = append(theirs, child...)
		c.Lanes = append(c.Lanes, l)
		c.cmd.ExtraFiles = append(c.cmd.ExtraFiles, child...)
	}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return fail(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return fail(err)
	}
	if err := c.cmd.Start(); err != nil {
		return fail(err)
	}
	closeTheirs()
	c.In, c.Out = in, out
	c.wait = sync.OnceValue(c.finish)
	return c, nil
}

// Wait waits until the child has ended, after Out has been read to its end. The
// error holds what the child said last. It may be called more than once.
func (c *Child) Wait() error { return c.wait() }

// Kill ends the child at once.
func (c *Child) Kill() { c.cmd.Process.Kill() }

// Usage gives the processor time, user and system, and the peak resident set, in
// bytes, of an ended child.
func (c *Child) Usage() (cpu time.Duration, rss int64) {
	s := c.cmd.ProcessState
	if s == nil {
		return 0, 0
	}
	if ru, ok := s.SysUsage().(*syscall.Rusage); ok {
		rss = ru.Maxrss << 10
	}
	return s.UserTime() + s.SystemTime(), rss
}

func (c *Child) finish() error {
	c.In.Close()
	for _, l := range c.Lanes {
		l.Close()
	}
	err := c.cmd.Wait()
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			switch ws.Signal() {
			case syscall.SIGXCPU:
				return errors.New("the parser used up its processor time")
			case syscall.SIGKILL:
				return errors.New("the parser was killed")
			}
		}
	}
	if said := c.stderr.String(); said != "" {
		return fmt.Errorf("the parser ended: %w: %q", err, firstLine(said))
	}
	return fmt.Errorf("the parser ended: %w", err)
}

func firstLine(s string) string {
	for line := range bytes.Lines([]byte(s)) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return string(line[:min(len(line), 300)])
		}
	}
	return ""
}
