// SPDX-License-Identifier: Apache-2.0

package pe_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/pe"
)

// files gives the files in testdata, and what is expected of each.
func files(tb testing.TB) (data map[string][]byte, want map[string]string) {
	tb.Helper()
	a, err := txtar.ParseFile("testdata/files.txtar")
	if err != nil {
		tb.Fatal(err)
	}
	data, want = map[string][]byte{}, map[string]string{}
	for _, f := range a.Files {
		if name, ok := strings.CutSuffix(f.Name, ".want"); ok {
			want[name] = string(f.Data)
			continue
		}
		packed, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(f.Data), "\n", ""))
		if err != nil {
			tb.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			tb.Fatal(err)
		}
		if data[f.Name], err = io.ReadAll(z); err != nil {
			tb.Fatal(err)
		}
	}
	return data, want
}

func describe(pkgs []bulwark.Package, err error) string {
	var b strings.Builder
	for _, p := range pkgs {
		b.WriteString(strings.TrimSpace(p.PURL+" "+p.Vendor) + "\n")
	}
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	return b.String()
}

func TestFiles(t *testing.T) {
	data, want := files(t)
	got := map[string]string{}
	for path, b := range data {
		got[path] = describe(pe.Version{}.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, b)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// wide gives text in UTF-16 with a zero at its end.
func wide(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s + "\x00")) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// node makes an element of a version resource.
func node(key string, text bool, value []byte, children ...[]byte) []byte {
	b := append(make([]byte, 6), wide(key)...)
	pad := func() {
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	pad()
	b = append(b, value...)
	for _, c := range children {
		pad()
		b = append(b, c...)
	}
	binary.LittleEndian.PutUint16(b, uint16(len(b)))
	binary.LittleEndian.PutUint16(b[2:], uint16(len(value)))
	if text {
		binary.LittleEndian.PutUint16(b[2:], uint16(len(value)/2))
		binary.LittleEndian.PutUint16(b[4:], 1)
	}
	return b
}

// A program is a PE file with nothing but a version resource.
type program struct {
	texts   [][2]string
	numbers [4]uint16
	managed bool
	size    uint32 // that the resource claims to have; 0 is the true one
	entries uint16 // that the first directory claims to have; 0 is the true number
	plus    bool   // 64 bits
}

func (p program) bytes() []byte {
	o := binary.LittleEndian
	const addr, off = 0x1000, 0x400
	var texts [][]byte
	for _, t := range p.texts {
		texts = append(texts, node(t[0], true, wide(t[1])))
	}
	fixed := make([]byte, 52)
	o.PutUint32(fixed, 0xfeef04bd)
	for i, at := range []int{18, 16, 22, 20} {
		o.PutUint16(fixed[at:], p.numbers[i])
	}
	info := node("VS_VERSION_INFO", false, fixed, node("StringFileInfo", true, nil, node("040904b0", true, nil, texts...)))
	// Three directories with one entry each, and the entry of the data.
	var rows []byte
	directory := func(id, to uint32) {
		rows = append(rows, make([]byte, 14)...)
		rows = o.AppendUint16(rows, max(p.entries, 1))
		p.entries = 0
		rows = o.AppendUint32(o.AppendUint32(rows, id), to)
	}
	directory(16, 24|1<<31)
	directory(1, 48|1<<31)
	directory(0x409, 72)
	size := p.size
	if size == 0 {
		size = uint32(len(info))
	}
	rows = o.AppendUint32(o.AppendUint32(rows, addr+88), size)
	rows = append(append(rows, make([]byte, 8)...), info...)

	b := make([]byte, off)
	copy(b, "MZ")
	o.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	o.PutUint16(b[0x86:], 1)
	optional, directories := b[0x98:], 96
	o.PutUint16(optional, 0x10b)
	if p.plus {
		directories = 112
		o.PutUint16(optional, 0x20b)
	}
	o.PutUint16(b[0x94:], uint16(directories+128))
	o.PutUint32(optional[directories-4:], 16)
	o.PutUint32(optional[directories+16:], addr)
	o.PutUint32(optional[directories+20:], uint32(len(rows)))
	if p.managed {
		o.PutUint32(optional[directories+8*14+4:], 72)
	}
	section := optional[directories+128:]
	copy(section, ".rsrc")
	o.PutUint32(section[8:], uint32(len(rows)))
	o.PutUint32(section[12:], addr)
	o.PutUint32(section[16:], uint32(len(rows)))
	o.PutUint32(section[20:], off)
	return append(b, rows...)
}

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		name, path string
		program    program
		want       string
	}{
		{"product", "a.exe", program{texts: [][2]string{{"ProductName", "Thing™"}, {"ProductVersion", "1.2.3"}, {"CompanyName", "Maker"}}}, "pkg:generic/Thing@1.2.3 Maker\n"},
		{"64-bit", "a.exe", program{texts: [][2]string{{"ProductName", "Thing"}, {"ProductVersion", "1.2.3"}}, plus: true}, "pkg:generic/Thing@1.2.3\n"},
		{"numbers", "a.exe", program{texts: [][2]string{{"ProductName", "Thing"}, {"ProductVersion", "unstable"}}, numbers: [4]uint16{1, 2, 3, 4}}, "pkg:generic/Thing@1.2.3.4\n"},
		{"windows", "a.dll", program{texts: [][2]string{{"ProductName", "Microsoft® Windows® Operating System"}, {"ProductVersion", "10.0.19041.1 (WinBuild.160101.0800)"}}}, "pkg:generic/Microsoft%20Windows%20Operating%20System@10.0.19041.1\n"},
		{"assembly", "x/Other.dll", program{managed: true, texts: [][2]string{{"ProductName", "Json.NET"}, {"InternalName", "Newtonsoft.Json.dll"}, {"ProductVersion", "13.0.3+0a2e291c0d9c0c7675d445703e51750363a549ef"}}}, "pkg:generic/Newtonsoft.Json@13.0.3\n"},
		{"assembly-by-file", "x/Other.dll", program{managed: true, texts: [][2]string{{"FileVersion", "2.0"}}}, "pkg:generic/Other@2.0\n"},
		{"description", "a.exe", program{texts: [][2]string{{"FileDescription", "A tool"}, {"FileVersion", "2, 0, 1"}}}, "pkg:generic/A%20tool@2.0.1\n"},
		{"no-name", "a.exe", program{texts: [][2]string{{"ProductVersion", "1.2.3"}}}, ""},
		{"no-version", "a.exe", program{texts: [][2]string{{"ProductName", "Thing"}}}, ""},
		{"no-released-version", "a.exe", program{texts: [][2]string{{"ProductName", "Thing"}, {"ProductVersion", "0.0.0.0"}}}, ""},
		{"first-language", "a.exe", program{texts: [][2]string{{"ProductName", "Thing"}, {"ProductVersion", "1.2.3"}, {"ProductVersion", "9"}}}, "pkg:generic/Thing@1.2.3\n"},
		{"long-name", "a.exe", program{texts: [][2]string{{"ProductName", strings.Repeat("x", 5000)}, {"ProductVersion", "1.2.3"}}}, ""},
		{"lying-size", "a.exe", program{texts: [][2]string{{"ProductName", "Thing"}, {"ProductVersion", "1.2.3"}}, size: 60_000}, ""},
	} {
		got := describe(pe.Version{}.Extract(t.Context(), bulwark.MemoryFile(c.path, 0o644, c.program.bytes())))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestHostile(t *testing.T) {
	for name, p := range map[string]program{"huge-resource": {size: 1 << 20}, "many-entries": {entries: 60_000}} {
		if _, err := (pe.Version{}).Extract(t.Context(), bulwark.MemoryFile("a.exe", 0, p.bytes())); !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%s: error %v, want ErrTooLarge", name, err)
		}
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		"a/b.exe": true, "a/B.DLL": true, "a/de/b.resources.dll": false, "a/b.so": false, "dll": false, "": false, "exe": false,
	} {
		if got := (pe.Version{}).Wants(path, bulwark.Stat{Size: 10_000, Mode: 0o644}); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

func TestKit(t *testing.T) {
	data, want := files(t)
	for path := range data {
		if want[path] == "" {
			delete(data, path)
		}
	}
	extracttest.Extractor(t, pe.Version{}, data)
}

func FuzzVersion(f *testing.F) {
	data, _ := files(f)
	for _, b := range data {
		f.Add(b)
	}
	f.Add(program{texts: [][2]string{{"ProductName", "Thing"}, {"ProductVersion", "1.2.3"}}, plus: true}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = pe.Version{}.Extract(t.Context(), bulwark.MemoryFile("a.exe", 0, b))
	})
}
