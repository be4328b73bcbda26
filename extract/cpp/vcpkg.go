// SPDX-License-Identifier: Apache-2.0

package cpp

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxStatus bounds a status file of vcpkg, bytes: 3,000 ports have some
	// megabytes.
	maxStatus = 32 << 20
	// maxBill bounds a bill of materials, bytes. Since 2025 it lists every file that
	// the port installed, with some 500 bytes for each; large ports have 20,000.
	maxBill = 32 << 20
	// maxLine bounds a line that is looked into, bytes.
	maxLine = 16 << 10
)

// port gives a port of vcpkg. The version may end in "#" and the number of
// revisions that the port has had since ("1.2.13#1"), as vcpkg writes it.
func port(name, version string) (bulwark.Package, bool) {
	upstream, revision, _ := strings.Cut(version, "#")
	if !word(name) || version != "" && !word(upstream) || strings.Trim(revision, "0123456789") != "" || len(revision) > 9 {
		return bulwark.Package{}, false
	}
	u := packageurl.PackageURL{Type: packageurl.TypeVcpkg, Name: name, Version: upstream}
	if strings.Trim(revision, "0") != "" {
		u.Qualifiers = packageurl.QualifiersFromMap(map[string]string{"port_version": revision})
	} else {
		version = upstream
	}
	return bulwark.Package{PURL: u.ToString(), Name: name, Version: version}, true
}

// VcpkgManifest reads vcpkg.json, the manifest of a project
// (https://learn.microsoft.com/vcpkg/reference/vcpkg-json). Its zero value is
// ready to use.
type VcpkgManifest struct{}

// Name gives "vcpkg-manifest".
func (VcpkgManifest) Name() string { return "vcpkg-manifest" }

// Wants tells whether p is a manifest that is not the one of a port in a registry
// or in what vcpkg builds and installs.
func (VcpkgManifest) Wants(p string, st bulwark.Stat) bool {
	if base(p) != "vcpkg.json" || st.Mode&fs.ModeType != 0 {
		return false
	}
	dir := strings.TrimSuffix(strings.TrimSuffix(p, "vcpkg.json"), "/")
	parent := strings.TrimSuffix(dir[:len(dir)-len(base(dir))], "/")
	return base(parent) != "ports" && !strings.Contains(p, "vcpkg_installed/") && !strings.Contains(p, "buildtrees/")
}

