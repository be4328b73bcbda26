// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/bulwark-sec/bulwark/internal/nearest"
)

// maxSource bounds the text of a condition, characters.
const maxSource = 16 << 10

// maxCost bounds what a condition may cost by CEL's own measure, at the limits of
// its input. Kubernetes allows an expression as much
// (https://kubernetes.io/docs/reference/using-api/cel/#runtime-cost-budget).
const maxCost = 1_000_000

// maxSteps bounds how many items a condition walks over inside values whose size
// nobody knew when it was loaded.
const maxSteps = 100_000

// A Fault is a mistake in a condition.
type Fault struct {
	Offset int // characters from its beginning
	Detail string
}

// Error gives the detail.
func (f Fault) Error() string { return f.Detail }

// A Truth is what a condition says of an input. The zero Truth is unknown.
type Truth int8

// The truths.
const (
	Unknown Truth = iota
	No
	Yes
)

// String gives "unknown", "no" or "yes".
func (t Truth) String() string { return [...]string{"unknown", "no", "yes"}[t] }

// A Condition is a compiled expression. It is safe for concurrent use.
type Condition struct {
	Source  string
	env     *Env
	prog    func() (cel.Program, error) // made when it is first needed: a table seldom needs it
	parsed  *ast.AST                    // as it was written, before macros
	fields  []int                       // slots of the variables in it
	table   Table                       // what it says in literals
	exact   bool                        // and that is all it says; else it cannot be true where the table is false
	guard   bool                        // table is there
	lists   []string                    // names of lists in it
	bounded bool                        // its steps are counted
}

// Compile reads an expression that gives a boolean.
func (e *Env) Compile(source string) (*Condition, []Fault) {
	c, parsed, faults := e.parse(source)
	if len(faults) > 0 {
		return nil, faults
	}
	c.tabulate()
	if c.exact {
		// What a table says has the right types and costs little; CEL reads it when
		// it is asked for more than that.
		c.prog = sync.OnceValues(func() (cel.Program, error) {
			checked, faults := c.check(parsed)
			if len(faults) > 0 {
				return nil, faults[0]
			}
			return c.plan(checked)
		})
		return c, nil
	}
	checked, faults := c.check(parsed)
	if len(faults) > 0 {
		return nil, faults
	}
	if out := checked.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, []Fault{{0, fmt.Sprintf("a condition is true or false; this one is %s", out)}}
	}
	c.prog = sync.OnceValues(func() (cel.Program, error) { return c.plan(checked) })
	return c, nil
}

// CompileText reads an expression that gives a text, such as a message.
func (e *Env) CompileText(source string) (*Condition, []Fault) {
	c, out, faults := e.compile(source)
	if len(faults) > 0 {
		return nil, faults
	}
	if !out.IsExactType(cel.StringType) && !out.IsExactType(cel.DynType) {
		return nil, []Fault{{0, fmt.Sprintf("a text is wanted; this is %s: use string(…)", out)}}
	}
	return c, nil
}

var placeholder = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

// CompileTemplate reads a text in which {{EXPRESSION}} stands for a value.
func (e *Env) CompileTemplate(text string) (*Condition, []Fault) {
	var parts []string
	last := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(text, -1) {
		parts = append(parts, fmt.Sprintf("%q", text[last:at[0]]), "string("+text[at[2]:at[3]]+")")
		if _, _, faults := e.compile("string(" + text[at[2]:at[3]] + ")"); len(faults) > 0 {
			for i := range faults {
				faults[i].Offset = max(0, faults[i].Offset-len("string(")) + len([]rune(text[:at[2]]))
			}
			return nil, faults
		}
		last = at[1]
	}
	parts = append(parts, fmt.Sprintf("%q", text[last:]))
	c, _, faults := e.compile(strings.Join(parts, " + "))
	return c, faults
}

func (e *Env) compile(source string) (*Condition, *cel.Type, []Fault) {
	c, parsed, faults := e.parse(source)
	if len(faults) > 0 {
		return nil, nil, faults
	}
	checked, faults := c.check(parsed)
	if len(faults) > 0 {
		return nil, nil, faults
	}
	c.prog = sync.OnceValues(func() (cel.Program, error) { return c.plan(checked) })
	return c, checked.OutputType(), nil
}

