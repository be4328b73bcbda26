// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/gitlog"
	"github.com/bulwark-sec/bulwark/internal/sandbox"
)

// A tracing has a child ask a work tree's past. The child is handed the packs; what
// has a file of its own it asks for, by an object's name or by the number of a
// question, and gets on its lane. It has no more rights than one that reads layers.
type tracing struct {
	past  *bulwark.Past
	asked []bulwark.Trace
	exec  string        // the program; "" is this one
	limit time.Duration // for the answers
	grace time.Duration // for a child to come and go

	missing []string // parts of the sandbox that the kernel lacks
	told    traced
	seen    []bool // questions that were answered
}

const (
	traceGrace  = 5 * time.Second
	traceMemory = 256 << 20 // bytes from which on the child's garbage collector works harder
	traceObject = 24 << 20  // bytes of a loose object as it is stored; what it holds is bounded by who reads it
	maxCut      = 1000      // bytes of an error's text
	maxPerson   = 256       // bytes of a name and of an address; gitlog makes 200
)

// run starts a child and takes its answers. The error says why there are none.
func (t *tracing) run(ctx context.Context) (traced, error) {
	patient := 2*t.limit + t.grace
	late, stop := context.WithTimeout(ctx, patient)
	defer stop()
	files := t.past.Packs
	if t.past.Shallow != nil {
		files = append(slices.Clone(files), t.past.Shallow)
	}
	c, err := sandbox.Start(late, sandbox.Options{
		Path: t.exec, Args: []string{ChildArg}, Lanes: 1, Files: files, Soft: traceMemory,
		CPU: 60 + 4*int(t.limit/time.Second), // several threads for a while
	})
	if err != nil {
		return traced{}, err
	}
	err = t.talk(c.In, c.Out, func(r io.Reader) {
		// A file that cannot be read is cut off there, and damaged; a child that is gone
		// says nothing more.
		_, _ = c.Lanes[0].Send(late, r, nil)
	})
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if !ended {
		c.Kill() // every answer has been taken, or will not be
	}
	died := c.Wait()
	switch {
	case ctx.Err() != nil:
		return traced{}, ctx.Err()
	case err == nil:
		return t.told, nil
	case late.Err() != nil:
		return traced{}, fmt.Errorf("the parser did not return within %s", patient)
	case ended && died != nil:
		return traced{}, died
	case ended:
		return traced{}, errors.New("the parser ended before it was done")
	}
	return traced{}, err
}

// talk asks a child, gives what it wants and takes its answers, up to the last one.
func (t *tracing) talk(in io.Writer, out io.Reader, send func(io.Reader)) error {
	t.told, t.seen = traced{changes: make([]*bulwark.Change, len(t.asked))}, make([]bool, len(t.asked))
	enc := json.NewEncoder(in)
	first := traceCommand{Head: t.past.Head, Asked: t.asked, Shallow: t.past.Shallow != nil, Limit: t.limit}
	if err := enc.Encode(command{Trace: &first}); err != nil {
		return io.EOF // what it died of says Wait
	}
	size, fresh := 0, true
	for br := bufio.NewReaderSize(out, 64<<10); ; {
		line, err := readLine(br)
		if err != nil {
			return err
		}
		if size += len(line); size > maxAnswers {
			return fmt.Errorf("the parser's answers: %w", bulwark.ErrTooLarge)
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			return fmt.Errorf("the parser's answer: %w", err)
		}
		switch {
		case a.Hello != nil && fresh: // said before anything hostile was read
			t.missing = a.Hello.Missing
		case a.Want != nil:
			size -= len(line) // bounded by time, as the reading of layers is
			if err := t.give(enc, send, a.Want); err != nil {
				return err
			}
		case a.Change != nil:
			if err := t.take(a.Change); err != nil {
				return err
			}
		case a.Traced != nil:
			return t.end(a.Traced)
		default:
			return errors.New("the parser answered what it was not asked")
		}
		fresh = false
	}
}

// give sends what the child wants, if it may have it and it is there.
func (t *tracing) give(enc *json.Encoder, send func(io.Reader), w *want) error {
	var f io.ReadCloser
	var err error
	most := int64(traceObject)
	switch {
	case w.Object == "" && w.File > 0 && w.File <= len(t.asked):
		f, err = t.past.File(t.asked[w.File-1].Path)
		most = traceFile + 1
	case w.Object != "" && w.File == 0 && t.past.Loose != nil && t.name(w.Object):
		f, err = t.past.Loose(w.Object)
	default:
		return errors.New("the parser wants what it may not have")
	}
	given := givenCommand{None: errors.Is(err, fs.ErrNotExist)}
	if err != nil {
		given.Err = err.Error()
	} else {
		defer f.Close()
	}
	if err := enc.Encode(command{Given: &given}); err != nil {
		return io.EOF
	}
	if err == nil {
		send(io.LimitReader(f, most))
	}
	return nil
}

