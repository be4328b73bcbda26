// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
)

// A Preview asks two sets of policies about saved reports. Of several reports on one
// artifact the newest counts. It is not safe for concurrent use.
type Preview struct {
	candidate, base policy.Judge
	artifacts       map[string]*artifact
}

// artifact is what two sets say of one artifact.
type artifact struct {
	name    string
	created time.Time
	base    refusals
	now     refusals
}

// refusals are how many findings each rule refuses, by "policy/rule"; nil is a pass.
type refusals map[string]int

// A Previewed is what came of a preview.
type Previewed struct {
	Artifacts int      `json:"artifacts"`
	Failing   []string `json:"newlyFailing"` // names of artifacts
	Passing   []string `json:"newlyPassing"` // names of artifacts
	Rules     []Impact `json:"rules"`        // every rule that refuses something before or after, most first
}

// An Impact is what one rule would have done.
type Impact struct {
	Rule     string   `json:"rule"`         // "policy/rule"
	Fails    int      `json:"fails"`        // artifacts that it refuses
	Findings int      `json:"findings"`     // or other subjects, that it refuses in these
	Failing  []string `json:"newlyFailing"` // artifacts that it refuses and that pass without the candidate
	Passing  []string `json:"newlyPassing"` // artifacts that it refused and that pass with the candidate
}

// NewPreview compares a candidate with what there is; a nil base is no policies.
// Reports are judged at the time at which they were made, as if for the stage, with
// labels over those of the artifact.
func NewPreview(candidate, base *policy.Set, stage bulwark.Stage, labels map[string]string) *Preview {
	judge := func(s *policy.Set) policy.Judge { return policy.Judge{Set: s, Stage: stage, Labels: labels} }
	return &Preview{candidate: judge(candidate), base: judge(base), artifacts: map[string]*artifact{}}
}

// Add judges a report, which does not change. What policies closed when it was made
// is open again; what a vendor's statement closed is not.
func (p *Preview) Add(r *bulwark.Report) error {
	key := string(r.Artifact.Kind) + "\x00" + cmp.Or(r.Artifact.Name, string(r.Artifact.ID))
	if old := p.artifacts[key]; old != nil && old.created.After(r.Created) {
		return nil
	}
	a := &artifact{name: plain(cmp.Or(r.Artifact.Name, string(r.Artifact.ID)), 200), created: r.Created}
	var err error
	if a.base, err = refused(p.base, r); err != nil {
		return err
	}
	if a.now, err = refused(p.candidate, r); err != nil {
		return err
	}
	p.artifacts[key] = a
	return nil
}

func refused(j policy.Judge, r *bulwark.Report) (refusals, error) {
	again := *r
	again.Findings = slices.Clone(r.Findings)
	policy.Reopen(again.Findings)
	d, _, err := j.Judge(&again, r.Created)
	if err != nil {
		return nil, fmt.Errorf("judge %q: %w", r.Artifact.Name, err)
	}
	var out refusals
	for _, x := range slices.Concat(d.Reasons, d.Errors) {
		if x.Effect.Refuses() {
			if out == nil {
				out = refusals{}
			}
			out[x.Rule] += x.Count
		}
	}
	return out, nil
}

// Result tells what was found so far.
func (p *Preview) Result() *Previewed {
	out := &Previewed{Artifacts: len(p.artifacts), Failing: []string{}, Passing: []string{}}
	rules := map[string]*Impact{}
	rule := func(name string) *Impact {
		if rules[name] == nil {
			rules[name] = &Impact{Rule: name, Failing: []string{}, Passing: []string{}}
		}
		return rules[name]
	}
	for _, key := range slices.Sorted(maps.Keys(p.artifacts)) {
		a := p.artifacts[key]
		if a.base == nil && a.now != nil {
			out.Failing = append(out.Failing, a.name)
		}
		if a.base != nil && a.now == nil {
			out.Passing = append(out.Passing, a.name)
		}
		for name, n := range a.now {
			x := rule(name)
			x.Fails++
			if x.Findings += n; a.base == nil {
				x.Failing = append(x.Failing, a.name)
			}
		}
		for name := range a.base {
			if x := rule(name); a.now == nil {
				x.Passing = append(x.Passing, a.name)
			}
		}
	}
	out.Rules = []Impact{}
	for _, x := range rules {
		out.Rules = append(out.Rules, *x)
	}
	slices.SortFunc(out.Rules, func(a, b Impact) int {
		return cmp.Or(cmp.Compare(b.Fails, a.Fails), cmp.Compare(b.Findings, a.Findings), cmp.Compare(a.Rule, b.Rule))
	})
	return out
}

// WriteText writes what came of a preview for people.
func (p *Previewed) WriteText(w io.Writer) error {
	t := &text{w: w}
	t.line("artifacts: %d, newly failing %d, newly passing %d", p.Artifacts, len(p.Failing), len(p.Passing))
	if len(p.Rules) == 0 {
		t.line("no rule refuses any of them")
		return t.err
	}
	width := len("RULE")
	for i := range p.Rules {
		width = max(width, len(p.Rules[i].Rule))
	}
	t.line("%-*s  %*s  %8s  %s  %s", width, "RULE", len("REFUSES"), "REFUSES", "FINDINGS", "NEWLY FAILING", "NEWLY PASSING")
	for i := range p.Rules {
		x := &p.Rules[i]
		t.line("%-*s  %*d  %8d  %13d  %13d", width, x.Rule, len("REFUSES"), x.Fails, x.Findings, len(x.Failing), len(x.Passing))
	}
	for _, list := range []struct {
		what  string
		names []string
	}{{"newly failing", p.Failing}, {"newly passing", p.Passing}} {
		if len(list.names) == 0 {
			continue
		}
		t.line("%s:", list.what)
		for _, name := range list.names {
			t.line("  %s%s", name, p.because(name, list.what))
		}
	}
	return t.err
}

// because names the rules that make an artifact fail, or made it.
func (p *Previewed) because(name, what string) string {
	var rules []string
	for i := range p.Rules {
		list := p.Rules[i].Failing
		if what == "newly passing" {
			list = p.Rules[i].Passing
		}
		if slices.Contains(list, name) {
			rules = append(rules, p.Rules[i].Rule)
		}
	}
	if len(rules) == 0 {
		return ""
	}
	return "  (" + strings.Join(rules, ", ") + ")"
}
