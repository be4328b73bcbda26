// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
)

// maxPairs bounds how many rules all exceptions together can be from: each is kept
// beside each of its rules.
const maxPairs = 2_000_000

// covers finds the exceptions that are about a subject, as a table finds rules: a
// report asks all of them about each of its findings.
type covers struct {
	list   []cover
	always []int // those that are not found by a key
	keys   []key
}

type cover struct {
	*exception
	at int // in the set
}

// hit is an exception that is about a subject, or of which that cannot be told.
type hit struct {
	cover
	err error
}

// covers gives the exceptions that may be about a kind of subject here.
func (v *View) covers(kind string, env *condition.Env) covers {
	var c covers
	fields := map[string]int{}
	for at, e := range v.set.exceptions {
		if !v.within[e] || !e.about(kind) {
			continue
		}
		i := len(c.list)
		c.list = append(c.list, cover{e, at})
		var field string
		var texts []string
		ok := false
		if match := e.match[kind]; match != nil {
			field, texts, ok = match.Keys()
		}
		if !ok {
			c.always = append(c.always, i)
			continue
		}
		k, ok := fields[field]
		if !ok {
			k = len(c.keys)
			fields[field] = k
			c.keys = append(c.keys, key{read: env.Key(field), rules: map[string][]int{}})
		}
		for _, s := range texts {
			c.keys[k].rules[s] = append(c.keys[k].rules[s], i)
		}
		c.keys[k].all = append(c.keys[k].all, i)
	}
	return c
}

// hits adds the exceptions that are about a subject to out, in the order of names.
// scratch is for the look-up, and is given back.
func (c *covers) hits(kind string, subject any, in *condition.Input, out []hit, scratch []int) ([]hit, []int) {
	scratch = append(scratch, c.always...)
	for i := range c.keys {
		k := &c.keys[i]
		if text, known := k.read.Of(in); known {
			scratch = append(scratch, k.rules[text]...)
		} else {
			scratch = append(scratch, k.all...)
		}
	}
	slices.Sort(scratch)
	for _, i := range scratch {
		e := c.list[i]
		if !e.scope.chooses(subject) {
			continue
		}
		if truth, err := e.matches(kind, in); truth == condition.Yes || err != nil {
			out = append(out, hit{e, err})
		}
	}
	return out, scratch
}

// consider says whether the exception holds for a rule, and why not.
func (h *hit) consider(r *rule, at time.Time) asked {
	out := asked{name: byException + h.doc.Name, about: true}
	if h.err != nil {
		out.why = unevaluated(h.err)
		return out
	}
	out.applied, out.why = h.holds(r, at)
	return out
}

// others tells of the exceptions from rules that fired that were about nothing that
// they fired on.
func (g *grouper) others() {
	type pair struct{ name, rule string }
	about := map[pair]bool{}
	for _, c := range g.decision.Exceptions {
		about[pair{c.Name, c.Rule}] = true
	}
	for _, r := range g.fired {
		for _, e := range r.exceptions {
			name := byException + e.doc.Name
			if about[pair{name, r.name}] {
				continue
			}
			why := notMatched
			if !g.view.within[e] {
				why = notWithin
			}
			g.decision.Exceptions = append(g.decision.Exceptions, bulwark.Considered{Name: name, Rule: r.name, Why: why})
		}
	}
}
