// SPDX-License-Identifier: Apache-2.0

// Package flatpak finds applications and runtimes that Flatpak has deployed, for
// the system or for a user, and those that an image holds. It knows where
// deployments lie, what Flatpak notes of each, and the release that an
// application's AppStream metadata names
// (https://docs.flatpak.org/en/latest/under-the-hood.html). The OSV database has
// no ecosystem for them. It does not know what they were built from.
package flatpak

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
	name = "flatpak"

	metadataFile = "metadata" // a key file: what the thing is
	deployFile   = "deploy"   // a GVariant: where it came from
	metainfoDir  = "files/share/metainfo"
	appdataDir   = "files/share/appdata" // the same, older

	kindApp     = "app"
	kindRuntime = "runtime"

	commitLen = 64 // hexadecimal digits of a SHA-256 digest

	maxMetadata = 1 << 20 // bytes
	maxDeploy   = 1 << 20 // bytes
	maxMetainfo = 4 << 20 // bytes; with translations and all releases some have 1 MB
	maxText     = 1024    // bytes of one value
	maxGaps     = 20
	maxBad      = 1000
)

// systems are the installations for the whole system, and those of users whose
// homes are known by name. Homes are directories of homes.
var (
	systems = [...]string{"var/lib/flatpak", "root/" + userDir, "var/roothome/" + userDir}
	homes   = [...]string{"home", "var/home"}
)

const userDir = ".local/share/flatpak"

var errDeployment = errors.New("malformed")

// An Extractor reads Flatpak's deployments. The zero Extractor is ready.
type Extractor struct{}

// Name gives "flatpak".
func (Extractor) Name() string { return name }

// Wants takes what describes a deployment: its metadata, Flatpak's note of it,
// and AppStream metadata.
func (Extractor) Wants(path string, _ bulwark.Stat) bool {
	rest, ok := below(path)
	if !ok {
		return path == metadataFile || isMetainfo(path)
	}
	kind, rest, _ := strings.Cut(rest, "/")
	if kind != kindApp && kind != kindRuntime {
		return false
	}
	for range 3 { // name, architecture, branch
		var elem string
		if elem, rest, ok = strings.Cut(rest, "/"); !ok || elem == "" {
			return false
		}
	}
	commit, file, ok := strings.Cut(rest, "/")
	return ok && isCommit(commit) && (file == metadataFile || file == deployFile || isMetainfo(file))
}

// below gives what of a path is below an installation.
func below(path string) (rest string, ok bool) {
	for _, s := range systems {
		if rest, ok = strings.CutPrefix(path, s); ok && rest != "" && rest[0] == '/' {
			return rest[1:], true
		}
	}
	for _, h := range homes {
		if rest, ok = strings.CutPrefix(path, h); ok && rest != "" && rest[0] == '/' {
			_, rest, _ = strings.Cut(rest[1:], "/")
			if rest, ok = strings.CutPrefix(rest, userDir+"/"); ok {
				return rest, true
			}
		}
	}
	return "", false
}

func isMetainfo(file string) bool {
	for _, dir := range [...]string{metainfoDir, appdataDir} {
		if base, ok := strings.CutPrefix(file, dir); ok && strings.HasSuffix(base, ".xml") && strings.LastIndexByte(base, '/') == 0 {
			return true
		}
	}
	return false
}

