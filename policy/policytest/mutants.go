// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/document"
)

// maxMutants bounds the mutants of one set: compiling one takes milliseconds.
const maxMutants = 10_000

// Mutants tells how many mutants of a set its examples notice.
type Mutants struct {
	Total     int        `json:"total"`
	Killed    int        `json:"killed"`
	Survivors []Survivor `json:"survivors,omitempty"`
	Untried   int        `json:"untried,omitempty"` // there are more than 10,000
}

// A Survivor is a mutant that no example notices.
type Survivor struct {
	Name  string         `json:"name"`           // "policy/rule", or "exception/name"
	Leaf  string         `json:"leaf,omitempty"` // what was turned into its opposite; "" is the rule taken away
	Place document.Place `json:"place"`
	Why   string         `json:"why,omitempty"` // it could not be tried
}

// mutants tries every mutant on the cases that ask its rules and do not fail
// without it.
func (r *runner) mutants(ctx context.Context) (*Mutants, error) {
	all := r.set.Mutants()
	out := &Mutants{Total: len(all)}
	if len(all) > maxMutants {
		out.Untried = len(all) - maxMutants
		all = all[:maxMutants]
	}
	for i := range all {
		m := &all[i]
		killed, why, err := r.kills(ctx, m)
		if err != nil {
			return nil, err
		}
		if killed {
			out.Killed++
			continue
		}
		out.Survivors = append(out.Survivors, Survivor{m.Name, m.Leaf, m.Place, why})
	}
	return out, nil
}

// kills tells whether a case fails with a mutant.
func (r *runner) kills(ctx context.Context, m *policy.Mutant) (killed bool, why string, err error) {
	policies := map[string]bool{}
	for _, rule := range m.Rules() {
		name, _, _ := strings.Cut(rule, "/")
		policies[name] = true
	}
	try := map[string]*trial{}
	for _, first := range []bool{true, false} { // those that name the rule will notice
		for _, e := range r.cases {
			if err := ctx.Err(); err != nil {
				return false, "", err
			}
			if e.failed || e.names(m) != first || !slices.ContainsFunc(e.asked, func(p string) bool { return policies[p] && r.kinds[p] == e.kind }) {
				continue
			}
			t := try[e.lists]
			if t == nil {
				set := r.lists[e.lists]
				mutated, err := set.Mutate(m)
				if err != nil {
					return false, err.Error(), nil
				}
				t = &trial{mutated, set.Noticed(m, mutated)}
				try[e.lists] = t
			}
			if !t.noticed(e.kind, e.subject, e.unknown, e.now) {
				continue
			}
			diff, err := e.compare(t.set.Only(e.asked).At(e.stage, e.asset))
			if err != nil {
				return false, "", fmt.Errorf("%s: case %q: %w", e.doc.Place, e.doc.Name, err)
			}
			if len(diff) > 0 {
				return true, "", nil
			}
		}
	}
	return false, "", nil
}

// A trial is a set in which a mutant lives.
type trial struct {
	set     *policy.Set
	noticed func(kind string, subject any, unknown []string, at time.Time) bool
}

// names tells whether the case says what must become of a rule of the mutant.
func (e *example) names(m *policy.Mutant) bool {
	return slices.ContainsFunc(m.Rules(), func(rule string) bool { return e.rules[rule] != "" })
}
