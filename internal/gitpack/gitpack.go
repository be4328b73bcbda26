// SPDX-License-Identifier: Apache-2.0

// Package gitpack reads the tree of one commit out of a pack of git, as the tar
// streams of images are read: clean paths, one entry at a time, within limits.
// Nothing is checked out, no configuration is read and no hook runs. It does not
// know where packs come from.
package gitpack

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing" // objects in packs
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"

	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// Bounds on one pack. The tree of the Linux kernel has 90,000 files.
const (
	maxObjects = 4_000_000
	maxDepth   = 256
	maxFile    = 256 << 20 // bytes of one file, which is held in memory
	maxMeta    = 64 << 20  // bytes of a commit or tree
	maxLink    = 4096      // PATH_MAX
	cacheSize  = 48 << 20  // bytes of objects that others are differences to
)

// Walk gives a walk of the tree of a commit, which is named by 40 hexadecimal
// digits, or of a tag of one. It shows visit every entry of the pack of size bytes in ra, in the order
// of the tree. What cannot be read as meant goes to fault. The error is that of
// ctx or of visit, or says that there is no such commit
// (https://git-scm.com/docs/pack-format).
func Walk(commit string) func(ctx context.Context, ra io.ReaderAt, size int64, lim limit.Limits, visit func(*tarfs.Entry, io.Reader) error, fault func(tarfs.Fault)) (tarfs.Stats, error) {
	return func(ctx context.Context, ra io.ReaderAt, size int64, lim limit.Limits, visit func(*tarfs.Entry, io.Reader) error, fault func(tarfs.Fault)) (tarfs.Stats, error) {
		w := &walker{ctx: ctx, lim: lim.Or(limit.Default()), visit: visit, fault: fault}
		err := w.run(commit, ra, size)
		w.stats.Blob, w.stats.Format = size, "git"
		return w.stats, err
	}
}

type walker struct {
	ctx   context.Context
	lim   limit.Limits
	visit func(*tarfs.Entry, io.Reader) error
	fault func(tarfs.Fault)
	stats tarfs.Stats
	pack  *packfile.Packfile
	index idxfile.Index
	out   int64 // bytes that were inflated
	full  bool  // a limit ended the walk
}

func (w *walker) run(commit string, ra io.ReaderAt, size int64) error {
	id, err := hex.DecodeString(commit)
	if err != nil || len(id) != len(plumbing.Hash{}) {
		return fmt.Errorf("commit %q: not 40 hexadecimal digits", commit)
	}
	var head [12]byte
	if _, err := ra.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("read pack: %w", err)
	}
	// The reader makes room for as many objects as a pack says that it has; each
	// takes three bytes at least.
	if n := int64(binary.BigEndian.Uint32(head[8:])); n > maxObjects || n > size/3 {
		return fmt.Errorf("read pack: %d objects in %d bytes: %w", n, size, limit.ErrExceeded)
	}
	src := stopping{ctx: w.ctx, ra: ra}
	var writer idxfile.Writer
	parser, err := packfile.NewParser(packfile.NewScanner(io.NewSectionReader(src, 0, size)), &writer)
	if err != nil {
		return fmt.Errorf("read pack: %w", err)
	}
	if _, err := parser.Parse(); err != nil {
		return fmt.Errorf("read pack: %w", err)
	}
	index, err := writer.Index()
	if err != nil {
		return fmt.Errorf("read pack: %w", err)
	}
	w.index = index
	w.pack = packfile.NewPackfileWithCache(index, nil, &file{SectionReader: io.NewSectionReader(src, 0, size)}, cache.NewObjectLRU(cacheSize), 0)
	b, err := w.commit(plumbing.Hash(id))
	if err != nil {
		return fmt.Errorf("read commit %s: %w", commit, err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	name, ok := bytes.CutPrefix(line, []byte("tree "))
	root := plumbing.NewHash(string(name))
	if !ok || root.IsZero() {
		return fmt.Errorf("read commit %s: it names no tree", commit)
	}
	if err := w.tree(root, "", 0); err != nil {
		return err
	}
	w.stats.Whole = !w.full
	return nil
}

// commit gives a commit, or the one that a tag names.
func (w *walker) commit(id plumbing.Hash) ([]byte, error) {
	const maxTags = 5 // tags that name tags
	for range maxTags {
		tag, err := w.object(id, plumbing.TagObject, maxMeta)
		if err != nil {
			break
		}
		line, _, _ := bytes.Cut(tag, []byte("\n"))
		name, ok := bytes.CutPrefix(line, []byte("object "))
		if !ok {
			return nil, errors.New("a tag that names nothing")
		}
		id = plumbing.NewHash(string(name))
	}
	return w.object(id, plumbing.CommitObject, maxMeta)
}

// object gives the content of an object of a type.
func (w *walker) object(id plumbing.Hash, kind plumbing.ObjectType, most int64) ([]byte, error) {
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	size, err := w.size(id)
	if err != nil {
		return nil, err
	}
	if size > most {
		return nil, fmt.Errorf("%d bytes, at most %d are read: %w", size, most, limit.ErrExceeded)
	}
	o, err := w.pack.Get(id)
	if err != nil {
		return nil, err
	}
	if o.Type() != kind {
		return nil, fmt.Errorf("a %s where a %s belongs", o.Type(), kind)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most))
	if w.out += int64(len(b)); w.out > w.lim.Bytes {
		return nil, fmt.Errorf("more than %d bytes in one tree: %w", w.lim.Bytes, limit.ErrExceeded)
	}
	return b, err
}

