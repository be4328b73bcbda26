// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
)

func loaded(t *testing.T, docs string) *policy.Set {
	t.Helper()
	set, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(docs)}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestExceptionElsewhere asks about one finding under two names, as vulnerability
// and as finding: an exception from a rule about the one says nothing of the other.
func TestExceptionElsewhere(t *testing.T) {
	set := loaded(t, `
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: v}
spec: {subject: vulnerability, rules: [{id: high, when: v.severity >= sev.high, effect: fail}]}
---
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: f}
spec: {subject: finding, tier: org, rules: [{id: high, when: f.severity >= sev.high, effect: fail}]}
---
apiVersion: bulwark.dev/v1
kind: Exception
metadata: {name: e}
spec: {for: {policies: [v]}, reason: mended elsewhere, owner: team, expires: 2027-06-01}
`)
	r := fresh()
	r.Findings = []bulwark.Finding{finding("a", bulwark.SeverityHigh, "2")}
	d, uses, err := policy.Judge{Set: set}.Judge(r, r.Created)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range d.Reasons {
		got = append(got, x.Rule+" "+x.Effect.String())
	}
	if diff := cmp.Diff([]string{"f/high fail", "v/high ignore"}, got); diff != "" || d.Verdict != bulwark.Fail {
		t.Errorf("verdict %q, reasons (-want +got):\n%s", d.Verdict, diff)
	}
	if !r.Findings[0].Status.Open() {
		t.Errorf("status %+v, though a rule refuses it", r.Findings[0].Status)
	}
	if diff := cmp.Diff([]policy.Use{{Name: "e", Matched: 1, Applied: 1}}, uses); diff != "" {
		t.Error(diff)
	}
}

// TestNoEvidence judges a report that somebody else wrote, whose findings say
// nothing of places.
func TestNoEvidence(t *testing.T) {
	set := loaded(t, `
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: p}
spec: {subject: function, rules: [{id: ended, when: fn.eol, effect: fail}]}
`)
	r := fresh()
	r.Inventory.Functions = []bulwark.Function{{Name: "f", Runtime: "nodejs12.x"}}
	r.Findings = []bulwark.Finding{{ID: "a", Rule: "BW-FN-0001", Subject: "elsewhere"}}
	d, _, err := policy.Judge{Set: set}.Judge(r, r.Created)
	if err != nil || d.Verdict != bulwark.Pass {
		t.Errorf("verdict %q, %v", d.Verdict, err)
	}
}
