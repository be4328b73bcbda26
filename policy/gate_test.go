// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
)

// fresh gives a report that nothing is wrong with.
func fresh() *bulwark.Report {
	created := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	return &bulwark.Report{
		Created: created,
		Database: bulwark.Database{
			ID: "sha256:x", Built: created.Add(-time.Hour), AgeSeconds: 3600, Advisories: 1000,
		},
	}
}

func finding(id string, s bulwark.Severity, fix string) bulwark.Finding {
	return bulwark.Finding{ID: id, Class: bulwark.ClassVulnerability, Rule: "CVE-" + id, Severity: s, Fix: fix}
}

func TestDecide(t *testing.T) {
	const high, critical = bulwark.SeverityHigh, bulwark.SeverityCritical
	type want struct {
		Verdict bulwark.Verdict
		Reasons []string
		Errors  []string
	}
	tests := []struct {
		name string
		gate policy.Gate
		edit func(r *bulwark.Report)
		want want
	}{
		{"clean", policy.Gate{FailOn: high}, func(*bulwark.Report) {}, want{Verdict: bulwark.Pass}},
		{"off", policy.Gate{}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", critical, "2")}
		}, want{Verdict: bulwark.Pass}},
		{"below", policy.Gate{FailOn: critical}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", high, "2")}
		}, want{Verdict: bulwark.Pass}},
		{"at", policy.Gate{FailOn: high}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("b", high, "2"), finding("a", critical, ""), finding("c", bulwark.SeverityLow, "1")}
		}, want{bulwark.Fail, []string{"fail-on/high [a b] 2: 2 open findings of severity high or worse: 1 critical, 1 high"}, nil}},
		{"unfixed", policy.Gate{FailOn: high, IgnoreUnfixed: true}, func(r *bulwark.Report) {
			secret := finding("s", high, "")
			secret.Class = bulwark.ClassSecret
			r.Findings = []bulwark.Finding{finding("a", critical, ""), secret}
		}, want{bulwark.Fail, []string{"fail-on/high [s] 1: 1 open finding of severity high or worse: 1 high; 1 more without a known fix are left out"}, nil}},
		{"all-unfixed", policy.Gate{FailOn: high, IgnoreUnfixed: true}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", critical, "")}
		}, want{Verdict: bulwark.Pass}},
		{"closed", policy.Gate{FailOn: high}, func(r *bulwark.Report) {
			for _, s := range []string{bulwark.StateAccepted, bulwark.StateFixed, bulwark.StateKnown, bulwark.StateNotAffected, bulwark.StateSuppressed} {
				f := finding(s, critical, "2")
				f.Status.State = s
				r.Findings = append(r.Findings, f)
			}
		}, want{Verdict: bulwark.Pass}},
		{"unknown-severity", policy.Gate{FailOn: high}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", 0, "2")}
		}, want{bulwark.Pass, nil, []string{"fail-on/high [a] 1: 1 open finding without a severity cannot be compared with the gate's high"}}},
		{"fail-unknown", policy.Gate{FailUnknown: true}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", 0, "2"), finding("b", critical, "2")}
		}, want{bulwark.Fail, []string{"fail-on/unknown [a] 1: 1 open finding without a severity"}, nil}},
		{"class", policy.Gate{FailOn: high, Classes: []bulwark.Class{bulwark.ClassSecret}}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", critical, "2")}
			r.Database = bulwark.Database{AgeSeconds: -1} // secrets need none
		}, want{Verdict: bulwark.Pass}},
		{"no-database", policy.Gate{}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{AgeSeconds: -1}
		}, want{bulwark.Warn, []string{"database/none [] 0: no advisory database was asked, so no vulnerability can be found; run bulwark db update"}, nil}},
		{"zero-database", policy.Gate{AllowStarter: true}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{}
		}, want{bulwark.Warn, []string{"database/none [] 0: no advisory database was asked, so no vulnerability can be found; run bulwark db update"}, nil}},
		{"starter", policy.Gate{}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{Starter: true, Advisories: 150, AgeSeconds: 1e9, Stale: true}
		}, want{bulwark.Warn, []string{"database/starter [] 0: only the embedded starter set was asked, which knows 150 famous vulnerabilities and no more; run bulwark db update, or accept it with --allow-starter"}, nil}},
		{"starter-allowed", policy.Gate{AllowStarter: true}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{Starter: true, Advisories: 150, AgeSeconds: 1e9, Stale: true, Uncovered: []string{"CRAN"}}
			r.Inventory.Gaps = []bulwark.Gap{{Kind: bulwark.GapAdvisory, Detail: "Debian 8 is out of support"}}
		}, want{Verdict: bulwark.Pass}},
		{"starter-hides", policy.Gate{AllowStarter: true}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{Starter: true, Advisories: 150}
			r.Inventory.Gaps = []bulwark.Gap{{Kind: bulwark.GapLimit, Path: "a\nb.jar", Detail: "too deep", Hides: true}}
		}, want{bulwark.Warn, []string{`gap/hides [] 1: 1 gap may hide packages: "a\nb.jar" (too deep); read the gaps of the report and scan again with what was missing`}, nil}},
		{"stale", policy.Gate{}, func(r *bulwark.Report) {
			r.Database.AgeSeconds = 9 * 86400
		}, want{bulwark.Warn, []string{"database/stale [] 0: the advisory database is 9 days old, the limit is 7 days; run bulwark db update"}, nil}},
		{"at-limit", policy.Gate{}, func(r *bulwark.Report) { r.Database.AgeSeconds = 7 * 86400 }, want{Verdict: bulwark.Pass}},
		{"stale-by-scan", policy.Gate{}, func(r *bulwark.Report) {
			r.Database.Stale, r.Database.AgeSeconds = true, 3*3600
		}, want{bulwark.Warn, []string{"database/stale [] 0: the advisory database is 3 hours old, more than the scan's limit; run bulwark db update"}, nil}},
		{"own-limit", policy.Gate{StaleAfter: time.Minute}, func(r *bulwark.Report) {
			r.Database.AgeSeconds = 90
		}, want{bulwark.Warn, []string{"database/stale [] 0: the advisory database is 1 minute old, the limit is 1 minute; run bulwark db update"}, nil}},
		{"longer-limit", policy.Gate{StaleAfter: 30 * 24 * time.Hour}, func(r *bulwark.Report) {
			r.Database.Stale, r.Database.AgeSeconds = true, 9*86400
		}, want{Verdict: bulwark.Pass}},
		{"never-stale", policy.Gate{StaleAfter: -1}, func(r *bulwark.Report) {
			r.Database.Stale, r.Database.AgeSeconds = true, math.MaxInt64
		}, want{Verdict: bulwark.Pass}},
		{"future", policy.Gate{}, func(r *bulwark.Report) {
			r.Database.Built = r.Created.AddDate(1, 0, 0)
			r.Database.AgeSeconds = 0
		}, want{bulwark.Warn, []string{"database/clock [] 0: the advisory database was built on 2027-05-04, after this scan; set the clock, then run bulwark db update"}, nil}},
		{"uncovered", policy.Gate{}, func(r *bulwark.Report) {
			r.Database.Uncovered = []string{"g", "f", "e", "d", "c", "b", "a"}
		}, want{bulwark.Warn, []string{"coverage/ecosystem [] 7: no feed covers 7 ecosystems of this artifact: a, b, c, d, e and 2 more; add the feed and run bulwark db update"}, nil}},
		{"distribution", policy.Gate{}, func(r *bulwark.Report) {
			r.Inventory.Gaps = []bulwark.Gap{
				{Kind: bulwark.GapAdvisory, Detail: "Debian 8 has had no fixes since 2020-06-30."},
				{Kind: bulwark.GapUnsupported, Detail: "distribution not known"},
				{Kind: bulwark.GapUnsupported, Path: "x.img", Detail: "not read"}, // one file, hides nothing
				{Kind: bulwark.GapUnreadable, Path: "root"},
			}
		}, want{bulwark.Warn, []string{"coverage/distribution [] 2: Debian 8 has had no fixes since 2020-06-30, distribution not known; move to a supported release, vulnerabilities of this one may be missing"}, nil}},
		{"interrupted", policy.Gate{}, func(r *bulwark.Report) {
			r.Scan.Interrupted = true
		}, want{bulwark.Warn, []string{"scan/interrupted [] 0: the scan was interrupted and its answer is partial; run it again, finished layers are not read twice"}, nil}},
		{"fail-wins", policy.Gate{FailOn: high}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", critical, "")}
			r.Database.AgeSeconds = 90 * 86400
		}, want{bulwark.Fail, []string{
			"fail-on/high [a] 1: 1 open finding of severity high or worse: 1 critical",
			"database/stale [] 0: the advisory database is 90 days old, the limit is 7 days; run bulwark db update",
		}, nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := fresh()
			tt.edit(r)
			d := tt.gate.Decide(r)
			got := want{Verdict: d.Verdict, Reasons: lines(d.Reasons), Errors: lines(d.Errors)}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Decide (-want +got):\n%s", diff)
			}
			if d.Policy != tt.gate.Digest() || !d.Policy.Valid() {
				t.Errorf("Policy = %q, want the gate's digest %q", d.Policy, tt.gate.Digest())
			}
		})
	}
}

