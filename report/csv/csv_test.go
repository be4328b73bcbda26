// SPDX-License-Identifier: Apache-2.0

package csv_test

import (
	"bytes"
	stdcsv "encoding/csv"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/csv"
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
	if err := (csv.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func rows(t testing.TB, b []byte) [][]string {
	t.Helper()
	list, err := stdcsv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestRows(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		r := load(t, name)
		b := write(t, r)
		for line := range bytes.Lines(b) { // no cell has a line end of its own
			if !bytes.HasSuffix(line, []byte("\r\n")) || bytes.Count(line, []byte("\r")) != 1 {
				t.Errorf("%s: %q does not end as RFC 4180 wants", name, line)
			}
		}
		if got := rows(t, b); len(got) != len(r.Findings)+1 {
			t.Errorf("%s: %d rows for %d findings", name, len(got), len(r.Findings))
		}
	}
}

func TestCells(t *testing.T) {
	r := load(t, "report")
	list := rows(t, write(t, r))
	at := slices.IndexFunc(r.Findings, func(f bulwark.Finding) bool { return f.Rule == "CVE-2024-3094" })
	got := map[string]string{}
	for i, name := range list[0] {
		got[name] = list[at+1][i]
	}
	want := map[string]string{
		"severity": "critical", "class": "vulnerability", "rule": "CVE-2024-3094", "name": "liblzma5", "version": "5.6.1-1", "ecosystem": "Debian:12",
		"fix": "5.6.1+really5.4.5-1", "state": "open", "status": "", "exploited": "", "epss": "0.86", "score": "10",
		"cvss": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "aliases": "", "title": "Malicious code in the upstream tarballs of xz",
		"path": "var/lib/dpkg/status", "line": "", "layer": "sha256:" + strings.Repeat("a1", 32), "places": "1",
		"detail":  "liblzma5 5.6.1-1 is before the fixed version 5.6.1+really5.4.5-1",
		"subject": "pkg:deb/debian/liblzma5@5.6.1-1?arch=amd64&distro=debian-12", "id": "c3f96832d0449d1d",
		"artifact": "registry.example.com/shop/api:1.4.2", "digest": string(r.Artifact.ID), "origin": "",
		"database": "embedded starter set, built 2026-08-11, 12 days old, 151 advisories, 1 feed, id 7d7d7d7d7d7d",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestFormula: no cell is calculated by a spreadsheet.
func TestFormula(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "",
		"lodash":                     "lodash",
		"1.0-2":                      "1.0-2",
		"=1+1":                       "'=1+1",
		"=cmd|' /C calc'!A0":         "'=cmd|' /C calc'!A0",
		"+1":                         "'+1",
		"-----BEGIN":                 "'-----BEGIN",
		"@scope/name":                "'@scope/name",
		"\t=1":                       `'\t=1`,
		"\r=1":                       `'\r=1`,
		"\n=1":                       `'\n=1`,
		"  =1":                       "'  =1",
		"＝1":                         "'＝1",
		"a\x00\x1b[31m\u202e\xff,\"": `a\x00\x1b[31m\u202e\xff,"`,
	} {
		if got := csv.Cell(in); got != want {
			t.Errorf("Cell(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzWrite(f *testing.F) {
	f.Add("=1+1")
	f.Add("a\",\r\n\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		list := rows(t, write(t, &bulwark.Report{
			Artifact: bulwark.Artifact{Name: s, ID: bulwark.Digest(s)}, Advisories: map[string]bulwark.Advisory{s: {Summary: s, CVSS: s, Aliases: []string{s, s}}},
			Findings: []bulwark.Finding{
				{Class: bulwark.ClassVulnerability, Rule: s, Subject: s, Fix: s, ID: s, Status: bulwark.Status{State: s, Reason: s}, Evidence: []bulwark.Evidence{{Location: bulwark.Location{Path: s}, Detail: s}}},
				{Class: bulwark.Class(s), Origin: s},
			},
		}))
		if len(list) != 3 {
			t.Fatalf("%d rows", len(list))
		}
		for _, row := range list[1:] {
			for _, cell := range row {
				if trimmed := strings.TrimLeft(cell, " \t\r\n"); trimmed != "" && strings.Contains("=+-@", trimmed[:1]) {
					t.Errorf("cell %q", cell)
				}
			}
		}
	})
}
