// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate" // the standard library's takes a fifth more time

	"github.com/bulwark-sec/bulwark"
)

// The ZIP format is read here and not by archive/zip, because that makes an
// object of every entry, of which an archive has thousands and three are wanted,
// and because the number of entries is not known to it before it has made them.
// The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.

const (
	endSize     = 22
	maxComment  = 1<<16 - 1
	maxCentral  = 128 << 20 // bytes of one central directory; 500,000 entries have about 50 MiB
	maxEntries  = 500_000   // entries in one file, nested ones included
	maxWanted   = 50_000    // of these, such as are looked into
	maxInflated = 2 << 30   // bytes inflated for one file, in sum
	maxNested   = 64 << 20  // bytes of one nested archive that is compressed, and so held in memory
	maxHeld     = 96 << 20  // bytes of nested archives held at one time
	maxRatio    = 60        // of a nested archive beyond ratioFrom; archives in archives hardly shrink
	ratioFrom   = 1 << 20   // bytes
	maxText     = 1 << 20   // bytes of a properties file, a POM or the head of a manifest
)

var (
	errZip = errors.New("malformed ZIP")
	// errCrypt is met at entries that need a password.
	errCrypt = fmt.Errorf("encrypted entry: %w", bulwark.ErrUnsupported)
)

// A budget is what one file may cost, with all that is nested in it. One call
// of Extract owns it.
type budget struct {
	entries, wanted int
	inflated, held  int64
	inflater        io.ReadCloser // used again for each entry
}

// An entry is a file in an archive.
type entry struct {
	name       string
	method     uint16
	flags      uint16
	compressed int64
	size       int64 // as claimed
	header     int64 // where the local header is
}

// An archive is an open ZIP file.
type archive struct {
	r    io.ReaderAt
	size int64
	b    *budget
}

// central finds the central directory: where it begins and ends, and what is to
// be added to the offsets in it, because programs may stand before the archive.
func (a *archive) central() (start, end, shift int64, err error) {
	tail := make([]byte, min(a.size, 1024))
	at := int64(-1)
	for {
		if n, err := a.r.ReadAt(tail, a.size-int64(len(tail))); n < len(tail) {
			return 0, 0, 0, short(err)
		}
		for i := len(tail) - endSize; i >= 0; i-- {
			if tail[i] == 'P' && string(tail[i:i+4]) == "PK\x05\x06" && int(binary.LittleEndian.Uint16(tail[i+20:])) <= len(tail)-i-endSize {
				at = a.size - int64(len(tail)-i)
				tail = tail[i:]
				break
			}
		}
		if at >= 0 {
			break
		}
		if most := min(a.size, endSize+maxComment); int64(len(tail)) < most {
			tail = make([]byte, most)
			continue
		}
		return 0, 0, 0, fmt.Errorf("no end of central directory: %w", errZip)
	}
	size, off := int64(binary.LittleEndian.Uint32(tail[12:])), int64(binary.LittleEndian.Uint32(tail[16:]))
	if size == 1<<32-1 || off == 1<<32-1 || binary.LittleEndian.Uint16(tail[10:]) == 1<<16-1 {
		if at, size, off, err = a.wide(at, size, off); err != nil {
			return 0, 0, 0, err
		}
	}
	if size < 0 || off < 0 || size > at || off > at {
		return 0, 0, 0, fmt.Errorf("central directory outside the file: %w", errZip)
	}
	if size > maxCentral {
		return 0, 0, 0, fmt.Errorf("central directory of %d bytes, limit %d: %w", size, int64(maxCentral), bulwark.ErrTooLarge)
	}
	shift = at - size - off
	if shift < 0 {
		return 0, 0, 0, fmt.Errorf("central directory overlaps its end: %w", errZip)
	}
	if shift > 0 && !a.signature(off+shift, "PK\x01\x02") && a.signature(off, "PK\x01\x02") {
		shift = 0 // something stands between the directory and its end
	}
	return off + shift, off + shift + size, shift, nil
}

// wide reads the ZIP64 form of the end of the central directory, if it is there.
func (a *archive) wide(at, size, off int64) (int64, int64, int64, error) {
	if at < 20 || !a.signature(at-20, "PK\x06\x07") {
		return at, size, off, nil
	}
	var b [56]byte
	if n, err := a.r.ReadAt(b[:20], at-20); n < 20 {
		return 0, 0, 0, short(err)
	}
	pos := int64(binary.LittleEndian.Uint64(b[8:]))
	if pos < 0 || pos > at-20-56 || !a.signature(pos, "PK\x06\x06") {
		// Offsets are wrong when a program stands before the archive.
		if pos = at - 20 - 56; pos < 0 || !a.signature(pos, "PK\x06\x06") {
			return 0, 0, 0, fmt.Errorf("no ZIP64 end of central directory: %w", errZip)
		}
	}
	if n, err := a.r.ReadAt(b[:], pos); n < len(b) {
		return 0, 0, 0, short(err)
	}
	return pos, int64(binary.LittleEndian.Uint64(b[40:])), int64(binary.LittleEndian.Uint64(b[48:])), nil
}

func (a *archive) signature(at int64, want string) bool {
	var b [4]byte
	n, _ := a.r.ReadAt(b[:], at)
	return n == 4 && string(b[:]) == want
}

func short(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("file ends too early: %w", errZip)
	}
	return err
}

