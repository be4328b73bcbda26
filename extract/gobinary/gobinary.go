// SPDX-License-Identifier: Apache-2.0

// Package gobinary finds the modules that a Go program was built from, and the
// standard library that it carries. It knows the build information that the Go
// linker leaves in ELF, PE and Mach-O files since Go 1.13, which stripping does
// not remove, and the table of functions that the runtime prints traces from
// since Go 1.16. It does not know packed (UPX) programs or programs older than
// that, nor what is wrong with a module or a function.
package gobinary

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/funcset"
)

const (
	// name appears in reports and never changes.
	name = "gobinary"
	// ecosystem is OSV's name for Go modules and the standard library.
	ecosystem = "Go"
	// minSize is what the headers alone take. Real programs are larger, an empty
	// one has more than 400 KiB, but being right costs only one look at the head.
	minSize = 128
	// maxName bounds module paths and versions. The longest known ones have
	// about 200 bytes.
	maxName = 1024
	// maxSystem bounds the names of systems and architectures, bytes.
	maxSystem = 20
)

// An Extractor reads Go programs, libraries and plugins. Its zero value is
// ready to use.
type Extractor struct{}

// Name gives "gobinary".
func (Extractor) Name() string { return name }

// Wants tells whether a file may be a Go program: it can be executed, or its
// name is that of a Windows program or a shared library.
func (Extractor) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || st.Size < minSize {
		return false
	}
	return st.Mode.Perm()&0o111 != 0 || library(p) || strings.HasSuffix(p, ".exe")
}

// library tells whether p is named like a shared library, which needs no
// permission to be executed.
func library(p string) bool {
	base := p[strings.LastIndexByte(p, '/')+1:]
	for _, suffix := range []string{".so", ".dll", ".dylib"} {
		if strings.HasSuffix(base, suffix) {
			return true
		}
	}
	return strings.Contains(base, ".so.")
}

// WantsHead tells whether head begins an ELF, PE or Mach-O file. Of ELF shared
// libraries, which are many, only those with a Go build id near their begin are
// wanted: the linker puts that note into the first page.
func (Extractor) WantsHead(p string, head []byte) bool {
	switch formatOf(head) {
	case formatELF:
		if len(head) < 18 {
			return false
		}
		if kind := head[16+int(head[5]>>1&1)]; kind != elfExec && kind != elfDyn {
			return false // object file or core dump
		}
		return !library(p) || bytes.Contains(head, []byte("\x04\x00\x00\x00Go\x00\x00"))
	case formatPE, formatMachO, formatFat:
		return true
	}
	return false
}

// Extract gives the packages of Inventory.
func (e Extractor) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	inv, err := e.Inventory(ctx, f)
	return inv.Packages, err
}

// Inventory gives the main module, its dependencies and the standard library as
// packages, and which functions were linked in as a program. A
// file that is no Go program has neither and is no error. A main module
// that was not built from a released version has an empty version, unless the
// linker was told one. A dependency that was replaced by a directory has an
// empty version, because nobody knows what is in it.
func (e Extractor) Inventory(ctx context.Context, f *bulwark.File) (bulwark.Inventory, error) {
	if err := ctx.Err(); err != nil {
		return bulwark.Inventory{}, err
	}
	p, err := open(&budget{done: ctx.Err, r: f, left: maxRead}, f.Size)
	if p == nil && err == nil {
		return bulwark.Inventory{}, nil
	}
	var goVersion, modules string
	if err == nil {
		goVersion, modules, err = p.built()
	}
	if err != nil {
		return bulwark.Inventory{}, fmt.Errorf("go build information of %q: %w", f.Path, err)
	}
	if goVersion == "" {
		return bulwark.Inventory{}, nil
	}
	pkgs, names, system, err := packages(f.Path, goVersion, modules)
	if p.fat { // the others are for the same system and another architecture
		system, _, _ = strings.Cut(system, "/")
	}
	linked := bulwark.Program{Path: f.Path, System: system}
	if linked.Functions, linked.Unknown = p.functions(names); ctx.Err() != nil {
		return bulwark.Inventory{Packages: pkgs}, ctx.Err()
	}
	return bulwark.Inventory{Packages: pkgs, Programs: []bulwark.Program{linked}}, err
}

