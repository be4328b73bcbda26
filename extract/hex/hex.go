// SPDX-License-Identifier: Apache-2.0

// Package hex finds Erlang and Elixir packages: locked ones in the lock files
// of Mix and Rebar, and installed ones by the resource file of each OTP
// application. It does not know a mix.exs or rebar.config, which are programs
// or ask for ranges of versions, nor which Hex package an application came from:
// where the two have different names, it gives the application's.
package hex

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
	ecosystem = "Hex"
	// maxLock bounds a lock file, bytes, and maxApp a resource file. Large ones
	// have some hundred KiB, those of applications that list all modules too.
	maxLock = 16 << 20
	maxApp  = 4 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// maxLicenses bounds the licences that are taken from one file.
	maxLicenses = 16
)

var errLock = errors.New("not a lock file of this kind")

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// name tells whether s can name a package or an application.
func name(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '@' || c == '.':
		default:
			return false
		}
	}
	return true
}

// version gives s if it can be a version, "" if not.
func version(s string) string {
	if s == "" || len(s) > maxName || s[0] < '0' || s[0] > '9' {
		return ""
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return ""
		}
	}
	return s
}

// ofTag gives the version that a tag of a repository names: "v1.2.3" is "1.2.3".
func ofTag(tag string) string {
	v := version(strings.TrimPrefix(tag, "v"))
	if !strings.Contains(v, ".") {
		return ""
	}
	return v
}

// A list collects the packages of one file, each once, in the order of the file.
type list struct {
	path, by string
	pkgs     []bulwark.Package
	seen     map[string]bool
}

func newList(f *bulwark.File, by string) *list {
	return &list{path: f.Path, by: by, seen: map[string]bool{}}
}

// add takes a Hex package that was met in a line. An organisation has packages
// of its own, which are not the public ones of the same name.
func (l *list) add(organisation, pkg, ver string, line int) {
	if !name(pkg) || organisation != "" && !name(organisation) {
		return
	}
	u := packageurl.PackageURL{
		Type: packageurl.TypeHex, Namespace: strings.ToLower(organisation), Name: strings.ToLower(pkg), Version: version(ver),
	}
	if organisation != "" {
		pkg = organisation + "/" + pkg
	}
	if url := u.ToString(); !l.seen[url] {
		l.seen[url] = true
		l.pkgs = append(l.pkgs, bulwark.Package{
			PURL: url, Name: pkg, Version: version(ver), Ecosystem: ecosystem,
			Where: []bulwark.Location{{Path: l.path, Line: line}}, By: l.by,
		})
	}
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// MixLock reads mix.lock of Elixir's Mix. The file does not say what is needed
// for development only. Its zero value is ready to use.
type MixLock struct{}

// Name gives "mix-lock".
func (MixLock) Name() string { return "mix-lock" }

// Wants tells whether p is a mix.lock that is not one of a fetched dependency.
func (MixLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "mix.lock" && st.Mode&fs.ModeType == 0 && !fetched(p)
}

// fetched tells whether p lies where Mix or Rebar puts dependencies: lock files
// in there are those of the dependencies' makers.
func fetched(p string) bool {
	return strings.HasPrefix(p, "deps/") || strings.Contains(p, "/deps/") || strings.HasPrefix(p, "_build/") || strings.Contains(p, "/_build/")
}

// Extract gives the locked packages. One from a git repository has the version
// that its tag names, and an empty one where no tag was asked for.
func (e MixLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	s := newScanner(ctx, data, '#')
	var key, before token // "key": {
	known := false
	for t := s.next(); t.kind != end; t = s.next() {
		known = known || t.kind == '{'
		if t.kind == '{' && before.kind == ':' && key.kind == text {
			tu, whole := s.tuple()
			switch kind := string(tu.field[0]); {
			case !whole:
			case kind == "hex":
				_, organisation, _ := strings.Cut(string(tu.field[6]), "hexpm:")
				l.add(organisation, string(tu.field[1]), string(tu.field[2]), key.line)
			case kind == "git":
				l.add("", string(key.text), ofTag(string(tu.tag)), key.line)
			}
			t.kind = '}'
		}
		key, before = before, t
	}
	return l.done(f, s, known)
}

// RebarLock reads rebar.lock of Erlang's Rebar 3, with and without a version of
// the format. Its zero value is ready to use.
type RebarLock struct{}

// Name gives "rebar-lock".
func (RebarLock) Name() string { return "rebar-lock" }

// Wants tells whether p is a rebar.lock that is not one of a fetched dependency.
func (RebarLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "rebar.lock" && st.Mode&fs.ModeType == 0 && !fetched(p)
}

// Extract gives the locked packages. One from a repository has the version that
// its tag names, and an empty one where it is locked to a commit.
func (e RebarLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	s := newScanner(ctx, data, '%')
	var prev [3]token // {<<"key">>, {
	known := false
	for t := s.next(); t.kind != end; t = s.next() {
		known = known || t.kind == '['
		if t.kind == '{' && prev[2].kind == ',' && prev[1].kind == text && prev[0].kind == '{' {
			tu, whole := s.tuple()
			switch kind := string(tu.field[0]); {
			case !whole:
			case kind == "pkg":
				l.add("", string(tu.field[1]), string(tu.field[2]), prev[1].line)
			case kind == "git" || kind == "git_subdir" || kind == "hg":
				l.add("", string(prev[1].text), ofTag(string(tu.tag)), prev[1].line)
			}
			t.kind = '}'
		}
		prev[0], prev[1], prev[2] = prev[1], prev[2], t
	}
	return l.done(f, s, known)
}

// done gives what was found, and an error when the file was not understood.
func (l *list) done(f *bulwark.File, s *scanner, known bool) ([]bulwark.Package, error) {
	err := s.err
	if err == nil && !known && len(bytes.TrimSpace(s.data)) > 0 {
		err = errLock
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}