// parse reads an expression and finds out which variables it has.
func (e *Env) parse(source string) (*Condition, *cel.Ast, []Fault) {
	if strings.TrimSpace(source) == "" {
		return nil, nil, []Fault{{0, "the expression is empty"}}
	}
	parsed, issues := e.env.Parse(source)
	if err := issues.Err(); err != nil {
		return nil, nil, e.faults(source, issues)
	}
	c := &Condition{Source: source, env: e, parsed: written(parsed.NativeRep())}
	var faults []Fault
	c.names(c.parsed.Expr(), nil, func(x ast.Expr, detail string) {
		faults = append(faults, Fault{c.offset(x), detail})
	})
	return c, parsed, faults
}

// check finds mistakes of types, and conditions that cost too much.
func (c *Condition) check(parsed *cel.Ast) (*cel.Ast, []Fault) {
	checked, issues := c.env.env.Check(parsed)
	if err := issues.Err(); err != nil {
		return nil, c.env.faults(c.Source, issues)
	}
	cost, err := c.env.env.EstimateCost(checked, sizes{c.env})
	if err != nil {
		return nil, []Fault{{0, err.Error()}}
	}
	if cost.Max > maxCost {
		return nil, []Fault{{0, fmt.Sprintf("the condition may cost %s units for an input at its limits, the limit is %d: do not walk a list inside a walk of another, or compare with lists.NAME", units(cost.Max), maxCost)}}
	}
	// The sizes inside a value without a type are a guess. CEL's own count of costs
	// takes time that grows with the square of what it counts.
	c.bounded = c.env.dynamic(c.fields)
	return checked, nil
}

// plan makes a program of what was checked.
func (c *Condition) plan(checked *cel.Ast) (cel.Program, error) {
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if c.bounded {
		options = append(options, cel.InterruptCheckFrequency(maxSteps))
	}
	return c.env.env.Program(checked, options...)
}

func units(n uint64) string {
	if n == math.MaxUint64 {
		return "any number of"
	}
	return fmt.Sprint(n)
}

// dynamic tells whether one of the fields has no type.
func (e *Env) dynamic(slots []int) bool {
	return slices.ContainsFunc(slots, func(i int) bool { return strings.Contains(e.fields[i].Type, "dyn") })
}

var undefined = regexp.MustCompile(`undefined field '([^']+)'|undeclared reference to '([^']+)'`)

// faults gives what CEL complains of in our words.
func (e *Env) faults(source string, issues *cel.Issues) []Fault {
	lines := strings.SplitAfter(source, "\n")
	var out []Fault
	for _, x := range issues.Errors() {
		offset := x.Location.Column()
		for i := range min(x.Location.Line()-1, len(lines)) {
			offset += len([]rune(lines[i]))
		}
		detail := x.Message
		if m := undefined.FindStringSubmatch(detail); m != nil && m[1] != "" {
			detail = undefinedField(m[1], "", e.nested)
		} else if m != nil {
			detail = fmt.Sprintf("undefined name %q", m[2])
			if near := nearest.Of(m[2], slices.Sorted(mapsKeys(e.env.Functions()))); near != "" {
				detail += fmt.Sprintf("; did you mean %q?", near)
			}
		}
		out = append(out, Fault{max(0, offset), strings.TrimPrefix(detail, "Syntax error: ")})
	}
	if len(out) == 0 {
		out = append(out, Fault{0, issues.Err().Error()})
	}
	return out
}

func mapsKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func undefinedField(name, of string, known []string) string {
	s := fmt.Sprintf("undefined field %q", name)
	if of != "" {
		s += " of " + of
	}
	if near := nearest.Of(name, known); near != "" {
		s += fmt.Sprintf("; did you mean %q?", near)
	}
	return s
}

// offset gives where an expression of the parsed tree stands, in characters: a
// selection, where the name of its field does.
func (c *Condition) offset(x ast.Expr) int {
	r, ok := c.parsed.SourceInfo().GetOffsetRange(x.ID())
	if !ok {
		return 0
	}
	if x.Kind() == ast.SelectKind {
		return int(r.Start) + 1 // the dot is where CEL says that it is
	}
	return int(r.Start)
}

// path gives the names of a chain of selections from an identifier: proc, name.
func path(x ast.Expr) ([]string, bool) {
	switch x.Kind() {
	case ast.IdentKind:
		return []string{x.AsIdent()}, true
	case ast.SelectKind:
		p, ok := path(x.AsSelect().Operand())
		return append(p, x.AsSelect().FieldName()), ok
	}
	return nil, false
}

// macros are the calls whose first argument, or first two, name what the others
// are asked of.
var macros = []string{"all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap", "optMap", "optFlatMap"}

