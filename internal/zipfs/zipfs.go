// SPDX-License-Identifier: Apache-2.0

// Package zipfs reads zip archives as the tar streams of images are read: clean
// paths, one entry at a time, within limits. It does not know what the files
// mean and never writes one.
package zipfs

import (
	"archive/zip"
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

// Bounds on the directory of an archive, which is held in memory.
const (
	maxEntries   = 300_000  // some 100 MB with names of usual length
	maxDirectory = 32 << 20 // bytes
	maxLink      = 4096     // PATH_MAX
)

// Walk shows visit every entry of the zip archive of size bytes in ra, in the
// order of its directory; content is nil for all but regular files and costs
// nothing if it is not read. What cannot be read as meant goes to fault. The
// error is that of ctx or of visit, or says that there is no archive
// (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
func Walk(ctx context.Context, ra io.ReaderAt, size int64, lim limit.Limits, visit func(*tarfs.Entry, io.Reader) error, fault func(tarfs.Fault)) (tarfs.Stats, error) {
	lim = lim.Or(limit.Default())
	stats := tarfs.Stats{Blob: size, Format: "zip"}
	z, err := open(ra, size, min(maxEntries, lim.Entries))
	if err != nil {
		return stats, err
	}
	w := &walker{lim: lim, size: size, visit: visit, fault: fault}
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return stats, err
		}
		stats.Entries++
		if err := w.one(ctx, f); err != nil {
			return stats, err
		}
		if w.full {
			return stats, nil
		}
	}
	stats.Whole = true
	return stats, nil
}

// Names gives the names in the directory of an archive, at most max; nil when
// there is no archive, or one whose directory has more.
func Names(ra io.ReaderAt, size int64, max int) []string {
	z, err := open(ra, size, max)
	if err != nil {
		return nil
	}
	out := make([]string, 0, len(z.File))
	for _, f := range z.File {
		out = append(out, f.Name)
	}
	return out
}

// open reads the directory of an archive, which has at most so many entries.
func open(ra io.ReaderAt, size int64, most int) (*zip.Reader, error) {
	if err := bounded(ra, size, most); err != nil {
		return nil, err
	}
	g := &gate{ra: ra, left: maxDirectory + 1<<20}
	z, err := zip.NewReader(g, size)
	if err != nil {
		return nil, fmt.Errorf("read zip: %w", err)
	}
	if len(z.File) > most {
		return nil, fmt.Errorf("read zip: a directory of %d entries: %w", len(z.File), limit.ErrExceeded)
	}
	g.open = true
	return z, nil
}

// A gate errs when too much is read before it is opened: what a directory says of
// its own length need not be true.
type gate struct {
	ra   io.ReaderAt
	left int64
	open bool
}

// ReadAt reads as [io.ReaderAt] does.
func (g *gate) ReadAt(p []byte, off int64) (int, error) {
	if !g.open {
		if g.left -= int64(len(p)); g.left < 0 {
			return 0, fmt.Errorf("a directory of more than %d bytes: %w", maxDirectory, limit.ErrExceeded)
		}
	}
	return g.ra.ReadAt(p, off)
}

// The record that ends an archive: its size without the comment, and where the
// number of entries and the size of the directory stand in it, bytes.
const (
	endSize     = 22
	endEntries  = 10
	endLength   = 12
	maxComment  = 1<<16 - 1
	zip64Marker = 1<<16 - 1
)

// bounded reads the record that ends an archive, and errs when its directory
// would take more memory than it may. What the record says is not believed, but
// the reader believes it, too: it makes room for so many entries.
func bounded(ra io.ReaderAt, size int64, most int) error {
	tail := make([]byte, min(size, endSize+maxComment))
	if n, err := ra.ReadAt(tail, size-int64(len(tail))); n < len(tail) {
		return fmt.Errorf("read zip: %w", err)
	}
	at := strings.LastIndex(string(tail), "PK\x05\x06")
	if at < 0 || len(tail)-at < endSize {
		return fmt.Errorf("read zip: no directory: %w", zip.ErrFormat)
	}
	end := tail[at:]
	entries, length := int64(binary.LittleEndian.Uint16(end[endEntries:])), int64(binary.LittleEndian.Uint32(end[endLength:]))
	if entries == zip64Marker || length == 1<<32-1 {
		// The 64-bit record lies before its locator, which lies before this one.
		locator := make([]byte, 20)
		off := size - int64(len(end)) - int64(len(locator))
		if off < 0 {
			return fmt.Errorf("read zip: %w", zip.ErrFormat)
		}
		if _, err := ra.ReadAt(locator, off); err != nil {
			return fmt.Errorf("read zip: %w", err)
		}
		if string(locator[:4]) == "PK\x06\x07" {
			record := make([]byte, 56)
			where := binary.LittleEndian.Uint64(locator[8:])
			if where > uint64(size)-uint64(len(record)) || size < int64(len(record)) {
				return fmt.Errorf("read zip: %w", zip.ErrFormat)
			}
			if _, err := ra.ReadAt(record, int64(where)); err != nil {
				return fmt.Errorf("read zip: %w", err)
			}
			e, l := binary.LittleEndian.Uint64(record[32:]), binary.LittleEndian.Uint64(record[40:])
			if e > uint64(most) || l > maxDirectory {
				return fmt.Errorf("read zip: a directory of %d entries and %d bytes: %w", e, l, limit.ErrExceeded)
			}
			entries, length = int64(e), int64(l)
		}
	}
	if entries > int64(most) || length > maxDirectory {
		return fmt.Errorf("read zip: a directory of %d entries and %d bytes: %w", entries, length, limit.ErrExceeded)
	}
	return nil
}

