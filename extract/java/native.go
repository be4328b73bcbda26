// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/gzip"
	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// minNative is what the smallest program made by native-image takes, bytes;
	// the empty one has 5 MiB.
	minNative = 1 << 20
	// maxSections, maxSymbols and maxNames bound the section table, and the
	// table of symbols and its names in bytes. Native images show a few hundred.
	maxSections = 8192
	maxSymbols  = 32 << 20
	maxNames    = 32 << 20
	// maxPacked and maxBill bound the bill of materials, packed and unpacked,
	// bytes. One of 20,000 components has some megabytes.
	maxPacked = 16 << 20
	maxBill   = 64 << 20
	// maxWithin bounds components inside of components.
	maxWithin = 8
)

// NativeImage reads the bill of materials that GraalVM puts into the programs it
// compiles: CycloneDX as JSON, packed by gzip
// (https://www.graalvm.org/latest/security-guide/native-image/SBOM/). It knows
// the programs of Linux, which are ELF files of 64 bits. Its zero value is ready
// to use.
type NativeImage struct{}

// Name gives "native-image".
func (NativeImage) Name() string { return "native-image" }

// Wants tells whether a file may be a program made by native-image.
func (NativeImage) Wants(_ string, st bulwark.Stat) bool {
	return st.Mode&fs.ModeType == 0 && st.Mode.Perm()&0o111 != 0 && st.Size >= minNative
}

// WantsHead tells whether head begins a program of a kind that native-image
// makes.
func (NativeImage) WantsHead(_ string, head []byte) bool {
	const exec, dynamic, x86, arm, riscv = 2, 3, 62, 183, 243
	if len(head) < 20 || string(head[:4]) != "\x7fELF" || head[4] != 2 || head[5] != 1 {
		return false
	}
	kind, machine := binary.LittleEndian.Uint16(head[16:]), binary.LittleEndian.Uint16(head[18:])
	return (kind == exec || kind == dynamic) && (machine == x86 || machine == arm || machine == riscv)
}

// Extract gives the libraries that a program was made of. A file without a bill
// of materials has none and is no error.
func (e NativeImage) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	packed, err := (&native{f, uint64(max(0, f.Size))}).bill()
	if err != nil {
		return nil, malformed(f, err)
	}
	if packed == nil {
		return nil, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, malformed(f, err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxBill+1))
	if err != nil {
		return nil, malformed(f, err)
	}
	if len(text) > maxBill {
		return nil, malformed(f, fmt.Errorf("bill of materials of more than %d bytes: %w", maxBill, bulwark.ErrTooLarge))
	}
	l := newList(e.Name())
	if err := components(ctx, json.NewDecoder(bytes.NewReader(text)), l, f.Path, 0); err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// components reads an object that may have a list of components, each of which
// is such an object.
func components(ctx context.Context, d *json.Decoder, l *list, path string, depth int) error {
	if depth > maxWithin {
		return fmt.Errorf("more than %d components inside each other: %w", maxWithin, bulwark.ErrTooLarge)
	}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(errors.New("no object"), noEnd(err))
	}
	var group, name, version, purl string
	for d.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		key, err := d.Token()
		if err != nil {
			return noEnd(err)
		}
		switch key {
		case "group":
			err = d.Decode(&group)
		case "name":
			err = d.Decode(&name)
		case "version":
			if depth == 0 {
				err = d.Decode(&json.RawMessage{}) // of the document, a number
			} else {
				err = d.Decode(&version)
			}
		case "purl":
			err = d.Decode(&purl)
		case "components":
			if err = open(d); err != nil {
				return err
			}
			for d.More() {
				if err := components(ctx, d, l, path, depth+1); err != nil {
					return err
				}
			}
			_, err = d.Token()
		default:
			err = d.Decode(&json.RawMessage{})
		}
		if err != nil {
			return noEnd(err)
		}
	}
	if _, err := d.Token(); err != nil {
		return noEnd(err)
	}
	if depth == 0 {
		return nil
	}
	// The package URL is what makers of advisories would write; the names may
	// be those of a Java module.
	if u, err := packageurl.FromString(purl); err == nil && u.Type == packageurl.TypeMaven {
		group, name, version = u.Namespace, u.Name, u.Version
	}
	l.add(gav{group, name, version}, path, 0, false, nil)
	return nil
}

