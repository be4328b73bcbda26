// SPDX-License-Identifier: Apache-2.0

package binary

import (
	"encoding/binary"
	"errors"
	"io"
)

const (
	// maxSections is far above what linkers write of programs in C.
	maxSections = 8192
	// maxLoose bounds a section that is not loaded into memory, bytes: notes of
	// compilers are small, information for debuggers is large and not looked at.
	maxLoose = 64 << 10
	// maxFat bounds the architectures of a universal Mach-O file. A Java class
	// file has the same magic, and its version, 45 at least, in that place.
	maxFat = 16
)

// executable tells whether head begins an ELF, PE or Mach-O file that can be
// run or linked to.
func executable(head []byte) bool {
	if len(head) < 20 {
		return false
	}
	switch {
	case string(head[:4]) == "\x7fELF":
		kind := head[16+int(head[5]>>1&1)]
		return kind == 2 || kind == 3 // ET_EXEC, ET_DYN
	case string(head[:2]) == "MZ":
		return true
	}
	switch binary.BigEndian.Uint32(head) {
	case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
		return true
	case 0xcafebabe, 0xcafebabf:
		n := binary.BigEndian.Uint32(head[4:])
		return n > 0 && n <= maxFat
	}
	return false
}

// A span is a part of a file, bytes.
type span struct{ off, size int64 }

// A section is a part of an ELF file.
type section struct {
	kind            uint32
	flags           uint64
	addr, off, size uint64
}

// What is looked at of a section's kind and flags.
const (
	sectNull    = 0
	sectProgram = 1
	sectNoBits  = 8

	flagWritable = 1
	flagLoaded   = 2
	flagCode     = 4
	flagThread   = 0x400
)

// An image is an ELF file whose section table is sound
// (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.sheader.html).
type image struct {
	order    binary.ByteOrder
	wide     bool // 64 bits
	sections []section
}

// open reads the section table of an ELF file. The image has no sections when
// the file is none, or when its table is missing or lies about the file.
func open(r io.ReaderAt, size int64) (image, error) {
	m := image{order: binary.LittleEndian}
	var h [64]byte
	if n, err := r.ReadAt(h[:], 0); n < len(h) {
		if err != nil && !errors.Is(err, io.EOF) {
			return m, err
		}
		return m, nil
	}
	if string(h[:4]) != "\x7fELF" {
		return m, nil
	}
	if h[5] == 2 {
		m.order = binary.BigEndian
	}
	m.wide = h[4] == 2
	tail, least := h[46:], 40 // sizes and counts of the section table
	if m.wide {
		tail, least = h[58:], 64
	}
	each, count := int(m.order.Uint16(tail)), int(m.order.Uint16(tail[2:]))
	start := m.word(h[:], 32, 40)
	if each < least || each > 256 || count == 0 || count > maxSections || start > uint64(size) || uint64(each*count) > uint64(size)-start {
		return m, nil
	}
	table := make([]byte, each*count)
	if n, err := r.ReadAt(table, int64(start)); n < len(table) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return m, err
	}
	sum := uint64(0)
	var sections []section
	for ; len(table) >= each; table = table[each:] {
		s := section{
			kind: m.order.Uint32(table[4:]), flags: m.word(table, 8, 8),
			addr: m.word(table, 12, 16), off: m.word(table, 16, 24), size: m.word(table, 20, 32),
		}
		if s.kind == sectNull || s.kind == sectNoBits {
			continue
		}
		if sum += s.size; s.off > uint64(size) || s.size > uint64(size)-s.off || sum > uint64(size) {
			return m, nil
		}
		sections = append(sections, s)
	}
	m.sections = sections
	return m, nil
}

// word reads an address, an offset or a size, which have another place in files
// of 32 bits than in those of 64.
func (m *image) word(b []byte, at32, at64 int) uint64 {
	if m.wide {
		return m.order.Uint64(b[at64:])
	}
	return uint64(m.order.Uint32(b[at32:]))
}

// constants gives the parts of a file that may hold text. Of ELF files these
// are the sections that hold no code and nothing for debuggers; of others it is
// all.
func (m *image) constants(size int64) []span {
	var spans []span
	for _, s := range m.sections {
		if s.flags&flagCode == 0 && (s.flags&flagLoaded != 0 || s.size <= maxLoose) {
			spans = append(spans, span{int64(s.off), int64(s.size)})
		}
	}
	if len(spans) == 0 {
		return []span{{0, size}}
	}
	return spans
}
