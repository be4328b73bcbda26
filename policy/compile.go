// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/nearest"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// A tier says who answers for a document. A lower tier can only tighten.
type tier int

const (
	tierTeam tier = iota
	tierOrg
	tierGuardrail
)

var tiers = map[string]tier{"": tierTeam, "team": tierTeam, "org": tierOrg, "guardrail": tierGuardrail}

// String gives the tier's name.
func (t tier) String() string { return [...]string{"team", "org", "guardrail"}[t] }

// policy is one Policy document, compiled.
type policy struct {
	doc     *document.Policy
	kind    subject.Kind
	env     *condition.Env
	stages  []bulwark.Stage
	tier    tier
	audit   bool // effects are capped at an alert
	first   bool // the first rule that matches answers
	unknown map[bulwark.Stage]bulwark.Effect
	scope   scope
	inline  string
	rules   []*rule
}

// rule is one rule of a policy.
type rule struct {
	policy     *policy
	index      int    // in its policy
	name       string // "policy/rule"
	doc        *document.Rule
	when       *condition.Condition
	found      found                // how an index finds it
	message    *condition.Condition // nil: its description
	remedy     *condition.Condition // nil: none
	effects    map[bulwark.Stage]bulwark.Effect
	severity   bulwark.Severity
	controls   []string
	exceptions []*exception // that may be from it, in the order of their names
}

// found is a variable and the texts one of which it has where a rule may fire; it is
// not ok where there is no such.
type found struct {
	field string
	texts []string
	ok    bool
}

// foundBy reads how an index finds a condition, which takes microseconds.
func foundBy(c *condition.Condition) (f found) {
	f.field, f.texts, f.ok = c.Keys()
	return f
}

// effectsAt lists what can be done about a subject at a stage, beside allowing.
func effectsAt(stage bulwark.Stage, kind string) []bulwark.Effect {
	out := []bulwark.Effect{bulwark.EffectIgnore, bulwark.EffectAlert, bulwark.EffectWarn}
	switch stage {
	case bulwark.StageBuild, bulwark.StageRegistry:
		return append(out, bulwark.EffectFail)
	case bulwark.StageAdmit:
		return append(out, bulwark.EffectBlock)
	}
	out = append(out, bulwark.EffectBlock)
	switch kind {
	case "process", "connection":
		out = append(out, bulwark.EffectPrevent)
	}
	return append(out, bulwark.EffectKill, bulwark.EffectQuarantine, bulwark.EffectIsolate)
}

// refusal gives the stage's own word for refusing, which "fail", "block" and
// "prevent" are three names of when they are said for every stage at once.
func refusal(e bulwark.Effect, stage bulwark.Stage, kind string) bulwark.Effect {
	if e != bulwark.EffectFail && e != bulwark.EffectBlock && e != bulwark.EffectPrevent || slices.Contains(effectsAt(stage, kind), e) {
		return e
	}
	if stage == bulwark.StageBuild || stage == bulwark.StageRegistry {
		return bulwark.EffectFail
	}
	return bulwark.EffectBlock
}

func (l *loader) policies() {
	seen := map[string]document.Place{}
	rules := 0
	for i := range l.docs.Policies {
		d := &l.docs.Policies[i]
		if l.twice(seen, "policy", &d.Head) {
			continue
		}
		if rules += len(d.Rules); rules > maxRules {
			l.fault(d.Place, "more than %d rules in all", maxRules)
			return
		}
		if p := l.policy(d); p != nil {
			l.set.policies = append(l.set.policies, p)
			l.set.byName[d.Name] = p
		}
	}
	slices.SortFunc(l.set.policies, func(a, b *policy) int { return compare(a.doc.Name, b.doc.Name) })
}

func (l *loader) policy(d *document.Policy) *policy {
	k, ok := l.kind(d.Subject)
	if !ok {
		return nil
	}
	env, err := l.env(k)
	if err != nil {
		l.fault(d.Subject.Place, "%v", err)
		return nil
	}
	p := &policy{doc: d, kind: k, env: env, tier: tiers[d.Tier], audit: d.Mode == "audit", first: d.Combine == "firstMatch", inline: d.AllowInline, unknown: map[bulwark.Stage]bulwark.Effect{}}
	if p.tier == tierGuardrail && l.local[d.Place.File] {
		l.fault(d.Place, "a policy beside what it judges cannot be a guardrail: give the file with --policy, or write tier: team")
	}
	if p.inline == "" {
		p.inline = "withReasonAndExpiry"
	}
	for _, s := range d.Stages {
		if stage := bulwark.Stage(s.Value); !slices.Contains(k.Stages, stage) {
			l.fault(s.Place, "there is no %s at stage %s; there is at %s", k.Name, s.Value, stageNames(k.Stages))
		} else if !slices.Contains(p.stages, stage) {
			p.stages = append(p.stages, stage)
		}
	}
	if len(d.Stages) == 0 {
		p.stages = k.Stages
	}
	unknown := bulwark.EffectAlert
	if d.OnUnknown != "" {
		unknown, _ = bulwark.ParseEffect(d.OnUnknown) // the document knows which there are
	}
	for _, s := range p.stages {
		p.unknown[s] = refusal(unknown, s, k.Name)
	}
	p.scope = l.scope(&d.Scope, k.Name)
	for i := range d.Rules {
		if r := l.rule(p, &d.Rules[i]); r != nil {
			r.index = i
			p.rules = append(p.rules, r)
		}
	}
	if d.Mode == "off" {
		p.stages = nil
	}
	return p
}

