// SPDX-License-Identifier: Apache-2.0

// Package apk finds the packages of an apk database, the list of installed
// packages of Alpine and its relatives
// (https://wiki.alpinelinux.org/wiki/Apk_spec). It does not know versions,
// advisories, or the files on disk.
package apk

import (
	"bufio"
	"bytes"
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
	name = "apk"

	// Bytes of one line. Lists of dependencies, which are not read, may be
	// longer; what is read is short.
	maxLine = 64 << 10
	maxPath = 4096
	maxText = 4096
	// Bytes of all paths of one package, for each byte of its entry: every file
	// has a line with its name, and each directory one with its path.
	maxPathFactor = 16

	maxGaps = 20   // for one database, which may have thousands of errors
	maxBad  = 1000 // damaged entries in one database, which is then none
)

// databases are where the list is: apk 3 moves it below /usr.
var databases = [...]string{"lib/apk/db/installed", "usr/lib/apk/db/installed"}

var errEntry = errors.New("malformed entry")

// An Extractor reads apk databases. The zero Extractor is ready.
type Extractor struct{}

// Name gives "apk".
func (Extractor) Name() string { return name }

// Wants takes the list of installed packages.
func (Extractor) Wants(path string, _ bulwark.Stat) bool {
	return path == databases[0] || path == databases[1]
}

// Extract gives the packages of every database in fsys; a package that both
// have is given once, with each as its place. What cannot be read is a gap. The
// error is that of ctx, and comes with what was found before.
func (Extractor) Extract(ctx context.Context, fsys fs.FS, os *bulwark.OS, asked func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	c := collector{os: os, asked: asked}
	for _, p := range databases {
		if err := c.database(ctx, fsys, p); err != nil {
			return c.pkgs, c.gaps, err
		}
	}
	return c.pkgs, c.gaps, nil
}

type collector struct {
	os    *bulwark.OS
	asked func(path string) bool
	pkgs  []bulwark.Package
	gaps  []bulwark.Gap

	path  string // of the database that is being read
	first int    // its first package in pkgs
	bad   int
	known map[string]int // packages of databases before
}

// An entry is what is kept of one package.
type entry struct {
	name, version, arch, license, origin, maintainer string

	files []string
	dir   string // directory of the files that follow
	bytes int    // of its lines
	paths int    // bytes of its paths
	begun bool
	full  bool // paths go over the limit
	err   error
}

func (c *collector) gap(err error, hides bool) {
	c.bad++
	if c.bad > maxGaps {
		return
	}
	g := bulwark.Gap{Kind: bulwark.GapUnreadable, Path: c.path, Detail: err.Error(), Hides: hides}
	switch {
	case c.bad == maxGaps:
		g.Kind, g.Hides, g.Detail = bulwark.GapLimit, true, "further damage in this file is not listed"
	case errors.Is(err, errEntry):
		g.Kind = bulwark.GapMalformed
	case errors.Is(err, bulwark.ErrTooLarge):
		g.Kind = bulwark.GapLimit
	}
	c.gaps = append(c.gaps, g)
}

func (c *collector) database(ctx context.Context, fsys fs.FS, p string) error {
	f, err := fsys.Open(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	c.path, c.first, c.bad = p, len(c.pkgs), 0
	for i := range c.pkgs {
		if c.known == nil {
			c.known = map[string]int{}
		}
		c.known[c.pkgs[i].Key()] = i
	}
	if err != nil {
		c.gap(err, true)
		return nil
	}
	defer f.Close() //nolint:errcheck // only read from
	if st, err := f.Stat(); err == nil && !st.Mode().IsRegular() {
		return nil
	}
	var e entry
	r := bufio.NewReaderSize(f, maxLine)
	for no := 1; ; no++ {
		if no%64 == 0 && ctx.Err() != nil || no == 1 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, long, err := readLine(r)
		if text := bytes.TrimRight(line, "\r\n"); len(text) > 0 {
			e.line(no, text, long)
		} else if len(line) > 0 {
			c.entry(e)
			e = entry{}
		}
		if c.bad >= maxBad {
			return nil
		}
		if err != nil {
			c.entry(e)
			if !errors.Is(err, io.EOF) {
				c.gap(err, true)
			}
			return nil
		}
	}
}

// readLine gives the next line, of a long one the beginning. The line is valid
// until the next call.
func readLine(r *bufio.Reader) (line []byte, long bool, err error) {
	line, err = r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, false, err
	}
	line = bytes.Clone(line[:16])
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return line, true, err
}

