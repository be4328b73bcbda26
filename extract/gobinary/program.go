// SPDX-License-Identifier: Apache-2.0

package gobinary

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/bulwark-sec/bulwark"
)

// A format is a format of executable files.
type format int

const (
	formatNone format = iota
	formatELF
	formatPE
	formatMachO
	formatFat
)

const (
	elfExec = 2 // ET_EXEC
	elfDyn  = 3 // ET_DYN

	// A Go program has about 30 sections and 10 segments; with -ffunction-sections
	// some thousands are possible in C, but not in what the Go linker leaves.
	maxSections = 8192
	maxSegments = 1024
	// maxNames bounds the section name table.
	maxNames = 1 << 20
	// maxCommands bounds the load commands of a Mach-O file, bytes.
	maxCommands = 1 << 20
	// maxFat bounds the architectures of a universal file. A Java class file has
	// the same magic and its version, 45 at least, where the number stands.
	maxFat = 16
)

// formatOf tells a file's format by its first bytes.
func formatOf(head []byte) format {
	if len(head) < 4 {
		return formatNone
	}
	switch {
	case string(head[:4]) == "\x7fELF":
		return formatELF
	case string(head[:2]) == "MZ":
		return formatPE
	}
	switch binary.BigEndian.Uint32(head) {
	case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
		return formatMachO
	case 0xcafebabe, 0xcafebabf:
		if len(head) >= 8 && binary.BigEndian.Uint32(head[4:]) > maxFat {
			return formatNone
		}
		return formatFat
	}
	return formatNone
}

// A segment is a part of a file and the address that it is loaded at.
type segment struct{ addr, off, size uint64 }

// A program is what is needed of an executable file: where its data lies.
type program struct {
	r        io.ReaderAt
	size     uint64    // of the file, bytes
	segments []segment // what is loaded
	data     segment   // where build information may lie; size 0 when nowhere
	table    segment   // of functions, see functions.go; size 0 when not told
	fat      bool      // one of several architectures in the file
	constant []segment // what is loaded, and neither written to nor executed
}

// errShort is met where a file ends too early for what its headers claim.
var errShort = errors.New("headers point outside the file")

// bytes reads n bytes at off. It allocates nothing for what is not in the file.
func (p *program) bytes(off, n uint64) ([]byte, error) {
	if off > p.size || n > p.size-off {
		return nil, errShort
	}
	b := make([]byte, n)
	if m, err := p.r.ReadAt(b, int64(off)); m < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}

// open reads the headers of the executable in the size bytes of r. It gives nil
// and no error when r is no executable that is understood.
func open(r io.ReaderAt, size int64) (*program, error) {
	p := &program{r: r, size: uint64(max(0, size))}
	if p.size < 64 {
		return nil, nil
	}
	head, err := p.bytes(0, 64)
	if err != nil {
		return nil, err
	}
	kind := formatOf(head)
	if kind == formatFat {
		// All architectures are built from the same modules: one is enough.
		if p, head, err = p.thin(head); p == nil || err != nil {
			return nil, err
		}
		kind = formatOf(head)
	}
	switch kind {
	case formatELF:
		err = p.elf(head)
	case formatPE:
		err = p.pe(head)
	case formatMachO:
		err = p.macho(head)
	default:
		return nil, nil
	}
	if errors.Is(err, errShort) {
		// A cut or made-up file cannot run; it is not ours to complain about.
		return nil, nil
	}
	return p, err
}

