// SPDX-License-Identifier: Apache-2.0

package cyclonedx_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/cyclonedx"
	"github.com/bulwark-sec/bulwark/report/internal/text"
)

func writeXML(t testing.TB, r *bulwark.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (cyclonedx.XML{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decode(t testing.TB, b []byte, format cdx.BOMFileFormat) *cdx.BOM {
	t.Helper()
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(b), format).Decode(bom); err != nil {
		t.Fatal(err)
	}
	return bom
}

// TestXMLIsJSON: both forms say the same, but for names of characters.
func TestXMLIsJSON(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		r := load(t, name)
		want, got := decode(t, write(t, r), cdx.BOMFileFormatJSON), decode(t, writeXML(t, r), cdx.BOMFileFormatXML)
		want.JSONSchema, want.BOMFormat = "", "" // these are JSON's own
		if len(*want.Components) == 0 {          // XML knows no empty list
			want.Components, (*want.Dependencies)[0].Dependencies = nil, nil
		}
		if d := cmp.Diff(want, got, cmpopts.IgnoreTypes(xml.Name{}), cmpopts.IgnoreFields(cdx.BOM{}, "XMLNS"), cmpopts.EquateEmpty(),
			cmp.Comparer(func(a, b string) bool {
				return strings.Join(strings.Fields(text.Block(a)), " ") == strings.Join(strings.Fields(text.Block(b)), " ")
			})); d != "" {
			t.Errorf("%s: (-JSON +XML):\n%s", name, d)
		}
		if got.XMLNS != "http://cyclonedx.org/schema/bom/1.6" || got.SpecVersion != cdx.SpecVersion1_6 {
			t.Errorf("%s: name space %q, version %s", name, got.XMLNS, got.SpecVersion)
		}
	}
}

// TestXMLSchema asks xmllint, where it is, with the schema that the cyclonedx-go
// module carries.
func TestXMLSchema(t *testing.T) {
	lint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not here (Debian: libxml2-utils)")
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	schema := filepath.Join(strings.TrimSpace(string(out)), "schema", "bom-1.6.xsd")
	if err != nil {
		t.Skip("the schema is not here: go list finds no module source")
	}
	validate := func(b []byte) ([]byte, error) {
		cmd := exec.Command(lint, "--noout", "--nonet", "--schema", schema, "-")
		cmd.Stdin = bytes.NewReader(b)
		return cmd.CombinedOutput()
	}
	for _, name := range []string{"report", "clean", "empty"} {
		if out, err := validate(writeXML(t, load(t, name))); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	hostile := load(t, "report")
	for i, s := range []string{"\x00\x1b\u202e\ufffe\xff]]>&<", " ", "a\nb", "a\\x00"} {
		hostile.Inventory.Packages = append(hostile.Inventory.Packages, bulwark.Package{PURL: "pkg:npm/" + s, Name: s, Version: s, Licenses: []string{s, s}}, bulwark.Package{PURL: s, Name: "x"})
		hostile.Findings = append(hostile.Findings, bulwark.Finding{Class: bulwark.ClassVulnerability, Rule: s, Subject: s, Severity: bulwark.Severity(i)})
	}
	if out, err := validate(writeXML(t, hostile)); err != nil {
		t.Errorf("hostile: %v\n%s", err, out)
	}
	if _, err := validate([]byte(`<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><x/></bom>`)); err == nil {
		t.Error("the validator accepts nonsense, so the test says nothing")
	}
}

func FuzzXML(f *testing.F) {
	f.Add("\x00\x1b\u202e\ufffe\xff]]>&<\"")
	f.Fuzz(func(t *testing.T, s string) {
		r := &bulwark.Report{
			Artifact: bulwark.Artifact{Name: s, ID: bulwark.Digest(s)}, Tool: bulwark.Tool{Name: s},
			Inventory: bulwark.Inventory{
				OS:       &bulwark.OS{ID: s, Name: s},
				Packages: []bulwark.Package{{PURL: s, Name: s, Vendor: s, Licenses: []string{s}}, {PURL: text.Clean(s), Name: "x", Licenses: []string{s, s}}},
				Gaps:     []bulwark.Gap{{Kind: s, Detail: s}},
			},
			Advisories: map[string]bulwark.Advisory{s: {Summary: s, Details: s, Aliases: []string{s}, CVSS: s, References: []string{"https://" + s}}},
			Findings:   []bulwark.Finding{{Class: bulwark.ClassVulnerability, Rule: s, Subject: s, Status: bulwark.Status{State: s, Reason: s}}, {Class: bulwark.ClassVulnerability, Rule: text.Clean(s)}},
		}
		b := writeXML(t, r)
		refs := map[string]bool{}
		for d := xml.NewDecoder(bytes.NewReader(b)); ; {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v: %q", err, b)
			}
			if e, ok := tok.(xml.StartElement); ok {
				for _, a := range e.Attr {
					if a.Name.Local == "bom-ref" {
						if refs[a.Value] {
							t.Errorf("the reference %q is there twice", a.Value)
						}
						refs[a.Value] = true
					}
				}
			}
		}
	})
}