func lines(rs []bulwark.Reason) []string {
	var out []string
	for _, r := range rs {
		out = append(out, fmt.Sprintf("%s %v %d: %s", r.Rule, r.Findings, r.Count, r.Detail))
	}
	return out
}

func TestDecideCut(t *testing.T) {
	r := fresh()
	for i := range 250 {
		r.Findings = append(r.Findings, finding(fmt.Sprintf("%03d", 249-i), bulwark.SeverityHigh, "1"))
	}
	got := policy.Gate{FailOn: bulwark.SeverityHigh}.Decide(r).Reasons[0]
	if len(got.Findings) != 100 || got.Count != 250 || got.Findings[0] != "000" || got.Findings[99] != "099" {
		t.Errorf("got %d findings from %q to %q, count %d", len(got.Findings), got.Findings[0], got.Findings[len(got.Findings)-1], got.Count)
	}
}

func TestDecideNil(t *testing.T) {
	d := policy.Gate{}.Decide(nil)
	if d.Verdict != bulwark.Undecided || len(d.Errors) != 1 || policy.ExitCode(d.Verdict) != 1 {
		t.Errorf("Decide(nil) = %+v", d)
	}
}

func TestExitCode(t *testing.T) {
	got := map[bulwark.Verdict]int{}
	for _, v := range []bulwark.Verdict{bulwark.Undecided, bulwark.Pass, bulwark.Warn, bulwark.Fail, "odd"} {
		got[v] = policy.ExitCode(v)
	}
	want := map[bulwark.Verdict]int{bulwark.Undecided: 1, bulwark.Pass: 0, bulwark.Warn: 3, bulwark.Fail: 2, "odd": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDigest(t *testing.T) {
	secret, vuln := bulwark.ClassSecret, bulwark.ClassVulnerability
	same := [][2]policy.Gate{
		{{Classes: []bulwark.Class{secret, vuln, secret}}, {Classes: []bulwark.Class{vuln, secret}}},
		{{StaleAfter: -1}, {StaleAfter: -time.Hour}},
		{{FailOn: -3}, {}},
	}
	for _, p := range same {
		if p[0].Digest() != p[1].Digest() {
			t.Errorf("%+v and %+v differ", p[0], p[1])
		}
	}
	seen := map[bulwark.Digest]policy.Gate{}
	for _, g := range []policy.Gate{
		{}, {FailOn: bulwark.SeverityHigh}, {FailOn: bulwark.SeverityLow}, {FailUnknown: true}, {IgnoreUnfixed: true},
		{AllowStarter: true}, {StaleAfter: time.Hour}, {StaleAfter: time.Nanosecond}, {StaleAfter: -1}, {Classes: []bulwark.Class{secret}},
	} {
		if other, ok := seen[g.Digest()]; ok {
			t.Errorf("%+v and %+v have one digest", g, other)
		}
		seen[g.Digest()] = g
	}
}
