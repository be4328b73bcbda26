// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// exception is one Exception document, compiled.
type exception struct {
	doc      *document.Exception
	name     string // as decisions and statuses name it
	tier     tier
	scope    scope
	match    map[string]*condition.Condition // by kind of subject; nil: everything
	policies map[*policy]bool                // that it is from; nil: all of subject
	rules    map[*rule]bool                  // nil: all of policies
	kind     string                          // "" is any
}

func (l *loader) exceptions() {
	seen := map[string]document.Place{}
	if len(l.docs.Exceptions) > maxExceptions {
		l.fault(l.docs.Exceptions[maxExceptions].Place, "more than %d exceptions in all", maxExceptions)
		return
	}
	for i := range l.docs.Exceptions {
		d := &l.docs.Exceptions[i]
		if l.twice(seen, "exception", &d.Head) {
			continue
		}
		if e := l.exception(d); e != nil {
			l.set.exceptions = append(l.set.exceptions, e)
		}
	}
	slices.SortFunc(l.set.exceptions, func(a, b *exception) int { return compare(a.doc.Name, b.doc.Name) })
	pairs := 0
	for _, e := range l.set.exceptions {
		for _, p := range l.set.policies {
			for _, r := range p.rules {
				if e.from(r) {
					if pairs++; pairs > maxPairs {
						l.fault(e.doc.Place, "all exceptions together are from more than %d rules: name policies in \"for\"", maxPairs)
						return
					}
					r.exceptions = append(r.exceptions, e)
				}
			}
		}
	}
}

func (l *loader) exception(d *document.Exception) *exception {
	before := len(l.faults)
	e := &exception{doc: d, name: byException + d.Name, tier: tiers[d.ApproverTier], kind: d.For.Subject.Value}
	if e.tier == tierGuardrail && l.local[d.Place.File] {
		l.fault(d.Place, "an exception beside what is judged cannot be approved by the guardrail tier: give the file with --policy")
	}
	kinds := map[string]document.Place{}
	if e.kind != "" {
		if _, ok := l.kind(d.For.Subject); ok {
			kinds[e.kind] = d.For.Subject.Place
		}
	}
	for _, t := range d.For.Policies {
		p := l.set.byName[t.Value]
		if p == nil {
			if !slices.ContainsFunc(l.docs.Policies, func(q document.Policy) bool { return q.Name == t.Value }) { // else it has faults of its own
				l.unknownPolicy(t)
			}
			continue
		}
		if e.policies == nil {
			e.policies = map[*policy]bool{}
		}
		e.policies[p] = true
		if e.kind != "" && p.kind.Name != e.kind {
			l.fault(t.Place, "policy %q is about the subject %s, the exception about %q", t.Value, p.kind.Name, e.kind)
		}
		kinds[p.kind.Name] = t.Place
	}
	l.rulesOf(e, d)
	e.scope = l.scope(&d.Scope, e.kind)
	if d.Match.Value != "" {
		if len(kinds) == 0 && len(d.For.Policies) == 0 {
			l.fault(d.Match.Place, "match needs to know what it is about: name policies, or a subject, in \"for\"")
		}
		e.match = map[string]*condition.Condition{}
		for _, name := range slices.Sorted(maps.Keys(kinds)) {
			k, _ := subject.ByName(name)
			env, err := l.env(k)
			if err != nil {
				l.fault(d.Match.Place, "%v", err)
				continue
			}
			c, faults := env.Compile(d.Match.Value)
			l.conditionFaults(d.Match, "match", faults)
			e.match[name] = c
		}
	}
	if len(l.faults) > before {
		return nil
	}
	return e
}

func (l *loader) rulesOf(e *exception, d *document.Exception) {
	for _, t := range d.For.Rules {
		if e.rules == nil {
			e.rules = map[*rule]bool{}
		}
		found := false
		for _, p := range l.set.policies {
			if e.policies != nil && !e.policies[p] || e.policies == nil && len(d.For.Policies) > 0 {
				continue
			}
			for _, r := range p.rules {
				if r.doc.ID.Value == t.Value {
					e.rules[r], found = true, true
				}
			}
		}
		if found {
			continue
		}
		if len(e.policies) == 1 {
			for p := range e.policies {
				l.ruleNamed(p, t)
			}
		} else if len(d.For.Policies) == len(e.policies) {
			l.fault(t.Place, "none of the policies has a rule %q", t.Value)
		}
	}
}

// from tells whether the exception may be from a rule, tiers and inputs aside.
func (e *exception) from(r *rule) bool {
	switch {
	case e.rules != nil:
		return e.rules[r]
	case e.policies != nil:
		return e.policies[r.policy]
	}
	return e.kind == "" || e.kind == r.policy.kind.Name
}

// matches tells whether the exception is about an input.
func (e *exception) matches(kind string, in *condition.Input) (condition.Truth, error) {
	if e.match == nil {
		return condition.Yes, nil
	}
	c := e.match[kind]
	if c == nil {
		return condition.No, nil
	}
	return c.Eval(in)
}

// day on which an exception ends, as a person reads it.
func (e *exception) until() string { return day(e.doc.Expires.Add(-time.Second)) }

// Why exceptions are about something else.
const (
	notWithin  = "what is judged is outside its scope"
	notMatched = "its match is false"
)

func unevaluated(err error) string { return "its match cannot be evaluated: " + err.Error() }

// consider says whether the exception is about an input on which a rule fired, and
// whether it holds, and why not.
func (e *exception) consider(r *rule, v *View, subject any, in *condition.Input, at time.Time) asked {
	out := asked{name: e.name}
	if !v.within[e] || !e.scope.chooses(subject) {
		out.why = notWithin
		return out
	}
	switch truth, err := e.matches(r.policy.kind.Name, in); {
	case err != nil:
		out.about, out.why = true, unevaluated(err)
		return out
	case truth != condition.Yes:
		out.why = notMatched
		return out
	}
	out.about = true
	out.applied, out.why = e.holds(r, at)
	return out
}

// holds says whether the exception counts for a rule, and why not.
func (e *exception) holds(r *rule, at time.Time) (bool, string) {
	switch {
	case r.policy.tier == tierGuardrail && e.tier != tierGuardrail:
		return false, fmt.Sprintf("the policy is a guardrail, and the exception is approved by the tier %s: a guardrail's owner must approve it (approverTier: guardrail)", e.tier)
	case !at.Before(e.doc.Expires):
		return false, fmt.Sprintf("it ended on %s; owner %s", e.until(), e.doc.Owner)
	case at.Before(e.doc.Starts):
		return false, fmt.Sprintf("it begins on %s", day(e.doc.Starts))
	}
	return true, fmt.Sprintf("until %s, owner %s: %s", e.until(), e.doc.Owner, e.doc.Reason)
}

// status is what the exception makes of a finding.
func (e *exception) status() bulwark.Status {
	s := bulwark.Status{State: bulwark.StateAccepted, By: e.name, Reason: e.doc.Reason, Owner: e.doc.Owner, Until: e.doc.Expires.UTC().Format(time.RFC3339)}
	if x := e.doc.VEX; x != nil {
		switch x.Status {
		case "not_affected":
			s.State = bulwark.StateNotAffected
		case "fixed":
			s.State = bulwark.StateFixed
		}
		word := x.Justification
		if x.Status == "under_investigation" {
			word = x.Status // whoever writes statements from a report tells by it
		}
		s.Reason = strings.Join(nonEmpty(word, x.Impact, e.doc.Reason), ": ")
	}
	return s
}
