// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/policytest"
)

func load(t testing.TB, text []byte) *policy.Set {
	t.Helper()
	if text == nil {
		return nil
	}
	s, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: text}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestReplay runs testdata/replay: "want" is what is written of candidate.yaml
// against base.yaml, "want-alone" of it against nothing.
func TestReplay(t *testing.T) {
	const file = "testdata/replay/change.txtar"
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string][]byte{}
	for _, f := range ar.Files {
		parts[f.Name] = f.Data
	}
	for want, base := range map[string][]byte{"want": parts["base.yaml"], "want-alone": nil} {
		r := policytest.NewReplay(load(t, parts["candidate.yaml"]), load(t, base))
		if err := r.Read(t.Context(), "inputs.jsonl", bytes.NewReader(parts["inputs.jsonl"])); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if err := r.Result().WriteText(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(parts[want]), got.String()); diff != "" && !*update {
			t.Errorf("%s (-want +got):\n%s", want, diff)
		}
		for i := range ar.Files {
			if ar.Files[i].Name == want {
				ar.Files[i].Data = []byte(got.String())
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplayHostile reads lines that are too long, a stream that breaks, and many
// bad lines.
func TestReplayHostile(t *testing.T) {
	const good = `{"stage":"run","subject":"process","input":{},"now":"2026-11-21T00:00:00Z"}`
	long := strings.Repeat("x", policy.MaxInput+1)
	r := policytest.NewReplay(nil, nil)
	in := good + "\n" + long + "\n" + strings.Repeat("\x00\n", 20) + good // without a line feed
	if err := r.Read(t.Context(), "in", iotest.HalfReader(strings.NewReader(in))); err != nil {
		t.Fatal(err)
	}
	got := r.Result()
	if got.Inputs != 2 || got.Same != 2 || got.Bad != 21 || len(got.BadLines) != 10 {
		t.Errorf("%d inputs, %d the same, %d bad, %d of them told", got.Inputs, got.Same, got.Bad, len(got.BadLines))
	}
	if want := "in:2: more than 4194304 bytes: larger than the limit"; got.BadLines[0] != want {
		t.Errorf("%q, want %q", got.BadLines[0], want)
	}
	broken := errors.New("broken")
	if err := r.Read(t.Context(), "in", io.MultiReader(strings.NewReader(good+"\n"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("broken: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Read(ctx, "in", strings.NewReader(good)); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := got.WriteText(failing{}); err == nil {
		t.Error("nothing was written, and nobody noticed")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

const refusing = `
apiVersion: bulwark.dev/v1
kind: Policy
metadata: {name: gate}
spec:
  subject: vulnerability
  stages: [build]
  rules:
  - {id: high, when: v.severity >= sev.high, effect: fail}
`

const excepting = refusing + `---
apiVersion: bulwark.dev/v1
kind: Exception
metadata: {name: one}
spec: {for: {policies: [gate]}, match: v.id == "CVE-1", reason: r, owner: o, expires: 2027-01-01}
`

// scanned gives a report with findings of one severity.
func scanned(name string, day int, s bulwark.Severity, ids ...string) *bulwark.Report {
	r := &bulwark.Report{Artifact: bulwark.Artifact{Name: name, Kind: bulwark.KindImage}, Created: time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC)}
	for _, id := range ids {
		r.Findings = append(r.Findings, bulwark.Finding{ID: name + id, Class: bulwark.ClassVulnerability, Rule: id, Severity: s, Subject: "pkg:npm/a@1"})
	}
	return r
}

func TestPreview(t *testing.T) {
	excepted := scanned("b", 1, bulwark.SeverityHigh, "CVE-1")
	excepted.Findings[0].Status = bulwark.Status{State: bulwark.StateAccepted, By: "exception/old", Reason: "once"}
	vexed := scanned("v", 1, bulwark.SeverityHigh, "CVE-1")
	vexed.Findings[0].Status = bulwark.Status{State: bulwark.StateNotAffected, By: "vendor.json", Reason: "not there"}
	reports := []*bulwark.Report{
		scanned("a", 2, bulwark.SeverityHigh, "CVE-1", "CVE-2", "CVE-3"), scanned("a", 1, bulwark.SeverityHigh, "CVE-1"),
		excepted, vexed, scanned("c", 1, bulwark.SeverityLow, "CVE-1"), scanned("d\x1b\n", 1, bulwark.SeverityHigh, "CVE-2"),
	}
	for _, tc := range []struct {
		name            string
		candidate, base []byte
		want            string
	}{
		{"alone", []byte(refusing), nil, `artifacts: 5, newly failing 3, newly passing 0
RULE       REFUSES  FINDINGS  NEWLY FAILING  NEWLY PASSING
gate/high        3         5              3              0
newly failing:
  a  (gate/high)
  b  (gate/high)
  d    (gate/high)
`},
		{"with-exception", []byte(excepting), []byte(refusing), `artifacts: 5, newly failing 0, newly passing 1
RULE       REFUSES  FINDINGS  NEWLY FAILING  NEWLY PASSING
gate/high        2         3              0              1
newly passing:
  b  (gate/high)
`},
		{"nothing", nil, nil, "artifacts: 5, newly failing 0, newly passing 0\nno rule refuses any of them\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := policytest.NewPreview(load(t, tc.candidate), load(t, tc.base), bulwark.StageBuild, nil)
			for _, r := range reports {
				if err := p.Add(r); err != nil {
					t.Fatal(err)
				}
			}
			var got strings.Builder
			if err := p.Result().WriteText(&got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
	if excepted.Findings[0].Status.By != "exception/old" {
		t.Error("a preview changed a report")
	}
}

// TestArchive reads archives that hold nothing, and too much.
func TestArchive(t *testing.T) {
	if _, _, err := policytest.Archive([]byte("-- readme --\n")); !errors.Is(err, bulwark.ErrNotFound) {
		t.Errorf("nothing: %v", err)
	}
	if _, _, err := policytest.Archive(make([]byte, 16<<20+1)); !errors.Is(err, bulwark.ErrTooLarge) {
		t.Errorf("too much: %v", err)
	}
	_, want, err := policytest.Archive([]byte("-- a.yml --\n-- want --\n"))
	if err != nil || want == nil || len(want) > 0 {
		t.Errorf("an empty want: %v, %v", want, err)
	}
}

// TestCancel ends in the middle.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	doc := refusing + `---
apiVersion: bulwark.dev/v1
kind: PolicyTest
metadata: {name: t}
spec: {cases: [{name: one, stage: build, want: {effect: none}}]}
`
	_, err := policytest.Run(ctx, []policy.Source{{Name: "p.yaml", Data: []byte(doc)}}, policytest.Options{})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// BenchmarkRun tests a set of 200 rules with a case for each, mutants too.
func BenchmarkRun(b *testing.B) {
	var doc strings.Builder
	fmt.Fprint(&doc, "apiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: many}\nspec:\n  subject: process\n  rules:\n")
	for i := range 200 {
		fmt.Fprintf(&doc, "  - {id: r%d, when: proc.name == \"p%d\" && proc.uid == 0, effect: alert}\n", i, i)
	}
	fmt.Fprint(&doc, "---\napiVersion: bulwark.dev/v1\nkind: PolicyTest\nmetadata: {name: t}\nspec:\n  cases:\n")
	for i := range 200 {
		fmt.Fprintf(&doc, "  - {name: c%d, stage: run, input: {proc: {name: p%d}}, want: {rules: {r%d: match}}}\n", i, i, i)
	}
	for b.Loop() {
		r, err := policytest.Run(b.Context(), []policy.Source{{Name: "p.yaml", Data: []byte(doc.String())}}, policytest.Options{})
		if err != nil || !r.OK() || r.Mutants.Total != 600 {
			b.Fatal(r.Mutants, err)
		}
	}
}
