// SPDX-License-Identifier: Apache-2.0

// Package rpm finds the packages of rpm databases. It knows where they lie, in
// which of three forms (Berkeley DB, ndb, SQLite), what a package header says,
// and the manifest that distroless images of CBL-Mariner carry instead. It does
// not know versions, advisories, or the files on disk.
package rpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/bdb"
	"github.com/bulwark-sec/bulwark/internal/ndb"
	"github.com/bulwark-sec/bulwark/internal/sqlitefile"
)

const (
	name = "rpm"
	// Bytes of one package header. The largest of a distribution, those of
	// packages with a hundred thousand files, have about 20 MB.
	maxHeader = 64 << 20
	// Gaps for one database. A damaged one may have thousands of errors.
	maxGaps = 20
)

// databases are all places and forms of an rpm database. Since rpm 4.16 the
// form is a choice of the distribution; the second directory is where newer
// ones keep it, the third belongs to ostree.
var databases = [...]string{
	"var/lib/rpm/rpmdb.sqlite",
	"var/lib/rpm/Packages.db",
	"var/lib/rpm/Packages",
	"usr/lib/sysimage/rpm/rpmdb.sqlite",
	"usr/lib/sysimage/rpm/Packages.db",
	"usr/lib/sysimage/rpm/Packages",
	"usr/share/rpm/rpmdb.sqlite",
	"usr/share/rpm/Packages.db",
	"usr/share/rpm/Packages",
}

// An Extractor reads rpm databases. The zero Extractor is ready.
type Extractor struct{}

// Name gives "rpm".
func (Extractor) Name() string { return name }

// Wants takes the databases, the log beside an SQLite one, and the manifest.
func (Extractor) Wants(path string, _ bulwark.Stat) bool {
	if path == manifest {
		return true
	}
	path = strings.TrimSuffix(path, "-wal")
	for _, db := range databases {
		if path == db {
			return true
		}
	}
	return false
}

// Extract gives the packages of every database in fsys; a package that several
// have is given once, with each as its place. What cannot be read is a gap. The
// error is that of ctx, and comes with what was found before.
func (Extractor) Extract(ctx context.Context, fsys fs.FS, os *bulwark.OS, asked func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	c := collector{os: os, asked: asked}
	for _, path := range databases {
		if err := c.database(ctx, fsys, path); err != nil {
			return c.pkgs, c.gaps, err
		}
	}
	if err := c.manifest(ctx, fsys); err != nil {
		return c.pkgs, c.gaps, err
	}
	return c.pkgs, c.gaps, nil
}

// A collector gathers the packages of all databases.
type collector struct {
	os    *bulwark.OS
	asked func(path string) bool
	pkgs  []bulwark.Package
	gaps  []bulwark.Gap

	path  string // of the database that is being read
	first int    // its first package in pkgs
	lost  int    // gaps it has
	known map[string]int
}

// start begins a database. From the second one on, packages may repeat.
func (c *collector) start(path string) {
	c.path, c.first, c.lost = path, len(c.pkgs), 0
	for i := range c.pkgs {
		if c.known == nil {
			c.known = map[string]int{}
		}
		c.known[c.pkgs[i].Key()] = i
	}
}

func (c *collector) add(p bulwark.Package) {
	if i, ok := c.known[p.Key()]; ok && i < c.first {
		c.pkgs[i].Where = append(c.pkgs[i].Where, p.Where...)
		return
	}
	c.pkgs = append(c.pkgs, p)
}

