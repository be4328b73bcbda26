// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/sandbox"
)

// ChildArg is the hidden argument with which the program runs itself to parse
// hostile bytes. A main that uses this package hands it to [Child].
const ChildArg = "__parse"

// Files that a child which reads layers inherits, in order: kept databases, the status page, rules,
// one spill file for each lane, those that are read at random, then the table of
// archives if there is one.
const (
	fileKept = iota
	fileStatus
	fileRules
	fileSpill
)

// statusSize is one lane's part of the status file: the path that is being
// looked into, ended by NUL, so that the parent knows what a child died of.
const statusSize = 4096

// exitHung is the exit code of a child whose parser did not return.
const exitHung = 9

// Child is the parsing child's main: it gives up all rights, then answers
// commands on in until that ends. It returns the exit code.
func Child(ctx context.Context, in io.Reader, out io.Writer) int {
	inherited, err := sandbox.Confine()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := &child{inherited: inherited, out: newAnswers(out)}
	if err := c.serve(ctx, in); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type child struct {
	inherited *sandbox.Inherited
	out       *answers
	lanes     []*laneParser
	free      atomic.Int64
}

// laneParser is one lane's parser and what the watchdog knows of it.
type laneParser struct {
	parser
	jobs    chan *layerCommand
	answers chan struct{} // the daemon was asked; closed when nothing more comes
	started atomic.Int64  // UnixNano of the file under the parser; 0 is none
	path    atomic.Pointer[string]
}

// answers writes JSON lines of several goroutines.
type answers struct {
	mu  sync.Mutex
	w   *bufio.Writer
	enc *json.Encoder
	n   int // bytes written
}

func newAnswers(w io.Writer) *answers {
	a := &answers{w: bufio.NewWriterSize(w, 64<<10)}
	a.enc = json.NewEncoder(a)
	a.enc.SetEscapeHTML(false)
	return a
}

// put writes one answer; the ones that end something are sent at once. An answer
// that cannot be written has no reader any more.
func (a *answers) put(ans *answer) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.n
	if err := a.enc.Encode(ans); err != nil {
		os.Exit(1)
	}
	if ans.Done != nil || ans.Hello != nil || ans.Hung != "" || ans.Ask != nil || ans.Want != nil || ans.Traced != nil {
		if a.w.Flush() != nil {
			os.Exit(1)
		}
	}
	return a.n - before
}

// Write counts what the encoder writes.
func (a *answers) Write(p []byte) (int, error) {
	a.n += len(p)
	return a.w.Write(p)
}

func (c *child) serve(ctx context.Context, in io.Reader) error {
	dec := json.NewDecoder(in)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		for _, l := range c.lanes {
			close(l.jobs)
			close(l.answers)
		}
	}()
	for {
		var cmd command
		if err := dec.Decode(&cmd); err != nil {
			if err == io.EOF {
				return nil
			}
			return fmt.Errorf("parse: command: %w", err)
		}
		switch {
		case cmd.Start != nil && c.lanes == nil:
			if err := c.start(ctx, cmd.Start, &wg); err != nil {
				return err
			}
		case cmd.Trace != nil && c.lanes == nil:
			return c.trace(ctx, cmd.Trace, dec)
		case cmd.Layer != nil && cmd.Layer.Lane >= 0 && cmd.Layer.Lane < len(c.lanes):
			c.lanes[cmd.Layer.Lane].jobs <- cmd.Layer
		case cmd.Told != nil && cmd.Told.Lane >= 0 && cmd.Told.Lane < len(c.lanes):
			select {
			case c.lanes[cmd.Told.Lane].answers <- struct{}{}:
			default:
				return errors.New("parse: told what was not asked")
			}
		case cmd.Merge != nil && len(c.lanes) > 0:
			if cmd.Merge.Last { // the first merge comes when all layers have been read
				for _, l := range c.lanes {
					l.buf, l.marks = nil, nil
				}
				debug.FreeOSMemory()
			}
			p := c.lanes[0].parser
			p.emit = func(a *answer) int { a.Lane = -1; return c.out.put(a) }
			if err := p.merge(ctx, cmd.Merge); err != nil {
				return err
			}
		default:
			return errors.New("parse: a command out of order")
		}
	}
}

func (c *child) start(ctx context.Context, s *startCommand, wg *sync.WaitGroup) error {
	if len(c.inherited.Files) < fileSpill+len(c.inherited.Lanes) {
		return errors.New("parse: wrong descriptors")
	}
	off := int64(0)
	for _, size := range s.Rules {
		b := make([]byte, size)
		if _, err := c.inherited.Files[fileRules].ReadAt(b, off); err != nil {
			return fmt.Errorf("parse: rules: %w", err)
		}
		s.Plan.rules, off = append(s.Plan.rules, b), off+size
	}
	var jars *Jars
	if s.Jars > 0 {
		jars = &Jars{file: c.inherited.Files[len(c.inherited.Files)-1], size: s.Jars}
	}
	known, err := jars.known()
	if err != nil {
		return err
	}
	set := s.Plan.parsers(s.Kind, known)
	c.free.Store(s.Kept)
	lim := s.Plan.Limits.Or(limit.Default())
	status, err := sandbox.Map(c.inherited.Files[fileStatus], len(c.inherited.Lanes)*statusSize)
	if err != nil {
		return fmt.Errorf("parse: status: %w", err)
	}
	for i, r := range c.inherited.Lanes {
		l := &laneParser{jobs: make(chan *layerCommand, 1), answers: make(chan struct{}, 1)}
		l.parser = parser{
			parsers: set, lim: lim,
			spill: c.inherited.Files[fileSpill+i], kept: c.inherited.Files[fileKept], free: &c.free,
			emit: func(a *answer) int { a.Lane = i; return c.out.put(a) },
			at:   func(path string) { l.looking(status[i*statusSize:(i+1)*statusSize], path) },
			asks: s.Plan.Clamd != "", reveals: s.Plan.Verify,
			told: func() error {
				if _, ok := <-l.answers; !ok {
					return errors.New("the scan has ended")
				}
				return nil
			},
		}
		c.lanes = append(c.lanes, l)
		wg.Go(func() {
			for job := range l.jobs {
				r.Reset()
				src := source{r: r, form: job.Form, at: job.At, key: job.Key}
				if n := fileSpill + len(c.inherited.Lanes) + job.Whole - 1; job.Whole > 0 && n < len(c.inherited.Files) {
					src.whole = c.inherited.Files[n]
				}
				// Its error is in the answer that ends the layer.
				_ = l.layer(ctx, src, job.Skip)
			}
		})
	}
	go c.watch(lim.Wall)
	c.out.put(&answer{Lane: -1, Hello: &hello{Missing: c.inherited.Missing}})
	return nil
}

// looking notes the file under the parser where the parent and the watchdog see
// it.
func (l *laneParser) looking(status []byte, path string) {
	if path == "" {
		l.started.Store(0)
	} else {
		l.path.Store(&path)
		l.started.Store(time.Now().UnixNano())
	}
	n := copy(status[:len(status)-1], path)
	status[n] = 0
}

// watch ends the process when a parser holds on to a file for much longer than
// it may: nothing else stops a loop.
func (c *child) watch(wall time.Duration) {
	for range time.Tick(time.Second) {
		for i, l := range c.lanes {
			if at := l.started.Load(); at != 0 && time.Since(time.Unix(0, at)) > 2*wall+5*time.Second {
				c.out.put(&answer{Lane: i, Hung: *l.path.Load()})
				os.Exit(exitHung)
			}
		}
	}
}
