// SPDX-License-Identifier: Apache-2.0

package apk_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/apk"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
)

const (
	oldPlace = "lib/apk/db/installed"
	newPlace = "usr/lib/apk/db/installed"
)

func alpine() *bulwark.OS {
	return &bulwark.OS{ID: "alpine", Version: "3.19.1", Ecosystem: "Alpine:v3.19"}
}

func describe(pkgs []bulwark.Package, gaps []bulwark.Gap) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s %s %s\n\tpurl %s\n\tsource %s\n", p.Name, p.Version, p.Arch, p.PURL, p.Source)
		if p.Vendor != "" {
			fmt.Fprintf(&b, "\tvendor %s\n", p.Vendor)
		}
		for _, l := range p.Licenses {
			fmt.Fprintf(&b, "\tlicence %s\n", l)
		}
		for _, f := range p.Files {
			fmt.Fprintf(&b, "\tfile %s\n", f)
		}
	}
	for _, g := range gaps {
		fmt.Fprintf(&b, "gap %s %s hides=%t\n", g.Kind, g.Path, g.Hides)
	}
	return b.String()
}

func load(t testing.TB, name string) (installed []byte, want string) {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return a.Files[0].Data, string(a.Files[1].Data)
}

func extract(t testing.TB, os *bulwark.OS, files map[string][]byte) ([]bulwark.Package, []bulwark.Gap) {
	t.Helper()
	fsys := fstest.MapFS{}
	for path, data := range files {
		fsys[path] = &fstest.MapFile{Data: data, Mode: 0o644}
	}
	pkgs, gaps, err := apk.Extractor{}.Extract(t.Context(), fsys, os, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return pkgs, gaps
}

func TestExtract(t *testing.T) {
	for _, name := range []string{"alpine.txtar", "real.txtar"} {
		installed, want := load(t, name)
		pkgs, gaps := extract(t, alpine(), map[string][]byte{oldPlace: installed})
		if diff := cmp.Diff(want, describe(pkgs, gaps)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, p := range pkgs {
			if p.Ecosystem != "Alpine:v3.19" || p.By != "apk" || p.SourceVersion != "" || p.Where[0].Path != oldPlace {
				t.Errorf("%+v", p)
			}
		}
	}
}

func TestBothPlaces(t *testing.T) {
	one := []byte("P:a\nV:1-r0\n\nP:b\nV:1-r0\n")
	two := []byte("P:b\nV:1-r0\n\nP:b\nV:2-r0\n")
	pkgs, gaps := extract(t, nil, map[string][]byte{oldPlace: one, newPlace: two})
	var got []string
	for _, p := range pkgs {
		got = append(got, fmt.Sprint(p.PURL, " ", len(p.Where)))
	}
	if diff := cmp.Diff([]string{"pkg:apk/a@1-r0 1", "pkg:apk/b@1-r0 2", "pkg:apk/b@2-r0 1"}, got); diff != "" || len(gaps) > 0 {
		t.Error(diff, gaps)
	}
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	pkgs, gaps := extract(t, nil, map[string][]byte{oldPlace: []byte("P:a\nD:" + long + "\nV:1-r0\n\nP:b\nV:1-r0\nL:" + long + "\n\nP:c\nV:2-r0\n")})
	if len(pkgs) != 3 || pkgs[0].Version != "1-r0" || len(gaps) != 1 || gaps[0].Kind != bulwark.GapLimit {
		t.Errorf("%d packages, %+v", len(pkgs), gaps)
	}
	// Many short names in a directory with a long one.
	many := "P:a\nV:1-r0\nF:" + strings.Repeat("d/", 1500) + "\n" + strings.Repeat("R:f\n", 200_000)
	pkgs, gaps = extract(t, nil, map[string][]byte{oldPlace: []byte(many)})
	if len(pkgs) != 1 || len(gaps) != 1 || gaps[0].Kind != bulwark.GapLimit || gaps[0].Hides {
		t.Errorf("%d packages, %+v", len(pkgs), gaps)
	}
}

func TestManyErrorsAreFewGaps(t *testing.T) {
	pkgs, gaps := extract(t, nil, map[string][]byte{oldPlace: []byte(strings.Repeat("garbage\n\n", 100_000))})
	if len(pkgs) > 0 || len(gaps) != 20 || gaps[19].Kind != bulwark.GapLimit {
		t.Errorf("%d packages, %d gaps", len(pkgs), len(gaps))
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fsys := fstest.MapFS{oldPlace: &fstest.MapFile{Data: []byte("P:a\nV:1-r0\n")}}
	if _, _, err := (apk.Extractor{}).Extract(ctx, fsys, nil, nil); err == nil {
		t.Error("no error")
	}
}

// TestReal reads the database of a real image, test data of osv-scalibr, if the
// module cache has it. Each entry has one line that
// begins with P.
func TestReal(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skipf("no module cache: %v", err)
	}
	path := filepath.Join(strings.TrimSpace(string(out)), "github.com/google/osv-scalibr@v0.5.3/extractor/filesystem/os/apk/testdata/installed")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("the module cache has no database: %v", err)
	}
	pkgs, gaps := extract(t, alpine(), map[string][]byte{oldPlace: data})
	if want := strings.Count("\n"+string(data), "\nP:"); len(pkgs) != want || len(gaps) > 0 {
		t.Errorf("%d packages, want %d; gaps %v", len(pkgs), want, gaps)
	}
	files := 0
	for _, p := range pkgs {
		if p.Version == "" || p.Arch == "" || p.Source == "" || len(p.Licenses) != 1 {
			t.Errorf("incomplete: %+v", p)
		}
		for _, f := range p.Files {
			if !strings.HasPrefix(f, "usr/lib/") && !strings.HasPrefix(f, "usr/sbin/") && !strings.HasPrefix(f, "usr/bin/") {
				files++
			}
		}
	}
	t.Logf("%d packages, %d files outside /usr", len(pkgs), files)
}

func TestKit(t *testing.T) {
	seed := "C:Q1p78yvTLG094tHE1+dToJGbmYzQE=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nm:Somebody\nF:lib\nR:ld-musl-x86_64.so.1\nZ:Q1=\n\n" +
		"P:libssl3\nV:3.1.4-r5\nA:x86_64\nL:Apache-2.0\no:openssl\nF:lib\nR:libssl.so.3\n"
	extracttest.Database(t, apk.Extractor{}, alpine(), map[string][]byte{oldPlace: []byte(seed), newPlace: []byte(seed)})
}

func FuzzExtract(f *testing.F) {
	installed, _ := load(f, "alpine.txtar")
	f.Add(installed)
	f.Fuzz(func(t *testing.T, data []byte) {
		pkgs, _ := extract(t, alpine(), map[string][]byte{oldPlace: data})
		for _, p := range pkgs {
			for _, file := range p.Files {
				if !fs.ValidPath(file) {
					t.Errorf("path %q", file)
				}
			}
		}
	})
}