// bound gives the names that a call of a macro binds.
func bound(call ast.CallExpr) []string {
	if !call.IsMemberFunction() || !slices.Contains(macros, call.FunctionName()) || len(call.Args()) < 2 {
		return nil
	}
	var names []string
	for i, a := range call.Args() {
		if a.Kind() != ast.IdentKind || i == 2 || i == len(call.Args())-1 {
			break
		}
		names = append(names, a.AsIdent())
	}
	return names
}

// names finds the variables of an expression, and those that do not exist.
func (c *Condition) names(x ast.Expr, local []string, fault func(x ast.Expr, detail string)) {
	switch x.Kind() {
	case ast.IdentKind, ast.SelectKind:
		p, ok := path(x)
		if !ok {
			c.names(x.AsSelect().Operand(), local, fault)
			return
		}
		if !slices.Contains(local, p[0]) {
			c.variable(x, p, fault)
		}
	case ast.CallKind:
		call := x.AsCall()
		if call.IsMemberFunction() && !c.isNamespace(call.Target(), local) {
			c.names(call.Target(), local, fault)
		}
		if call.IsMemberFunction() && len(call.Args()) == 1 && strings.HasPrefix(call.FunctionName(), "get") {
			fault(x, "times are in UTC: a time zone is not taken")
		}
		b := bound(call)
		local = slices.Concat(local, b)
		for _, a := range call.Args()[len(b):] {
			c.names(a, local, fault)
		}
	case ast.ListKind:
		for _, e := range x.AsList().Elements() {
			c.names(e, local, fault)
		}
	case ast.MapKind:
		for _, e := range x.AsMap().Entries() {
			c.names(e.AsMapEntry().Key(), local, fault)
			c.names(e.AsMapEntry().Value(), local, fault)
		}
	case ast.StructKind:
		fault(x, fmt.Sprintf("%q cannot be made in a condition", x.AsStruct().TypeName()))
	}
}

// isNamespace tells whether the target of a call is no variable but a part of the
// function's name: math.greatest, sets.contains.
func (c *Condition) isNamespace(x ast.Expr, local []string) bool {
	if x.Kind() != ast.IdentKind || slices.Contains(local, x.AsIdent()) {
		return false
	}
	return slices.Contains([]string{"sets", "optional", "strings", "net"}, x.AsIdent())
}

// variable finds what a chain of names means: the longest beginning of it that is
// a variable.
func (c *Condition) variable(x ast.Expr, p []string, fault func(x ast.Expr, detail string)) {
	e := c.env
	for n := len(p); n > 0; n-- {
		name := strings.Join(p[:n], ".")
		if slot, ok := e.names[name]; ok {
			if !slices.Contains(c.fields, slot) {
				c.fields = append(c.fields, slot)
			}
			return
		}
		if _, ok := e.lists[name]; ok {
			c.lists = append(c.lists, name)
			return
		}
		if _, ok := e.consts[name]; ok || name == now || slices.Contains([]string{"int", "uint", "string", "bool", "double", "bytes", "list", "map", "type", "null_type", "google"}, name) {
			return
		}
	}
	// Find how far it is right, to say what is wrong.
	known := slices.Concat(slices.Collect(mapsKeys(e.names)), slices.Collect(mapsKeys(e.lists)), slices.Collect(mapsKeys(e.consts)), []string{now})
	good := 0
	var next []string
	for n := 0; n < len(p); n++ {
		prefix := strings.Join(p[:n], ".")
		if prefix != "" {
			prefix += "."
		}
		next = nil
		for _, k := range known {
			if rest, ok := strings.CutPrefix(k, prefix); ok {
				first, _, _ := strings.Cut(rest, ".")
				next = append(next, first)
			}
		}
		if good = n; !slices.Contains(next, p[n]) {
			break
		}
		good = n + 1
	}
	if good == len(p) {
		fault(x, fmt.Sprintf("%q is a group of fields, not a value", strings.Join(p, ".")))
		return
	}
	slices.Sort(next)
	next = slices.Compact(next)
	// The expression that ends with the wrong name.
	for range len(p) - 1 - good {
		x = x.AsSelect().Operand()
	}
	switch {
	case good > 0 && p[0] == "lists":
		detail := fmt.Sprintf("there is no list %q", p[good])
		if near := nearest.Of(p[good], next); near != "" {
			detail += fmt.Sprintf("; did you mean %q?", near)
		}
		fault(x, detail)
	case good > 0:
		fault(x, undefinedField(p[good], "", next))
	default:
		detail := fmt.Sprintf("undefined name %q", p[0])
		if near := nearest.Of(p[0], next); near != "" {
			detail += fmt.Sprintf("; did you mean %q?", near)
		} else {
			detail += ": there are " + strings.Join(next, ", ")
		}
		fault(x, detail)
	}
}

