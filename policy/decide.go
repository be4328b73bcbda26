// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// An Input is one subject to decide about, in the form in which inputs are
// recorded.
type Input struct {
	Stage   bulwark.Stage `json:"stage"`
	Kind    string        `json:"subject"` // see subject.Kinds
	Subject any           `json:"input"`   // pointer to the struct of Kind
	Unknown []string      `json:"unknown,omitempty"`
	Now     time.Time     `json:"now"`
}

// A View is a set as it holds for one asset at one stage. It is safe for
// concurrent use.
type View struct {
	set    *Set
	stage  bulwark.Stage
	within map[*exception]bool
	tables map[string]*table // by kind of subject
	outs   sync.Pool         // *[]outcome
}

// table is the rules about one kind of subject that may fire.
type table struct {
	env    *condition.Env
	rules  []*rule // by policy, in order
	always []int   // those that are not found by a key
	keys   []key
	picked sync.Pool // *[]int
	covers covers
}

type key struct {
	read  condition.Key
	rules map[string][]int // by text
	all   []int            // when the text is not known
}

// At prepares the set for one asset at one stage. A nil set gives a View in which
// nothing fires.
func (s *Set) At(stage bulwark.Stage, asset *subject.Asset) *View {
	v := &View{set: s, stage: stage, within: map[*exception]bool{}, tables: map[string]*table{}}
	if s == nil {
		return v
	}
	in := where{}
	for _, e := range s.exceptions {
		v.within[e] = in.holds(&e.scope, asset)
	}
	for _, p := range s.policies {
		if !slices.Contains(p.stages, stage) || !in.holds(&p.scope, asset) {
			continue
		}
		t := v.tables[p.kind.Name]
		if t == nil {
			t = &table{env: p.env}
			v.tables[p.kind.Name] = t
		}
		for _, r := range p.rules {
			if _, ok := r.effects[stage]; ok {
				t.rules = append(t.rules, r)
			}
		}
	}
	for kind, t := range v.tables {
		t.index()
		t.covers = v.covers(kind, t.env)
	}
	return v
}

// index makes rules with literal keys findable by them.
func (t *table) index() {
	at := map[string]int{}
	for i, r := range t.rules {
		if !r.found.ok {
			t.always = append(t.always, i)
			continue
		}
		k, ok := at[r.found.field]
		if !ok {
			k = len(t.keys)
			at[r.found.field] = k
			t.keys = append(t.keys, key{read: t.env.Key(r.found.field), rules: map[string][]int{}})
		}
		for _, s := range r.found.texts {
			t.keys[k].rules[s] = append(t.keys[k].rules[s], i)
		}
		t.keys[k].all = append(t.keys[k].all, i)
	}
}

// pick gives the rules that may fire, in order. The caller gives the slice back.
func (t *table) pick(in *condition.Input) *[]int {
	out, ok := t.picked.Get().(*[]int)
	if !ok {
		out = new([]int)
	}
	*out = append((*out)[:0], t.always...)
	for i := range t.keys {
		k := &t.keys[i]
		if text, known := k.read.Of(in); known {
			*out = append(*out, k.rules[text]...)
		} else {
			*out = append(*out, k.all...)
		}
	}
	if len(*out) > len(t.always) {
		slices.Sort(*out)
	}
	return out
}

// Judges tells whether any rule is about a kind of subject here.
func (v *View) Judges(kind string) bool {
	t := v.tables[kind]
	return t != nil && len(t.rules) > 0
}

// An outcome is what came of one rule for one input.
type outcome struct {
	rule     *rule
	err      error // it could not be evaluated
	wanted   bulwark.Effect
	effect   bulwark.Effect
	held     string
	until    time.Time
	by       *exception // that applied
	inline   *inline    // comment that applied
	asked    []asked
	fallback string // why there is no grace where the rule gives one
}

// asked is an exception that was considered.
type asked struct {
	name           string
	about, applied bool
	why            string
}

// considered is what is told of an exception that was asked.
func (a *asked) considered(r *rule) bulwark.Considered {
	return bulwark.Considered{Name: a.name, Rule: r.name, About: a.about, Applied: a.applied, Why: a.why}
}

// A dated subject has dates from which a grace can be counted; each may be zero.
type dated interface {
	Dates() (fixed, published, seen time.Time)
}

// closing says that something closed a finding before any rule was asked.
type closing struct {
	name, why string
}

