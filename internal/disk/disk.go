// SPDX-License-Identifier: Apache-2.0

// Package disk reads the disks of virtual machines as the tar streams of images
// are read: clean paths, one entry at a time, within limits. It knows raw disks
// and qcow2, partition tables of MBR and GPT, ext2 to ext4, and XFS. It does not
// mount or change anything, replay a journal, or know what the files mean.
package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// Bounds on one file system.
const (
	maxDepth  = 256
	maxDir    = 256 << 20 // bytes of one directory
	maxLink   = 4096      // PATH_MAX
	maxRuns   = 1 << 20   // pieces of one file
	blockKeep = 512       // blocks that are held in memory
)

// errFormat is wrapped by errors about what does not follow its format.
var errFormat = errors.New("malformed")

func malformed(what string) error { return fmt.Errorf("%s: %w", what, errFormat) }

// Walk shows visit every entry of the file systems of the disk of size bytes in
// ra. The file system that holds a root directory's etc and usr is shown as the
// root, others below "(partition N)". What cannot be read as meant goes to fault.
// The error is that of ctx or of visit, or says that the disk cannot be read.
func Walk(ctx context.Context, ra io.ReaderAt, size int64, lim limit.Limits, visit func(*tarfs.Entry, io.Reader) error, fault func(tarfs.Fault)) (tarfs.Stats, error) {
	w := &walker{ctx: ctx, lim: lim.Or(limit.Default()), visit: visit, fault: fault}
	w.stats.Blob, w.stats.Format = size, "disk"
	if isQcow2(ra) {
		q, err := openQcow2(ra, size)
		if err != nil {
			return w.stats, fmt.Errorf("read qcow2: %w", err)
		}
		ra, size = q, q.size
	}
	parts, err := partitions(ra, size)
	if err != nil {
		return w.stats, err
	}
	var found []*volume
	root := -1
	for _, p := range parts {
		v, err := p.open(ra)
		if err != nil {
			fault(tarfs.Fault{Path: p.name(), Err: err, Detail: p.name() + " was left out: " + err.Error(), Ends: !errors.Is(err, errHarmless)})
			continue
		}
		if root < 0 && v.isRoot() {
			root = len(found)
		}
		found = append(found, v)
	}
	if len(found) == 0 && len(parts) == 0 {
		return w.stats, fmt.Errorf("read disk: no partition table and no file system that is known: %w", errors.ErrUnsupported)
	}
	if root < 0 && len(parts) == 1 && len(found) == 1 {
		root = 0
	}
	for i, v := range found {
		w.at, w.fs = v.name(), v.fs
		if i == root {
			w.at = ""
		}
		if v.note != "" {
			fault(tarfs.Fault{Path: w.at, Err: errFormat, Detail: v.name() + ": " + v.note})
		}
		w.seen = map[uint64]bool{}
		if err := w.dir(v.fs.root(), w.at, 0); err != nil {
			return w.stats, err
		}
		if w.full {
			return w.stats, nil
		}
	}
	w.stats.Whole = true
	return w.stats, nil
}

// An inode is a file of a file system.
type inode struct {
	id   uint64
	mode uint16 // as stat(2) has it
	size int64
	raw  []byte
}

// The types in a mode, from stat(2).
const (
	typeMask = 0o170000
	typeDir  = 0o040000
	typeFile = 0o100000
	typeLink = 0o120000
)

func (n *inode) fileMode() fs.FileMode {
	m := fs.FileMode(n.mode & 0o777)
	for bit, to := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n.mode&bit != 0 {
			m |= to
		}
	}
	return m
}

// A name is one entry of a directory.
type name struct {
	name string
	id   uint64
}

// A fileSystem is one of those that are known.
type fileSystem interface {
	root() uint64
	stat(id uint64) (*inode, error)
	// list gives the names in a directory without "." and "..".
	list(ctx context.Context, n *inode) ([]name, error)
	link(n *inode) (string, error)
	// runs gives the pieces of a file in order.
	runs(n *inode) ([]run, error)
	device() *blocks
}