// gap records err. Hides tells whether a package may be missing because of it.
func (c *collector) gap(err error, hides bool) {
	c.lost++
	if c.lost > maxGaps {
		return
	}
	g := bulwark.Gap{Kind: bulwark.GapUnreadable, Path: c.path, Detail: err.Error(), Hides: hides}
	switch {
	case c.lost == maxGaps:
		g.Kind, g.Hides, g.Detail = bulwark.GapLimit, true, "further damage in this database is not listed"
	case errors.Is(err, errHeader) || errors.Is(err, sqlitefile.ErrMalformed) || errors.Is(err, sqlitefile.ErrNoTable) ||
		errors.Is(err, bdb.ErrMalformed) || errors.Is(err, ndb.ErrMalformed):
		g.Kind = bulwark.GapMalformed
	case errors.Is(err, sqlitefile.ErrTooLarge) || errors.Is(err, bdb.ErrTooLarge) || errors.Is(err, ndb.ErrTooLarge) ||
		errors.Is(err, bulwark.ErrTooLarge):
		g.Kind = bulwark.GapLimit
	case errors.Is(err, sqlitefile.ErrUnsupported) || errors.Is(err, bdb.ErrUnsupported) || errors.Is(err, ndb.ErrUnsupported):
		g.Kind = bulwark.GapUnsupported
	}
	c.gaps = append(c.gaps, g)
}

// database reads one database, if it is there.
func (c *collector) database(ctx context.Context, fsys fs.FS, path string) error {
	f, err := open(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	c.start(path)
	if err != nil {
		c.gap(err, true)
		return nil
	}
	defer f.Close() //nolint:errcheck // only read from
	var log *file
	if strings.HasSuffix(path, ".sqlite") {
		log, err = open(fsys, path+"-wal")
		switch {
		case err == nil:
			defer log.Close() //nolint:errcheck // only read from
		case !errors.Is(err, fs.ErrNotExist):
			c.gap(err, true)
		}
	}
	for blob, err := range headers(ctx, f, log) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.gap(err, true)
			continue
		}
		c.header(blob)
	}
	return nil
}

// headers gives the package headers of a database, whose form its first bytes
// tell: a name may lie. A header is valid until the next one.
func headers(ctx context.Context, f, log *file) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		head := make([]byte, 16)
		n, err := f.ReadAt(head, 0)
		if n < len(head) && !errors.Is(err, io.EOF) {
			yield(nil, err)
			return
		}
		switch head = head[:n]; {
		case sqlitefile.Is(head):
			var wal io.ReaderAt
			var walSize int64
			if log != nil {
				wal, walSize = log, log.size
			}
			db, err := sqlitefile.Open(ctx, f, f.size, wal, walSize)
			if err != nil {
				yield(nil, err)
				return
			}
			for row, err := range db.Rows(ctx, "Packages", maxHeader) {
				var blob []byte
				if err == nil {
					if len(row.Columns) < 2 || row.Columns[1].Kind != sqlitefile.Blob {
						err = fmt.Errorf("row %d is not a header: %w", row.ID, sqlitefile.ErrMalformed)
					} else {
						blob = row.Columns[1].Bytes
					}
				}
				if !yield(blob, err) {
					return
				}
			}
		case ndb.Is(head):
			db, err := ndb.Open(f, f.size)
			if err != nil {
				yield(nil, err)
				return
			}
			for b, err := range db.Blobs(ctx, maxHeader) {
				if !yield(b.Data, err) {
					return
				}
			}
		default:
			db, err := bdb.Open(f, f.size)
			if err != nil {
				yield(nil, err)
				return
			}
			for p, err := range db.Pairs(ctx, maxHeader) {
				// The entry with the key zero holds the last key given out.
				if err == nil && len(p.Key) == 4 && binary.LittleEndian.Uint32(p.Key) == 0 {
					continue
				}
				if !yield(p.Value, err) {
					return
				}
			}
		}
	}
}

// header adds the package that a header describes.
func (c *collector) header(blob []byte) {
	h, err := parseHeader(blob)
	if err != nil {
		c.gap(err, true)
		return
	}
	p := pkg{
		name: h.text(tagName), version: h.text(tagVersion), release: h.text(tagRelease), epoch: h.epoch(),
		arch: h.text(tagArch), source: h.text(tagSourceRPM), license: h.text(tagLicense), vendor: h.text(tagVendor),
		module: h.text(tagModularityLabel),
	}
	if p.name == "gpg-pubkey" { // a trusted key, kept as if it were a package
		return
	}
	if p.name == "" || p.version == "" {
		c.gap(fmt.Errorf("package without name or version: %w", errHeader), true)
		return
	}
	noun := p.noun(c.path, c.os)
	if c.asked != nil {
		files, err := h.files()
		if err != nil {
			// The package is known; only what it owns is not.
			c.gap(fmt.Errorf("files of %q: %w", p.name, err), false)
		}
		noun.Own(files, c.asked)
	}
	c.add(noun)
}