// packages gives what the build information tells, by which names the linker and
// advisories know packages, and what the program was built for, as
// [bulwark.Program] has it.
func packages(file, goVersion, modules string) (pkgs []bulwark.Package, names funcset.Builder, system string, err error) {
	where := []bulwark.Location{{Path: file}}
	pkgs = []bulwark.Package{{
		PURL:      purl("stdlib", stdlib(goVersion)),
		Name:      "stdlib",
		Version:   stdlib(goVersion),
		Ecosystem: ecosystem,
		Where:     where,
		By:        name,
	}}
	if modules == "" {
		return pkgs, names, "", nil
	}
	info, err := debug.ParseBuildInfo(modules)
	if err != nil {
		return pkgs, names, "", fmt.Errorf("go build information of %q: %w", file, err)
	}
	seen := map[string]bool{}
	add := func(path, version string) {
		if !plausible(path) || version != "" && !plausible(version) || seen[path+"\x00"+version] {
			return
		}
		seen[path+"\x00"+version] = true
		pkgs = append(pkgs, bulwark.Package{
			PURL: purl(path, version), Name: path, Version: version, Ecosystem: ecosystem,
			Where: slices.Clone(where), By: name,
		})
	}
	if info.Main.Path != "" {
		add(info.Main.Path, mainVersion(info))
	}
	for _, d := range info.Deps {
		if d == nil {
			continue
		}
		switch {
		case d.Replace == nil:
			add(d.Path, released(d.Version))
		case d.Replace.Version == "" || local(d.Replace.Path):
			add(d.Path, "")
		default:
			add(d.Replace.Path, released(d.Replace.Version))
			if d.Replace.Path != d.Path {
				names.Replaced = append(names.Replaced, [2]string{d.Path, d.Replace.Path})
			}
		}
	}
	names.Main = info.Path
	return pkgs, names, builtFor(info), nil
}

// builtFor gives the system that a program was built for, which the go command
// writes since 1.18: "linux/amd64", "" when nothing is said, and one part where
// only that is.
func builtFor(info *debug.BuildInfo) string {
	var os, arch string
	for _, s := range info.Settings {
		if len(s.Value) > maxSystem || strings.Trim(s.Value, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			continue
		}
		switch s.Key {
		case "GOOS":
			os = s.Value
		case "GOARCH":
			arch = s.Value
		}
	}
	if arch == "" {
		return os
	}
	return os + "/" + arch
}

// released gives v, or "" when the go command wrote its word for no version.
func released(v string) string {
	if v == "(devel)" {
		return ""
	}
	return v
}

// local tells whether a replacement is a directory and not a module.
func local(p string) bool {
	return strings.HasPrefix(p, ".") || path.IsAbs(p) || strings.ContainsRune(p, '\\') || len(p) > 1 && p[1] == ':'
}

// mainVersion gives the version of the main module. Programs that are built
// from a work tree have none, but their makers often hand the linker one for
// "program --version" to print: -X main.version=1.2.3.
func mainVersion(info *debug.BuildInfo) string {
	if v := released(info.Main.Version); v != "" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key != "-ldflags" {
			continue
		}
		if m := linkedVersion.FindStringSubmatch(s.Value); m != nil {
			return "v" + m[1]
		}
	}
	return ""
}

// linkedVersion finds a full semantic version that is set through the linker
// in the main package or in a package called version.
var linkedVersion = regexp.MustCompile(
	`-X[ =]['"]?(?:main|[^ =]*/version)\.(?:[vV]ersion|VERSION|gitVersion)=v?(\d{1,6}\.\d{1,6}\.\d{1,6}(?:-[0-9A-Za-z.-]{1,64})?)(?:['" ]|$)`)

// stdlib turns what the toolchain calls itself into a version of the standard
// library: "go1.22.1 X:boringcrypto" is 1.22.1. It is "" for a toolchain that
// was built between releases.
func stdlib(goVersion string) string {
	v, ok := strings.CutPrefix(goVersion, "go")
	if !ok {
		return ""
	}
	end := 0
	for end < len(v) && (v[end] >= '0' && v[end] <= '9' || v[end] == '.' || v[end] >= 'a' && v[end] <= 'z') {
		end++
	}
	if v = v[:end]; v == "" || v[0] < '0' || v[0] > '9' {
		return ""
	}
	return v
}

// plausible tells whether s can be a module path or a version: build
// information is as hostile as any other bytes.
func plausible(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// purl gives the package URL of a module. The type's rules ask for lower case
// (https://github.com/package-url/purl-spec, type golang).
func purl(module, version string) string {
	dir, base := "", module
	if i := strings.LastIndexByte(strings.TrimRight(module, "/"), '/'); i >= 0 {
		dir, base = module[:i], module[i+1:]
	}
	u := packageurl.PackageURL{
		Type: packageurl.TypeGolang, Namespace: strings.ToLower(dir), Name: strings.ToLower(base), Version: version,
	}
	return u.ToString()
}

// maxRead bounds the bytes read from one file: headers, and at worst a data
// segment that is searched.
const maxRead = 96 << 20

// A budget is a reader that stops after left bytes or when ctx is done. One
// call of Extract owns it.
type budget struct {
	done func() error // tells that the context is done
	r    io.ReaderAt
	left int64
}

func (b *budget) ReadAt(p []byte, off int64) (int, error) {
	if err := b.done(); err != nil {
		return 0, err
	}
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("more than %d bytes read: %w", maxRead, bulwark.ErrTooLarge)
	}
	return b.r.ReadAt(p, off)
}
