// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// maxNesting is how many archives may be inside each other: an EAR holds a WAR
// that holds a shaded JAR.
const maxNesting = 4

// maxErrors bounds the errors that are told of one file.
const maxErrors = 8

// Archive reads JAR, WAR, EAR, PAR, AAR, HPI and similar files, nested ones
// too. Its zero value is ready to use.
type Archive struct {
	// Known tells the coordinates of archives that do not tell them; its zero
	// value knows none.
	Known Coordinates
}

// Name gives "jar".
func (Archive) Name() string { return "jar" }

// Wants tells whether p is named like a Java archive.
func (Archive) Wants(p string, st bulwark.Stat) bool {
	return st.Mode&fs.ModeType == 0 && st.Size >= endSize && isArchive(p)
}

// isArchive tells whether p is named like a Java archive. Resource adapters
// (.rar) are left out, as they are far rarer than another format of that name.
func isArchive(p string) bool {
	i := strings.LastIndexByte(p, '.')
	if i < 0 || len(p)-i > 5 {
		return false
	}
	for _, ext := range []string{".jar", ".war", ".ear", ".par", ".aar", ".sar", ".hpi", ".jpi", ".kar", ".lpkg", ".nar"} {
		if strings.EqualFold(p[i:], ext) {
			return true
		}
	}
	return false
}

// Extract gives the libraries in an archive. A library is known by the
// pom.properties that Maven leaves in it, of which a shaded archive has several;
// by the pom.xml beside it; by its SHA-1, if that is known; or by the manifest and the
// file name. Packages and
// an error may come together, when a nested archive was too large or broken.
func (e Archive) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	w := walk{l: newList(e.Name()), b: &budget{}, known: e.Known}
	if err := w.archive(ctx, f, f.Size, f.Path, 0); err != nil {
		w.errs = append(w.errs, err)
	}
	if err := ctx.Err(); err != nil {
		return w.l.pkgs, err
	}
	if len(w.errs) > 0 {
		return w.l.pkgs, malformed(f, errors.Join(w.errs...))
	}
	return w.l.pkgs, nil
}

// A walk goes through one file and what is nested in it.
type walk struct {
	l     *list
	b     *budget
	known Coordinates
	errs  []error // of nested archives
}

// fault takes note of an error that does not end the walk.
func (w *walk) fault(path string, err error) {
	if len(w.errs) < maxErrors {
		w.errs = append(w.errs, fmt.Errorf("%q: %w", path, err))
	}
}

// archive reads one archive, which is shown under path.
func (w *walk) archive(ctx context.Context, r io.ReaderAt, size int64, path string, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a := &archive{r: r, size: size, b: w.b}
	var manifest *entry
	var nested, properties, poms []entry
	err := a.entries(ctx, wanted, func(e entry) {
		switch {
		case strings.EqualFold(e.name, "META-INF/MANIFEST.MF"):
			if manifest == nil {
				manifest = &e
			}
		case base(e.name) == "pom.properties":
			properties = append(properties, e)
		case strings.HasSuffix(e.name, "/pom.xml"):
			poms = append(poms, e)
		default:
			nested = append(nested, e)
		}
	})
	if err != nil && ctx.Err() != nil {
		return err
	}
	// What stands in a broken directory before the fault still counts, but its
	// name alone does not make a file a library.
	w.identify(ctx, a, path, err == nil, manifest, properties, poms)
	for _, e := range nested {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		inner := path + "!/" + strings.TrimLeft(e.name, "/")
		if depth >= maxNesting {
			w.fault(inner, fmt.Errorf("more than %d archives inside each other: %w", maxNesting, bulwark.ErrTooLarge))
			break
		}
		if err := w.nested(ctx, a, e, inner, depth+1); err != nil {
			w.fault(inner, err)
		}
	}
	return err
}

// wanted tells which entries are looked into.
func wanted(name []byte) bool {
	if len(name) > 1024 || len(name) == 0 || name[len(name)-1] == '/' {
		return false
	}
	if meta := []byte("META-INF/"); len(name) > len(meta) && bytes.EqualFold(name[:len(meta)], meta) {
		if bytes.EqualFold(name, []byte("META-INF/MANIFEST.MF")) {
			return true
		}
		if bytes.HasPrefix(name, []byte("META-INF/maven/")) && bytes.HasSuffix(name, []byte("/pom.xml")) {
			return true
		}
	}
	if file := []byte("pom.properties"); bytes.HasSuffix(name, file) && (len(name) == len(file) || name[len(name)-len(file)-1] == '/') {
		return true // usually in META-INF/maven, but some builders move it
	}
	switch name[len(name)-1] | 0x20 { // spares the conversion of most names
	case 'r', 'i', 'g':
		return isArchive(string(name))
	}
	return false
}

