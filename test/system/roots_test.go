// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// spec is a package for rpmbuild; %[1]s is the name, %[2]s the version, %[3]s
// further tags.
const spec = `Name: %[1]s
Version: %[2]s
Release: 1.el9
Summary: a package of a test
License: MIT
BuildArch: noarch
%[3]s
%%description
A package of a test.
%%install
mkdir -p %%{buildroot}/usr/share/%[1]s
echo %[2]s >%%{buildroot}/usr/share/%[1]s/version
%%files
/usr/share/%[1]s
%%package extra
Summary: a subpackage
%%description extra
A subpackage.
%%files extra
`

// TestSystemRPMRoot builds packages and a root with rpm itself, and compares
// with rpm's own list.
func TestSystemRPMRoot(t *testing.T) {
	_, program := images(t)
	top, root := t.TempDir(), t.TempDir()
	for i := range 12 {
		tags := ""
		if i%3 == 0 {
			tags = fmt.Sprintf("Epoch: %d", i+1)
		}
		name := filepath.Join(top, fmt.Sprintf("p%d.spec", i))
		write(t, name, fmt.Sprintf(spec, fmt.Sprintf("sample%d", i), fmt.Sprintf("1.%d~rc1", i), tags))
		run(t, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+top, "--define", "_build_id_links none", name)
	}
	rpms, err := filepath.Glob(filepath.Join(top, "RPMS", "*", "*.rpm"))
	if err != nil || len(rpms) != 24 {
		t.Fatal(rpms, err)
	}
	for _, at := range []string{"/var/lib/rpm", "/usr/lib/sysimage/rpm"} {
		root := filepath.Join(root, strings.ReplaceAll(at, "/", "_"))
		write(t, filepath.Join(root, "etc/os-release"), "ID=almalinux\nVERSION_ID=\"9.4\"\nPRETTY_NAME=\"AlmaLinux 9.4\"\nID_LIKE=\"rhel centos fedora\"\n")
		db := []string{"--root", root, "--define", "_dbpath " + at}
		run(t, "rpm", append(db, "--initdb")...)
		run(t, "rpm", append(append(db, "-i", "--nodeps", "--force"), rpms...)...)
		truth := lines(run(t, "rpm", append(db, "-qa", "--qf", "%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}/%{NAME}/%{ARCH}\n")...))
		r := scan(t, program, "fs", root, "--allow-starter")
		got := by(r, "rpm", func(p *bulwark.Package) string { return p.Version + "/" + p.Name + "/" + p.Arch })
		score(t, "rpm (rpm -qa), "+at, got, truth, 1, 1)
		if r.Inventory.OS == nil || r.Inventory.OS.Ecosystem != "AlmaLinux:9" {
			t.Errorf("the system is %+v", r.Inventory.OS)
		}
		for i := range r.Inventory.Packages {
			p := &r.Inventory.Packages[i]
			if want := strings.TrimSuffix(p.Name, "-extra"); p.Source != want {
				t.Errorf("%s comes from source %q, want %q", p.Name, p.Source, want)
			}
		}
	}
}

// module gives the folder of a module in the module cache, which it fills.
func module(t *testing.T, at string) string {
	t.Helper()
	out := run(t, "go", "mod", "download", "-json", at)
	_, rest, ok := strings.Cut(string(out), `"Dir": "`)
	dir, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		t.Fatalf("%s", out)
	}
	return dir
}

// TestSystemApkRoot takes a database that a real Alpine system wrote. There is no
// apk here to ask: the truth is read from the file by its lines.
func TestSystemApkRoot(t *testing.T) {
	_, program := images(t)
	dir := module(t, "github.com/anchore/syft@v1.57.0")
	var databases []string
	for _, pattern := range []string{"syft/pkg/cataloger/alpine/testdata/*/lib/apk/db/installed", "syft/pkg/cataloger/alpine/testdata/*", "internal/*/testdata/*apk*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		databases = append(databases, found...)
	}
	var truth []string
	root := t.TempDir()
	var all strings.Builder
	for _, name := range databases {
		b, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(b), "\nV:") {
			continue
		}
		all.WriteString(strings.TrimRight(string(b), "\n") + "\n\n")
	}
	for stanza := range strings.SplitSeq(all.String(), "\n\n") {
		var n, v string
		for line := range strings.Lines(stanza) {
			switch {
			case strings.HasPrefix(line, "P:"):
				n = strings.TrimSpace(line[2:])
			case strings.HasPrefix(line, "V:"):
				v = strings.TrimSpace(line[2:])
			}
		}
		if n != "" && v != "" {
			truth = append(truth, n+"@"+v)
		}
	}
	write(t, filepath.Join(root, "lib/apk/db/installed"), all.String())
	write(t, filepath.Join(root, "etc/os-release"), "ID=alpine\nVERSION_ID=3.19.1\n")
	r := scan(t, program, "fs", root, "--allow-starter")
	score(t, "apk (lines of installed)", by(r, "apk", plain), truth, 1, 1)
	if r.Inventory.OS == nil || r.Inventory.OS.Ecosystem != "Alpine:v3.19" {
		t.Errorf("the system is %+v", r.Inventory.OS)
	}
}

// TestSystemDistroless lays out real stanzas of the Debian root as distroless
// images do, a file each in status.d.
func TestSystemDistroless(t *testing.T) {
	dir, program := images(t)
	b, err := os.ReadFile(filepath.Join(dir, "rootfs/var/lib/dpkg/status"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	var truth []string
	for stanza := range strings.SplitSeq(string(b), "\n\n") {
		f := map[string]string{}
		for line := range strings.Lines(stanza) {
			if k, v, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(k, " ") {
				f[k] = strings.TrimSpace(v)
			}
		}
		if !slices.Contains([]string{"base-files", "libc6", "libssl3", "netbase", "tzdata", "zlib1g", "openjdk-17-jre-headless"}, f["Package"]) {
			continue
		}
		stanza = strings.ReplaceAll(stanza, "Status: install ok installed\n", "") // distroless leaves it out
		write(t, filepath.Join(root, "var/lib/dpkg/status.d", f["Package"]), stanza+"\n")
		truth = append(truth, f["Package"]+"@"+f["Version"])
	}
	write(t, filepath.Join(root, "usr/lib/os-release"), "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Distroless\"\n")
	r := scan(t, program, "fs", root, "--allow-starter")
	score(t, "deb, distroless", by(r, "dpkg", plain), truth, 1, 1)
}

// TestSystemEngines scans one image from every place that it can be in.
func TestSystemEngines(t *testing.T) {
	dir, program := images(t)
	layout := filepath.Join(dir, "debian.oci:1")
	want := by(scan(t, program, layout, "--secrets", "off"), "dpkg", plain)
	tmp := t.TempDir()
	for _, form := range []string{"docker-archive", "oci-archive"} {
		file := filepath.Join(tmp, form+".tar")
		run(t, "skopeo", "copy", "-q", "oci:"+layout, form+":"+file+":localhost/debian:1")
		got := scan(t, program, file, "--secrets", "off")
		score(t, form, by(got, "dpkg", plain), want, 1, 1)
		if out, err := exec.Command("zstd", "-q", "-T2", "-1", "--rm", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got = scan(t, program, file+".zst", "--secrets", "off")
		score(t, form+", zstd", by(got, "dpkg", plain), want, 1, 1)
	}
}
