// SPDX-License-Identifier: Apache-2.0

// Package snap finds snaps and the Debian packages that they say they were made
// of. It knows where snaps are mounted or unpacked, what their makers wrote into
// them (https://snapcraft.io/docs/snap-format), and which snaps snapd has
// installed. It does not open the file system images that snaps are kept in: of
// a snap that is not mounted, name and revision are known, its version is not.
package snap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	name = "snap"

	metaFile     = "meta/snap.yaml"             // what every snap has
	manifestFile = "snap/manifest.yaml"         // what snapcraft built it from, where it was asked to say so
	listFile     = "usr/share/snappy/dpkg.list" // what base snaps consist of
	yamlFile     = "usr/share/snappy/dpkg.yaml"

	stateFile = "var/lib/snapd/state.json"

	// Bytes of one file. The largest, manifests of desktop programs, have some
	// hundred thousand; snapd's state holds its history, too.
	maxYAML  = 1 << 20
	maxList  = 4 << 20
	maxState = 64 << 20
	maxText  = 1024    // bytes of one value
	maxSnaps = 100_000 // packages of one snap, snaps of one state
	maxGaps  = 20
	maxBad   = 1000
)

// mounts are the directories below which snapd mounts each revision of each snap.
var mounts = [...]string{"snap/", "var/lib/snapd/snap/"}

var errSnap = errors.New("malformed")

// An Extractor reads snaps and snapd's state. The zero Extractor is ready.
type Extractor struct{}

// Name gives "snap".
func (Extractor) Name() string { return name }

// Wants takes the files in which snaps and snapd say what they are.
func (Extractor) Wants(path string, _ bulwark.Stat) bool {
	return path == stateFile || wanted(path)
}

// wanted tells whether a file is one that a snap describes itself with: of a snap
// that is mounted, or of one that was unpacked at the root.
func wanted(path string) bool {
	for _, m := range mounts {
		rest, ok := strings.CutPrefix(path, m)
		if !ok {
			continue
		}
		snap, rest, _ := strings.Cut(rest, "/")
		revision, rest, _ := strings.Cut(rest, "/")
		if snap != "" && revision != "" && isFile(rest) {
			return true
		}
	}
	return isFile(path)
}

func isFile(s string) bool {
	return s == metaFile || s == manifestFile || s == listFile || s == yamlFile
}

// Extract gives the snaps, and below them the packages that they list. What
// cannot be read is a gap, and so is that the lists do not name the sources that
// advisories go by. The error is that of ctx, and comes with what was found
// before.
func (Extractor) Extract(ctx context.Context, fsys fs.FS, _ *bulwark.OS, _ func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	c := collector{fsys: fsys, mounted: map[string]bool{}}
	err := c.run(ctx)
	if c.listed != "" {
		c.gaps = append(c.gaps, bulwark.Gap{
			Kind: bulwark.GapAdvisory, Path: c.listed,
			Detail: "snaps list packages without the sources that they were built from: advisories are found only for those that are named like their source",
		})
	}
	return c.pkgs, c.gaps, err
}

type collector struct {
	fsys    fs.FS
	pkgs    []bulwark.Package
	gaps    []bulwark.Gap
	bad     int
	mounted map[string]bool // "name/revision" that was read
	listed  string          // the first list of packages
}

func (c *collector) gap(file string, err error) {
	c.bad++
	if c.bad > maxGaps {
		return
	}
	g := bulwark.Gap{Kind: bulwark.GapUnreadable, Path: file, Detail: err.Error(), Hides: true}
	switch {
	case c.bad == maxGaps:
		g.Kind, g.Detail = bulwark.GapLimit, "further damage of snaps is not listed"
	case errors.Is(err, errSnap):
		g.Kind = bulwark.GapMalformed
	case errors.Is(err, bulwark.ErrTooLarge):
		g.Kind = bulwark.GapLimit
	}
	c.gaps = append(c.gaps, g)
}

func (c *collector) run(ctx context.Context) error {
	if err := c.one(ctx, "", "", ""); err != nil {
		return err
	}
	for _, m := range mounts {
		for _, snap := range c.dirs(path.Clean(m)) {
			for _, revision := range c.dirs(path.Join(m, snap)) {
				if err := c.one(ctx, path.Join(m, snap, revision), snap, revision); err != nil {
					return err
				}
				if c.bad >= maxBad {
					return nil
				}
			}
		}
	}
	return c.state(ctx)
}