// open reads the begin of an array.
func open(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return noEnd(err)
	}
	if t != json.Delim('[') {
		return errors.New("no array of components")
	}
	return nil
}

// noEnd makes the end of the text an error where more must follow.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A native is an ELF file of 64 bits, least significant byte first
// (https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html).
type native struct {
	r    io.ReaderAt
	size uint64
}

// errOutside is met where headers point outside the file: it is cut or made up,
// and not ours to complain about.
var errOutside = errors.New("headers point outside the file")

// bytes reads n bytes at off. It allocates nothing for what is not in the file.
func (m *native) bytes(off, n uint64) ([]byte, error) {
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

// bill gives the packed bill of materials, nil when there is none: the symbol
// sbom says where it begins, and sbom_length where its length stands.
func (m *native) bill() ([]byte, error) {
	b, err := m.find()
	if errors.Is(err, errOutside) {
		return nil, nil
	}
	return b, err
}

func (m *native) find() ([]byte, error) {
	o := binary.LittleEndian
	h, err := m.bytes(0, 64)
	if err != nil {
		return nil, err
	}
	each, count := uint64(o.Uint16(h[58:])), uint64(o.Uint16(h[60:]))
	if string(h[:4]) != "\x7fELF" || h[4] != 2 || h[5] != 1 || each < 64 || each > 256 || count > maxSections {
		return nil, nil
	}
	table, err := m.bytes(o.Uint64(h[40:]), each*count)
	if err != nil {
		return nil, err
	}
	row := func(i uint64) []byte { return table[i*each : (i+1)*each] }
	for i := range count {
		const static, dynamic = 2, 11
		if kind := o.Uint32(row(i)[4:]); kind != static && kind != dynamic {
			continue
		}
		link := uint64(o.Uint32(row(i)[40:]))
		if link >= count {
			continue
		}
		start, length, err := m.symbols(row(i), row(link))
		if err != nil {
			return nil, err
		}
		if start == 0 || length == 0 {
			continue
		}
		// Both lie in a section that is loaded.
		for j := range count {
			const loaded, noBits = 2, 8
			s := row(j)
			addr, off, size := o.Uint64(s[16:]), o.Uint64(s[24:]), o.Uint64(s[32:])
			if o.Uint64(s[8:])&loaded == 0 || o.Uint32(s[4:]) == noBits || length < addr || length-addr >= size || size-(length-addr) < 8 ||
				start < addr || start-addr >= size || off > m.size {
				continue
			}
			b, err := m.bytes(off+(length-addr), 8)
			if err != nil {
				return nil, err
			}
			n := o.Uint64(b)
			if n > size-(start-addr) {
				return nil, errOutside
			}
			if n > maxPacked {
				return nil, fmt.Errorf("bill of materials of %d bytes, limit %d: %w", n, int64(maxPacked), bulwark.ErrTooLarge)
			}
			return m.bytes(off+(start-addr), n)
		}
	}
	return nil, nil
}

// symbols gives the addresses of sbom and sbom_length in a table of symbols, 0
// for what is not in it. The names are looked at first: nearly no program has
// these.
func (m *native) symbols(table, names []byte) (start, length uint64, err error) {
	o := binary.LittleEndian
	size := o.Uint64(names[32:])
	if size > maxNames || o.Uint64(table[32:]) > maxSymbols {
		return 0, 0, nil
	}
	text, err := m.bytes(o.Uint64(names[24:]), size)
	if err != nil || !bytes.Contains(text, []byte("sbom_length\x00")) {
		return 0, 0, err
	}
	rows, err := m.bytes(o.Uint64(table[24:]), o.Uint64(table[32:]))
	if err != nil {
		return 0, 0, err
	}
	for ; len(rows) >= 24; rows = rows[24:] {
		at := uint64(o.Uint32(rows))
		if at >= size {
			continue
		}
		switch name := text[at:]; {
		case bytes.HasPrefix(name, []byte("sbom\x00")):
			start = o.Uint64(rows[8:])
		case bytes.HasPrefix(name, []byte("sbom_length\x00")):
			length = o.Uint64(rows[8:])
		}
	}
	return start, length, nil
}
