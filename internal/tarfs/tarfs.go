// SPDX-License-Identifier: Apache-2.0

// Package tarfs reads the tar streams that image layers are made of: it finds
// out their compression, hashes them as they pass, cleans paths, recognises
// whiteouts, and bounds what a hostile stream can cost. It does not know what
// the files mean and never writes one.
package tarfs

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark/internal/limit"
)

// A Type is what an entry is.
type Type byte

// The types of entry. The zero Type is none of them.
const (
	Regular Type = iota + 1
	Dir
	Symlink
	Hardlink
	Whiteout // Path is the path that is removed
	Opaque   // Path is the directory whose lower content is hidden
	Special  // device, pipe, socket
)

// An Entry is one cleaned entry of a tar stream. It is valid during one call.
type Entry struct {
	Path string // relative, clean, slash-separated, valid UTF-8; "." is the root
	Type Type
	Mode fs.FileMode
	Size int64  // bytes of content; 0 for all but Regular
	Link string // target of a Symlink as written, of a Hardlink cleaned
	Rest int64  // bytes that the stream claims to have left out of the file's end; Size does not count them
}

// RestRecord is the PAX record by which a walk of a directory says how many bytes
// of a file's end are not in the stream. Anybody can write it.
const RestRecord = "BULWARK.rest"

// A Fault is something in a stream that could not be read as meant.
type Fault struct {
	Path   string // "" when the whole stream is meant
	Err    error  // wraps limit.ErrExceeded where a limit was met
	Detail string // one sentence
	Ends   bool   // nothing after it was read
}

// Stats say what passed by.
type Stats struct {
	Entries int
	Size    int64  // bytes of the uncompressed stream
	Blob    int64  // bytes as stored
	DiffID  string // "sha256:…" of the uncompressed stream; "" for format "tar", where it is that of the bytes read, and for a stream that was not read to its end
	Whole   bool   // it was read to its end
	Format  string // "tar", "gzip", "zstd", "bzip2"
}

// Opaque and plain whiteouts, as the OCI image layer specification has them:
// https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
	aufsPrefix     = ".wh..wh." // metadata of aufs, not content
)

// Walk reads one layer from r, which may be compressed, and shows visit every
// entry in order; content is nil for all but regular files and is skipped if it
// is not read. What cannot be read as meant goes to fault and does not end the
// walk where the stream can go on. After the last entry, the rest of the stream
// is read for its hash. The error is that of ctx, of r, or of visit.
func Walk(ctx context.Context, r io.Reader, lim limit.Limits, visit func(e *Entry, content io.Reader) error, fault func(Fault)) (Stats, error) {
	w := &walker{ctx: ctx, lim: lim.Or(limit.Default()), visit: visit, fault: fault}
	return w.run(r)
}

type walker struct {
	ctx   context.Context
	lim   limit.Limits
	visit func(*Entry, io.Reader) error
	fault func(Fault)

	in, out counter
	entry   Entry
	sparse  int64 // bytes that sparse files pretend to have so far
}

// maxSparse bounds what the sparse files of one stream may claim to hold, bytes:
// their holes cost nothing to write and as much as any content to read.
const maxSparse = 256 << 20

// counter counts and hashes what is read through it.
type counter struct {
	r   io.Reader
	n   int64
	sum hash.Hash
	err error
	at  func(*counter) error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		c.n += int64(n)
		if c.sum != nil {
			c.sum.Write(p[:n])
		}
		if c.at != nil {
			if e := c.at(c); e != nil {
				c.err = e
				return n, e
			}
		}
	}
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

