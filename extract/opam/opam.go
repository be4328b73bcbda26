// SPDX-License-Identifier: Apache-2.0

// Package opam finds OCaml packages of opam: installed ones in the state of a
// switch, and locked ones in *.opam.locked files. It does not know opam files of
// sources, which name ranges of what they need, nor libraries without opam.
package opam

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
	ecosystem = "opam"
	// maxFile bounds a file, bytes. Opam files have some KiB, large locks 100 KiB.
	maxFile = 4 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// maxLicenses bounds the licences of one package.
	maxLicenses = 8
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// plausible tells whether a name and a version can be those of a package:
// https://opam.ocaml.org/doc/Manual.html#Common-file-format
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || version == "" || len(version) > maxName {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isWord(c) || c == '~' || c == '.' {
			return false
		}
	}
	for i := range len(version) {
		if !isWord(version[i]) {
			return false
		}
	}
	return true
}

func pkg(by, path, name, version string, line int, licenses []string) bulwark.Package {
	u := packageurl.PackageURL{Type: packageurl.TypeOpam, Name: name, Version: version}
	return bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Ecosystem: ecosystem, Licenses: licenses,
		Where: []bulwark.Location{{Path: path, Line: line}}, By: by,
	}
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// Installed finds the packages of a switch: opam keeps the file of each as
// .opam-switch/packages/NAME.VERSION/opam. Its zero value is ready to use.
type Installed struct{}

// Name gives "opam-installed".
func (Installed) Name() string { return "opam-installed" }

// Wants tells whether p is the file of an installed package.
func (Installed) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 {
		return false
	}
	_, _, ok := place(p)
	return ok
}

// place takes name and version from where the file lies.
func place(p string) (name, version string, ok bool) {
	dir, ok := strings.CutSuffix(p, "/opam")
	if !ok {
		return "", "", false
	}
	b := base(dir)
	up := dir[:len(dir)-len(b)]
	if !strings.HasSuffix(up, ".opam-switch/packages/") {
		return "", "", false
	}
	name, version, _ = strings.Cut(b, ".")
	return name, version, plausible(name, version)
}

// Extract gives the package. Name and version are those of its place, which opam
// goes by itself.
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
		licenses []string
		known    bool
	)
	err = fields(ctx, data, func(field string, t token, braces int) {
		known = true
		if field == "license" && t.kind == text && braces == 0 && t.text != "" && len(t.text) <= maxName && len(licenses) < maxLicenses {
			licenses = append(licenses, t.text)
		}
	})
	if err == nil && !known {
		err = errors.New("not a file of opam")
	}
	if err != nil {
		return nil, malformed(f, err)
	}
	return []bulwark.Package{pkg(e.Name(), f.Path, name, version, 0, licenses)}, nil
}

// Locked reads the files that opam lock and opam monorepo write beside the
// sources of a package, NAME.opam.locked. Its zero value is ready to use.
type Locked struct{}

// Name gives "opam-locked".
func (Locked) Name() string { return "opam-locked" }

// Wants tells whether p is a lock file of opam.
func (Locked) Wants(p string, st bulwark.Stat) bool {
	rest, ok := strings.CutSuffix(p, "opam.locked")
	return ok && (rest == "" || rest[len(rest)-1] == '.' || rest[len(rest)-1] == '/') && st.Mode&fs.ModeType == 0
}

// Extract gives the packages that are bound to one version. What is needed for
// tests and documentation only is for development.
func (e Locked) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	var (
		pkgs    []bulwark.Package
		index   = map[string]int{}
		name    token
		version string
		equal   bool // the version that follows is the one
		other   bool // an operator of more than one sign began: >=, !=
		dev     bool
		known   bool
	)
	err = fields(ctx, data, func(field string, t token, braces int) {
		known = known || field == "opam-version" || field == "depends"
		if field != "depends" {
			return
		}
		began := other
		other = false
		switch {
		case t.kind == text && braces == 0:
			name, version, equal, dev = t, "", false, false
		case braces == 0:
			return
		case t.kind == text:
			if equal {
				version = t.text
			}
			equal = false
		case t.kind == word:
			switch t.text {
			case "with-test", "with-doc", "with-dev-setup", "dev":
				dev = true
			}
		case t.sign == '=':
			equal = !began
		case t.sign == '}' && braces == 1:
			if !plausible(name.text, version) {
				return
			}
			key := name.text + " " + version
			if i, ok := index[key]; ok {
				pkgs[i].Dev = pkgs[i].Dev && dev
				return
			}
			index[key] = len(pkgs)
			p := pkg(e.Name(), f.Path, name.text, version, name.line, nil)
			p.Dev = dev
			pkgs = append(pkgs, p)
		case t.sign == '<' || t.sign == '>' || t.sign == '!':
			other = true
		}
	})
	if err == nil && !known && len(bytes.TrimSpace(data)) > 0 {
		err = errors.New("not a lock file of this kind")
	}
	if err != nil {
		return pkgs, malformed(f, err)
	}
	return pkgs, nil
}