// elf reads an ELF header (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html).
func (p *program) elf(h []byte) error {
	wide := h[4] == 2
	var o binary.ByteOrder = binary.LittleEndian
	if h[5] == 2 {
		o = binary.BigEndian
	}
	word := func(b []byte, at32, at64 int) uint64 {
		if wide {
			return o.Uint64(b[at64:])
		}
		return uint64(o.Uint32(b[at32:]))
	}
	// After the entry point come the offsets of both tables; after the flags
	// and the header's size come entry sizes and counts.
	tail := h[42:]
	segSize, sectSize := uint64(32), uint64(40)
	if wide {
		tail, segSize, sectSize = h[54:], 56, 64
	}
	phoff, shoff := word(h, 28, 32), word(h, 32, 40)
	phsize, phnum := uint64(o.Uint16(tail)), uint64(o.Uint16(tail[2:]))
	shsize, shnum, names := uint64(o.Uint16(tail[4:])), uint64(o.Uint16(tail[6:])), uint64(o.Uint16(tail[8:]))
	if phnum > maxSegments || shnum > maxSections || phsize < segSize || phsize > 256 || shnum > 0 && (shsize < sectSize || shsize > 256) {
		return nil
	}

	table, err := p.bytes(phoff, phnum*phsize)
	if err != nil {
		return err
	}
	for ; uint64(len(table)) >= phsize; table = table[phsize:] {
		const load, executable, writable = 1, 1, 2
		if o.Uint32(table) != load {
			continue
		}
		s := segment{addr: word(table, 8, 16), off: word(table, 4, 8), size: word(table, 16, 32)}
		flags := o.Uint32(table[24:])
		if wide {
			flags = o.Uint32(table[4:])
		}
		p.segments = append(p.segments, s)
		if shnum == 0 && p.data.size == 0 && flags&writable != 0 {
			p.data = s // the section table was cut off
		}
		if flags&(writable|executable) == 0 {
			p.constant = append(p.constant, s)
		}
	}
	if shnum == 0 || names >= shnum {
		return nil
	}
	table, err = p.bytes(shoff, shnum*shsize)
	if err != nil {
		return err
	}
	row := table[names*shsize:]
	text, err := p.bytes(word(row, 16, 24), min(word(row, 20, 32), maxNames))
	if err != nil {
		return err
	}
	for ; uint64(len(table)) >= shsize; table = table[shsize:] {
		at := uint64(o.Uint32(table))
		if at >= uint64(len(text)) {
			continue
		}
		s := segment{addr: word(table, 12, 16), off: word(table, 16, 24), size: word(table, 20, 32)}
		switch name := text[at:]; {
		case p.data.size == 0 && bytes.HasPrefix(name, []byte(".go.buildinfo\x00")):
			p.data = s
		case p.table.size == 0 && (bytes.HasPrefix(name, []byte(".gopclntab\x00")) || bytes.HasPrefix(name, []byte(".data.rel.ro.gopclntab\x00"))):
			p.table = s
		}
	}
	return nil
}

// pe reads a PE header (https://learn.microsoft.com/windows/win32/debug/pe-format).
func (p *program) pe(h []byte) error {
	o := binary.LittleEndian
	at := uint64(o.Uint32(h[0x3c:]))
	coff, err := p.bytes(at, 24)
	if err != nil {
		return err
	}
	if string(coff[:4]) != "PE\x00\x00" {
		return nil
	}
	count, optional := uint64(o.Uint16(coff[6:])), uint64(o.Uint16(coff[20:]))
	if count > maxSections || optional < 32 {
		return nil
	}
	head, err := p.bytes(at+24, 32)
	if err != nil {
		return err
	}
	base := uint64(o.Uint32(head[28:]))
	if o.Uint16(head) == 0x20b { // PE32+
		base = o.Uint64(head[24:])
	}
	table, err := p.bytes(at+24+optional, count*40)
	if err != nil {
		return err
	}
	for ; len(table) >= 40; table = table[40:] {
		s := segment{addr: base + uint64(o.Uint32(table[12:])), off: uint64(o.Uint32(table[20:])), size: uint64(o.Uint32(table[16:]))}
		p.segments = append(p.segments, s)
		const align, initialised, readable, writable = 0xf << 20, 0x40, 0x40000000, 0x80000000
		switch o.Uint32(table[36:]) &^ align {
		case initialised | readable | writable:
			if p.data.size == 0 && s.size > 0 {
				p.data = s
			}
		case initialised | readable:
			p.constant = append(p.constant, s)
		}
	}
	return nil
}

