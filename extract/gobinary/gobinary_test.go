// SPDX-License-Identifier: Apache-2.0

package gobinary_test

import (
	"context"
	"debug/buildinfo"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/gobinary"
)

const modules = `path	example.com/App/cmd/app
mod	example.com/App	(devel)	
dep	github.com/BurntSushi/toml	v1.2.3	h1:x
dep	example.com/old	v1.0.0
=>	example.com/fork/v2	v2.0.1	h1:y
dep	example.com/here	v0.0.0
=>	./here	(devel)	
dep	example.com/plus	v2.0.0+incompatible	h1:z
build	-ldflags="-s -w -X main.commit=abc -X main.version=1.4.0-rc.1"
build	CGO_ENABLED=0
`

var wantModules = []string{
	"stdlib 1.22.1 pkg:golang/stdlib@1.22.1",
	"example.com/App v1.4.0-rc.1 pkg:golang/example.com/app@v1.4.0-rc.1",
	"github.com/BurntSushi/toml v1.2.3 pkg:golang/github.com/burntsushi/toml@v1.2.3",
	"example.com/fork/v2 v2.0.1 pkg:golang/example.com/fork/v2@v2.0.1",
	"example.com/here  pkg:golang/example.com/here",
	"example.com/plus v2.0.0+incompatible pkg:golang/example.com/plus@v2.0.0%2Bincompatible",
}

