// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/sandbox"
)

// An engine has layers read and databases merged by a parsing child. It is
// made for one scan and used by one goroutine.
type engine struct {
	kind  bulwark.Kind
	plan  plan
	lanes int
	tmp   string
	exec  string // the program; "" is this one

	inProcess bool

	jars    *Jars    // lent by who made the engine; nil is none
	kept    *os.File // content of package databases, shared with the child
	keptEnd int64
	status  *os.File
	rules   *os.File // the plan's, one file after another
	daemon  *daemon  // nil asks none
	spills  []*os.File
	whole   []*os.File // files that are read at random; the tree closes them
	child   *session

	missing []string      // parts of the sandbox that the kernel lacks
	read    int64         // bytes read from sources
	cpu     time.Duration // of ended children
	rss     int64         // largest resident set of an ended child, bytes
}

// tries is how often a layer is read again, without the file that its parser
// died of, before the whole layer becomes a gap.
const tries = 4

func newEngine(kind bulwark.Kind, p plan, lanes int, tmp, exec string) (*engine, error) {
	e := &engine{kind: kind, plan: p, lanes: lanes, tmp: tmp, exec: exec}
	var err error
	if e.kept, err = scratch(tmp); err != nil {
		return nil, err
	}
	if e.status, err = scratch(tmp); err != nil {
		return nil, errors.Join(err, e.close())
	}
	if err := e.status.Truncate(int64(lanes) * statusSize); err != nil {
		return nil, errors.Join(fmt.Errorf("make status file: %w", err), e.close())
	}
	if e.rules, err = scratch(tmp); err != nil {
		return nil, errors.Join(err, e.close())
	}
	for _, b := range p.rules {
		if _, err := e.rules.Write(b); err != nil {
			return nil, errors.Join(fmt.Errorf("write rules: %w", err), e.close())
		}
	}
	for range lanes {
		f, err := scratch(tmp)
		if err != nil {
			return nil, errors.Join(err, e.close())
		}
		e.spills = append(e.spills, f)
	}
	return e, nil
}

// scratch gives a file without a name: it goes when the last process closes it.
func scratch(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "bulwark-*")
	if err != nil {
		return nil, &bulwark.Hint{Err: fmt.Errorf("make scratch file: %w", err), Next: "set TMPDIR to a folder that can be written to"}
	}
	if runtime.GOOS == "windows" {
		return f, nil // an open file keeps its name there until it is closed, see discard
	}
	return f, os.Remove(f.Name())
}

