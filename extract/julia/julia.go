// SPDX-License-Identifier: Apache-2.0

// Package julia finds Julia packages: resolved ones in manifests of both
// formats, and those that a depot or Julia's own standard library holds. It
// reads the lines that Julia's package manager writes; it does not know the
// sources of projects, whose Project.toml names wishes and no versions.
package julia

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
	ecosystem = "Julia"
	// maxManifest bounds a manifest, bytes, and maxProject a project file. Large
	// environments have some 200 KiB.
	maxManifest = 16 << 20
	maxProject  = 1 << 20
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
// Names may have letters beyond ASCII.
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || version == "" || len(version) > maxName || version[0] < '0' || version[0] > '9' {
		return false
	}
	for _, r := range name {
		if r <= ' ' || r == 0x7f || r == 0xfffd || strings.ContainsRune(`/\"'@?#[]{}`, r) {
			return false
		}
	}
	for i := range len(version) {
		switch c := version[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.':
		default:
			return false
		}
	}
	return true
}

// isUUID tells whether s is a UUID in its usual form.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return true
}

// A found is what is known of one package.
type found struct {
	name, version, uuid string
	line                int
}

// made gives the package. The UUID is what tells packages of one name apart, and
// a purl of this kind must have it:
// https://github.com/package-url/purl-spec/blob/main/types-doc/julia-definition.md
func (p found) made(by, path string) bulwark.Package {
	u := packageurl.PackageURL{Type: packageurl.TypeGeneric, Name: p.name, Version: p.version}
	if isUUID(p.uuid) {
		u.Type = packageurl.TypeJulia
		u.Qualifiers = packageurl.Qualifiers{{Key: "uuid", Value: strings.ToLower(p.uuid)}}
	}
	return bulwark.Package{
		PURL: u.ToString(), Name: p.name, Version: p.version, Ecosystem: ecosystem,
		Where: []bulwark.Location{{Path: path, Line: p.line}}, By: by,
	}
}

// lines calls yield with each line of data, trimmed, and its number until yield
// gives false or ctx is done.
func lines(ctx context.Context, data []byte, yield func(line string, number int) bool) error {
	for n := 1; len(data) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var line []byte
		if line, data, _ = bytes.Cut(data, []byte{'\n'}); len(line) > maxLine {
			continue
		}
		if !yield(string(bytes.TrimSpace(line)), n) {
			break
		}
	}
	return ctx.Err()
}

