// SPDX-License-Identifier: Apache-2.0

// Package haskell finds Haskell packages: locked ones in the freeze files of
// Cabal and the lock files of Stack, and built ones in the plan that Cabal keeps
// of a build. It does not know a *.cabal or package.yaml, which ask for ranges of
// versions, nor which packages a snapshot that Stack builds from holds.
package haskell

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
	ecosystem = "Hackage"
	// maxLock bounds a lock file, bytes, and maxPlan a plan of a build; large
	// projects have about 100 KiB and some megabytes.
	maxLock = 8 << 20
	maxPlan = 64 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// maxLine bounds a line that is looked into, bytes.
	maxLine = 64 << 10
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

var errLock = errors.New("not a lock file of this kind")

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// plausible tells whether a name and a version can be those of a package
// (https://hackage.haskell.org/package/Cabal-syntax/docs/Distribution-Types-PackageName.html).
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || version == "" || len(version) > maxName {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-':
		default:
			return false
		}
	}
	return strings.Trim(version, "0123456789.") == "" && version[0] != '.'
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

func (l *list) add(name, version string, line int) {
	if !plausible(name, version) || l.seen[name+" "+version] {
		return
	}
	l.seen[name+" "+version] = true
	u := packageurl.PackageURL{Type: packageurl.TypeHackage, Name: name, Version: version}
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Ecosystem: ecosystem,
		Where: []bulwark.Location{{Path: l.path, Line: line}}, By: l.by,
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
		if data = rest; len(line) <= maxLine {
			yield(string(bytes.TrimSuffix(line, []byte{'\r'})), n)
		}
	}
	return ctx.Err()
}

// done gives what was found, and an error when the file was not understood.
func (l *list) done(f *bulwark.File, err error) ([]bulwark.Package, error) {
	if err != nil {
		return l.pkgs, fmt.Errorf("parse %q: %w", f.Path, err)
	}
	return l.pkgs, nil
}

// CabalFreeze reads cabal.project.freeze and its like
// (https://cabal.readthedocs.io/en/stable/cabal-project-description-file.html).
// Its zero value is ready to use.
type CabalFreeze struct{}

// Name gives "cabal-freeze".
func (CabalFreeze) Name() string { return "cabal-freeze" }

// Wants tells whether p is cabal.project.freeze or cabal.project.NAME.freeze.
func (CabalFreeze) Wants(p string, st bulwark.Stat) bool {
	b := base(p)
	return strings.HasPrefix(b, "cabal.project.") && strings.HasSuffix(b, ".freeze") && st.Mode&fs.ModeType == 0
}

// Extract gives the packages that the file ties to one version. Those that come
// with the compiler ("installed") have no version there and are left out. The
// file does not say what is needed for tests only.
func (e CabalFreeze) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	known, in := false, false // in the constraints
	err = lines(ctx, data, func(line string, number int) {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "--") {
			return
		}
		if line[0] != ' ' && line[0] != '\t' {
			field, value, ok := strings.Cut(text, ":")
			in = ok && strings.EqualFold(field, "constraints")
			known = known || in || ok && (strings.EqualFold(field, "index-state") || strings.EqualFold(field, "active-repositories") || strings.EqualFold(field, "with-compiler"))
			text = value
		}
		if !in {
			return
		}
		for constraint := range strings.SplitSeq(text, ",") {
			name, version, ok := strings.Cut(constraint, "==")
			if !ok {
				continue
			}
			// Whose need it is stands before the name: "any.aeson", "setup.aeson",
			// "happy:setup.aeson". A name has neither dot nor colon.
			name = strings.TrimSpace(name)
			name = name[strings.LastIndexAny(name, ".:")+1:]
			l.add(name, strings.TrimSpace(version), number) // no range is plausible
		}
	})
	if err == nil && !known && len(bytes.TrimSpace(data)) > 0 {
		err = errLock
	}
	return l.done(f, err)
}

// StackLock reads the lock files of Stack, stack.yaml.lock
// (https://docs.haskellstack.org/en/stable/topics/lock_files/). Stack writes them
// by machine with one key in each line, which is what is understood. Its zero
// value is ready to use.
type StackLock struct{}

