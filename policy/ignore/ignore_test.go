// SPDX-License-Identifier: Apache-2.0

package ignore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/ignore"
)

// TestIgnore runs testdata/ignore/*.txtar: ignore.yaml is applied to
// findings.json (and advisories.json) at 2026-06-15 noon UTC; want says what
// the parser refused, what became of each finding, and the gaps.
func TestIgnore(t *testing.T) {
	files, err := filepath.Glob("testdata/ignore/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	now := time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string][]byte{}
			for _, f := range ar.Files {
				parts[f.Name] = f.Data
			}
			var got strings.Builder
			ignores, faults := ignore.Parse("ignore.yaml", parts["ignore.yaml"])
			for _, f := range faults {
				fmt.Fprintln(&got, "fault", f)
				if !errors.Is(f, bulwark.ErrUsage) {
					t.Errorf("%v is not ErrUsage", f)
				}
			}
			var findings []bulwark.Finding
			decode(t, parts["findings.json"], &findings)
			var advisories map[string]bulwark.Advisory
			decode(t, parts["advisories.json"], &advisories)
			out := ignore.Apply(findings, advisories, ignores, now)
			for _, f := range findings {
				fmt.Fprintf(&got, "%s %s\n", f.ID, strings.TrimSpace(strings.Join([]string{f.Status.State, f.Status.By, f.Status.Owner, f.Status.Until, f.Status.Reason}, " ")))
			}
			if n := len(out.Used) + len(out.Unused) + len(out.Expired); n != len(ignores) {
				t.Errorf("%d entries in the outcome, want %d", n, len(ignores))
			}
			for _, g := range out.Gaps() {
				fmt.Fprintf(&got, "gap %s %s\n", g.Kind, g.Detail)
			}
			if diff := cmp.Diff(string(parts["want"]), got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if len(data) == 0 {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatal(err)
	}
}

func TestIgnoreLimits(t *testing.T) {
	for name, data := range map[string]string{
		"bytes":   strings.Repeat("#\n", 1<<20),
		"entries": "ignore:\n" + strings.Repeat("- {}\n", 5001),
		"field":   "ignore:\n- {id: a, owner: b, until: 2030-01-01, reason: " + strings.Repeat("x", 5000) + "}\n",
		"faults":  "ignore:\n" + strings.Repeat("- {}\n", 500),
		"depth":   strings.Repeat("[", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			got, faults := ignore.Parse(name, []byte(data))
			if len(got) != 0 || len(faults) == 0 || len(faults) > 100 {
				t.Errorf("got %d entries, %d faults", len(got), len(faults))
			}
		})
	}
}

func TestIgnoreZero(t *testing.T) {
	f := []bulwark.Finding{finding("a", bulwark.SeverityHigh, "")}
	out := ignore.Apply(f, nil, make([]ignore.Entry, 1), time.Now())
	if !f[0].Status.Open() || len(out.Expired) != 1 {
		t.Errorf("the zero entry changed %+v", f[0].Status)
	}
}

func TestIgnoreTruncated(t *testing.T) {
	whole := "ignore:\n  - id: CVE-2024-0001\n    package: pkg:npm/%40a/b@1.*\n    reason: \"not reached\"\n    owner: jane\n    until: 2026-12-31\n"
	for n := range len(whole) {
		entries, faults := ignore.Parse("f", []byte(whole[:n]))
		// The cut may fall inside a value, never may an entry lack a part.
		for _, e := range entries {
			if e.ID == "" || e.Reason == "" || e.Owner == "" || e.Until == "" {
				t.Errorf("cut at %d: entry %+v", n, e)
			}
		}
		_ = faults
	}
}

func FuzzParseIgnore(f *testing.F) {
	for _, s := range []string{
		"", "ignore:\n- {id: x, reason: r, owner: o, until: 2027-01-01}\n", "ignore: &a [*a]\n", "a: &a [b,*a]",
		"ignore:\n- id: 'CVE-*'\n  package: 'pkg:npm/@a/b@1.*?x=y'\n  path: '/usr/**/lib?/'\n  reason: r\n  owner: o\n  until: 2027-02-29\n",
		"- x", "ignore: {}", "? [a]\n: b", "---\n---\n", "\xff", "%YAML 1.2\n---\nignore: []\n", "ignore:\n- <<: {id: a}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, faults := ignore.Parse("f", data)
		for _, e := range entries {
			if e.ID == "" || e.Reason == "" || e.Owner == "" || e.Line < 1 {
				t.Errorf("entry %+v lacks a part", e)
			}
		}
		for _, err := range faults {
			if err.Error() == "" {
				t.Error("fault without words")
			}
		}
		findings := []bulwark.Finding{
			{ID: "1", Rule: "CVE-2024-1", Subject: "pkg:npm/%40a/b@1.2?x=y", Evidence: []bulwark.Evidence{{Location: bulwark.Location{Path: "usr/lib/x"}}}},
			{ID: "2", Rule: "secret/key", Subject: "etc/\xffkey"},
		}
		ignore.Apply(findings, nil, entries, time.Unix(0, 0))
	})
}

func finding(id string, s bulwark.Severity, fix string) bulwark.Finding {
	return bulwark.Finding{ID: id, Class: bulwark.ClassVulnerability, Severity: s, Fix: fix}
}
