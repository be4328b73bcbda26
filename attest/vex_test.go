// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/attest"
)

// TestApply runs testdata/apply/*.txtar: OpenVEX documents in *.json, and the
// lines of findings as "rule subject places…".
func TestApply(t *testing.T) {
	files, err := filepath.Glob("testdata/apply/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var (
				docs       []attest.Document
				inv        bulwark.Inventory
				artifact   bulwark.Artifact
				advisories map[string]bulwark.Advisory
				findings   []bulwark.Finding
				want       string
			)
			for _, f := range ar.Files {
				switch f.Name {
				case "inventory.json":
					decode(t, f.Data, &inv)
				case "artifact.json":
					decode(t, f.Data, &artifact)
				case "advisories.json":
					decode(t, f.Data, &advisories)
				case "findings":
					for line := range strings.Lines(string(f.Data)) {
						w := strings.Fields(line)
						findings = append(findings, finding(w[0], w[1], w[2:]...))
					}
				case "want":
					want = string(f.Data)
				default:
					doc, err := attest.ParseVEX(f.Name, f.Data)
					if err != nil {
						t.Fatal(err)
					}
					docs = append(docs, doc)
				}
			}
			applied, unused := attest.Apply(findings, &inv, &artifact, advisories, docs)
			var got strings.Builder
			for _, f := range findings {
				fmt.Fprint(&got, f.Rule)
				if f.Status != (bulwark.Status{}) {
					fmt.Fprintf(&got, " %s by %s: %s", f.Status.State, f.Status.By, f.Status.Reason)
				}
				fmt.Fprintln(&got)
			}
			fmt.Fprintf(&got, "applied %d\n", applied)
			for _, u := range unused {
				fmt.Fprintf(&got, "unused %s\n", u.Gap().Detail)
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func finding(rule, subject string, places ...string) bulwark.Finding {
	f := bulwark.Finding{ID: bulwark.FindingID(bulwark.ClassVulnerability, rule, subject), Class: bulwark.ClassVulnerability, Rule: rule, Subject: subject}
	for _, p := range places {
		f.Evidence = append(f.Evidence, bulwark.Evidence{Location: bulwark.Location{Path: p}})
	}
	return f
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatal(err)
	}
}

func TestApplyLeavesAlone(t *testing.T) {
	doc, err := attest.ParseVEX("v", []byte(`{"@context": "https://openvex.dev/ns/v0.2.0", "statements": [{"vulnerability": {"name": "X"}, "products": [{"@id": "pkg:npm/x"}], "status": "fixed"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	secret := finding("X", "pkg:npm/x@1")
	secret.Class = bulwark.ClassSecret
	accepted := finding("X", "pkg:npm/x@1")
	accepted.Status = bulwark.Status{State: bulwark.StateAccepted, Owner: "me"}
	got := []bulwark.Finding{secret, accepted}
	want := []bulwark.Finding{secret, accepted}
	applied, unused := attest.Apply(got, nil, nil, nil, []attest.Document{doc})
	if applied != 0 || len(unused) != 0 {
		t.Errorf("applied %d, unused %d; want none", applied, len(unused))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestGaps: a document about everything that a vendor makes does not fill the
// report.
func TestGaps(t *testing.T) {
	var unused []attest.Unused
	for _, doc := range []struct {
		name string
		n    int
	}{{"a", 10}, {"b", 13}, {"c", 1}} {
		for i := range doc.n {
			unused = append(unused, attest.Unused{Document: doc.name, Index: i, Why: "x"})
		}
	}
	gaps := attest.Gaps(unused)
	if len(gaps) != 22 || gaps[9] != unused[9].Gap() || gaps[10] != unused[10].Gap() || gaps[21] != unused[23].Gap() {
		t.Errorf("%d gaps: %v", len(gaps), gaps)
	}
	if got, want := gaps[20].Detail, `3 more statements of "b" have no effect`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := attest.Gaps(nil); got != nil {
		t.Errorf("%v, want none", got)
	}
}

func TestParseVEX(t *testing.T) {
	data, err := os.ReadFile("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := attest.ParseVEX("full.json", data)
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	want := attest.Document{
		Name: "full.json", ID: "https://example.org/vex/full", Author: "Example Security", Timestamp: at("2026-02-03T04:05:06Z"),
		Statements: []attest.Statement{
			{
				ID: "https://example.org/vex/full#1", Vulnerability: "CVE-2026-1000", Aliases: []string{"GHSA-aaaa-bbbb-cccc"},
				Products: []attest.Product{{
					Component: attest.Component{
						ID: "pkg:oci/shop", PURLs: []string{"pkg:oci/shop", "pkg:oci/shop?tag=1"}, Hashes: []string{"1111", "abcd"},
					},
					Subcomponents: []attest.Component{{ID: "pkg:npm/a", PURLs: []string{"pkg:npm/a"}}, {ID: "urn:b"}},
				}},
				Status: attest.VEXNotAffected, Justification: "component_not_present", Impact: "not shipped", Notes: "checked by hand", Timestamp: at("2026-02-02T00:00:00Z"),
			},
			{Vulnerability: "CVE-2026-1001", Status: attest.VEXAffected, Action: "upgrade", Timestamp: at("2026-01-01T00:00:00Z")},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	t.Run("truncated", func(t *testing.T) {
		for n := range bytes.TrimSpace(data) {
			if _, err := attest.ParseVEX("cut", data[:n]); err == nil {
				t.Errorf("cut at %d of %d bytes: no error", n, len(data))
			}
		}
	})
	t.Run("marked", func(t *testing.T) {
		if _, err := attest.ParseVEX("bom", append([]byte("\xef\xbb\xbf"), data...)); err != nil {
			t.Error(err)
		}
	})
}

func TestParseVEXRefuses(t *testing.T) {
	doc := func(statement string) string {
		return `{"@context": "https://openvex.dev/ns/v0.2.0", "timestamp": "2026-01-01T00:00:00Z", "statements": [` + statement + `]}`
	}
	for name, tt := range map[string]struct {
		data string
		want string
		is   error
	}{
		"other-json":    {`{"spdxVersion": "SPDX-2.3"}`, `vex "v": JSON of an unknown form: JSON of OpenVEX, CSAF 2.0 (csaf_vex, csaf_security_advisory) and CycloneDX is read: not supported`, bulwark.ErrUnsupported},
		"other-types":   {`{"@context": [], "bomFormat": 1, "document": "x"}`, "unknown form", bulwark.ErrUnsupported},
		"list":          {`[]`, `vex "v": not a JSON object: JSON of OpenVEX, CSAF 2.0`, bulwark.ErrUnsupported},
		"xml":           {`<bom/>`, "not a JSON object", bulwark.ErrUnsupported},
		"nothing":       {``, "not a JSON object", bulwark.ErrUnsupported},
		"empty":         {doc(""), `vex "v": openvex: no statements`, nil},
		"no-vuln":       {doc(`{"status": "fixed"}`), `statements[0]: no vulnerability`, nil},
		"no-reason":     {doc(`{"vulnerability": {"name": "X"}, "status": "not_affected"}`), "X is not_affected without a justification", nil},
		"odd-reason":    {doc(`{"vulnerability": {"name": "X"}, "status": "not_affected", "justification": "trust me"}`), `justification "trust me" is not one of`, nil},
		"odd-status":    {doc(`{"vulnerability": {"name": "X"}, "status": "fine"}`), `status "fine" is not one of`, nil},
		"no-status":     {doc(`{"vulnerability": {"name": "X"}}`), `status "" is not one of`, nil},
		"odd-time":      {doc(`{"vulnerability": {"name": "X"}, "status": "fixed", "timestamp": "yesterday"}`), `timestamp "yesterday" is not of RFC 3339`, nil},
		"too-many":      {doc(strings.Repeat(`{},`, 100_001) + `{}`), "limit 100000", bulwark.ErrTooLarge},
		"many-products": {doc(`{"vulnerability": "X", "status": "fixed", "products": [` + strings.Repeat(`"",`, 500_000) + `""]}`), "more than 500000 products", bulwark.ErrTooLarge},
		"too-large":     {strings.Repeat(" ", 32<<20+1), "limit 33554432", bulwark.ErrTooLarge},
		"deep":          {`{"document":` + strings.Repeat("[", 1<<20), "exceeded max depth", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := attest.ParseVEX("v", []byte(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is not %v", err, tt.is)
			}
		})
	}
}

func FuzzParseVEX(f *testing.F) {
	for _, pattern := range []string{"testdata/apply/*.txtar", "testdata/*.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if filepath.Ext(file) == ".json" {
				f.Add(data)
				continue
			}
			for _, part := range txtar.Parse(data).Files {
				if part.Name == "a.json" || part.Name == "b.json" {
					f.Add(part.Data)
				}
			}
		}
	}
	inv := &bulwark.Inventory{OS: &bulwark.OS{ID: "rhel", Version: "9.4"}, Packages: []bulwark.Package{
		{PURL: "pkg:npm/x@1.0.0", Name: "x", Version: "1.0.0", Where: []bulwark.Location{{Path: "a.jar"}}},
		{PURL: "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64", Name: "libssl3", Version: "3.0.11-1", Source: "openssl"},
		{PURL: "broken", Name: "y"},
	}}
	a := &bulwark.Artifact{ID: bulwark.Digest("sha256:" + strings.Repeat("a", 64)), Kind: bulwark.KindImage, Name: "registry.example.org/team/shop:1.2", Platform: "linux/amd64"}
	advisories := map[string]bulwark.Advisory{"DSA-1-1": {Upstream: []string{"CVE-1", "CVE-2"}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := attest.ParseVEX("fuzz", data)
		if err != nil {
			return
		}
		findings := []bulwark.Finding{
			finding("CVE-1", "pkg:npm/x@1.0.0", "a.jar!/b"), finding("CVE-2", "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64"), finding("DSA-1-1", "broken"),
		}
		applied, unused := attest.Apply(findings, inv, a, advisories, []attest.Document{doc})
		closed := 0
		for _, f := range findings {
			if !f.Status.Open() {
				closed++
			}
		}
		if closed != applied || len(unused) > len(doc.Statements) {
			t.Errorf("%d closed, %d applied, %d unused of %d", closed, applied, len(unused), len(doc.Statements))
		}
	})
}