func isCommit(s string) bool {
	if len(s) != commitLen {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Optional tells whether a file only adds to what a deployment says: AppStream
// metadata names a release.
func (Extractor) Optional(path string) bool { return strings.HasSuffix(path, ".xml") }

// Extract gives the deployments in fsys; what is deployed twice is given once,
// with each as its place. Where nothing names a release, the version of a runtime
// is its branch, and an application has none. What cannot be read is a gap. The
// error is that of ctx, and comes with what was found before.
func (Extractor) Extract(ctx context.Context, fsys fs.FS, _ *bulwark.OS, _ func(path string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	c := collector{fsys: fsys, known: map[string]int{}}
	err := c.run(ctx)
	return c.pkgs, c.gaps, err
}

type collector struct {
	fsys  fs.FS
	pkgs  []bulwark.Package
	gaps  []bulwark.Gap
	known map[string]int // in pkgs, by purl
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
		g.Kind, g.Hides, g.Detail = bulwark.GapLimit, true, "further damage of deployments is not listed"
	case errors.Is(err, errDeployment):
		g.Kind = bulwark.GapMalformed
	case errors.Is(err, bulwark.ErrTooLarge):
		g.Kind = bulwark.GapLimit
	}
	c.gaps = append(c.gaps, g)
}

func (c *collector) run(ctx context.Context) error {
	places := systems[:]
	for _, h := range homes {
		for _, user := range c.dirs(h) {
			places = append(places, path.Join(h, user, userDir))
		}
	}
	for _, place := range places {
		for _, kind := range [...]string{kindApp, kindRuntime} {
			if err := c.installation(ctx, path.Join(place, kind), kind); err != nil {
				return err
			}
		}
	}
	return c.image()
}

// installation reads DIR/NAME/ARCHITECTURE/BRANCH/COMMIT.
func (c *collector) installation(ctx context.Context, dir, kind string) error {
	for _, id := range c.dirs(dir) {
		for _, arch := range c.dirs(path.Join(dir, id)) {
			for _, branch := range c.dirs(path.Join(dir, id, arch)) {
				for _, commit := range c.dirs(path.Join(dir, id, arch, branch)) {
					if err := ctx.Err(); err != nil {
						return err
					}
					if c.bad >= maxBad {
						return nil
					}
					if isCommit(commit) {
						c.deployment(path.Join(dir, id, arch, branch, commit), deployment{kind: kind, id: id, arch: arch, branch: branch})
					}
				}
			}
		}
	}
	return nil
}

// dirs gives the directories below dir.
func (c *collector) dirs(dir string) (out []string) {
	entries, err := fs.ReadDir(c.fsys, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.gap(dir, err, true)
	}
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

// A deployment is what is known of one.
type deployment struct {
	kind, id, arch, branch string

	version, license, origin string
}

// deployment adds one. Its directory says what it is; the files in it add to
// that, and their loss hides nothing.
func (c *collector) deployment(dir string, d deployment) {
	file := path.Join(dir, metadataFile)
	if data, err := c.read(file, maxMetadata); err != nil {
		c.gap(file, err, false)
	} else if data != nil {
		if _, id := parseMetadata(data); id != "" && id != d.id && !strings.HasPrefix(d.id, id+".") {
			c.gap(file, fmt.Errorf("%q in the directory of %q: %w", id, d.id, errDeployment), false)
		}
	}
	note := path.Join(dir, deployFile)
	if data, err := c.read(note, maxDeploy); err != nil {
		c.gap(note, err, false)
	} else if data != nil {
		if d.origin, d.version, d.license, err = parseDeploy(data); err != nil {
			c.gap(note, err, false)
		}
	}
	c.metainfo(dir, &d)
	c.add(file, d)
}

// image reads what an image with one application or runtime has at its root.
func (c *collector) image() error {
	data, err := c.read(metadataFile, maxMetadata)
	if err != nil {
		// A file with this name may be anything.
		c.gap(metadataFile, err, false)
		return nil
	}
	d := deployment{}
	d.kind, d.id = parseMetadata(data)
	if id, ref, ok := strings.Cut(d.id, "/"); ok { // "name/architecture/branch" of runtimes
		d.id = id
		d.arch, d.branch, _ = strings.Cut(ref, "/")
	}
	if d.id == "" {
		return nil
	}
	c.metainfo("", &d)
	c.add(metadataFile, d)
	return nil
}

// metainfo reads AppStream metadata for what is not known yet.
func (c *collector) metainfo(dir string, d *deployment) {
	if d.version != "" {
		return
	}
	for _, sub := range [...]string{metainfoDir, appdataDir} {
		sub = path.Join(dir, sub)
		entries, err := fs.ReadDir(c.fsys, sub)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.gap(sub, err, false)
		}
		for _, e := range entries {
			file := path.Join(sub, e.Name())
			if e.IsDir() || !strings.HasSuffix(file, ".xml") {
				continue
			}
			data, err := c.read(file, maxMetainfo)
			var m metainfo
			if err == nil && data != nil {
				m, err = parseMetainfo(data)
			}
			if err != nil {
				c.gap(file, err, false)
			}
			// Others in there belong to extensions and parts.
			if strings.TrimSuffix(m.id, ".desktop") != strings.TrimSuffix(d.id, ".desktop") {
				continue
			}
			d.version = m.version
			if d.license == "" {
				d.license = m.license
			}
			if d.version != "" {
				return
			}
		}
	}
}

func (c *collector) add(file string, d deployment) {
	if d.version == "" && d.kind == kindRuntime {
		d.version = d.branch
	}
	p := bulwark.Package{
		Name: d.id, Version: d.version, Arch: d.arch, Vendor: d.origin, Where: []bulwark.Location{{Path: file}}, By: name,
	}
	if d.license != "" {
		p.Licenses = []string{d.license}
	}
	q := map[string]string{}
	if d.arch != "" {
		q["arch"] = d.arch
	}
	if d.branch != "" {
		q["branch"] = d.branch
	}
	p.PURL = packageurl.NewPackageURL(packageurl.TypeGeneric, name, p.Name, p.Version, packageurl.QualifiersFromMap(q), "").ToString()
	if i, ok := c.known[p.PURL]; ok {
		c.pkgs[i].Where = append(c.pkgs[i].Where, p.Where...)
		return
	}
	c.known[p.PURL] = len(c.pkgs)
	c.pkgs = append(c.pkgs, p)
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