func (w *walker) run(r io.Reader) (s Stats, err error) {
	w.in = counter{r: r, at: func(*counter) error { return w.ctx.Err() }}
	plain, format, err := decompress(&w.in)
	s.Format = format
	if err != nil {
		if w.in.err != nil {
			return s, w.in.err
		}
		w.fault(Fault{Err: err, Detail: "the layer cannot be decompressed: " + err.Error(), Ends: true})
		_, cerr := io.Copy(io.Discard, &w.in)
		s.Blob = w.in.n
		return s, cerr
	}
	defer plain.Close()
	w.out = counter{r: plain, at: w.bounds}
	if format != "tar" { // whoever reads a plain blob hashes it already
		w.out.sum = sha256.New()
	}

	// Reads of this size keep hashing and copying in the second-level cache.
	buffered := &skipper{Reader: bufio.NewReaderSize(&w.out, 128<<10)}
	err = w.entries(buffered, &s)
	if err == nil {
		_, err = io.Copy(io.Discard, buffered)
	}
	s.Size, s.Blob = w.out.n, w.in.n
	switch {
	case w.ctx.Err() != nil:
		return s, w.ctx.Err()
	case w.in.err != nil && !errors.Is(w.in.err, limit.ErrExceeded):
		return s, w.in.err
	case w.out.err != nil: // a limit, or compressed data that does not hold together
		w.fault(Fault{Err: w.out.err, Detail: "reading stopped after " + count(s.Entries, "entry", "entries") + ": " + w.out.err.Error(), Ends: true})
		_, err = io.Copy(io.Discard, &w.in)
		s.Blob = w.in.n
		return s, err
	case err != nil:
		return s, err
	}
	// What follows the compressed stream belongs to the blob, not to the layer.
	if _, err = io.Copy(io.Discard, &w.in); err != nil {
		return s, err
	}
	s.Blob = w.in.n
	s.Whole = true
	if w.out.sum != nil {
		s.DiffID = "sha256:" + hex.EncodeToString(w.out.sum.Sum(nil))
	}
	return s, nil
}

// A skipper lets the tar reader step over content that nobody wants without
// copying it: what it takes for seeking is discarding.
type skipper struct {
	*bufio.Reader
	pos int64
}

func (s *skipper) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.pos += int64(n)
	return n, err
}

// Seek steps forward from where the reader stands; nothing else is possible.
func (s *skipper) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 {
		return 0, errors.ErrUnsupported
	}
	for offset > 0 {
		n, err := s.Discard(int(min(offset, 1<<30)))
		s.pos += int64(n)
		offset -= int64(n)
		if errors.Is(err, io.EOF) {
			return s.pos, io.ErrUnexpectedEOF
		}
		if err != nil {
			return s.pos, err
		}
	}
	return s.pos, nil
}

// bounds errs when the uncompressed stream outgrows its limits.
func (w *walker) bounds(c *counter) error {
	if c.n > w.lim.Bytes {
		return fmt.Errorf("more than %d bytes in one layer: %w", w.lim.Bytes, limit.ErrExceeded)
	}
	if c.n > limit.RatioFrom && c.n/w.lim.Ratio > w.in.n {
		return fmt.Errorf("compression ratio above %d to 1: %w", w.lim.Ratio, limit.ErrExceeded)
	}
	return nil
}

// entries shows all entries. It returns nil when the archive has ended or cannot
// go on; the rest of the stream is then still to be hashed.
func (w *walker) entries(r io.Reader, s *Stats) error {
	tr := tar.NewReader(r)
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			if w.in.err == nil && w.out.err == nil {
				w.fault(Fault{Err: err, Detail: "the archive cannot be read on after " + count(s.Entries, "entry", "entries") + ": " + err.Error(), Ends: true})
			}
			return nil
		}
		if s.Entries++; s.Entries > w.lim.Entries {
			w.fault(Fault{Err: limit.ErrExceeded, Detail: fmt.Sprintf("more than %d entries in one layer", w.lim.Entries), Ends: true})
			return nil
		}
		if err := w.one(h, tr); err != nil {
			return err
		}
		if w.in.err != nil || w.out.err != nil {
			return nil
		}
	}
}