// blob is build information as the linker writes it since Go 1.18.
func blob(version, mod string) []byte {
	b := append([]byte("\xff Go buildinf:"), 8, 2)
	b = append(b, make([]byte, 16)...)
	mod = strings.Repeat("\x30", 16) + mod + strings.Repeat("\xf9", 16)
	for _, s := range []string{version, mod} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// pointers is build information as the linker wrote it before Go 1.18: two
// pointers to Go strings. It is loaded at addr.
func pointers(o binary.ByteOrder, word int, addr uint64, version, mod string) []byte {
	mod = strings.Repeat("\x30", 16) + mod + strings.Repeat("\xf9", 16)
	flags := byte(0)
	if o == binary.ByteOrder(binary.BigEndian) {
		flags = 1
	}
	b := append([]byte("\xff Go buildinf:"), byte(word), flags)
	put := func(v uint64) {
		b = appendUint(o, b, word, v)
	}
	put(addr + 32)
	put(addr + 32 + uint64(2*word))
	b = append(b, make([]byte, 32-len(b))...)
	text := addr + 32 + uint64(4*word)
	put(text)
	put(uint64(len(version)))
	put(text + uint64(len(version)))
	put(uint64(len(mod)))
	return append(append(b, version...), mod...)
}

// elf makes an ELF file with one writable segment at 0x10000 and, if named, one
// section for it.
func elf(wide bool, o binary.ByteOrder, section string, data []byte) []byte {
	pad := func(b []byte, n int) []byte { return append(b, make([]byte, max(0, n-len(b)))...) }
	word := func(b []byte, v int) []byte {
		if wide {
			return appendUint(o, b, 8, uint64(v))
		}
		return appendUint(o, b, 4, uint64(v))
	}
	half := func(b []byte, v int) []byte { return appendUint(o, b, 2, uint64(v)) }
	full := func(b []byte, v int) []byte { return appendUint(o, b, 4, uint64(v)) }
	headSize, segSize, sectSize, class := 52, 32, 40, byte(1)
	if wide {
		headSize, segSize, sectSize, class = 64, 56, 64, 2
	}
	order := byte(1)
	if o == binary.ByteOrder(binary.BigEndian) {
		order = 2
	}
	names := "\x00.shstrtab\x00" + section + "\x00"
	const dataAt = 256
	namesAt := dataAt + len(data)
	sectAt := namesAt + len(names)
	count := 3
	if section == "" {
		count, sectAt = 0, 0
	}
	b := pad([]byte{0x7f, 'E', 'L', 'F', class, order, 1}, 16)
	b = full(half(half(b, 2), 62), 1)
	b = word(word(word(b, 0), headSize), sectAt)
	b = half(full(b, 0), headSize)
	b = half(half(half(half(half(b, segSize), 1), sectSize), count), min(count, 1))
	if wide {
		b = word(word(word(word(full(full(b, 1), 6), dataAt), 0x10000), 0x10000), len(data))
	} else {
		b = full(word(word(word(word(word(full(b, 1), dataAt), 0x10000), 0x10000), len(data)), len(data)), 6)
	}
	b = append(append(pad(b, dataAt), data...), names...)
	if count == 0 {
		return b
	}
	row := func(name, addr, off, size int) {
		r := full(full(nil, name), 1)
		r = word(word(word(word(r, 0), addr), off), size)
		b = append(b, pad(r, sectSize)...)
	}
	row(0, 0, 0, 0)
	row(1, 0, namesAt, len(names))
	row(11, 0x10000, dataAt, len(data))
	return b
}

func appendUint(o binary.ByteOrder, b []byte, n int, v uint64) []byte {
	var t [8]byte
	switch n {
	case 2:
		o.PutUint16(t[:], uint16(v))
	case 4:
		o.PutUint32(t[:], uint32(v))
	default:
		o.PutUint64(t[:], v)
	}
	return append(b, t[:n]...)
}

// pe makes a 64-bit PE file with one data section.
func pe(data []byte) []byte {
	o := binary.LittleEndian
	b := make([]byte, 0x400)
	copy(b, "MZ")
	o.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	o.PutUint16(b[0x86:], 1)
	o.PutUint16(b[0x94:], 240)
	o.PutUint16(b[0x98:], 0x20b)
	o.PutUint64(b[0x98+24:], 0x400000)
	row := b[0x98+240:]
	copy(row, ".data")
	o.PutUint32(row[8:], uint32(len(data)))
	o.PutUint32(row[12:], 0x1000)
	o.PutUint32(row[16:], uint32(len(data)))
	o.PutUint32(row[20:], 0x400)
	o.PutUint32(row[36:], 0xc0600040)
	return append(b, data...)
}

// macho makes a 64-bit Mach-O file with one section.
func macho(data []byte) []byte {
	o := binary.LittleEndian
	b := make([]byte, 0x200)
	o.PutUint32(b, 0xfeedfacf)
	o.PutUint32(b[12:], 2)
	o.PutUint32(b[16:], 1)
	o.PutUint32(b[20:], 152)
	seg := b[32:]
	o.PutUint32(seg, 0x19)
	o.PutUint32(seg[4:], 152)
	copy(seg[8:], "__DATA")
	o.PutUint64(seg[24:], 0x1000)
	o.PutUint64(seg[40:], 0x200)
	o.PutUint64(seg[48:], uint64(len(data)))
	o.PutUint32(seg[60:], 3)
	o.PutUint32(seg[64:], 1)
	sect := seg[72:]
	copy(sect, "__go_buildinfo")
	copy(sect[16:], "__DATA")
	o.PutUint64(sect[32:], 0x1000)
	o.PutUint64(sect[40:], uint64(len(data)))
	o.PutUint32(sect[48:], 0x200)
	return append(b, data...)
}

// fat wraps a Mach-O file.
func fat(thin []byte) []byte {
	o := binary.BigEndian
	b := make([]byte, 64)
	o.PutUint32(b, 0xcafebabe)
	o.PutUint32(b[4:], 1)
	o.PutUint32(b[16:], 64)
	o.PutUint32(b[20:], uint32(len(thin)))
	return append(b, thin...)
}

func seeds() map[string][]byte {
	le, be := binary.LittleEndian, binary.BigEndian
	now := blob("go1.22.1", modules)
	return map[string][]byte{
		"usr/bin/elf64":         elf(true, le, ".go.buildinfo", now),
		"usr/bin/elf32-be":      elf(false, be, ".go.buildinfo", now),
		"usr/bin/elf-nosection": elf(true, le, "", append(make([]byte, 48), now...)),
		"usr/bin/elf64-old":     elf(true, le, ".go.buildinfo", pointers(le, 8, 0x10000, "go1.22.1", modules)),
		"usr/bin/elf32-be-old":  elf(false, be, ".go.buildinfo", pointers(be, 4, 0x10000, "go1.22.1", modules)),
		"app.exe":               pe(append(make([]byte, 16), now...)),
		"app.macho":             macho(now),
		"app.fat":               fat(macho(now)),
	}
}

func lines(pkgs []bulwark.Package) []string {
	var out []string
	for _, p := range pkgs {
		out = append(out, p.Name+" "+p.Version+" "+p.PURL)
	}
	return out
}

func extract(t *testing.T, path string, data []byte) []bulwark.Package {
	t.Helper()
	pkgs, err := gobinary.Extractor{}.Extract(t.Context(), bulwark.MemoryFile(path, 0o755, data))
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

func TestKit(t *testing.T) { extracttest.Extractor(t, gobinary.Extractor{}, seeds()) }

func TestFormats(t *testing.T) {
	for path, data := range seeds() {
		t.Run(path, func(t *testing.T) {
			pkgs := extract(t, path, data)
			if diff := cmp.Diff(wantModules, lines(pkgs)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	for in, want := range map[string]string{
		"go1.22.1":                           "1.22.1",
		"go1.22":                             "1.22",
		"go1.22rc1":                          "1.22rc1",
		"go1.20.5 X:boringcrypto":            "1.20.5",
		"go1.24.4 (Red Hat 1.24.4-1.el9)":    "1.24.4",
		"go1.19.4-vendor":                    "1.19.4",
		"devel +abcdef Mon Jan 1":            "",
		"devel go1.23-abcdef Mon Jan 1 2024": "",
		"gox":                                "",
	} {
		pkgs := extract(t, "a", elf(true, binary.LittleEndian, ".go.buildinfo", blob(in, "")))
		if len(pkgs) != 1 || pkgs[0].Version != want {
			t.Errorf("%q: %v, want %q", in, lines(pkgs), want)
		}
	}
}

func TestMainVersion(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"-X main.version=v1.2.3":     "v1.2.3",
		"-X 'main.Version=1.2.3' -s": "v1.2.3",
		"-X=example.com/a/version.gitVersion=v1.2.3": "v1.2.3",
		"-X main.goversion=1.2.3":                    "",
		"-X main.version=1.2":                        "",
		"-X main.version=$(git)":                     "",
		"-X other/pkg.Version=9.9.9":                 "",
		"-X main.version=1.2.3-dirty+sh":             "",
	} {
		mod := "path\tx\nmod\texample.com/x\t(devel)\t\nbuild\t-ldflags=" + fmt.Sprintf("%q", in) + "\n"
		pkgs := extract(t, "a", elf(true, binary.LittleEndian, ".go.buildinfo", blob("go1.22.1", mod)))
		if len(pkgs) != 2 || pkgs[1].Version != want {
			t.Errorf("%q: %v, want %q", in, lines(pkgs), want)
		}
	}
}

func TestSystem(t *testing.T) {
	le := binary.LittleEndian
	settings := func(lines ...string) []byte {
		return blob("go1.22.1", "path\tx\nmod\texample.com/x\tv1.0.0\t\nbuild\t"+strings.Join(lines, "\nbuild\t")+"\n")
	}
	now := settings("GOARCH=arm64", "GOOS=darwin")
	got := map[string]string{}
	for name, data := range map[string][]byte{
		"both":      elf(true, le, ".go.buildinfo", settings("CGO_ENABLED=0", "GOARCH=amd64", "GOOS=linux", "GOAMD64=v1")),
		"os":        elf(true, le, ".go.buildinfo", settings("GOOS=js")),
		"arch":      elf(true, le, ".go.buildinfo", settings("GOARCH=386")),
		"before":    elf(true, le, ".go.buildinfo", settings("-compiler=gc")),
		"nothing":   elf(true, le, ".go.buildinfo", blob("go1.22.1", "")),
		"odd":       elf(true, le, ".go.buildinfo", settings("GOOS=li/nux", "GOARCH="+strings.Repeat("a", 21))),
		"macho":     macho(now),
		"universal": fat(macho(now)),
	} {
		got[name] = program(t, data).System
	}
	want := map[string]string{
		"both": "linux/amd64", "os": "js", "arch": "/386", "before": "", "nothing": "", "odd": "",
		"macho": "darwin/arm64", "universal": "darwin",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoProgram(t *testing.T) {
	le := binary.LittleEndian
	for name, data := range map[string][]byte{
		"elf-without-section": elf(true, le, ".text", blob("go1.22.1", modules)),
		"java-class":          append([]byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61}, make([]byte, 100)...),
		"script":              []byte("#!/bin/sh\n" + strings.Repeat("echo\n", 100)),
		"misaligned":          elf(true, le, ".go.buildinfo", append([]byte{0}, blob("go1.22.1", modules)...)),
		"empty":               nil,
	} {
		if pkgs := extract(t, name, data); len(pkgs) != 0 {
			t.Errorf("%s: %v", name, lines(pkgs))
		}
	}
}

func TestTooLarge(t *testing.T) {
	data := blob("go1.22.1", strings.Repeat("dep\tx\tv1\n", 1<<20))
	_, err := gobinary.Extractor{}.Extract(t.Context(), bulwark.MemoryFile("a", 0o755, elf(true, binary.LittleEndian, ".go.buildinfo", data)))
	if !errors.Is(err, bulwark.ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
}

func TestWants(t *testing.T) {
	e := gobinary.Extractor{}
	for _, c := range []struct {
		path string
		mode os.FileMode
		want bool
	}{
		{"usr/bin/app", 0o755, true},
		{"usr/bin/app", 0o644, false},
		{"app.exe", 0o644, true},
		{"usr/lib/libx.so", 0o644, true},
		{"usr/lib/libx.so.1.2", 0o644, true},
		{"usr/bin", os.ModeDir | 0o755, false},
	} {
		if got := e.Wants(c.path, bulwark.Stat{Size: 1 << 20, Mode: c.mode}); got != c.want {
			t.Errorf("Wants(%q, %v) = %v", c.path, c.mode, got)
		}
	}
	dyn := elf(true, binary.LittleEndian, ".text", nil)
	if e.WantsHead("libc.so.6", dyn) || !e.WantsHead("usr/bin/bash", dyn) {
		t.Error("only libraries need a Go build id")
	}
	dyn[16] = 1
	if e.WantsHead("usr/bin/object.o", dyn) {
		t.Error("object files are not wanted")
	}
}

// build compiles the program in testdata/program.txtar with extra flags.
func build(t *testing.T, env []string, flags ...string) string {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	dir := t.TempDir()
	a, err := txtar.ParseFile("testdata/program.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	cmd := exec.CommandContext(t.Context(), tool, append(append([]string{"build", "-mod=vendor", "-o", out}, flags...), ".")...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off", "CGO_ENABLED=0", "GO111MODULE=on"), env...)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, b)
	}
	return out
}

// truth is what "go version -m" says, in the form of lines.
func truth(t *testing.T, file string) []string {
	t.Helper()
	b, err := exec.CommandContext(t.Context(), "go", "version", "-m", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	first, rest, _ := strings.Cut(string(b), "\n")
	_, v, _ := strings.Cut(first, ": go")
	out = append(out, "stdlib "+strings.Fields(v)[0])
	for line := range strings.Lines(rest) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		switch f[0] {
		case "mod", "dep":
			out = append(out, f[1]+" "+strings.Trim(f[2], "()"))
		case "=>":
			if len(f) > 2 && f[2] != "(devel)" {
				out[len(out)-1] = f[1] + " " + f[2]
			} else {
				out[len(out)-1] = strings.Fields(out[len(out)-1])[0] + " devel"
			}
		}
	}
	return out
}

func TestTruth(t *testing.T) {
	cases := map[string]struct {
		env   []string
		flags []string
		slow  bool
	}{
		"plain":    {},
		"stripped": {flags: []string{"-ldflags=-s -w", "-trimpath"}},
		"pie":      {flags: []string{"-buildmode=pie"}, slow: true},
		"windows":  {env: []string{"GOOS=windows", "GOARCH=amd64"}, slow: true},
		"darwin":   {env: []string{"GOOS=darwin", "GOARCH=arm64"}, slow: true},
		"mips":     {env: []string{"GOOS=linux", "GOARCH=mips"}, slow: true},
		"arm":      {env: []string{"GOOS=linux", "GOARCH=arm"}, slow: true},
		"s390x":    {env: []string{"GOOS=linux", "GOARCH=s390x"}, slow: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.slow && os.Getenv("BULWARK_SYSTEM") == "" {
				t.Skip("compiles a standard library of its own; set BULWARK_SYSTEM=1")
			}
			file := build(t, c.env, c.flags...)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			e := gobinary.Extractor{}
			st := bulwark.Stat{Size: int64(len(data)), Mode: 0o755}
			if !e.Wants("app", st) || !e.WantsHead("app", data[:4096]) {
				t.Error("not wanted")
			}
			var got []string
			for _, p := range extract(t, "app", data) {
				v := p.Version
				if v == "" {
					v = "devel"
				}
				got = append(got, p.Name+" "+v)
			}
			if diff := cmp.Diff(truth(t, file), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSharedLibrary(t *testing.T) {
	if os.Getenv("BULWARK_SYSTEM") == "" {
		t.Skip("needs a C compiler; set BULWARK_SYSTEM=1")
	}
	file := build(t, []string{"CGO_ENABLED=1"}, "-buildmode=c-shared")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !(gobinary.Extractor{}).WantsHead("lib/libapp.so", data[:4096]) {
		t.Error("a Go shared library is not wanted")
	}
	if pkgs := extract(t, "lib/libapp.so", data); len(pkgs) < 3 {
		t.Errorf("packages %v", lines(pkgs))
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := gobinary.Extractor{}.Extract(ctx, bulwark.MemoryFile("a", 0o755, seeds()["usr/bin/elf64"]))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func FuzzExtract(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = gobinary.Extractor{}.Extract(t.Context(), bulwark.MemoryFile("a", 0o755, b))
	})
}

func BenchmarkExtract(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	files := map[string]string{"go": self, "c": "/bin/bash"}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		b.Run(name, func(b *testing.B) {
			h, err := os.Open(files[name])
			if err != nil {
				b.Skip(err)
			}
			defer h.Close()
			st, err := h.Stat()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (gobinary.Extractor{}).Extract(b.Context(), bulwark.ReaderFile("a", 0o755, h, st.Size())); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"-stdlib", func(b *testing.B) {
			h, err := os.Open(files[name])
			if err != nil {
				b.Skip(err)
			}
			defer h.Close()
			b.ReportAllocs()
			for b.Loop() {
				_, _ = buildinfo.Read(h)
			}
		})
	}
}