// nested reads an archive inside of another.
func (w *walk) nested(ctx context.Context, a *archive, e entry, path string, depth int) error {
	if e.method == stored {
		sect, err := a.data(e)
		if err != nil {
			return err
		}
		return w.archive(ctx, sect, sect.Size(), path, depth)
	}
	limit := min(maxNested, maxHeld-w.b.held)
	data, all, err := a.read(ctx, e, limit)
	if err != nil {
		return err
	}
	if !all {
		return fmt.Errorf("more than %d bytes: %w", limit, bulwark.ErrTooLarge)
	}
	w.b.held += int64(cap(data))
	defer func() { w.b.held -= int64(cap(data)) }()
	return w.archive(ctx, bytes.NewReader(data), int64(len(data)), path, depth)
}

// identify finds out what an archive is and what was shaded into it. Only whole
// archives are guessed from their name.
func (w *walk) identify(ctx context.Context, a *archive, path string, whole bool, manifest *entry, properties, poms []entry) {
	var carried []gav
	told := map[string]bool{} // directories that have a pom.properties
	for _, e := range properties {
		b, _, err := a.read(ctx, e, maxText)
		if err != nil {
			w.fault(path+"!/"+e.name, err)
			continue
		}
		if g := parseProperties(b); g.version != "" && g.plausible() {
			carried = append(carried, g)
			told[strings.TrimSuffix(e.name, "pom.properties")] = true
		}
	}
	for _, e := range poms {
		if told[strings.TrimSuffix(e.name, "pom.xml")] {
			continue
		}
		b, _, err := a.read(ctx, e, maxText)
		if err != nil {
			w.fault(path+"!/"+e.name, err)
			continue
		}
		if g := pomSelf(ctx, b); g.version != "" && g.plausible() {
			carried = append(carried, g)
		}
	}
	var m map[string]string
	if manifest != nil {
		b, _, err := a.read(ctx, *manifest, maxManifest)
		if err != nil {
			w.fault(path+"!/"+manifest.name, err)
		}
		m = parseManifest(b)
	}
	licenses := bundleLicenses(m)
	self, sure := fromRepository(path)
	if !sure {
		self, sure = fromManifest(base(path), m)
	}
	own := slices.IndexFunc(carried, func(g gav) bool {
		return g.artifact == self.artifact || strings.HasPrefix(base(path), g.artifact+"-"+g.version)
	})
	if own < 0 {
		switch g, err := w.known.of(ctx.Err, a.r, a.size); {
		case err == nil:
			self, sure, own = g, true, slices.Index(carried, g)
		case !errors.Is(err, bulwark.ErrNotFound):
			w.fault(path, err)
		}
	}
	if own < 0 && len(carried) == 1 && !sure {
		own = 0 // a renamed file
	}
	for i, g := range carried {
		if i == own {
			w.l.add(g, path, 0, false, licenses)
		} else {
			w.l.add(g, path, 0, false, nil)
		}
	}
	// A guess is not worth much beside facts: it counts if there are none, or if
	// the group was told.
	if whole && own < 0 && self.version != "" && (len(carried) == 0 || sure && self.group != self.artifact) {
		w.l.add(self, path, 0, false, licenses)
	}
}

// fromRepository takes the coordinate from the path of a file in a Maven
// repository, group/artifact/version/artifact-version.jar, or in Gradle's
// cache, group/artifact/version/hash/artifact-version.jar.
func fromRepository(path string) (gav, bool) {
	if strings.Contains(path, "!/") {
		return gav{}, false
	}
	elems := strings.Split(path, "/")
	n := len(elems)
	if n >= 5 {
		g := gav{elems[n-5], elems[n-4], elems[n-3]}
		if slices.Contains(elems[:n-5], "files-2.1") && strings.HasPrefix(elems[n-1], g.artifact+"-"+g.version) && g.plausible() {
			return g, true
		}
	}
	if n < 4 {
		return gav{}, false
	}
	g := gav{artifact: elems[n-3], version: elems[n-2]}
	if !strings.HasPrefix(elems[n-1], g.artifact+"-"+g.version) {
		return gav{}, false
	}
	for i := n - 4; i >= 0; i-- {
		switch elems[i] {
		case "repository", "maven-repo", "maven2", "repo", "m2":
			if g.group = strings.Join(elems[i+1:n-3], "."); g.plausible() {
				return g, true
			}
		}
	}
	return gav{}, false
}