// discard closes a scratch file, and removes what scratch could not.
func discard(f *os.File) error {
	err := f.Close()
	if runtime.GOOS == "windows" {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// end lets the child go, if there is one. Its exit code no longer matters: every
// answer has been taken.
func (e *engine) end(ctx context.Context) error {
	if e.child != nil {
		_ = e.stop()
	}
	return ctx.Err()
}

func (e *engine) close() error {
	var err error
	if e.child != nil {
		err = e.stop()
	}
	for _, f := range append([]*os.File{e.kept, e.status, e.rules}, e.spills...) {
		if f != nil {
			err = errors.Join(err, discard(f))
		}
	}
	return err
}

// keep writes kept content of a record that came from the cache.
func (e *engine) keep(r io.Reader, size int64) (int64, error) {
	off := e.keptEnd
	n, err := io.Copy(io.NewOffsetWriter(e.kept, off), r)
	if err != nil {
		return 0, err
	}
	if n != size {
		return 0, io.ErrUnexpectedEOF
	}
	e.keptEnd += size
	return off, nil
}

// A session is one running child.
type session struct {
	*sandbox.Child
	enc   *json.Encoder
	encMu sync.Mutex
	lanes []chan *answer // one for each lane
	main  chan *answer   // answers to Start and Merge
	busy  []atomic.Bool  // lanes that answers are awaited on
	asked atomic.Bool    // answers are awaited on main
	quit  chan struct{}  // closed when nobody listens any more
	gone  chan struct{}  // closed when the child says nothing more
	hung  string
	bad   error

	end sync.Once
}

// abort kills the child, and lets go of answers that nobody takes any more.
func (s *session) abort() {
	s.deaf()
	s.Kill()
}

// deaf makes demux drop what comes.
func (s *session) deaf() { s.end.Do(func() { close(s.quit) }) }

func (s *session) send(c command) error {
	s.encMu.Lock()
	defer s.encMu.Unlock()
	return s.enc.Encode(c)
}

// start runs a child, unless one runs.
func (e *engine) start(ctx context.Context) error {
	if e.child != nil {
		return nil
	}
	// What a child that died had written behind the known end is overwritten.
	files := slices.Concat([]*os.File{e.kept, e.status, e.rules}, e.spills, e.whole)
	first := startCommand{Kind: e.kind, Plan: e.plan, Kept: e.keptEnd}
	if e.jars != nil {
		files, first.Jars = append(files, e.jars.file), e.jars.size
	}
	soft := int64(softMemory)
	if e.plan.Licenses {
		soft += licenseMemory
	}
	c, err := sandbox.Start(ctx, sandbox.Options{
		Path: e.exec, Args: []string{ChildArg}, Lanes: e.lanes, Files: files, Soft: soft,
	})
	if err != nil {
		return err
	}
	s := &session{Child: c, enc: json.NewEncoder(c.In), main: make(chan *answer, 64),
		busy: make([]atomic.Bool, e.lanes), quit: make(chan struct{}), gone: make(chan struct{})}
	for range e.lanes {
		s.lanes = append(s.lanes, make(chan *answer, 64))
	}
	s.asked.Store(true)
	go s.demux()
	e.child = s
	for _, b := range e.plan.rules {
		first.Rules = append(first.Rules, int64(len(b)))
	}
	if err := s.send(command{Start: &first}); err != nil {
		return e.died(ctx)
	}
	select {
	case a := <-s.main:
		if a.Hello == nil {
			return errors.Join(errors.New("start sandbox: no hello"), e.stop())
		}
		e.missing = a.Hello.Missing
	case <-s.gone:
		return e.died(ctx)
	}
	return nil
}

// The child's garbage collector begins to work harder at softMemory, bytes; what
// knows the texts of licences takes more, and would be marked again and again.
const (
	softMemory    = 38 << 20
	licenseMemory = 24 << 20
)

// demux hands each answer to the lane it belongs to.
func (s *session) demux() {
	defer close(s.gone)
	br := bufio.NewReaderSize(s.Out, 128<<10)
	for {
		line, err := readLine(br)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.bad = err
				s.Kill()
			}
			return
		}
		a := new(answer)
		if err := json.Unmarshal(line, a); err != nil {
			s.bad = fmt.Errorf("the parser's answer: %w", err)
			s.Kill()
			return
		}
		a.size = len(line)
		switch {
		case a.Hung != "":
			s.hung = a.Hung
		case a.Lane == -1 && s.asked.Load():
			if a.Done != nil || a.Hello != nil {
				s.asked.Store(false)
			}
			s.pass(s.main, a)
		case a.Lane >= 0 && a.Lane < len(s.lanes) && s.busy[a.Lane].Load():
			// Whoever collects must not take an answer past Done for its own.
			if a.Done != nil {
				s.busy[a.Lane].Store(false)
			}
			s.pass(s.lanes[a.Lane], a)
		default:
			s.bad = errors.New("the parser answered what it was not asked")
			s.Kill()
			return
		}
	}
}

func (s *session) pass(to chan<- *answer, a *answer) {
	select {
	case to <- a:
	case <-s.quit:
	}
}

// readLine reads one line of at most maxLine bytes.
func readLine(br *bufio.Reader) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	if err == nil {
		return line, nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		if len(line) > 0 && errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	long := bytes.Clone(line)
	for {
		line, err = br.ReadSlice('\n')
		long = append(long, line...)
		if len(long) > maxLine {
			return nil, fmt.Errorf("the parser's answer: %w", bulwark.ErrTooLarge)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return long, err
		}
	}
}

// stop lets the child end.
func (e *engine) stop() error {
	s := e.child
	e.child = nil
	s.deaf()
	s.In.Close()
	<-s.gone
	err := s.Wait()
	e.account(s)
	return err
}

func (e *engine) account(s *session) {
	cpu, rss := s.Usage()
	e.cpu += cpu
	e.rss = max(e.rss, rss)
}

// died ends what is left of a child and says what it died of.
func (e *engine) died(ctx context.Context) error {
	s := e.child
	e.child = nil
	s.abort()
	<-s.gone
	err := s.Wait()
	e.account(s)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if s.hung != "" {
		return errDied{fmt.Errorf("its parser did not return: %q", s.hung)}
	}
	if s.bad != nil {
		return errDied{s.bad}
	}
	if err == nil {
		err = errors.New("the parser ended before it was done")
	}
	return errDied{err}
}