func stageNames(stages []bulwark.Stage) string {
	var names []string
	for _, s := range stages {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func (l *loader) rule(p *policy, d *document.Rule) *rule {
	before := len(l.faults)
	r := &rule{policy: p, name: p.doc.Name + "/" + d.ID.Value, doc: d, effects: map[bulwark.Stage]bulwark.Effect{}, controls: slices.Concat(p.doc.Controls, d.Controls)}
	var faults []condition.Fault
	r.when, faults = p.env.Compile(d.When.Value)
	l.conditionFaults(d.When, "when", faults)
	if d.Message.Value != "" {
		if r.message, faults = l.messages[p.kind.Name+"\x00"+d.Message.Value], nil; r.message == nil { // many rules say the same
			r.message, faults = p.env.CompileText(d.Message.Value)
			l.messages[p.kind.Name+"\x00"+d.Message.Value] = r.message
		}
		l.conditionFaults(d.Message, "message", faults)
	}
	if d.Remediation != "" {
		r.remedy, faults = p.env.CompileTemplate(d.Remediation)
		for _, f := range faults {
			l.fault(d.Place, "remediation: %s", f.Detail)
		}
	}
	if d.Severity != "" {
		r.severity, _ = bulwark.ParseSeverity(d.Severity) // the document knows which there are
	}
	l.effects(p, r, d)
	for _, c := range []struct {
		cond *condition.Condition
		text document.Text
	}{{r.when, d.When}, {r.message, d.Message}} {
		l.known(p, c.cond, c.text)
	}
	if d.Grace != nil {
		if _, ok := p.kind.New().(dated); !ok {
			l.fault(d.Grace.Place, "a %s has no dates to count a grace from", p.kind.Name)
		} else if d.Grace.From == "first_seen" {
			l.stagesOf(p, "v.first_seen", d.Grace.Place)
		}
	}
	if len(l.faults) > before {
		return nil
	}
	r.found = foundBy(r.when)
	return r
}

// effects finds out what comes of a rule at each stage.
func (l *loader) effects(p *policy, r *rule, d *document.Rule) {
	parse := func(t document.Text) (bulwark.Effect, bool) {
		e, err := bulwark.ParseEffect(t.Value)
		if err != nil {
			l.fault(t.Place, "%v", err)
			return 0, false
		}
		if e == bulwark.EffectAllow && !p.first {
			l.fault(t.Place, "allow has a meaning only in a policy with combine: firstMatch; elsewhere what no rule matches is allowed")
			return 0, false
		}
		return e, true
	}
	for _, name := range slices.Sorted(maps.Keys(d.Effect.Stages)) {
		stage, t := bulwark.Stage(name), d.Effect.Stages[name]
		e, ok := parse(t)
		if !ok {
			continue
		}
		if !slices.Contains(p.stages, stage) {
			l.fault(t.Place, "the policy is not about stage %s: it is about %s", name, stageNames(p.stages))
			continue
		}
		if can := effectsAt(stage, p.kind.Name); e != bulwark.EffectAllow && !slices.Contains(can, e) {
			var names []string
			for _, c := range can {
				names = append(names, c.String())
			}
			l.fault(t.Place, "stage %s cannot %s a %s: it can %s", name, e, p.kind.Name, strings.Join(names, ", "))
			continue
		}
		r.effects[stage] = e
	}
	if d.Effect.Default.Value == "" {
		return
	}
	e, ok := parse(d.Effect.Default)
	if !ok {
		return
	}
	for _, stage := range p.stages {
		if _, named := d.Effect.Stages[string(stage)]; named {
			continue
		}
		own := refusal(e, stage, p.kind.Name)
		if own != bulwark.EffectAllow && !slices.Contains(effectsAt(stage, p.kind.Name), own) {
			l.fault(d.Effect.Default.Place, "stage %s cannot %s a %s: name the stages that can, as {run: %s, default: alert}", stage, e, p.kind.Name, e)
			continue
		}
		r.effects[stage] = own
	}
}

// known checks that every variable of a condition is known at every stage of its
// policy.
func (l *loader) known(p *policy, c *condition.Condition, t document.Text) {
	if c == nil {
		return
	}
	for _, name := range c.Uses() {
		l.stagesOf(p, name, t.At(c.Where(name)))
	}
}

func (l *loader) stagesOf(p *policy, name string, at document.Place) {
	for _, f := range p.env.Fields() {
		if f.Name != name || len(f.Stages) == 0 {
			continue
		}
		for _, s := range p.stages {
			if !slices.Contains(f.Stages, string(s)) {
				l.fault(at, "%s is not known at stage %s; it is at %s", name, s, strings.Join(f.Stages, ", "))
			}
		}
	}
}

// ruleNamed finds a rule of a policy; the fault says which there are.
func (l *loader) ruleNamed(p *policy, t document.Text) *rule {
	var names []string
	for _, r := range p.rules {
		if r.doc.ID.Value == t.Value {
			return r
		}
		names = append(names, r.doc.ID.Value)
	}
	detail := fmt.Sprintf("policy %q has no rule %q", p.doc.Name, t.Value)
	if near := nearest.Of(t.Value, names); near != "" {
		detail += fmt.Sprintf(", did you mean %q?", near)
	}
	l.fault(t.Place, "%s", detail)
	return nil
}
