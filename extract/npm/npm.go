// SPDX-License-Identifier: Apache-2.0

// Package npm finds JavaScript packages: installed ones by their package.json,
// and declared ones in the lock files of npm, yarn, pnpm, Bun and Deno, with the
// packages of JSR that the last one has. It does not know ranges of versions that
// no lock file has settled, so a package.json outside an installed tree says
// nothing; nor does it know code that a bundler has merged.
package npm

import (
	"context"
	"fmt"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name.
	ecosystem = "npm"
	// maxLock bounds a lock file, bytes. A monorepo with 20,000 packages has
	// about 10 MiB.
	maxLock = 32 << 20
	// maxName bounds a name or version, bytes. The registry allows 214 for names.
	maxName = 512
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// installed tells whether p lies in a tree that a package manager has made. Lock
// files in there are those of the packages' makers: they are not installed.
func installed(p string) bool {
	return strings.HasPrefix(p, "node_modules/") || strings.Contains(p, "/node_modules/")
}

// plausible tells whether a name and a version can be those of a package. The
// version may be empty.
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || len(version) > maxName {
		return false
	}
	if scope, rest, ok := strings.Cut(name, "/"); ok && (scope == "" || scope[0] != '@' || rest == "" || strings.Contains(rest, "/")) {
		return false
	}
	if strings.ContainsAny(name, ":\\#?%") || name[0] == '.' {
		return false
	}
	return printable(name) && printable(version)
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// purl gives the package URL (https://github.com/package-url/purl-spec, type npm).
func purl(name, version string) string {
	u := packageurl.PackageURL{Type: packageurl.TypeNPM, Name: name, Version: version}
	if scope, rest, ok := strings.Cut(name, "/"); ok {
		u.Namespace, u.Name = scope, rest
	}
	return u.ToString()
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

// add takes a package that was met in a line. What is met both as needed and as
// needed for development only is needed.
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
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: purl(name, version), Name: name, Version: version, Ecosystem: ecosystem,
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
		end := len(data)
		next := end
		if i := indexByte(data, '\n'); i >= 0 {
			end, next = i, i+1
		}
		line := data[:end]
		data = data[next:]
		if len(line) > 0 && line[len(line)-1] == '\r' {
			line = line[:len(line)-1]
		}
		if len(line) > maxLine {
			continue // no package is named in such a line
		}
		yield(string(line), n)
	}
	return ctx.Err()
}

// maxLine bounds a line that is looked into, bytes. The longest are keys of
// pnpm with all peers in them.
const maxLine = 64 << 10

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }
