// SPDX-License-Identifier: Apache-2.0

package dpkg_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/dpkg"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
)

func debian() *bulwark.OS {
	return &bulwark.OS{ID: "debian", Version: "12", Ecosystem: "Debian:12"}
}

func describe(pkgs []bulwark.Package, gaps []bulwark.Gap) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s %s %s\n\tpurl %s\n\tsource %s %s\n", p.Name, p.Version, p.Arch, p.PURL, p.Source, p.SourceVersion)
		if p.Vendor != "" {
			fmt.Fprintf(&b, "\tvendor %s\n", p.Vendor)
		}
		for _, l := range p.Licenses {
			fmt.Fprintf(&b, "\tlicence %s\n", l)
		}
		for _, f := range slices.Sorted(slices.Values(p.Files)) {
			fmt.Fprintf(&b, "\tfile %s\n", f)
		}
	}
	for _, g := range gaps {
		fmt.Fprintf(&b, "gap %s %s hides=%t\n", g.Kind, g.Path, g.Hides)
	}
	return b.String()
}

func load(t testing.TB, name string) (fsys fstest.MapFS, want string) {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	fsys = fstest.MapFS{}
	for _, f := range a.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		fsys[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
	}
	return fsys, want
}

func extract(t testing.TB, fsys fs.FS, os *bulwark.OS) ([]bulwark.Package, []bulwark.Gap) {
	t.Helper()
	pkgs, gaps, err := dpkg.Extractor{}.Extract(t.Context(), fsys, os, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return pkgs, gaps
}

func TestExtract(t *testing.T) {
	for _, name := range []string{"debian.txtar", "bookworm.txtar", "distroless.txtar", "opkg.txtar", "openwrt.txtar", "order.txtar", "damaged.txtar"} {
		t.Run(name, func(t *testing.T) {
			fsys, want := load(t, name)
			for path, f := range fsys {
				if !(dpkg.Extractor{}).Wants(path, bulwark.Stat{Size: int64(len(f.Data))}) {
					t.Errorf("does not want %q", path)
				}
			}
			pkgs, gaps := extract(t, fsys, debian())
			if diff := cmp.Diff(want, describe(pkgs, gaps)); diff != "" {
				t.Error(diff)
			}
			for _, p := range pkgs {
				eco := "Debian:12"
				if name == "opkg.txtar" || name == "openwrt.txtar" {
					eco = ""
				}
				if p.Ecosystem != eco || p.By != "dpkg" || len(p.Where) != 1 || fsys[p.Where[0].Path] == nil {
					t.Errorf("%s: ecosystem %q, by %q, where %v", p.Name, p.Ecosystem, p.By, p.Where)
				}
			}
		})
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{
		"var/lib/dpkg/status-old", "var/lib/dpkg/info/bash.postinst", "var/lib/dpkg/info/a/b.list", "var/lib/dpkg/status.d/",
		"usr/share/doc/copyright", "usr/share/doc/a/b/copyright", "usr/share/doc/bash/README", "var/lib/dpkg/available",
	} {
		if (dpkg.Extractor{}).Wants(path, bulwark.Stat{}) {
			t.Errorf("wants %q", path)
		}
	}
	if (dpkg.Extractor{}).Wants("usr/share/doc/chromium/copyright", bulwark.Stat{Size: 1 << 20}) {
		t.Error("wants a huge copyright file")
	}
}

func TestLongLines(t *testing.T) {
	status := "Package: a\nStatus: install ok installed\nDescription: " + strings.Repeat("x", 1<<20) + "\nVersion: 1\n\n" +
		"Package: b\nStatus: install ok installed\nVersion: " + strings.Repeat("1", 1<<20) + "\n\n" +
		"Package: c\nStatus: install ok installed\nVersion: 2"
	pkgs, gaps := extract(t, fstest.MapFS{"var/lib/dpkg/status": &fstest.MapFile{Data: []byte(status)}}, nil)
	if len(pkgs) != 2 || pkgs[0].Name != "a" || pkgs[1].Name != "c" || len(gaps) == 0 {
		t.Errorf("%s", describe(pkgs, gaps))
	}
	if pkgs[0].PURL != "pkg:deb/a@1" {
		t.Errorf("without a distribution: %q", pkgs[0].PURL)
	}
}

func TestManyErrorsAreFewGaps(t *testing.T) {
	status := strings.Repeat("garbage\n\n", 100_000)
	pkgs, gaps := extract(t, fstest.MapFS{"var/lib/dpkg/status": &fstest.MapFile{Data: []byte(status)}}, nil)
	if len(pkgs) > 0 || len(gaps) != 20 || gaps[19].Kind != bulwark.GapLimit {
		t.Errorf("%d packages, %d gaps", len(pkgs), len(gaps))
	}
}

func TestListCountsOnce(t *testing.T) {
	fsys := fstest.MapFS{
		"var/lib/dpkg/info/a.list": &fstest.MapFile{Data: bytes.Repeat([]byte("/usr/share/a/file\n"), 1000)},
		"var/lib/dpkg/status":      &fstest.MapFile{Data: bytes.Repeat([]byte("Package: a\nStatus: install ok installed\nVersion: 1\n\n"), 1000)},
	}
	pkgs, _ := extract(t, fsys, nil)
	files := 0
	for _, p := range pkgs {
		files += len(p.Files)
	}
	if len(pkgs) != 1000 || files != 1000 {
		t.Errorf("%d packages with %d files", len(pkgs), files)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fsys, _ := load(t, "debian.txtar")
	if _, _, err := (dpkg.Extractor{}).Extract(ctx, fsys, nil, nil); err == nil {
		t.Error("no error")
	}
}

// TestThisMachine compares with what dpkg says of the machine that runs it.
func TestThisMachine(t *testing.T) {
	format := "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n"
	out, err := exec.CommandContext(t.Context(), "dpkg-query", "-W", "-f", format).Output()
	if err != nil {
		t.Skipf("no dpkg here: %v", err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		status, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if status != "not-installed" && status != "config-files" {
			want = append(want, rest)
		}
	}
	pkgs, gaps := extract(t, os.DirFS("/"), debian())
	for _, g := range gaps {
		t.Errorf("gap %+v", g)
	}
	var got []string
	owner := map[string]string{}
	for _, p := range pkgs {
		if p.SourceVersion == "" {
			p.SourceVersion = p.Version
		}
		got = append(got, strings.Join([]string{p.Name, p.Version, p.Arch, p.Source, p.SourceVersion}, "\t"))
		for _, f := range p.Files {
			owner[f] = p.Name
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	t.Logf("%d packages, %d files", len(got), len(owner))

	out, err = exec.CommandContext(t.Context(), "dpkg-query", "-L", "dpkg", "base-files", "coreutils").Output()
	if err != nil {
		t.Skipf("no lists here: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		p := strings.TrimSpace(line)
		if st, err := os.Lstat(p); err == nil && st.Mode().IsRegular() && owner[p[1:]] == "" {
			t.Errorf("nobody owns %q", p)
		}
	}
}

func TestKit(t *testing.T) {
	for _, name := range []string{"distroless.txtar", "opkg.txtar", "kit.txtar"} {
		t.Run(name, func(t *testing.T) {
			fsys, _ := load(t, name)
			seeds := map[string][]byte{}
			for path, f := range fsys {
				if !strings.HasPrefix(path, "opt/") && !strings.Contains(path, "/ipkg/") { // the same at another place
					seeds[path] = f.Data
				}
			}
			extracttest.Database(t, dpkg.Extractor{}, debian(), seeds)
		})
	}
}

func FuzzStatus(f *testing.F) {
	for _, name := range []string{"debian.txtar", "opkg.txtar", "damaged.txtar"} {
		fsys, _ := load(f, name)
		for path, file := range fsys {
			if strings.HasSuffix(path, "/status") {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, status []byte) {
		extract(t, fstest.MapFS{
			"var/lib/dpkg/status":             &fstest.MapFile{Data: status},
			"var/lib/dpkg/status.d/one":       &fstest.MapFile{Data: status},
			"var/lib/dpkg/info/a.list":        &fstest.MapFile{Data: []byte("/usr/bin/a\n")},
			"usr/share/doc/adduser/copyright": &fstest.MapFile{Data: []byte("Format: DEP5\nLicense: MIT\n")},
		}, debian())
	})
}

func FuzzLists(f *testing.F) {
	f.Add([]byte("/.\n/usr\n/usr/bin\n/usr/bin/a\n"), []byte("d41d8cd98f00b204e9800998ecf8427e  usr/bin/a\n"), []byte("Format: DEP5\n\nLicense: MIT\n"))
	f.Fuzz(func(t *testing.T, list, sums, copyright []byte) {
		status := []byte("Package: a\nVersion: 1\nStatus: install ok installed\n")
		pkgs, _ := extract(t, fstest.MapFS{
			"var/lib/dpkg/status":             &fstest.MapFile{Data: status},
			"var/lib/dpkg/status.d/a":         &fstest.MapFile{Data: status},
			"var/lib/dpkg/status.d/a.md5sums": &fstest.MapFile{Data: sums},
			"var/lib/dpkg/info/a.list":        &fstest.MapFile{Data: list},
			"usr/share/doc/a/copyright":       &fstest.MapFile{Data: copyright},
		}, debian())
		if len(pkgs) != 2 {
			t.Fatalf("%d packages", len(pkgs))
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
