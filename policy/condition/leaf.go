// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"encoding/json"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/parser"
)

// A Leaf is one part of a condition that is true or false by itself, and what it
// is for one input.
type Leaf struct {
	Source string   `json:"source"` // CEL
	Value  string   `json:"value"`  // "yes", "no" or "unknown"
	Why    string   `json:"why,omitempty"`
	Inputs []string `json:"inputs,omitempty"` // its variables with their values, `proc.name = "sh"`
}

// connected tells whether a call joins conditions.
func connected(name string) bool {
	return name == operators.LogicalAnd || name == operators.LogicalOr || name == operators.LogicalNot || name == operators.Conditional
}

// leaves calls visit for each leaf, in the order in which they are written. With
// deep it goes into the conditions inside walks of lists.
func leaves(x ast.Expr, deep bool, visit func(ast.Expr)) {
	if x.Kind() == ast.CallKind {
		call := x.AsCall()
		if !call.IsMemberFunction() && connected(call.FunctionName()) {
			for _, a := range call.Args() {
				leaves(a, deep, visit)
			}
			return
		}
		if deep && len(bound(call)) > 0 && slices.Contains([]string{"all", "exists", "exists_one", "existsOne", "filter"}, call.FunctionName()) {
			leaves(call.Args()[len(call.Args())-1], deep, visit)
			return
		}
	}
	visit(x)
}

// source writes an expression out, on one line.
func (c *Condition) source(x ast.Expr) (string, error) {
	return parser.Unparse(x, c.parsed.SourceInfo(), parser.WrapOnColumn(4*maxSource))
}

// Explain gives the value of each leaf for an input.
func (c *Condition) Explain(in *Input) []Leaf {
	var out []Leaf
	leaves(c.parsed.Expr(), false, func(x ast.Expr) {
		source, err := c.source(x)
		if err != nil {
			return
		}
		l := Leaf{Source: source}
		part, faults := c.env.Compile(source)
		if len(faults) > 0 {
			l.Value, l.Why = Unknown.String(), faults[0].Detail
			out = append(out, l)
			return
		}
		truth, err := part.Eval(in)
		if l.Value = truth.String(); err != nil {
			l.Why = err.Error()
		}
		for _, i := range part.fields {
			f := &c.env.fields[i]
			l.Inputs = append(l.Inputs, f.Name+" = "+show(in, f))
		}
		slices.Sort(l.Inputs)
		out = append(out, l)
	})
	return out
}

// maxShown bounds a value that is told, bytes.
const maxShown = 200

// show gives the value of a variable as JSON, cut to a line.
func show(in *Input, f *Field) string {
	v := in.member(f)
	if !in.known(f, v) {
		return "unknown"
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return err.Error()
	}
	if len(b) > maxShown {
		return strings.ToValidUTF8(string(b[:maxShown]), "") + "…"
	}
	return string(b)
}

// A Mutant is a condition with one leaf turned into its opposite.
type Mutant struct {
	Leaf   string // as it was
	Offset int    // where it stands in the condition, in characters
	Source string // of the whole
}

// begin gives where an expression begins, in characters: CEL keeps where operators
// and brackets stand.
func (c *Condition) begin(x ast.Expr) int {
	least := -1
	ast.PreOrderVisit(x, ast.NewExprVisitor(func(x ast.Expr) {
		r, ok := c.parsed.SourceInfo().GetOffsetRange(x.ID())
		if !ok {
			return
		}
		at := int(r.Start)
		if x.Kind() == ast.CallKind && !x.AsCall().IsMemberFunction() {
			name, runes := []rune(x.AsCall().FunctionName()), []rune(c.Source)
			if n := at - len(name); n >= 0 && at <= len(runes) && slices.Equal(runes[n:at], name) {
				at = n
			}
		}
		if least < 0 || at < least {
			least = at
		}
	}))
	return max(0, least)
}

// Mutants gives one for each leaf, those inside walks of lists, too. A condition
// without any leaf of its own is one leaf.
func (c *Condition) Mutants() []Mutant {
	var all []ast.Expr
	leaves(c.parsed.Expr(), true, func(x ast.Expr) { all = append(all, x) })
	var out []Mutant
	f := ast.NewExprFactory()
	for i, leaf := range all {
		was, err := c.source(leaf)
		if err != nil {
			continue
		}
		tree := ast.Copy(c.parsed)
		n := 0
		leaves(tree.Expr(), true, func(x ast.Expr) {
			if n == i {
				x.SetKindCase(f.NewCall(0, operators.LogicalNot, f.CopyExpr(x)))
			}
			n++
		})
		source, err := c.source(tree.Expr())
		if err != nil {
			continue
		}
		out = append(out, Mutant{was, c.begin(leaf), source})
	}
	return out
}
