// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"math"
	"strings"
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
	return bulwark.Finding{ID: id, Class: bulwark.ClassVulnerability, Rule: "CVE-" + id, Subject: "pkg:deb/" + id, Severity: s, Fix: fix}
}

func TestJudge(t *testing.T) {
	const high, critical = bulwark.SeverityHigh, bulwark.SeverityCritical
	type want struct {
		Verdict bulwark.Verdict
		Reasons []string
		Errors  []string
	}
	tests := []struct {
		name  string
		flags policy.Flags
		trust policy.Trust
		edit  func(r *bulwark.Report)
		want  want
	}{
		{"clean", policy.Flags{FailOn: high}, policy.Trust{}, func(*bulwark.Report) {}, want{Verdict: bulwark.Pass}},
		{"off", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", critical, "2")}
		}, want{Verdict: bulwark.Pass}},
		{"below", policy.Flags{FailOn: critical}, policy.Trust{}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", high, "2")}
		}, want{Verdict: bulwark.Pass}},
		{"at", policy.Flags{FailOn: high}, policy.Trust{}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("b", high, "2"), finding("a", critical, ""), finding("c", bulwark.SeverityLow, "1")}
		}, want{bulwark.Fail, []string{"fail fail-on/high [a b] 2: open finding of severity high or worse: 2 findings (1 critical, 1 high): CVE-b in pkg:deb/b, fixed in 2; CVE-a in pkg:deb/a, no fix is known"}, nil}},
		{"unfixed", policy.Flags{FailOn: high, IgnoreUnfixed: true}, policy.Trust{}, func(r *bulwark.Report) {
			secret := finding("s", high, "")
			secret.Class = bulwark.ClassSecret
			r.Findings = []bulwark.Finding{finding("a", critical, ""), secret}
		}, want{bulwark.Fail, []string{"fail fail-on/high [s] 1: CVE-s in pkg:deb/s"}, nil}},
		{"all-unfixed", policy.Flags{FailOn: high, IgnoreUnfixed: true}, policy.Trust{}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", critical, "")}
		}, want{Verdict: bulwark.Pass}},
		{"closed", policy.Flags{FailOn: high}, policy.Trust{}, func(r *bulwark.Report) {
			for _, s := range []string{bulwark.StateAccepted, bulwark.StateFixed, bulwark.StateKnown, bulwark.StateNotAffected, bulwark.StateSuppressed} {
				f := finding(s, critical, "2")
				f.Status.State = s
				r.Findings = append(r.Findings, f)
			}
		}, want{bulwark.Pass, []string{
			"ignore fail-on/high [accepted] 1: CVE-accepted in pkg:deb/accepted, fixed in 2",
			"ignore fail-on/high [fixed] 1: CVE-fixed in pkg:deb/fixed, fixed in 2",
			"ignore fail-on/high [known] 1: CVE-known in pkg:deb/known, fixed in 2",
			"ignore fail-on/high [not_affected] 1: CVE-not_affected in pkg:deb/not_affected, fixed in 2",
		}, nil}},
		{"unknown-severity", policy.Flags{FailOn: high}, policy.Trust{}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", 0, "2")}
		}, want{bulwark.Pass, []string{"alert fail-on/unknown [a] 1: CVE-a in pkg:deb/a, fixed in 2"}, nil}},
		{"fail-unknown", policy.Flags{FailUnknown: true}, policy.Trust{}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", 0, "2"), finding("b", critical, "2")}
		}, want{bulwark.Fail, []string{"fail fail-on/unknown [a] 1: CVE-a in pkg:deb/a, fixed in 2"}, nil}},
		{"no-database", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{AgeSeconds: -1}
		}, want{bulwark.Warn, []string{"database/none [] 0: no advisory database was asked, so no vulnerability can be found; run bulwark db update"}, nil}},
		{"zero-database", policy.Flags{}, policy.Trust{AllowStarter: true}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{}
		}, want{bulwark.Warn, []string{"database/none [] 0: no advisory database was asked, so no vulnerability can be found; run bulwark db update"}, nil}},
		{"starter", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{Starter: true, Advisories: 150, AgeSeconds: 1e9, Stale: true}
		}, want{bulwark.Warn, []string{"database/starter [] 0: only the embedded starter set was asked, which knows 150 famous vulnerabilities and no more; run bulwark db update, or accept it with --allow-starter"}, nil}},
		{"starter-allowed", policy.Flags{}, policy.Trust{AllowStarter: true}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{Starter: true, Advisories: 150, AgeSeconds: 1e9, Stale: true, Uncovered: []string{"CRAN"}}
			r.Inventory.Gaps = []bulwark.Gap{{Kind: bulwark.GapAdvisory, Detail: "Debian 8 is out of support"}}
		}, want{Verdict: bulwark.Pass}},
		{"starter-hides", policy.Flags{}, policy.Trust{AllowStarter: true}, func(r *bulwark.Report) {
			r.Database = bulwark.Database{Starter: true, Advisories: 150}
			r.Inventory.Gaps = []bulwark.Gap{{Kind: bulwark.GapLimit, Path: "a\nb.jar", Detail: "too deep", Hides: true}}
		}, want{bulwark.Warn, []string{`gap/hides [] 1: 1 gap may hide packages: "a\nb.jar" (too deep); read the gaps of the report and scan again with what was missing`}, nil}},
		{"stale", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) {
			r.Database.AgeSeconds = 9 * 86400
		}, want{bulwark.Warn, []string{"database/stale [] 0: the advisory database is 9 days old, the limit is 7 days; run bulwark db update"}, nil}},
		{"at-limit", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) { r.Database.AgeSeconds = 7 * 86400 }, want{Verdict: bulwark.Pass}},
		{"stale-by-scan", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) {
			r.Database.Stale, r.Database.AgeSeconds = true, 3*3600
		}, want{bulwark.Warn, []string{"database/stale [] 0: the advisory database is 3 hours old, more than the scan's limit; run bulwark db update"}, nil}},
		{"own-limit", policy.Flags{}, policy.Trust{StaleAfter: time.Minute}, func(r *bulwark.Report) {
			r.Database.AgeSeconds = 90
		}, want{bulwark.Warn, []string{"database/stale [] 0: the advisory database is 1 minute old, the limit is 1 minute; run bulwark db update"}, nil}},
		{"longer-limit", policy.Flags{}, policy.Trust{StaleAfter: 30 * 24 * time.Hour}, func(r *bulwark.Report) {
			r.Database.Stale, r.Database.AgeSeconds = true, 9*86400
		}, want{Verdict: bulwark.Pass}},
		{"never-stale", policy.Flags{}, policy.Trust{StaleAfter: -1}, func(r *bulwark.Report) {
			r.Database.Stale, r.Database.AgeSeconds = true, math.MaxInt64
		}, want{Verdict: bulwark.Pass}},
		{"future", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) {
			r.Database.Built = r.Created.AddDate(1, 0, 0)
			r.Database.AgeSeconds = 0
		}, want{bulwark.Warn, []string{"database/clock [] 0: the advisory database was built on 2027-05-04, after this scan; set the clock, then run bulwark db update"}, nil}},
		{"uncovered", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) {
			r.Database.Uncovered = []string{"g", "f", "e", "d", "c", "b", "a"}
		}, want{bulwark.Warn, []string{"coverage/ecosystem [] 7: no feed covers 7 ecosystems of this artifact: a, b, c, d, e and 2 more; add the feed and run bulwark db update"}, nil}},
		{"distribution", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) {
			r.Inventory.Gaps = []bulwark.Gap{
				{Kind: bulwark.GapAdvisory, Detail: "Debian 8 has had no fixes since 2020-06-30."},
				{Kind: bulwark.GapUnsupported, Detail: "distribution not known"},
				{Kind: bulwark.GapUnsupported, Path: "x.img", Detail: "not read"}, // one file, hides nothing
				{Kind: bulwark.GapUnreadable, Path: "root"},
			}
		}, want{bulwark.Warn, []string{"coverage/distribution [] 2: Debian 8 has had no fixes since 2020-06-30, distribution not known; move to a supported release, vulnerabilities of this one may be missing"}, nil}},
		{"interrupted", policy.Flags{}, policy.Trust{}, func(r *bulwark.Report) {
			r.Scan.Interrupted = true
		}, want{bulwark.Warn, []string{"scan/interrupted [] 0: the scan was interrupted and its answer is partial; run it again, finished layers are not read twice"}, nil}},
		{"fail-wins", policy.Flags{FailOn: high}, policy.Trust{}, func(r *bulwark.Report) {
			r.Findings = []bulwark.Finding{finding("a", critical, "")}
			r.Database.AgeSeconds = 90 * 86400
		}, want{bulwark.Fail, []string{
			"fail fail-on/high [a] 1: CVE-a in pkg:deb/a, no fix is known",
			"database/stale [] 0: the advisory database is 90 days old, the limit is 7 days; run bulwark db update",
		}, nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := fresh()
			tt.edit(r)
			d := judge(t, tt.flags, tt.trust, r)
			got := want{Verdict: d.Verdict, Reasons: lines(d.Reasons), Errors: lines(d.Errors)}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Judge (-want +got):\n%s", diff)
			}
			if !d.Policy.Valid() || len(d.ID) != 16 {
				t.Errorf("Policy = %q, ID = %q", d.Policy, d.ID)
			}
		})
	}
}

