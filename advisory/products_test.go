// SPDX-License-Identifier: Apache-2.0

package advisory_test

import (
	"archive/zip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
	"github.com/bulwark-sec/bulwark/advisory/starter"
)

// facts gives the rows of starter/products.txt: "openssl CVE-2014-0160".
func facts(t *testing.T) map[string]bool {
	t.Helper()
	fsys, err := starter.Products()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	db, err := advisory.Starter(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if d := gocmp.Diff([]string{"Bulwark"}, db.Ecosystems()); d != "" {
		t.Fatal(d)
	}
	files, err := txtar.ParseFile("testdata/products.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(files.Comment)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] != "#" {
			list, _, err := db.Affected(t.Context(), f[1], 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range list {
				rows[a.Name+" "+f[1]] = true
			}
		}
	}
	return rows
}

// TestProducts asks about each row of Bulwark's own table: the first version, one
// before the fix and the one with the fix of every range.
func TestProducts(t *testing.T) {
	db, _ := build(t, &txtar.Archive{Files: []txtar.File{record("X-1", "npm", "x", "2.0.0", "2026-01-01T00:00:00Z")}})
	text, err := os.ReadFile("testdata/products.txt")
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 5 || f[0] == "#" {
			continue
		}
		tested[f[0]+" "+f[1]] = true
		affected, both := true, 0
		for _, v := range f[2:] {
			if v == "+" || v == "-" {
				affected = v == "+"
				both++
				continue
			}
			r, err := db.Match(t.Context(), &bulwark.Inventory{Packages: []bulwark.Package{{PURL: "pkg:generic/" + f[0] + "@" + v, Name: f[0], Version: v}}})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, x := range r.Findings {
				if x.Rule != f[1] {
					continue
				}
				found = true
				if a := r.Advisories[x.Rule]; a.Feed != "bulwark" || a.SeverityBy != "Bulwark" || a.Severity == bulwark.SeverityUnknown {
					t.Errorf("%s: %+v", f[1], a)
				}
			}
			if found != affected {
				t.Errorf("%s %s is affected by %s: %t, want %t", f[0], v, f[1], found, affected)
			}
			if len(r.Gaps) > 0 || len(r.Uncovered) > 0 || gocmp.Diff([]string{"generic"}, r.Unwatched) != "" {
				t.Errorf("%s %s: gaps %v, uncovered %v, unwatched %v", f[0], v, r.Gaps, r.Uncovered, r.Unwatched)
			}
		}
		if both != 2 {
			t.Errorf("%q tests one side only", line)
		}
	}
	if d := gocmp.Diff(facts(t), tested); d != "" {
		t.Error("rows without a test, or tests without a row", d)
	}
}

// TestProductKnown tells whether ids of the table are known to those who ask.
func TestProductKnown(t *testing.T) {
	db, _ := build(t, &txtar.Archive{Files: []txtar.File{record("X-1", "npm", "x", "2.0.0", "2026-01-01T00:00:00Z")}})
	a, err := db.Advisory("CVE-2025-32433")
	if err != nil || a.Severity != bulwark.SeverityCritical || a.Summary == "" || a.Feed != "bulwark" {
		t.Errorf("%+v, %v", a, err)
	}
	list, more, err := db.Affected(t.Context(), "CVE-2025-32433", 10)
	if err != nil || more != 0 || len(list) != 1 || list[0].Name != "erlang" || len(list[0].Ranges) != 3 {
		t.Errorf("%+v, %d, %v", list, more, err)
	}
	if d := gocmp.Diff([]string{"npm"}, db.Ecosystems()); d != "" {
		t.Error("the table is no part of the database", d)
	}
}

// TestSystemProducts tells whether Bitnami, whose word is better, has come to know
// a product of the table.
func TestSystemProducts(t *testing.T) {
	dir := os.Getenv("BULWARK_DATA")
	if dir == "" {
		t.Skip("needs the advisories: BULWARK_DATA names their folder")
	}
	z, err := zip.OpenReader(filepath.Join(dir, "osv/Bitnami/all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	own := map[string]bool{}
	for row := range facts(t) {
		name, _, _ := strings.Cut(row, " ")
		own[name] = true
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			ID       string
			Affected []struct{ Package struct{ Name string } }
		}
		if err := json.NewDecoder(r).Decode(&a); err != nil {
			t.Fatal(err)
		}
		for _, x := range a.Affected {
			if own[x.Package.Name] {
				t.Errorf("%s is about %s", a.ID, x.Package.Name)
			}
		}
	}
	t.Logf("%d products", len(own))
}
