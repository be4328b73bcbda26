// SPDX-License-Identifier: Apache-2.0

package spdx_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
	"github.com/spdx/tools-golang/tagvalue" // tests only: the standard's own reader

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/spdx"
)

func writeTags(t testing.TB, r *bulwark.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (spdx.TagValue{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readTags(t testing.TB, b []byte) *v2_3.Document {
	t.Helper()
	doc := new(v2_3.Document)
	if err := tagvalue.ReadInto(bytes.NewReader(b), doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestTagsAreJSON: both forms say the same, but for names of characters and the
// order of packages.
func TestTagsAreJSON(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		r := load(t, name)
		want, got := read(t, write(t, r)), readTags(t, writeTags(t, r))
		if err := spdxlib.ValidateDocument(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, doc := range []*v2_3.Document{want, got} {
			slices.SortFunc(doc.Packages, func(a, b *v2_3.Package) int {
				return strings.Compare(string(a.PackageSPDXIdentifier), string(b.PackageSPDXIdentifier))
			})
			for _, p := range doc.Packages {
				p.IsFilesAnalyzedTagPresent = false
			}
			for _, a := range doc.Annotations { // JSON has them inside of what they are about
				a.AnnotationSPDXIdentifier = common.DocElementID{}
			}
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(v2_3.Package{}), cmp.Comparer(func(a, b string) bool {
			// The library's reader of JSON leaves escapes in suppliers.
			return a == b || strings.ReplaceAll(a, `\\`, `\`) == b || strings.TrimSpace(text.Clean(a)) == b || unescaped(a) == unescaped(b)
		})); d != "" {
			t.Errorf("%s: (-JSON +tags):\n%s", name, d)
		}
	}
}

// unescaped gives a comment with the characters that only one form escapes.
func unescaped(s string) string {
	if !strings.HasPrefix(s, "bulwark: ") {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if text.Safe(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// TestTagsBearAnything: no value ends its line or begins a text.
func TestTagsBearAnything(t *testing.T) {
	for _, s := range []string{"<text>", "a</text>\nPackageName: evil", "a\nPackageName: evil", "a\rb\x00\u2028\x85", "<text>\n", "#", ":", "  "} {
		r := &bulwark.Report{Artifact: bulwark.Artifact{Name: s}, Inventory: bulwark.Inventory{
			OS:       &bulwark.OS{ID: s, Version: s},
			Packages: []bulwark.Package{{PURL: "pkg:npm/" + s, Name: s, Version: s, Vendor: s, Source: s, Licenses: []string{s}}, {PURL: "pkg:npm/b@1", Name: "b"}},
			Gaps:     []bulwark.Gap{{Kind: s, Detail: s}},
		}}
		doc := readTags(t, writeTags(t, r))
		if len(doc.Packages) != 4 {
			t.Errorf("%q: %d packages", s, len(doc.Packages))
		}
		for _, p := range doc.Packages {
			if p.PackageName == "evil" {
				t.Errorf("%q made a package", s)
			}
		}
	}
}

// TestLongComment: a package in very many places has lines that readers bear.
func TestLongComment(t *testing.T) {
	r := &bulwark.Report{Inventory: bulwark.Inventory{Packages: []bulwark.Package{{PURL: "pkg:npm/a@1", Name: "a"}}}}
	for i := range 5_000 {
		r.Inventory.Packages[0].Where = append(r.Inventory.Packages[0].Where, bulwark.Location{Path: fmt.Sprintf("some/path/%d", i)})
	}
	out := writeTags(t, r)
	for line := range bytes.Lines(out) {
		if len(line) > 1_000 {
			t.Fatalf("a line of %d bytes", len(line))
		}
	}
	for _, p := range readTags(t, out).Packages {
		if p.PackageName == "a" && !strings.Contains(p.PackageComment, "some/path/4999") {
			t.Error("the last place is not there")
		}
	}
}

func FuzzTags(f *testing.F) {
	f.Add("</text>\nPackageName: evil\x00\xff")
	f.Add(" ")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 5_000 {
			return // the standard's reader ends at lines of 64 KiB
		}
		r := &bulwark.Report{
			Artifact: bulwark.Artifact{Name: s, Kind: bulwark.Kind(s)}, Tool: bulwark.Tool{Name: s, Version: s},
			Inventory: bulwark.Inventory{
				OS:       &bulwark.OS{ID: s, Version: s, Name: s},
				Packages: []bulwark.Package{{PURL: s, Name: s, Version: s, Vendor: s, Source: s, Licenses: []string{s, "MIT"}, Where: []bulwark.Location{{Path: s}}}},
				Gaps:     []bulwark.Gap{{Kind: s, Path: s, Detail: s}},
			},
		}
		if doc := readTags(t, writeTags(t, r)); len(doc.Packages) != 3 || len(doc.Relationships) != 3 || len(doc.Annotations) != 1 {
			t.Errorf("%d packages, %d relationships, %d annotations", len(doc.Packages), len(doc.Relationships), len(doc.Annotations))
		}
	})
}
