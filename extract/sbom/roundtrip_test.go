// SPDX-License-Identifier: Apache-2.0

package sbom_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/sbom"
	"github.com/bulwark-sec/bulwark/report" // tests only: what is read here was written there
)

// TestRoundTrip: a report's packages come back from each of the forms in which
// it is written as a bill of materials.
func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		b, err := os.ReadFile("../../report/testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		r := new(bulwark.Report)
		if err := json.Unmarshal(b, r); err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{"cyclonedx", "cyclonedx-xml", "spdx", "spdx-tag-value"} {
			t.Run(name+"/"+form, func(t *testing.T) {
				f, err := report.ByName(form)
				if err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				if err := f.Write(&out, r); err != nil {
					t.Fatal(err)
				}
				got, err := sbom.Read(t.Context(), bulwark.MemoryFile("bill", 0, out.Bytes()))
				want := r.Inventory
				// A package whose name no reader takes is missed, and that is said.
				if odd := len(plain(want.Packages)) < len(want.Packages); err != nil && !(odd && errors.Is(err, bulwark.ErrUnsupported)) {
					t.Error(err)
				}
				if d := cmp.Diff(plain(want.Packages), plain(got.Packages)); d != "" {
					t.Errorf("packages (-want +got):\n%s", d)
				}
				if d := cmp.Diff(want.OS, got.OS); d != "" {
					t.Errorf("operating system (-want +got):\n%s", d)
				}
				for i, l := range got.Layers {
					if l.DiffID != want.Layers[i].DiffID {
						t.Errorf("layer %d: %s", i, l.DiffID)
					}
				}
				if len(got.Layers) != len(want.Layers) || len(got.Gaps) != len(want.Gaps) {
					t.Errorf("%d layers, %d gaps; want %d, %d", len(got.Layers), len(got.Gaps), len(want.Layers), len(want.Gaps))
				}
			})
		}
	}
}

// plain gives what findings depend on, of the packages whose texts every form
// can hold.
func plain(list []bulwark.Package) []bulwark.Package {
	var out []bulwark.Package
	for _, p := range list {
		odd := func(s string) bool {
			return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0xfffd }) || strings.Contains(s, `\x`) || strings.Contains(s, `\u`) || strings.Contains(s, `\r`)
		}
		if slices.ContainsFunc([]string{p.PURL, p.Name, p.Version, p.Source}, odd) || len(p.Name) > 1000 {
			continue
		}
		p.Vendor, p.Licenses = "", nil // SPDX has other words for them
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b bulwark.Package) int { return strings.Compare(a.Key(), b.Key()) })
	return out
}
