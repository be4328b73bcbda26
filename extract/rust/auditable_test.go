// SPDX-License-Identifier: Apache-2.0

package rust_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/rust"
)

const audit = `{"packages":[
{"name":"adler","version":"0.2.3","source":"crates.io"},
{"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
{"name":"app","version":"0.1.0","source":"local","dependencies":[0],"root":true},
{"name":"../x","version":"1.0"}],"format":1}`

const wantAudit = `pkg:cargo/adler@0.2.3 :0
pkg:cargo/cc@1.0.0 :0 dev
pkg:cargo/app@0.1.0 :0
`

func packed(tb testing.TB, text []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// elf64 makes an ELF file with the section.
func elf64(section string, data []byte) []byte {
	o := binary.LittleEndian
	names := "\x00.shstrtab\x00" + section + "\x00"
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	o.PutUint16(b[16:], 3)
	b = append(append(b, data...), names...)
	o.PutUint64(b[40:], uint64(len(b)))
	o.PutUint16(b[58:], 64)
	o.PutUint16(b[60:], 3)
	o.PutUint16(b[62:], 1)
	row := func(name, off, size int) {
		r := make([]byte, 64)
		o.PutUint32(r, uint32(name))
		o.PutUint64(r[24:], uint64(off))
		o.PutUint64(r[32:], uint64(size))
		b = append(b, r...)
	}
	row(0, 0, 0)
	row(1, 64+len(data), len(names))
	row(11, 64, len(data))
	return b
}

// elf32 makes a big-endian ELF file with the section.
func elf32(data []byte) []byte {
	o := binary.BigEndian
	const names = "\x00.dep-v0\x00.shstrtab\x00"
	b := make([]byte, 64)
	copy(b, "\x7fELF\x01\x02\x01")
	o.PutUint16(b[16:], 2)
	b = append(append(b, data...), names...)
	o.PutUint32(b[32:], uint32(len(b)))
	o.PutUint16(b[46:], 40)
	o.PutUint16(b[48:], 2)
	o.PutUint16(b[50:], 1)
	row := func(name, off, size int) {
		r := make([]byte, 40)
		o.PutUint32(r, uint32(name))
		o.PutUint32(r[16:], uint32(off))
		o.PutUint32(r[20:], uint32(size))
		b = append(b, r...)
	}
	row(1, 64, len(data))
	row(9, 64+len(data), len(names))
	return b
}

func pe(data []byte) []byte {
	o := binary.LittleEndian
	b := make([]byte, 0x200)
	copy(b, "MZ")
	o.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	o.PutUint16(b[0x86:], 1)
	row := b[0x98:]
	copy(row, ".dep-v0")
	o.PutUint32(row[8:], uint32(len(data)))
	o.PutUint32(row[16:], uint32(len(data)+100))
	o.PutUint32(row[20:], 0x200)
	return append(append(b, data...), make([]byte, 100)...)
}

func macho(data []byte) []byte {
	o := binary.LittleEndian
	b := make([]byte, 0x200)
	o.PutUint32(b, 0xfeedfacf)
	o.PutUint32(b[20:], 152)
	seg := b[32:]
	o.PutUint32(seg, 0x19)
	o.PutUint32(seg[4:], 152)
	sect := seg[72:]
	copy(sect, ".dep-v0")
	copy(sect[16:], "__DATA")
	o.PutUint64(sect[40:], uint64(len(data)))
	o.PutUint32(sect[48:], 0x200)
	return append(b, data...)
}

func programs(tb testing.TB) map[string][]byte {
	data := packed(tb, []byte(audit))
	return map[string][]byte{
		"usr/bin/elf64": elf64(".dep-v0", data), "usr/bin/elf32": elf32(data), "app.exe": pe(data), "app.macho": macho(data),
	}
}

func TestAuditable(t *testing.T) {
	for path, data := range programs(t) {
		pkgs, err := rust.Auditable{}.Extract(t.Context(), bulwark.MemoryFile(path, 0o755, data))
		if diff := cmp.Diff(wantAudit, extracttest.Brief(pkgs, err)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

// TestAuditableMade reads what cargo-auditable wrote: a program in the tests of the
// Go module github.com/google/osv-scalibr 0.5.3, less all sections but its own.
func TestAuditableMade(t *testing.T) {
	data, err := os.ReadFile("testdata/serde.elf")
	if err != nil {
		t.Fatal(err)
	}
	want := `pkg:cargo/itoa@1.0.14 :0
pkg:cargo/memchr@2.7.4 :0
pkg:cargo/proc-macro2@1.0.92 :0
pkg:cargo/quote@1.0.38 :0
pkg:cargo/ryu@1.0.18 :0
pkg:cargo/serde@1.0.217 :0
pkg:cargo/serde_derive@1.0.217 :0
pkg:cargo/serde_json@1.0.135 :0
pkg:cargo/syn@2.0.95 :0
pkg:cargo/unicode-ident@1.0.14 :0
pkg:cargo/uses_json@0.1.0 :0
`
	pkgs, err := rust.Auditable{}.Extract(t.Context(), bulwark.MemoryFile("usr/bin/uses_json", 0o755, data))
	if diff := cmp.Diff(want, extracttest.Brief(pkgs, err)); diff != "" {
		t.Error(diff)
	}
}

func TestAuditableKit(t *testing.T) { extracttest.Extractor(t, rust.Auditable{}, programs(t)) }

func TestAuditableHostile(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"other-section": {elf64(".text", nil), nil},
		"bomb":          {elf64(".dep-v0", packed(t, make([]byte, 64<<20))), bulwark.ErrTooLarge},
		"large":         {elf64(".dep-v0", make([]byte, 9<<20)), bulwark.ErrTooLarge},
	} {
		pkgs, err := rust.Auditable{}.Extract(t.Context(), bulwark.MemoryFile(name, 0o755, c.data))
		if len(pkgs) > 0 || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, pkgs, err)
		}
	}
}

func FuzzAuditable(f *testing.F) {
	for _, b := range programs(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = rust.Auditable{}.Extract(t.Context(), bulwark.MemoryFile("a", 0o755, b))
	})
}

func BenchmarkAuditable(b *testing.B) {
	f := bulwark.MemoryFile("a", 0o755, elf64(".text", make([]byte, 1<<20)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (rust.Auditable{}).Extract(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	}
}