// entries calls yield with each entry whose name is wanted.
func (a *archive) entries(ctx context.Context, wants func(name []byte) bool, yield func(entry)) error {
	start, end, shift, err := a.central()
	if err != nil {
		return err
	}
	var (
		head [46]byte
		text = make([]byte, 0, 512)
		r    = bufio.NewReaderSize(io.NewSectionReader(a.r, start, end-start), int(min(32<<10, end-start)))
	)
	for left := end - start; left >= int64(len(head)); {
		if a.b.entries++; a.b.entries > maxEntries {
			return fmt.Errorf("more than %d entries: %w", maxEntries, bulwark.ErrTooLarge)
		}
		if a.b.entries%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return short(err)
		}
		if string(head[:4]) != "PK\x01\x02" {
			return fmt.Errorf("central directory is broken: %w", errZip)
		}
		o := binary.LittleEndian
		nameLen, extraLen, commentLen := int(o.Uint16(head[28:])), int(o.Uint16(head[30:])), int(o.Uint16(head[32:]))
		left -= int64(len(head) + nameLen + extraLen + commentLen)
		if left < 0 {
			return fmt.Errorf("central directory is cut: %w", errZip)
		}
		text = grow(text, nameLen+extraLen)
		if _, err := io.ReadFull(r, text); err != nil {
			return short(err)
		}
		if _, err := r.Discard(commentLen); err != nil {
			return short(err)
		}
		if !wants(text[:nameLen]) {
			continue
		}
		if a.b.wanted++; a.b.wanted > maxWanted {
			return fmt.Errorf("more than %d entries to look into: %w", maxWanted, bulwark.ErrTooLarge)
		}
		e := entry{
			name: string(text[:nameLen]), method: o.Uint16(head[10:]), flags: o.Uint16(head[8:]),
			compressed: int64(o.Uint32(head[20:])), size: int64(o.Uint32(head[24:])), header: int64(o.Uint32(head[42:])),
		}
		e.widen(text[nameLen:])
		e.header += shift
		yield(e)
	}
	return ctx.Err()
}

func grow(b []byte, n int) []byte {
	if n > cap(b) {
		return make([]byte, n)
	}
	return b[:n]
}

// widen takes the 64-bit numbers from an entry's extra fields.
func (e *entry) widen(extra []byte) {
	const full = 1<<32 - 1
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return
		}
		field := extra[:n]
		extra = extra[n:]
		if id != 1 {
			continue
		}
		for _, v := range []*int64{&e.size, &e.compressed, &e.header} {
			if *v == full && len(field) >= 8 {
				*v, field = int64(binary.LittleEndian.Uint64(field)), field[8:]
			}
		}
	}
}

// data gives where the bytes of an entry are, as they are stored.
func (a *archive) data(e entry) (*io.SectionReader, error) {
	var h [30]byte
	if e.header < 0 || e.header > a.size-int64(len(h)) {
		return nil, fmt.Errorf("entry %q lies outside the file: %w", e.name, errZip)
	}
	if n, err := a.r.ReadAt(h[:], e.header); n < len(h) {
		return nil, short(err)
	}
	if string(h[:4]) != "PK\x03\x04" {
		return nil, fmt.Errorf("entry %q has no header: %w", e.name, errZip)
	}
	if e.flags&1 != 0 {
		return nil, fmt.Errorf("entry %q: %w", e.name, errCrypt)
	}
	off := e.header + int64(len(h)) + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:]))
	if e.compressed < 0 || off > a.size || e.compressed > a.size-off {
		return nil, fmt.Errorf("entry %q is cut: %w", e.name, errZip)
	}
	return io.NewSectionReader(a.r, off, e.compressed), nil
}

// The compression methods that Java knows.
const (
	stored   = 0
	deflated = 8
)

// read gives up to limit bytes of an entry, and whether that is all.
func (a *archive) read(ctx context.Context, e entry, limit int64) (b []byte, all bool, err error) {
	sect, err := a.data(e)
	if err != nil {
		return nil, false, err
	}
	var r io.Reader = sect
	// An honest size saves growing; a claimed one may be large only if the
	// compressed bytes are there to make it true (deflate yields 1,032 at most).
	hint := min(e.compressed, limit)
	switch e.method {
	case stored:
	case deflated:
		hint = min(max(e.size, 0), limit, e.compressed*1032)
		if r, err = a.b.inflate(sect); err != nil {
			return nil, false, err
		}
	default:
		return nil, false, fmt.Errorf("entry %q: compression method %d: %w", e.name, e.method, bulwark.ErrUnsupported)
	}
	buf := bytes.NewBuffer(make([]byte, 0, hint+bytes.MinRead))
	for buf.Len() <= int(limit) {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		n, err := io.CopyN(buf, r, min(limit+1-int64(buf.Len()), 256<<10))
		if a.b.inflated += n; a.b.inflated > maxInflated {
			return nil, false, fmt.Errorf("more than %d bytes inflated: %w", int64(maxInflated), bulwark.ErrTooLarge)
		}
		if errors.Is(err, io.EOF) {
			return buf.Bytes(), true, nil
		}
		if err != nil {
			return buf.Bytes(), false, fmt.Errorf("entry %q: %w", e.name, err)
		}
		if b := int64(buf.Len()); b > ratioFrom && b/maxRatio > e.compressed {
			return nil, false, fmt.Errorf("entry %q expands more than %d times: %w", e.name, maxRatio, bulwark.ErrTooLarge)
		}
	}
	return buf.Bytes()[:limit], false, nil
}

// inflate starts the inflater on r.
func (b *budget) inflate(r io.Reader) (io.Reader, error) {
	if b.inflater == nil {
		b.inflater = flate.NewReader(r)
		return b.inflater, nil
	}
	return b.inflater, b.inflater.(flate.Resetter).Reset(r, nil)
}
