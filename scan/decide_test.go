// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/scan"
)

// TestDecide judges a saved report twice, ten days later each time: a day counts
// once, what an exception closed is open again, what a vendor closed is not, and
// what is to be done follows.
func TestDecide(t *testing.T) {
	created := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	vuln := func(id, state, by string) bulwark.Finding {
		return bulwark.Finding{ID: id, Class: bulwark.ClassVulnerability, Rule: "CVE-" + id, Subject: "pkg:deb/" + id, Severity: bulwark.SeverityHigh, Fix: "2",
			Status: bulwark.Status{State: state, By: by}, Evidence: []bulwark.Evidence{{}}}
	}
	saved := func() *bulwark.Report {
		return &bulwark.Report{
			Created:  created,
			Database: bulwark.Database{ID: "sha256:x", Built: created, AgeSeconds: 60, Advisories: 9},
			Findings: []bulwark.Finding{vuln("a", "", ""), vuln("b", bulwark.StateNotAffected, "vex.json")},
			Actions:  []bulwark.Action{{Title: "a", Findings: []string{"a", "gone"}}, {Title: "gone", Findings: []string{"gone"}}},
			Inventory: bulwark.Inventory{Gaps: []bulwark.Gap{
				{Kind: bulwark.GapSkipped, Detail: `exception "old" matches nothing: remove it or correct it`}, {Kind: bulwark.GapUnreadable, Path: "x"},
			}},
			Decision: bulwark.Decision{Verdict: bulwark.Pass, Now: created},
		}
	}
	source, ok := policy.Flags{FailOn: bulwark.SeverityHigh}.Source()
	if !ok {
		t.Fatal("no source")
	}
	set, err := policy.Load([]policy.Source{source})
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	now := created.Add(10 * day)
	s := &scan.Scanner{Now: func() time.Time { return now }, Stale: day, Judge: policy.Judge{Set: set, Trust: policy.Trust{StaleAfter: 15 * day}}}
	old := saved()
	first, err := s.Decide(old)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(saved(), old); d != "" {
		t.Errorf("the saved report was changed (-want +got):\n%s", d)
	}
	now = now.Add(10 * day)
	second, err := s.Decide(first)
	if err != nil {
		t.Fatal(err)
	}
	type told struct {
		Age     int64
		Verdict bulwark.Verdict
		Rules   []string
		Actions []bulwark.Action
		Gaps    []bulwark.Gap
	}
	tell := func(r *bulwark.Report) told {
		x := told{Age: r.Database.AgeSeconds, Verdict: r.Decision.Verdict, Actions: r.Actions, Gaps: r.Inventory.Gaps}
		for _, reason := range r.Decision.Reasons {
			x.Rules = append(x.Rules, reason.Effect.String()+" "+reason.Rule)
		}
		return x
	}
	want := told{60 + 10*86400, bulwark.Fail, []string{"fail fail-on/high", "ignore fail-on/high"}, []bulwark.Action{{Title: "a", Findings: []string{"a"}}}, []bulwark.Gap{{Kind: bulwark.GapUnreadable, Path: "x"}}}
	if d := cmp.Diff(want, tell(first)); d != "" {
		t.Errorf("first (-want +got):\n%s", d)
	}
	want.Age += 10 * 86400
	want.Rules = append(want.Rules, " database/stale")
	if d := cmp.Diff(want, tell(second)); d != "" {
		t.Errorf("second (-want +got):\n%s", d)
	}
	if first.Database.Stale != true || !first.Created.Equal(created) {
		t.Errorf("Stale = %t, Created = %s", first.Database.Stale, first.Created)
	}

	scan.Show(old, []bulwark.Severity{bulwark.SeverityCritical})
	if _, err := s.Decide(old); !errors.Is(err, bulwark.ErrUnsupported) {
		t.Errorf("a report that was cut: %v", err)
	}
}
