// SPDX-License-Identifier: Apache-2.0

// Package lua finds rocks of LuaRocks: installed ones in the tree that LuaRocks
// keeps, and pinned ones in luarocks.lock. The files are Lua programs that
// consist of literals as LuaRocks writes them; only literals are read. It does
// not know modules that were copied without LuaRocks, nor the sources of rocks,
// whose rockspec names ranges of what they need.
package lua

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
	// maxFile bounds a file, bytes. Manifests of large rocks have some 100 KiB.
	maxFile = 4 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// maxLicense bounds a licence, bytes.
	maxLicense = 256
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// named tells whether the last element of a path is name.
func named(p, name string) bool {
	return strings.HasSuffix(p, name) && (len(p) == len(name) || p[len(p)-len(name)-1] == '/')
}

// parent takes the last element off a path.
func parent(p string) (dir, name string) {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return "", p
}

// plausible tells whether a name and a version can be those of a rock. A version
// ends in the revision of its rockspec, "3.1.0-1"; those of development are
// words, "scm-1".
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || len(version) > maxName {
		return false
	}
	dash := strings.LastIndexByte(version, '-')
	if dash <= 0 || dash == len(version)-1 || strings.Trim(version[dash+1:], "0123456789") != "" {
		return false
	}
	for _, s := range []string{name, version} {
		for i := range len(s) {
			switch c := s[i]; {
			case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '+':
			default:
				return false
			}
		}
	}
	return true
}

// rock gives the package; LuaRocks compares names without case. OSV knows no
// advisories about rocks.
func rock(by, path, name, version string, line int, licenses []string) bulwark.Package {
	name = strings.ToLower(name)
	u := packageurl.PackageURL{Type: "luarocks", Name: name, Version: version}
	return bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Licenses: licenses,
		Where: []bulwark.Location{{Path: path, Line: line}}, By: by,
	}
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// Installed finds the rocks of a tree, lib/luarocks/rocks-5.4/NAME/VERSION, by
// their rockspec and their rock_manifest. Its zero value is ready to use.
type Installed struct{}

// Name gives "luarocks-installed".
func (Installed) Name() string { return "luarocks-installed" }

// Wants tells whether p describes an installed rock.
func (Installed) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || !strings.HasSuffix(p, ".rockspec") && !strings.HasSuffix(p, "/rock_manifest") {
		return false
	}
	_, _, ok := place(p)
	return ok
}

// place takes name and version from where a rock lies. Trees are named after the
// version of Lua, since LuaRocks 2.0 "rocks-5.1", before it "rocks".
func place(p string) (name, version string, ok bool) {
	dir, file := parent(p)
	dir, version = parent(dir)
	dir, name = parent(dir)
	dir, tree := parent(dir)
	if tree != "rocks" && !strings.HasPrefix(tree, "rocks-") || base(dir) != "luarocks" || !plausible(name, version) {
		return "", "", false
	}
	stem, spec := strings.CutSuffix(file, ".rockspec")
	if spec && (len(stem) != len(name)+1+len(version) || stem[:len(name)] != name || stem[len(name)+1:] != version) {
		return "", "", false // a rockspec that belongs to the rock's own files
	}
	return name, version, true
}

// Extract gives the rock. Name and version are those of its place, which
// LuaRocks goes by itself.
func (e Installed) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	name, version, ok := place(f.Path)
	if !ok || len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	var (
		at       int
		known    bool
		licenses []string
	)
	err = literals(ctx, data, func(path []string, value string, line int) {
		switch {
		case len(path) == 1 && path[0] == "package":
			at, known = line, true
		case len(path) > 0 && path[0] == "rock_manifest":
			known = true
		case len(path) == 2 && path[0] == "description" && path[1] == "license" && value != "" && len(value) <= maxLicense:
			licenses = []string{value}
		}
	})
	if err == nil && !known {
		err = errors.New("neither a rockspec nor a manifest of a rock")
	}
	if err != nil {
		return nil, malformed(f, err)
	}
	return []bulwark.Package{rock(e.Name(), f.Path, name, version, at, licenses)}, nil
}

// Lock reads luarocks.lock, which luarocks make --pin writes. Its zero value is
// ready to use.
type Lock struct{}

// Name gives "luarocks-lock".
func (Lock) Name() string { return "luarocks-lock" }

// Wants tells whether p is a luarocks.lock that does not belong to an installed
// rock, of which LuaRocks keeps a copy.
func (Lock) Wants(p string, st bulwark.Stat) bool {
	return named(p, "luarocks.lock") && st.Mode&fs.ModeType == 0 && !strings.Contains(p, "/luarocks/rocks")
}

// Extract gives the pinned rocks. What is needed to build or test only is for
// development.
func (e Lock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	var (
		pkgs  []bulwark.Package
		index = map[string]int{}
	)
	err = literals(ctx, data, func(path []string, value string, line int) {
		if len(path) != 3 || path[0] != "return" || path[2] == "lua" || !plausible(path[2], value) {
			return // "lua" is the interpreter that LuaRocks ran in
		}
		dev := true
		switch path[1] {
		case "dependencies":
			dev = false
		case "build_dependencies", "test_dependencies":
		default:
			return
		}
		key := strings.ToLower(path[2]) + " " + value
		if i, ok := index[key]; ok {
			pkgs[i].Dev = pkgs[i].Dev && dev
			return
		}
		index[key] = len(pkgs)
		p := rock(e.Name(), f.Path, path[2], value, line, nil)
		p.Dev = dev
		pkgs = append(pkgs, p)
	})
	if err == nil && !bytes.Contains(data, []byte("dependencies")) && len(bytes.TrimSpace(data)) > 0 {
		err = errors.New("not a lock file of this kind")
	}
	if err != nil {
		return pkgs, malformed(f, err)
	}
	return pkgs, nil
}
