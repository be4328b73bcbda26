// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6" // tests only: CSAF's rules are a schema

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/attest"
)

// The modules that publish documents, for comparison only: none is a dependency.
const (
	gocsaf    = "github.com/gocsaf/csaf/v3@v3.6.0"
	govex     = "github.com/openvex/go-vex@v0.2.9"
	grype     = "github.com/anchore/grype@v0.121.2"
	cyclonedx = "github.com/!cyclone!d!x/cyclonedx-go@v0.12.0" // a dependency of other packages
)

// published gives the place of a file of a module in the module cache, and skips
// the test when the module is not there.
func published(t *testing.T, module, file string) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skipf("there is no go command: %v", err)
	}
	name := filepath.Join(strings.TrimSpace(string(out)), module, file)
	if _, err := os.Stat(name); err != nil {
		if os.Getenv("BULWARK_SYSTEM") != "" {
			t.Fatal(err)
		}
		t.Skip("the module cache has no " + module + "; go mod download brings it")
	}
	return name
}

type statuses map[attest.VEXStatus]int

// counted says what is in a document.
type counted struct {
	ID       string
	Statuses statuses // statements
	Reasons  int      // statements with a justification or impact
	Products int
	Subs     int
	Named    int // products and subcomponents with a purl or CPE
}

func count(doc attest.Document) counted {
	c := counted{ID: doc.ID, Statuses: statuses{}}
	for _, s := range doc.Statements {
		c.Statuses[s.Status]++
		if s.Justification+s.Impact != "" {
			c.Reasons++
		}
		for _, p := range s.Products {
			c.Products++
			for _, part := range append(p.Subcomponents, p.Component) {
				if len(part.PURLs)+len(part.CPEs) > 0 {
					c.Named++
				}
			}
			c.Subs += len(p.Subcomponents)
		}
	}
	return c
}

