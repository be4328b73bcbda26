// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/attest"
	"github.com/bulwark-sec/bulwark/policy"
)

// TestClauses looks at the conditions of products.
func TestClauses(t *testing.T) {
	digest := strings.Repeat("a", 64)
	purl := func(s string) attest.Component { return attest.Component{ID: s, PURLs: []string{s}} }
	web := purl("pkg:oci/web@sha256%3A" + digest)
	inWeb := `img.digest == "sha256:` + digest + `"`
	for _, tc := range []struct {
		name string
		p    attest.Product
		want []string
		lost string
	}{
		{"version", attest.Product{Component: purl("pkg:npm/%40a/b@1")}, []string{`pkg.purl == "pkg:npm/%40a/b@1" || pkg.purl.startsWith("pkg:npm/%40a/b@1?")`}, ""},
		{"go", attest.Product{Component: purl("pkg:golang/example.org/a@v1.2.0")}, []string{
			`pkg.purl == "pkg:golang/example.org/a@1.2.0" || pkg.purl.startsWith("pkg:golang/example.org/a@1.2.0?") || pkg.purl == "pkg:golang/example.org/a@v1.2.0" || pkg.purl.startsWith("pkg:golang/example.org/a@v1.2.0?")`}, ""},
		{"arch", attest.Product{Component: purl("pkg:deb/debian/a@1?arch=amd64")}, []string{
			`(pkg.purl == "pkg:deb/debian/a@1" || pkg.purl.startsWith("pkg:deb/debian/a@1?")) && (pkg.purl.contains("?arch=amd64&") || pkg.purl.contains("&arch=amd64&") || pkg.purl.endsWith("?arch=amd64") || pkg.purl.endsWith("&arch=amd64"))`}, ""},
		{"image", attest.Product{Component: web}, []string{inWeb}, ""},
		{"image-name", attest.Product{Component: purl("pkg:oci/web?repository_url=ghcr.io/corp&tag=1")}, []string{`img.registry == "ghcr.io" && img.repo == "corp/web" && img.tag == "1"`}, ""},
		{"image-somewhere", attest.Product{Component: purl("pkg:oci/web")}, nil, "without a digest and a repository_url"},
		{"hash", attest.Product{Component: attest.Component{ID: "https://example.org/web", Hashes: []string{digest}}}, []string{inWeb}, ""},
		{"hash-of-a-package", attest.Product{Component: attest.Component{PURLs: []string{"pkg:npm/a@1"}, Hashes: []string{digest}}}, []string{`pkg.purl == "pkg:npm/a@1" || pkg.purl.startsWith("pkg:npm/a@1?")`}, ""},
		{"inside", attest.Product{Component: web, Subcomponents: []attest.Component{purl("pkg:npm/a@1"), {ID: "x"}}}, []string{
			"(" + inWeb + `) && (pkg.purl == "pkg:npm/a@1" || pkg.purl.startsWith("pkg:npm/a@1?"))`}, `subcomponent "x": it has neither`},
		{"within", attest.Product{Component: purl("pkg:npm/a@1"), Within: []attest.Component{web}}, []string{
			"(" + inWeb + `) && (pkg.purl == "pkg:npm/a@1" || pkg.purl.startsWith("pkg:npm/a@1?"))`}, ""},
		{"within-a-distribution", attest.Product{Component: purl("pkg:rpm/redhat/a@1"), Within: []attest.Component{{CPEs: []string{"cpe:/o:redhat:enterprise_linux:9"}}}}, nil, "no image with a name or digest"},
		{"part", attest.Product{Component: purl("pkg:golang/example.org/a@v1#b")}, nil, "subpath"},
		{"no-name", attest.Product{Component: attest.Component{ID: "a"}}, nil, "neither a package URL nor a digest"},
		{"quotes", attest.Product{Component: purl(`pkg:npm/a?x=y%22%20||%20true`)}, []string{}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := productClauses(&tc.p)
			if tc.name == "quotes" { // however it is written, it stays a text
				if strings.Count(strings.Join(got, ""), `"`)%2 != 0 {
					t.Errorf("%q", got)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (err == nil) != (tc.lost == "") || err != nil && !strings.Contains(err.Error(), tc.lost) {
				t.Errorf("error %v, want %q", err, tc.lost)
			}
		})
	}
}

// openVEX gives a document of one statement about each of the names.
func openVEX(status string, products int, names ...string) []byte {
	var list []any
	for _, n := range names {
		var ps []any
		for i := range products {
			ps = append(ps, map[string]any{"@id": fmt.Sprintf("pkg:npm/p%d@1", i)})
		}
		list = append(list, map[string]any{"vulnerability": map[string]any{"name": n}, "status": status, "impact_statement": "x", "products": ps})
	}
	b, _ := json.Marshal(map[string]any{"@context": "https://openvex.dev/ns/v0.2.0", "author": "a", "timestamp": "2026-01-01T00:00:00Z", "statements": list}) // maps of texts always can be
	return b
}

// imported runs an import up to its text.
func imported(t testing.TB, data []byte) (*importing, []byte, error) {
	t.Helper()
	d, err := attest.ParseVEX("x.json", data)
	if err != nil {
		return nil, nil, err
	}
	im := &importing{owner: "o", expires: "2999-12-31"}
	im.documents([]attest.Document{d})
	if len(im.out) == 0 {
		return im, nil, nil
	}
	b, err := im.text()
	return im, b, err
}

// TestImported shows that what is written can be read, whatever the names are, and
// that many products make several documents.
func TestImported(t *testing.T) {
	names := []string{"CVE-2026-1", "cve-2026-1", "GHSA-Abcd", "weird name", "ünïcode", "....", strings.Repeat("x", 500), `a"b`, "-"}
	im, b, err := imported(t, openVEX("not_affected", 2, names...))
	if err != nil {
		t.Fatal(err)
	}
	s, err := policy.Load([]policy.Source{{Name: "x.yaml", Data: b}})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Exceptions(); len(got) != 5 || len(im.lost) != 3 { // one name in two cases is one vulnerability
		t.Errorf("%d exceptions, lost %q", len(got), im.lost)
	}
	if strings.Contains(string(b), `"cve-`) || !strings.Contains(string(b), `["CVE-2026-1"]`) {
		t.Errorf("%s", b)
	}
	for _, e := range s.Exceptions() {
		if e.Owner != "o" || e.VEX == nil || e.VEX.Impact != "x" || !e.Expires.Equal(time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%+v", e)
		}
	}
	if im, _, err := imported(t, openVEX("fixed", 3*maxClauses, "CVE-2026-1")); err != nil || len(im.out) != 3 {
		t.Errorf("%d documents, %v", len(im.out), err)
	}
	if im, _, err := imported(t, openVEX("affected", 1, "CVE-2026-1")); err != nil || len(im.out) != 0 || im.statuses != 1 {
		t.Errorf("%+v, %v", im, err)
	}
	// Far more than one file may hold.
	many := make([]string, 1100)
	for i := range many {
		many[i] = fmt.Sprintf("CVE-2026-%d", i)
	}
	if _, _, err := imported(t, openVEX("fixed", 1, many...)); err == nil || !strings.Contains(err.Error(), "more than 1000 documents") {
		t.Errorf("error %v", err)
	}
}

// FuzzImport shows that exceptions are made that can be read again, or none.
func FuzzImport(f *testing.F) {
	f.Add("CVE-2026-1", "pkg:npm/a@1", "pkg:npm/b@1?x=y", "never called", "me")
	f.Add("a\u202eb", `pkg:oci/x?repository_url=a"b`, "cpe:/o:x", "\x00\xff", "---\n")
	f.Add("v", "pkg:deb/debian/a?arch=source", "pkg:golang/x@v1", "|\n  x: y", "'")
	f.Fuzz(func(t *testing.T, name, product, sub, words, author string) {
		b, err := json.Marshal(map[string]any{"@context": "https://openvex.dev/ns/v0.2.0", "author": author, "timestamp": "2026-01-01T00:00:00Z", "statements": []any{
			map[string]any{"vulnerability": map[string]any{"name": name}, "status": "not_affected", "impact_statement": words, "products": []any{
				map[string]any{"@id": product}, map[string]any{"@id": product, "subcomponents": []any{map[string]any{"@id": sub}}}}}}})
		if err != nil {
			t.Fatal(err)
		}
		if im, _, err := imported(t, b); im != nil && err != nil {
			t.Fatal(err)
		}
	})
}

func TestDays(t *testing.T) {
	for s, want := range map[string]time.Duration{"30d": 720 * time.Hour, "0d": 0, "12h": 12 * time.Hour, "0": 0} {
		if got, err := days(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "-1d", "-1h", "1.5d", "soon", "99999999d"} {
		if _, err := days(s); err == nil {
			t.Errorf("%q is a time", s)
		}
	}
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]string{"": "2027-05-04", "90d": "2026-08-02", "2027-01-31": "2027-01-31"} {
		if got, err := lastDayOf(s, now); err != nil || got != want {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}
