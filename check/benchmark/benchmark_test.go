// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/benchmark"
)

var update = flag.Bool("update", false, "write the table of the documentation")

var all = benchmark.Looked{Config: true, Secrets: true, Vulns: true}

func image(history bool, f ...bulwark.Finding) *bulwark.Report {
	img := &bulwark.Image{}
	if history {
		img.History = []bulwark.History{{CreatedBy: "RUN true"}}
	}
	return &bulwark.Report{Artifact: bulwark.Artifact{Kind: bulwark.KindImage, Image: img}, Findings: f}
}

func states(list []bulwark.Control) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s %s\n", strings.TrimPrefix(c.ID, "CIS Docker 4."), c.State)
	}
	return b.String()
}

// TestSilenceIsNoPass holds what an image without any finding may pass, and what
// stays undecided when less was looked for.
func TestSilenceIsNoPass(t *testing.T) {
	const u, p = bulwark.ControlUndecided, bulwark.ControlPass
	for name, tc := range map[string]struct {
		r    *bulwark.Report
		l    benchmark.Looked
		want []string
	}{
		"everything":  {image(true), all, []string{p, u, u, p, u, p, p, p, p, p, p, u}},
		"no-history":  {image(false), all, []string{p, u, u, p, u, p, u, p, u, u, u, u}},
		"no-config":   {image(true), benchmark.Looked{Secrets: true, Vulns: true}, []string{u, u, u, u, u, u, u, u, u, u, u, u}},
		"no-secrets":  {image(true), benchmark.Looked{Config: true, Vulns: true}, []string{p, u, u, p, u, p, p, p, p, u, p, u}},
		"no-database": {image(true), benchmark.Looked{Config: true, Secrets: true}, []string{p, u, u, u, u, p, p, p, p, p, p, u}},
		"no-image":    {&bulwark.Report{}, all, slices.Repeat([]string{u}, 12)},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range benchmark.Judge(tc.r, tc.l) {
				got = append(got, c.State)
				if c.Detail == "" || c.Title == "" || c.Rationale == "" || c.Remedy == "" || c.Severity == bulwark.SeverityUnknown {
					t.Errorf("%s is not whole: %+v", c.ID, c)
				}
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	finding := func(class bulwark.Class, rule, fix, state string) bulwark.Finding {
		return bulwark.Finding{ID: rule + state, Class: class, Rule: rule, Fix: fix, Status: bulwark.Status{State: state}}
	}
	m := func(rule string) bulwark.Finding { return finding(bulwark.ClassMisconfiguration, rule, "x", "") }
	for _, tc := range []struct {
		f    bulwark.Finding
		want string // the only recommendation that fails
	}{
		{m("BW-IMG-0001"), "1"}, {m("BW-IMG-0007"), "2"}, {m("BW-IMG-0010"), "3"}, {m("BW-IMG-0023"), "3"},
		{finding(bulwark.ClassVulnerability, "CVE-2024-1", "2.0", ""), "4"}, {finding(bulwark.ClassVulnerability, "CVE-2024-1", "", ""), ""},
		{finding(bulwark.ClassCompliance, "BW-EOL-0002", "x", ""), "4"},
		{m("BW-IMG-0002"), "6"}, {m("BW-IMG-0009"), "7"}, {m("BW-IMG-0006"), "8"}, {m("BW-IMG-0003"), "9"}, {m("BW-IMG-0004"), "9"},
		{finding(bulwark.ClassSecret, "aws-key", "x", ""), "10"}, {m("BW-IMG-0005"), "10"}, {m("BW-IMG-0017"), "11"},
		{finding(bulwark.ClassMisconfiguration, "BW-IMG-0001", "x", bulwark.StateAccepted), ""}, {m("BW-IMG-0022"), ""},
	} {
		got := ""
		for _, c := range benchmark.Judge(image(true, tc.f), all) {
			if c.State == bulwark.ControlFail {
				got += strings.TrimPrefix(c.ID, "CIS Docker 4.")
				if d := cmp.Diff([]string{tc.f.ID}, c.Findings); d != "" {
					t.Error(d)
				}
			}
		}
		if got != tc.want {
			t.Errorf("%s %q: %q fails, want %q", tc.f.Rule, tc.f.Status.State, got, tc.want)
		}
	}
	accepted := image(true, finding(bulwark.ClassMisconfiguration, "BW-IMG-0001", "x", bulwark.StateAccepted))
	if d := benchmark.Judge(accepted, all)[0].Detail; !strings.Contains(d, "1 finding is accepted") {
		t.Errorf("an accepted finding is not told: %q", d)
	}
	if got := states(benchmark.Controls()); strings.Count(got, "\n") != 12 {
		t.Error(got)
	}
}

// TestTable compares the table of the documentation with the list.
func TestTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("# CIS Docker Benchmark, section 4\n\n" +
		"Made by `go test ./check/benchmark -update` from the list in `check/benchmark`. `bulwark scan image NAME --benchmark " + benchmark.Name + "`\n" +
		"says of each recommendation whether the image follows it: `pass`, `FAIL`, or `undecided` with what to look at. What was not\n" +
		"looked for, what the image's history does not show, and what only its builder knows is undecided, never a pass.\n\n" +
		"| recommendation | severity | what speaks against it | why | what to do |\n|---|---|---|---|---|\n")
	for _, c := range benchmark.Controls() {
		fmt.Fprintf(&b, "| %s %s | %s | %s | %s | %s |\n", strings.TrimPrefix(c.ID, "CIS Docker "), c.Title, c.Severity, benchmark.DecidedBy(c.ID), c.Rationale, c.Remedy)
	}
	name := filepath.Join("..", "..", "docs", "cis-docker.md")
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(b.String(), string(got)); d != "" {
		t.Errorf("run go test ./check/benchmark -update: %s", d)
	}
}
