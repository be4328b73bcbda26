// SPDX-License-Identifier: Apache-2.0

// Package python finds Python distributions: installed ones by their metadata,
// and declared ones in requirements files and the lock files of Pipenv, Poetry,
// PDM and uv; and packages of conda, installed or declared, pixi's among them. It
// does not know modules that were copied into a program without metadata, nor
// which of several declared versions a resolver would choose.
package python

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name.
	ecosystem = "PyPI"
	// maxLock bounds a lock or requirements file, bytes. Large ones, with a hash
	// for every wheel, have some megabytes.
	maxLock = 32 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// maxLine bounds a line that is looked into, bytes.
	maxLine = 64 << 10
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// normal gives the normalised form of a name, in which package URLs and
// advisories write it (https://peps.python.org/pep-0503/#normalized-names). It
// is "" for what can be no name.
func normal(s string) string {
	if s == "" || len(s) > maxName {
		return ""
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b = append(b, c)
		case c == '-' || c == '_' || c == '.':
			if n := len(b); n > 0 && b[n-1] != '-' {
				b = append(b, '-')
			}
		default:
			return ""
		}
	}
	return strings.TrimRight(string(b), "-")
}

// version tells whether s can be a version (https://peps.python.org/pep-0440/;
// old distributions have other forms, too).
func version(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
		case c == '.' || c == '-' || c == '_' || c == '+' || c == '!' || c == '~':
		default:
			return false
		}
	}
	return true
}

// A list collects the packages of one file, each once, in the order of the file.
type list struct {
	path, by string
	pkgs     []bulwark.Package
	index    map[string]int
}

func newList(f *bulwark.File, by string) *list {
	return &list{path: f.Path, by: by, index: map[string]int{}}
}

// add takes a package that was met in a line. An implausible version counts as
// none. What is met both as needed and as needed for development only is needed.
func (l *list) add(name, ver string, line int, dev bool) {
	if name = normal(name); name == "" {
		return
	}
	if !version(ver) {
		ver = ""
	}
	key := name + "\x00" + ver
	if i, ok := l.index[key]; ok {
		l.pkgs[i].Dev = l.pkgs[i].Dev && dev
		return
	}
	l.index[key] = len(l.pkgs)
	u := packageurl.PackageURL{Type: packageurl.TypePyPi, Name: name, Version: ver}
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: u.ToString(), Name: name, Version: ver, Ecosystem: ecosystem,
		Where: []bulwark.Location{{Path: l.path, Line: line}}, By: l.by, Dev: dev,
	})
}

// lines calls yield with each line of data and its number, without its end. It
// stops when ctx is done.
func lines(ctx context.Context, data []byte, yield func(line string, number int)) error {
	for n := 1; len(data) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		data = rest
		if len(line) > maxLine {
			continue // no package is named in such a line
		}
		yield(string(bytes.TrimSuffix(line, []byte{'\r'})), n)
	}
	return ctx.Err()
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }
