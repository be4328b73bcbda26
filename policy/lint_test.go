// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/ignore"
)

const lintPolicies = `apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: gate}
spec:
  subject: vulnerability
  rules:
  - {id: bad, when: v.severity >= sev.high, effect: fail}
---
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: rail}
spec:
  subject: vulnerability
  tier: guardrail
  rules:
  - {id: kev, when: v.kev, effect: fail}
---
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: sleeping}
spec:
  subject: vulnerability
  mode: "off"
  rules:
  - {id: any, when: "true", effect: fail}
---
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: running}
spec:
  subject: vulnerability
  stages: [run]
  rules:
  - {id: low, when: v.severity == sev.low, effect: alert}
---
apiVersion: bulwark.dev/v1
kind: Collection
metadata: {name: elsewhere}
spec: {include: [{names: ["other*"]}]}
`

// lintNow is the day of fresh's report.
var lintNow = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// except gives an Exception document with the rest of its spec.
func except(name, spec string) string {
	return fmt.Sprintf("---\napiVersion: bulwark.dev/v1\nkind: Exception\nmetadata: {name: %s}\nspec: {reason: r, owner: o@x, %s}\n", name, spec)
}

func TestLintExceptions(t *testing.T) {
	const critical, low = bulwark.SeverityCritical, bulwark.SeverityLow
	newest := fresh()
	newest.Artifact.Name = "shop"
	newest.Findings = []bulwark.Finding{finding("a", critical, "2"), finding("b", critical, ""), finding("c", low, "")}
	newest.Findings[0].Status = bulwark.Status{State: bulwark.StateAccepted, By: "exception/x"}
	newest.Advisories = map[string]bulwark.Advisory{"CVE-b": {Exploited: true}}
	between, oldest := fresh(), fresh()
	between.Artifact.Name, oldest.Artifact.Name = "shop", "shop"
	between.Created, oldest.Created = lintNow.AddDate(0, 0, -2), lintNow.AddDate(0, 0, -9)
	oldest.Findings = []bulwark.Finding{finding("old", low, "")}
	const soon, gate, a = "expires: 2026-08-01", "for: {policies: [gate]}", `match: v.id == "CVE-a"`
	for _, tc := range []struct {
		name string
		docs string
		want []string
	}{
		{"sound", except("e", gate+", "+a+", "+soon), nil},
		{"expired", except("e", gate+", "+a+", expires: 2026-05-01"), []string{"e expired it ended on 2026-05-01; 1 finding without it: fix them or renew it"}},
		{"expired-and-idle", except("e", gate+`, match: v.id == "no", expires: 2026-05-01`), []string{"e expired it ended on 2026-05-01; it matches nothing: remove it"}},
		{"early", except("e", gate+", "+a+", starts: 2026-06-01, "+soon), []string{"e not-yet-valid it begins on 2026-06-01"}},
		{"expiring", except("e", gate+", "+a+", expires: 2026-05-10"), []string{"e expiring it ends on 2026-05-10, in 6 days"}},
		{"unused", except("e", gate+`, match: v.id == "CVE-z", `+soon), []string{"e unused it matches nothing in 1 report: remove it or correct it"}},
		{"gone", except("e", gate+`, match: v.id == "CVE-old", `+soon), []string{`e no-longer-matching fixed in "shop" since 2026-05-02, and it matches nothing else: remove it`}},
		{"needless", except("e", gate+`, match: v.id == "CVE-c", `+soon), []string{"e not-needed it matches 1 finding, and no rule that it is from fires on them"}},
		{"other-stage", except("e", `for: {policies: [running]}, match: v.id == "CVE-c", `+soon), nil},
		{"no-policy", except("e", `for: {subject: finding}, match: f.rule == "CVE-a", `+soon), []string{"e not-needed it matches 1 finding, and no policy that was read has a rule that it is from: name the policies, too"}},
		{"everything", except("e", gate+", "+soon), nil},
		{"shadowed", except("one", gate+", "+a+", "+soon) + except("two", gate+`, match: 'v.id in ["CVE-a", "CVE-b"]', expires: 2026-09-01`), []string{
			`one shadowed exception "two", at p.yaml:46:1, covers everything that it covers, until 2026-09-01: remove one of them`}},
		{"same-end", except("one", gate+", "+a+", "+soon) + except("two", gate+", "+a+", "+soon), []string{
			`two shadowed exception "one", at p.yaml:41:1, covers everything that it covers, until 2026-08-01: remove one of them`}},
		{"ends-before", except("one", gate+", "+a+", "+soon) + except("two", gate+`, match: v.id.startsWith("CVE"), expires: 2026-07-01`), nil},
		{"other-rules", except("one", `for: {subject: vulnerability}, `+a+", "+soon) + except("two", gate+`, match: v.id.startsWith("CVE"), expires: 2026-09-01`), nil},
		{"other-statement", except("one", gate+", vex: {status: fixed}, "+a+", "+soon) + except("two", gate+`, match: v.id.startsWith("CVE"), expires: 2026-09-01`), nil},
		{"part", except("one", gate+`, match: 'v.id in ["CVE-a", "CVE-b"]', `+soon) + except("two", gate+", "+a+", expires: 2026-09-01"), nil},
		{"guardrail", except("e", `for: {policies: [rail]}, match: v.id == "CVE-b", `+soon), []string{"e not-counted it matches 1 finding, and applies to none: the policies are guardrails, and tier team approved it (approverTier)"}},
		{"long", except("e", gate+", approverTier: org, "+a+", starts: 2026-05-01, expires: 2027-06-01"), []string{"e long-lived it lasts 397 days; tier org gives at most 365"}},
		{"off", except("e", `for: {policies: [gate, sleeping]}, `+a+", "+soon), []string{`e policy-off policy "sleeping" is off (mode: off), so it does nothing there`}},
		{"not-asked", except("e", gate+", scope: {collections: [elsewhere]}, "+soon), []string{"e not-asked none of the reports is in its scope, so nobody knows whether it is needed: name one with --report"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(lintPolicies + tc.docs)}})
			if err != nil {
				t.Fatal(err)
			}
			l := policy.Lint{Now: lintNow, Expiring: 30 * 24 * time.Hour}
			out, err := l.Exceptions(t.Context(), s, slices.Values([]*bulwark.Report{newest}), slices.Values([]*bulwark.Report{between, oldest}))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range out.Remarks {
				got = append(got, r.Name[len("exception/"):]+" "+r.Kind+" "+r.Detail)
				if r.Place.Line < 40 || r.Owner != "o@x" {
					t.Errorf("%+v", r)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if newest.Findings[0].Status.Open() {
				t.Error("the report was changed")
			}
		})
	}
}

