// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/binary"
)

// classify gives the products of a file on disk, nil when it is not looked at.
func classify(t *testing.T, file, path string) []bulwark.Package {
	t.Helper()
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, min(4096, st.Size()))
	if _, err := f.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	var all []bulwark.Package
	for _, e := range []interface {
		Wants(path string, st bulwark.Stat) bool
		WantsHead(path string, head []byte) bool
		Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error)
	}{binary.Classifier{}, binary.RuntimeFile{}} {
		if !e.Wants(path, bulwark.Stat{Size: st.Size(), Mode: st.Mode()}) || !e.WantsHead(path, head) {
			continue
		}
		pkgs, err := e.Extract(t.Context(), bulwark.ReaderFile(path, st.Mode(), f, st.Size()))
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		all = append(all, pkgs...)
	}
	return all
}

// product gives the name in a generic package URL.
func product(p bulwark.Package) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:generic/"), "@")
	return name
}

// TestClassifiers compares what is found in programs of Debian's and npm's
// packages, without any package database, with the versions of the packages.
func TestClassifiers(t *testing.T) {
	dir := os.Getenv("BULWARK_CLASSIFIERS")
	if dir == "" {
		t.Skip("needs real programs: BULWARK_CLASSIFIERS names the folder that test/system/classifiers filled")
	}
	truth, err := os.ReadFile(filepath.Join(dir, "truth.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	files, right, products := 0, 0, map[string]bool{}
	for line := range strings.Lines(string(truth)) {
		col := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(col) != 3 {
			t.Fatalf("truth.tsv: %q", line)
		}
		files++
		products[col[1]] = true
		pkgs := classify(t, filepath.Join(dir, col[0]), col[0])
		if len(pkgs) == 1 && product(pkgs[0]) == col[1] && pkgs[0].Version == col[2] {
			right++
			continue
		}
		t.Logf("%s: %+v, want %s %s", col[0], pkgs, col[1], col[2])
	}
	t.Logf("name and version right for %d of %d files of %d products", right, files, len(products))
	if len(products) < 40 || float64(right) < 0.95*float64(files) {
		t.Errorf("%d products, %d of %d right; want at least 40, and 95 %%", len(products), right, files)
	}
}

// packaging is what Debian adds to the version of what it packs.
var packaging = regexp.MustCompile(`^(?:\d+:)?([0-9][^-+~]*?)(?:[.+~]?(?:dfsg|ds)[0-9.]*)?(?:[-+~].*)?$`)

// TestClassifiersRoot looks at a whole Debian root with its package database:
// what is found must belong to a package of that product and that version.
func TestClassifiersRoot(t *testing.T) {
	dir, _ := images(t)
	root := filepath.Join(dir, "rootfs")
	status, err := os.ReadFile(filepath.Join(root, "var/lib/dpkg/status"))
	if err != nil {
		t.Skip(err)
	}
	type pkg struct{ source, version string }
	packages := map[string]pkg{}
	for block := range strings.SplitSeq(string(status), "\n\n") {
		var name string
		var p pkg
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "Package":
				name = value
			case "Source":
				p.source, _, _ = strings.Cut(value, " ")
			case "Version":
				p.version = value
			}
		}
		if p.source == "" {
			p.source = name
		}
		packages[name] = p
	}
	owner := map[string]string{}
	lists, err := filepath.Glob(filepath.Join(root, "var/lib/dpkg/info/*.list"))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(list), ".list"), ":")
		b, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		for file := range strings.FieldsSeq(string(b)) {
			owner[strings.TrimPrefix(file, "/")] = name
			owner["usr"+file] = name // as merged with /usr
		}
	}
	hits := 0
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if st, err := d.Info(); err != nil || st.Size() == 0 {
			return err
		}
		path, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		for _, p := range classify(t, file, path) {
			hits++
			o, ok := owner[path]
			if !ok {
				t.Errorf("%s is %s %s, and nobody's", path, product(p), p.Version)
				continue
			}
			source := packages[o].source
			if product(p) == "java" {
				source = strings.Replace(source, "openjdk", "java", 1)
			}
			want := packages[o].version
			if m := packaging.FindStringSubmatch(want); m != nil {
				want = m[1]
			}
			if !strings.Contains(source, product(p)) || p.Version != want {
				t.Errorf("%s is %s %s, and of %s %s", path, product(p), p.Version, source, packages[o].version)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files named, all as their packages say", hits)
	if hits < 10 {
		t.Errorf("%d files named", hits)
	}
}
