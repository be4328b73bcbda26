// SPDX-License-Identifier: Apache-2.0

package npm

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	// newestBun is the last version of bun.lock that is known.
	newestBun = 2
	// maxNested bounds the packages in the key of an entry of bun.lock, each of
	// which lies in the node_modules of the one before, and maxKey such a key,
	// bytes. Real trees have five.
	maxNested = 16
	maxKey    = 512
	// maxWorkspaces bounds the projects that one bun.lock serves.
	maxWorkspaces = 10_000
)

// BunLock reads bun.lock of Bun (https://bun.sh/docs/pm/lockfile), which is JSON
// with comments and commas before closing brackets. Bun's older lock file,
// bun.lockb, is a binary one that only Bun itself reads: it is met with
// [bulwark.ErrUnsupported], so that a report tells what it does not cover. Its
// zero value is ready to use.
type BunLock struct{}

// Name gives "bun-lock".
func (BunLock) Name() string { return "bun-lock" }

// Wants tells whether p is a lock file of Bun outside of an installed tree.
func (BunLock) Wants(p string, st bulwark.Stat) bool {
	b := base(p)
	return (b == "bun.lock" || b == "bun.lockb") && st.Mode&fs.ModeType == 0 && !installed(p)
}

// Extract gives the packages that Bun would install. Packages of the same
// repository are left out. What comes from a git repository or a URL has an empty
// version where the file tells none. The file does not say what is needed for
// development only; it is worked out from what the projects ask for. A file of a
// newer version than 2 is read as if it were of version 2 and is
// [bulwark.ErrUnsupported].
func (e BunLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if base(f.Path) == "bun.lockb" {
		return nil, fmt.Errorf("read %q: the binary lock file of Bun; write bun.lock with bun install --save-text-lockfile: %w",
			f.Path, bulwark.ErrUnsupported)
	}
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	s := newScanner(ctx, plainJSON(data))
	b := bun{index: map[string]int{}}
	known, version := false, ""
	err = s.object(func(key string, _ int) error {
		switch {
		case key == "lockfileVersion":
			known = true
			start := s.pos
			err := s.skip()
			version = strings.TrimSpace(string(s.data[start:s.pos]))
			return err
		case key == "workspaces" && s.peek() == '{':
			return b.readWorkspaces(s)
		case key == "packages" && s.peek() == '{':
			known = true
			return b.readPackages(s)
		}
		return s.skip()
	})
	if err == nil && !known {
		err = errLock
	}
	needed := b.needed(ctx)
	if err == nil {
		err = ctx.Err()
	}
	l := newList(f, e.Name())
	for i, p := range b.packages {
		if name, version, ok := p.split(); ok {
			// Without the whole file nobody knows what else asks for it.
			l.add(name, version, p.line, err == nil && len(b.workspaces) > 0 && !needed[i])
		}
	}
	if err == nil && newer(version, newestBun) {
		err = fmt.Errorf("version %.20q of the format: %w", version, bulwark.ErrUnsupported)
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// A bun is what has been read of a bun.lock.
type bun struct {
	workspaces []bunWorkspace
	packages   []bunPackage
	index      map[string]int // of packages by key
	key        []byte         // scratch of resolve
}

// A bunWorkspace is one project.
type bunWorkspace struct {
	name  string
	needs []string // not for development only
}

// A bunPackage is one entry of the packages: where it lies, as names of packages
// between slashes, and what it is.
type bunPackage struct {
	key, id string // "debug/ms", "ms@2.1.2"
	line    int
	needs   []string
}

func (b *bun) readWorkspaces(s *scanner) error {
	return s.object(func(dir string, _ int) error {
		if s.peek() != '{' {
			return s.skip()
		}
		var w bunWorkspace
		err := s.object(func(key string, _ int) (err error) {
			switch {
			case key == "name" && dir != "": // what the outermost one needs is at the top
				w.name, err = s.text()
			case key == "dependencies" || key == "optionalDependencies" || key == "peerDependencies":
				w.needs, err = s.names(w.needs)
			default:
				err = s.skip()
			}
			return err
		})
		if len(b.workspaces) < maxWorkspaces {
			b.workspaces = append(b.workspaces, w)
		}
		return err
	})
}

func (b *bun) readPackages(s *scanner) error {
	return s.object(func(key string, pos int) error {
		if s.peek() != '[' {
			return s.skip()
		}
		p := bunPackage{key: key, line: s.lineOf(pos)}
		n := 0
		err := s.array(func() (err error) {
			n++
			switch {
			case n == 1:
				p.id, err = s.text()
			case s.peek() == '{' && p.needs == nil:
				p.needs, err = s.needs()
			default:
				err = s.skip()
			}
			return err
		})
		if err == nil && p.id != "" {
			b.index[key] = len(b.packages)
			b.packages = append(b.packages, p)
		}
		return err
	})
}

// needs reads what a package needs, what it can use if something else brings it
// too: Bun installs that wherever the file has it.
func (s *scanner) needs() ([]string, error) {
	var needs []string
	err := s.object(func(key string, _ int) (err error) {
		switch key {
		case "dependencies", "optionalDependencies", "peerDependencies":
			needs, err = s.names(needs)
		default:
			err = s.skip()
		}
		return err
	})
	return needs, err
}

// names appends the keys of the next value to have.
func (s *scanner) names(have []string) ([]string, error) {
	if s.peek() != '{' {
		return have, s.skip()
	}
	err := s.object(func(key string, _ int) error {
		if key != "" && len(key) <= maxName {
			have = append(have, key)
		}
		return s.skip()
	})
	return have, err
}

// needed gives the packages that the projects lead to without what they want for
// development.
func (b *bun) needed(ctx context.Context) map[int]bool {
	var (
		needed = make(map[int]bool, len(b.packages))
		todo   []int
		asked  int
	)
	ask := func(from, name string) {
		if asked++; asked%checkEvery == 0 && ctx.Err() != nil {
			todo = nil
			return
		}
		if i, ok := b.resolve(from, name); ok && !needed[i] {
			needed[i] = true
			todo = append(todo, i)
		}
	}
	for _, w := range b.workspaces {
		for _, name := range w.needs {
			ask(w.name, name)
		}
	}
	for len(todo) > 0 {
		p := &b.packages[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		for _, name := range p.needs {
			ask(p.key, name)
		}
	}
	return needed
}

// resolve gives the package that is loaded for a name by what lies at from: the
// one in its own node_modules, or the nearest one above.
func (b *bun) resolve(from, name string) (int, bool) {
	if len(from) > maxKey {
		from = ""
	}
	for range maxNested {
		key := b.key[:0]
		if from != "" {
			key = append(append(key, from...), '/')
		}
		key = append(key, name...)
		b.key = key
		if i, ok := b.index[string(key)]; ok {
			return i, true
		}
		if from == "" {
			return 0, false
		}
		// One package up; a scope belongs to the name after it.
		i := strings.LastIndexByte(from, '/')
		if i > 0 {
			if j := strings.LastIndexByte(from[:i], '/'); from[j+1] == '@' {
				i = j
			}
		}
		from = from[:max(i, 0)]
	}
	return 0, false
}

// split gives name and version of a package, and false for one of the same
// repository.
func (p bunPackage) split() (name, version string, ok bool) {
	name, version = splitSpec(p.id)
	for _, own := range []string{"workspace:", "link:", "file:", "root:", "portal:"} {
		if strings.HasPrefix(version, own) {
			return "", "", false
		}
	}
	if real, alias := strings.CutPrefix(version, "npm:"); alias {
		if n, v := splitSpec(real); v != "" {
			name, version = n, v
		}
	}
	if version == "" || version[0] < '0' || version[0] > '9' {
		version, _, _ = strings.Cut(version, "#")
		version = versionOfURL(version)
	}
	return name, version, name != ""
}

// plainJSON gives a copy of data in which spaces stand for comments and for
// commas before a closing bracket, so that every position stays what it was.
func plainJSON(data []byte) []byte {
	out := append([]byte(nil), data...)
	comma := -1 // a comma after which nothing but space has come
	for i := 0; i < len(out); i++ {
		switch c := out[i]; c {
		case ' ', '\t', '\r', '\n':
		case ',':
			comma = i
		case ']', '}':
			if comma >= 0 {
				out[comma] = ' '
			}
			comma = -1
		case '"':
			comma = -1
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
		case '/':
			i = blank(out, i)
		default:
			comma = -1
		}
	}
	return out
}

// blank writes spaces over the comment at i and gives its last position.
func blank(out []byte, i int) int {
	last := i
	if i+1 < len(out) {
		switch rest := string(out[i+1 : i+2]); rest {
		case "/":
			for last+1 < len(out) && out[last+1] != '\n' {
				last++
			}
		case "*":
			last++
			for last+1 < len(out) && (out[last] != '*' || out[last+1] != '/' || last == i+1) {
				last++
			}
			if last+1 < len(out) {
				last++
			}
		default:
			return i
		}
	}
	for ; i <= last; i++ {
		if out[i] != '\n' {
			out[i] = ' '
		}
	}
	return last
}