// A pkg is a package as rpm writes it.
type pkg struct {
	name, version, release, epoch, arch, source, license, vendor, module string
}

func (p pkg) evr(version string) string {
	if p.epoch != "" {
		return p.epoch + ":" + version
	}
	return version
}

func (p pkg) noun(path string, os *bulwark.OS) bulwark.Package {
	full := p.version
	if p.release != "" {
		full += "-" + p.release
	}
	out := bulwark.Package{
		Name: p.name, Version: p.evr(full), Arch: p.arch, Vendor: p.vendor,
		Where: []bulwark.Location{{Path: path}}, By: name,
	}
	if os != nil {
		out.Ecosystem = os.Ecosystem
	}
	if p.license != "" {
		out.Licenses = []string{p.license}
	}
	if source, version := cutSource(p.source); source != "" {
		out.Source = source
		if version = p.evr(version); version != out.Version {
			out.SourceVersion = version
		}
	}
	// The label is name:stream:version:context; advisories name the first two.
	if parts := strings.SplitN(p.module, ":", 3); len(parts) >= 2 {
		out.Module = parts[0] + ":" + parts[1]
	}
	out.PURL = p.purl(full, os)
	return out
}

// purl follows the rpm type of the package URL specification: the epoch is a
// qualifier, not part of the version.
func (p pkg) purl(version string, os *bulwark.OS) string {
	q := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			q[key] = value
		}
	}
	set("arch", p.arch)
	set("epoch", p.epoch)
	if strings.HasSuffix(p.source, ".rpm") {
		set("upstream", p.source)
	}
	namespace := ""
	if os != nil && os.ID != "" {
		namespace = vendor(os.ID)
		distro := os.ID
		if v := os.Version; v != "" {
			distro += "-" + v
		} else if os.Codename != "" {
			distro += "-" + os.Codename
		}
		set("distro", distro)
	}
	return packageurl.NewPackageURL(packageurl.TypeRPM, namespace, p.name, version, packageurl.QualifiersFromMap(q), "").ToString()
}

// vendor gives the package URL namespace of a distribution.
func vendor(id string) string {
	switch {
	case id == "rhel":
		return "redhat"
	case strings.HasPrefix(id, "opensuse"):
		return "opensuse"
	case id == "sles" || id == "sled" || strings.HasPrefix(id, "sle-") || strings.HasPrefix(id, "sl-"):
		return "suse"
	}
	return id
}

// cutSource splits the file name of a source package,
// "name-version-release.src.rpm".
func cutSource(s string) (source, version string) {
	s, ok := strings.CutSuffix(s, ".rpm")
	if !ok {
		return "", ""
	}
	s = strings.TrimSuffix(strings.TrimSuffix(s, ".src"), ".nosrc")
	release := strings.LastIndexByte(s, '-')
	if release <= 0 {
		return "", ""
	}
	v := strings.LastIndexByte(s[:release], '-')
	if v <= 0 {
		return "", ""
	}
	return s[:v], s[v+1:]
}

// A file is an open file that can be read anywhere.
type file struct {
	io.ReaderAt
	io.Closer
	size int64
}

func open(fsys fs.FS, path string) (*file, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	ra, ok := f.(io.ReaderAt)
	if err == nil && !ok {
		err = fmt.Errorf("read %q: %w", path, bulwark.ErrUnsupported)
	}
	if err != nil {
		f.Close() //nolint:errcheck,gosec // only read from
		return nil, err
	}
	return &file{ReaderAt: ra, Closer: f, size: st.Size()}, nil
}
