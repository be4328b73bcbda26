// SPDX-License-Identifier: Apache-2.0

package cyclonedx_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6" // tests only: the standard publishes its rules as a schema

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/cyclonedx"
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
	if err := (cyclonedx.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// schema compiles the schema that the cyclonedx-go module carries.
func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	if _, statErr := os.Stat(filepath.Join(dir, "bom-1.6.schema.json")); err != nil || statErr != nil {
		t.Skip("the schema is not here: go list finds no module source")
	}
	c := jsonschema.NewCompiler()
	for url, name := range map[string]string{
		"http://cyclonedx.org/schema/bom-1.6.schema.json":  "bom-1.6.schema.json",
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(url, doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchema(t *testing.T) {
	s := schema(t)
	for _, name := range []string{"report", "clean", "empty"} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(write(t, load(t, name))))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Validate(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []any{map[string]any{"type": "x"}}}); err == nil {
		t.Error("the validator accepts nonsense, so the test says nothing")
	}
}

func TestReferencesHold(t *testing.T) {
	r := load(t, "report")
	// Two packages with one purl, one without: each still has a reference of its own.
	r.Inventory.Packages = append(r.Inventory.Packages, r.Inventory.Packages[0], r.Inventory.Packages[0],
		bulwark.Package{Name: "bare"}, bulwark.Package{PURL: "artifact"}, bulwark.Package{PURL: "vulnerability:CVE-2021-44228"})
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(write(t, r)), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	refs := map[string]bool{bom.Metadata.Component.BOMRef: true}
	take := func(ref string) {
		if ref == "" || refs[ref] {
			t.Errorf("reference %q is empty or taken", ref)
		}
		refs[ref] = true
	}
	for _, c := range *bom.Components {
		take(c.BOMRef)
	}
	if n := len(*bom.Components); n != len(r.Inventory.Packages)+1 {
		t.Errorf("%d components for %d packages and a system", n, len(r.Inventory.Packages))
	}
	for _, v := range *bom.Vulnerabilities {
		for _, a := range *v.Affects {
			if !refs[a.Ref] {
				t.Errorf("%s affects %q, which is not there", v.ID, a.Ref)
			}
		}
	}
	for _, v := range *bom.Vulnerabilities {
		take(v.BOMRef)
	}
	for _, d := range *bom.Dependencies {
		for _, ref := range append(*d.Dependencies, d.Ref) {
			if !refs[ref] {
				t.Errorf("dependency on %q, which is not there", ref)
			}
		}
	}
}

func TestPropertiesOfAPackage(t *testing.T) {
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(write(t, load(t, "report"))), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]string{}
	for _, c := range *bom.Components {
		m := map[string]string{"version": c.Version, "purl": c.PackageURL}
		if c.Properties != nil {
			for _, p := range *c.Properties {
				m[p.Name] = p.Value
			}
		}
		got[c.Name] = m
	}
	digest := func(two string) string { return "sha256:" + strings.Repeat(two, 32) }
	want := map[string]map[string]string{
		"liblzma5": {
			"version": "5.6.1-1", "purl": "pkg:deb/debian/liblzma5@5.6.1-1?arch=amd64&distro=debian-12", "bulwark:ecosystem": "Debian:12",
			"bulwark:source": "xz-utils", "bulwark:sourceVersion": "5.6.1-1", "bulwark:arch": "amd64", "bulwark:by": "dpkg",
			"bulwark:path": "var/lib/dpkg/status", "bulwark:layer": digest("a1"),
		},
		"nodejs": {
			"version": "1:18.12.1-2", "purl": "pkg:rpm/redhat/nodejs@18.12.1-2?arch=x86_64", "bulwark:ecosystem": "Red Hat", "bulwark:arch": "x86_64",
			"bulwark:module": "nodejs:18", "bulwark:by": "rpm", "bulwark:path": "opt/rpmroot/var/lib/rpm/rpmdb.sqlite", "bulwark:layer": digest("c3"),
		},
		"debian": {"version": "12", "purl": "", "bulwark:ecosystem": "Debian:12", "bulwark:codename": "bookworm"},
	}
	for name, w := range want {
		if d := cmp.Diff(w, got[name]); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestAnalysis(t *testing.T) {
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(write(t, load(t, "report"))), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range *bom.Vulnerabilities {
		s := "open"
		if v.Analysis != nil {
			s = string(v.Analysis.State) + "/" + string(v.Analysis.Justification)
			if v.Analysis.Response != nil {
				s += "/" + string((*v.Analysis.Response)[0])
			}
		}
		got[v.BOMRef] = s
	}
	want := map[string]string{
		"vulnerability:CVE-2023-45853":        "not_affected/code_not_present",
		"vulnerability:CVE-2023-5363":         "open",
		"vulnerability:CVE-2023-5363#2":       "resolved/",
		"vulnerability:GO-2023-1703":          "//will_not_fix",
		"vulnerability:CVE-2024-26581":        "false_positive/",
		"vulnerability:GHSA-29mw-wpgm-hmr9":   "open",
		"vulnerability:GHSA-29mw-wpgm-hmr9#2": "/",
	}
	for ref, w := range want {
		if got[ref] != w {
			t.Errorf("%s: %q, want %q", ref, got[ref], w)
		}
	}
}

// TestScanIsNotInIt: two scans of one artifact give the same bytes.
func TestScanIsNotInIt(t *testing.T) {
	a, b := load(t, "report"), load(t, "report")
	b.Created = b.Created.AddDate(1, 2, 3)
	b.Scan = bulwark.Scan{DurationMS: 9, Bytes: 9, Cached: 5}
	b.Database.AgeSeconds++
	b.Decision = bulwark.Decision{}
	b.Actions = nil
	if d := cmp.Diff(string(write(t, a)), string(write(t, b))); d != "" {
		t.Error(d)
	}
}