// judge asks every rule that may fire. Of exceptions it asks those in hits, or all
// when that is nil.
func (v *View) judge(kind string, subject any, in *condition.Input, at time.Time, closed *closing, hits []hit, out []outcome) []outcome {
	t := v.tables[kind]
	picked := t.pick(in)
	var done *policy // has answered
	for _, i := range *picked {
		r := t.rules[i]
		if r.policy == done || !r.policy.scope.chooses(subject) {
			continue
		}
		truth, err := r.when.Eval(in)
		if truth == condition.No {
			continue
		}
		o := outcome{rule: r}
		if truth == condition.Unknown {
			o.err, o.wanted = err, r.policy.unknown[v.stage]
		} else {
			o.wanted = r.effects[v.stage]
			if r.policy.first {
				done = r.policy
			}
		}
		v.settle(&o, subject, in, at, closed, hits)
		out = append(out, o)
	}
	t.picked.Put(picked)
	return out
}

// settle finds out what comes of a rule that fired: exceptions, grace and mode can
// only make it milder.
func (v *View) settle(o *outcome, subject any, in *condition.Input, at time.Time, closed *closing, hits []hit) {
	r := o.rule
	if o.effect = o.wanted; o.effect == bulwark.EffectAllow {
		return
	}
	if closed != nil {
		if r.policy.tier == tierGuardrail {
			o.asked = append(o.asked, asked{closed.name, true, false, "the policy is a guardrail: only an exception that its owner approved counts"})
		} else {
			o.asked = append(o.asked, asked{closed.name, true, true, closed.why})
			o.effect, o.held = min(o.effect, bulwark.EffectIgnore), "closed by "+closed.name+": "+closed.why
		}
	}
	ask := func(e *exception, a asked) {
		o.asked = append(o.asked, a)
		if a.applied && o.by == nil {
			o.by = e
			o.effect, o.held, o.until = min(o.effect, bulwark.EffectIgnore), "excepted by "+e.doc.Name+" "+a.why, e.doc.Expires.UTC()
		}
	}
	if hits == nil {
		for _, e := range r.exceptions {
			ask(e, e.consider(r, v, subject, in, at))
		}
	}
	for i := range hits {
		if h := &hits[i]; h.from(r) {
			ask(h.exception, h.consider(r, at))
		}
	}
	if o.err == nil && o.effect > bulwark.EffectAlert && r.doc.Grace != nil {
		v.grace(o, subject, at)
	}
	if r.policy.audit && o.effect > bulwark.EffectAlert {
		o.held = fmt.Sprintf("the policy only audits: %s held to alert", o.effect)
		o.effect = bulwark.EffectAlert
	}
}

// grace lowers an effect to an alert while there is time to mend.
func (v *View) grace(o *outcome, subject any, at time.Time) {
	g := o.rule.doc.Grace
	d, ok := subject.(dated)
	if !ok {
		return
	}
	fixed, published, seen := d.Dates()
	from, what := fixed, "the fix"
	switch {
	case g.From == "first_seen":
		from, what = seen, "it was first seen"
	case g.From == "published" || from.IsZero():
		from, what = published, "publication"
	}
	days := g.Days
	if len(g.Severity) > 0 {
		if s, ok := subject.(interface{ Rated() bulwark.Severity }); ok {
			if n, ok := g.Severity[s.Rated().String()]; ok {
				days = n
			}
		}
	}
	if from.IsZero() {
		o.fallback = fmt.Sprintf("no grace: the date of %s is not known", what)
		return
	}
	if from.After(at.Add(24 * time.Hour)) { // clocks and time zones differ by less
		o.fallback = fmt.Sprintf("no grace: the date of %s, %s, is still to come", what, day(from))
		return
	}
	end := from.AddDate(0, 0, days).UTC()
	if !at.Before(end) {
		return
	}
	o.held = fmt.Sprintf("grace until %s, %d days from %s: %s held to alert", day(end), days, what, o.effect)
	o.effect, o.until = bulwark.EffectAlert, end
}

// text gives what a rule says about an input.
func (o *outcome) text(in *condition.Input, name string) string {
	if o.rule.message != nil {
		s, err := o.rule.message.Text(in)
		if err == nil {
			return s
		}
		return fmt.Sprintf("%s (its message cannot be evaluated: %v)", cmp.Or(o.rule.doc.Description, name), err)
	}
	if o.rule.doc.Description == "" {
		return name
	}
	if name == "" {
		return o.rule.doc.Description
	}
	return o.rule.doc.Description + ": " + name
}

