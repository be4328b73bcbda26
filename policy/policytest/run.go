// SPDX-License-Identifier: Apache-2.0

// Package policytest tries policies before they count: on the examples that people
// wrote of them, on inputs that were recorded, and on saved reports. It tells which
// rules no example shows, and turns every part of every condition into its opposite
// to see whether an example notices. It does not decide, and reads no files.
package policytest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/nearest"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// Options say how much is tried. The zero Options try everything.
type Options struct {
	// NoMutation leaves out the mutants.
	NoMutation bool
}

// A Result is what came of the tests of one set.
type Result struct {
	Tests   []Test   `json:"tests"`
	Rules   []Rule   `json:"rules"`
	Mutants *Mutants `json:"mutants,omitempty"` // nil: not tried
}

// A Test is what came of one document.
type Test struct {
	Name   string         `json:"name"`
	Place  document.Place `json:"place"`
	Cases  int            `json:"cases"`
	Failed []Failed       `json:"failed,omitempty"`
}

// A Failed is a case that came out otherwise.
type Failed struct {
	Case        string         `json:"case"`
	Place       document.Place `json:"place"`
	Differences []Difference   `json:"differences"`
}

// A Difference is one thing that is not as was wanted.
type Difference struct {
	What   string           `json:"what"` // "effect", "rule prod/kev", "message", "exception"
	Want   string           `json:"want"`
	Got    string           `json:"got"`
	Leaves []condition.Leaf `json:"leaves,omitempty"` // of the rule, with their values
}

// A Rule tells which examples there are of a rule.
type Rule struct {
	Name    string         `json:"name"` // "policy/rule"
	Place   document.Place `json:"place"`
	Matches []string       `json:"matches"` // "test/case" in which it matches
	Others  []string       `json:"others"`  // in which it is asked and does not
}

// Covered tells whether there is an example of both.
func (r *Rule) Covered() bool { return len(r.Matches) > 0 && len(r.Others) > 0 }

// OK tells whether everything is as it was wanted: no case failed, every rule has an
// example that matches and one that does not, and no mutant survived.
func (r *Result) OK() bool {
	return !slices.ContainsFunc(r.Tests, func(t Test) bool { return len(t.Failed) > 0 }) &&
		!slices.ContainsFunc(r.Rules, func(x Rule) bool { return !x.Covered() }) &&
		(r.Mutants == nil || r.Mutants.Killed == r.Mutants.Total)
}

// Run runs the tests among the documents of the sources, which are one set. Its
// error joins a [policy.Fault] for every mistake in a document or in an example,
// such as a variable that does not exist.
func Run(ctx context.Context, sources []policy.Source, o Options) (*Result, error) {
	set, err := policy.Load(sources)
	if err != nil {
		return nil, err
	}
	r := &runner{sources: sources, set: set, lists: map[string]*policy.Set{"": set}, kinds: map[string]string{}}
	for _, p := range set.Policies() {
		r.kinds[p.Name] = p.Subject.Value
	}
	tests := set.Tests()
	for i := range tests {
		r.prepare(&tests[i])
	}
	if len(r.faults) > 0 {
		return nil, errors.Join(r.faults...)
	}
	out := &Result{Tests: []Test{}, Rules: []Rule{}}
	if err := r.run(ctx, tests, out); err != nil {
		return nil, err
	}
	if !o.NoMutation {
		out.Mutants, err = r.mutants(ctx)
	}
	return out, err
}

// A runner runs the tests of one set.
type runner struct {
	sources []policy.Source
	set     *policy.Set
	lists   map[string]*policy.Set // the set with other lists, by these
	kinds   map[string]string      // of policies, by name
	cases   []*example
	faults  []error

	last    *policy.View // of the last case
	lastKey string
}

// An example is a case made ready.
type example struct {
	test    *document.PolicyTest
	doc     *document.Case
	lists   string   // key of runner.lists
	asked   []string // policies
	stage   bulwark.Stage
	kind    string
	subject any
	asset   *subject.Asset
	unknown []string
	now     time.Time
	rules   map[string]string // wanted answers by "policy/rule"
	failed  bool
}

