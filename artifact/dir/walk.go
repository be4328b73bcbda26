// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// Bounds of one walk. Each costs something that a hostile tree could waste, and
// each is told when it is met.
const (
	// Each level holds one directory open: far deeper than package managers make
	// trees, and below the usual limits on open files.
	maxDepth = 512
	// Names of one directory are held in memory, some 100 bytes each, to sort them.
	maxNames = 1_000_000
	// Entries of one walk, when OpenOptions says nothing. Hosts with the most
	// files have some ten million; a walk of this many takes minutes.
	maxEntries = 50_000_000
)

// whiteout is the prefix of names that remove a file of an older layer. In a
// stream they cannot stand for themselves.
const whiteout = ".wh."

// A walk makes tar streams of a tree.
type walk struct {
	o     bulwark.OpenOptions
	skips []string                // o.SkipDirs, cleaned
	only  string                  // the one file to read; "" is all
	as    string                  // name of the one file in the stream
	skip  func(rel string) string // why a directory is left out; "" when it is not
	leave map[string]omission     // mounts that are left out, by relative path

	mu     sync.Mutex
	root   folder
	closed bool
	runs   sync.WaitGroup
	cancel []context.CancelFunc
	last   *ledger
}

// open starts a stream. Streams are independent of each other.
func (w *walk) open(ctx context.Context) (io.ReadCloser, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, fmt.Errorf("read directory: %w", fs.ErrClosed)
	}
	top, err := w.root.folder(".")
	if err != nil {
		return nil, fmt.Errorf("read directory: %w", cause(err))
	}
	ctx, cancel := context.WithCancel(ctx)
	w.cancel = append(w.cancel, cancel)
	w.last = &ledger{mounts: map[string][]string{}}
	pr, pw := io.Pipe()
	s := stream{pr, cancel, make(chan struct{})}
	// Whoever waits at the other end learns at once that ctx is done.
	context.AfterFunc(ctx, func() { pw.CloseWithError(ctx.Err()) })
	r := &run{walk: w, ledger: w.last, left: w.o.MaxEntries, buf: make([]byte, 256<<10)}
	if r.left <= 0 {
		r.left = maxEntries
	}
	w.runs.Add(1)
	go func() {
		defer w.runs.Done()
		defer close(s.done)
		defer cancel()
		defer top.close()
		pw.CloseWithError(r.write(ctx, top, pw))
	}()
	return s, nil
}

// gaps gives those of the stream that was opened last.
func (w *walk) gaps() []bulwark.Gap {
	w.mu.Lock()
	last := w.last
	w.mu.Unlock()
	if last == nil {
		return nil
	}
	return last.gaps()
}

// close ends the streams that still run, and waits for them.
func (w *walk) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	for _, cancel := range w.cancel {
		cancel()
	}
	w.runs.Wait()
	return w.root.close()
}

// stream is the reading end; Close waits until the walk has let go.
type stream struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

func (s stream) Close() error {
	s.CloseWithError(io.ErrClosedPipe)
	s.cancel()
	<-s.done
	return nil
}

// A run makes one stream.
type run struct {
	*walk
	*ledger
	tw   *tar.Writer
	out  *sink
	left int    // entries that may still be seen
	buf  []byte // for content
}

// sink remembers that nobody reads any more, to tell that from a header that
// cannot be written.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// errFull ends a walk at its last entry without an error.
var errFull = errors.New("enough entries")

func (r *run) write(ctx context.Context, top folder, w io.Writer) error {
	r.out = &sink{w: w}
	// Headers of many small files reach the pipe as one write.
	out := bufio.NewWriterSize(r.out, 64<<10)
	r.tw = tar.NewWriter(out)
	var err error
	if r.only != "" {
		err = r.single(top)
	} else {
		err = r.folder(ctx, top, "", 0)
	}
	if err != nil && !errors.Is(err, errFull) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	if err := r.tw.Close(); err != nil {
		return err
	}
	return out.Flush()
}

