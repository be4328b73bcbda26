// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
)

// A Mutant is one thing that is wrong on purpose in a copy of a set. Tests of the
// set's policies must notice it.
type Mutant struct {
	Name  string         // "policy/rule", or "exception/name"
	Leaf  string         // the part of its condition that is turned into its opposite; "" is the rule taken away
	Place document.Place // of the part, or the rule

	source string   // of the whole condition
	rules  []string // those that are changed
}

// Rules names the rules that the mutant is wrong about, as "policy/rule".
func (m *Mutant) Rules() []string { return m.rules }

// Mutants gives what can be wrong in a set: of each rule of a policy that is not
// off, the rule taken away and every part of its condition turned into its
// opposite, and so every part of what exceptions from such rules match. They are in
// the order of names.
func (s *Set) Mutants() []Mutant {
	if s == nil {
		return nil
	}
	var out []Mutant
	excepted := map[*exception][]string{}
	for _, p := range s.policies {
		if len(p.stages) == 0 { // it is off
			continue
		}
		for _, r := range p.rules {
			out = append(out, Mutant{Name: r.name, Place: r.doc.Place, rules: []string{r.name}})
			for _, m := range r.when.Mutants() {
				out = append(out, Mutant{r.name, m.Leaf, r.doc.When.At(m.Offset), m.Source, []string{r.name}})
			}
			for _, e := range r.exceptions {
				excepted[e] = append(excepted[e], r.name)
			}
		}
	}
	for _, e := range s.exceptions {
		if len(e.match) == 0 || len(excepted[e]) == 0 {
			continue
		}
		first := slices.Min(slices.Collect(maps.Keys(e.match)))
		for _, m := range e.match[first].Mutants() {
			out = append(out, Mutant{"exception/" + e.doc.Name, m.Leaf, e.doc.Match.At(m.Offset), m.Source, excepted[e]})
		}
	}
	return out
}

// Mutate gives a copy of the set in which a mutant of it, or of the same documents
// with other lists, lives. A rule that is not there is [bulwark.ErrNotFound].
func (s *Set) Mutate(m *Mutant) (*Set, error) {
	for _, e := range s.exceptions {
		if "exception/"+e.doc.Name == m.Name {
			return s.otherException(e, m)
		}
	}
	for i, p := range s.policies {
		for k, r := range p.rules {
			if r.name != m.Name {
				continue
			}
			other := *p
			if m.Leaf == "" {
				other.rules = slices.Delete(slices.Clone(p.rules), k, k+1)
			} else {
				changed := *r
				var err error
				if changed.when, err = recompiled(r.when, m); err != nil {
					return nil, err
				}
				changed.found = foundBy(changed.when)
				other.rules = slices.Clone(p.rules)
				other.rules[k] = &changed
			}
			out := *s
			out.policies = slices.Clone(s.policies)
			out.policies[i] = &other
			return &out, nil
		}
	}
	return nil, fmt.Errorf("rule %q: %w", m.Name, bulwark.ErrNotFound)
}

// recompiled compiles a mutant of a condition.
func recompiled(c *condition.Condition, m *Mutant) (*condition.Condition, error) {
	out, faults := c.Env().Compile(m.source)
	if len(faults) > 0 {
		return nil, fmt.Errorf("the opposite of %q in %q: %w", m.Leaf, m.Name, faults[0])
	}
	return out, nil
}

// otherException puts an exception with another match in the place of e, in every
// rule that it is from.
func (s *Set) otherException(e *exception, m *Mutant) (*Set, error) {
	changed := *e
	changed.match = map[string]*condition.Condition{}
	for kind, c := range e.match {
		var err error
		if changed.match[kind], err = recompiled(c, m); err != nil {
			return nil, err
		}
	}
	swap := func(list []*exception) []*exception {
		i := slices.Index(list, e)
		if i < 0 {
			return list
		}
		list = slices.Clone(list)
		list[i] = &changed
		return list
	}
	out := *s
	out.exceptions = swap(s.exceptions)
	out.policies = nil
	for _, p := range s.policies {
		other := *p
		other.rules = nil
		for _, r := range p.rules {
			x := *r
			x.exceptions = swap(r.exceptions)
			other.rules = append(other.rules, &x)
		}
		out.policies = append(out.policies, &other)
	}
	return &out, nil
}

// Noticed gives a function that tells whether what a mutant changes says something
// else of a subject than the set does, in microseconds: where it does not, nothing
// is decided otherwise. Mutated is what Mutate gave.
func (s *Set) Noticed(m *Mutant, mutated *Set) func(kind string, subject any, unknown []string, at time.Time) bool {
	before, after := s.conditions(m), mutated.conditions(m)
	return func(kind string, subject any, unknown []string, at time.Time) bool {
		c := before[kind]
		if c == nil {
			return false
		}
		in, err := c.Env().Bind(subject, at, unknown)
		if err != nil {
			return true // which deciding will tell
		}
		defer in.Release()
		was, _ := c.Eval(in)
		now := condition.No // the rule is gone
		if other := after[kind]; other != nil {
			now, _ = other.Eval(in)
		}
		return was != now || was == condition.Unknown // why it is unknown may differ
	}
}

// conditions gives those that a mutant is about, by kind of subject.
func (s *Set) conditions(m *Mutant) map[string]*condition.Condition {
	for _, e := range s.exceptions {
		if "exception/"+e.doc.Name == m.Name {
			return e.match
		}
	}
	for _, p := range s.policies {
		for _, r := range p.rules {
			if r.name == m.Name {
				return map[string]*condition.Condition{p.kind.Name: r.when}
			}
		}
	}
	return nil
}

// Only gives a set that has no other policies than those named. Its digest is that
// of the files that both were made of.
func (s *Set) Only(names []string) *Set {
	if s == nil {
		return nil
	}
	out := *s
	out.policies = slices.DeleteFunc(slices.Clone(s.policies), func(p *policy) bool { return !slices.Contains(names, p.doc.Name) })
	return &out
}