// errDied says that the child ended before its answer was complete.
type errDied struct{ error }

func (e errDied) Unwrap() error { return e.error }

// A job is one layer to read.
type job struct {
	blob *bulwark.Blob
	rec  *record
	err  error // the source could not be read
	skip []string
	next int // tries so far
	sum  bulwark.Digest
	done func(*job)
}

// run reads all jobs, the largest first, several at a time. What a parser died
// of is left out and told. The error is one of the machinery or of ctx; each job
// has its own.
func (e *engine) run(ctx context.Context, jobs []*job) error {
	if e.inProcess {
		return e.runInProcess(ctx, jobs)
	}
	pending := slices.Clone(jobs)
	slices.SortStableFunc(pending, func(a, b *job) int { return int(max(-1, min(1, b.blob.Blob-a.blob.Blob))) })
	alone := false
	for len(pending) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.start(ctx); err != nil {
			return err
		}
		batch := pending
		if alone {
			batch = pending[:1]
		}
		left, err := e.batch(ctx, batch)
		pending = append(left, pending[len(batch):]...)
		if err == nil {
			alone = false
			continue
		}
		if !errors.As(err, new(errDied)) {
			return err
		}
		// Which of several layers the child died of is found by reading them
		// one at a time.
		if alone {
			e.blame(left, err)
			pending = slices.DeleteFunc(pending, func(j *job) bool { return j.next > tries })
		}
		alone = true
	}
	return nil
}

// blame notes the file that the only job's parser died of.
func (e *engine) blame(left []*job, err error) {
	for _, j := range left {
		j.next++
		page := make([]byte, statusSize)
		n, _ := e.status.ReadAt(page, 0)
		name, _, _ := bytes.Cut(page[:n], []byte{0})
		if len(name) > 0 && j.next <= tries {
			j.skip = append(j.skip, string(name))
			continue
		}
		j.next = tries + 1
		j.rec, j.err = &record{Gaps: []bulwark.Gap{{Kind: bulwark.GapUnreadable, Hides: true, Detail: "the layer was not read: " + err.Error()}}}, nil
		if j.done != nil {
			j.done(j)
		}
	}
}