// A run is a piece of a file that lies together.
type run struct {
	at     int64 // in the file, bytes
	length int64 // bytes
	where  int64 // on the device, bytes; -1 is zeros
}

// A volume is a file system on its partition.
type volume struct {
	partition
	fs   fileSystem
	note string // what was not read of it, for a person
}

// isRoot tells whether the file system has the directories of a root.
func (v *volume) isRoot() bool {
	n, err := v.fs.stat(v.fs.root())
	if err != nil {
		return false
	}
	list, err := v.fs.list(context.Background(), n)
	if err != nil {
		return false
	}
	has := 0
	for _, e := range list {
		if e.name == "etc" || e.name == "usr" {
			has++
		}
	}
	return has == 2
}

type walker struct {
	ctx   context.Context
	lim   limit.Limits
	visit func(*tarfs.Entry, io.Reader) error
	fault func(tarfs.Fault)
	stats tarfs.Stats
	fs    fileSystem
	at    string
	seen  map[uint64]bool // directories: each has one name only
	out   int64
	full  bool
}

// dir shows what lies in a directory.
func (w *walker) dir(id uint64, at string, depth int) error {
	leave := func(err error) error {
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		w.fault(tarfs.Fault{Path: at, Err: err, Detail: "the directory was left out: " + err.Error(), Ends: true})
		return nil
	}
	if w.seen[id] {
		return leave(malformed("it lies in itself or has two names"))
	}
	w.seen[id] = true
	if depth > maxDepth {
		return leave(fmt.Errorf("more than %d directories deep: %w", maxDepth, limit.ErrExceeded))
	}
	n, err := w.fs.stat(id)
	if err != nil {
		return leave(err)
	}
	if n.mode&typeMask != typeDir {
		return leave(malformed("not a directory"))
	}
	list, err := w.fs.list(w.ctx, n)
	if err != nil {
		if err := leave(err); err != nil {
			return err
		}
	}
	for _, e := range list {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if w.stats.Entries++; w.stats.Entries > w.lim.Entries {
			w.full = true
			w.fault(tarfs.Fault{Err: limit.ErrExceeded, Detail: fmt.Sprintf("reading stopped after %d entries", w.lim.Entries), Ends: true})
			return nil
		}
		if err := w.entry(e, at, depth); err != nil || w.full {
			return err
		}
	}
	return nil
}

func (w *walker) entry(e name, at string, depth int) error {
	full := path.Join(at, strings.ReplaceAll(e.name, "\x00", `\0`))
	leave := func(err error) error {
		if w.ctx.Err() != nil {
			return w.ctx.Err()
		}
		w.fault(tarfs.Fault{Path: strings.ToValidUTF8(full, "\uFFFD"), Err: err, Detail: "the entry was left out: " + err.Error()})
		return nil
	}
	if e.name == "" || e.name == "." || e.name == ".." || strings.ContainsAny(e.name, "/\x00") {
		return leave(malformed("no file may have its name"))
	}
	p, err := tarfs.Clean(full, w.lim.Name)
	if err != nil {
		return leave(err)
	}
	n, err := w.fs.stat(e.id)
	if err != nil {
		return leave(err)
	}
	out := &tarfs.Entry{Path: p, Mode: n.fileMode()}
	switch n.mode & typeMask {
	case typeDir:
		out.Type, out.Mode = tarfs.Dir, out.Mode|fs.ModeDir
		if err := w.visit(out, nil); err != nil {
			return err
		}
		return w.dir(e.id, p, depth+1)
	case typeLink:
		if out.Link, err = w.fs.link(n); err != nil {
			return leave(err)
		}
		out.Type, out.Mode = tarfs.Symlink, out.Mode|fs.ModeSymlink
		return w.visit(out, nil)
	case typeFile:
		out.Type, out.Size = tarfs.Regular, n.size
		c := &content{w: w, n: n}
		err := w.visit(out, c)
		if errors.Is(c.err, limit.ErrExceeded) {
			w.full = true
			w.fault(tarfs.Fault{Path: p, Err: c.err, Detail: "reading stopped: " + c.err.Error(), Ends: true})
		}
		return err
	}
	out.Type = tarfs.Special
	return w.visit(out, nil)
}

