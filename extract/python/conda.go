// SPDX-License-Identifier: Apache-2.0

package python

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

// maxConda bounds the record of an installed package, bytes. It lists all its
// files; the largest, of compilers and browsers, have some megabytes.
const maxConda = 32 << 20

// A condaPackage is a package of conda. OSV knows no such ecosystem; what of them
// are Python distributions is found as those, too, by their own metadata.
type condaPackage struct {
	name, version, build string
	channel, subdir      string
	kind                 string // of the archive, "conda" or "tar.bz2"
}

// token tells whether s can be a name, version, build, channel or platform
// (https://docs.conda.io/projects/conda-build/en/stable/concepts/package-naming-conv.html).
func token(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
		case c == '.' || c == '-' || c == '_' || c == '+' || c == '!':
		default:
			return false
		}
	}
	return true
}

// addConda takes a package that was met in a line.
func (l *list) addConda(c condaPackage, line int, dev bool) *bulwark.Package {
	if !token(c.name) || !token(c.version) {
		return nil
	}
	u := packageurl.PackageURL{Type: packageurl.TypeConda, Name: strings.ToLower(c.name), Version: c.version}
	qualifiers := map[string]string{}
	for key, value := range map[string]string{"build": c.build, "channel": c.channel, "subdir": c.subdir, "type": c.kind} {
		if token(value) {
			qualifiers[key] = value
		}
	}
	u.Qualifiers = packageurl.QualifiersFromMap(qualifiers)
	key := "conda\x00" + c.name + "\x00" + c.version
	if i, ok := l.index[key]; ok {
		l.pkgs[i].Dev = l.pkgs[i].Dev && dev
		return &l.pkgs[i]
	}
	l.index[key] = len(l.pkgs)
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: u.ToString(), Name: c.name, Version: c.version,
		Where: []bulwark.Location{{Path: l.path, Line: line}}, By: l.by, Dev: dev,
	})
	return &l.pkgs[len(l.pkgs)-1]
}

// locate fills in what the address of a package's archive tells:
// .../CHANNEL/SUBDIR/NAME-VERSION-BUILD.conda. Nothing else of the address is
// kept, since it may hold a secret.
func (c *condaPackage) locate(address string) {
	address, _, _ = strings.Cut(address, "#")
	address, _, _ = strings.Cut(address, "?")
	dir, file, ok := cutLast(address, "/")
	if !ok {
		file = address
	}
	for _, kind := range []string{"conda", "tar.bz2"} {
		id, ok := strings.CutSuffix(file, "."+kind)
		if !ok {
			continue
		}
		c.kind = kind
		id, build, ok := cutLast(id, "-")
		name, version, found := cutLast(id, "-")
		if ok && found && c.version == "" && (c.name == "" || c.name == name) {
			c.name, c.version, c.build = name, version, build
		}
	}
	if ok {
		dir, c.subdir, _ = cutLast(dir, "/")
		c.channel = channel(dir)
	}
}

// channel gives the name of a channel from its address, with or without a
// platform at its end.
func channel(address string) string {
	address = strings.TrimRight(address, "/")
	if rest, last, ok := cutLast(address, "/"); ok && platform(last) {
		address = rest
	}
	_, before, ok := strings.Cut(address, "://")
	if ok && !strings.Contains(before, "/") {
		return "" // a host alone
	}
	if rest, _, ok := strings.Cut(address, "/label/"); ok {
		address = rest
	}
	if rest, last, ok := cutLast(address, "/"); ok {
		if strings.HasSuffix(rest, "/t") {
			return "" // a token, which is a secret
		}
		return last
	}
	return address
}

// platform tells whether s names a platform of conda, "linux-64" or "noarch".
func platform(s string) bool {
	system, _, ok := strings.Cut(s, "-")
	switch system {
	case "noarch":
		return !ok
	case "linux", "osx", "win", "emscripten", "wasi", "freebsd", "zos":
		return ok
	}
	return false
}

// cutLast splits at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// CondaInstalled finds packages that conda and its relatives (mamba, pixi) have
// installed, by the record that they keep of each, conda-meta/*.json. Its zero
// value is ready to use.
type CondaInstalled struct{}

// Name gives "conda-installed".
func (CondaInstalled) Name() string { return "conda-installed" }

// Wants tells whether p is such a record.
func (CondaInstalled) Wants(p string, st bulwark.Stat) bool {
	if !strings.HasSuffix(p, ".json") || st.Mode&fs.ModeType != 0 {
		return false
	}
	dir := strings.TrimSuffix(p[:len(p)-len(base(p))], "/")
	return base(dir) == "conda-meta"
}

// Extract gives the package of the record, or none for a file of another kind,
// as conda keeps beside the records.
func (e CondaInstalled) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxConda)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var r condaRecord
	err = json.Unmarshal(data, &r)
	if other := (*json.UnmarshalTypeError)(nil); errors.As(err, &other) {
		err = nil
	}
	if err != nil {
		return nil, malformed(f, err)
	}
	if r.Name == "" && r.Version == "" {
		return nil, nil
	}
	c := condaPackage{name: r.Name, version: r.Version, build: r.Build}
	c.locate(r.URL)
	if c.kind == "" {
		c.locate(r.File)
	}
	if r.Channel != "" {
		c.channel = channel(r.Channel)
	}
	if r.Subdir != "" {
		c.subdir = r.Subdir
	}
	l := newList(f, e.Name())
	p := l.addConda(c, 0, false)
	if p == nil {
		return nil, malformed(f, errors.New("no name and version"))
	}
	if r.License != "" && len(r.License) <= maxName {
		p.Licenses = []string{r.License}
	}
	return l.pkgs, nil
}

// A condaRecord is what is wanted of a record.
type condaRecord struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Build   string `json:"build"`
	Channel string `json:"channel"`
	Subdir  string `json:"subdir"`
	License string `json:"license"`
	URL     string `json:"url"`
	File    string `json:"fn"`
}

// wheel gives name and version of a Python distribution from the address of its
// archive, "" where it names none (https://packaging.python.org/specifications/
// binary-distribution-format/ and source-distribution-format/).
func wheel(address string) (name, ver string) {
	address, _, _ = strings.Cut(address, "#")
	address, _, _ = strings.Cut(address, "?")
	file := base(address)
	if plain, err := url.PathUnescape(file); err == nil {
		file = plain
	}
	if id, ok := strings.CutSuffix(file, ".whl"); ok {
		if part := strings.SplitN(id, "-", 3); len(part) == 3 {
			return part[0], part[1]
		}
		return "", ""
	}
	for _, kind := range []string{".tar.gz", ".zip"} {
		if id, ok := strings.CutSuffix(file, kind); ok {
			name, ver, _ = cutLast(id, "-")
			return name, ver
		}
	}
	return "", ""
}
