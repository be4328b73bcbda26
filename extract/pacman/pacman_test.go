// SPDX-License-Identifier: Apache-2.0

package pacman_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/pacman"
)

const local = "var/lib/pacman/local/"

func arch() *bulwark.OS { return &bulwark.OS{ID: "arch"} }

func all(string) bool { return true }

func describe(pkgs []bulwark.Package, gaps []bulwark.Gap) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s\n\tpurl %s\n\tsource %s\n", strings.TrimSpace(p.Name+" "+p.Version+" "+p.Arch), p.PURL, p.Source)
		if p.Vendor != "" {
			fmt.Fprintf(&b, "\tvendor %s\n", p.Vendor)
		}
		for _, l := range p.Licenses {
			fmt.Fprintf(&b, "\tlicence %s\n", l)
		}
		for _, l := range p.Where {
			fmt.Fprintf(&b, "\tat %s\n", l.Path)
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

// load gives the files of a test case, and what they are to give.
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

func extract(t testing.TB, os *bulwark.OS, files map[string][]byte) ([]bulwark.Package, []bulwark.Gap) {
	t.Helper()
	fsys := fstest.MapFS{}
	for path, data := range files {
		fsys[path] = &fstest.MapFile{Data: data, Mode: 0o644}
	}
	pkgs, gaps, err := pacman.Extractor{}.Extract(t.Context(), fsys, os, all)
	if err != nil {
		t.Fatal(err)
	}
	return pkgs, gaps
}

func TestExtract(t *testing.T) {
	for _, name := range []string{"arch.txtar", "damaged.txtar"} {
		files, want := load(t, name)
		pkgs, gaps := extract(t, arch(), files)
		if diff := cmp.Diff(want, describe(pkgs, gaps)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, p := range pkgs {
			if p.Ecosystem != "" || p.By != "pacman" {
				t.Errorf("%+v", p)
			}
		}
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		local + "zlib-1:1.3-1/desc":                       true,
		local + "zlib-1:1.3-1/files":                      true,
		"usr/lib/holo/pacmandb/local/zlib-1-1/desc":       true,
		"usr/lib/sysimage/lib/pacman/local/zlib-1-1/desc": true,
		local + "zlib-1:1.3-1/mtree":                      false,
		local + "ALPM_DB_VERSION":                         false,
		local + "a/b/desc":                                false,
		local + "/desc":                                   false,
		"var/lib/pacman/localx/desc":                      false,
		"var/lib/pacman/sync/core.db":                     false,
		"srv/chroot/" + local + "zlib-1:1.3-1/desc":       false,
	} {
		if got := (pacman.Extractor{}).Wants(path, bulwark.Stat{}); got != want {
			t.Errorf("%q: %t", path, got)
		}
	}
	if (pacman.Extractor{}).Optional(local+"a-1-1/desc") || !(pacman.Extractor{}).Optional(local+"a-1-1/files") {
		t.Error("a description is needed, a list of files is not")
	}
}

// TestNamespace shows that the purl names the distribution, if it is one of
// Arch Linux's kind.
func TestNamespace(t *testing.T) {
	files := map[string][]byte{local + "a-1-1/desc": []byte("%NAME%\na\n\n%VERSION%\n1-1\n")}
	for want, os := range map[string]*bulwark.OS{
		"pkg:alpm/arch/a@1-1":                        nil,
		"pkg:alpm/arch/a@1-1?distro=arch":            arch(),
		"pkg:alpm/manjaro/a@1-1?distro=manjaro-24.1": {ID: "manjaro", Like: "arch", Version: "24.1"},
		"pkg:alpm/msys2/a@1-1?distro=msys2":          {ID: "msys2", Like: "cygwin arch"},
	} {
		if pkgs, _ := extract(t, os, files); len(pkgs) != 1 || pkgs[0].PURL != want {
			t.Errorf("%+v, want %s", pkgs, want)
		}
	}
	pkgs, _ := extract(t, &bulwark.OS{ID: "debian", Version: "12", Ecosystem: "Debian:12"}, files)
	if len(pkgs) != 1 || pkgs[0].PURL != "pkg:alpm/arch/a@1-1" || pkgs[0].Ecosystem != "" {
		t.Errorf("on Debian: %+v", pkgs)
	}
}

func TestSeveralDatabases(t *testing.T) {
	desc := []byte("%NAME%\na\n\n%VERSION%\n1-1\n")
	pkgs, gaps := extract(t, nil, map[string][]byte{local + "a-1-1/desc": desc, "usr/lib/sysimage/lib/pacman/local/a-1-1/desc": desc})
	if len(pkgs) != 1 || len(pkgs[0].Where) != 2 || len(gaps) > 0 {
		t.Errorf("%+v, %+v", pkgs, gaps)
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("x", 2<<20)
	pkgs, gaps := extract(t, nil, map[string][]byte{
		local + "a-1-1/desc": []byte("%NAME%\na\n\n%VERSION%\n1-1\n\n%DESC%\n" + long),
		local + "b-1-1/desc": []byte("%NAME%\nb\n\n%VERSION%\n1-1\n\n%LICENSE%\n" + long[:5000] + "\n" + strings.Repeat("MIT\n", 1000)),
	})
	if len(pkgs) != 2 || len(gaps) != 2 || gaps[0].Kind != bulwark.GapLimit || gaps[0].Hides || gaps[1].Kind != bulwark.GapLimit || len(pkgs[1].Licenses) != 64 {
		t.Errorf("%d packages, %+v", len(pkgs), gaps)
	}
	many := map[string][]byte{}
	for i := range 2000 {
		many[fmt.Sprintf("%sbroken%d/desc", local, i)] = []byte("garbage")
	}
	pkgs, gaps = extract(t, nil, many)
	if len(pkgs) > 0 || len(gaps) != 20 || gaps[19].Kind != bulwark.GapLimit {
		t.Errorf("%d packages, %d gaps", len(pkgs), len(gaps))
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fsys := fstest.MapFS{local + "a-1-1/desc": &fstest.MapFile{Data: []byte("%NAME%\na\n")}}
	if _, _, err := (pacman.Extractor{}).Extract(ctx, fsys, nil, nil); err == nil {
		t.Error("no error")
	}
}

func TestKit(t *testing.T) {
	files, _ := load(t, "arch.txtar")
	extracttest.Database(t, pacman.Extractor{}, arch(), files)
}

func FuzzExtract(f *testing.F) {
	files, _ := load(f, "arch.txtar")
	for path, desc := range files {
		if list, ok := files[strings.TrimSuffix(path, "desc")+"files"]; ok && strings.HasSuffix(path, "/desc") {
			f.Add(desc, list)
		}
	}
	f.Fuzz(func(t *testing.T, desc, list []byte) {
		pkgs, _ := extract(t, arch(), map[string][]byte{local + "a-1-1/desc": desc, local + "a-1-1/files": list})
		if len(pkgs) != 1 || pkgs[0].Name == "" || pkgs[0].Version == "" {
			t.Fatalf("%+v", pkgs)
		}
		for _, file := range pkgs[0].Files {
			if !fs.ValidPath(file) {
				t.Errorf("path %q", file)
			}
		}
	})
}