// content reads a file, whose pieces are looked up when it is first read.
type content struct {
	w    *walker
	n    *inode
	list []run
	init bool
	off  int64
	err  error
}

func (c *content) Read(p []byte) (int, error) {
	if c.err == nil {
		c.err = c.w.ctx.Err()
	}
	if c.err == nil && !c.init {
		c.init = true
		c.list, c.err = c.w.fs.runs(c.n)
	}
	if c.err != nil {
		return 0, c.err
	}
	if c.off >= c.n.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), c.n.size-c.off)]
	if c.w.out += int64(len(p)); c.w.out > c.w.lim.Bytes {
		c.err = fmt.Errorf("more than %d bytes were read of one disk: %w", c.w.lim.Bytes, limit.ErrExceeded)
		return 0, c.err
	}
	n, rest, err := readRuns(c.w.fs.device(), c.list, p, c.off)
	c.list, c.err = rest, err
	c.off += int64(n)
	return n, err
}

// readRuns fills p from the pieces of a file, of which it drops those that lie
// before off. Where there is none, the file has zeros.
func readRuns(d *blocks, list []run, p []byte, off int64) (int, []run, error) {
	for len(list) > 0 && list[0].at+list[0].length <= off {
		list = list[1:]
	}
	if len(list) == 0 || list[0].at > off {
		if len(list) > 0 {
			p = p[:min(int64(len(p)), list[0].at-off)]
		}
		clear(p)
		return len(p), list, nil
	}
	r := list[0]
	p = p[:min(int64(len(p)), r.at+r.length-off)]
	if r.where < 0 {
		clear(p)
		return len(p), list, nil
	}
	if err := d.read(p, r.where+off-r.at); err != nil {
		return 0, list, err
	}
	return len(p), list, nil
}

// whole reads a small file: a directory or a link.
func whole(f fileSystem, n *inode, most int64) ([]byte, error) {
	if n.size < 0 || n.size > most {
		return nil, fmt.Errorf("%d bytes, at most %d are read: %w", n.size, most, limit.ErrExceeded)
	}
	list, err := f.runs(n)
	if err != nil {
		return nil, err
	}
	// A size that nothing stands behind takes no memory.
	held := int64(0)
	for _, r := range list {
		held = max(held, r.at+r.length)
	}
	b := make([]byte, min(n.size, held))
	for off := 0; off < len(b); {
		var m int
		m, list, err = readRuns(f.device(), list, b[off:], int64(off))
		if err != nil {
			return nil, err
		}
		off += m
	}
	return b, nil
}

// blocks reads a partition, and keeps the blocks that were read last: inodes of
// one directory share them.
type blocks struct {
	ra   io.ReaderAt
	base int64 // of the partition
	size int64
	kept map[int64][]byte
}

func newBlocks(ra io.ReaderAt, base, size int64) *blocks {
	return &blocks{ra: ra, base: base, size: size, kept: map[int64][]byte{}}
}

// read fills p; less than that is an error.
func (b *blocks) read(p []byte, off int64) error {
	if off < 0 || off > b.size-int64(len(p)) {
		return malformed("a block outside of the file system")
	}
	if n, err := b.ra.ReadAt(p, b.base+off); n < len(p) {
		return fmt.Errorf("read disk: %w", err)
	}
	return nil
}

// keepSize is the size of what is kept at once, bytes.
const keepSize = 4096

// small gives n bytes that lie within one kept block or two.
func (b *blocks) small(n int, off int64) ([]byte, error) {
	if off < 0 || off > b.size-int64(n) {
		return nil, malformed("a block outside of the file system")
	}
	at := off / keepSize * keepSize
	if off+int64(n) > at+keepSize || at+keepSize > b.size {
		p := make([]byte, n)
		return p, b.read(p, off)
	}
	p, ok := b.kept[at]
	if !ok {
		p = make([]byte, keepSize)
		if err := b.read(p, at); err != nil {
			return nil, err
		}
		if len(b.kept) >= blockKeep {
			clear(b.kept)
		}
		b.kept[at] = p
	}
	return bytes.Clone(p[off-at : off-at+int64(n)]), nil
}

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)
