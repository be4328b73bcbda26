// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
)

// The forms in which a rule can be enforced.
const (
	FormTable     = "table"     // comparisons with literals: a kernel's maps can hold it
	FormAdmission = "admission" // CEL that a Kubernetes API server evaluates itself
	FormEvaluate  = "evaluate"  // CEL that has to be asked
)

// A Target is what an enforcement point needs to know of one rule.
type Target struct {
	Rule    string                           `json:"rule"` // "policy/rule"
	Subject string                           `json:"subject"`
	Form    string                           `json:"form"`
	Why     string                           `json:"why,omitempty"`   // it is not of a simpler form
	Table   condition.Table                  `json:"table,omitempty"` // of FormTable all that the rule says; else, if there, it cannot fire where no row holds
	Source  string                           `json:"source"`          // CEL
	Uses    []string                         `json:"uses"`            // variables, sorted
	Effects map[bulwark.Stage]bulwark.Effect `json:"effects"`
	Order   int                              `json:"order,omitempty"` // from 1, in a policy of which the first rule that matches answers
}

// admitted are the variables that a Kubernetes API server has, too, under the same
// names (https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/).
var admitted = []string{"object", "oldObject", "request", "namespaceObject"}

// Targets gives every rule in its simplest form, in the order of the policies.
// Exceptions, grace and modes are not in it: where a rule has any, whoever enforces
// a table asks the set before it does more than tell.
func (s *Set) Targets() []Target {
	var out []Target
	if s == nil {
		return nil
	}
	for _, p := range s.policies {
		for _, r := range p.rules {
			t := Target{Rule: r.name, Subject: p.kind.Name, Source: r.when.Source, Uses: r.when.Uses(), Effects: r.effects}
			table, exact, ok := r.when.Table()
			if ok {
				t.Table = table
			}
			if p.first {
				t.Order = r.index + 1
			}
			switch {
			case exact && ok:
				t.Form = FormTable
			case p.kind.Name == "k8s.object" && !slices.ContainsFunc(t.Uses, func(u string) bool { return !slices.Contains(admitted, u) }) && len(r.when.Lists()) == 0:
				t.Form, t.Why = FormAdmission, "it looks into objects"
			default:
				t.Form, t.Why = FormEvaluate, why(r.when, ok)
			}
			out = append(out, t)
		}
	}
	return out
}

// why says what keeps a condition from being a table.
func why(c *condition.Condition, guarded bool) string {
	what := "it compares more than variables with literals"
	if n := len(c.Uses()); n == 0 {
		what = "it has no variable"
	} else if l := c.Lists(); len(l) > 0 {
		what = fmt.Sprintf("it uses lists.%s in another way than to look a variable up", strings.Join(l, ", lists."))
	}
	if guarded {
		what += "; the table says where it need not be asked"
	}
	return what
}
