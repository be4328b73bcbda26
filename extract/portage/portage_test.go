// SPDX-License-Identifier: Apache-2.0

package portage_test

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
	"github.com/bulwark-sec/bulwark/extract/portage"
)

const root = "var/db/pkg/"

func gentoo() *bulwark.OS { return &bulwark.OS{ID: "gentoo", Version: "2.15"} }

func all(string) bool { return true }

func describe(pkgs []bulwark.Package, gaps []bulwark.Gap) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s %s\n\tpurl %s\n", p.Name, p.Version, p.PURL)
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
	pkgs, gaps, err := portage.Extractor{}.Extract(t.Context(), fsys, os, all)
	if err != nil {
		t.Fatal(err)
	}
	return pkgs, gaps
}

func TestExtract(t *testing.T) {
	for _, name := range []string{"gentoo.txtar", "real.txtar", "damaged.txtar"} {
		files, want := load(t, name)
		for path := range files {
			if !(portage.Extractor{}).Wants(path, bulwark.Stat{}) {
				t.Errorf("does not want %q", path)
			}
		}
		pkgs, gaps := extract(t, gentoo(), files)
		if diff := cmp.Diff(want, describe(pkgs, gaps)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		for _, p := range pkgs {
			if p.Ecosystem != "" || p.By != "portage" || len(p.Where) != 1 || !strings.HasSuffix(p.Where[0].Path, "/PF") {
				t.Errorf("%+v", p)
			}
		}
	}
}

// TestNames follows the examples and the grammar of PMS 8, section 3.
func TestNames(t *testing.T) {
	for pf, want := range map[string]string{
		"a-1":                           "a 1",
		"a-1-r0":                        "a 1-r0",
		"a-1.2.3b_alpha4_beta_rc2_p-r5": "a 1.2.3b_alpha4_beta_rc2_p-r5",
		"gtk+-3.24":                     "gtk+ 3.24",
		"foo-bar-75dpi-1.0":             "foo-bar-75dpi 1.0",
		"a-9999":                        "a 9999",
		"a-r1":                          "",
		"a-1.":                          "",
		"a-1_gamma":                     "",
		"a-1ab":                         "",
		"a-":                            "",
		"-1":                            "",
		"a":                             "",
	} {
		pkgs, gaps := extract(t, nil, map[string][]byte{root + "c-d/" + pf + "/PF": []byte(pf + "\n")})
		got := ""
		if len(pkgs) == 1 {
			got = strings.TrimPrefix(pkgs[0].Name, "c-d/") + " " + pkgs[0].Version
		}
		if got != want || (want == "") != (len(gaps) == 1) {
			t.Errorf("%q: %q, want %q; %+v", pf, got, want, gaps)
		}
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		root + "a/b-1/PF":          true,
		root + "a/b-1/repository":  true,
		root + "a/b-1/RDEPEND":     false,
		root + "a/PF":              false,
		root + "a/-MERGING-b-1/PF": false,
		root + "a/b-1/c/PF":        false,
		"db/pkg/a/b-1/PF":          false,
	} {
		if got := (portage.Extractor{}).Wants(path, bulwark.Stat{}); got != want {
			t.Errorf("%q: %t", path, got)
		}
	}
	if (portage.Extractor{}).Optional(root+"a/b-1/PF") || !(portage.Extractor{}).Optional(root+"a/b-1/CONTENTS") {
		t.Error("a name is needed, contents are not")
	}
}

func TestLimits(t *testing.T) {
	pkgs, gaps := extract(t, nil, map[string][]byte{
		root + "a/b-1/PF":      []byte("b-1"),
		root + "a/b-1/LICENSE": []byte(strings.Repeat("x", 1<<20)),
	})
	if len(pkgs) != 1 || len(gaps) != 1 || gaps[0].Kind != bulwark.GapLimit || gaps[0].Hides {
		t.Errorf("%+v, %+v", pkgs, gaps)
	}
	many := map[string][]byte{}
	for i := range 2000 {
		many[fmt.Sprintf("%sa/broken%d/PF", root, i)] = []byte("garbage")
	}
	pkgs, gaps = extract(t, nil, many)
	if len(pkgs) > 0 || len(gaps) != 20 || gaps[19].Kind != bulwark.GapLimit {
		t.Errorf("%d packages, %d gaps", len(pkgs), len(gaps))
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fsys := fstest.MapFS{root + "a/b-1/PF": &fstest.MapFile{Data: []byte("b-1\n")}}
	if _, _, err := (portage.Extractor{}).Extract(ctx, fsys, nil, nil); err == nil {
		t.Error("no error")
	}
}

func TestKit(t *testing.T) {
	files, _ := load(t, "gentoo.txtar")
	seeds := map[string][]byte{}
	for path, data := range files {
		if strings.HasPrefix(path, root+"app-containers/") {
			seeds[path] = data
		}
	}
	extracttest.Database(t, portage.Extractor{}, gentoo(), seeds)
}

func FuzzExtract(f *testing.F) {
	files, _ := load(f, "gentoo.txtar")
	dir := root + "app-containers/skopeo-1.5.1/"
	f.Add("skopeo-1.5.1", files[dir+"PF"], files[dir+"LICENSE"], files[dir+"CONTENTS"])
	f.Fuzz(func(t *testing.T, pf string, stored, license, contents []byte) {
		if pf == "" || pf == "." || pf == ".." || !fs.ValidPath(pf) || strings.Contains(pf, "/") {
			return
		}
		dir := root + "c/" + pf + "/"
		pkgs, gaps := extract(t, gentoo(), map[string][]byte{dir + "PF": stored, dir + "LICENSE": license, dir + "CONTENTS": contents})
		if len(pkgs) == 0 && len(gaps) == 0 {
			t.Error("neither package nor gap")
		}
		for _, p := range pkgs {
			for _, file := range p.Files {
				if !fs.ValidPath(file) {
					t.Errorf("path %q", file)
				}
			}
		}
	})
}