// batch reads jobs until all are done or the child dies; it gives the jobs that
// are left.
func (e *engine) batch(ctx context.Context, jobs []*job) (left []*job, err error) {
	s := e.child
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	next := 0
	unfinished := map[*job]bool{}
	for _, j := range jobs {
		unfinished[j] = true
	}
	var wg sync.WaitGroup
	for lane := range min(e.lanes, len(jobs)) {
		wg.Go(func() {
			for {
				mu.Lock()
				if next == len(jobs) || ctx.Err() != nil {
					mu.Unlock()
					return
				}
				j := jobs[next]
				next++
				mu.Unlock()
				n, end, ok := e.one(ctx, s, lane, j)
				mu.Lock()
				e.read += n
				e.keptEnd = max(e.keptEnd, end)
				if ok {
					delete(unfinished, j)
				}
				mu.Unlock()
				if !ok {
					cancel()
					return
				}
				if j.done != nil {
					mu.Lock()
					j.done(j)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(unfinished) == 0 {
		return nil, nil
	}
	for _, j := range jobs {
		if unfinished[j] {
			left = append(left, j)
		}
	}
	return left, e.died(context.WithoutCancel(ctx))
}

// one reads one layer on one lane. It is not ok when the child died or ctx ended.
func (e *engine) one(ctx context.Context, s *session, lane int, j *job) (n, keptEnd int64, ok bool) {
	j.rec, j.err, j.sum = &record{}, nil, ""
	var src io.ReadCloser
	if j.blob.Whole == nil {
		var err error
		if src, err = j.blob.Open(ctx); err != nil {
			j.err = err
			return 0, 0, ctx.Err() == nil
		}
		defer src.Close()
	}
	s.busy[lane].Store(true)
	cmd := layerCommand{Lane: lane, Skip: j.skip, Whole: 1 + slices.Index(e.whole, j.blob.Whole), Form: j.blob.Form, At: j.blob.At, Key: j.blob.Key}
	if err := s.send(command{Layer: &cmd}); err != nil {
		return 0, 0, false
	}
	budget := e.plan.Limits.Or(limit.Default())
	collected := make(chan bool, 1)
	go func() {
		for {
			select {
			case a := <-s.lanes[lane]:
				if a.Done != nil {
					j.rec.finish(a.Done)
					collected <- true
					return
				}
				var err error
				if a.Ask != nil {
					if err = e.ask(ctx, lane, a.Ask, j.rec); err == nil {
						err = s.send(command{Told: &toldCommand{lane}})
					}
				} else if a.Raw != nil && !e.plan.Verify {
					err = errors.New("the parser's answers: a secret that was not asked for")
				} else {
					err = j.rec.add(a, budget)
				}
				if err != nil {
					s.abort()
					<-s.gone
					collected <- false
					return
				}
				if a.Kept != nil {
					keptEnd = max(keptEnd, a.Kept.Off+a.Kept.Size)
				}
			case <-s.gone:
				collected <- false
				return
			}
		}
	}()
	if src == nil {
		select {
		case ok = <-collected:
		case <-ctx.Done():
			s.abort()
			ok = <-collected
		}
		if j.sum = j.rec.DiffID; ok {
			n = j.rec.Size
		}
		return n, keptEnd, ok && ctx.Err() == nil
	}
	sum := newHash(j.blob.Digest)
	n, err := s.Lanes[lane].Send(ctx, src, sum)
	switch {
	case err == nil:
		j.sum = sum.digest()
	case ctx.Err() != nil:
		s.abort()
	default:
		j.err = err
	}
	if ok = <-collected; !ok {
		j.err = nil // the child died, and what was sent to it with it
		return n, keptEnd, false
	}
	if j.rec.plain && (j.blob.DiffID == "" || strings.HasPrefix(string(j.sum), "sha256:")) {
		j.rec.DiffID = j.sum
	}
	return n, keptEnd, ctx.Err() == nil
}

// A hasher computes a digest of the algorithm that another digest has.
type hasher struct {
	hash.Hash
	algorithm string
}

func newHash(like bulwark.Digest) hasher {
	if strings.HasPrefix(string(like), "sha512:") {
		return hasher{sha512.New(), "sha512"}
	}
	return hasher{sha256.New(), "sha256"}
}

func (h hasher) digest() bulwark.Digest {
	return bulwark.Digest(h.algorithm + ":" + hex.EncodeToString(h.Sum(nil)))
}

// A merged is the answer to a merge.
type merged struct {
	OS       *bulwark.OS       `json:"os,omitempty"`
	Packages []bulwark.Package `json:"packages,omitempty"`
	Gaps     []bulwark.Gap     `json:"gaps,omitempty"`
	Owners   map[string]string `json:"owners,omitempty"`

	size int // bytes of the answers
}

func (m *merged) add(a *answer) {
	switch {
	case a.Package != nil:
		m.Packages = append(m.Packages, *a.Package)
	case a.Gap != nil:
		m.Gaps = append(m.Gaps, *a.Gap)
	case a.OS != nil:
		m.OS = a.OS
	default:
		for file, owner := range a.Owners {
			m.Owners[file] = owner
		}
	}
}

// merge reads a merged state of package databases. A parser that dies of it
// leaves a gap that hides packages.
func (e *engine) merge(ctx context.Context, cmd mergeCommand) (merged, error) {
	if e.inProcess {
		return e.mergeInProcess(ctx, cmd)
	}
	m := merged{Owners: map[string]string{}}
	fail := func(err error) (merged, error) {
		if errors.As(err, new(errDied)) {
			m.Gaps = append(m.Gaps, bulwark.Gap{Kind: bulwark.GapUnreadable, Hides: true, Detail: "the package databases were not read: " + err.Error()})
			return m, nil
		}
		return m, err
	}
	if err := e.start(ctx); err != nil {
		return fail(err)
	}
	s := e.child
	s.asked.Store(true)
	if err := s.send(command{Merge: &cmd}); err != nil {
		return fail(e.died(ctx))
	}
	for {
		select {
		case a := <-s.main:
			if a.Done != nil {
				return m, nil
			}
			if m.size += a.size; m.size > 2*maxAnswers {
				s.bad = fmt.Errorf("the parser's answers: %w", bulwark.ErrTooLarge)
				return fail(e.died(ctx))
			}
			m.add(a)
		case <-s.gone:
			return fail(e.died(ctx))
		}
	}
}
