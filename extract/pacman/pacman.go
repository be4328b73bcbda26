// SPDX-License-Identifier: Apache-2.0

// Package pacman finds the packages of pacman's local database, which Arch Linux
// and its relatives have: one directory for each installed package, with its
// description and the list of its files
// (https://alpm.archlinux.page/specifications/alpm-db-desc.5.html). The OSV
// database has no ecosystem for them. It does not know versions, the databases of
// repositories, or the files on disk.
package pacman

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
	name = "pacman"

	descFile  = "desc"
	filesFile = "files"

	// Bytes of a description; real ones have less than ten thousand.
	maxDesc = 1 << 20
	// Bytes of a list of files; the longest of Arch Linux have about 5 MB.
	maxFiles = 32 << 20
	maxText  = 4096 // bytes of one value
	maxTerms = 64   // licences of one package
	maxGaps  = 20   // for one database, which may have thousands of errors
	maxBad   = 1000 // damaged packages in one database, which is then none
)

// databases are where the local database lies: the usual place, that of systems
// which keep it with the read-only image, and SteamOS's.
var databases = [...]string{
	"var/lib/pacman/local",
	"usr/lib/sysimage/lib/pacman/local",
	"usr/lib/holo/pacmandb/local",
}

var errEntry = errors.New("malformed entry")

// An Extractor reads pacman's local database. The zero Extractor is ready.
type Extractor struct{}

// Name gives "pacman".
func (Extractor) Name() string { return name }

// Wants takes descriptions and lists of files.
func (Extractor) Wants(path string, _ bulwark.Stat) bool {
	for _, dir := range databases {
		rest, ok := strings.CutPrefix(path, dir)
		if !ok || rest == "" || rest[0] != '/' {
			continue
		}
		pkg, file, ok := strings.Cut(rest[1:], "/")
		return ok && pkg != "" && (file == descFile || file == filesFile)
	}
	return false
}

// Optional tells whether a file only adds to what the database says: a list of
// files names what a package owns.
func (Extractor) Optional(path string) bool { return strings.HasSuffix(path, "/"+filesFile) }

// Extract gives the packages of every database in fsys; a package that several
// have is given once, with each as its place. What cannot be read is a gap. The
// error is that of ctx, and comes with what was found before.
func (Extractor) Extract(ctx context.Context, fsys fs.FS, os *bulwark.OS, asked func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	c := collector{fsys: fsys, os: os, asked: asked}
	for _, dir := range databases {
		if err := c.database(ctx, dir); err != nil {
			return c.pkgs, c.gaps, err
		}
	}
	return c.pkgs, c.gaps, nil
}

type collector struct {
	fsys  fs.FS
	os    *bulwark.OS
	asked func(path string) bool
	pkgs  []bulwark.Package
	gaps  []bulwark.Gap

	first int // in pkgs, of the database that is being read
	bad   int
	known map[string]int // packages of databases before
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

// database reads the directories of one database, if it is there.
func (c *collector) database(ctx context.Context, dir string) error {
	entries, err := fs.ReadDir(c.fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	c.first, c.bad = len(c.pkgs), 0
	for i := range c.pkgs {
		if c.known == nil {
			c.known = map[string]int{}
		}
		c.known[c.pkgs[i].Key()] = i
	}
	if err != nil {
		c.gap(dir, err, true)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.IsDir() {
			c.entry(path.Join(dir, e.Name()))
		}
		if c.bad >= maxBad {
			return nil
		}
	}
	return nil
}

// entry adds the package of one directory.
func (c *collector) entry(dir string) {
	file := path.Join(dir, descFile)
	text, err := c.text(file, maxDesc)
	var d desc
	if err == nil {
		if d, err = parse(text); err != nil {
			c.gap(file, err, false)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		c.gap(file, err, false)
	}
	if d.name == "" || d.version == "" {
		// The directory is named after the package, so that it is known even when
		// nothing can be read of its description.
		n, v, ok := split(path.Base(dir))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			c.gap(file, fmt.Errorf("package %q with version %q: %w", d.name, d.version, errEntry), !ok)
		}
		if !ok {
			return
		}
		d.name, d.version = n, v
	}
	p := bulwark.Package{
		Name: d.name, Version: d.version, Arch: d.arch, Source: d.base, Vendor: d.packager, Licenses: d.licenses,
		Where: []bulwark.Location{{Path: file}}, By: name,
	}
	if p.Source == "" {
		p.Source = d.name
	}
	p.PURL = c.purl(p)
	c.own(&p, path.Join(dir, filesFile))
	if i, ok := c.known[p.Key()]; ok && i < c.first {
		c.pkgs[i].Where = append(c.pkgs[i].Where, p.Where...)
		return
	}
	c.pkgs = append(c.pkgs, p)
}

// own notes what p owns of what is asked for.
func (c *collector) own(p *bulwark.Package, list string) {
	if c.asked == nil {
		return
	}
	text, err := c.text(list, maxFiles)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.gap(list, err, false)
		}
		return
	}
	p.Own(files(text), c.asked)
}

// text gives a whole file.
func (c *collector) text(file string, limit int64) (string, error) {
	f, err := c.fsys.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read from
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !st.Mode().IsRegular() {
		return "", &fs.PathError{Op: "open", Path: file, Err: fs.ErrNotExist}
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

// split takes the name of a directory apart, "name-version-release"; neither
// version nor release has a dash.
func split(dir string) (name, version string, ok bool) {
	release := strings.LastIndexByte(dir, '-')
	if release <= 0 {
		return "", "", false
	}
	v := strings.LastIndexByte(dir[:release], '-')
	if v <= 0 || v+1 == release || release+1 == len(dir) {
		return "", "", false
	}
	return dir[:v], dir[v+1:], true
}

// purl follows the alpm type of the package URL specification, whose namespace
// is the distribution.
func (c *collector) purl(p bulwark.Package) string {
	q := map[string]string{}
	if p.Arch != "" {
		q["arch"] = p.Arch
	}
	if p.Source != p.Name {
		q["upstream"] = p.Source
	}
	namespace := "arch"
	// Elsewhere pacman installs what Arch Linux packages, or what is like it.
	if c.os != nil && (c.os.ID == namespace || slices.Contains(strings.Fields(c.os.Like), namespace)) {
		namespace = c.os.ID
		q["distro"] = c.os.ID
		if c.os.Version != "" {
			q["distro"] += "-" + c.os.Version
		}
	}
	return packageurl.NewPackageURL(packageurl.TypeAlpm, namespace, p.Name, p.Version, packageurl.QualifiersFromMap(q), "").ToString()
}