type walker struct {
	lim    limit.Limits
	size   int64 // of the archive
	packed int64 // bytes that the entries so far take in it
	out    int64 // bytes that were inflated
	full   bool  // a limit ended the walk
	visit  func(*tarfs.Entry, io.Reader) error
	fault  func(tarfs.Fault)
}

func (w *walker) one(ctx context.Context, f *zip.File) error {
	name := f.Name
	// Old tools of Windows write their own separator.
	if !strings.Contains(name, "/") {
		name = strings.ReplaceAll(name, `\`, "/")
	}
	mode := f.Mode()
	p, err := tarfs.Clean(name, w.lim.Name)
	if err != nil {
		w.fault(tarfs.Fault{Path: shown(name), Err: err, Detail: "the entry was left out: " + err.Error()})
		return nil
	}
	leave := func(err error, detail string) error {
		w.fault(tarfs.Fault{Path: p, Err: err, Detail: "the entry was left out: " + detail})
		return nil
	}
	// Whiteouts belong to layers of images; here they are files, which no merge
	// may take for more.
	if strings.HasPrefix(path.Base(p), ".wh.") {
		return leave(errors.ErrUnsupported, "its name means a removed file in a layer of an image")
	}
	e := &tarfs.Entry{Path: p, Mode: mode}
	if mode.IsDir() || strings.HasSuffix(name, "/") {
		e.Type, e.Mode = tarfs.Dir, mode.Perm()|fs.ModeDir
		return w.visit(e, nil)
	}
	const encrypted = 1 | 1<<6 | 1<<13
	switch {
	case f.Flags&encrypted != 0:
		return leave(errors.ErrUnsupported, "it is encrypted")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return leave(errors.ErrUnsupported, fmt.Sprintf("compression method %d", f.Method))
	case f.UncompressedSize64 > 1<<62 || f.CompressedSize64 > uint64(w.size):
		return leave(zip.ErrFormat, "it is larger than the archive")
	}
	// Entries that lie over each other are how small archives grow without end.
	if w.packed += int64(f.CompressedSize64); w.packed > w.size {
		w.full = true
		w.fault(tarfs.Fault{Path: p, Err: limit.ErrExceeded, Detail: "reading stopped: the entries of the archive overlap", Ends: true})
		return nil
	}
	switch {
	case mode&fs.ModeSymlink != 0:
		if f.UncompressedSize64 > maxLink {
			return leave(limit.ErrExceeded, "a link with a target of more than 4,096 bytes")
		}
		r, err := f.Open()
		if err != nil {
			return leave(err, err.Error())
		}
		defer r.Close()
		b, err := io.ReadAll(io.LimitReader(r, maxLink))
		if err != nil {
			return leave(err, err.Error())
		}
		e.Type, e.Link = tarfs.Symlink, string(b)
		return w.visit(e, nil)
	case !mode.IsRegular():
		e.Type = tarfs.Special
		return w.visit(e, nil)
	}
	e.Type, e.Size = tarfs.Regular, int64(f.UncompressedSize64)
	c := &content{walker: w, ctx: ctx, f: f}
	defer c.close()
	err = w.visit(e, c)
	if c.bomb != nil {
		w.full = true
		w.fault(tarfs.Fault{Path: p, Err: c.bomb, Detail: "reading stopped: " + c.bomb.Error(), Ends: true})
	}
	return err
}

// content inflates an entry when it is first read.
type content struct {
	*walker
	ctx  context.Context
	f    *zip.File
	r    io.ReadCloser
	bomb error
}

func (c *content) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	if c.r == nil {
		r, err := c.f.Open()
		if err != nil {
			return 0, err
		}
		c.r = r
	}
	n, err := c.r.Read(p)
	switch c.out += int64(n); {
	case c.out > c.lim.Bytes:
		c.bomb = fmt.Errorf("more than %d bytes in one archive: %w", c.lim.Bytes, limit.ErrExceeded)
	case c.out > limit.RatioFrom && c.out/c.lim.Ratio > c.size:
		c.bomb = fmt.Errorf("compression ratio above %d to 1: %w", c.lim.Ratio, limit.ErrExceeded)
	}
	if c.bomb != nil {
		return 0, c.bomb
	}
	return n, err
}

func (c *content) close() {
	if c.r != nil {
		c.r.Close()
	}
}

func shown(name string) string {
	name = strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", `\0`), "\uFFFD")
	if len(name) > 200 {
		name = strings.ToValidUTF8(name[:200], "") + "…"
	}
	return name
}