func (w *walker) one(h *tar.Header, content io.Reader) error {
	e := &w.entry
	p, err := Clean(h.Name, w.lim.Name)
	if err != nil {
		w.fault(Fault{Path: show(h.Name), Err: err, Detail: "the entry was left out: " + err.Error()})
		return nil
	}
	*e = Entry{Path: p, Mode: h.FileInfo().Mode(), Link: h.Linkname}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse: //nolint:staticcheck // old archives still say TypeRegA
		e.Type, e.Size = Regular, h.Size
		if text, ok := h.PAXRecords[RestRecord]; ok {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && h.Size <= math.MaxInt64-n {
				e.Rest = n
			}
		}
	case tar.TypeDir:
		e.Type = Dir
	case tar.TypeSymlink:
		e.Type = Symlink
	case tar.TypeLink:
		e.Type = Hardlink
		if e.Link, err = Clean(h.Linkname, w.lim.Name); err != nil {
			w.fault(Fault{Path: p, Err: err, Detail: "the hard link was left out: its target " + err.Error()})
			return nil
		}
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		e.Type = Special
	case tar.TypeXGlobalHeader:
		return nil
	default:
		w.fault(Fault{Path: p, Err: errors.ErrUnsupported, Detail: fmt.Sprintf("the entry was left out: unknown type %q", h.Typeflag)})
		return nil
	}
	if e.Size < 0 {
		w.fault(Fault{Path: p, Err: tar.ErrHeader, Detail: "the entry was left out: its size is negative"})
		return nil
	}
	if h.Typeflag == tar.TypeGNUSparse || sparse(h.PAXRecords) {
		if w.sparse += e.Size; w.sparse > maxSparse {
			w.fault(Fault{Path: p, Err: limit.ErrExceeded, Detail: fmt.Sprintf("the entry was left out: the layer's sparse files claim more than %d bytes", maxSparse)})
			return nil
		}
	}
	if base := path.Base(p); strings.HasPrefix(base, whiteoutPrefix) {
		switch {
		case base == opaqueMarker:
			e.Type, e.Path = Opaque, path.Dir(p)
		case strings.HasPrefix(base, aufsPrefix):
			return nil
		case base == whiteoutPrefix, base == whiteoutPrefix+".", base == whiteoutPrefix+"..":
			w.fault(Fault{Path: p, Err: tar.ErrHeader, Detail: "the whiteout was left out: it names no file"})
			return nil
		default:
			e.Type, e.Path = Whiteout, path.Join(path.Dir(p), base[len(whiteoutPrefix):])
		}
		e.Size = 0
		return w.visit(e, nil)
	}
	if e.Type != Regular {
		return w.visit(e, nil)
	}
	return w.visit(e, content)
}

func sparse(pax map[string]string) bool {
	for k := range pax {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// Clean gives the relative, clean, valid form of a path from an archive. A path
// that leaves the root, holds NUL, or has more than max bytes is an error: such
// an entry is left out and told, never guessed at.
func Clean(name string, max int) (string, error) {
	switch {
	case len(name) > max:
		return "", fmt.Errorf("path of %d bytes: %w", len(name), limit.ErrExceeded)
	case strings.IndexByte(name, 0) >= 0:
		return "", errors.New("path holds NUL")
	}
	if clean(name) {
		return name, nil
	}
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return "", errors.New("path leaves the root")
			}
		default:
			depth++
		}
	}
	p := path.Clean(strings.TrimLeft(name, "/"))
	if !utf8.ValidString(p) {
		p = escaped(p)
	}
	return p, nil
}

// escaped writes bytes that are no UTF-8 as \xNN, so that two names stay two.
func escaped(p string) string {
	var b strings.Builder
	for len(p) > 0 {
		r, n := utf8.DecodeRuneInString(p)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, p[0])
		} else {
			b.WriteString(p[:n])
		}
		p = p[n:]
	}
	return b.String()
}

// clean tells whether a path needs no work: the common case, without allocation.
func clean(p string) bool {
	if p == "" || p[0] == '/' || p[len(p)-1] == '/' {
		return false
	}
	start := 0
	for i := 0; i <= len(p); i++ {
		if i == len(p) || p[i] == '/' {
			if part := p[start:i]; part == "" || part == "." || part == ".." {
				return false
			}
			start = i + 1
		} else if p[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func show(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	if len(name) > 200 {
		name = strings.ToValidUTF8(name[:200], "") + "…"
	}
	return strings.ReplaceAll(name, "\x00", "\\0")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// decompress finds the compression by its first bytes. An unknown start is
// taken for a plain tar stream, whose reader will judge it.
func decompress(r io.Reader) (io.ReadCloser, string, error) {
	br := bufio.NewReaderSize(r, 256<<10)
	head, err := br.Peek(6)
	if err != nil && err != io.EOF {
		return nil, "", err
	}
	switch {
	case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		z, err := gzip.NewReader(br)
		return z, "gzip", err
	case len(head) >= 4 && string(head[:4]) == "\x28\xb5\x2f\xfd", len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18":
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, "zstd", err
		}
		return z.IOReadCloser(), "zstd", nil
	case len(head) >= 3 && string(head[:3]) == "BZh":
		return io.NopCloser(bzip2.NewReader(br)), "bzip2", nil
	case len(head) >= 6 && string(head) == "\xfd7zXZ\x00":
		return nil, "xz", fmt.Errorf("xz compression: %w", errors.ErrUnsupported)
	}
	return io.NopCloser(br), "tar", nil
}