// TestLintComments looks at comments in files and at entries of ignore files.
func TestLintComments(t *testing.T) {
	r := fresh()
	r.Artifact.Name = "shop"
	key := bulwark.Finding{ID: "k", Class: bulwark.ClassSecret, Rule: "secret/key", Severity: bulwark.SeverityHigh, Subject: "a.env",
		Evidence: []bulwark.Evidence{{Location: bulwark.Location{Path: "a.env", Line: 4}}}}
	r.Findings = []bulwark.Finding{finding("a", bulwark.SeverityHigh, ""), key}
	at := func(line int, s bulwark.Suppression) bulwark.Suppression {
		s.Path, s.Line = "a.env", line
		return s
	}
	r.Inventory.Suppressions = []bulwark.Suppression{
		at(4, bulwark.Suppression{Rule: "secret/*", Until: "2026-09-01", Reason: "x"}),
		at(3, bulwark.Suppression{Rule: "secret/key", Until: "2026-05-01", Reason: "x"}),
		at(4, bulwark.Suppression{Rule: "secret/key", Until: "2026-09-01"}),
		at(4, bulwark.Suppression{Rule: "secret/key", Reason: "x"}),
		at(9, bulwark.Suppression{Rule: "secret/key", Until: "2026-09-01", Reason: "x"}),
		at(10, bulwark.Suppression{Fault: "no rule is named"}),
	}
	ignores, faults := ignore.Parse("ig.yaml", []byte(`ignore:
- {id: CVE-a, reason: r, owner: o, until: 2026-05-06}
- {id: CVE-b, reason: r, owner: o, until: 2026-12-01}
- {id: CVE-a, reason: r, owner: o, until: 2026-05-01}
- {id: CVE-old, reason: r, owner: o, until: 2029-01-01}
`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	old := fresh()
	old.Artifact.Name, old.Created = "shop", lintNow.AddDate(0, 0, -1)
	old.Findings = []bulwark.Finding{finding("old", bulwark.SeverityHigh, "")}
	s, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte("apiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: p}\nspec: {subject: secret, rules: [{id: any, when: \"true\", effect: fail}]}\n")}})
	if err != nil {
		t.Fatal(err)
	}
	l := policy.Lint{Now: lintNow, Expiring: 30 * 24 * time.Hour, Ignores: ignores}
	out, err := l.Exceptions(t.Context(), s, slices.Values([]*bulwark.Report{r}), slices.Values([]*bulwark.Report{old}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out.Remarks {
		got = append(got, fmt.Sprintf("%s %s %t: %s", r.Name, r.Kind, r.Fails(), r.Detail))
	}
	want := []string{
		"ignore/ig.yaml:2 expiring false: it ends on 2026-05-06, in 2 days",
		"ignore/ig.yaml:3 unused true: it matches nothing in 1 report: remove it or correct it",
		"ignore/ig.yaml:4 expired true: it ended on 2026-05-01; 1 finding without it: fix them or renew it",
		"ignore/ig.yaml:5 long-lived false: it lasts 973 days; tier team gives at most 730",
		`ignore/ig.yaml:5 no-longer-matching true: fixed in "shop" since 2026-05-04, and it matches nothing else: remove it`,
		`inline/a.env:3 expired true: the comment about "secret/key" ended on 2026-05-01; 1 finding without it: fix them or renew it`,
		`inline/a.env:4 no-reason false: the comment about "secret/key" gives no reason: write reason="…"`,
		`inline/a.env:4 not-counted false: the comment about "secret/key" does not count: it gives no end: write until=2027-01-31`,
		`inline/a.env:9 unused true: no finding of "secret/key" is at its line or the next: remove it or correct it`,
		"inline/a.env:10 faulty true: it does nothing: no rule is named",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if out.Reports != 1 || out.Older != 1 || out.Comments != 6 || out.Entries != 4 {
		t.Errorf("%+v", out)
	}
}

// TestLintAlone shows that without reports only what a document says is judged, and
// that who stops waiting gets no half of an answer.
func TestLintAlone(t *testing.T) {
	s, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(lintPolicies + except("e", "for: {policies: [gate]}, expires: 2026-08-01") + except("f", "for: {policies: [gate]}, expires: 2026-01-01"))}})
	if err != nil {
		t.Fatal(err)
	}
	none := slices.Values([]*bulwark.Report{})
	out, err := policy.Lint{Now: lintNow}.Exceptions(t.Context(), s, none, none)
	if err != nil || len(out.Remarks) != 1 || out.Remarks[0].Kind != policy.RemarkExpired || out.Remarks[0].Detail != "it ended on 2026-01-01; remove or renew it" {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := (policy.Lint{}).Exceptions(t.Context(), nil, slices.Values([]*bulwark.Report{fresh()}), none); err != nil || len(out.Remarks) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (policy.Lint{}).Exceptions(ctx, s, slices.Values([]*bulwark.Report{fresh()}), none); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestInvestigated looks at what an exception makes of a finding that somebody still
// looks into.
func TestInvestigated(t *testing.T) {
	s, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(lintPolicies + except("e", "for: {policies: [gate]}, vex: {status: under_investigation}, expires: 2026-08-01"))}})
	if err != nil {
		t.Fatal(err)
	}
	r := fresh()
	r.Findings = []bulwark.Finding{finding("a", bulwark.SeverityHigh, "")}
	if _, _, err := (policy.Judge{Set: s}).Judge(r, lintNow); err != nil {
		t.Fatal(err)
	}
	want := bulwark.Status{State: bulwark.StateAccepted, By: "exception/e", Reason: "under_investigation: r", Owner: "o@x", Until: "2026-08-02T00:00:00Z"}
	if diff := cmp.Diff(want, r.Findings[0].Status); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
