// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/table"
)

// explained gives one explanation of each kind, of strings as somebody wrote them.
func explained(r *bulwark.Report, s string) map[string]table.Explained {
	policies := []table.PolicyText{{
		Name: "default-vulnerabilities", Description: s, Subject: "vulnerability", Stages: []string{"build"}, Tier: "org", Mode: "audit", Combine: "firstMatch", OnUnknown: "alert",
		Scope: []string{s, "not " + s}, Place: s + ":3",
		Rules: []table.RuleText{{ID: "kev", Description: s, When: "v.kev && " + s, Effect: "fail", Grace: s, Severity: "critical", Message: s, Remedy: s, Controls: []string{s, s}, Place: s}},
	}}
	considered := []bulwark.Considered{{Name: s, Why: s, Applied: true}, {Name: s, Why: s, About: true}, {Name: s, Why: s}}
	account := table.Account{Kind: "vulnerability", Name: s, Unknown: []string{s}}
	for _, answer := range []string{"match", "no", "unknown", ""} {
		x := table.Ruling{Rule: s, Tier: "org", Description: s, When: s, Place: s, Answer: answer, Why: s, Leaves: []table.Leaf{{Source: s, Value: answer, Why: s, Inputs: []string{s}}}, Exceptions: considered}
		if answer == "match" || answer == "unknown" {
			x.Reason = &bulwark.Reason{Rule: s, Detail: s, Effect: bulwark.EffectAlert, Wanted: bulwark.EffectFail, Held: s, Remedy: s, Controls: []string{s}}
		}
		account.Rulings = append(account.Rulings, x)
	}
	finding := r.Findings[0]
	return map[string]table.Explained{
		"decision":   {Kind: "decision", Report: r, Policies: policies},
		"unkept":     {Kind: "decision", Report: r},
		"undecided":  {Kind: "decision", Report: &bulwark.Report{}},
		"policy":     {Kind: "policy", Policies: policies},
		"finding":    {Kind: "finding", Finding: &finding, Accounts: []table.Account{account, {Kind: "finding"}}},
		"zero":       {},
		"unexplored": {Kind: "finding", Finding: &bulwark.Finding{}},
	}
}

// TestExplanationSafe: nothing in an explanation acts on a terminal or is wider than
// it.
func TestExplanationSafe(t *testing.T) {
	for _, s := range []string{"plain", "evil\x1b[2J\u202eline\nfeed\ttab", strings.Repeat("long ", 100), strings.Repeat("包", 200), ""} {
		r := load(t, "report")
		r.Decision.Reasons[0].Detail, r.Decision.Reasons[0].Held, r.Decision.Errors[0].Rule = s, s, s
		r.Decision.Exceptions = append(r.Decision.Exceptions, bulwark.Considered{Name: s, Rule: s, Why: s}, bulwark.Considered{Name: s, Rule: s, Why: s, About: true})
		for name, x := range explained(r, s) {
			for _, f := range []table.Format{{Width: 60}, {Width: 100, Unicode: true}, {Width: 80, Unicode: true, Limit: -1}} {
				var b bytes.Buffer
				if err := f.Explanation(&b, x); err != nil {
					t.Fatal(err)
				}
				safe(t, name, b.String(), f.Width)
			}
		}
		var b bytes.Buffer
		judged := []table.Judged{{File: s, Artifact: s, Created: time.Unix(1e9, 0), Open: 3, Decision: &r.Decision}, {File: s, Error: s}, {File: s, Decision: &bulwark.Decision{}}}
		for _, width := range []int{60, 100} {
			b.Reset()
			if err := (table.Format{Width: width}).Verdicts(&b, judged); err != nil {
				t.Fatal(err)
			}
			safe(t, "verdicts", b.String(), width)
		}
		b.Reset()
		if err := table.PlainVerdicts(&b, judged); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := strings.Count(line, "\t"); n != 6 {
				t.Errorf("%d tabs in %q", n, line)
			}
		}
	}
}

func safe(t *testing.T, name, out string, width int) {
	t.Helper()
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if n := text.Width(line); n > width {
			t.Errorf("%s, width %d: %d columns: %q", name, width, n, line)
		}
		if line != text.Clean(line) && strings.ContainsAny(line, "\x1b\u202e\t") {
			t.Errorf("%s: %q acts", name, line)
		}
	}
}

// TestExplainDecision shows a decision whole.
func TestExplainDecision(t *testing.T) {
	var b bytes.Buffer
	if err := (table.Format{Width: 100}).Explanation(&b, explained(load(t, "report"), "words")["decision"]); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(b.String(), "\n")
	want := []string{
		"",
		"  decision 5d0c5a1f3e2b7a90  [FAIL]  2 rules say fail, 2 alert",
		"  about       registry.example.com/shop/api:1.4.2",
		"              image, sha256:9f86d081884c, linux/amd64, Debian GNU/Linux 12 (bookworm)",
		"  decided     2026-08-23 10:12 UTC, stage build",
		"  policies    sha256:f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0",
		"",
		"  fail default-vulnerabilities/kev",
	}
	if d := cmp.Diff(want, got[:len(want)]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, want := range []string{"\n  when        v.kev && words\n", "\n  written in  words, tier org\n", "\n  findings    3309179bbe267ccb  CVE-2021-44228 in ", "\n  held        grace until 2026-09-09", "about something else"} {
		if strings.Contains(b.String(), want) == (want == "about something else") {
			t.Errorf("%q is, or is not, in:\n%s", want, b.String())
		}
	}
}