// TestPublished reads documents that others wrote.
func TestPublished(t *testing.T) {
	for _, tt := range []struct {
		module, file string
		item         bool // it is within an envelope
		want         counted
	}{
		{gocsaf, "testdata/csaf-documents/valid/avendor-advisory-0004.json", false, counted{ID: "Avendor-advisory-0004", Statuses: statuses{attest.VEXUnderInvestigation: 2}, Products: 2}},
		{govex, "pkg/csaf/testdata/csaf.json", false, counted{ID: "2022-EVD-UC-01-NA-001", Statuses: statuses{attest.VEXAffected: 2, attest.VEXNotAffected: 2}, Reasons: 2, Products: 2, Named: 2}},
		{govex, "pkg/csaf/testdata/rhsa-2020_1358.json", false, counted{ID: "RHSA-2020:1358", Statuses: statuses{attest.VEXFixed: 2}, Products: 4, Subs: 1474, Named: 4}},
		{govex, "pkg/csaf/testdata/openvex.json", false, counted{ID: "https://openvex.dev/docs/example/vex-9fb3463de1b57", Statuses: statuses{attest.VEXFixed: 1}, Products: 2, Named: 2}},
		{govex, "pkg/vex/testdata/v001-1.vex.json", false, counted{ID: "my-vexdoc2", Statuses: statuses{attest.VEXUnderInvestigation: 1}, Products: 1, Named: 1}},
		{govex, "pkg/vex/testdata/v020-1.vex.json", false, counted{ID: "https://openvex.dev/docs/public/vex-3f59b4dffdeae0183e5e6a9d7a2461fdf86a03c079f4129050bb462eca366beb", Statuses: statuses{attest.VEXUnderInvestigation: 1}, Products: 1, Named: 1}},
		{grype, "grype/vex/testdata/vex-docs/csaf-demo1.json", false, counted{ID: "2022-EVD-UC-01-A-001", Statuses: statuses{attest.VEXFixed: 1}, Products: 1, Named: 1}},
		{grype, "grype/vex/testdata/vex-docs/csaf-demo2.json", false, counted{ID: "2022-EVD-UC-01-A-001", Statuses: statuses{attest.VEXNotAffected: 1}, Reasons: 1, Products: 1, Named: 1}},
		{grype, "grype/vex/testdata/vex-docs/openvex-demo2.json", false, counted{ID: "https://openvex.dev/docs/public/vex-d4e9020b6d0d26f131d535e055902dd6ccf3e2088bce3079a8cd3588a4b14c78", Statuses: statuses{attest.VEXFixed: 3, attest.VEXNotAffected: 2}, Reasons: 2, Products: 5, Subs: 10, Named: 15}},
		{grype, "grype/db/processors/testdata/csaf-vex.json", false, counted{ID: "CVE-2026-12345", Statuses: statuses{attest.VEXFixed: 1, attest.VEXNotAffected: 1}, Products: 2, Subs: 2, Named: 4}},
		{grype, "grype/matcher/rpm/testdata/hummingbird/hummingbird/results/hummingbird/cve-2026-5928.json", true, counted{ID: "CVE-2026-5928", Statuses: statuses{attest.VEXAffected: 1}, Products: 1, Subs: 3, Named: 4}},
		{grype, "grype/matcher/rpm/testdata/hummingbird/hummingbird/results/hummingbird/cve-2018-18311.json", true, counted{ID: "CVE-2018-18311", Statuses: statuses{attest.VEXFixed: 1}, Products: 1, Subs: 101, Named: 102}},
		{cyclonedx, "testdata/valid-vulnerability.json", false, counted{ID: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", Statuses: statuses{attest.VEXNotAffected: 1}, Reasons: 1, Products: 1, Named: 1}},
	} {
		t.Run(filepath.Base(tt.file), func(t *testing.T) {
			data, err := os.ReadFile(published(t, tt.module, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if tt.item {
				var envelope struct {
					Item json.RawMessage `json:"item"`
				}
				if err := json.Unmarshal(data, &envelope); err != nil {
					t.Fatal(err)
				}
				data = envelope.Item
			}
			doc, err := attest.ParseVEX(filepath.Base(tt.file), data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, count(doc)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for n := 1; n < len(data); n *= 2 {
				if _, err := attest.ParseVEX("cut", data[:n]); err == nil {
					t.Errorf("cut at %d of %d bytes: no error", n, len(data))
				}
			}
		})
	}
}

// TestPublishedRefused: what is not one document is none.
func TestPublishedRefused(t *testing.T) {
	data, err := os.ReadFile(published(t, gocsaf, "testdata/csaf-documents/trailing-garbage-data/avendor-advisory-0004.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.ParseVEX("garbage", data); err == nil {
		t.Error("a document with garbage behind it is read")
	}
}

// TestPublishedApplies: the peer that publishes these documents closes the same
// findings with them.
func TestPublishedApplies(t *testing.T) {
	const purl = "pkg:apk/alpine/libcrypto3@3.0.8-r3?arch=x86_64&upstream=openssl&distro=alpine-3.17.3"
	findings := []bulwark.Finding{finding("CVE-2023-1255", purl), finding("CVE-2023-3817", purl), finding("CVE-2023-3817", strings.Replace(purl, "r3", "r4", 1)), finding("CVE-2023-2975", purl)}
	var docs []attest.Document
	for _, name := range []string{"csaf-demo1.json", "csaf-demo2.json"} {
		data, err := os.ReadFile(published(t, grype, "grype/vex/testdata/vex-docs/"+name))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := attest.ParseVEX(name, data)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	attest.Apply(findings, nil, nil, nil, docs)
	var got []string
	for _, f := range findings {
		got = append(got, f.Status.State)
	}
	if diff := cmp.Diff([]string{bulwark.StateFixed, bulwark.StateNotAffected, "", ""}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSchema: our own example is CSAF as its schema has it.
func TestSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	for _, name := range []string{"csaf_json_schema.json", "cvss-v2.0.json", "cvss-v3.0.json", "cvss-v3.1.json"} {
		data, err := os.ReadFile(published(t, gocsaf, "csaf/schema/"+name))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		at := "https://www.first.org/cvss/" + name
		if name == "csaf_json_schema.json" {
			at = "https://docs.oasis-open.org/csaf/csaf/v2.0/" + name
		}
		if err := c.AddResource(at, doc); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/csaf.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Error(err)
	}
}
