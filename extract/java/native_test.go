// SPDX-License-Identifier: Apache-2.0

package java_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/java"
)

// bill gives a bill of materials as native-image writes it, and what is in it.
func bill(tb testing.TB) (text []byte, want string) {
	tb.Helper()
	a, err := txtar.ParseFile("testdata/native/micronaut.txtar")
	if err != nil {
		tb.Fatal(err)
	}
	return a.Files[0].Data, string(a.Files[1].Data)
}

func zipped(tb testing.TB, text []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// program makes an ELF file as native-image does: a section of data with the
// packed text and its length, and symbols that say where both are.
func program(packed []byte, claimed int) []byte {
	o := binary.LittleEndian
	const addr = 0x10000
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	o.PutUint16(b[16:], 3)
	o.PutUint16(b[18:], 62)
	names := "\x00__svm_version_info\x00sbom\x00sbom_length\x00"
	var table []byte
	row := func(kind, flags, at, off, size, link int) {
		r := make([]byte, 64)
		o.PutUint32(r[4:], uint32(kind))
		o.PutUint64(r[8:], uint64(flags))
		o.PutUint64(r[16:], uint64(at))
		o.PutUint64(r[24:], uint64(off))
		o.PutUint64(r[32:], uint64(size))
		o.PutUint32(r[40:], uint32(link))
		table = append(table, r...)
	}
	row(0, 0, 0, 0, 0, 0)
	data := append(append(make([]byte, 24), packed...), make([]byte, 8)...)
	o.PutUint64(data[24+len(packed):], uint64(claimed))
	row(1, 3, addr, len(b), len(data), 0)
	b = append(b, data...)
	row(3, 2, 0, len(b), len(names), 0)
	b = append(b, names...)
	symbols := make([]byte, 4*24)
	for i, s := range []struct{ name, value int }{{1, addr}, {20, addr + 24}, {25, addr + 24 + len(packed)}} {
		o.PutUint32(symbols[24*(i+1):], uint32(s.name))
		o.PutUint64(symbols[24*(i+1)+8:], uint64(s.value))
	}
	row(11, 2, 0, len(b), len(symbols), 2)
	b = append(b, symbols...)
	o.PutUint64(b[40:], uint64(len(b)))
	o.PutUint16(b[58:], 64)
	o.PutUint16(b[60:], 4)
	return append(b, table...)
}

func TestNativeImage(t *testing.T) {
	text, want := bill(t)
	packed := zipped(t, text)
	data := program(packed, len(packed))
	pkgs, err := java.NativeImage{}.Extract(t.Context(), bulwark.MemoryFile("app", 0o755, data))
	if diff := cmp.Diff(want, describe(pkgs, err)); diff != "" {
		t.Error(diff)
	}
	st := bulwark.Stat{Size: 10 << 20, Mode: 0o755}
	if !(java.NativeImage{}).Wants("app", st) || (java.NativeImage{}).Wants("app", bulwark.Stat{Size: 10 << 20, Mode: 0o644}) {
		t.Error("programs are wanted, and nothing else")
	}
	if !(java.NativeImage{}).WantsHead("app", data[:64]) || (java.NativeImage{}).WantsHead("app", make([]byte, 64)) {
		t.Error("ELF files of 64 bits are wanted, and nothing else")
	}
}

func TestNativeImageHostile(t *testing.T) {
	text, _ := bill(t)
	packed := zipped(t, text)
	bomb := zipped(t, make([]byte, 65<<20))
	deep := bytes.Repeat([]byte(`{"components":[`), 100_000)
	for name, c := range map[string]struct {
		data []byte
		want error
		bad  bool
	}{
		"no-bill":    {program(nil, 0), nil, true},
		"too-long":   {program(packed, 1<<40), nil, false},
		"too-short":  {program(packed, len(packed)-1), nil, true},
		"not-zipped": {program(text, len(text)), nil, true},
		"not-json":   {program(zipped(t, []byte("<bom/>")), len(zipped(t, []byte("<bom/>")))), nil, true},
		"deep":       {program(zipped(t, deep), len(zipped(t, deep))), bulwark.ErrTooLarge, true},
		"bomb":       {program(bomb, len(bomb)), bulwark.ErrTooLarge, true},
	} {
		pkgs, err := java.NativeImage{}.Extract(t.Context(), bulwark.MemoryFile(name, 0o755, c.data))
		if len(pkgs) > 0 || (err != nil) != c.bad || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, pkgs, err)
		}
	}
}

func TestNativeImageKit(t *testing.T) {
	text, _ := bill(t)
	packed := zipped(t, text)
	// Programs are far larger than this bill.
	filled := append(packed, make([]byte, 1<<20)...)
	extracttest.Extractor(t, java.NativeImage{}, map[string][]byte{"opt/app": program(filled, len(packed))})
}

func FuzzNativeImage(f *testing.F) {
	text, _ := bill(f)
	packed := zipped(f, text)
	f.Add(program(packed, len(packed)))
	f.Add(program(nil, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = java.NativeImage{}.Extract(t.Context(), bulwark.MemoryFile("a", 0o755, data))
	})
}