// single puts the only file into the stream. That it cannot be read is an error,
// not a gap: nothing else is there.
func (r *run) single(top folder) error {
	f, err := top.file(r.only)
	if err != nil {
		return fmt.Errorf("open %q: %w", r.as, cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open %q: %w", r.as, cause(err))
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("open %q: not a regular file: %w", r.as, bulwark.ErrUnsupported)
	}
	return r.content(f, info, r.as)
}

// folder walks one directory; rel is "" for the root.
func (r *run) folder(ctx context.Context, d folder, rel string, depth int) error {
	list, more, err := d.list(ctx, maxNames)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if rel == "" && len(list) == 0 {
			return fmt.Errorf("read directory: %w", cause(err))
		}
		r.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: cause(err).Error(), Hides: true})
	}
	for _, e := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.left == 0 {
			return r.full()
		}
		r.left--
		if e.shown == "" {
			r.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: path.Join(rel, escape(e.name)), Detail: "its name differs from another only in bytes that are no UTF-8", Hides: true})
			continue
		}
		at := e.shown
		if rel != "" {
			at = rel + "/" + e.shown
		}
		err := r.visit(ctx, d, e, at, depth)
		if errors.Is(err, errClosed) { // no entry of this directory can be reached
			r.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: fs.ErrPermission.Error(), Hides: true})
			return nil
		}
		if err != nil {
			return err
		}
	}
	if more {
		r.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: rel, Detail: fmt.Sprintf("more than %d entries in one directory: the rest is left out", len(list)), Hides: true})
	}
	return nil
}

func (r *run) full() error {
	n := r.o.MaxEntries
	if n <= 0 {
		n = maxEntries
	}
	r.gap(bulwark.Gap{Kind: bulwark.GapLimit, Detail: fmt.Sprintf("the walk stopped after %d entries", n), Hides: true})
	return errFull
}

// errClosed says that a directory can be listed but not entered.
var errClosed = errors.New("directory cannot be entered")

func (r *run) visit(ctx context.Context, d folder, e entry, rel string, depth int) error {
	// Before anything is asked of the entry itself: a mount may not answer.
	if m, ok := r.leave[rel]; ok {
		r.omit(rel, m)
		return nil
	}
	switch e.kind {
	case 0:
		return r.file(d, e.name, rel)
	case fs.ModeDir:
	default:
		return r.other(d, e, rel)
	}
	if why := r.reason(rel); why != "" {
		r.gap(bulwark.Gap{Kind: bulwark.GapSkipped, Path: rel, Detail: why})
		return nil
	}
	if depth >= maxDepth {
		r.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: rel, Detail: fmt.Sprintf("a directory more than %d levels deep is not entered", maxDepth), Hides: true})
		return nil
	}
	if r.long(rel) {
		return nil
	}
	sub, err := d.folder(e.name)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		r.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: cause(err).Error(), Hides: true})
		return nil
	}
	defer sub.close()
	return r.folder(ctx, sub, rel, depth+1)
}

// reason says why a directory is left out; "" when it is not.
func (r *run) reason(rel string) string {
	for _, pattern := range r.skips {
		if ok, _ := path.Match(pattern, rel); ok {
			return "left out by skip-dirs"
		}
	}
	if r.skip != nil {
		if why := r.skip(rel); why != "" {
			return "left out: " + why
		}
	}
	return ""
}

// long tells a path that no reader of the stream takes.
func (r *run) long(rel string) bool {
	if most := limit.Default().Name; len(rel) > most {
		r.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: rel, Detail: fmt.Sprintf("a path of %d bytes; at most %d are read", len(rel), most), Hides: true})
		return true
	}
	return false
}

// wants tells whether a file belongs into the stream, and tells why it is left
// out though somebody wants it.
func (r *run) wants(rel string, st bulwark.Stat) bool {
	if r.o.Wants != nil && !r.o.Wants(rel, st) || r.long(rel) {
		return false
	}
	if strings.HasPrefix(path.Base(rel), whiteout) {
		r.gap(bulwark.Gap{Kind: bulwark.GapUnsupported, Path: rel, Detail: "not looked into: its name means a removed file in a stream of layers"})
		return false
	}
	return true
}

// other puts a link, pipe or device where a wanted file would be into the stream,
// so that whoever looks for the file learns that it is none.
func (r *run) other(d folder, e entry, rel string) error {
	if !r.wants(rel, bulwark.Stat{Size: 1, Mode: 0o644}) {
		return nil
	}
	h := &tar.Header{Typeflag: tar.TypeFifo, Name: rel, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if e.kind == fs.ModeSymlink {
		target, err := d.link(e.name)
		if err != nil {
			return nil // it has gone or changed since the directory was read
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, escape(target)
	}
	_, err := r.header(h)
	return err
}

func (r *run) file(d folder, name, rel string) error {
	st, err := d.stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it has gone since the directory was read
	case err != nil:
		if _, err := d.stat("."); errors.Is(err, fs.ErrPermission) {
			return errClosed
		}
		r.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: cause(err).Error()})
		return nil
	case !st.Mode.IsRegular() || !r.wants(rel, st):
		return nil
	}
	f, err := d.file(name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: cause(err).Error()})
		}
		return nil
	}
	defer f.Close()
	// The file that was opened is the one that counts: it may have been swapped.
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return r.content(f, info, rel)
}

// content puts an opened file into the stream.
func (r *run) content(f *os.File, info fs.FileInfo, rel string) error {
	size := info.Size()
	// Its reader would leave it out as well, but only after all of it had passed.
	// A sparse file of exbibytes costs nothing to make.
	var records map[string]string
	if most := limit.Default().File; size < 0 || size > most {
		n := int64(0)
		if size > most && r.o.Beginning != nil {
			n = min(r.o.Beginning(rel, bulwark.Stat{Size: size, Mode: info.Mode()}), most)
		}
		if n <= 0 {
			r.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: rel, Detail: fmt.Sprintf("a file of %d bytes; at most %d are looked into", size, most), Hides: true})
			return nil
		}
		records = map[string]string{tarfs.RestRecord: strconv.FormatInt(size-n, 10)}
		size = n
	}
	// The time is left out: the stream's hash names the artifact by content.
	h := &tar.Header{Typeflag: tar.TypeReg, Name: rel, Size: size, Mode: mode(info.Mode()), ModTime: time.Unix(0, 0), Format: tar.FormatPAX, PAXRecords: records}
	if ok, err := r.header(h); !ok {
		return err
	}
	for n := int64(0); n < size; {
		m, rerr := f.Read(r.buf[:min(int64(len(r.buf)), size-n)])
		if _, err := r.tw.Write(r.buf[:m]); err != nil {
			return err
		}
		n += int64(m)
		if m == 0 && rerr != nil {
			return r.pad(rel, size-n, rerr)
		}
	}
	return nil
}

// pad fills up a file that shrank or broke off, so that the stream goes on.
func (r *run) pad(rel string, n int64, why error) error {
	detail := "it shrank while it was read"
	if !errors.Is(why, io.EOF) {
		detail = cause(why).Error()
	}
	r.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: detail})
	clear(r.buf)
	for n > 0 {
		m, err := r.tw.Write(r.buf[:min(int64(len(r.buf)), n)])
		if err != nil {
			return err
		}
		n -= int64(m)
	}
	return nil
}

// header begins an entry. It is not ok when the entry cannot be; the error says
// that the stream has ended.
func (r *run) header(h *tar.Header) (ok bool, err error) {
	if err := r.tw.WriteHeader(h); err != nil {
		if r.out.err != nil {
			return false, err
		}
		r.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: h.Name, Detail: err.Error(), Hides: true})
		return false, nil
	}
	return true, nil
}

func mode(m fs.FileMode) int64 {
	n := int64(m.Perm())
	if m&fs.ModeSetuid != 0 {
		n |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		n |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		n |= 0o1000
	}
	return n
}
