// SPDX-License-Identifier: Apache-2.0

package spdx_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	spdxjson "github.com/spdx/tools-golang/json" // tests only: the standard's own reader
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/spdx"
)

func load(t testing.TB, name string) *bulwark.Report {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	r := new(bulwark.Report)
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t testing.TB, r *bulwark.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (spdx.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t testing.TB, b []byte) *v2_3.Document {
	t.Helper()
	doc := new(v2_3.Document)
	if err := spdxjson.ReadInto(bytes.NewReader(b), doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestValid(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		t.Run(name, func(t *testing.T) {
			r := load(t, name)
			doc := read(t, write(t, r))
			if err := spdxlib.ValidateDocument(doc); err != nil {
				t.Error(err)
			}
			want := len(r.Inventory.Packages) + 1
			if r.Inventory.OS != nil {
				want++
			}
			if len(doc.Packages) != want || len(doc.Relationships) != want {
				t.Errorf("%d packages and %d relationships, want %d of each", len(doc.Packages), len(doc.Relationships), want)
			}
			notes := len(r.Inventory.Gaps)
			if r.Database.Starter {
				notes++ // the starter set is announced in every output
			}
			if len(doc.Annotations) != notes {
				t.Errorf("%d annotations, want %d", len(doc.Annotations), notes)
			}
		})
	}
}

func TestPackage(t *testing.T) {
	r := load(t, "report")
	doc := read(t, write(t, r))
	by := map[string]*v2_3.Package{}
	for _, p := range doc.Packages {
		by[p.PackageName] = p
	}
	p := by["liblzma5"]
	if p == nil {
		t.Fatal("liblzma5 is not there")
	}
	if got := p.PackageExternalReferences[0].Locator; got != "pkg:deb/debian/liblzma5@5.6.1-1?arch=amd64&distro=debian-12" {
		t.Errorf("purl %q", got)
	}
	if got := p.PackageSupplier; got == nil || got.Supplier != "Debian Maintainers (team@example.org)" || got.SupplierType != "Organization" {
		t.Errorf("supplier %v", got)
	}
	raw, ok := strings.CutPrefix(p.PackageComment, "bulwark: ")
	if !ok {
		t.Fatalf("comment %q", p.PackageComment)
	}
	var got bulwark.Package // the keys are those of the noun
	if err := json.Unmarshal([]byte(raw), &got); err != nil {
		t.Fatal(err)
	}
	want := bulwark.Package{Ecosystem: "Debian:12", Source: "xz-utils", SourceVersion: "5.6.1-1", Arch: "amd64", By: "dpkg"}
	for _, x := range r.Inventory.Packages {
		if x.Name == "liblzma5" {
			want.Where = x.Where
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("comment (-want +got):\n%s", d)
	}
	for name, want := range map[string]string{
		"base-files":     "GPL-2.0-or-later",
		"libc6":          "LGPL-2.1-or-later AND GPL-2.0-or-later WITH GCC-exception-3.1",
		"linux-libc-dev": "GPL-2.0-only WITH Linux-syscall-note",
		"python3.11":     "PSF-2.0 AND (MIT OR Apache-2.0)",
		"stdlib":         "NOASSERTION",
		"requests":       "LicenseRef-Apache-2.0-",
		"plug":           "LicenseRef-LicenseRef-mine-",
	} {
		if got := by[name].PackageLicenseDeclared; !strings.HasPrefix(got, want) {
			t.Errorf("%s: licence %q, want %q", name, got, want)
		}
	}
	explained := map[string]bool{}
	for _, x := range doc.OtherLicenses {
		explained[x.LicenseIdentifier] = true
	}
	for _, p := range doc.Packages {
		for word := range strings.FieldsSeq(p.PackageLicenseDeclared) {
			if strings.HasPrefix(word, "LicenseRef-") && !explained[word] {
				t.Errorf("%q is not explained", word)
			}
		}
	}
}

func TestDuplicatesKeepIDsApart(t *testing.T) {
	r := load(t, "report")
	p := r.Inventory.Packages[0]
	for range 40 {
		r.Inventory.Packages = append(r.Inventory.Packages, p)
	}
	if err := spdxlib.ValidateDocument(read(t, write(t, r))); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, p := range read(t, write(t, r)).Packages {
		id := string(p.PackageSPDXIdentifier)
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
	}
}

// TestScanIsNotInIt: two scans of one artifact with one database give the same
// bytes.
func TestScanIsNotInIt(t *testing.T) {
	a, b := load(t, "report"), load(t, "report")
	b.Created = b.Created.AddDate(1, 2, 3)
	b.Scan = bulwark.Scan{DurationMS: 9}
	b.Decision, b.Findings, b.Advisories = bulwark.Decision{}, nil, nil
	if d := cmp.Diff(string(write(t, a)), string(write(t, b))); d != "" {
		t.Error(d)
	}
}
