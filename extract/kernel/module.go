// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	moduleName = "linux-module"

	maxSections = 1 << 16 // of an ELF file, by its header
	maxNames    = 4 << 20 // bytes of the names of sections
	maxInfo     = 1 << 20 // bytes of what a module says of itself
	maxValues   = 16      // of one key

	// What a signed module ends with (include/linux/module_signature.h in the
	// kernel's sources).
	signed = "~Module signature appended~\n"
)

var errModule = errors.New("malformed module")

// A Module reads kernel modules that were not built with the kernel: drivers of
// vendors, modules that DKMS builds, file systems such as ZFS. They are told by
// the mark that the kernel's own modules carry. Modules below "kernel/", where
// the kernel's own ones are installed in their thousands, are not looked into.
// The zero Module is ready.
type Module struct{}

// Name gives "linux-module".
func (Module) Name() string { return moduleName }

// Wants takes modules, compressed or not, outside the kernel's own directory.
func (Module) Wants(path string, st bulwark.Stat) bool {
	_, rest, ok := modulesDir(path)
	return ok && st.Mode&fs.ModeType == 0 && !strings.HasPrefix(rest, "kernel/") && method(rest) != ""
}

// method tells how a module is compressed, by its name; "" when it is no module.
func method(path string) string {
	switch {
	case strings.HasSuffix(path, ".ko"):
		return "none"
	case strings.HasSuffix(path, ".ko.xz"):
		return "xz"
	case strings.HasSuffix(path, ".ko.zst"):
		return "zstd"
	case strings.HasSuffix(path, ".ko.gz"):
		return "gzip"
	}
	return ""
}

// Extract gives the module, unless it belongs to the kernel's own tree.
func (e Module) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, err := load(f)
	if err != nil {
		return nil, fmt.Errorf("parse %q: %w", f.Path, limited(err))
	}
	if m.value("intree") == "Y" {
		return nil, nil
	}
	name := m.value("name")
	if name == "" { // before Linux 4.16
		base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
		base, _, _ = strings.Cut(base, ".ko")
		name = strings.ReplaceAll(base, "-", "_") // as the kernel calls it
	}
	if name == "" {
		return nil, fmt.Errorf("parse %q: no name: %w", f.Path, errModule)
	}
	p := bulwark.Package{
		Name: name, Version: m.value("version"), Arch: m.arch, Vendor: m.value("author"), Licenses: m.values("license"),
		Where: []bulwark.Location{{Path: f.Path}}, By: e.Name(),
	}
	q := map[string]string{"intree": "no", "signed": "no"}
	if m.signed {
		q["signed"] = "yes"
	}
	if p.Arch != "" {
		q["arch"] = p.Arch
	}
	release, _, _ := strings.Cut(m.value("vermagic"), " ")
	if release == "" {
		release, _, _ = modulesDir(f.Path)
	}
	if isRelease(release) {
		q["kernel"] = release
	}
	p.PURL = packageurl.NewPackageURL(packageurl.TypeGeneric, moduleName, p.Name, p.Version, packageurl.QualifiersFromMap(q), "").ToString()
	return []bulwark.Package{p}, nil
}

// A module is what one says of itself.
type module struct {
	arch   string
	info   []byte // "key=value" with a zero behind each
	signed bool
}

// values gives the values of a key, each once.
func (m *module) values(key string) (out []string) {
	for rest := m.info; len(rest) > 0; {
		var entry []byte
		entry, rest, _ = bytes.Cut(rest, []byte{0})
		v, ok := bytes.CutPrefix(entry, []byte(key))
		if !ok || len(v) == 0 || v[0] != '=' {
			continue
		}
		if s := text(string(v[1:])); s != "" && len(out) < maxValues && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// value gives the first value of a key; "" when there is none.
func (m *module) value(key string) string {
	if v := m.values(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// load reads a module.
func load(f *bulwark.File) (*module, error) {
	how := method(f.Path)
	if how == "none" {
		m, err := parse(f, f.Size)
		if err != nil {
			return nil, err
		}
		end := make([]byte, min(f.Size, int64(len(signed))))
		if _, err := f.ReadAt(end, f.Size-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		m.signed = string(end) == signed
		return m, nil
	}
	s := &stream{file: f.Reader(), method: how}
	defer s.close()
	m, err := parse(s, maxUnpacked)
	if err != nil {
		return nil, err
	}
	end, err := s.tail(len(signed))
	if err != nil {
		return nil, err
	}
	m.signed = string(end) == signed
	return m, nil
}

// parse reads the section .modinfo of an ELF file that has at most size bytes.
func parse(r io.ReaderAt, size int64) (*module, error) {
	part := func(off, n uint64, most int64) ([]byte, error) {
		if n > uint64(most) {
			return nil, fmt.Errorf("%d bytes, limit %d: %w", n, most, bulwark.ErrTooLarge)
		}
		if off > uint64(size) || n > uint64(size)-off {
			return nil, fmt.Errorf("%d bytes at %d: %w", n, off, errModule)
		}
		b := make([]byte, n)
		if got, err := r.ReadAt(b, int64(off)); got < len(b) {
			if err == nil || errors.Is(err, io.EOF) {
				err = fmt.Errorf("%d bytes at %d: %w", n, off, errModule)
			}
			return nil, err
		}
		return b, nil
	}
	h, err := part(0, 64, 64)
	if err != nil {
		return nil, err
	}
	if string(h[:4]) != "\x7fELF" || h[4] != 1 && h[4] != 2 || h[5] != 1 && h[5] != 2 {
		return nil, fmt.Errorf("no ELF file: %w", errModule)
	}
	o := binary.ByteOrder(binary.LittleEndian)
	if h[5] == 2 {
		o = binary.BigEndian
	}
	wide := h[4] == 2
	// Offset of the section table, size of its rows, their number, and the row of
	// the names.
	var table uint64
	var row, rows, names int
	least := 40
	if wide {
		table, row, rows, names, least = o.Uint64(h[40:]), int(o.Uint16(h[58:])), int(o.Uint16(h[60:])), int(o.Uint16(h[62:])), 64
	} else {
		table, row, rows, names = uint64(o.Uint32(h[32:])), int(o.Uint16(h[46:])), int(o.Uint16(h[48:])), int(o.Uint16(h[50:]))
	}
	if row < least || row > 256 || rows == 0 || names >= rows {
		return nil, fmt.Errorf("%d sections of %d bytes: %w", rows, row, errModule)
	}
	t, err := part(table, uint64(row)*uint64(rows), maxSections*256)
	if err != nil {
		return nil, fmt.Errorf("read section table: %w", err)
	}
	section := func(i int, most int64) ([]byte, error) {
		s := t[i*row:]
		if wide {
			return part(o.Uint64(s[24:]), o.Uint64(s[32:]), most)
		}
		return part(uint64(o.Uint32(s[16:])), uint64(o.Uint32(s[20:])), most)
	}
	text, err := section(names, maxNames)
	if err != nil {
		return nil, fmt.Errorf("read section names: %w", err)
	}
	for i := range rows {
		at := o.Uint32(t[i*row:])
		if uint64(at) >= uint64(len(text)) || !bytes.HasPrefix(text[at:], []byte(".modinfo\x00")) {
			continue
		}
		info, err := section(i, maxInfo)
		if err != nil {
			return nil, fmt.Errorf("read section .modinfo: %w", err)
		}
		return &module{arch: machine(o.Uint16(h[18:])), info: info}, nil
	}
	return nil, fmt.Errorf("no section .modinfo: %w", errModule)
}
