// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// broken tells that a file's content could not be read to its end. The walk will
// meet the cause itself, so it goes on.
func (p *parser) broken(e *tarfs.Entry, hides bool, err error) error {
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	if errors.Is(err, errSpill) {
		p.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: e.Path, Hides: hides, Detail: err.Error()})
	} else {
		p.gap(bulwark.Gap{Kind: bulwark.GapMalformed, Path: e.Path, Hides: hides, Detail: "its content is cut off"})
	}
	return nil
}

var errSpill = errors.New("no room to spill a large file")

// maxPrefix is the most that is read of the beginning of a file, bytes: what the
// metadata of the largest models have, several times over.
const maxPrefix = 128 << 20

// tooLarge tells that a file is larger than what is looked into.
func (p *parser) tooLarge(e *tarfs.Entry, hides bool) {
	g := bulwark.Gap{Kind: bulwark.GapLimit, Path: e.Path, Hides: hides, Detail: fmt.Sprintf("a file of %d bytes; at most %d are looked into", e.Size, p.lim.File)}
	if !hides { // no packages, but what a check would have found
		if len(p.wantC) == 0 {
			return
		}
		var names []string
		for _, c := range p.wantC {
			names = append(names, c.Name())
		}
		g.Detail += ": not by " + strings.Join(names, ", ")
	}
	p.gap(g)
}

// isPrefixed tells whether the beginning of a file is enough for x.
func isPrefixed(x extract.Extractor) bool {
	_, ok := x.(extract.Prefixed)
	return ok
}

// onlyPrefixed leaves those parsers of a file beyond the limit that need its
// beginning only, and tells what the others would have found.
func (p *parser) onlyPrefixed(e *tarfs.Entry, needed bool) {
	all := len(p.wantE)
	p.wantE = slices.DeleteFunc(p.wantE, func(x extract.Extractor) bool { return !isPrefixed(x) })
	p.tooLarge(e, needed || len(p.wantE) < all)
	p.wantC = p.wantC[:0]
}

// prefix gives how many bytes of a file its extractors need.
func (p *parser) prefix(e *tarfs.Entry, head []byte) int64 {
	n := int64(len(head))
	for _, x := range p.wantE {
		h, ok := x.(extract.Prefixed)
		if !ok {
			return e.Size
		}
		n = max(n, h.Prefix(e.Path, head))
	}
	return min(n, e.Size-e.Rest, p.lim.File, maxPrefix)
}

// A beginning is what was read of a file whose rest nobody needs.
type beginning struct {
	io.ReaderAt
	n int64 // bytes
}

func (b beginning) ReadAt(to []byte, off int64) (int, error) {
	if off >= 0 && int64(len(to)) <= b.n-off {
		return b.ReaderAt.ReadAt(to, off)
	}
	beyond := fmt.Errorf("only the first %d bytes are read: %w", b.n, bulwark.ErrTooLarge)
	if off < 0 || off >= b.n {
		return 0, beyond
	}
	n, err := b.ReaderAt.ReadAt(to[:b.n-off], off)
	if err == nil || errors.Is(err, io.EOF) {
		err = beyond
	}
	return n, err
}

// load brings the first size bytes of a file's content into memory, or into the
// spill file if they are many.
func (p *parser) load(e *tarfs.Entry, size int64, head []byte, content io.Reader) (*bulwark.File, error) {
	if size <= p.lim.Memory {
		if int64(cap(p.buf)) < size {
			// Grow in steps of powers of two, so that few sizes are ever made.
			n := int64(64 << 10)
			for n < size {
				n *= 2
			}
			p.buf = make([]byte, min(n, max(p.lim.Memory, size)))
		}
		b := p.buf[:size]
		copy(b, head)
		if _, err := io.ReadFull(content, b[len(head):]); err != nil {
			return nil, err
		}
		if size < e.Size {
			return bulwark.ReaderFile(e.Path, e.Mode, beginning{bytes.NewReader(b), size}, e.Size), nil
		}
		return bulwark.MemoryFile(e.Path, e.Mode, b), nil
	}
	if cap(p.buf) < 256<<10 {
		p.buf = make([]byte, 256<<10)
	}
	buf := p.buf[:cap(p.buf)]
	if _, err := p.spill.WriteAt(head, p.spillAt); err != nil {
		return nil, fmt.Errorf("%w: %w", errSpill, err)
	}
	for off := int64(len(head)); off < size; {
		n, err := io.ReadFull(content, buf[:min(int64(len(buf)), size-off)])
		if err != nil {
			return nil, err
		}
		if _, err := p.spill.WriteAt(buf[:n], p.spillAt+off); err != nil {
			return nil, fmt.Errorf("%w: %w", errSpill, err)
		}
		off += int64(n)
	}
	var ra io.ReaderAt = p.spill
	if p.spillAt > 0 {
		ra = io.NewSectionReader(p.spill, p.spillAt, size)
	}
	if size < e.Size {
		ra = beginning{ra, size}
	}
	return bulwark.ReaderFile(e.Path, e.Mode, ra, e.Size), nil
}