// macho reads a Mach-O header (https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/loader.h).
func (p *program) macho(h []byte) error {
	var o binary.ByteOrder = binary.LittleEndian
	if h[0] == 0xfe {
		o = binary.BigEndian
	}
	wide := o.Uint32(h)&1 != 0
	start, segHead, sectSize, offsetAt, segKind := uint64(28), 56, 68, 40, uint32(1)
	if wide {
		start, segHead, sectSize, offsetAt, segKind = 32, 72, 80, 48, 0x19
	}
	word := func(b []byte, at32, at64 int) uint64 {
		if wide {
			return o.Uint64(b[at64:])
		}
		return uint64(o.Uint32(b[at32:]))
	}
	size := uint64(o.Uint32(h[20:]))
	if size > maxCommands {
		return nil
	}
	cmds, err := p.bytes(start, size)
	if err != nil {
		return err
	}
	var fallback segment
	for len(cmds) >= 8 {
		kind, n := o.Uint32(cmds), int64(o.Uint32(cmds[4:]))
		if n < 8 || n > int64(len(cmds)) {
			break
		}
		cmd := cmds[:n]
		cmds = cmds[n:]
		if kind != segKind || len(cmd) < segHead {
			continue
		}
		if len(p.segments) >= maxSegments {
			break
		}
		s := segment{addr: word(cmd, 24, 24), off: word(cmd, 32, 40), size: word(cmd, 36, 48)}
		p.segments = append(p.segments, s)
		if prot := o.Uint32(cmd[segHead-12:]); fallback.size == 0 && s.addr != 0 && prot == 3 {
			fallback = s
		}
		for sect := cmd[segHead:]; len(sect) >= sectSize; sect = sect[sectSize:] {
			s := segment{addr: word(sect, 32, 32), off: uint64(o.Uint32(sect[offsetAt:])), size: word(sect, 36, 40)}
			switch string(bytes.TrimRight(sect[:16], "\x00")) {
			case "__go_buildinfo":
				p.data = s
			case "__gopclntab":
				p.table = s
			}
		}
	}
	if p.data.size == 0 {
		p.data = fallback
	}
	return nil
}

// thin gives the first architecture of a universal Mach-O file.
func (p *program) thin(h []byte) (*program, []byte, error) {
	if binary.BigEndian.Uint32(h[4:]) == 0 {
		return nil, nil, nil
	}
	off, size := uint64(binary.BigEndian.Uint32(h[16:])), uint64(binary.BigEndian.Uint32(h[20:]))
	if h[3] == 0xbf { // 64-bit offsets
		off, size = binary.BigEndian.Uint64(h[16:]), binary.BigEndian.Uint64(h[24:])
	}
	if off > p.size || size > p.size-off || size < 64 {
		return nil, nil, nil
	}
	q := &program{r: io.NewSectionReader(p.r, int64(off), int64(size)), size: size, fat: true}
	head, err := q.bytes(0, 64)
	return q, head, err
}

// at gives the part of the file that is loaded at an address.
func (p *program) at(addr, n uint64) ([]byte, error) {
	for _, s := range p.segments {
		if addr >= s.addr && addr-s.addr < s.size && n <= s.size-(addr-s.addr) {
			if s.off > p.size {
				return nil, errShort
			}
			return p.bytes(s.off+(addr-s.addr), n)
		}
	}
	return nil, errShort
}

var magic = []byte("\xff Go buildinf:")

const (
	alignment  = 16
	headerSize = 32
	// searchChunk is read at once while the header is searched; a multiple of the
	// alignment.
	searchChunk = 64 << 10
	// maxSearch bounds the search, bytes. The linker puts the header near the
	// begin of the data segment.
	maxSearch = 32 << 20
	// maxVersion and maxModules bound the two strings, bytes. The largest known
	// programs name a thousand modules in 100 KiB.
	maxVersion = 4 << 10
	maxModules = 4 << 20
)

