// SPDX-License-Identifier: Apache-2.0

// Package system holds the tests that compare the built program with what
// package managers and ecosystems' own tools say of real images. They need root
// and what .ci/packages lists.
package system

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

// images gives the folder that test/system/images filled, and the program.
func images(t *testing.T) (dir, program string) {
	t.Helper()
	if os.Getenv("BULWARK_SYSTEM") == "" {
		t.Skip("needs real images: run make test-system")
	}
	dir, program = os.Getenv("BULWARK_IMAGES"), os.Getenv("BULWARK")
	if dir == "" || program == "" {
		t.Fatal("BULWARK_IMAGES and BULWARK must be set")
	}
	return dir, program
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, errs.String())
	}
	return out
}

// scan gives the report of a target.
func scan(t *testing.T, program string, args ...string) *bulwark.Report {
	t.Helper()
	args = append(append([]string{"scan"}, args...), "--cache", t.TempDir(), "--exit-zero", "-f", "json")
	var r bulwark.Report
	if err := json.Unmarshal(run(t, program, args...), &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// set makes a sorted set of lines.
func set(lines []string) []string {
	slices.Sort(lines)
	return slices.Compact(lines)
}

func lines(b []byte) []string {
	return set(strings.Fields(string(b)))
}

// score prints precision and recall of got against truth, and fails below the
// wanted bounds.
func score(t *testing.T, what string, got, truth []string, precision, recall float64) {
	t.Helper()
	got, truth = set(got), set(truth)
	hit := 0
	var missed, extra []string
	for _, x := range truth {
		if _, ok := slices.BinarySearch(got, x); ok {
			hit++
		} else {
			missed = append(missed, x)
		}
	}
	for _, x := range got {
		if _, ok := slices.BinarySearch(truth, x); !ok {
			extra = append(extra, x)
		}
	}
	if len(truth) == 0 {
		t.Fatalf("%s: the reference lists nothing", what)
	}
	p, r := float64(hit)/float64(max(1, len(got))), float64(hit)/float64(len(truth))
	t.Logf("%-28s truth %5d  found %5d  precision %.4f  recall %.4f", what, len(truth), len(got), p, r)
	if p < precision || r < recall {
		t.Errorf("%s: missed %q, extra %q", what, head(missed), head(extra))
	}
}

func head(s []string) []string { return s[:min(20, len(s))] }

// by picks packages of one extractor as "name version" through form.
func by(r *bulwark.Report, extractor string, form func(p *bulwark.Package) string) []string {
	var out []string
	for i := range r.Inventory.Packages {
		p := &r.Inventory.Packages[i]
		if slices.Contains(strings.Split(p.By, ","), extractor) {
			out = append(out, form(p))
		}
	}
	return out
}

func plain(p *bulwark.Package) string { return p.Name + "@" + p.Version }

func TestSystemDebianImage(t *testing.T) {
	dir, program := images(t)
	root := filepath.Join(dir, "rootfs")
	r := scan(t, program, filepath.Join(dir, "debian.oci"))

	truth := lines(run(t, "dpkg-query", "--root="+root, "-W", "-f", "${db:Status-Status} ${Package}@${Version}/${Architecture}\n"))
	truth = slices.DeleteFunc(truth, func(s string) bool { return !strings.Contains(s, "@") })
	score(t, "deb (dpkg-query)", by(r, "dpkg", func(p *bulwark.Package) string { return p.Name + "@" + p.Version + "/" + p.Arch }), truth, 1, 1)

	// What npm itself lists of the tree in /srv/app, but for what the image deletes.
	b, err := os.ReadFile(filepath.Join(dir, "npm.truth.json"))
	if err != nil {
		t.Fatal(err)
	}
	var app []string
	for i := range r.Inventory.Packages {
		p := &r.Inventory.Packages[i]
		if strings.Contains(p.By, "npm-installed") && slices.ContainsFunc(p.Where, func(l bulwark.Location) bool { return strings.HasPrefix(l.Path, "srv/app/") }) {
			app = append(app, plain(p))
		}
	}
	want := slices.DeleteFunc(npmTree(t, b), func(s string) bool { return strings.HasPrefix(s, "lodash@4.17.15") })
	// npm's list leaves out what packages bundle, so precision is only told.
	score(t, "npm (npm ls)", app, want, 0, 1)

	score(t, "PyPI (pip list)", by(r, "python-installed", func(p *bulwark.Package) string { return strings.ToLower(p.Name) + "@" + p.Version }),
		pip(t, root), 0.9, 1)
	score(t, "RubyGems (gem list)", by(r, "gem-installed", plain), gems(t, root), 1, 1)
	score(t, "Maven (pom.properties)", by(r, "jar", plain), poms(t, root), 0, 1) // not every jar has one

	var truthGo []string
	for _, name := range []string{"normal", "stripped"} {
		for line := range strings.Lines(string(run(t, "go", "version", "-m", filepath.Join(dir, "gobin", name)))) {
			if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" {
				truthGo = append(truthGo, f[1]+"@"+f[2])
			}
		}
	}
	got := slices.DeleteFunc(by(r, "gobinary", plain), func(s string) bool {
		return strings.HasPrefix(s, "stdlib@") || strings.HasPrefix(s, "example.test/")
	})
	score(t, "Go (go version -m)", got, truthGo, 1, 1)

	same := scan(t, program, "fs", root)
	score(t, "deb, same root as directory", by(same, "dpkg", plain), by(r, "dpkg", plain), 1, 1)
	score(t, "npm, same root as directory", by(same, "npm-installed", plain), by(r, "npm-installed", plain), 1, 1)
	for _, g := range r.Inventory.Gaps {
		if g.Hides {
			t.Errorf("a stock image has a gap that hides packages: %+v", g)
		}
	}
}

// npmTree flattens the output of npm ls --all --json.
func npmTree(t *testing.T, b []byte) []string {
	t.Helper()
	type node struct {
		Version      string          `json:"version"`
		Dependencies map[string]node `json:"dependencies"`
	}
	var top node
	if err := json.Unmarshal(b, &top); err != nil {
		t.Fatal(err)
	}
	var out []string
	var visit func(n node)
	visit = func(n node) {
		for name, d := range n.Dependencies {
			if d.Version != "" {
				out = append(out, name+"@"+d.Version)
			}
			visit(d)
		}
	}
	visit(top)
	return out
}

// pip asks the image's own Python.
func pip(t *testing.T, root string) []string {
	t.Helper()
	var list []struct{ Name, Version string }
	if err := json.Unmarshal(run(t, "chroot", root, "python3", "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"), &list); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range list {
		out = append(out, strings.ToLower(p.Name)+"@"+p.Version)
	}
	return out
}

// gems asks the image's own RubyGems.
func gems(t *testing.T, root string) []string {
	t.Helper()
	return lines(run(t, "chroot", root, "ruby", "-e", `Gem::Specification.each { |s| puts "#{s.name}@#{s.version}" }`))
}

// poms reads what Maven itself wrote into the image's jars.
func poms(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(root, "usr/share"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(p) != ".jar" {
			return err
		}
		list, err := exec.Command("unzip", "-Z1", p, "META-INF/maven/*/pom.properties").Output()
		if err != nil {
			return nil // a jar without one
		}
		for name := range strings.Lines(string(list)) {
			props, err := exec.Command("unzip", "-p", p, strings.TrimSpace(name)).Output()
			if err != nil {
				return err
			}
			f := map[string]string{}
			for line := range strings.Lines(string(props)) {
				if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
					f[strings.TrimSpace(k)] = strings.TrimSpace(v)
				}
			}
			if f["artifactId"] != "" && f["version"] != "" {
				out = append(out, fmt.Sprintf("%s:%s@%s", f["groupId"], f["artifactId"], f["version"]))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
