// SPDX-License-Identifier: Apache-2.0

package flatpak_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/flatpak"
)

const (
	app     = "var/lib/flatpak/app/org.example.Hello/x86_64/stable/eaa9b8ff0e60bdd7b6471d4e6b3576ccbe6fb5aaa2cffefa9bee5d47177ea2b9/"
	runtime = "var/lib/flatpak/runtime/org.example.Platform/x86_64/23.08/d46fbeb4183636714bbbdda3fde78b3089fa89844e7c7dea21ac462ae5cb0c0d/"
)

func describe(pkgs []bulwark.Package, gaps []bulwark.Gap) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s\n\tpurl %s\n", strings.TrimSpace(p.Name+" "+p.Version), p.PURL)
		if p.Vendor != "" {
			fmt.Fprintf(&b, "\tvendor %s\n", p.Vendor)
		}
		for _, l := range p.Licenses {
			fmt.Fprintf(&b, "\tlicence %s\n", l)
		}
		for _, l := range p.Where {
			fmt.Fprintf(&b, "\tat %s\n", l.Path)
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

// deployed gives the deployments of the first test case with Flatpak's notes.
func deployed(t testing.TB) (files map[string][]byte, want string) {
	t.Helper()
	files, want = load(t, "deployed.txtar")
	for dir, name := range map[string]string{app: "app.deploy", runtime: "runtime.deploy"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[dir+"deploy"] = b
	}
	return files, want
}

func extract(t testing.TB, files map[string][]byte) ([]bulwark.Package, []bulwark.Gap) {
	t.Helper()
	fsys := fstest.MapFS{}
	for path, data := range files {
		fsys[path] = &fstest.MapFile{Data: data, Mode: 0o644}
	}
	pkgs, gaps, err := flatpak.Extractor{}.Extract(t.Context(), fsys, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkgs, gaps
}

func TestExtract(t *testing.T) {
	good, wantGood := deployed(t)
	bad, wantBad := load(t, "damaged.txtar")
	for _, tc := range []struct {
		files map[string][]byte
		want  string
	}{{good, wantGood}, {bad, wantBad}} {
		for path := range tc.files {
			if !(flatpak.Extractor{}).Wants(path, bulwark.Stat{}) {
				t.Errorf("does not want %q", path)
			}
		}
		pkgs, gaps := extract(t, tc.files)
		if diff := cmp.Diff(tc.want, describe(pkgs, gaps)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestImage reads the root of an image with one application, and one runtime.
func TestImage(t *testing.T) {
	files, _ := deployed(t)
	pkgs, gaps := extract(t, map[string][]byte{
		"metadata": files[app+"metadata"],
		"files/share/metainfo/org.example.Hello.metainfo.xml": files[app+"files/share/metainfo/org.example.Hello.metainfo.xml"],
	})
	want := "org.example.Hello 2.11.0~rc1\n\tpurl pkg:generic/flatpak/org.example.Hello@2.11.0~rc1\n\tlicence GPL-3.0-or-later AND MIT\n\tat metadata\n"
	if diff := cmp.Diff(want, describe(pkgs, gaps)); diff != "" {
		t.Error(diff)
	}
	pkgs, gaps = extract(t, map[string][]byte{"metadata": []byte("[Runtime]\nname=org.example.Platform/x86_64/23.08\n")})
	want = "org.example.Platform 23.08\n\tpurl pkg:generic/flatpak/org.example.Platform@23.08?arch=x86_64&branch=23.08\n\tat metadata\n"
	if diff := cmp.Diff(want, describe(pkgs, gaps)); diff != "" {
		t.Error(diff)
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		app + "metadata": true,
		app + "deploy":   true,
		"home/u/.local/share/flatpak/" + app[16:] + "metadata":                true,
		"home/.local/share/flatpak/" + app[16:] + "metadata":                  false,
		app + "files/share/metainfo/x/y.xml":                                  false,
		app + "files/manifest.json":                                           false,
		"var/lib/flatpak/app/a/b/c/active/metadata":                           false,
		"var/lib/flatpak/repo/a/b/c/" + strings.Repeat("0", 64) + "/metadata": false,
		"srv/metadata": false,
	} {
		if got := (flatpak.Extractor{}).Wants(path, bulwark.Stat{}); got != want {
			t.Errorf("%q: %t", path, got)
		}
	}
	if (flatpak.Extractor{}).Optional(app+"metadata") || !(flatpak.Extractor{}).Optional(app+"files/share/metainfo/x.xml") {
		t.Error("metadata is needed, AppStream metadata is not")
	}
}

func TestHostile(t *testing.T) {
	const file = "files/share/metainfo/x.xml"
	for name, data := range map[string]string{
		"deep":     strings.Repeat("<a>", 300_000),
		"entities": `<!DOCTYPE a [<!ENTITY b "cccc">]><component><id>&b;</id></component>`,
		"large":    "<component>" + strings.Repeat(" ", 5<<20),
	} {
		pkgs, gaps := extract(t, map[string][]byte{app + "metadata": []byte("[Application]\nname=org.example.Hello\n"), app + file: []byte(data)})
		if len(pkgs) != 1 || pkgs[0].Version != "" || len(gaps) != 1 || gaps[0].Hides {
			t.Errorf("%s: %+v, %+v", name, pkgs, gaps)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fsys := fstest.MapFS{app + "metadata": &fstest.MapFile{Data: []byte("[Application]\n")}}
	if _, _, err := (flatpak.Extractor{}).Extract(ctx, fsys, nil, nil); err == nil {
		t.Error("no error")
	}
}

func TestKit(t *testing.T) {
	files, _ := deployed(t)
	home := "home/jane/.local/share/flatpak/" + app[16:]
	seeds := map[string][]byte{}
	for _, path := range []string{
		app + "metadata", app + "deploy", home + "metadata",
		home + "files/share/metainfo/org.example.Hello.metainfo.xml",
	} {
		seeds[path] = files[path]
	}
	extracttest.Database(t, flatpak.Extractor{}, nil, seeds)
}

func FuzzExtract(f *testing.F) {
	files, _ := deployed(f)
	f.Add(files[app+"metadata"], files[app+"deploy"], files[app+"files/share/metainfo/org.example.Hello.metainfo.xml"])
	f.Add(files[runtime+"metadata"], files[runtime+"deploy"], []byte{})
	f.Fuzz(func(t *testing.T, metadata, deploy, metainfo []byte) {
		const x = "files/share/metainfo/x.xml"
		pkgs, _ := extract(t, map[string][]byte{
			app + "metadata": metadata, app + "deploy": deploy, app + x: metainfo, "metadata": metadata, x: metainfo,
		})
		if len(pkgs) == 0 || pkgs[0].Name != "org.example.Hello" {
			t.Errorf("%+v", pkgs)
		}
		for _, p := range pkgs {
			if p.Name == "" || !fs.ValidPath(p.Where[0].Path) {
				t.Errorf("%+v", p)
			}
		}
	})
}