// line takes one line over: a letter, a colon and a value.
func (e *entry) line(no int, text []byte, long bool) {
	e.begun = true
	e.bytes += len(text)
	fail := func(err error) {
		if e.err == nil {
			e.err = fmt.Errorf("line %d: %w", no, err)
		}
	}
	if len(text) < 2 || text[1] != ':' {
		fail(errEntry)
		return
	}
	var to *string
	switch text[0] {
	case 'P':
		to = &e.name
	case 'V':
		to = &e.version
	case 'A':
		to = &e.arch
	case 'L':
		to = &e.license
	case 'o':
		to = &e.origin
	case 'm':
		to = &e.maintainer
	case 'F':
		e.dir = ""
		if !long && len(text) < maxPath {
			e.dir = string(text[2:])
		}
		return
	case 'R':
		e.file(string(text[2:]), long)
		return
	default:
		return // what is not read, and what apk adds one day
	}
	switch {
	case long || len(text) > maxText:
		fail(fmt.Errorf("field %q: %w", text[:1], bulwark.ErrTooLarge))
	case *to != "":
		fail(fmt.Errorf("field %q twice: %w", text[:1], errEntry))
	default:
		*to = string(text[2:])
	}
}

// file adds a file of the current directory.
func (e *entry) file(base string, long bool) {
	size := len(e.dir) + 1 + len(base)
	if e.full || long || base == "" || size > maxPath {
		return
	}
	if e.paths += size; e.paths > maxPathFactor*e.bytes+maxPath {
		e.full = true
		return
	}
	p := path.Join(e.dir, base)
	if p == "." || !fs.ValidPath(p) {
		return
	}
	e.files = append(e.files, p)
	// On merged systems these directories are links into /usr.
	if first, _, ok := strings.Cut(p, "/"); ok && (first == "bin" || first == "sbin" || first == "lib") {
		e.files = append(e.files, "usr/"+p)
	}
}

// entry adds the package that the lines up to an empty one describe.
func (c *collector) entry(e entry) {
	if !e.begun {
		return
	}
	if e.name == "" || e.version == "" {
		err := e.err
		if err == nil {
			err = errEntry
		}
		c.gap(fmt.Errorf("package %q with version %q: %w", e.name, e.version, err), true)
		return
	}
	if e.err != nil {
		c.gap(fmt.Errorf("package %q: %w", e.name, e.err), true)
	}
	if e.full {
		c.gap(fmt.Errorf("files of package %q: %w", e.name, bulwark.ErrTooLarge), false)
	}
	p := bulwark.Package{
		Name: e.name, Version: e.version, Arch: e.arch, Source: e.origin, Vendor: e.maintainer,
		Where: []bulwark.Location{{Path: c.path}}, By: name,
	}
	p.Own(e.files, c.asked)
	if p.Source == "" {
		p.Source = e.name
	}
	if e.license != "" {
		p.Licenses = []string{e.license}
	}
	if c.os != nil {
		p.Ecosystem = c.os.Ecosystem
	}
	p.PURL = c.purl(p)
	if i, ok := c.known[p.Key()]; ok && i < c.first {
		c.pkgs[i].Where = append(c.pkgs[i].Where, p.Where...)
		return
	}
	c.pkgs = append(c.pkgs, p)
}

func (c *collector) purl(p bulwark.Package) string {
	q := map[string]string{}
	if p.Arch != "" {
		q["arch"] = p.Arch
	}
	if p.Source != p.Name {
		q["upstream"] = p.Source
	}
	namespace := ""
	if c.os != nil && c.os.ID != "" {
		namespace = c.os.ID
		q["distro"] = c.os.ID
		if c.os.Version != "" {
			q["distro"] += "-" + c.os.Version
		}
	}
	return packageurl.NewPackageURL(packageurl.TypeApk, namespace, p.Name, p.Version, packageurl.QualifiersFromMap(q), "").ToString()
}