func (r *runner) fault(at document.Place, format string, args ...any) {
	r.faults = append(r.faults, policy.Fault{Place: at, Detail: fmt.Sprintf(format, args...)})
}

// meant asks whether another word was meant.
func meant(word string, words []string) string {
	if near := nearest.Of(word, words); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// prepare makes the cases of a test ready, or leaves faults.
func (r *runner) prepare(t *document.PolicyTest) {
	var asked []string
	for _, p := range t.Policies {
		asked = append(asked, p.Value)
	}
	if len(asked) == 0 {
		asked = slices.Sorted(maps.Keys(r.kinds))
	}
	for i := range t.Cases {
		before := len(r.faults)
		if e := r.example(t, &t.Cases[i], asked); len(r.faults) == before {
			r.cases = append(r.cases, e)
		}
	}
}

// example makes one case ready. With a fault what it gives is of no use.
func (r *runner) example(t *document.PolicyTest, c *document.Case, asked []string) *example {
	e := &example{test: t, doc: c, asked: asked, stage: bulwark.Stage(c.Stage.Value), now: c.Now}
	k, ok := r.kind(c, asked, len(t.Policies) > 0)
	if !ok {
		return nil
	}
	e.kind = k.Name
	if !slices.Contains(k.Stages, e.stage) {
		r.fault(c.Stage.Place, "case %q: there is no %s at stage %s", c.Name, k.Name, e.stage)
		return nil
	}
	var err error
	if e.subject, err = policy.ReadSubject(k.Name, c.Input); err != nil {
		r.fault(c.Place, "case %q: input: %v", c.Name, err)
		return nil
	}
	e.asset = subject.AssetIn(e.subject)
	for _, u := range c.Unknown {
		if err := policy.CheckUnknown(k.Name, []string{u.Value}); err != nil {
			r.fault(u.Place, "case %q: unknown: %v", c.Name, err)
		}
		e.unknown = append(e.unknown, u.Value)
	}
	if e.now.IsZero() {
		e.now = t.Now
	}
	if e.now.IsZero() && r.timely(asked) {
		r.fault(c.Place, "case %q: the answer depends on the time: give \"now\" here, or for the whole test", c.Name)
	}
	r.withLists(e)
	e.rules = r.named(e)
	r.exceptions(c)
	return e
}

// kind finds out what the input of a case is.
func (r *runner) kind(c *document.Case, asked []string, named bool) (subject.Kind, bool) {
	name, at := c.Subject.Value, c.Subject.Place
	if name == "" {
		at = c.Place
		for i, p := range asked {
			if i > 0 && !named && r.kinds[p] != name {
				r.fault(at, "case %q: policies of several subjects are asked: name its subject", c.Name)
				return subject.Kind{}, false
			}
			if i == 0 || !named {
				name = r.kinds[p]
			}
		}
	}
	k, ok := subject.ByName(name)
	if !ok {
		var names []string
		for _, k := range subject.Kinds() {
			names = append(names, k.Name)
		}
		r.fault(at, "case %q: unknown subject %q%s", c.Name, name, meant(name, names))
	}
	return k, ok
}

var clock = regexp.MustCompile(`\bnow\b`)

// timely tells whether what policies say may depend on the time.
func (r *runner) timely(asked []string) bool {
	if len(r.set.Exceptions()) > 0 {
		return true
	}
	for _, p := range r.set.Policies() {
		if !slices.Contains(asked, p.Name) {
			continue
		}
		for i := range p.Rules {
			if x := &p.Rules[i]; x.Grace != nil || clock.MatchString(x.When.Value) || clock.MatchString(x.Message.Value) || clock.MatchString(x.Remediation) {
				return true
			}
		}
	}
	return false
}

// withLists loads the set with the lists of a case.
func (r *runner) withLists(e *example) {
	lists := e.doc.Lists
	if len(lists) == 0 {
		return
	}
	known := r.set.Lists()
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if !slices.Contains(known, name) {
			r.fault(e.doc.Place, "case %q: there is no list %q%s", e.doc.Name, name, meant(name, known))
			return
		}
	}
	key, err := json.Marshal(lists)
	if err != nil {
		r.fault(e.doc.Place, "case %q: lists: %v", e.doc.Name, err)
		return
	}
	e.lists = string(key)
	if r.lists[e.lists] != nil {
		return
	}
	set, err := policy.LoadWith(r.sources, lists)
	if err != nil {
		r.fault(e.doc.Place, "case %q: with its lists: %v", e.doc.Name, err)
		return
	}
	r.lists[e.lists] = set
}