func (w *walker) size(id plumbing.Hash) (int64, error) {
	off, err := w.index.FindOffset(id)
	if err != nil {
		return 0, err
	}
	return w.pack.GetSizeByOffset(off)
}

// The modes of entries in trees.
const (
	modeDir    = "40000"
	modeLink   = "120000"
	modeModule = "160000"
	modeExec   = "100755"
)

func (w *walker) tree(id plumbing.Hash, dir string, depth int) error {
	b, err := w.object(id, plumbing.TreeObject, maxMeta)
	if err != nil {
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		w.fault(tarfs.Fault{Path: dir, Err: err, Detail: "the directory was left out: " + err.Error(), Ends: true})
		return nil
	}
	for len(b) > 0 && !w.full {
		mode, rest, ok := bytes.Cut(b, []byte(" "))
		name, rest, ok2 := bytes.Cut(rest, []byte{0})
		if !ok || !ok2 || len(rest) < len(id) || len(mode) > 6 {
			w.fault(tarfs.Fault{Path: dir, Err: fs.ErrInvalid, Detail: "the rest of the directory was left out: it is malformed", Ends: true})
			return nil
		}
		child := plumbing.Hash(rest[:len(id)])
		b = rest[len(id):]
		if w.stats.Entries++; w.stats.Entries > w.lim.Entries {
			w.full = true
			w.fault(tarfs.Fault{Err: limit.ErrExceeded, Detail: fmt.Sprintf("reading stopped after %d entries", w.lim.Entries), Ends: true})
			return nil
		}
		if err := w.entry(string(mode), string(name), dir, child, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(mode, name, dir string, id plumbing.Hash, depth int) error {
	full := name
	if dir != "" {
		full = dir + "/" + name
	}
	leave := func(err error, why string) error {
		w.fault(tarfs.Fault{Path: strings.ToValidUTF8(strings.ReplaceAll(full, "\x00", ""), "\uFFFD"), Err: err, Detail: "the entry was left out: " + why})
		return nil
	}
	// What a clean clone cannot have: names that lead elsewhere, and git's own.
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/") || strings.EqualFold(name, ".git") {
		return leave(fs.ErrInvalid, "no file of a repository may have its name")
	}
	p, err := tarfs.Clean(full, w.lim.Name)
	if err != nil {
		return leave(err, err.Error())
	}
	e := &tarfs.Entry{Path: p, Mode: 0o644}
	switch mode {
	case modeDir:
		if depth >= maxDepth {
			return leave(limit.ErrExceeded, fmt.Sprintf("it is more than %d directories deep", maxDepth))
		}
		e.Type, e.Mode = tarfs.Dir, fs.ModeDir|0o755
		if err := w.visit(e, nil); err != nil {
			return err
		}
		return w.tree(id, p, depth+1)
	case modeModule:
		return leave(errors.ErrUnsupported, "a submodule, which is not fetched; scan it by its own address")
	case modeLink:
		b, err := w.object(id, plumbing.BlobObject, maxLink)
		if err != nil {
			return w.failed(leave, err)
		}
		e.Type, e.Mode, e.Link = tarfs.Symlink, fs.ModeSymlink|0o777, string(b)
		return w.visit(e, nil)
	case modeExec:
		e.Mode = 0o755
	}
	size, err := w.size(id)
	if err != nil {
		return w.failed(leave, err)
	}
	if size > maxFile || size < 0 {
		return leave(limit.ErrExceeded, fmt.Sprintf("a file of %d bytes; at most %d are read", size, maxFile))
	}
	e.Type, e.Size = tarfs.Regular, size
	c := &content{w: w, id: id}
	err = w.visit(e, c)
	if errors.Is(c.err, limit.ErrExceeded) {
		w.full = true
		w.fault(tarfs.Fault{Path: path.Clean(p), Err: c.err, Detail: "reading stopped: " + c.err.Error(), Ends: true})
	}
	return err
}

func (w *walker) failed(leave func(error, string) error, err error) error {
	if w.ctx.Err() != nil {
		return w.ctx.Err()
	}
	return leave(err, err.Error())
}

// content inflates a file when it is first read.
type content struct {
	w   *walker
	id  plumbing.Hash
	r   *bytes.Reader
	err error
}

func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.r == nil {
		b, err := c.w.object(c.id, plumbing.BlobObject, maxFile)
		if err != nil {
			c.err = err
			return 0, err
		}
		c.r = bytes.NewReader(b)
	}
	return c.r.Read(p)
}

// stopping errs when its context is done: the library knows none.
type stopping struct {
	ctx context.Context
	ra  io.ReaderAt
}

// ReadAt reads as [io.ReaderAt] does.
func (s stopping) ReadAt(p []byte, off int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.ra.ReadAt(p, off)
}

// file is a pack as the library wants it: read only.
type file struct{ *io.SectionReader }

// Name gives a name for errors.
func (*file) Name() string { return "pack" }

// Write is not possible.
func (*file) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Close does nothing: the pack belongs to the caller.
func (*file) Close() error { return nil }

// Lock does nothing.
func (*file) Lock() error { return nil }

// Unlock does nothing.
func (*file) Unlock() error { return nil }

// Truncate is not possible.
func (*file) Truncate(int64) error { return errors.ErrUnsupported }
