// SPDX-License-Identifier: Apache-2.0

package gitlab_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6" // tests only: GitLab's rules are a schema

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/gitlab"
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
	if err := (gitlab.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func schema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(s *jsonschema.Schema, b []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestSchema(t *testing.T) {
	s := schema(t, "testdata/report.schema.json")
	for _, name := range []string{"report", "clean", "empty"} {
		if err := validate(s, write(t, load(t, name))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if validate(s, []byte(`{"version": "15.0.7", "scan": {}, "vulnerabilities": []}`)) == nil {
		t.Error("the validator accepts nonsense, so the test says nothing")
	}
}

type report struct {
	Scan struct {
		Status   string
		Start    string `json:"start_time"`
		End      string `json:"end_time"`
		Messages []struct{ Level, Value string }
	}
	Vulnerabilities []struct {
		ID, Name, Severity, Solution string
		Identifiers                  []struct{ Type, Name, Value, URL string }
		Location                     struct {
			Dependency struct {
				Package struct{ Name string }
				Version string
			}
			System string `json:"operating_system"`
			Image  string
		}
	}
}

func read(t testing.TB, b []byte) report {
	t.Helper()
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestOpen: what counts is there once, what does not is counted in a message.
func TestOpen(t *testing.T) {
	r := load(t, "report")
	got := read(t, write(t, r))
	open, ids := 0, map[string]bool{}
	for _, f := range r.Findings {
		if f.Class == bulwark.ClassVulnerability && f.Status.Open() {
			open++
		}
	}
	for _, v := range got.Vulnerabilities {
		ids[v.ID] = true
	}
	if len(got.Vulnerabilities) != open || len(ids) != open {
		t.Errorf("%d vulnerabilities with %d ids for %d open findings", len(got.Vulnerabilities), len(ids), open)
	}
	messages := ""
	for _, m := range got.Scan.Messages {
		messages += m.Level + ": " + m.Value + "\n"
	}
	for _, want := range []string{"warn: STARTER SET", "info: 6 vulnerabilities do not count and are left out.", "warn: 2 gaps may hide packages."} {
		if !strings.Contains(messages, want) {
			t.Errorf("no message %q in\n%s", want, messages)
		}
	}
	if got.Scan.Start != "2026-08-23T10:12:30" || got.Scan.End != "2026-08-23T10:12:33" || got.Scan.Status != "success" {
		t.Errorf("%+v", got.Scan)
	}
}

func TestEntry(t *testing.T) {
	for _, v := range read(t, write(t, load(t, "report"))).Vulnerabilities {
		if v.Identifiers[0].Name != "CVE-2024-3094" {
			continue
		}
		got := []string{v.Name, v.Severity, v.Solution, v.Location.Dependency.Package.Name, v.Location.Dependency.Version, v.Location.System, v.Location.Image,
			v.Identifiers[0].Type, v.Identifiers[0].URL}
		want := []string{"Malicious code in the upstream tarballs of xz", "Critical", "Upgrade liblzma5 5.6.1-1 to 5.6.1+really5.4.5-1.", "liblzma5", "5.6.1-1", "debian 12",
			"registry.example.com/shop/api:1.4.2", "cve", "https://nvd.nist.gov/vuln/detail/CVE-2024-3094"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		return
	}
	t.Error("the vulnerability is not there")
}

func TestImage(t *testing.T) {
	hex := strings.Repeat("a1", 32)
	for _, tt := range []struct {
		kind       bulwark.Kind
		name, want string
	}{
		{bulwark.KindImage, "alpine", "alpine:latest"},
		{bulwark.KindImage, "alpine:3.20", "alpine:3.20"},
		{bulwark.KindImage, "localhost:5000/a/b", "localhost:5000/a/b:latest"},
		{bulwark.KindImage, "localhost:5000/a/b:1", "localhost:5000/a/b:1"},
		{bulwark.KindImage, "a@sha256:" + hex, "a@sha256:" + hex},
		{bulwark.KindImage, "r:5000/a:v1@sha256:" + hex, "r:5000/a:v1@sha256:" + hex},
		{bulwark.KindImage, "", "unnamed:latest"},
		{bulwark.KindImage, "a:b:c:d:e", "a_b_c_d_e:a1a1a1a1a1a1"},
		{bulwark.KindDir, ".", ".:a1a1a1a1a1a1"},
		{bulwark.KindDir, "/srv/a b:c", "/srv/a_b_c:a1a1a1a1a1a1"},
	} {
		r := load(t, "report")
		r.Artifact = bulwark.Artifact{Kind: tt.kind, Name: tt.name, ID: bulwark.Digest("sha256:" + hex)}
		b := write(t, r)
		if got := read(t, b).Vulnerabilities[0].Location.Image; got != tt.want {
			t.Errorf("%s %q: %q, want %q", tt.kind, tt.name, got, tt.want)
		}
		if err := validate(schema(t, "testdata/report.schema.json"), b); err != nil {
			t.Errorf("%s %q: %v", tt.kind, tt.name, err)
		}
	}
}

func FuzzWrite(f *testing.F) {
	s := schema(f, "testdata/report.schema.json")
	f.Add("CVE-2024-1", "a:b\x00\xff", int64(1))
	f.Add("", ":", int64(-1<<63))
	f.Add("0", "a::", int64(1))
	f.Fuzz(func(t *testing.T, rule, word string, n int64) {
		r := &bulwark.Report{
			Artifact: bulwark.Artifact{Kind: bulwark.KindImage, Name: word, ID: bulwark.Digest(word)}, Tool: bulwark.Tool{Version: word},
			Scan: bulwark.Scan{DurationMS: n}, Inventory: bulwark.Inventory{OS: &bulwark.OS{ID: word}, Packages: []bulwark.Package{{PURL: word, Name: word}}},
			Advisories: map[string]bulwark.Advisory{rule: {Summary: strings.Repeat(word, 100), Details: word, CVSS: word, Aliases: []string{word, rule, ""}, CWEs: []string{word, "CWE-" + word}, References: []string{word, "https://" + word, "https://a/" + rule}}},
			Findings:   []bulwark.Finding{{ID: word, Class: bulwark.ClassVulnerability, Rule: rule, Subject: word, Fix: strings.Repeat(word, 1000), Severity: bulwark.Severity(n % 9)}},
		}
		if n%2 == 0 {
			r.Artifact.Kind = bulwark.Kind(word)
		}
		if b := write(t, r); validate(s, b) != nil {
			t.Errorf("%v: %s", validate(s, b), b)
		}
	})
}
