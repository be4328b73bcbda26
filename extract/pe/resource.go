// SPDX-License-Identifier: Apache-2.0

package pe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxSections is above what Windows loads, which is 96.
	maxSections = 256
	// maxEntries bounds one directory of resources. Programs with many icons
	// have some hundred.
	maxEntries = 4096
	// maxVersion bounds the version resource, bytes: its own lengths have 16 bits.
	maxVersion = 1<<16 - 1
	// maxTexts bounds the texts in it.
	maxTexts = 1024
	// versionType is RT_VERSION.
	versionType = 16
	// signature begins the numbers, VS_FIXEDFILEINFO.
	signature = 0xfeef04bd
)

// errOutside is met where headers point outside the file. Such a file is cut or
// made up and cannot run.
var errOutside = errors.New("headers point outside the file")

// A section is a part of the file and the address that it is loaded at.
type section struct{ addr, size, off uint64 }

// An image is a PE file (https://learn.microsoft.com/windows/win32/debug/pe-format).
type image struct {
	r        io.ReaderAt
	size     uint64
	sections []section
}

// bytes reads n bytes at off. It allocates nothing for what is not in the file.
func (m *image) bytes(off, n uint64) ([]byte, error) {
	if off > m.size || n > m.size-off {
		return nil, errOutside
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

// at reads n bytes at an address.
func (m *image) at(addr, n uint64) ([]byte, error) {
	for _, s := range m.sections {
		if addr >= s.addr && addr-s.addr < s.size && n <= s.size-(addr-s.addr) {
			return m.bytes(s.off+(addr-s.addr), n)
		}
	}
	return nil, errOutside
}

// read gives what the version resource of a file says; nothing when there is
// none, or when the file is no PE file that could run.
func read(ctx context.Context, r io.ReaderAt, size int64) (*resource, error) {
	m := &image{r: r, size: uint64(max(0, size))}
	v := &resource{text: map[string]string{}}
	err := m.version(ctx, v)
	if errors.Is(err, errOutside) {
		err = nil
	}
	return v, err
}

// version finds the version resource and reads it.
func (m *image) version(ctx context.Context, v *resource) error {
	o := binary.LittleEndian
	h, err := m.bytes(0, 64)
	if err != nil {
		return err
	}
	at := uint64(o.Uint32(h[0x3c:]))
	coff, err := m.bytes(at, 24)
	if err != nil {
		return err
	}
	count, n := uint64(o.Uint16(coff[6:])), uint64(o.Uint16(coff[20:]))
	if string(h[:2]) != "MZ" || string(coff[:4]) != "PE\x00\x00" || count > maxSections {
		return nil
	}
	optional, err := m.bytes(at+24, n)
	if err != nil {
		return err
	}
	directories := 96 // where the list of directories begins
	if n >= 2 && o.Uint16(optional) == 0x20b {
		directories = 112 // PE32+
	}
	if len(optional) < directories {
		return nil
	}
	listed := int(min(o.Uint32(optional[directories-4:]), 16))
	directory := func(i int) (addr, size uint64) {
		if d := directories + 8*i; i < listed && d+8 <= len(optional) {
			return uint64(o.Uint32(optional[d:])), uint64(o.Uint32(optional[d+4:]))
		}
		return 0, 0
	}
	table, err := m.bytes(at+24+n, count*40)
	if err != nil {
		return err
	}
	for ; len(table) >= 40; table = table[40:] {
		m.sections = append(m.sections, section{
			addr: uint64(o.Uint32(table[12:])), size: uint64(o.Uint32(table[16:])), off: uint64(o.Uint32(table[20:])),
		})
	}
	const resources, runtime = 2, 14
	_, size := directory(runtime)
	v.managed = size > 0
	root, size := directory(resources)
	if root == 0 || size == 0 {
		return nil
	}
	data, err := m.find(ctx, root)
	if err != nil || data == nil {
		return err
	}
	parse(data, v)
	return nil
}

// find gives the first version resource. Resources lie in three levels of
// directories: by type, by name and by language.
func (m *image) find(ctx context.Context, root uint64) ([]byte, error) {
	o := binary.LittleEndian
	const sub = 1 << 31
	at := root
	for level := range 3 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := m.at(at, 16)
		if err != nil {
			return nil, err
		}
		count := uint64(o.Uint16(h[12:])) + uint64(o.Uint16(h[14:]))
		if count > maxEntries {
			return nil, fmt.Errorf("%d resources in one directory, limit %d: %w", count, maxEntries, bulwark.ErrTooLarge)
		}
		rows, err := m.at(at+16, count*8)
		if err != nil {
			return nil, err
		}
		found := false
		for ; len(rows) >= 8 && !found; rows = rows[8:] {
			id, to := o.Uint32(rows), o.Uint32(rows[4:])
			if level == 0 && id != versionType {
				continue
			}
			if last := level == 2; to&sub == 0 != last {
				continue
			}
			at, found = root+uint64(to&^sub), true
		}
		if !found {
			return nil, nil
		}
	}
	entry, err := m.at(at, 16)
	if err != nil {
		return nil, err
	}
	n := uint64(o.Uint32(entry[4:]))
	if n > maxVersion {
		return nil, fmt.Errorf("%d bytes, limit %d: %w", n, maxVersion, bulwark.ErrTooLarge)
	}
	return m.at(uint64(o.Uint32(entry)), n)
}

// A node is an element of a version resource: a key, a value, and more nodes
// (https://learn.microsoft.com/windows/win32/menurc/vs-versioninfo).
type node struct {
	key      string
	value    []byte
	children []byte
}

// take reads the node that b begins with, and what follows it. It is false when
// there is none.
func take(b []byte) (n node, rest []byte, ok bool) {
	o := binary.LittleEndian
	if len(b) < 6 {
		return node{}, nil, false
	}
	size, value, text := int(o.Uint16(b)), int(o.Uint16(b[2:])), o.Uint16(b[4:]) == 1
	if size < 6 || size > len(b) {
		return node{}, nil, false
	}
	rest = b[min(len(b), align(size)):]
	b = b[:size]
	end := 6
	for ; ; end += 2 {
		if end+2 > len(b) {
			return node{}, nil, false
		}
		if o.Uint16(b[end:]) == 0 {
			break
		}
	}
	n.key = decode(b[6:end])
	at := min(len(b), align(end+2))
	if text {
		value *= 2 // counted in characters
	}
	stop := min(len(b), at+value)
	n.value = b[at:stop]
	n.children = b[min(len(b), align(stop)):]
	return n, rest, true
}

// align gives the next multiple of 4.
func align(n int) int { return (n + 3) &^ 3 }

// decode reads UTF-16 up to its first zero.
func decode(b []byte) string {
	var u []uint16
	for ; len(b) >= 2; b = b[2:] {
		c := binary.LittleEndian.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

// parse reads a version resource. The first language wins: they differ in words,
// not in versions.
func parse(b []byte, v *resource) {
	o := binary.LittleEndian
	root, _, ok := take(b)
	if !ok || root.key != "VS_VERSION_INFO" {
		return
	}
	if f := root.value; len(f) >= 24 && o.Uint32(f) == signature {
		v.file = [4]uint16{o.Uint16(f[10:]), o.Uint16(f[8:]), o.Uint16(f[14:]), o.Uint16(f[12:])}
		v.product = [4]uint16{o.Uint16(f[18:]), o.Uint16(f[16:]), o.Uint16(f[22:]), o.Uint16(f[20:])}
	}
	left := maxTexts
	for info := range nodes(root.children, &left) {
		if info.key != "StringFileInfo" {
			continue
		}
		for table := range nodes(info.children, &left) {
			for s := range nodes(table.children, &left) {
				if _, ok := v.text[s.key]; !ok {
					// Some makers count the value in bytes: it ends at its zero.
					v.text[s.key] = decode(s.value)
				}
			}
		}
	}
}

// nodes gives the nodes in b, as long as there are some left.
func nodes(b []byte, left *int) func(func(node) bool) {
	return func(yield func(node) bool) {
		for *left > 0 {
			*left--
			n, rest, ok := take(b)
			if !ok || !yield(n) {
				return
			}
			b = rest
		}
	}
}
