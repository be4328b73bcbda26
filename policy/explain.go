// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
)

// The answers of a rule, as tests of policies write them.
const (
	AnswerMatch   = "match"
	AnswerNo      = "no"
	AnswerUnknown = "unknown"
)

// An Explanation is what one rule says of one input, and why.
type Explanation struct {
	Rule        string         `json:"rule"`          // "policy/rule"
	Description string         `json:"description"`   // of the rule; may be empty
	When        string         `json:"when"`          // its condition, as it was written
	Place       document.Place `json:"place"`         // of the condition
	Answer      string         `json:"answer"`        // AnswerMatch, AnswerNo or AnswerUnknown; "" when it was not asked
	Why         string         `json:"why,omitempty"` // it is unknown, or was not asked
	// Leaves are the parts of the condition that are true or false by themselves.
	Leaves []condition.Leaf `json:"leaves,omitempty"`
	// Reason is what came of it; nil where nothing did.
	Reason *bulwark.Reason `json:"reason,omitempty"`
	// Exceptions are those from the rule that were asked, which is when it fired.
	Exceptions []bulwark.Considered `json:"exceptions,omitempty"`
}

// Explain tells, for one subject as in [View.Decide], what every rule in scope says
// of it, those that do not match, too, in the order in which they are asked. It
// compiles the parts of conditions anew, which takes milliseconds.
func (v *View) Explain(kind string, subject any, unknown []string, at time.Time) ([]Explanation, error) {
	return v.answers(kind, subject, unknown, at, true)
}

// Answers tells what Explain tells, without the leaves of conditions, which makes
// it hundreds of times faster.
func (v *View) Answers(kind string, subject any, unknown []string, at time.Time) ([]Explanation, error) {
	return v.answers(kind, subject, unknown, at, false)
}

func (v *View) answers(kind string, subject any, unknown []string, at time.Time, leaves bool) ([]Explanation, error) {
	t := v.tables[kind]
	if t == nil {
		return nil, nil
	}
	in, err := t.env.Bind(subject, at, unknown)
	if err != nil {
		return nil, err
	}
	defer in.Release()
	var out []Explanation
	var done *rule // has answered for its policy
	for _, r := range t.rules {
		x := Explanation{Rule: r.name, Description: r.doc.Description, When: r.doc.When.Value, Place: r.doc.When.Place}
		switch {
		case !r.policy.scope.chooses(subject):
			x.Why = "the scope of its policy does not choose this type"
		case done != nil && done.policy == r.policy:
			x.Why = fmt.Sprintf("rule %q answered first", done.name)
		default:
			if v.answer(r, subject, in, at, &x) && r.policy.first {
				done = r
			}
			if leaves {
				x.Leaves = r.when.Explain(in)
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// answer asks one rule, and tells whether it matches.
func (v *View) answer(r *rule, subject any, in *condition.Input, at time.Time, x *Explanation) bool {
	truth, err := r.when.Eval(in)
	o := outcome{rule: r, wanted: r.effects[v.stage]}
	switch truth {
	case condition.No:
		x.Answer = AnswerNo
		return false
	case condition.Yes:
		x.Answer = AnswerMatch
	default:
		x.Answer, x.Why = AnswerUnknown, err.Error()
		o.err, o.wanted = err, r.policy.unknown[v.stage]
	}
	v.settle(&o, subject, in, at, nil)
	reason := o.reason(in, "")
	x.Reason = &reason
	for _, a := range o.asked {
		x.Exceptions = append(x.Exceptions, bulwark.Considered{Name: a.name, Rule: r.name, Applied: a.applied, Why: a.why})
	}
	return truth == condition.Yes
}
