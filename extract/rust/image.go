// SPDX-License-Identifier: Apache-2.0

package rust

import (
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
)

const (
	// sectionName is where the list of crates lies. Mach-O puts it into __DATA.
	sectionName = ".dep-v0"
	// maxSections is far above what linkers write.
	maxSections = 8192
	// maxNames bounds the section name table, and maxCommands the load commands
	// of a Mach-O file, bytes.
	maxNames    = 1 << 20
	maxCommands = 1 << 20
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
	}
	return formatNone
}

// An image is an executable file.
type image struct {
	r    io.ReaderAt
	size uint64
}

// errShort is met where a file ends too early for what its headers claim.
var errShort = errors.New("headers point outside the file")

// bytes reads n bytes at off. It allocates nothing for what is not in the file.
func (m image) bytes(off, n uint64) ([]byte, error) {
	if off > m.size || n > m.size-off {
		return nil, errShort
	}
	b := make([]byte, n)
	if got, err := m.r.ReadAt(b, int64(off)); got < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}

// content reads the section with the list.
func (m image) content(off, n uint64) ([]byte, error) {
	if n > maxSection {
		return nil, fmt.Errorf("section of %d bytes, limit %d: %w", n, maxSection, bulwark.ErrTooLarge)
	}
	return m.bytes(off, n)
}

// section gives the section with the list of crates, nil when there is none or
// the file is not understood.
func section(r io.ReaderAt, size int64) (b []byte, err error) {
	m := image{r, uint64(max(0, size))}
	if m.size < 64 {
		return nil, nil
	}
	head, err := m.bytes(0, 64)
	if err != nil {
		return nil, err
	}
	switch formatOf(head) {
	case formatELF:
		b, err = m.elf(head)
	case formatPE:
		b, err = m.pe(head)
	case formatMachO:
		b, err = m.macho(head)
	}
	if errors.Is(err, errShort) {
		return nil, nil // a cut or made-up file, which cannot run
	}
	return b, err
}

// elf reads an ELF header (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html).
func (m image) elf(h []byte) ([]byte, error) {
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
	tail, least := h[46:], uint64(40) // sizes and counts of the section table
	if wide {
		tail, least = h[58:], 64
	}
	size, count, names := uint64(o.Uint16(tail)), uint64(o.Uint16(tail[2:])), uint64(o.Uint16(tail[4:]))
	if size < least || size > 256 || count > maxSections || names >= count {
		return nil, nil
	}
	table, err := m.bytes(word(h, 32, 40), count*size)
	if err != nil {
		return nil, err
	}
	row := table[names*size:]
	text, err := m.bytes(word(row, 16, 24), min(word(row, 20, 32), maxNames))
	if err != nil {
		return nil, err
	}
	for ; uint64(len(table)) >= size; table = table[size:] {
		if at := uint64(o.Uint32(table)); at < uint64(len(text)) && named(text[at:]) {
			return m.content(word(table, 16, 24), word(table, 20, 32))
		}
	}
	return nil, nil
}

// named tells whether b begins with the section's name and ends there.
func named(b []byte) bool {
	n := len(sectionName)
	return len(b) >= n && string(b[:n]) == sectionName && (len(b) == n || b[n] == 0)
}

// pe reads a PE header (https://learn.microsoft.com/windows/win32/debug/pe-format).
func (m image) pe(h []byte) ([]byte, error) {
	o := binary.LittleEndian
	at := uint64(o.Uint32(h[0x3c:]))
	coff, err := m.bytes(at, 24)
	if err != nil {
		return nil, err
	}
	count, optional := uint64(o.Uint16(coff[6:])), uint64(o.Uint16(coff[20:]))
	if string(coff[:4]) != "PE\x00\x00" || count > maxSections {
		return nil, nil
	}
	table, err := m.bytes(at+24+optional, count*40)
	if err != nil {
		return nil, err
	}
	for ; len(table) >= 40; table = table[40:] {
		if named(table[:8]) {
			// The file's size is rounded up; the one in memory is exact.
			return m.content(uint64(o.Uint32(table[20:])), uint64(min(o.Uint32(table[8:]), o.Uint32(table[16:]))))
		}
	}
	return nil, nil
}

// macho reads a Mach-O header (https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/loader.h).
func (m image) macho(h []byte) ([]byte, error) {
	var o binary.ByteOrder = binary.LittleEndian
	if h[0] == 0xfe {
		o = binary.BigEndian
	}
	start, head, size, kind := uint64(28), 56, 68, uint32(1)
	wide := o.Uint32(h)&1 != 0
	if wide {
		start, head, size, kind = 32, 72, 80, 0x19
	}
	total := uint64(o.Uint32(h[20:]))
	if total > maxCommands {
		return nil, nil
	}
	cmds, err := m.bytes(start, total)
	if err != nil {
		return nil, err
	}
	for len(cmds) >= 8 {
		k, n := o.Uint32(cmds), int64(o.Uint32(cmds[4:]))
		if n < 8 || n > int64(len(cmds)) {
			break
		}
		cmd := cmds[:n]
		if cmds = cmds[n:]; k != kind || len(cmd) < head {
			continue
		}
		for s := cmd[head:]; len(s) >= size; s = s[size:] {
			if !named(s[:16]) {
				continue
			}
			if wide {
				return m.content(uint64(o.Uint32(s[48:])), o.Uint64(s[40:]))
			}
			return m.content(uint64(o.Uint32(s[40:])), uint64(o.Uint32(s[36:])))
		}
	}
	return nil, nil
}