// Extract gives the ports that the project and its features depend on. An
// override ties a port to one version. Otherwise the version is empty: the
// registry says which one is taken, and "version>=" only which are too old. What
// runs on the building machine is for development. A port that only an override
// names is left out when nothing in the file depends on it.
func (e VcpkgManifest) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	r := newReader(ctx, data)
	m := manifest{overrides: map[string]string{}}
	err = r.object(func(key string) error {
		switch key {
		case "dependencies":
			return m.dependencies(r)
		case "overrides":
			return r.elements(func() error {
				var o override
				if err := r.value(&o); err != nil {
					return err
				}
				if _, ok := m.overrides[o.Name]; !ok {
					m.overrides[o.Name] = o.version()
				}
				return nil
			})
		case "features":
			return m.features(r)
		}
		return r.skip()
	})
	l := newList(f, e.Name())
	for _, d := range m.wanted {
		if p, ok := port(d.Name, m.overrides[d.Name]); ok {
			p.Dev = d.Host
			l.add(p, d.line)
		}
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// A manifest is what has been read of a vcpkg.json.
type manifest struct {
	wanted    []dependency
	overrides map[string]string // versions by name
}

// A dependency is one element of a list of dependencies.
type dependency struct {
	Name string `json:"name"`
	Host bool   `json:"host"`
	line int
}

// An override ties a port to a version, under one of the keys for the ways in
// which versions are written.
type override struct {
	Name   string `json:"name"`
	Plain  string `json:"version"`
	Semver string `json:"version-semver"`
	Date   string `json:"version-date"`
	Text   string `json:"version-string"`
	Port   int    `json:"port-version"`
}

func (o override) version() string {
	for _, v := range []string{o.Plain, o.Semver, o.Date, o.Text} {
		if v == "" {
			continue
		}
		if o.Port > 0 && !strings.Contains(v, "#") {
			v += "#" + strconv.Itoa(o.Port)
		}
		return v
	}
	return ""
}

// features reads the dependencies of features, which are an object, or in old
// manifests an array.
func (m *manifest) features(r *reader) error {
	feature := func() error {
		if r.peek() != '{' {
			return r.skip()
		}
		return r.object(func(key string) error {
			if key == "dependencies" {
				return m.dependencies(r)
			}
			return r.skip()
		})
	}
	if r.peek() == '{' {
		return r.object(func(string) error { return feature() })
	}
	return r.elements(feature)
}

func (m *manifest) dependencies(r *reader) error {
	return r.elements(func() error {
		d := dependency{line: r.line()}
		var err error
		if r.peek() == '"' {
			err = r.value(&d.Name)
		} else {
			err = r.value(&d)
		}
		if err == nil && d.Name != "" && !strings.HasPrefix(d.Name, "$") {
			m.wanted = append(m.wanted, d)
		}
		return err
	})
}

// elements calls element at each element of the next value if it is an array, and
// passes it if not.
func (r *reader) elements(element func() error) error {
	if r.peek() != '[' {
		return r.skip()
	}
	return r.array(element)
}

// peek gives the first byte of the next value, 0 at the end of the file.
func (r *reader) peek() byte {
	for _, c := range r.data[min(int(r.d.InputOffset()), len(r.data)):] {
		if bytes.IndexByte([]byte(" \t\r\n,:"), c) < 0 {
			return c
		}
	}
	return 0
}

// VcpkgStatus reads the database of what vcpkg has installed, a file of
// paragraphs like dpkg's: vcpkg/status below the directory of installed ports, and
// the newest changes to it, vcpkg/updates/NUMBER, which vcpkg merges when it runs
// the next time. Its zero value is ready to use.
type VcpkgStatus struct{}

// Name gives "vcpkg-status".
func (VcpkgStatus) Name() string { return "vcpkg-status" }

// Wants tells whether p is such a file.
func (VcpkgStatus) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 {
		return false
	}
	i := strings.LastIndex(p, "installed/vcpkg/")
	if i < 0 || i > 0 && p[i-1] != '/' && !strings.HasSuffix(p[:i], "vcpkg_") {
		return false
	}
	rest := p[i+len("installed/vcpkg/"):]
	if rest == "status" {
		return true
	}
	number, ok := strings.CutPrefix(rest, "updates/")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// Extract gives the installed ports, each once for all the platforms that it was
// built for. A port that was removed since the last merge is in both files; it is
// told as installed.
func (e VcpkgStatus) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxStatus)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	var (
		p     paragraph
		known bool
		rest  = data
	)
	for n := 1; len(rest) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return l.pkgs, ctx.Err()
		}
		var raw []byte
		if raw, rest, _ = bytes.Cut(rest, []byte{'\n'}); len(raw) > maxLine {
			continue
		}
		line := strings.TrimRight(string(raw), "\r ")
		if line == "" {
			p.addTo(l)
			p = paragraph{}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		value = strings.TrimSpace(value)
		switch key {
		case "Package":
			p.name, p.line, known = value, n, true
		case "Version":
			p.version = value
		case "Port-Version":
			p.revision = value
		case "Feature":
			p.feature = value
		case "Status":
			p.installed = value == "install ok installed"
		}
	}
	p.addTo(l)
	if !known && len(bytes.TrimSpace(data)) > 0 {
		return l.pkgs, malformed(f, errors.New("no status of vcpkg"))
	}
	return l.pkgs, ctx.Err()
}

// A paragraph tells of one port, or of one feature of it.
type paragraph struct {
	name, version, revision, feature string
	line                             int
	installed                        bool
}

func (p paragraph) addTo(l *list) {
	if !p.installed || p.feature != "" && p.version == "" {
		return // a feature belongs to a port that has a paragraph of its own
	}
	version := p.version
	if p.revision != "" {
		version += "#" + p.revision
	}
	if pkg, ok := port(p.name, version); ok {
		l.add(pkg, p.line)
	}
}

// VcpkgSPDX reads the bill of materials that vcpkg leaves with each port that it
// installs, share/NAME/vcpkg.spdx.json. It tells what is in an image into which
// only built files were copied. Its zero value is ready to use.
type VcpkgSPDX struct{}

// Name gives "vcpkg-spdx".
func (VcpkgSPDX) Name() string { return "vcpkg-spdx" }

// Wants tells whether p is such a bill.
func (VcpkgSPDX) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "vcpkg.spdx.json" && st.Mode&fs.ModeType == 0
}

// Extract gives the port. The sources that it was built from, which the bill
// lists too, are parts of it and not told apart.
func (e VcpkgSPDX) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxBill)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	r := newReader(ctx, data)
	known := false
	err = r.object(func(key string) error {
		if key != "packages" {
			return r.skip()
		}
		known = true
		return r.elements(func() error {
			line := r.line()
			var s spdxPackage
			if err := r.value(&s); err != nil {
				return err
			}
			if s.ID != "SPDXRef-port" {
				return nil
			}
			p, ok := port(s.Name, s.Version)
			if !ok {
				return nil
			}
			if s.License != "" && s.License != "NOASSERTION" && s.License != "NONE" && len(s.License) <= 4*maxName {
				p.Licenses = []string{s.License}
			}
			l.add(p, line)
			return nil
		})
	})
	if err == nil && !known {
		err = errors.New("no bill of materials of vcpkg")
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// An spdxPackage is a package of the bill.
type spdxPackage struct {
	Name    string `json:"name"`
	ID      string `json:"SPDXID"`
	Version string `json:"versionInfo"`
	License string `json:"licenseConcluded"`
}