// named gives the wanted answers by the full names of rules.
func (r *runner) named(e *example) map[string]string {
	full := map[string][]string{}
	for _, p := range r.set.Policies() {
		if !slices.Contains(e.asked, p.Name) || p.Subject.Value != e.kind {
			continue
		}
		for _, x := range p.Rules {
			name := p.Name + "/" + x.ID.Value
			full[name] = append(full[name], name)
			full[x.ID.Value] = append(full[x.ID.Value], name)
		}
	}
	out := map[string]string{}
	w := &e.doc.Want
	for _, short := range slices.Sorted(maps.Keys(w.Rules)) {
		switch names := full[short]; len(names) {
		case 1:
			out[names[0]] = w.Rules[short]
		case 0:
			r.fault(w.Place, "case %q: no policy that is asked about a %s has a rule %q%s", e.doc.Name, e.kind, short, meant(short, slices.Sorted(maps.Keys(full))))
		default:
			r.fault(w.Place, "case %q: several policies have a rule %q: write %s", e.doc.Name, short, strings.Join(names, " or "))
		}
	}
	return out
}

// exceptions checks that those which must apply are there.
func (r *runner) exceptions(c *document.Case) {
	var known []string
	for _, x := range r.set.Exceptions() {
		known = append(known, x.Name)
	}
	for _, name := range c.Want.Excepted {
		if name = strings.TrimPrefix(name, "exception/"); !slices.Contains(known, name) {
			r.fault(c.Want.Place, "case %q: there is no exception %q%s", c.Name, name, meant(name, known))
		}
	}
}

// run asks about every case, and gathers which rules they show.
func (r *runner) run(ctx context.Context, tests []document.PolicyTest, out *Result) error {
	rules := map[string]*Rule{}
	for _, p := range r.set.Policies() {
		if p.Mode == "off" {
			continue
		}
		for _, x := range p.Rules {
			out.Rules = append(out.Rules, Rule{Name: p.Name + "/" + x.ID.Value, Place: x.Place, Matches: []string{}, Others: []string{}})
		}
	}
	for i := range out.Rules {
		rules[out.Rules[i].Name] = &out.Rules[i]
	}
	at := map[string]int{}
	for i := range tests {
		at[tests[i].Name] = len(out.Tests)
		out.Tests = append(out.Tests, Test{Name: tests[i].Name, Place: tests[i].Place, Cases: len(tests[i].Cases)})
	}
	for _, e := range r.cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := r.view(e)
		if err != nil {
			return err
		}
		answers, err := v.Answers(e.kind, e.subject, e.unknown, e.now)
		if err != nil {
			return fmt.Errorf("%s: case %q: %w", e.doc.Place, e.doc.Name, err)
		}
		for _, a := range answers {
			switch a.Answer {
			case policy.AnswerMatch:
				rules[a.Rule].Matches = append(rules[a.Rule].Matches, e.test.Name+"/"+e.doc.Name)
			case policy.AnswerNo:
				rules[a.Rule].Others = append(rules[a.Rule].Others, e.test.Name+"/"+e.doc.Name)
			}
		}
		diff, err := e.compare(v)
		if err != nil {
			return fmt.Errorf("%s: case %q: %w", e.doc.Place, e.doc.Name, err)
		}
		if e.failed = len(diff) > 0; e.failed {
			if err := e.because(v, diff); err != nil {
				return err
			}
			t := &out.Tests[at[e.test.Name]]
			t.Failed = append(t.Failed, Failed{e.doc.Name, e.doc.Place, diff})
		}
	}
	return nil
}