// Name gives "stack-lock".
func (StackLock) Name() string { return "stack-lock" }

// Language gives "yaml": lines that are not understood are passed over, and told
// when no tool wrote them.
func (StackLock) Language() string { return "yaml" }

// Wants tells whether p is stack.yaml.lock or stack-NAME.yaml.lock.
func (StackLock) Wants(p string, st bulwark.Stat) bool {
	b := base(p)
	return strings.HasPrefix(b, "stack") && strings.HasSuffix(b, ".yaml.lock") && st.Mode&fs.ModeType == 0
}

// Extract gives the packages that are locked beside the snapshot: those from
// Hackage, from archives and from repositories. The packages of the snapshot
// itself are not in the file.
func (e StackLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	var s stack
	err = lines(ctx, data, func(line string, number int) {
		text := strings.TrimLeft(line, " -")
		indent := len(line) - len(text)
		key, value, ok := strings.Cut(text, ":")
		if text == "" || text[0] == '#' || !ok {
			return
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch {
		case indent == 0:
			s.flush(l)
			s.section = key
			s.known = s.known || key == "packages" || key == "snapshots"
		case s.section != "packages":
		case key == "completed" || key == "original":
			s.flush(l)
			s.completed, s.indent = key == "completed", 0
		case !s.completed || s.indent != 0 && indent != s.indent:
		default:
			s.indent = indent
			switch key {
			case "hackage": // name-1.2.3@sha256:...
				id, _, _ := strings.Cut(value, "@")
				if i := strings.LastIndexByte(id, '-'); i > 0 {
					s.name, s.version, s.line = id[:i], id[i+1:], number
				}
			case "name":
				s.name, s.line = value, number
			case "version":
				s.version = value
			}
		}
	})
	s.flush(l)
	if err == nil && !s.known && len(bytes.TrimSpace(data)) > 0 {
		err = errLock
	}
	return l.done(f, err)
}

// A stack is what has been read of a stack.yaml.lock.
type stack struct {
	section       string
	known         bool
	completed     bool // in what was locked, not in what was asked for
	indent        int  // of the keys in there, 0 before the first
	name, version string
	line          int
}

func (s *stack) flush(l *list) {
	l.add(s.name, s.version, s.line)
	s.name, s.version, s.line = "", "", 0
}

// CabalPlan reads plan.json, in which Cabal keeps what it built from which
// packages, dist-newstyle/cache/plan.json (https://cabal.readthedocs.io/en/stable/nix-local-build.html). Its
// zero value is ready to use.
type CabalPlan struct{}

// Name gives "cabal-plan".
func (CabalPlan) Name() string { return "cabal-plan" }

// Wants tells whether p is the plan in a build directory.
func (CabalPlan) Wants(p string, st bulwark.Stat) bool {
	const plan = "dist-newstyle/cache/plan.json"
	return strings.HasSuffix(p, plan) && (len(p) == len(plan) || p[len(p)-len(plan)-1] == '/') && st.Mode&fs.ModeType == 0
}

// Extract gives the packages of the plan, those that come with the compiler too.
// Packages of the same repository are left out. What only tests need is not told
// apart.
func (e CabalPlan) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxPlan)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	r := newReader(ctx, data)
	known := false
	err = r.object(func(key string) error {
		if key != "install-plan" {
			known = known || key == "cabal-version"
			return r.skip()
		}
		known = true
		return r.array(func() error {
			line := r.line()
			var u unit
			if err := r.value(&u); err != nil {
				return err
			}
			if u.Source.Type != "local" && (u.Source.Type != "" || u.Style != "local") {
				l.add(u.Name, u.Version, line)
			}
			return nil
		})
	})
	if err == nil && !known {
		err = errors.New("no plan of Cabal")
	}
	return l.done(f, err)
}

// A unit is one part of a plan: a library, a program, or a whole package.
type unit struct {
	Name    string `json:"pkg-name"`
	Version string `json:"pkg-version"`
	Style   string `json:"style"`
	Source  struct {
		Type string `json:"type"`
	} `json:"pkg-src"`
}
