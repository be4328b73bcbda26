// SPDX-License-Identifier: Apache-2.0

package gobinary

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/bulwark-sec/bulwark/internal/funcset"
)

const (
	// maxNamesTable bounds the names of a program's functions, bytes. Programs
	// with 100,000 functions have 6 MiB of them.
	maxNamesTable = 48 << 20
	// maxTableSearch bounds the search for a table that no section names, bytes.
	maxTableSearch = 32 << 20
	// tableHeader is the longest header of a table of functions, bytes.
	tableHeader = 72
)

// Why the functions of a program are not known.
const (
	unknownTable   = "it has no table of functions that is understood, as programs before Go 1.16 have not"
	unknownLarge   = "its table of functions is too large"
	unknownGarbled = "its functions bear other names than in the source"
	unknownCut     = "its table of functions is cut off"
)

// functions gives the names of all functions that were linked into a program, or
// into another function of it, as a set; or else why they are not known. b knows by
// which other names packages go.
//
// The names stand one after another in the table that traces are printed from
// (runtime.pcHeader, https://go.dev/src/runtime/symtab.go), in the same way since
// Go 1.16. They are the names that the table of functions and the trees of
// inlined calls point to, so that all of them are in it and no others.
func (p *program) functions(b funcset.Builder) (set []byte, unknown string) {
	t, err := p.names()
	switch {
	case err != nil:
		return nil, unknownCut
	case t.size == 0:
		return nil, unknownTable
	case t.size > maxNamesTable:
		return nil, unknownLarge
	}
	buf := make([]byte, min(searchChunk, t.size))
	kept := 0 // bytes of a name that began in the last chunk
	for off := uint64(0); off < t.size; {
		n := min(uint64(len(buf)-kept), t.size-off)
		if m, err := p.r.ReadAt(buf[kept:kept+int(n)], int64(t.off+off)); uint64(m) < n {
			if errors.Is(err, io.EOF) || err == nil {
				return nil, unknownCut
			}
			return nil, unknownLarge // more was read than may be, or nobody waits
		}
		off += n
		rest := buf[:kept+int(n)]
		for {
			i := bytes.IndexByte(rest, 0)
			if i < 0 {
				break
			}
			b.Add(rest[:i])
			rest = rest[i+1:]
		}
		if len(rest) == len(buf) {
			rest = rest[:0] // no name is that long
		}
		kept = copy(buf, rest)
	}
	if b.Full {
		return nil, unknownLarge
	}
	set = b.Set()
	// What every program has must be there under its own name.
	s, err := funcset.Parse(set)
	for _, name := range []string{"runtime.main", "runtime.mallocgc", "runtime.newproc"} {
		if has, _ := s.Has(name); err != nil || !has {
			return nil, unknownGarbled
		}
	}
	return set, ""
}

// names finds the names of functions; size 0 when there are none.
func (p *program) names() (segment, error) {
	if p.table.size > 0 {
		return p.header(p.table)
	}
	left := uint64(maxTableSearch)
	buf := make([]byte, searchChunk)
	for _, s := range p.constant {
		if s.off >= p.size {
			continue
		}
		s.size = min(s.size, p.size-s.off, left)
		left -= s.size
		for done := uint64(0); done < s.size; done += searchChunk {
			b := buf[:min(searchChunk, s.size-done)]
			n, err := p.r.ReadAt(b, int64(s.off+done))
			if n < len(b) && err != nil && !errors.Is(err, io.EOF) {
				return segment{}, err
			}
			for at := 0; at+8 <= n; at += 8 {
				if _, _, ok := tableMagic(b[at:]); !ok {
					continue
				}
				t, err := p.header(segment{off: s.off + done + uint64(at), size: s.size - done - uint64(at)})
				if err != nil || t.size > 0 {
					return t, err
				}
			}
		}
	}
	return segment{}, nil
}

// tableMagic tells whether b begins a table of functions, in which order its
// numbers are written, and how many words stand before the offset of the names.
func tableMagic(b []byte) (o binary.ByteOrder, words uint64, ok bool) {
	// Bytes of an instruction and of a word follow two zeros.
	if len(b) < 8 || b[4] != 0 || b[5] != 0 || b[6] != 1 && b[6] != 2 && b[6] != 4 || b[7] != 4 && b[7] != 8 {
		return nil, 0, false
	}
	o = binary.LittleEndian
	if b[0] == 0xff {
		o = binary.BigEndian
	}
	switch o.Uint32(b) {
	case 0xfffffff1, 0xfffffff0: // Go 1.20 and 1.18: functions, files, begin of the text
		return o, 3, true
	case 0xfffffffa: // Go 1.16: functions, files
		return o, 2, true
	}
	return nil, 0, false
}

// header gives where the names of a table lie.
func (p *program) header(t segment) (segment, error) {
	if t.off > p.size || t.size > p.size-t.off {
		return segment{}, errShort
	}
	b, err := p.bytes(t.off, min(tableHeader, t.size))
	if err != nil {
		return segment{}, err
	}
	o, words, ok := tableMagic(b)
	if !ok {
		return segment{}, nil
	}
	word := uint64(b[7])
	at := 8 + words*word
	if at+2*word > uint64(len(b)) {
		return segment{}, nil
	}
	// The table of compilation units follows the names.
	from, to := number(o, word, b[at:]), number(o, word, b[at+word:])
	if from < at || to < from || to > t.size {
		return segment{}, nil
	}
	return segment{off: t.off + from, size: to - from}, nil
}