// view gives the set of a case as it holds for its asset. Most cases of a test are
// about the same.
func (r *runner) view(e *example) (*policy.View, error) {
	asset, err := json.Marshal(e.asset)
	if err != nil {
		return nil, fmt.Errorf("%s: case %q: %w", e.doc.Place, e.doc.Name, err)
	}
	key := strings.Join([]string{e.lists, string(e.stage), string(asset), strings.Join(e.asked, " ")}, "\x00")
	if r.lastKey != key {
		r.lastKey, r.last = key, r.lists[e.lists].Only(e.asked).At(e.stage, e.asset)
	}
	return r.last, nil
}

// compare holds what comes of a case against what is wanted.
func (e *example) compare(v *policy.View) ([]Difference, error) {
	d, err := v.Decide(e.kind, e.subject, e.unknown, e.now)
	if err != nil {
		return nil, err
	}
	var out []Difference
	w := &e.doc.Want
	if w.Effect != nil && *w.Effect != d.Effect.String() {
		out = append(out, Difference{What: "effect", Want: cmp.Or(*w.Effect, "none"), Got: effect(&d)})
	}
	if len(e.rules) > 0 {
		answers, err := v.Answers(e.kind, e.subject, e.unknown, e.now)
		if err != nil {
			return nil, err
		}
		out = append(out, e.answers(answers)...)
	}
	for _, m := range w.Messages {
		if said := messages(&d); !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, m) }) {
			out = append(out, Difference{What: "message", Want: fmt.Sprintf("%q", m), Got: cmp.Or(strings.Join(said, "\n"), "none")})
		}
	}
	for _, name := range w.Excepted {
		want := "exception/" + strings.TrimPrefix(name, "exception/")
		why := "it was not asked: no rule fired that it is from"
		if !slices.ContainsFunc(d.Exceptions, func(c bulwark.Considered) bool {
			if c.Name == want {
				why = c.Why
			}
			return c.Name == want && c.Applied
		}) {
			out = append(out, Difference{What: "exception", Want: name, Got: why})
		}
	}
	return out, nil
}

// answers holds the answers of rules against those that are wanted.
func (e *example) answers(answers []policy.Explanation) []Difference {
	var out []Difference
	for _, name := range slices.Sorted(maps.Keys(e.rules)) {
		want, got, why := e.rules[name], policy.AnswerNo, "it is not asked here: its policy is not about this asset, or it has no effect at this stage"
		for i := range answers {
			if a := &answers[i]; a.Rule == name {
				got, why = cmp.Or(a.Answer, policy.AnswerNo), a.Why // one that was not asked does not fire
			}
		}
		if got == want {
			continue
		}
		if why != "" {
			got += " (" + why + ")"
		}
		out = append(out, Difference{What: "rule " + name, Want: want, Got: got})
	}
	return out
}

// because adds to differences the values that rules saw.
func (e *example) because(v *policy.View, diff []Difference) error {
	if !slices.ContainsFunc(diff, func(d Difference) bool { return strings.HasPrefix(d.What, "rule ") }) {
		return nil
	}
	all, err := v.Explain(e.kind, e.subject, e.unknown, e.now)
	for i := range diff {
		for k := range all {
			if diff[i].What == "rule "+all[k].Rule {
				diff[i].Leaves = all[k].Leaves
			}
		}
	}
	return err
}

// effect tells a decision's effect and where it comes from.
func effect(d *bulwark.Decision) string {
	out := cmp.Or(d.Effect.String(), "none")
	var from []string
	for _, r := range slices.Concat(d.Reasons, d.Errors) {
		s := r.Rule + ": " + r.Effect.String()
		if r.Held != "" {
			s += ", " + r.Held
		}
		from = append(from, s)
	}
	if len(from) > 0 {
		out += " (" + strings.Join(from, "; ") + ")"
	}
	return out
}

// messages gives every sentence of a decision.
func messages(d *bulwark.Decision) []string {
	var out []string
	for _, r := range slices.Concat(d.Reasons, d.Errors) {
		for _, s := range []string{r.Detail, r.Held, r.Remedy} {
			if s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}
