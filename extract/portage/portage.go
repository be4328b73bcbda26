// SPDX-License-Identifier: Apache-2.0

// Package portage finds the packages of Portage's database of installed
// packages, which Gentoo and its relatives have: one directory for each package,
// below that of its category, with a file for each of its variables
// (https://wiki.gentoo.org/wiki//var/db/pkg). The OSV database has no ecosystem
// for them. It does not know ebuilds that are not installed, the meaning of
// versions, or the files on disk.
package portage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	name = "portage"
	root = "var/db/pkg"

	fileName       = "PF"         // name with version and revision
	fileSlot       = "SLOT"       // versions in different slots are installed side by side
	fileLicense    = "LICENSE"    // after USE flags were applied
	fileContents   = "CONTENTS"   // what the package owns
	fileRepository = "repository" // that the ebuild came from

	maxValue    = 64 << 10 // bytes of a file with one value
	maxContents = 64 << 20 // bytes; the sources of a kernel have about 10 MB
	maxTerms    = 64       // licences of one package
	maxGaps     = 20       // for the database, which may have thousands of errors
	maxBad      = 1000     // damaged packages; then there is no database
)

var errEntry = errors.New("malformed entry")

// An Extractor reads Portage's database. The zero Extractor is ready.
type Extractor struct{}

// Name gives "portage".
func (Extractor) Name() string { return name }

// Wants takes the files that say what a package is, what it owns, and under
// which licence it is.
func (Extractor) Wants(path string, _ bulwark.Stat) bool {
	rest, ok := strings.CutPrefix(path, root+"/")
	if !ok {
		return false
	}
	category, rest, ok := strings.Cut(rest, "/")
	if !ok || category == "" {
		return false
	}
	pkg, file, ok := strings.Cut(rest, "/")
	if !ok || pkg == "" || strings.HasPrefix(pkg, "-MERGING-") {
		return false // the latter is being installed; of an upgrade the old one is still there
	}
	switch file {
	case fileName, fileSlot, fileLicense, fileContents, fileRepository:
		return true
	}
	return false
}

// Optional tells whether a file only adds to what the database says. The name of
// a package is needed.
func (Extractor) Optional(path string) bool { return !strings.HasSuffix(path, "/"+fileName) }

// Extract gives the packages of the database in fsys, named with their
// category. What cannot be read is a gap. The error is that of ctx, and comes
// with what was found before.
func (Extractor) Extract(ctx context.Context, fsys fs.FS, os *bulwark.OS, asked func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	c := collector{fsys: fsys, os: os, asked: asked}
	err := c.database(ctx)
	return c.pkgs, c.gaps, err
}

type collector struct {
	fsys  fs.FS
	os    *bulwark.OS
	asked func(path string) bool
	pkgs  []bulwark.Package
	gaps  []bulwark.Gap
	bad   int
}

func (c *collector) gap(file string, err error, hides bool) {
	c.bad++
	if c.bad > maxGaps {
		return
	}
	g := bulwark.Gap{Kind: bulwark.GapUnreadable, Path: file, Detail: err.Error(), Hides: hides}
	switch {
	case c.bad == maxGaps:
		g.Kind, g.Hides, g.Detail = bulwark.GapLimit, true, "further damage in this database is not listed"
	case errors.Is(err, errEntry):
		g.Kind = bulwark.GapMalformed
	case errors.Is(err, bulwark.ErrTooLarge):
		g.Kind = bulwark.GapLimit
	}
	c.gaps = append(c.gaps, g)
}

// dirs gives the directories below dir.
func (c *collector) dirs(dir string) []fs.DirEntry {
	entries, err := fs.ReadDir(c.fsys, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.gap(dir, err, true)
	}
	out := entries[:0]
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e)
		}
	}
	return out
}

func (c *collector) database(ctx context.Context) error {
	for _, category := range c.dirs(root) {
		dir := path.Join(root, category.Name())
		for _, pkg := range c.dirs(dir) {
			if err := ctx.Err(); err != nil {
				return err
			}
			c.entry(category.Name(), path.Join(dir, pkg.Name()))
			if c.bad >= maxBad {
				return nil
			}
		}
	}
	return nil
}

// entry adds the package of one directory. The directory is named like the
// package, and Portage itself goes by that.
func (c *collector) entry(category, dir string) {
	pf := path.Base(dir)
	file := path.Join(dir, fileName)
	if stored, err := c.value(file); err != nil {
		c.gap(file, err, false)
	} else if stored != "" && stored != pf {
		c.gap(file, fmt.Errorf("package %q in the directory of %q: %w", stored, pf, errEntry), false)
	}
	n, version, ok := split(pf)
	if !ok {
		c.gap(dir, fmt.Errorf("package %q without a version: %w", pf, errEntry), true)
		return
	}
	optional := func(base string) string {
		v, err := c.value(path.Join(dir, base))
		if err != nil {
			c.gap(path.Join(dir, base), err, false)
		}
		return v
	}
	p := bulwark.Package{
		Name: category + "/" + n, Version: version, Vendor: optional(fileRepository),
		Licenses: licenses(optional(fileLicense)), Where: []bulwark.Location{{Path: file}}, By: name,
	}
	p.PURL = c.purl(category, n, version, optional(fileSlot))
	c.own(&p, path.Join(dir, fileContents))
	c.pkgs = append(c.pkgs, p)
}

// own notes what p owns of what is asked for.
func (c *collector) own(p *bulwark.Package, list string) {
	if c.asked == nil {
		return
	}
	text, err := c.text(list, maxContents)
	if err != nil {
		c.gap(list, err, false)
		return
	}
	p.Own(contents(text), c.asked)
}

// value gives the value in a file of one line; "" when there is no such file.
func (c *collector) value(file string) (string, error) {
	text, err := c.text(file, maxValue)
	return strings.TrimSpace(text), err
}

// text gives a whole file; "" when there is none.
func (c *collector) text(file string, limit int64) (string, error) {
	f, err := c.fsys.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read from
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return "", err
	}
	if st.Size() > limit {
		return "", fmt.Errorf("%d bytes, limit %d: %w", st.Size(), limit, bulwark.ErrTooLarge)
	}
	var b strings.Builder
	if _, err := io.Copy(&b, io.LimitReader(f, limit)); err != nil {
		return "", err
	}
	return b.String(), nil
}

func (c *collector) purl(category, pkg, version, slot string) string {
	q := map[string]string{}
	if slot != "" && slot != "0" {
		q["slot"] = slot
	}
	if c.os != nil && c.os.ID != "" {
		q["distro"] = c.os.ID
		if c.os.Version != "" {
			q["distro"] += "-" + c.os.Version
		}
	}
	return packageurl.NewPackageURL(packageurl.TypeEbuild, category, pkg, version, packageurl.QualifiersFromMap(q), "").ToString()
}
