// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
)

// TestJudgeExplain: what is explained is what was decided, also of findings that
// vendors, exceptions and comments closed, and after the report was judged.
func TestJudgeExplain(t *testing.T) {
	set, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(`
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: p}
spec:
  subject: vulnerability
  allowInline: always
  rules:
  - {id: high, when: v.severity >= sev.high, effect: fail}
  - {id: low, when: v.severity <= sev.low, effect: fail}
---
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: g}
spec:
  subject: vulnerability
  tier: guardrail
  mode: audit
  rules:
  - {id: fix, when: v.fixed_in == "2", effect: fail}
---
apiVersion: bulwark.dev/v1
kind: Exception
metadata: {name: e}
spec:
  for: {subject: vulnerability}
  match: v.id == "CVE-excepted"
  reason: mended elsewhere
  owner: team
  expires: 2027-06-01
`)}})
	if err != nil {
		t.Fatal(err)
	}
	r := fresh()
	for _, id := range []string{"open", "excepted", "vexed", "commented", "known"} {
		f := finding(id, bulwark.SeverityHigh, "2")
		f.Evidence = []bulwark.Evidence{{Location: bulwark.Location{Path: id, Line: 2}}}
		r.Findings = append(r.Findings, f)
	}
	r.Findings[2].Status = bulwark.Status{State: bulwark.StateNotAffected, By: "vex.json", Reason: "no"}
	r.Inventory.Suppressions = []bulwark.Suppression{{Location: bulwark.Location{Path: "commented", Line: 1}, Rule: "CVE-commented", Reason: "looked at"}}
	j := policy.Judge{Set: set}
	d, _, err := j.Judge(r, r.Created)
	if err != nil {
		t.Fatal(err)
	}
	decided := map[string]map[string]bulwark.Effect{}
	for _, reason := range d.Reasons {
		for _, id := range reason.Findings {
			if decided[id] == nil {
				decided[id] = map[string]bulwark.Effect{}
			}
			decided[id][reason.Rule] = reason.Effect
		}
	}
	want := map[string]string{
		"open":      "g/fix match alert []; p/high match fail []; p/low no; ",
		"excepted":  "g/fix match alert [exception/e false]; p/high match ignore [exception/e true]; p/low no; ",
		"vexed":     "g/fix match alert [vex.json false]; p/high match ignore [vex.json true]; p/low no; ",
		"commented": "g/fix match alert [inline/commented:1 false]; p/high match ignore [inline/commented:1 true]; p/low no; ",
		"known":     "g/fix match alert []; p/high match fail []; p/low no; ",
	}
	got := map[string]string{}
	for i := range r.Findings {
		id := r.Findings[i].ID
		before := r.Findings[i].Status
		accounts, err := j.Explain(r, id, r.Created)
		if err != nil || len(accounts) != 1 || accounts[0].Kind != "vulnerability" {
			t.Fatalf("%s: %+v, %v", id, accounts, err)
		}
		if r.Findings[i].Status != before {
			t.Errorf("%s: the report was changed: %+v", id, r.Findings[i].Status)
		}
		for _, x := range accounts[0].Rules {
			got[id] += x.Rule + " " + x.Answer
			if x.Reason != nil {
				if e := decided[id][x.Rule]; e != x.Reason.Effect {
					t.Errorf("%s: %s was decided to be %s, explained to be %s", id, x.Rule, e, x.Reason.Effect)
				}
				var asked []string
				for _, c := range x.Exceptions {
					if c.About {
						asked = append(asked, fmt.Sprint(c.Name, " ", c.Applied))
					}
				}
				got[id] += fmt.Sprint(" ", x.Reason.Effect, " ", asked)
			}
			got[id] += "; "
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if accounts, err := j.Explain(r, "none", r.Created); err != nil || accounts != nil {
		t.Errorf("of no finding: %+v, %v", accounts, err)
	}
}
