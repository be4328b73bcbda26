// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/glob"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
)

// Faults gives the mistakes that an error of [Load] joins, in order of their
// places. It is nil when the error is, or holds, anything else.
func Faults(err error) []Fault {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	var out []Fault
	for _, e := range all {
		var f Fault
		if !errors.As(e, &f) {
			return nil
		}
		out = append(out, f)
	}
	return inOrder(out)
}

// inOrder sorts faults by place, and leaves out what is said twice.
func inOrder(faults []Fault) []Fault {
	slices.SortFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(a.Place.Column, b.Place.Column), cmp.Compare(a.Detail, b.Detail))
	})
	return slices.Compact(faults)
}

// Warnings tells what in the set is sound and can do nothing: policies that never
// hold at one of their stages, rules that are never reached, and lists and
// collections that nothing uses. They are in order of their places.
func (s *Set) Warnings() []Fault {
	if s == nil {
		return nil
	}
	var out []Fault
	for _, p := range s.policies {
		out = append(out, p.nowhere()...)
		out = append(out, p.unreached()...)
	}
	return inOrder(append(out, s.unused()...))
}

// nowhere tells of stages at which no collection of a policy can hold anything,
// because it chooses by what is not known there.
func (p *policy) nowhere() []Fault {
	if len(p.scope.in) == 0 {
		return nil
	}
	var out []Fault
	var last string // a policy about four stages says it once for all of them
	var stages []bulwark.Stage
	for _, stage := range p.stages {
		u := unknowable{stage: stage, fields: p.env.Fields(), asked: map[*collection]string{}}
		by := ""
		for _, c := range p.scope.in {
			if by = u.collection(c); by == "" {
				break
			}
		}
		if by != "" {
			last, stages = by, append(stages, stage)
		}
	}
	if len(stages) > 0 {
		at := p.doc.Scope.Collections[0]
		out = append(out, Fault{Place: at.Place, Detail: fmt.Sprintf("policy %q never holds at stage %s: %s; leave that stage out, or choose by what a scan knows: registries, repos, names, labels",
			p.doc.Name, stageNames(stages), last)})
	}
	return out
}

// unknowable finds collections that are empty at a stage.
type unknowable struct {
	stage  bulwark.Stage
	fields []condition.Field
	asked  map[*collection]string
}

// collection says why nothing is in c; "" when something may be.
func (u *unknowable) collection(c *collection) string {
	if why, ok := u.asked[c]; ok {
		return why
	}
	why := ""
	for i := range c.include {
		if why = u.selector(c, i); why == "" {
			break
		}
	}
	u.asked[c] = why
	return why
}

// selector says why an include of c picks nothing; "" when it may pick something.
func (u *unknowable) selector(c *collection, i int) string {
	d := &c.doc.Include[i]
	for _, m := range []struct {
		field, key string
		texts      []document.Text
	}{{"asset.namespace", "namespaces", d.Namespaces}, {"asset.cluster", "clusters", d.Clusters}} {
		known := u.known(m.field)
		if len(m.texts) == 0 || known == "" || slices.ContainsFunc(m.texts, func(t document.Text) bool { return glob.New(t.Value).Match("") }) {
			continue
		}
		return fmt.Sprintf("collection %q chooses by %s, which are known at stage %s", c.doc.Name, m.key, known)
	}
	why := ""
	for _, other := range c.include[i].collections {
		if why = u.collection(other); why == "" {
			return ""
		}
	}
	return why
}

// known gives the stages at which a field is known; "" when the present one is
// among them.
func (u *unknowable) known(name string) string {
	for _, f := range u.fields {
		if f.Name == name && len(f.Stages) > 0 && !slices.Contains(f.Stages, string(u.stage)) {
			return strings.Join(f.Stages, ", ")
		}
	}
	return ""
}

// unreached tells of rules in an ordered policy that another one always answers
// before.
func (p *policy) unreached() []Fault {
	if !p.first {
		return nil
	}
	var out []Fault
	for i, r := range p.rules {
		by := "" // the rule that answers at the stage that was asked last
		for _, stage := range bulwark.Stages() {
			if _, ok := r.effects[stage]; !ok {
				continue
			}
			j := slices.IndexFunc(p.rules[:i], func(b *rule) bool {
				_, ok := b.effects[stage]
				return ok && (b.always() || strings.TrimSpace(b.when.Source) == strings.TrimSpace(r.when.Source))
			})
			if j < 0 {
				by = ""
				break
			}
			by = p.rules[j].doc.ID.Value
		}
		if by != "" {
			out = append(out, Fault{Place: r.doc.ID.Place, Detail: fmt.Sprintf("rule %q is never reached: rule %q before it always answers first; put it before that rule, or remove it", r.doc.ID.Value, by)})
		}
	}
	return out
}

// always tells whether the rule matches whatever it is asked about.
func (r *rule) always() bool {
	w := strings.Trim(r.when.Source, "() \t\r\n")
	return w == "true"
}

// unused tells of lists that no condition names, and of collections that no scope
// does.
func (s *Set) unused() []Fault {
	lists, collections := map[string]bool{}, map[*collection]bool{}
	use := func(conditions ...*condition.Condition) {
		for _, c := range conditions {
			if c != nil {
				for _, name := range c.Lists() {
					lists[name] = true
				}
			}
		}
	}
	var within func(list []*collection)
	within = func(list []*collection) {
		for _, c := range list {
			if collections[c] {
				continue
			}
			collections[c] = true
			for _, s := range slices.Concat(c.include, c.exclude) {
				within(s.collections)
			}
		}
	}
	for _, p := range s.policies {
		within(p.scope.in)
		within(p.scope.not)
		for _, r := range p.rules {
			use(r.when, r.message, r.remedy)
		}
	}
	for _, e := range s.exceptions {
		within(e.scope.in)
		within(e.scope.not)
		for _, c := range e.match {
			use(c)
		}
	}
	var out []Fault
	for i := range s.lists {
		if d := &s.lists[i]; !lists[d.Name] {
			out = append(out, Fault{Place: d.Place, Detail: fmt.Sprintf("list %q is used by no condition: a condition names it lists.%s", d.Name, d.Name)})
		}
	}
	for _, c := range s.collections {
		if !collections[c] {
			out = append(out, Fault{Place: c.doc.Place, Detail: fmt.Sprintf("collection %q is used by no policy and no exception", c.doc.Name)})
		}
	}
	return out
}
