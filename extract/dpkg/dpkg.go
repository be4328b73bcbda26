// SPDX-License-Identifier: Apache-2.0

// Package dpkg finds the packages of dpkg and opkg databases: the status file,
// the status.d directory of distroless images, the lists of owned files, and
// the licences that machine-readable copyright files and opkg's control files
// declare. It does not know versions, advisories, or the files on disk.
package dpkg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	name = "dpkg"

	statusFile = "var/lib/dpkg/status"
	statusDir  = "var/lib/dpkg/status.d"
	infoDir    = "var/lib/dpkg/info"
	docDir     = "usr/share/doc"

	kindOpkg = "opkg" // package URL type

	listExt = ".list"    // every path of a package, one a line
	sumsExt = ".md5sums" // a digest and a path a line, without configuration files
	ctrlExt = ".control" // a stanza, which opkg keeps of each package

	maxCopyright = 256 << 10 // bytes; licence texts in full are longer, but not machine-readable
	maxGaps      = 20        // for one directory, which may have thousands of errors
	maxBad       = 1000      // stanzas in one file, which is then none
)

// opkg databases have the form of dpkg's and belong to OpenWrt, Yocto and others.
// Entware has its own below /opt, beside the device's; ipkg is what opkg was
// before.
var opkg = [...]struct{ status, info string }{
	{"var/lib/opkg/status", "var/lib/opkg/info"},
	{"usr/lib/opkg/status", "usr/lib/opkg/info"},
	{"opt/lib/opkg/status", "opt/lib/opkg/info"},
	{"opt/var/lib/opkg/status", "opt/var/lib/opkg/info"},
	{"usr/lib/ipkg/status", "usr/lib/ipkg/info"},
	{"opt/lib/ipkg/status", "opt/lib/ipkg/info"},
}

// An Extractor reads dpkg and opkg databases. The zero Extractor is ready.
type Extractor struct{}

// Name gives "dpkg".
func (Extractor) Name() string { return name }

// Wants takes status files, lists of owned files, opkg's control files, and
// copyright files of a size that machine-readable ones have.
func (Extractor) Wants(path string, st bulwark.Stat) bool {
	if path == statusFile {
		return true
	}
	if rest, ok := strings.CutPrefix(path, docDir+"/"); ok {
		pkg, ok := strings.CutSuffix(rest, "/copyright")
		return ok && pkg != "" && strings.IndexByte(pkg, '/') < 0 && st.Size <= maxCopyright
	}
	if list, ok := inDir(path, infoDir); ok {
		return strings.HasSuffix(list, listExt) || strings.HasSuffix(list, sumsExt)
	}
	for i := range opkg {
		if path == opkg[i].status {
			return true
		}
		if list, ok := inDir(path, opkg[i].info); ok {
			return strings.HasSuffix(list, listExt) || strings.HasSuffix(list, sumsExt) || strings.HasSuffix(list, ctrlExt)
		}
	}
	rest, ok := strings.CutPrefix(path, statusDir+"/")
	return ok && rest != "" && strings.IndexByte(rest, '/') < 0
}

// inDir gives the name of a file that lies directly in dir.
func inDir(path, dir string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(path, dir)
	if !ok || len(rest) < 2 || rest[0] != '/' || strings.IndexByte(rest[1:], '/') >= 0 {
		return "", false
	}
	return rest[1:], true
}

// Extract gives the installed packages of every database in fsys. What cannot be
// read is a gap. The error is that of ctx, and comes with what was found before.
func (Extractor) Extract(ctx context.Context, fsys fs.FS, os *bulwark.OS, asked func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	c := collector{fsys: fsys, os: os, asked: asked, lost: map[string]int{}, lists: map[string]bool{}, terms: map[string][]string{}}
	if err := c.status(ctx, database{status: statusFile, info: infoDir, kind: packageurl.TypeDebian}); err != nil {
		return c.pkgs, c.gaps, err
	}
	if err := c.distroless(ctx); err != nil {
		return c.pkgs, c.gaps, err
	}
	for _, db := range opkg {
		if err := c.status(ctx, database{status: db.status, info: db.info, kind: kindOpkg}); err != nil {
			return c.pkgs, c.gaps, err
		}
	}
	return c.pkgs, c.gaps, nil
}

// A database is one status file and what belongs to it.
type database struct {
	status string
	info   string // directory of the lists
	kind   string // package URL type
	single bool   // a file of status.d: its packages are there, and have no Status
	sums   string // the list that belongs to a single file
}

type collector struct {
	fsys  fs.FS
	os    *bulwark.OS
	asked func(path string) bool
	pkgs  []bulwark.Package
	gaps  []bulwark.Gap
	lost  map[string]int // gaps by directory

	// Lists already read, and licences by package. A package has one stanza; a
	// hostile status file that repeats it must not make its list count again.
	lists map[string]bool
	terms map[string][]string
}