// sizes tells CEL how large values are at most.
type sizes struct{ env *Env }

// EstimateSize gives the size of a variable, or of what lies inside one.
func (s sizes) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	p := n.Path()
	if len(p) == 0 {
		return &checker.SizeEstimate{Max: maxDynamic}
	}
	if l, ok := s.env.lists[p[0]]; ok && len(p) == 1 {
		return &checker.SizeEstimate{Min: uint64(len(l.values)), Max: uint64(len(l.values))}
	}
	if slot, ok := s.env.names[p[0]]; ok && len(p) == 1 && s.env.fields[slot].Max > 0 {
		return &checker.SizeEstimate{Max: uint64(s.env.fields[slot].Max)}
	}
	if t := n.Type(); t != nil && (t.Kind() == types.StringKind || t.Kind() == types.BytesKind) {
		return &checker.SizeEstimate{Max: 1024}
	}
	return &checker.SizeEstimate{Max: maxDynamic}
}

// EstimateCallCost leaves calls to CEL.
func (sizes) EstimateCallCost(_, _ string, _ *checker.AstNode, _ []checker.AstNode) *checker.CallEstimate {
	return nil
}

// Uses gives the names of the variables in the condition, sorted.
func (c *Condition) Uses() []string {
	var out []string
	for _, i := range c.fields {
		out = append(out, c.env.fields[i].Name)
	}
	slices.Sort(out)
	return out
}

// Lists gives the names of the lists in the condition, sorted.
func (c *Condition) Lists() []string {
	var out []string
	for _, name := range c.lists {
		out = append(out, strings.TrimPrefix(name, "lists."))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Where gives where a variable first stands in the condition, in characters.
func (c *Condition) Where(name string) int {
	return max(0, len([]rune(c.Source[:max(0, strings.Index(c.Source, name))])))
}

// errNotKnown is why a condition is unknown whose variables are.
var errNotKnown = errors.New("not known")

// Eval says what the condition says of an input. The error says why it is unknown,
// and is nil otherwise.
func (c *Condition) Eval(in *Input) (Truth, error) {
	if c.guard {
		t := c.table.eval(in)
		if t == No || c.exact && t == Yes {
			return t, nil
		}
		if c.exact {
			if err := c.unknowns(in); err != nil {
				return Unknown, err
			}
		}
	}
	return c.evalCEL(in)
}

// evalCEL asks CEL alone.
func (c *Condition) evalCEL(in *Input) (Truth, error) {
	out, err := c.value(in)
	switch {
	case err != nil:
		return Unknown, err
	case out == types.True:
		return Yes, nil
	case out == types.False:
		return No, nil
	case types.IsUnknown(out):
		return Unknown, cmp.Or(c.unknowns(in), errNotKnown)
	}
	return Unknown, fmt.Errorf("it gave a %s, not true or false", out.Type())
}

// over is a context that has ended: CEL looks at it after maxSteps steps and not
// before, which makes the bound the same on every machine.
type over struct{ done chan struct{} }

func (o over) Done() <-chan struct{}     { return o.done }
func (over) Err() error                  { return context.Canceled }
func (over) Deadline() (time.Time, bool) { return time.Time{}, false }
func (over) Value(any) any               { return nil }

func (c *Condition) value(in *Input) (out ref.Val, err error) {
	prog, err := c.prog()
	if err != nil {
		return nil, err
	}
	if !c.bounded {
		out, _, err = prog.Eval(in)
		return out, err
	}
	out, _, err = prog.ContextEval(over{in.env.closed}, in)
	if errors.Is(err, interpreter.InterruptError{}) {
		err = fmt.Errorf("it walks over more than %d items", maxSteps)
	}
	return out, err
}

// unknowns names the variables of the condition that the input does not know; nil
// when it knows all of them.
func (c *Condition) unknowns(in *Input) error {
	var names []string
	for _, i := range c.fields {
		f := &c.env.fields[i]
		if !in.cell(f).known {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("%s: %w", strings.Join(names, ", "), errNotKnown)
}

// Text gives the text that the expression stands for.
func (c *Condition) Text(in *Input) (string, error) {
	out, err := c.value(in)
	if err != nil {
		return "", err
	}
	if types.IsUnknown(out) {
		return "", cmp.Or(c.unknowns(in), errNotKnown)
	}
	s, ok := out.(types.String)
	if !ok {
		return "", fmt.Errorf("it gave a %s, not a text", out.Type())
	}
	return string(s), nil
}
