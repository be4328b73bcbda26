// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spdx/tools-golang/tagvalue" // tests only: the standard's own reader

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report"
	"github.com/bulwark-sec/bulwark/report/jsonreport"
	"github.com/bulwark-sec/bulwark/report/table"
)

// FuzzWrite writes reports that were made of bytes in every format: none may
// panic, all must give well-formed output.
func FuzzWrite(f *testing.F) {
	seed, err := os.ReadFile("testdata/empty.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, "a\x1b[31m\u202e", int64(3))
	f.Add([]byte("{}"), "CVE-2024-1\xff", int64(-1))
	f.Add([]byte("{}"), "pkg:npm/%40a/b@1?x#y", int64(1<<62))
	f.Fuzz(func(t *testing.T, raw []byte, s string, n int64) {
		r, err := jsonreport.Parse(bytes.NewReader(raw))
		if err != nil {
			r = made(s, n)
		}
		for _, form := range report.Formats() {
			check(t, form, r)
		}
		check(t, table.Format{Width: int(n % 300), Color: true, Unicode: true, Limit: int(n % 7)}, r)
	})
}

func check(t *testing.T, f report.Format, r *bulwark.Report) {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, r); err != nil {
		if errors.Is(err, bulwark.ErrUnsupported) && f.Name() == "vuln-attestation" && !r.Artifact.ID.Valid() {
			return // nothing that could be attested to
		}
		t.Fatalf("%s: %v", f.Name(), err)
	}
	if !utf8.Valid(b.Bytes()) {
		t.Errorf("%s: not UTF-8", f.Name())
	}
	switch f.Name() {
	case "json", "sarif", "cyclonedx", "spdx", "openvex", "vuln-attestation", "github", "gitlab":
		if !json.Valid(b.Bytes()) {
			t.Errorf("%s: not JSON: %q", f.Name(), b.Bytes())
		}
	case "jsonl":
		for line := range bytes.Lines(b.Bytes()) {
			if !json.Valid(line) {
				t.Errorf("%s: not JSON: %q", f.Name(), line)
			}
		}
	case "csv":
		rows, err := csv.NewReader(&b).ReadAll() // all rows are equally long
		if err != nil || len(rows) != len(r.Findings)+1 {
			t.Errorf("%s: %d rows for %d findings, %v", f.Name(), len(rows), len(r.Findings), err)
		}
	case "cyclonedx-xml", "junit":
		for d := xml.NewDecoder(&b); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", f.Name(), err)
			}
		}
	case "spdx-tag-value":
		if _, err := tagvalue.Read(&b); err != nil && !errors.Is(err, bufio.ErrTooLong) {
			t.Errorf("%s: %v", f.Name(), err)
		}
	case "markdown":
		if b.Len() > 60_000 {
			t.Errorf("%s: %d bytes", f.Name(), b.Len())
		}
	case "html":
		d := xml.NewDecoder(&b)
		d.Strict = false
		for {
			if _, err := d.Token(); err != nil {
				break
			}
		}
	}
}

// made gives a report with s and n in every place.
func made(s string, n int64) *bulwark.Report {
	at := time.Unix(n%(1<<34), 0)
	loc := bulwark.Location{Path: s, Line: int(n), Layer: bulwark.Digest(s), Deleted: bulwark.Digest(s)}
	status := []bulwark.Status{{}, {State: s, By: s, Reason: s, Owner: s, Until: s}, {State: bulwark.StateAccepted}}
	score := math.Float64frombits(uint64(n))
	if math.IsNaN(score) || math.IsInf(score, 0) {
		score = -1 // JSON has no such numbers; a report cannot hold them
	}
	r := &bulwark.Report{
		Schema: bulwark.ReportSchema, Tool: bulwark.Tool{Name: s, Version: s}, Created: at,
		Artifact: bulwark.Artifact{ID: bulwark.Digest(s), Kind: bulwark.Kind(s), Name: s, Source: "registry", Platform: s, Created: at, Commit: s},
		Inventory: bulwark.Inventory{
			OS:       &bulwark.OS{ID: s, Version: s, Name: s, Ecosystem: s},
			Packages: []bulwark.Package{{PURL: s, Name: s, Version: s, Licenses: []string{s, s}, Vendor: s}, {PURL: s, Name: s, Where: []bulwark.Location{loc, loc}, Licenses: []string{s}}},
			Layers:   []bulwark.Layer{{DiffID: bulwark.Digest(s), Size: n, CreatedBy: s}, {}},
			Gaps:     []bulwark.Gap{{Kind: s, Path: s, Layer: bulwark.Digest(s), Detail: s, Hides: n%2 == 0}, {}},
		},
		Advisories: map[string]bulwark.Advisory{s: {ID: s, Summary: s, Details: s, Aliases: []string{s}, Score: score, EPSS: score, CVSS: s, CWEs: []string{s}, References: []string{s, "https://" + s}, Published: at, Due: at, Exploited: n%2 == 0}},
		Rules:      map[string]bulwark.Rule{s: {ID: s, Title: s, Description: s, Remedy: s, References: []string{s}, Controls: []string{s}}},
		Database:   bulwark.Database{ID: bulwark.Digest(s), Built: at, AgeSeconds: n, Advisories: int(n), Starter: n%3 == 0, Stale: n%5 == 0, Uncovered: []string{s}, Feeds: []bulwark.Feed{{Name: s, Records: int(n), Modified: at}}},
		Decision:   bulwark.Decision{Verdict: bulwark.Verdict(s), Reasons: []bulwark.Reason{{Rule: s, Detail: s}}, Errors: []bulwark.Reason{{Rule: s}}},
		Actions:    []bulwark.Action{{Title: s, Command: s, Findings: []string{s, "x"}, Worst: bulwark.Severity(n % 9)}},
		Scan:       bulwark.Scan{Layers: int(n), Cached: int(n), Bytes: n, DurationMS: n, Interrupted: n%7 == 0},
	}
	for i, class := range []bulwark.Class{bulwark.ClassVulnerability, bulwark.ClassVulnerability, bulwark.ClassSecret, bulwark.Class(s), ""} {
		r.Findings = append(r.Findings, bulwark.Finding{ID: s, Class: class, Rule: s, Severity: bulwark.Severity(n % 9), Subject: s, Fix: s, Status: status[i%3], Evidence: []bulwark.Evidence{{Location: loc, Detail: s}}[:i%2]})
	}
	return r
}