// built gives the toolchain's version and the text of the module list. The
// version is "" when the file is no Go program; the list is "" when it was
// built without modules. The format is described in the source of
// debug/buildinfo.
func (p *program) built() (version, modules string, err error) {
	off, err := p.search()
	if off == 0 || err != nil {
		return "", "", err
	}
	h, err := p.bytes(off, headerSize)
	if err != nil {
		return "", "", notGo(err)
	}
	if flags := h[15]; flags&2 != 0 { // since Go 1.18: both strings follow
		var next uint64
		if version, next, err = p.inline(off+headerSize, maxVersion); err == nil {
			modules, _, err = p.inline(next, maxModules)
		}
	} else {
		var o binary.ByteOrder = binary.LittleEndian
		if flags&1 != 0 {
			o = binary.BigEndian
		}
		word := uint64(h[14])
		if word != 4 && word != 8 {
			return "", "", nil
		}
		if version, err = p.pointed(o, word, number(o, word, h[16:]), maxVersion); err == nil {
			modules, err = p.pointed(o, word, number(o, word, h[16+word:]), maxModules)
		}
	}
	if err != nil {
		return "", "", notGo(err)
	}
	// The list stands between two markers of 16 bytes.
	if n := len(modules); n >= 33 && modules[n-17] == '\n' {
		modules = modules[16 : n-16]
	} else {
		modules = ""
	}
	return version, modules, nil
}

// notGo drops the error that only says that the bytes found by the search were
// no build information after all.
func notGo(err error) error {
	if errors.Is(err, errShort) {
		return nil
	}
	return err
}

// search gives the offset of the header in the file, 0 if there is none.
func (p *program) search() (uint64, error) {
	d := p.data
	if d.off >= p.size {
		return 0, nil
	}
	d.size = min(d.size, p.size-d.off, maxSearch)
	// The header is aligned in memory.
	if skip := -d.addr % alignment; skip < d.size {
		d.off, d.size = d.off+skip, d.size-skip
	}
	buf := make([]byte, min(searchChunk, d.size))
	for ; d.size >= headerSize; d.off, d.size = d.off+uint64(len(buf)), d.size-uint64(len(buf)) {
		buf = buf[:min(uint64(len(buf)), d.size)]
		n, err := p.r.ReadAt(buf, int64(d.off))
		if n < len(buf) && err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := 0; i < n; {
			j := bytes.Index(buf[i:n], magic)
			if j < 0 {
				break
			}
			if i += j; i%alignment == 0 {
				return d.off + uint64(i), nil
			}
			i++
		}
		if n < len(buf) {
			return 0, nil
		}
	}
	return 0, nil
}

// inline reads a string that follows its length, and where the next one is.
func (p *program) inline(off, limit uint64) (s string, next uint64, err error) {
	if off >= p.size {
		return "", 0, errShort
	}
	b, err := p.bytes(off, min(binary.MaxVarintLen64, p.size-off))
	if err != nil {
		return "", 0, err
	}
	size, n := binary.Uvarint(b)
	if n <= 0 {
		return "", 0, errShort
	}
	return p.text(off+uint64(n), size, limit)
}

func (p *program) text(off, size, limit uint64) (s string, next uint64, err error) {
	if off > p.size || size > p.size-off {
		return "", 0, errShort
	}
	if size > limit {
		return "", 0, fmt.Errorf("string of %d bytes, limit %d: %w", size, limit, bulwark.ErrTooLarge)
	}
	b, err := p.bytes(off, size)
	return string(b), off + size, err
}

// pointed reads the Go string whose header lies at addr.
func (p *program) pointed(o binary.ByteOrder, word, addr, limit uint64) (string, error) {
	h, err := p.at(addr, 2*word)
	if err != nil {
		return "", err
	}
	data, size := number(o, word, h), number(o, word, h[word:])
	if size > limit {
		return "", fmt.Errorf("string of %d bytes, limit %d: %w", size, limit, bulwark.ErrTooLarge)
	}
	b, err := p.at(data, size)
	return string(b), err
}

// number reads a word of 4 or 8 bytes.
func number(o binary.ByteOrder, word uint64, b []byte) uint64 {
	if word == 4 {
		return uint64(o.Uint32(b))
	}
	return o.Uint64(b)
}