func (c *collector) gap(file string, err error, hides bool) {
	dir := path.Dir(file)
	c.lost[dir]++
	n := c.lost[dir]
	if n > maxGaps {
		return
	}
	g := bulwark.Gap{Kind: bulwark.GapUnreadable, Path: file, Detail: err.Error(), Hides: hides}
	switch {
	case n == maxGaps:
		g.Kind, g.Hides, g.Detail = bulwark.GapLimit, true, "further damage here is not listed"
	case errors.Is(err, errStanza):
		g.Kind = bulwark.GapMalformed
	case errors.Is(err, bulwark.ErrTooLarge):
		g.Kind = bulwark.GapLimit
	}
	c.gaps = append(c.gaps, g)
}

// distroless reads the directory in which images without dpkg keep one file for
// each package.
func (c *collector) distroless(ctx context.Context) error {
	entries, err := fs.ReadDir(c.fsys, statusDir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.gap(statusDir, err, true)
		}
		return nil
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasSuffix(e.Name(), sumsExt) || strings.HasSuffix(e.Name(), listExt) {
			continue
		}
		p := path.Join(statusDir, e.Name())
		db := database{status: p, info: infoDir, kind: packageurl.TypeDebian, single: true, sums: p + sumsExt}
		if err := c.status(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

// status reads one status file, if it is there.
func (c *collector) status(ctx context.Context, db database) error {
	f, err := c.fsys.Open(db.status)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		c.gap(db.status, err, true)
		return nil
	}
	defer f.Close() //nolint:errcheck // only read from
	if st, err := f.Stat(); err == nil && !st.Mode().IsRegular() {
		return nil
	}
	bad := 0
	for s, err := range stanzas(f) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.gap(db.status, err, true)
			if bad++; bad == maxBad {
				c.gap(db.status, fmt.Errorf("given up after %d damaged stanzas: %w", bad, bulwark.ErrTooLarge), true)
				return nil
			}
		}
		there, known := present(s.status)
		if db.single && s.status == "" {
			there, known = true, true
		}
		if s.name == "" && s.version == "" || known && !there {
			continue
		}
		if s.name == "" || s.version == "" || !known {
			c.gap(db.status, fmt.Errorf("package %q with version %q and status %q: %w", s.name, s.version, s.status, errStanza), true)
			if bad++; bad == maxBad {
				return nil
			}
			continue
		}
		p := c.noun(s, db)
		if c.asked != nil {
			p.Own(c.files(s, db), c.asked)
		}
		if db.kind == packageurl.TypeDebian {
			p.Licenses = c.licenses(s.name)
		} else {
			p.Licenses = c.control(db.info, s.name)
		}
		c.pkgs = append(c.pkgs, p)
	}
	return nil
}

// present tells whether the files of a package with this Status are there. The
// third word says what was done, the first only what is wanted. Of a package
// that is half installed some files may be there, and its version is known.
func present(status string) (there, known bool) {
	words := strings.Fields(status)
	if len(words) != 3 {
		return false, false
	}
	switch words[2] {
	case "installed", "unpacked", "half-configured", "half-installed", "triggers-awaited", "triggers-pending":
		return true, true
	case "not-installed", "config-files":
		return false, true
	}
	return false, false
}

func (c *collector) noun(s stanza, db database) bulwark.Package {
	p := bulwark.Package{
		Name: s.name, Version: s.version, Arch: s.arch, Vendor: s.maintainer,
		Where: []bulwark.Location{{Path: db.status}}, By: name,
	}
	if c.os != nil && db.kind == packageurl.TypeDebian {
		p.Ecosystem = c.os.Ecosystem
	}
	p.Source = s.name
	// "name" or "name (version)", the latter when the versions differ.
	if source, version, _ := strings.Cut(s.source, " "); source != "" {
		p.Source = source
		if version = strings.Trim(version, " ()"); version != s.version {
			p.SourceVersion = version
		}
	}
	p.PURL = c.purl(p, db.kind)
	return p
}

func (c *collector) purl(p bulwark.Package, kind string) string {
	q := map[string]string{}
	if p.Arch != "" {
		q["arch"] = p.Arch
	}
	if p.Source != p.Name || p.SourceVersion != "" {
		q["upstream"] = p.Source
		if p.SourceVersion != "" {
			q["upstream"] += "@" + p.SourceVersion
		}
	}
	namespace := ""
	if c.os != nil && c.os.ID != "" {
		q["distro"] = c.os.ID
		if v := c.os.Version; v != "" {
			q["distro"] += "-" + v
		} else if c.os.Codename != "" {
			q["distro"] += "-" + c.os.Codename
		}
		if kind == packageurl.TypeDebian {
			namespace = c.os.ID
		}
	}
	return packageurl.NewPackageURL(kind, namespace, p.Name, p.Version, packageurl.QualifiersFromMap(q), "").ToString()
}