// dirs gives the directories below dir.
func (c *collector) dirs(dir string) (out []string) {
	entries, err := fs.ReadDir(c.fsys, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.gap(dir, err)
	}
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

// one reads the snap that is mounted at dir, if there is one.
func (c *collector) one(ctx context.Context, dir, snap, revision string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	file := path.Join(dir, metaFile)
	data, err := c.read(file, maxYAML)
	if err != nil {
		c.gap(file, err)
	}
	var m meta
	if err == nil && data != nil {
		if m, err = parseMeta(data); err != nil {
			c.gap(file, err)
		}
	}
	if m.name == "" && dir != "" {
		m.name = snap // the mount is named after it
	}
	owner := ""
	if (data != nil || err != nil) && m.name != "" {
		p := m.noun(revision)
		p.Where = []bulwark.Location{{Path: file}}
		c.pkgs = append(c.pkgs, p)
		c.mounted[m.name+"/"+revision] = true
		owner = strings.TrimSpace(p.Name + " " + p.Version)
	}
	return c.contents(ctx, dir, m, owner)
}

// contents adds the packages that a snap says it was made of.
func (c *collector) contents(ctx context.Context, dir string, m meta, owner string) error {
	seen := map[string]bool{}
	add := func(file string, r release, list []dpkg) {
		for _, d := range list {
			key := d.name + "\x00" + d.version + "\x00" + d.arch
			if seen[key] || len(seen) >= maxSnaps {
				continue
			}
			seen[key] = true
			p := d.noun(r)
			p.Owner, p.Where = owner, []bulwark.Location{{Path: file}}
			c.pkgs = append(c.pkgs, p)
		}
		if len(list) > 0 && c.listed == "" {
			c.listed = file
		}
	}
	for _, l := range [...]struct {
		file  string
		limit int64
		parse func(context.Context, []byte) (release, []dpkg, error)
	}{
		{manifestFile, maxYAML, parseManifest},
		{yamlFile, maxYAML, parsePackages},
		{listFile, maxList, parseList},
	} {
		file := path.Join(dir, l.file)
		data, err := c.read(file, l.limit)
		if err == nil && data == nil {
			continue
		}
		var r release
		var list []dpkg
		if err == nil {
			r, list, err = l.parse(ctx, data)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.gap(file, err)
		}
		if r == (release{}) {
			r = m.release()
		}
		add(file, r, list)
	}
	return nil
}

// read gives a whole file; nil when there is none.
func (c *collector) read(file string, limit int64) ([]byte, error) {
	f, err := c.fsys.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read from
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%d bytes, limit %d: %w", st.Size(), limit, bulwark.ErrTooLarge)
	}
	b := make([]byte, st.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, err
	}
	return b, nil
}

// noun gives the package of a snap. Revision may be "".
func (m meta) noun(revision string) bulwark.Package {
	q := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			q[key] = value
		}
	}
	p := bulwark.Package{Name: m.name, Version: m.version, By: name}
	if m.license != "" {
		p.Licenses = []string{m.license}
	}
	if len(m.archs) == 1 && m.archs[0] != "all" {
		p.Arch = m.archs[0]
	}
	set("arch", p.Arch)
	set("base", m.base)
	set("revision", revision)
	p.PURL = packageurl.NewPackageURL(packageurl.TypeGeneric, name, p.Name, p.Version, packageurl.QualifiersFromMap(q), "").ToString()
	return p
}

// A release is the distribution that packages come from.
type release struct{ id, version string }

// ecosystem gives OSV's name of it; "" when it has none.
func (r release) ecosystem() string {
	switch year, month, ok := strings.Cut(r.version, "."); {
	case r.id == "debian" && r.version != "":
		return "Debian:" + year
	case r.id != "ubuntu" || !ok || len(year) != 2:
		return ""
	case month == "04" && (year[1]-'0')%2 == 0:
		return "Ubuntu:" + r.version + ":LTS"
	}
	return "Ubuntu:" + r.version
}

// release gives the distribution that a base snap is, or that the base of a snap
// is.
func (m meta) release() release {
	base := m.base
	if base == "" {
		base = m.name
	}
	if version, ok := strings.CutPrefix(base, "core"); ok {
		switch {
		case version == "":
			return release{"ubuntu", "16.04"}
		case len(version) == 2 && strings.Trim(version, "0123456789") == "":
			return release{"ubuntu", version + ".04"}
		}
	}
	return release{}
}

// A dpkg is one package in a list.
type dpkg struct{ name, version, arch string }

func (d dpkg) noun(r release) bulwark.Package {
	q := map[string]string{}
	if d.arch != "" {
		q["arch"] = d.arch
	}
	if r.id != "" {
		q["distro"] = strings.TrimSuffix(r.id+"-"+r.version, "-")
	}
	return bulwark.Package{
		Name: d.name, Version: d.version, Arch: d.arch, Ecosystem: r.ecosystem(), By: name,
		PURL: packageurl.NewPackageURL(packageurl.TypeDebian, r.id, d.name, d.version, packageurl.QualifiersFromMap(q), "").ToString(),
	}
}

// parsePair reads "name=version" or "name:architecture=version".
func parsePair(s string) (dpkg, bool) {
	name, version, ok := strings.Cut(s, "=")
	name, arch, _ := strings.Cut(strings.TrimSpace(name), ":")
	version = strings.TrimSpace(version)
	d := dpkg{strings.Clone(name), strings.Clone(version), strings.Clone(arch)}
	return d, ok && plain(name) && plain(version) && len(arch) < 64 && !strings.ContainsAny(arch, " \t\n/")
}

// plain tells whether s can be a name or a version of a Debian package
// (deb-control(5)).
func plain(s string) bool {
	if s == "" || len(s) > maxText {
		return false
	}
	return !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return c <= ' ' || c >= 0x7f || strings.IndexByte(`/"'\<>(){}[]|&;,`, c) >= 0
	})
}
