// SPDX-License-Identifier: Apache-2.0

// Package java finds Java libraries: in archives, nested ones too, and in the
// files by which Maven and Gradle declare them. It knows Maven's coordinates
// where an archive carries them, and otherwise guesses them from the manifest
// and the file name. It does not know classes: a library that was unpacked into
// an application without its META-INF is not seen.
package java

import (
	"fmt"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name.
	ecosystem = "Maven"
	// maxName bounds a group, an artifact or a version, bytes.
	maxName = 256
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// A gav is Maven's coordinate: group, artifact, version.
type gav struct{ group, artifact, version string }

// plausible tells whether the coordinate can be real. The version may be empty.
func (g gav) plausible() bool {
	return identifier(g.group) && identifier(g.artifact) && (g.version == "" || version(g.version))
}

// identifier tells whether s can be a group or an artifact.
func identifier(s string) bool {
	if s == "" || len(s) > maxName || strings.EqualFold(s, "unknown") || strings.EqualFold(s, "null") {
		return false
	}
	letter := false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			letter = true
		case c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_':
		default:
			return false
		}
	}
	return letter && s[0] != '.' && s[0] != '-'
}

// version tells whether s can be a version. Maven allows nearly everything, but
// ranges, unset properties and words without a digit are none.
func version(s string) bool {
	if s == "" || len(s) > maxName || !strings.ContainsAny(s, "0123456789") {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '-' || c == '_' || c == '+' || c == '~'):
		default:
			return false
		}
	}
	return true
}

// purl gives the package URL (https://github.com/package-url/purl-spec, type maven).
func (g gav) purl() string {
	u := packageurl.PackageURL{Type: packageurl.TypeMaven, Namespace: g.group, Name: g.artifact, Version: g.version}
	return u.ToString()
}

// A list collects packages, each once for each place.
type list struct {
	by   string
	pkgs []bulwark.Package
	seen map[string]int
}

func newList(by string) *list { return &list{by: by, seen: map[string]int{}} }

// add takes a package that was met at a path. What is met both as needed and as
// needed for development only is needed.
func (l *list) add(g gav, path string, line int, dev bool, licenses []string) {
	if !g.plausible() {
		return
	}
	key := g.group + ":" + g.artifact + "\x00" + g.version + "\x00" + path
	if i, ok := l.seen[key]; ok {
		l.pkgs[i].Dev = l.pkgs[i].Dev && dev
		return
	}
	l.seen[key] = len(l.pkgs)
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: g.purl(), Name: g.group + ":" + g.artifact, Version: g.version, Ecosystem: ecosystem,
		Licenses: licenses, Where: []bulwark.Location{{Path: path, Line: line}}, By: l.by, Dev: dev,
	})
}

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }
