// SPDX-License-Identifier: Apache-2.0

// Package dart finds Dart and Flutter packages in the lock files of pub. It does
// not know a pubspec.yaml, which asks for ranges of versions, nor what was
// compiled into a program.
package dart

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
	ecosystem = "Pub"
	// maxLock bounds a lock file, bytes. Large applications have about 100 KiB.
	maxLock = 16 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// maxLine bounds a line that is looked into, bytes.
	maxLine = 16 << 10
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// plausible tells whether a name and a version can be those of a package.
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || version == "" || len(version) > maxName || version[0] < '0' || version[0] > '9' {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_':
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

// PubspecLock reads pubspec.lock (https://dart.dev/tools/pub/glossary#lockfile).
// Pub writes it by machine with one key in each line and two spaces for each
// level, which is what is understood. Its zero value is ready to use.
type PubspecLock struct{}

// Name gives "pubspec-lock".
func (PubspecLock) Name() string { return "pubspec-lock" }

// Language gives "yaml": lines that are not understood are passed over, and told
// when no tool wrote them.
func (PubspecLock) Language() string { return "yaml" }

// Wants tells whether p is a pubspec.lock that is not one of a fetched package.
func (PubspecLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "pubspec.lock" && st.Mode&fs.ModeType == 0 && !strings.Contains(p, ".pub-cache/")
}

// Extract gives the locked packages, those from git repositories too. Packages
// of the same repository and those that the SDK brings are left out. The file
// tells what is needed for development only of direct dependencies, not of what
// these need.
func (e PubspecLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	var (
		l     = list{path: f.Path, by: e.Name(), seen: map[string]bool{}}
		p     entry
		in    bool // in the packages
		known bool
		rest  = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	)
	for n := 1; len(rest) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return l.pkgs, ctx.Err()
		}
		var line []byte
		if line, rest, _ = bytes.Cut(rest, []byte{'\n'}); len(line) > maxLine {
			continue
		}
		text := strings.TrimRight(string(line), "\r ")
		key, value, ok := strings.Cut(strings.TrimLeft(text, " "), ":")
		indent := len(text) - len(strings.TrimLeft(text, " "))
		if text == "" || text[indent] == '#' || !ok {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch {
		case indent == 0:
			l.add(p)
			p, in = entry{}, key == "packages"
			known = known || in || key == "sdks"
		case !in:
		case indent == 2:
			l.add(p)
			p = entry{name: strings.Trim(key, `"'`), line: n}
		case indent == 4:
			switch key {
			case "dependency":
				p.dev = value == "direct dev"
			case "source":
				p.source = value
			case "version":
				p.version = value
			}
		}
	}
	l.add(p)
	if !known && len(bytes.TrimSpace(data)) > 0 {
		return l.pkgs, fmt.Errorf("parse %q: %w", f.Path, errors.New("not a lock file of this kind"))
	}
	return l.pkgs, ctx.Err()
}

// An entry is what the file says of one package.
type entry struct {
	name, version, source string
	line                  int
	dev                   bool
}

// A list collects the packages of one file, each once, in the order of the file.
type list struct {
	path, by string
	pkgs     []bulwark.Package
	seen     map[string]bool
}

func (l *list) add(p entry) {
	if p.source == "path" || p.source == "sdk" || !plausible(p.name, p.version) || l.seen[p.name+" "+p.version] {
		return
	}
	l.seen[p.name+" "+p.version] = true
	u := packageurl.PackageURL{Type: packageurl.TypePub, Name: strings.ToLower(p.name), Version: p.version}
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: u.ToString(), Name: p.name, Version: p.version, Ecosystem: ecosystem,
		Where: []bulwark.Location{{Path: l.path, Line: p.line}}, By: l.by, Dev: p.dev,
	})
}
