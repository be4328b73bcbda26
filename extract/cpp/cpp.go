// SPDX-License-Identifier: Apache-2.0

// Package cpp finds C and C++ packages: those that Conan has locked, those that
// a manifest of vcpkg asks for, and those that vcpkg has installed. It does not
// know a conanfile, which is a program or asks for ranges of versions, nor what
// was copied into a source tree or linked into a program.
package cpp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name for Conan's packages. It knows none of vcpkg.
	ecosystem = "ConanCenter"
	// maxLock bounds a lock file or manifest, bytes. Locks of version 1, with all
	// options of all packages, have up to a megabyte.
	maxLock = 8 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// word tells whether s can be a name, version, user or channel.
func word(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
		case c == '_' || c == '-' || c == '.' || c == '+':
		default:
			return false
		}
	}
	return true
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// A list collects the packages of one file, each once, in the order of the file.
type list struct {
	path, by string
	pkgs     []bulwark.Package
	index    map[string]int
}

func newList(f *bulwark.File, by string) *list {
	return &list{path: f.Path, by: by, index: map[string]int{}}
}

// add takes a package. What is met both as needed and as needed for development
// only is needed.
func (l *list) add(p bulwark.Package, line int) {
	if i, ok := l.index[p.PURL]; ok {
		l.pkgs[i].Dev = l.pkgs[i].Dev && p.Dev
		return
	}
	l.index[p.PURL] = len(l.pkgs)
	p.By, p.Where = l.by, []bulwark.Location{{Path: l.path, Line: line}}
	l.pkgs = append(l.pkgs, p)
}

// ConanLock reads conan.lock of Conan 1 (versions 0.0 to 0.4 of the format) and
// Conan 2 (0.5; https://docs.conan.io/2/reference/commands/lock.html). Its zero
// value is ready to use.
type ConanLock struct{}

// Name gives "conan-lock".
func (ConanLock) Name() string { return "conan-lock" }

// Wants tells whether p is a conan.lock.
func (ConanLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "conan.lock" && st.Mode&fs.ModeType == 0
}

// Extract gives the locked packages without their revisions. Tools and recipes
// that only a build needs are for development. The package that the file was made
// for is left out where the file tells it apart. A file of another version is read
// as far as it is alike and is [bulwark.ErrUnsupported].
func (e ConanLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	r := newReader(ctx, data)
	known, version := false, ""
	err = r.object(func(key string) error {
		switch key {
		case "graph_lock":
			known = true
			return r.graph(l)
		case "requires", "build_requires", "python_requires", "config_requires":
			known = true
			dev := key != "requires"
			return r.array(func() error {
				line := r.line()
				var ref string
				if err := r.value(&ref); err != nil {
					return err
				}
				l.conan(ref, line, dev)
				return nil
			})
		case "version":
			known = true
			return r.value(&version)
		}
		return r.skip()
	})
	switch version {
	case "", "0.0", "0.1", "0.2", "0.3", "0.4", "0.5":
	default:
		if err == nil {
			err = fmt.Errorf("version %.20q of the format: %w", version, bulwark.ErrUnsupported)
		}
	}
	if err == nil && !known {
		err = errors.New("not a lock file of this kind")
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// conan takes a reference: "name/version@user/channel#revision%time:id#revision",
// of which all after the version may be missing.
func (l *list) conan(ref string, line int, dev bool) {
	if len(ref) > 4*maxName {
		return
	}
	ref, _, _ = strings.Cut(ref, "#")
	ref, _, _ = strings.Cut(ref, "%")
	ref, _, _ = strings.Cut(ref, ":")
	ref, owner, _ := strings.Cut(ref, "@")
	name, version, _ := strings.Cut(ref, "/")
	if !word(name) || !word(version) {
		return
	}
	u := packageurl.PackageURL{Type: packageurl.TypeConan, Name: name, Version: version}
	if user, channel, _ := strings.Cut(owner, "/"); word(user) && user != "_" {
		u.Qualifiers = packageurl.QualifiersFromMap(map[string]string{"user": user})
		if word(channel) && channel != "_" {
			u.Qualifiers = packageurl.QualifiersFromMap(map[string]string{"channel": channel, "user": user})
		}
	}
	l.add(bulwark.Package{PURL: u.ToString(), Name: name, Version: version, Ecosystem: ecosystem, Dev: dev}, line)
}

// A node is one package of the graph that Conan 1 locks.
type node struct {
	Ref     string    `json:"ref"`
	Pref    string    `json:"pref"` // to version 0.3
	Path    string    `json:"path"` // of the package that the file was made for
	Context string    `json:"context"`
	Needs   edges     `json:"requires"`
	Builds  edges     `json:"build_requires"`
	Recipes reference `json:"python_requires"`
	id      string
	line    int
}

// graph reads the graph of Conan 1. A package that no package outside of builds
// needs is for development.
func (r *reader) graph(l *list) error {
	var nodes []node
	err := r.object(func(key string) error {
		if key != "nodes" {
			return r.skip()
		}
		return r.object(func(id string) error {
			n := node{id: id, line: r.line()}
			if err := r.value(&n); err != nil {
				return err
			}
			if n.Ref != "" || n.Pref != "" || n.Path != "" || len(n.Needs) > 0 || len(n.Builds) > 0 || len(n.Recipes) > 0 {
				nodes = append(nodes, n)
			}
			return nil
		})
	})
	needed := reach(nodes)
	for _, n := range nodes {
		if n.Path == "" {
			l.conan(n.Ref+n.Pref, n.line, !needed[n.id])
		}
		for _, ref := range n.Recipes {
			l.conan(ref, n.line, true)
		}
	}
	return err
}

// reach gives the nodes that are needed by others than builds: those that the
// packages at the top lead to. At the top is what nothing asks for.
func reach(nodes []node) map[string]bool {
	edges, asked := make(map[string][]string, len(nodes)), map[string]bool{}
	for _, n := range nodes {
		edges[n.id] = n.Needs
		for _, id := range n.Needs {
			asked[id] = true
		}
		for _, id := range n.Builds {
			asked[id] = true
		}
	}
	var todo []string
	for _, n := range nodes {
		if n.Context != "build" && (n.Path != "" || !asked[n.id]) {
			todo = append(todo, n.id)
		}
	}
	needed := map[string]bool{}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if needed[id] {
			continue
		}
		needed[id] = true
		todo = append(todo, edges[id]...)
	}
	return needed
}