// reason tells of a rule that fired.
func (o *outcome) reason(in *condition.Input, name string) bulwark.Reason {
	r := bulwark.Reason{Rule: o.rule.name, Effect: o.effect, Held: cmp.Or(o.held, o.fallback), Until: o.until, Severity: o.rule.severity, Controls: o.rule.controls}
	if o.wanted != o.effect {
		r.Wanted = o.wanted
	}
	if o.err != nil {
		r.Detail = fmt.Sprintf("cannot be evaluated for %s: %v", cmp.Or(name, "this input"), o.err)
		return r
	}
	r.Detail = o.text(in, name)
	if o.rule.remedy != nil {
		if s, err := o.rule.remedy.Text(in); err == nil {
			r.Remedy = s
		}
	}
	return r
}

// Decide gives the decision about one subject, a pointer to the struct of its
// kind, which it does not keep. unknown names variables that are not known. Where
// nothing fires it costs no allocation, and the decision has no ID.
//
// An error is a mistake of the program: a subject that is not of its kind.
func (v *View) Decide(kind string, subject any, unknown []string, at time.Time) (bulwark.Decision, error) {
	d := bulwark.Decision{Verdict: bulwark.Pass, Stage: v.stage, Policy: v.set.Digest()}
	t := v.tables[kind]
	if t == nil {
		return d, nil
	}
	in, err := t.env.Bind(subject, at, unknown)
	if err != nil {
		return bulwark.Decision{}, err
	}
	defer in.Release()
	kept, ok := v.outs.Get().(*[]outcome)
	if !ok {
		kept = new([]outcome)
	}
	outs := v.judge(kind, subject, in, at, nil, nil, (*kept)[:0])
	*kept = outs
	defer func() {
		clear(outs)
		v.outs.Put(kept)
	}()
	if len(outs) == 0 {
		return d, nil
	}
	d.Reasons = make([]bulwark.Reason, 0, len(outs))
	for i := range outs {
		v.add(&d, &outs[i], outs[i].reason(in, ""))
	}
	conclude(&d)
	return d, name(&d, Input{v.stage, kind, subject, unknown, at})
}

// add takes one outcome into a decision.
func (v *View) add(d *bulwark.Decision, o *outcome, r bulwark.Reason) {
	d.Effect = max(d.Effect, o.effect)
	if o.err != nil {
		d.Errors = append(d.Errors, r)
	} else {
		d.Reasons = append(d.Reasons, r)
	}
	for i := range o.asked {
		d.Exceptions = append(d.Exceptions, o.asked[i].considered(o.rule))
	}
}

// conclude gives a decision its verdict: what refuses fails, what could not be
// evaluated is not to be trusted, unless the policy says to ignore that.
func conclude(d *bulwark.Decision) {
	slices.SortStableFunc(d.Reasons, func(a, b bulwark.Reason) int { return cmp.Compare(b.Effect, a.Effect) })
	switch {
	case d.Effect.Refuses():
		d.Verdict = bulwark.Fail
	case slices.ContainsFunc(d.Errors, func(r bulwark.Reason) bool { return r.Effect > bulwark.EffectIgnore }):
		d.Verdict = bulwark.Warn
	default:
		d.Verdict = bulwark.Pass
	}
	// Nothing is allowed on the word of a set that could not be asked in full.
	if len(d.Errors) > 0 && d.Effect == bulwark.EffectAllow {
		d.Effect = bulwark.EffectIgnore
	}
}

// name gives a decision its ID and the digest of what was judged.
func name(d *bulwark.Decision, in Input) error {
	in.Now = in.Now.UTC()
	in.Unknown = slices.Sorted(slices.Values(in.Unknown))
	b, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("input of a decision: %w", err)
	}
	sum := sha256.Sum256(b)
	d.Input, d.Now = bulwark.Digest("sha256:"+hex.EncodeToString(sum[:])), in.Now
	identify(d, nil)
	return nil
}

// identify gives a decision its ID, from its input, its policies, its time and what
// else it depends on.
func identify(d *bulwark.Decision, more []byte) {
	sum := sha256.Sum256(append([]byte(string(d.Input)+"\x00"+string(d.Policy)+"\x00"+d.Now.Format(time.RFC3339Nano)+"\x00"), more...))
	d.ID = hex.EncodeToString(sum[:8])
}
