// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

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

// TestManyExceptions judges many findings with many exceptions, all of which are
// from every rule. Asking each about each took minutes.
func TestManyExceptions(t *testing.T) {
	const rules, exceptions, findings = 20, 2000, 2000
	var b strings.Builder
	b.WriteString("apiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n  subject: vulnerability\n  rules:\n")
	for i := range rules {
		fmt.Fprintf(&b, "  - {id: r%d, when: v.severity >= sev.high, effect: fail}\n", i)
	}
	sources := []policy.Source{{Name: "p.yaml", Data: []byte(b.String())}}
	for f := range exceptions / 1000 {
		b.Reset()
		for i := range 1000 {
			fmt.Fprintf(&b, "---\napiVersion: bulwark.dev/v1\nkind: Exception\nmetadata: {name: e%d}\nspec: {for: {subject: vulnerability}, match: v.id == \"CVE-%[1]d\", reason: r, owner: o, expires: 2099-01-01}\n", f*1000+i)
		}
		sources = append(sources, policy.Source{Name: fmt.Sprintf("e%d.yaml", f), Data: []byte(b.String())})
	}
	set, err := policy.Load(sources)
	if err != nil {
		t.Fatal(err)
	}
	r := fresh()
	for i := range findings {
		r.Findings = append(r.Findings, finding(fmt.Sprint(i+findings/2), bulwark.SeverityHigh, "2"))
	}
	start := time.Now()
	d, uses, err := policy.Judge{Set: set}.Judge(r, r.Created)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	applied, other := 0, 0
	for _, x := range d.Exceptions {
		switch {
		case x.Applied && x.About && x.Count == 1:
			applied++
		case x.Why == "its match is false" && !x.About:
			other++
		}
	}
	matched := 0
	for _, u := range uses {
		matched += u.Matched
	}
	if applied != rules*1000 || other != rules*1000 || matched != 1000 || d.Verdict != bulwark.Fail {
		t.Errorf("%d applied, %d about others, %d matched, verdict %q", applied, other, matched, d.Verdict)
	}
}

// TestManyPairs bounds what a few files can ask for in memory.
func TestManyPairs(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n  subject: vulnerability\n  rules:\n")
	for i := range 2500 {
		fmt.Fprintf(&b, "  - {id: r%d, when: v.kev, effect: fail}\n", i)
	}
	sources := []policy.Source{{Name: "p.yaml", Data: []byte(b.String())}}
	b.Reset()
	for i := range 1000 {
		fmt.Fprintf(&b, "---\napiVersion: bulwark.dev/v1\nkind: Exception\nmetadata: {name: e%d}\nspec: {for: {subject: vulnerability}, match: v.kev, reason: r, owner: o, expires: 2099-01-01}\n", i)
	}
	sources = append(sources, policy.Source{Name: "e.yaml", Data: []byte(b.String())})
	if _, err := policy.Load(sources); err == nil || !strings.Contains(err.Error(), "more than 2000000 rules") {
		t.Errorf("Load: %v", err)
	}
}

// TestCommentInAnotherLayer holds a comment to the file that it stands in: an
// earlier layer has another file of that name, whose secret everybody can still
// read.
func TestCommentInAnotherLayer(t *testing.T) {
	set := loaded(t, `
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: p}
spec: {subject: secret, rules: [{id: any, when: true, effect: fail}]}
`)
	r := fresh()
	at := func(layer bulwark.Digest, line int) bulwark.Location {
		return bulwark.Location{Path: "app/config.py", Line: line, Layer: layer}
	}
	r.Inventory.Suppressions = []bulwark.Suppression{{Rule: "secret/*", Until: "2099-01-01", Reason: "a sample", Location: at("sha256:b", 1)}}
	for _, c := range []struct {
		layer bulwark.Digest
		want  bulwark.Verdict
	}{{"sha256:a", bulwark.Fail}, {"sha256:b", bulwark.Pass}} {
		r.Findings = []bulwark.Finding{{ID: "s", Class: bulwark.ClassSecret, Rule: "secret/key", Evidence: []bulwark.Evidence{{Location: at(c.layer, 2)}}}}
		d, _, err := policy.Judge{Set: set}.Judge(r, r.Created)
		if err != nil || d.Verdict != c.want {
			t.Errorf("%s: verdict %q, want %q, %v", c.layer, d.Verdict, c.want, err)
		}
	}
}

// TestGraceInTheFuture gives no grace from a day that is still to come: a record
// that says so would hold an effect for years.
func TestGraceInTheFuture(t *testing.T) {
	set := loaded(t, `
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: p}
spec: {subject: vulnerability, rules: [{id: any, when: true, grace: {days: 7, from: published}, effect: fail}]}
`)
	r := fresh()
	r.Findings = []bulwark.Finding{finding("a", bulwark.SeverityHigh, "2")}
	for days, want := range map[int]bulwark.Verdict{-8: bulwark.Fail, -7: bulwark.Fail, -6: bulwark.Pass, 0: bulwark.Pass, 1: bulwark.Pass, 2: bulwark.Fail, 4000: bulwark.Fail} {
		r.Advisories = map[string]bulwark.Advisory{"CVE-a": {Published: r.Created.AddDate(0, 0, days)}}
		d, _, err := policy.Judge{Set: set}.Judge(r, r.Created)
		if err != nil || d.Verdict != want {
			t.Errorf("published in %d days: verdict %q, want %q, %v", days, d.Verdict, want, err)
		}
	}
}

