// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
)

func TestReopen(t *testing.T) {
	by := func(state, by string) bulwark.Finding {
		f := finding(by, bulwark.SeverityHigh, "2")
		f.Status = bulwark.Status{State: state, By: by, Reason: "r", Owner: "o", Until: "2027-01-01T00:00:00Z"}
		return f
	}
	list := []bulwark.Finding{
		by(bulwark.StateAccepted, "exception/a"), by(bulwark.StateNotAffected, "exception/b"), by(bulwark.StateAccepted, "inline/main.tf:3"),
		by(bulwark.StateAccepted, ".bulwark/ignore.yaml:2"), by(bulwark.StateNotAffected, "vex.json"), by(bulwark.StateKnown, "baseline"),
		by(bulwark.StateOpen, "exception/odd"), // somebody's hand
	}
	if n := policy.Reopen(list); n != 3 {
		t.Errorf("Reopen = %d, want 3", n)
	}
	var got []string
	for _, f := range list {
		got = append(got, f.Status.State+" "+f.Status.By)
	}
	want := []string{" ", " ", " ", "accepted .bulwark/ignore.yaml:2", "not_affected vex.json", "known baseline", " exception/odd"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestJudgeAgain judges one report twice, the second time when the exception has
// ended: what it closed must fail again.
func TestJudgeAgain(t *testing.T) {
	set, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(`
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: p}
spec:
  subject: vulnerability
  rules:
  - {id: high, when: v.severity >= sev.high, effect: fail}
---
apiVersion: bulwark.dev/v1
kind: Exception
metadata: {name: e}
spec:
  for: {policies: [p]}
  match: v.id == "CVE-a"
  reason: mended elsewhere
  owner: team
  expires: 2026-06-01
`)}})
	if err != nil {
		t.Fatal(err)
	}
	r := fresh()
	r.Findings = []bulwark.Finding{finding("a", bulwark.SeverityHigh, "2"), finding("b", bulwark.SeverityLow, "2")}
	judge := func(at time.Time) bulwark.Decision {
		d, _, err := policy.Judge{Set: set}.Judge(r, at)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	before, again := judge(r.Created), judge(r.Created)
	if d := cmp.Diff(before, again); d != "" || before.Verdict != bulwark.Pass || r.Findings[0].Status.By != "exception/e" {
		t.Errorf("verdict %q, status %+v, the second differs (-first +second):\n%s", before.Verdict, r.Findings[0].Status, d)
	}
	after := judge(r.Created.AddDate(0, 2, 0))
	want := []bulwark.Considered{{Name: "exception/e", Rule: "p/high", About: true, Why: "it ended on 2026-06-01; owner team", Findings: []string{"a"}, Count: 1}}
	if d := cmp.Diff(want, after.Exceptions); d != "" || after.Verdict != bulwark.Fail || !r.Findings[0].Status.Open() {
		t.Errorf("verdict %q, status %+v, exceptions (-want +got):\n%s", after.Verdict, r.Findings[0].Status, d)
	}
}
