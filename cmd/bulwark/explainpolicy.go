// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/report/table"
	"github.com/bulwark-sec/bulwark/store"
)

// judgeOf gives the judge of a report: with the policies that were named, else with
// those that judged it. Its set is nil when neither is there.
func (p *program) judgeOf(r *bulwark.Report, kept *store.Kept, o *explainFlags) (policy.Judge, error) {
	o.stage = string(r.Decision.Stage)
	if len(o.policies) > 0 {
		j, err := p.judge(&o.gateFlags)
		if err == nil && r.Decision.Policy != "" && j.Set.Digest() != r.Decision.Policy {
			fmt.Fprintf(p.stderr, "bulwark: these are not the policies that judged the report\n")
		}
		return j, err
	}
	j := policy.Judge{Stage: r.Decision.Stage}
	var err error
	if j.Labels, err = parseLabels(o.labels); err != nil {
		return j, err
	}
	if kept != nil {
		j.Set, err = p.keptSet(o.place, &kept.Header)
	}
	return j, err
}

// accounts tells what the rules say of a finding, and on standard error why nothing
// can be told.
func (p *program) accounts(r *bulwark.Report, kept *store.Kept, id string, o *explainFlags) ([]policy.Account, error) {
	j, err := p.judgeOf(r, kept, o)
	if err != nil {
		return nil, err
	}
	if j.Set == nil {
		if slices.ContainsFunc(r.Decision.Reasons, func(x bulwark.Reason) bool { return x.Effect != bulwark.EffectNone }) {
			fmt.Fprintln(p.stderr, "bulwark: the policies that judged the report are not kept: say --policy FILE to hear what rules say of the finding")
		}
		return nil, nil
	}
	at := r.Decision.Now
	if at.IsZero() {
		at = r.Created
	}
	return j.Explain(r, id, at)
}

// explainDecision tells of a decision with the rules that fired.
func (p *program) explainDecision(r *bulwark.Report, kept *store.Kept, o *explainFlags) (*explanation, error) {
	j, err := p.judgeOf(r, kept, o)
	if err != nil {
		return nil, err
	}
	d := &r.Decision
	x := &explanation{Kind: "decision", Decision: &decided{Artifact: r.Artifact, Decision: d, report: r}}
	named := map[string]bool{}
	fired := map[string]bool{}
	for _, list := range [][]bulwark.Reason{d.Reasons, d.Errors} {
		for i := range list {
			fired[list[i].Rule] = true
			for _, id := range list[i].Findings {
				named[id] = true
			}
		}
	}
	for i := range r.Findings {
		if named[r.Findings[i].ID] {
			x.Decision.Findings = append(x.Decision.Findings, r.Findings[i])
		}
	}
	if j.Set == nil {
		return x, nil
	}
	for _, doc := range j.Set.Policies() {
		t := policyText(&doc, func(rule string) bool { return fired[doc.Name+"/"+rule] })
		if len(t.Rules) > 0 {
			x.Policies = append(x.Policies, t)
		}
	}
	return x, nil
}

// explainPolicy tells of a policy or a rule of one, of those that were named, of
// those in the working directory, of those that Bulwark ships, or of those that
// judged a kept report, the newest first; nil when there is none of that name.
func (p *program) explainPolicy(ctx context.Context, id string, o *explainFlags) (*explanation, error) {
	name, rule, one := strings.Cut(id, "/")
	of := func(s *policy.Set) *explanation {
		for _, doc := range s.Policies() {
			if doc.Name != name {
				continue
			}
			t := policyText(&doc, func(id string) bool { return !one || id == rule })
			if len(t.Rules) > 0 {
				return &explanation{Kind: "policy", Policies: []table.PolicyText{t}}
			}
		}
		return nil
	}
	for _, list := range [][]string{o.policies, {"default"}} {
		sources, err := p.sources(&policySources{policies: list, keys: o.keys})
		if err != nil {
			return nil, err
		}
		s, err := policy.Load(sources)
		if err != nil {
			return nil, err
		}
		if x := of(s); x != nil {
			return x, nil
		}
	}
	var seen []bulwark.Digest
	var heads []store.Header
	for h, err := range p.reports(o.place).List(ctx) {
		if err == nil && h.Set != "" && !slices.Contains(seen, h.Set) {
			seen, heads = append(seen, h.Set), append(heads, h)
		}
	}
	for _, h := range slices.Backward(heads) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := p.keptSet(o.place, &h)
		if err != nil {
			fmt.Fprintf(p.stderr, "bulwark: passed over: %v\n", err)
			continue
		}
		if s == nil {
			continue
		}
		if x := of(s); x != nil {
			fmt.Fprintf(p.stderr, "bulwark: from the policies of the scan of %s at %s\n", oneLine(h.Name, 200), h.Created.UTC().Format("2006-01-02 15:04 UTC"))
			return x, nil
		}
	}
	return nil, nil
}

// policyText gives a policy with the rules that are wanted, as they were written.
func policyText(d *document.Policy, wanted func(rule string) bool) table.PolicyText {
	or := func(s, usual string) string {
		if s == "" {
			return usual
		}
		return s
	}
	t := table.PolicyText{
		Name: d.Name, Description: d.Description, Subject: d.Subject.Value, Tier: or(d.Tier, "team"), Mode: or(d.Mode, "enforce"),
		Combine: or(d.Combine, "strictest"), OnUnknown: or(d.OnUnknown, "alert"), Place: written(d.Place), Source: d.Source,
	}
	for _, s := range d.Stages {
		t.Stages = append(t.Stages, s.Value)
	}
	for _, c := range d.Scope.Collections {
		t.Scope = append(t.Scope, c.Value)
	}
	for _, c := range d.Scope.Not {
		t.Scope = append(t.Scope, "not "+c.Value)
	}
	for i := range d.Rules {
		r := &d.Rules[i]
		if !wanted(r.ID.Value) {
			continue
		}
		t.Rules = append(t.Rules, table.RuleText{
			ID: r.ID.Value, Description: r.Description, When: r.When.Value, Effect: effectText(&r.Effect), Grace: graceText(r.Grace), Severity: r.Severity,
			Message: r.Message.Value, Remedy: r.Remediation, Controls: slices.Concat(d.Controls, r.Controls), Place: written(r.When.Place),
		})
	}
	return t
}

func written(at document.Place) string {
	if at.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", at.File, at.Line)
}

func effectText(e *document.Effect) string {
	var parts []string
	for _, s := range bulwark.Stages() {
		if t, ok := e.Stages[string(s)]; ok {
			parts = append(parts, string(s)+": "+t.Value)
		}
	}
	switch {
	case e.Default.Value == "":
	case len(parts) == 0:
		return e.Default.Value
	default:
		parts = append(parts, "else "+e.Default.Value)
	}
	return strings.Join(parts, ", ")
}

func graceText(g *document.Grace) string {
	if g == nil {
		return ""
	}
	from := map[string]string{"published": "publication", "first_seen": "when it was first seen"}[g.From]
	if from == "" {
		from = "the fix, or else from publication"
	}
	s := fmt.Sprintf("%d days from %s", g.Days, from)
	for _, v := range bulwark.Severities() {
		if n, ok := g.Severity[v.String()]; ok {
			s += fmt.Sprintf("; %s: %d", v, n)
		}
	}
	return s
}

// table gives an explanation in the form that is shown.
func (x *explanation) table() table.Explained {
	out := table.Explained{
		Kind: x.Kind, Finding: x.Finding, Package: x.Package, Layers: x.Layers, Actions: x.Actions, Advisory: x.Advisory, More: x.More, Rule: x.Rule,
		Policies: x.Policies,
	}
	if x.Decision != nil {
		out.Report = x.Decision.report
	}
	for _, a := range x.Accounts {
		t := table.Account{Kind: a.Kind, Name: a.Name, Unknown: a.Unknown}
		for i := range a.Rules {
			r := &a.Rules[i]
			ruling := table.Ruling{
				Rule: r.Rule, Tier: r.Tier, Description: r.Description, When: r.When, Place: written(r.Place), Answer: r.Answer, Why: r.Why,
				Reason: r.Reason, Exceptions: r.Exceptions,
			}
			for _, l := range r.Leaves {
				ruling.Leaves = append(ruling.Leaves, table.Leaf{Source: l.Source, Value: l.Value, Why: l.Why, Inputs: l.Inputs})
			}
			t.Rulings = append(t.Rulings, ruling)
		}
		out.Accounts = append(out.Accounts, t)
	}
	return out
}
