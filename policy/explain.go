// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/subject"
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
	Tier        string         `json:"tier"`          // of its policy: "team", "org" or "guardrail"
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
	return v.answers(kind, subject, unknown, at, true, nil)
}

// Answers tells what Explain tells, without the leaves of conditions, which makes
// it hundreds of times faster.
func (v *View) Answers(kind string, subject any, unknown []string, at time.Time) ([]Explanation, error) {
	return v.answers(kind, subject, unknown, at, false, nil)
}

// answers asks the rules. settle finds out what comes of one that fired; nil is as
// in [View.Decide].
func (v *View) answers(kind string, subject any, unknown []string, at time.Time, leaves bool, settle func(*outcome, *condition.Input)) ([]Explanation, error) {
	if settle == nil {
		settle = func(o *outcome, in *condition.Input) { v.settle(o, subject, in, at, nil, nil) }
	}
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
		x := Explanation{Rule: r.name, Tier: r.policy.tier.String(), Description: r.doc.Description, When: r.doc.When.Value, Place: r.doc.When.Place}
		switch {
		case !r.policy.scope.chooses(subject):
			x.Why = "the scope of its policy does not choose this type"
		case done != nil && done.policy == r.policy:
			x.Why = fmt.Sprintf("rule %q answered first", done.name)
		default:
			if v.answer(r, in, &x, settle) && r.policy.first {
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
func (v *View) answer(r *rule, in *condition.Input, x *Explanation, settle func(*outcome, *condition.Input)) bool {
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
	settle(&o, in)
	reason := o.reason(in, "")
	x.Reason = &reason
	for i := range o.asked {
		x.Exceptions = append(x.Exceptions, o.asked[i].considered(r))
	}
	return truth == condition.Yes
}

// An Account is what every rule in scope says of one subject of a report.
type Account struct {
	Kind    string        `json:"subject"`           // see subject.Kinds
	Name    string        `json:"name"`              // what a person would call it
	Unknown []string      `json:"unknown,omitempty"` // variables that are not known
	Rules   []Explanation `json:"rules"`
}

// Explain tells what every rule in scope says of a finding of a report, once for
// each kind of subject that it is, as [Judge.Judge] with the same report and time
// would see it. It is empty when there is no such finding, or no rule about it. The
// report is only read.
func (j Judge) Explain(r *bulwark.Report, id string, at time.Time) ([]Account, error) {
	was := *r
	was.Findings = slices.Clone(r.Findings)
	Reopen(was.Findings)
	asset := subject.AssetOf(&was, j.Labels)
	v := j.Set.At(cmp.Or(j.Stage, bulwark.StageBuild), &asset)
	comments := v.inline(&was, at)
	var out []Account
	for item := range subject.OfReport(&was, asset, v.Judges) {
		if item.Finding == nil || item.Finding.ID != id {
			continue
		}
		closed := closedBy(item.Finding)
		rules, err := v.answers(item.Kind, item.Subject, item.Unknown, at, true, func(o *outcome, in *condition.Input) {
			v.settle(o, item.Subject, in, at, closed, nil)
			one := []outcome{*o}
			comments.apply(&item, one)
			*o = one[0]
		})
		if err != nil {
			return nil, err
		}
		out = append(out, Account{item.Kind, item.Name(), item.Unknown, rules})
	}
	return out, nil
}
