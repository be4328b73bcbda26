// SPDX-License-Identifier: Apache-2.0

package nix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	// Bytes that a file must have to stand for its store path. Markers and stubs,
	// of which there are many, are smaller, and no package is made of them alone.
	minSize = 64
	// Bytes of a file that is asked for. It would be read for its name only; but
	// what can be run, others read anyway.
	maxPlain   = 1 << 20
	maxProgram = 64 << 20
)

// A Store names the packages of a Nix store by the files in it, for images that
// carry no database. Since nothing but files is seen, and each on its own, it
// asks for those few that nearly every package has one of: what lies directly in
// a directory such as bin and lib, and what language packages begin with. A
// package with data deeper down only is not found. The zero Store is ready.
type Store struct{}

// Name gives "nix-store".
func (Store) Name() string { return "nix-store" }

// Wants takes files that stand for the package of their store path.
func (Store) Wants(path string, st bulwark.Stat) bool {
	rest, ok := strings.CutPrefix(path, store)
	if !ok || st.Mode&fs.ModeType != 0 || st.Size < minSize || st.Size > maxProgram ||
		st.Size > maxPlain && st.Mode.Perm()&0o111 == 0 {
		return false
	}
	elem, inner, ok := strings.Cut(rest, "/")
	if !ok || !stands(inner) {
		return false
	}
	s, ok := cutHash(elem)
	if !ok {
		return false
	}
	_, _, ok = parse(s)
	return ok
}

// stands tells whether a file, by its path below the store path, is one of those
// that are asked for.
func stands(inner string) bool {
	dir, rest, ok := strings.Cut(inner, "/")
	if !ok || rest == "" {
		return false // at the top there are notes, or nothing
	}
	if strings.IndexByte(rest, '/') < 0 {
		return dir != "include" // which may have hundreds
	}
	switch dir {
	case "lib":
		switch first, more, _ := strings.Cut(rest, "/"); {
		case first == "pkgconfig":
			return true
		case strings.HasPrefix(first, "python"), strings.HasPrefix(first, "pypy"):
			return strings.HasSuffix(more, ".dist-info/METADATA") || strings.HasSuffix(more, ".egg-info/PKG-INFO")
		case first == "node_modules":
			n := strings.Count(more, "/")
			return strings.HasSuffix(more, "/package.json") && (n == 1 || n == 2 && more[0] == '@')
		case first == "perl5":
			return strings.HasSuffix(more, ".pm") && strings.Count(more, "/") == 2
		case first == "ruby":
			return strings.HasSuffix(more, ".gemspec")
		case first == "modules":
			return strings.HasSuffix(more, "/modules.dep")
		}
	case "etc":
		return rest == "ssl/certs/ca-bundle.crt"
	case "share":
		return rest == "zoneinfo/zone.tab" || strings.HasPrefix(rest, "pkgconfig/") || strings.HasPrefix(rest, "applications/")
	}
	return false
}

// Extract gives the package of the store path that the file is in, with that
// store path as its place.
func (e Store) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	elem, _, _ := strings.Cut(strings.TrimPrefix(f.Path, store), "/")
	s, ok := cutHash(elem)
	if !ok {
		return nil, nil
	}
	name, version, ok := parse(s)
	if !ok {
		return nil, nil
	}
	// A file without content says nothing; one that cannot be read may be none.
	var one [1]byte
	if n, err := f.ReadAt(one[:], 0); n == 0 {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, fmt.Errorf("read %q: %w", f.Path, err)
	}
	return []bulwark.Package{noun(e.Name(), store+elem, name, version)}, nil
}