// name tells whether s may be the full name of an object.
func (t *tracing) name(s string) bool {
	return s != "" && len(s) == len(t.past.Head) && strings.Trim(s, "0123456789abcdef") == ""
}

// isLine tells whether s is a line of text that is not too long. Decoding left no
// bytes that are not UTF-8.
func isLine(s string, most int) bool {
	return len(s) <= most && !strings.ContainsFunc(s, unicode.IsControl)
}

// take notes the answer to one question.
func (t *tracing) take(a *changeAnswer) error {
	c := a.Change
	if a.Asked < 0 || a.Asked >= len(t.asked) || t.seen[a.Asked] {
		return errors.New("the parser answered what it was not asked")
	}
	switch {
	case c == bulwark.Change{}: // not committed
	case !t.name(c.Commit), !isLine(c.Author, maxPerson), !isLine(c.Mail, maxPerson), c.Date.Unix() < 0:
		return errors.New("the parser's answers: no commit")
	}
	t.seen[a.Asked], t.told.changes[a.Asked] = true, &c
	return nil
}

// end notes the last answer.
func (t *tracing) end(a *tracedAnswer) error {
	if !isLine(a.Cut, maxCut) || !isLine(a.Err, maxCut) {
		return errors.New("the parser's answers: no text of one line")
	}
	t.told.tracedAnswer = *a
	if a.Err != "" {
		return errors.New(a.Err)
	}
	return nil
}

// trace is what a child does that was started to ask a work tree's past.
func (c *child) trace(ctx context.Context, cmd *traceCommand, dec *json.Decoder) error {
	p := past{head: cmd.Head}
	p.files.Packs = c.inherited.Files
	if n := len(p.files.Packs) - 1; cmd.Shallow && n >= 0 {
		p.files.Packs, p.files.Shallow = p.files.Packs[:n], p.files.Packs[n]
	}
	if len(c.inherited.Lanes) != 1 || cmd.Shallow && p.files.Shallow == nil {
		return errors.New("parse: wrong descriptors")
	}
	w := wanting{out: c.out, dec: dec, lane: c.inherited.Lanes[0]}
	p.files.Loose = func(id string) (io.ReadCloser, error) { return w.ask(want{Object: id}) }
	p.work = func(asked int) (io.ReadCloser, error) { return w.ask(want{File: asked + 1}) }
	c.out.put(&answer{Lane: -1, Hello: &hello{Missing: c.inherited.Missing}})
	var told traced
	err := safely(ctx, func(ctx context.Context) (err error) {
		told, err = p.trace(ctx, cmd.Asked, cmd.Limit)
		return err
	})
	for i, change := range told.changes {
		if change != nil {
			c.out.put(&answer{Lane: -1, Change: &changeAnswer{Asked: i, Change: *change}})
		}
	}
	if err != nil {
		told.Err = oneLine(err)
	}
	c.out.put(&answer{Lane: -1, Traced: &told.tracedAnswer})
	return nil
}

// oneLine gives an error's text as the parent takes it.
func oneLine(err error) string {
	s := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, err.Error())
	return strings.ToValidUTF8(s[:min(len(s), maxCut/4)], "")
}

// wanting is a child that asks its parent for files. A file is read to its end, or
// closed, before the next one is asked for.
type wanting struct {
	out  *answers
	dec  *json.Decoder
	lane *sandbox.LaneReader
}

func (w wanting) ask(what want) (io.ReadCloser, error) {
	w.out.put(&answer{Lane: -1, Want: &what})
	var cmd command
	if err := w.dec.Decode(&cmd); err != nil {
		return nil, fmt.Errorf("parse: command: %w", err)
	}
	switch {
	case cmd.Given == nil:
		return nil, errors.New("parse: a command out of order")
	case cmd.Given.None:
		return nil, fs.ErrNotExist
	case cmd.Given.Err != "":
		return nil, errors.New(cmd.Given.Err)
	}
	w.lane.Reset()
	return given{w.lane}, nil
}

// given is a file that came on a lane.
type given struct{ io.Reader }

// Close takes the rest from the lane.
func (g given) Close() error {
	_, err := io.Copy(io.Discard, g.Reader)
	return err
}

// traceHere asks a work tree's past in this process, where there is no sandbox.
func traceHere(ctx context.Context, p *bulwark.Past, asked []bulwark.Trace, limit time.Duration) (t traced, err error) {
	here := past{
		head:  p.Head,
		files: gitlog.Files{Packs: p.Packs, Shallow: p.Shallow, Loose: p.Loose},
		work:  func(i int) (io.ReadCloser, error) { return p.File(asked[i].Path) },
	}
	err = safely(ctx, func(ctx context.Context) (err error) {
		t, err = here.trace(ctx, asked, limit)
		return err
	})
	return t, err
}