func judge(t *testing.T, f policy.Flags, trust policy.Trust, r *bulwark.Report) bulwark.Decision {
	t.Helper()
	var sources []policy.Source
	if s, ok := f.Source(); ok {
		sources = append(sources, s)
	}
	set, err := policy.Load(sources)
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := policy.Judge{Set: set, Trust: trust}.Judge(r, time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func lines(rs []bulwark.Reason) []string {
	var out []string
	for _, r := range rs {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %v %d: %s", r.Effect, r.Rule, r.Findings, r.Count, r.Detail)))
	}
	return out
}

func TestJudgeCut(t *testing.T) {
	r := fresh()
	for i := range 250 {
		r.Findings = append(r.Findings, finding(fmt.Sprintf("%03d", 249-i), bulwark.SeverityHigh, "1"))
	}
	got := judge(t, policy.Flags{FailOn: bulwark.SeverityHigh}, policy.Trust{}, r).Reasons[0]
	if len(got.Findings) != 100 || got.Count != 250 || got.Findings[0] != "000" || got.Findings[99] != "099" {
		t.Errorf("got %d findings from %q to %q, count %d", len(got.Findings), got.Findings[0], got.Findings[len(got.Findings)-1], got.Count)
	}
}

func TestJudgeNil(t *testing.T) {
	d := judge(t, policy.Flags{}, policy.Trust{}, nil)
	if d.Verdict != bulwark.Undecided || len(d.Errors) != 1 || policy.ExitCode(d.Verdict) != 1 {
		t.Errorf("Judge(nil) = %+v", d)
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

func TestApplyBaseline(t *testing.T) {
	closed := func(f bulwark.Finding, state string) bulwark.Finding {
		f.Status.State = state
		return f
	}
	high := bulwark.SeverityHigh
	base := &bulwark.Report{Created: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Findings: []bulwark.Finding{
		finding("old", high, ""), finding("gone", high, ""), closed(finding("older", high, ""), bulwark.StateKnown),
		closed(finding("accepted", high, ""), bulwark.StateAccepted), finding("vexed", high, ""),
	}}
	now := []bulwark.Finding{
		finding("old", high, ""), finding("new", high, ""), finding("older", high, ""), finding("accepted", high, ""),
		closed(finding("vexed", high, ""), bulwark.StateNotAffected),
	}
	known, fixed := policy.ApplyBaseline(now, base)
	if known != 2 || fixed != 1 {
		t.Errorf("known %d, fixed %d; want 2, 1", known, fixed)
	}
	got := map[string]string{}
	for _, f := range now {
		got[f.ID] = f.Status.State
	}
	want := map[string]string{"old": "known", "new": "", "older": "known", "accepted": "", "vexed": "not_affected"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if now[0].Status.Reason != "in the report of 2026-05-01" {
		t.Errorf("reason %q", now[0].Status.Reason)
	}
	if known, fixed := policy.ApplyBaseline(now, nil); known != 0 || fixed != 0 {
		t.Errorf("nil baseline: known %d, fixed %d", known, fixed)
	}
}