// assigned takes a line with a bare key and a string apart.
func assigned(line string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || len(value) < 2 || value[0] != '"' && value[0] != '\'' {
		return "", "", false
	}
	end := strings.IndexByte(value[1:], value[0])
	if end < 0 {
		return "", "", false
	}
	return key, value[1 : 1+end], true
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// Manifest reads Manifest.toml, in which Julia's package manager keeps the exact
// versions of an environment: https://pkgdocs.julialang.org/v1/toml-files/#Manifest.toml
// Its zero value is ready to use.
type Manifest struct{}

// Name gives "julia-manifest".
func (Manifest) Name() string { return "julia-manifest" }

// Language gives "toml": lines that are not understood are passed over, and told
// when no tool wrote them.
func (Manifest) Language() string { return "toml" }

// Wants tells whether p is a manifest: Manifest.toml, JuliaManifest.toml, or
// either for one version of Julia as in Manifest-v1.11.toml.
func (Manifest) Wants(p string, st bulwark.Stat) bool {
	if !strings.HasSuffix(p, ".toml") || st.Mode&fs.ModeType != 0 {
		return false
	}
	rest, ok := strings.CutPrefix(strings.TrimPrefix(base(p), "Julia"), "Manifest")
	return ok && (rest == ".toml" || strings.HasPrefix(rest, "-v"))
}

// Extract gives the resolved packages. Those of the standard library that have
// no version of their own are part of Julia and left out. The first format has
// a table for each package, "[[JSON]]"; the second puts them below deps,
// "[[deps.JSON]]".
func (e Manifest) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxManifest)
	if err != nil {
		return nil, err
	}
	var (
		pkgs  []bulwark.Package
		seen  = map[found]bool{}
		p     found
		known bool
	)
	done := func() {
		key := p
		key.line = 0
		if p.line > 0 && plausible(p.name, p.version) && !seen[key] {
			seen[key] = true
			pkgs = append(pkgs, p.made(e.Name(), f.Path))
		}
		p = found{}
	}
	err = lines(ctx, data, func(line string, n int) bool {
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "[["):
			done()
			name, _, ok := strings.Cut(line[2:], "]]")
			if name = strings.TrimPrefix(name, "deps."); ok && !strings.Contains(name, ".") {
				p, known = found{name: strings.Trim(name, `"`), line: n}, true
			}
		case line[0] == '[':
			done() // [deps], or a table that belongs to the package before it
			known = known || line == "[deps]"
		default:
			key, value, ok := assigned(line)
			if !ok {
				break
			}
			switch {
			case p.line == 0:
				known = known || key == "manifest_format" || key == "julia_version"
			case key == "version":
				p.version = value
			case key == "uuid":
				p.uuid = value
			}
		}
		return true
	})
	done()
	// An environment without packages has a manifest of comments only.
	if err == nil && !known && !onlyComments(data) {
		err = errors.New("not a manifest of this kind")
	}
	if err != nil {
		return pkgs, malformed(f, err)
	}
	return pkgs, nil
}

// onlyComments tells whether data has nothing but comments and space.
func onlyComments(data []byte) bool {
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// Installed finds the packages of a depot, DEPOT/packages/NAME/SLUG, and of
// Julia's standard library, share/julia/stdlib/vVERSION/NAME. Its zero value is
// ready to use.
type Installed struct{}

// Name gives "julia-installed".
func (Installed) Name() string { return "julia-installed" }

// Wants tells whether p is the project file of an installed package.
func (Installed) Wants(p string, st bulwark.Stat) bool {
	dir, ok := strings.CutSuffix(p, "/Project.toml")
	if !ok {
		dir, ok = strings.CutSuffix(p, "/JuliaProject.toml")
	}
	if !ok || st.Mode&fs.ModeType != 0 {
		return false
	}
	dir, last := parent(dir)
	up, above := parent(dir)
	if _, depot := parent(up); depot == "packages" && isSlug(last) && above != "" {
		return true
	}
	_, stdlib := parent(up)
	return stdlib == "stdlib" && len(above) > 1 && above[0] == 'v'
}

// parent takes the last element off a path.
func parent(p string) (dir, name string) {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return "", p
}

// isSlug tells whether s can be what Julia makes of a package's content to name
// its directory: four to six letters and digits.
func isSlug(s string) bool {
	if len(s) < 4 || len(s) > 6 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
		default:
			return false
		}
	}
	return true
}

// Extract gives the package. A project file without a version gives nothing:
// it is a part of Julia.
func (e Installed) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxProject)
	if err != nil {
		return nil, err
	}
	var p found
	err = lines(ctx, data, func(line string, n int) bool {
		if line != "" && line[0] == '[' {
			return false // what belongs to the package itself comes first
		}
		key, value, ok := assigned(line)
		switch {
		case !ok:
		case key == "name":
			p.name, p.line = value, n
		case key == "uuid":
			p.uuid = value
		case key == "version":
			p.version = value
		}
		return true
	})
	switch {
	case err != nil:
		return nil, malformed(f, err)
	case p.name == "" && len(bytes.TrimSpace(data)) > 0:
		return nil, malformed(f, errors.New("a project without name"))
	case p.version == "":
		return nil, nil
	case !plausible(p.name, p.version):
		return nil, malformed(f, errors.New("neither name nor version"))
	}
	return []bulwark.Package{p.made(e.Name(), f.Path)}, nil
}
