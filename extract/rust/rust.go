// SPDX-License-Identifier: Apache-2.0

// Package rust finds Rust crates: declared ones in Cargo.lock, and those that a
// program was built from if it was built with cargo-auditable. It does not know
// programs that were built without that: they name no crates.
package rust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name.
	ecosystem = "crates.io"
	// maxLock bounds a Cargo.lock, bytes. Large projects have about 500 KiB.
	maxLock = 32 << 20
	// maxName bounds a name or version, bytes. The registry allows 64 for names.
	maxName = 256
	// maxLine bounds a line that is looked into, bytes.
	maxLine = 16 << 10
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// plausible tells whether a name and a version can be those of a crate.
func plausible(name, version string) bool {
	if name == "" || version == "" || len(name) > maxName || len(version) > maxName || version[0] < '0' || version[0] > '9' {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_':
		default:
			return false
		}
	}
	for i := range len(version) {
		if version[i] <= ' ' || version[i] >= 0x7f {
			return false
		}
	}
	return true
}

// A list collects the crates of one file, each once, in the order of the file.
type list struct {
	path, by string
	pkgs     []bulwark.Package
	index    map[string]int
}

func newList(f *bulwark.File, by string) *list {
	return &list{path: f.Path, by: by, index: map[string]int{}}
}

func (l *list) add(name, version string, line int, dev bool) {
	if !plausible(name, version) {
		return
	}
	key := name + "\x00" + version
	if i, ok := l.index[key]; ok {
		l.pkgs[i].Dev = l.pkgs[i].Dev && dev
		return
	}
	l.index[key] = len(l.pkgs)
	u := packageurl.PackageURL{Type: packageurl.TypeCargo, Name: name, Version: version}
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Ecosystem: ecosystem,
		Where: []bulwark.Location{{Path: l.path, Line: line}}, By: l.by, Dev: dev,
	})
}

// CargoLock reads Cargo.lock of all versions. Its zero value is ready to use.
type CargoLock struct{}

// Name gives "cargo-lock".
func (CargoLock) Name() string { return "cargo-lock" }

// Language gives "toml": lines that are not understood are passed over, and told
// when no tool wrote them.
func (CargoLock) Language() string { return "toml" }

// Wants tells whether p is a Cargo.lock.
func (CargoLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "Cargo.lock" && st.Mode&fs.ModeType == 0
}

// Extract gives the locked crates, those of the same repository too, because
// the file tells them from others only by having no source. Cargo writes one
// key in each line and one table for each crate, which is what is understood.
func (e CargoLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	var (
		name, version string
		begin         int // line of the table, 0 outside of one
		known         bool
	)
	rest := data
	for n := 1; len(rest) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return l.pkgs, ctx.Err()
		}
		var line []byte
		if line, rest, _ = bytes.Cut(rest, []byte{'\n'}); len(line) > maxLine {
			continue
		}
		text := strings.TrimSpace(string(line))
		switch {
		case text == "" || text[0] == '#':
		case text[0] == '[':
			l.add(name, version, begin, false)
			name, version, begin = "", "", 0
			if text == "[[package]]" || text == "[root]" {
				begin, known = n, true
			}
		default:
			key, value, ok := strings.Cut(text, "=")
			if !ok {
				continue
			}
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch key = strings.TrimSpace(key); {
			case begin == 0:
				known = known || key == "version"
			case key == "name":
				name = value
			case key == "version":
				version = value
			}
		}
	}
	l.add(name, version, begin, false)
	if !known && len(bytes.TrimSpace(data)) > 0 {
		return l.pkgs, malformed(f, errors.New("not a lock file of this kind"))
	}
	return l.pkgs, ctx.Err()
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }
