// SPDX-License-Identifier: Apache-2.0

package snap_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/snap"
)

func describe(pkgs []bulwark.Package, gaps []bulwark.Gap) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s\n\tpurl %s\n\tat %s\n", strings.TrimSpace(p.Name+" "+p.Version), p.PURL, p.Where[0].Path)
		for _, f := range []struct{ key, value string }{{"ecosystem", p.Ecosystem}, {"owner", p.Owner}, {"licence", strings.Join(p.Licenses, ", ")}} {
			if f.value != "" {
				fmt.Fprintf(&b, "\t%s %s\n", f.key, f.value)
			}
		}
	}
	for _, g := range gaps {
		fmt.Fprintf(&b, "gap %s %s hides=%t\n", g.Kind, g.Path, g.Hides)
	}
	return b.String()
}

func load(t testing.TB, name string) (files map[string][]byte, want string) {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string][]byte{}
	for _, f := range a.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		files[f.Name] = f.Data
	}
	return files, want
}

func extract(t testing.TB, files map[string][]byte) ([]bulwark.Package, []bulwark.Gap) {
	t.Helper()
	fsys := fstest.MapFS{}
	for path, data := range files {
		fsys[path] = &fstest.MapFile{Data: data, Mode: 0o644}
	}
	pkgs, gaps, err := snap.Extractor{}.Extract(t.Context(), fsys, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkgs, gaps
}

func TestExtract(t *testing.T) {
	for _, name := range []string{"ubuntu.txtar", "damaged.txtar"} {
		files, want := load(t, name)
		for path := range files {
			if !(snap.Extractor{}).Wants(path, bulwark.Stat{}) {
				t.Errorf("does not want %q", path)
			}
		}
		pkgs, gaps := extract(t, files)
		if diff := cmp.Diff(want, describe(pkgs, gaps)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestUnpacked(t *testing.T) {
	pkgs, gaps := extract(t, map[string][]byte{"meta/snap.yaml": []byte("name: a\nversion: 1\n"), "snap/manifest.yaml": []byte("base: core24\nprimed-stage-packages: [b=1]\n")})
	want := "a 1\n\tpurl pkg:generic/snap/a@1\n\tat meta/snap.yaml\n" +
		"b 1\n\tpurl pkg:deb/ubuntu/b@1?distro=ubuntu-24.04\n\tat snap/manifest.yaml\n\tecosystem Ubuntu:24.04:LTS\n\towner a 1\ngap advisory snap/manifest.yaml hides=false\n"
	if diff := cmp.Diff(want, describe(pkgs, gaps)); diff != "" {
		t.Error(diff)
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		"snap/a/1/meta/snap.yaml":                   true,
		"var/lib/snapd/snap/a/1/snap/manifest.yaml": true,
		"snap/a/meta/snap.yaml":                     false,
		"snap/a/1/2/meta/snap.yaml":                 false,
		"snap/a/1/meta/snap.yml":                    false,
		"snap/snapcraft.yaml":                       false,
		"srv/meta/snap.yaml":                        false,
		"usr/share/snappy/dpkg.list":                true,
	} {
		if got := (snap.Extractor{}).Wants(path, bulwark.Stat{}); got != want {
			t.Errorf("%q: %t", path, got)
		}
	}
}

func TestHostile(t *testing.T) {
	var aliases strings.Builder
	aliases.WriteString("a: &a [x=1,x=1,x=1,x=1,x=1,x=1,x=1,x=1,x=1]\n")
	for c := 'b'; c < 'k'; c++ {
		fmt.Fprintf(&aliases, "%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	aliases.WriteString("primed-stage-packages: *j\n")
	for name, files := range map[string]map[string][]byte{
		"aliases": {"snap/a/1/snap/manifest.yaml": []byte(aliases.String())},
		"deep":    {"snap/a/1/meta/snap.yaml": []byte(strings.Repeat("[", 200_000))},
		"large":   {"snap/a/1/meta/snap.yaml": []byte("name: a\n#" + strings.Repeat("x", 2<<20))},
		"json":    {"var/lib/snapd/state.json": []byte(strings.Repeat(`{"x":[`, 100_000))},
	} {
		if _, gaps := extract(t, files); len(gaps) == 0 || !gaps[0].Hides {
			t.Errorf("%s: %+v", name, gaps)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	files, _ := load(t, "ubuntu.txtar")
	fsys := fstest.MapFS{}
	for path, data := range files {
		fsys[path] = &fstest.MapFile{Data: data}
	}
	if _, _, err := (snap.Extractor{}).Extract(ctx, fsys, nil, nil); err == nil {
		t.Error("no error")
	}
}

// quiet leaves out the gap that every list of packages causes, since the kit
// wants none.
type quiet struct{ snap.Extractor }

func (q quiet) Extract(ctx context.Context, fsys fs.FS, os *bulwark.OS, asked func(string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	pkgs, gaps, err := q.Extractor.Extract(ctx, fsys, os, asked)
	return pkgs, slices.DeleteFunc(gaps, func(g bulwark.Gap) bool { return g.Kind == bulwark.GapAdvisory }), err
}

func TestKit(t *testing.T) {
	files, _ := load(t, "ubuntu.txtar")
	for path := range files {
		if strings.HasPrefix(path, "snap/old/") {
			delete(files, path)
		}
	}
	extracttest.Database(t, quiet{}, nil, files)
}

func FuzzExtract(f *testing.F) {
	files, _ := load(f, "ubuntu.txtar")
	for path, data := range files {
		f.Add(path, data)
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		if !fs.ValidPath(path) || !(snap.Extractor{}).Wants(path, bulwark.Stat{}) {
			return
		}
		pkgs, _ := extract(t, map[string][]byte{path: data})
		for _, p := range pkgs {
			if p.Name == "" || len(p.Where) != 1 {
				t.Errorf("%+v", p)
			}
		}
	})
}