// TestNotLookedFor asks policies about what nobody looked for: silence is no pass.
func TestNotLookedFor(t *testing.T) {
	const docs = `
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: p}
spec: {subject: malware, tier: guardrail, onUnknown: ONUNKNOWN, rules: [{id: any, when: true, effect: fail}]}
`
	for _, c := range []struct {
		name, unknown string
		kind          bulwark.Kind
		looked        []string
		want          bulwark.Verdict
	}{
		{"looked", "alert", bulwark.KindImage, []string{"malware", "secret"}, bulwark.Pass},
		{"not told", "alert", bulwark.KindImage, nil, bulwark.Pass},
		{"off", "alert", bulwark.KindImage, []string{"secret"}, bulwark.Warn},
		{"off, refused", "fail", bulwark.KindImage, []string{"secret"}, bulwark.Fail},
		{"off, ignored", "ignore", bulwark.KindImage, []string{"secret"}, bulwark.Pass},
		{"no files", "alert", bulwark.KindSBOM, []string{"vulnerability"}, bulwark.Pass},
	} {
		r := fresh()
		r.Artifact.Kind, r.Scan.Looked = c.kind, c.looked
		set := loaded(t, strings.Replace(docs, "ONUNKNOWN", c.unknown, 1))
		d, _, err := policy.Judge{Set: set}.Judge(r, r.Created)
		if err != nil || d.Verdict != c.want {
			t.Errorf("%s: verdict %q, want %q, errors %v, %v", c.name, d.Verdict, c.want, d.Errors, err)
		}
	}
}

// TestDecisionID tells decisions at two stages, and with other labels, apart.
func TestDecisionID(t *testing.T) {
	ids := map[string]bool{}
	for _, j := range []policy.Judge{{}, {Stage: bulwark.StageAdmit}, {Labels: map[string]string{"a": "b", "c": "d"}}, {Labels: map[string]string{"a": "c"}}} {
		d, _, err := j.Judge(fresh(), fresh().Created)
		if err != nil {
			t.Fatal(err)
		}
		ids[d.ID] = true
	}
	if len(ids) != 4 {
		t.Errorf("%d ids of 4 decisions", len(ids))
	}
}

// TestFaultsSameAndClean tells mistakes the same way each time, and lets no word of
// a document reach a terminal as it is.
func TestFaultsSameAndClean(t *testing.T) {
	const docs = `
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: p}
spec:
  subject: vulnerability
  scope: {collections: ["\e[2Jprod", "ab"]}
  rules:
  - {id: a, when: v.kev, effect: {build: kill, registry: isolate, admit: fail, run: prevent}}
  - {id: b, when: "v.kev && \e]0;x\a", effect: fail}
  - {id: c, when: "v.pk", effect: fail}
---
apiVersion: bulwark.dev/v1
kind: Collection
metadata: {name: abc}
spec: {include: [{tags: [x]}]}
---
apiVersion: bulwark.dev/v1
kind: Collection
metadata: {name: abd}
spec: {include: [{tags: [x]}]}
---
apiVersion: bulwark.dev/v1
kind: Collection
metadata: {name: abe}
spec: {include: [{tags: [x]}]}
`
	first := ""
	for range 50 {
		_, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(docs)}})
		if err == nil {
			t.Fatal("it is read")
		}
		got := err.Error()
		if first == "" {
			first = got
		}
		if got != first {
			t.Fatalf("it differs:\n%s\n%s", first, got)
		}
	}
	if i := strings.IndexFunc(first, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%q has a character that no line of a terminal has", first[i:])
	}
}

// TestExceptionForAnother does not read an exception whose policies are about
// something else than it says: it would apply to more.
func TestExceptionForAnother(t *testing.T) {
	_, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(`
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: v}
spec: {subject: vulnerability, rules: [{id: high, when: v.severity >= sev.high, effect: fail}]}
---
apiVersion: bulwark.dev/v1
kind: Exception
metadata: {name: e}
spec: {for: {subject: secret, policies: [v]}, reason: samples, owner: team, expires: 2027-06-01}
`)}})
	if err == nil || !strings.Contains(err.Error(), `policy "v" is about the subject vulnerability, the exception about "secret"`) {
		t.Errorf("Load: %v", err)
	}
}

// TestManyComments judges many findings with many comments in many files.
func TestManyComments(t *testing.T) {
	set := loaded(t, `
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: p}
spec: {subject: secret, rules: [{id: any, when: true, effect: fail}]}
`)
	r := fresh()
	const n = 20_000
	for i := range n {
		at := bulwark.Location{Path: fmt.Sprintf("f%d", i), Line: 1}
		r.Inventory.Suppressions = append(r.Inventory.Suppressions, bulwark.Suppression{Rule: "*e*c*r*e*t/*", Until: "2099-01-01", Reason: "a sample", Location: at})
		r.Findings = append(r.Findings, bulwark.Finding{ID: fmt.Sprint(i), Class: bulwark.ClassSecret, Rule: "secret/key", Evidence: []bulwark.Evidence{{Location: at}}})
	}
	start := time.Now()
	d, _, err := policy.Judge{Set: set}.Judge(r, r.Created)
	if err != nil || d.Verdict != bulwark.Pass {
		t.Errorf("verdict %q, %v", d.Verdict, err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}
