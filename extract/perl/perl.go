// SPDX-License-Identifier: Apache-2.0

// Package perl finds distributions of CPAN: installed ones by what cpanm, Carton
// and Carmel keep of their metadata and by MakeMaker's perllocal.pod, and locked
// ones in cpanfile.snapshot. Other installers leave a list of files without a
// version, and the modules that come with Perl leave nothing: those are not
// known here.
package perl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxMeta bounds the metadata of a distribution, bytes; large ones list
	// some thousand modules. maxList bounds a snapshot and a log of installations.
	maxMeta = 8 << 20
	maxList = 32 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// maxLine bounds a line that is looked into, bytes.
	maxLine = 16 << 10
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// named tells whether the last element of a path is name.
func named(p, name string) bool {
	return strings.HasSuffix(p, name) && (len(p) == len(name) || p[len(p)-len(name)-1] == '/')
}

// plausible tells whether a name and a version can be those of a distribution.
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || version == "" || len(version) > maxName {
		return false
	}
	if c := strings.TrimPrefix(version, "v"); c == "" || c[0] < '0' || c[0] > '9' {
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

// distribution gives the package. OSV has no records of CPAN. The purl has no
// author, since most of the files do not name one, so that one distribution is
// one package wherever it is found.
func distribution(by, path, name, version string, line int, licenses []string) bulwark.Package {
	u := packageurl.PackageURL{Type: packageurl.TypeCpan, Name: name, Version: version}
	return bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Licenses: licenses,
		Where: []bulwark.Location{{Path: path, Line: line}}, By: by,
	}
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

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// Installed reads the metadata of an installed distribution, MYMETA.json or
// META.json and install.json: cpanm and Carton keep them in .meta beside the
// modules, Carmel in its repository of builds. Its zero value is ready to use.
type Installed struct{}

// Name gives "cpan-installed".
func (Installed) Name() string { return "cpan-installed" }

// Wants tells whether p is kept metadata.
func (Installed) Wants(p string, st bulwark.Stat) bool {
	dir, ok := strings.CutSuffix(p, "/MYMETA.json")
	if !ok {
		dir, ok = strings.CutSuffix(p, "/META.json")
	}
	if !ok {
		dir, ok = strings.CutSuffix(p, "/install.json")
	}
	if !ok || st.Mode&fs.ModeType != 0 {
		return false
	}
	if build, ok := strings.CutSuffix(dir, "/blib/meta"); ok {
		// cpanm has such folders, too, where it builds what may never be installed.
		return strings.HasSuffix(build[:len(build)-len(base(build))], "/builds/")
	}
	up := dir[:len(dir)-len(base(dir))]
	return strings.HasSuffix(up, "/.meta/") || up == ".meta/"
}

// meta is what the files say: https://metacpan.org/pod/CPAN::Meta::Spec
type meta struct {
	Name    json.RawMessage `json:"name"`
	Version json.RawMessage `json:"version"`
	Dist    json.RawMessage `json:"dist"` // in install.json, "Capture-Tiny-0.48"
	License json.RawMessage `json:"license"`
}

// text gives a value that is a string or a number.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

// Extract gives the distribution.
func (e Installed) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxMeta)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var m meta
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, malformed(f, err)
	}
	name, version := strings.ReplaceAll(text(m.Name), "::", "-"), text(m.Version)
	if dist := text(m.Dist); dist != "" { // and the name is that of a module
		name, version = split(dist)
	}
	if !plausible(name, version) {
		return nil, malformed(f, errors.New("neither name nor version"))
	}
	return []bulwark.Package{distribution(e.Name(), f.Path, name, version, 0, licenses(m.License))}, nil
}

// split cuts "Capture-Tiny-0.48". The version is what follows the last hyphen
// before a digit, "v" before it or not, with what later hyphens add: "-TRIAL".
func split(dist string) (name, version string) {
	for i := len(dist) - 2; i > 0; i-- {
		if dist[i] != '-' {
			continue
		}
		if v := strings.TrimPrefix(dist[i+1:], "v"); v != "" && v[0] >= '0' && v[0] <= '9' {
			return dist[:i], dist[i+1:]
		}
	}
	return "", ""
}

// licenses gives the licences, of which the specification has a closed list, as
// SPDX identifiers. Several are alternatives.
func licenses(raw json.RawMessage) []string {
	var names []string
	if json.Unmarshal(raw, &names) != nil {
		if one := text(raw); one != "" {
			names = []string{one}
		}
	}
	var ids []string
	for _, n := range names[:min(len(names), 8)] {
		if id := spdx(n); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return []string{strings.Join(ids, " OR ")}
}

// spdx gives the SPDX identifier for a word of the specification, or "".
func spdx(word string) string {
	switch word {
	case "perl_5":
		return "Artistic-1.0-Perl OR GPL-1.0-or-later"
	case "perl":
		return "Artistic-1.0-Perl OR GPL-1.0-or-later" // version 1 of the specification
	case "agpl_3":
		return "AGPL-3.0-only"
	case "apache_1_1":
		return "Apache-1.1"
	case "apache_2_0":
		return "Apache-2.0"
	case "artistic_1":
		return "Artistic-1.0"
	case "artistic_2":
		return "Artistic-2.0"
	case "freebsd":
		return "BSD-2-Clause"
	case "bsd":
		return "BSD-3-Clause"
	case "gfdl_1_2":
		return "GFDL-1.2-only"
	case "gfdl_1_3":
		return "GFDL-1.3-only"
	case "gpl_1":
		return "GPL-1.0-only"
	case "gpl_2":
		return "GPL-2.0-only"
	case "gpl_3":
		return "GPL-3.0-only"
	case "lgpl_2_1":
		return "LGPL-2.1-only"
	case "lgpl_3_0":
		return "LGPL-3.0-only"
	case "mit":
		return "MIT"
	case "mozilla_1_0":
		return "MPL-1.0"
	case "mozilla_1_1":
		return "MPL-1.1"
	case "openssl":
		return "OpenSSL"
	case "qpl_1_0":
		return "QPL-1.0"
	case "zlib":
		return "Zlib"
	}
	return "" // "unknown", "open_source", "restricted" …: no licence that has a name
}
