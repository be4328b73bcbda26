// SPDX-License-Identifier: Apache-2.0

package osrelease_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/osrelease"
)

func describe(os *bulwark.OS, gaps []bulwark.Gap) string {
	var b strings.Builder
	line := func(key, value string) { b.WriteString(strings.TrimRight(key+" "+value, " ") + "\n") }
	if os == nil {
		line("none", "")
	} else {
		line("id", os.ID)
		line("version", os.Version)
		if os.Like != "" {
			line("like", os.Like)
		}
		line("codename", os.Codename)
		line("name", os.Name)
		line("ecosystem", os.Ecosystem)
		day, ok := osrelease.EOL(os)
		if ok {
			line("eol", day.Format(time.DateOnly))
		} else {
			line("eol", "")
		}
	}
	for _, g := range gaps {
		if g.Hides {
			line("hides", "")
		}
		line("gap", g.Kind+" "+g.Path)
	}
	return b.String()
}

// TestDetect runs the root file systems in testdata: their files and, as want,
// what Detect makes of them.
func TestDetect(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			fsys, want := fstest.MapFS{}, ""
			for _, f := range a.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				if f.Name != "etc/passwd" && !osrelease.Wants(f.Name, bulwark.Stat{}) {
					t.Errorf("does not want %q", f.Name)
				}
				fsys[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644}
			}
			if diff := cmp.Diff(want, describe(osrelease.Detect(fsys))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWording shows that a gap says of a distribution without advisories whether
// its packages are listed.
func TestWording(t *testing.T) {
	for id, want := range map[string]string{
		"arch": "its packages are listed", "gentoo": "its packages are listed", "nixos": "its packages are listed",
		"void": "the database of xbps is not read", "guix": "the store of Guix is not read",
	} {
		_, gaps := osrelease.Detect(fstest.MapFS{"etc/os-release": &fstest.MapFile{Data: []byte("ID=" + id + "\n")}})
		if len(gaps) != 1 || !strings.Contains(gaps[0].Detail, "has no advisories for it") || !strings.Contains(gaps[0].Detail, want) {
			t.Errorf("%s: %+v", id, gaps)
		}
	}
}

func TestHostile(t *testing.T) {
	one := func(path, text string) fstest.MapFS {
		return fstest.MapFS{path: &fstest.MapFile{Data: []byte(text), Mode: 0o644}}
	}
	os, gaps := osrelease.Detect(one("etc/os-release", "ID=debian\n"+strings.Repeat("#", 1<<20)))
	if os != nil || len(gaps) != 1 || gaps[0].Kind != bulwark.GapLimit {
		t.Errorf("huge file: %v, %v", os, gaps)
	}
	os, _ = osrelease.Detect(one("etc/os-release", "ID=x\nPRETTY_NAME=\"a\x1b[31m\x00b"+strings.Repeat("c", 5000)+"\"\n"))
	if os == nil || len(os.Name) > 256 || strings.ContainsAny(os.Name, "\x1b\x00") {
		t.Errorf("control characters or length: %+v", os)
	}
	os, gaps = osrelease.Detect(fstest.MapFS{"etc/os-release/dir": &fstest.MapFile{}})
	if os != nil || gaps != nil {
		t.Errorf("directory: %v, %v", os, gaps)
	}
	if _, ok := osrelease.EOL(nil); ok {
		t.Error("no distribution has an end of life")
	}
}

// TestEOL shows how versions are shortened, and that a release without a day has none.
func TestEOL(t *testing.T) {
	for _, tc := range []struct{ id, version, name, want string }{
		{"ubuntu", "10.04", "", "2015-04-30"},
		{"ubuntu", "26.10", "", "2027-07-15"},
		{"alpine", "3.24.1", "", "2028-06-01"},
		{"alpine", "3.25.0_alpha20260805", "", ""},
		{"fedora", "43", "", "2026-12-09"},
		{"fedora", "45", "", ""},
		{"centos", "4.9", "CentOS 4.9", "2012-02-29"},
		{"centos", "10", "CentOS Stream 10 (Coughlan)", "2030-01-01"},
		{"opensuse-leap", "16.0", "", "2027-10-31"},
		{"sles", "11.4", "", "2019-03-31"},
		{"amzn", "2023", "", "2029-06-30"},
		{"azurelinux", "3.0", "", "2027-08-31"},
		{"debian", "14", "", ""},
	} {
		got := ""
		if day, ok := osrelease.EOL(&bulwark.OS{ID: tc.id, Version: tc.version, Name: tc.name}); ok {
			got = day.Format(time.DateOnly)
		}
		if got != tc.want {
			t.Errorf("%s %s: %q, want %q", tc.id, tc.version, got, tc.want)
		}
	}
}

func TestWantsAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { _ = osrelease.Wants("etc/os-release", bulwark.Stat{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if osrelease.Wants("etc/passwd", bulwark.Stat{}) {
		t.Error("wants etc/passwd")
	}
}

func FuzzDetect(f *testing.F) {
	f.Add("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
	f.Add("etc/redhat-release", "CentOS release 6.10 (Final)\n")
	f.Add("etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=14.04\n")
	f.Add("etc/debian_version", "trixie/sid\n")
	f.Add("etc/alpine-release", "3.20.0_alpha20240329\n")
	f.Fuzz(func(t *testing.T, path, text string) {
		if !osrelease.Wants(path, bulwark.Stat{}) {
			return
		}
		os, gaps := osrelease.Detect(fstest.MapFS{path: &fstest.MapFile{Data: []byte(text), Mode: 0o644}})
		osrelease.EOL(os)
		if os != nil && os.Ecosystem == "" && len(gaps) == 0 {
			t.Errorf("neither ecosystem nor gap: %s", fmt.Sprint(os))
		}
	})
}
