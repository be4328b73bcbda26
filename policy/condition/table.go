// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// maxRows bounds a table: a condition that has more stays an expression.
const maxRows = 64

// A Table is a condition over literals: it holds where any row does. It is what a
// kernel's maps and an index are made of. The zero Table never holds.
type Table []Row

// A Row holds where all of its tests do. The empty Row always holds.
type Row []Test

// The operators of a Test.
const (
	OpIn     = "in"     // the value is one of the texts
	OpPrefix = "prefix" // it begins with the text
	OpSuffix = "suffix" // it ends with the text
	OpCIDR   = "cidr"   // it is an address in the network
	OpRange  = "range"  // it is a number from Min to Max
	OpTrue   = "true"   // it is true
	OpOver   = "over"   // it is a number greater than Number
	OpAtMost = "atMost" // it is a number not greater than Number
	OpAge    = "age"    // it is a time more than Seconds ago
)

// A Test compares one variable with literals.
type Test struct {
	Field string   `json:"field"`
	Op    string   `json:"op"`
	Not   bool     `json:"not,omitempty"` // it holds where the comparison does not
	Texts []string `json:"texts,omitempty"`
	Min   int64    `json:"min,omitempty"` // of OpRange, inclusive
	Max   int64    `json:"max,omitempty"` // of OpRange, inclusive

	Number  float64 `json:"number,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`

	field *Field
	set   map[string]bool // of OpIn with many texts
	net   netip.Prefix
	limit time.Duration
}

const (
	minInt = -1 << 63
	maxInt = 1<<63 - 1
)

// Table gives the condition as a table. It is exact when the condition says that
// and nothing else; else the condition is false wherever the table is. It is false
// when nothing can be said in literals.
func (c *Condition) Table() (t Table, exact, ok bool) { return c.table, c.exact, c.guard }

// tabulate makes the table.
func (c *Condition) tabulate() {
	t, exact, ok := c.rows(c.parsed.Expr(), false)
	if ok && !slices.ContainsFunc(t, func(r Row) bool { return len(r) == 0 }) {
		c.table, c.exact, c.guard = t, exact, true
	}
}

// rows gives the table of x, or of its opposite. Not exact, it holds wherever x
// does.
func (c *Condition) rows(x ast.Expr, not bool) (t Table, exact, ok bool) {
	if x.Kind() == ast.CallKind {
		switch call := x.AsCall(); call.FunctionName() {
		case operators.LogicalNot:
			return c.rows(call.Args()[0], !not)
		case operators.LogicalAnd, operators.LogicalOr:
			all := (call.FunctionName() == operators.LogicalAnd) != not
			t, exact, ok = c.rows(call.Args()[0], not)
			for _, a := range call.Args()[1:] {
				t2, exact2, ok2 := c.rows(a, not)
				switch {
				case all && !ok && !ok2:
				case all && !ok:
					t, exact, ok = t2, false, true
				case all && !ok2:
					exact = false
				case all:
					t, exact = both(t, t2), exact && exact2
					if len(t) > maxRows {
						return nil, false, false
					}
				case !ok || !ok2:
					return nil, false, false
				default:
					t, exact = slices.Concat(t, t2), exact && exact2
					if len(t) > maxRows {
						return nil, false, false
					}
				}
			}
			return t, exact, ok
		}
	}
	if x.Kind() == ast.LiteralKind {
		if b, isBool := x.AsLiteral().(types.Bool); isBool {
			if bool(b) != not {
				return Table{{}}, true, true
			}
			return Table{}, true, true
		}
	}
	test, ok := c.test(x)
	if !ok {
		return nil, false, false
	}
	test.Not = test.Not != not
	return Table{{test}}, true, true
}

// both gives the rows that hold where a row of each table does.
func both(a, b Table) Table {
	if len(a)*len(b) > maxRows {
		return make(Table, maxRows+1)
	}
	var out Table
	for _, x := range a {
		for _, y := range b {
			out = append(out, slices.Concat(x, y))
		}
	}
	return out
}

// test gives the comparison that x is.
func (c *Condition) test(x ast.Expr) (Test, bool) {
	if f := c.field(x); f != nil && f.kind == kindBool {
		return Test{Field: f.Name, Op: OpTrue, field: f}, true
	}
	if x.Kind() != ast.CallKind {
		return Test{}, false
	}
	call := x.AsCall()
	args := call.Args()
	if call.IsMemberFunction() {
		return c.method(call, args)
	}
	if len(args) != 2 {
		return Test{}, false
	}
	op, l, r := call.FunctionName(), args[0], args[1]
	f := c.field(l)
	if op == operators.In {
		values, ok := c.texts(r)
		if f == nil || f.kind != kindText || !ok {
			return Test{}, false
		}
		return in(f, values), true
	}
	if t, ok := c.age(op, l, r); ok {
		return t, true
	}
	if f == nil {
		if f = c.field(r); f == nil {
			return Test{}, false
		}
		r = l
		if turned, ok := map[string]string{operators.Less: operators.Greater, operators.Greater: operators.Less, operators.LessEquals: operators.GreaterEquals, operators.GreaterEquals: operators.LessEquals}[op]; ok {
			op = turned
		}
	}
	switch f.kind {
	case kindText:
		s, ok := text(r)
		if !ok || op != operators.Equals && op != operators.NotEquals {
			return Test{}, false
		}
		t := in(f, []string{s})
		t.Not = op == operators.NotEquals
		return t, true
	case kindBool:
		if r.Kind() != ast.LiteralKind || op != operators.Equals && op != operators.NotEquals {
			return Test{}, false
		}
		b, ok := r.AsLiteral().(types.Bool)
		return Test{Field: f.Name, Op: OpTrue, field: f, Not: bool(b) != (op == operators.Equals)}, ok
	case kindFloat:
		if r.Kind() != ast.LiteralKind {
			return Test{}, false
		}
		n, ok := r.AsLiteral().(types.Double)
		t := Test{Field: f.Name, field: f, Number: float64(n)}
		switch op {
		case operators.Greater:
			t.Op = OpOver
		case operators.LessEquals:
			t.Op = OpAtMost
		default:
			return Test{}, false
		}
		return t, ok
	case kindInt:
		n, ok := c.number(r)
		if !ok {
			return Test{}, false
		}
		t := Test{Field: f.Name, Op: OpRange, field: f, Min: minInt, Max: maxInt}
		switch {
		case op == operators.Equals:
			t.Min, t.Max = n, n
		case op == operators.NotEquals:
			t.Min, t.Max, t.Not = n, n, true
		case op == operators.GreaterEquals:
			t.Min = n
		case op == operators.LessEquals:
			t.Max = n
		case op == operators.Greater && n < maxInt:
			t.Min = n + 1
		case op == operators.Less && n > minInt:
			t.Max = n - 1
		default:
			return Test{}, false
		}
		return t, true
	}
	return Test{}, false
}

// age gives the comparison that now - FIELD > duration("720h") is.
func (c *Condition) age(op string, l, r ast.Expr) (Test, bool) {
	if op != operators.Greater || l.Kind() != ast.CallKind || r.Kind() != ast.CallKind {
		return Test{}, false
	}
	minus, limit := l.AsCall(), r.AsCall()
	if minus.FunctionName() != operators.Subtract || len(minus.Args()) != 2 || limit.FunctionName() != "duration" || limit.IsMemberFunction() || len(limit.Args()) != 1 {
		return Test{}, false
	}
	from, f := minus.Args()[0], c.field(minus.Args()[1])
	s, ok := text(limit.Args()[0])
	d, err := time.ParseDuration(s)
	if f == nil || f.kind != kindTime || from.Kind() != ast.IdentKind || from.AsIdent() != now || !ok || err != nil {
		return Test{}, false
	}
	return Test{Field: f.Name, Op: OpAge, Seconds: d.Seconds(), field: f, limit: d}, true
}

// method gives the comparison that a call of a method is.
func (c *Condition) method(call ast.CallExpr, args []ast.Expr) (Test, bool) {
	if len(args) != 1 {
		return Test{}, false
	}
	switch name := call.FunctionName(); name {
	case "startsWith", "endsWith":
		f := c.field(call.Target())
		s, ok := text(args[0])
		if f == nil || f.kind != kindText || !ok {
			return Test{}, false
		}
		op := OpPrefix
		if name == "endsWith" {
			op = OpSuffix
		}
		return Test{Field: f.Name, Op: op, Texts: []string{s}, field: f}, true
	case "containsIP":
		if call.Target().Kind() != ast.CallKind || call.Target().AsCall().FunctionName() != "cidr" || len(call.Target().AsCall().Args()) != 1 {
			return Test{}, false
		}
		s, ok := text(call.Target().AsCall().Args()[0])
		f := c.field(args[0])
		net, err := netip.ParsePrefix(s)
		if !ok || f == nil || f.kind != kindText || err != nil || net.Addr().Is4In6() {
			return Test{}, false
		}
		return Test{Field: f.Name, Op: OpCIDR, Texts: []string{s}, field: f, net: net.Masked()}, true
	}
	return Test{}, false
}

func in(f *Field, values []string) Test {
	values = slices.Clone(values)
	slices.Sort(values)
	t := Test{Field: f.Name, Op: OpIn, Texts: slices.Compact(values), field: f}
	if len(t.Texts) > 4 {
		t.set = make(map[string]bool, len(t.Texts))
		for _, v := range t.Texts {
			t.set[v] = true
		}
	}
	return t
}

// field gives the variable that x is, or nil.
func (c *Condition) field(x ast.Expr) *Field {
	p, ok := path(x)
	if !ok {
		return nil
	}
	slot, ok := c.env.names[strings.Join(p, ".")]
	if !ok || x.Kind() == ast.SelectKind && x.AsSelect().IsTestOnly() {
		return nil
	}
	return &c.env.fields[slot]
}

func text(x ast.Expr) (string, bool) {
	if x.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := x.AsLiteral().(types.String)
	return string(s), ok
}

// number gives the literal or constant that x is.
func (c *Condition) number(x ast.Expr) (int64, bool) {
	if x.Kind() == ast.LiteralKind {
		n, ok := x.AsLiteral().(types.Int)
		return int64(n), ok
	}
	p, ok := path(x)
	if !ok {
		return 0, false
	}
	n, ok := c.env.consts[strings.Join(p, ".")]
	return n, ok
}

// texts gives the texts of a list that is written out or named.
func (c *Condition) texts(x ast.Expr) ([]string, bool) {
	if x.Kind() == ast.ListKind {
		var out []string
		for _, e := range x.AsList().Elements() {
			s, ok := text(e)
			if !ok || len(x.AsList().OptionalIndices()) > 0 {
				return nil, false
			}
			out = append(out, s)
		}
		return out, true
	}
	p, ok := path(x)
	if !ok {
		return nil, false
	}
	l, ok := c.env.lists[strings.Join(p, ".")]
	if !ok {
		return nil, false
	}
	return l.values, true
}

// eval says what the table says of an input, by Kleene's logic of three values.
func (t Table) eval(in *Input) Truth {
	out := No
	for i := range t {
		switch t[i].eval(in) {
		case Yes:
			return Yes
		case Unknown:
			out = Unknown
		}
	}
	return out
}

func (r Row) eval(in *Input) Truth {
	out := Yes
	for i := range r {
		switch r[i].eval(in) {
		case No:
			return No
		case Unknown:
			out = Unknown
		}
	}
	return out
}

func (t *Test) eval(in *Input) Truth {
	c := in.cell(t.field)
	if !c.known {
		return Unknown
	}
	var yes bool
	switch t.Op {
	case OpTrue:
		yes = c.truth
	case OpRange:
		yes = t.Min <= c.number && c.number <= t.Max
	case OpPrefix:
		yes = strings.HasPrefix(c.text, t.Texts[0])
	case OpSuffix:
		yes = strings.HasSuffix(c.text, t.Texts[0])
	case OpCIDR:
		ip, err := netip.ParseAddr(c.text)
		if err != nil || ip.Zone() != "" || ip.Is4In6() {
			return Unknown // as CEL's own function has it
		}
		yes = t.net.Contains(ip)
	case OpOver:
		yes = c.real > t.Number
	case OpAtMost:
		yes = c.real <= t.Number
	case OpAge:
		d := in.now.Sub(c.time)
		if d == math.MaxInt64 || d == math.MinInt64 {
			return Unknown // longer than CEL can count
		}
		yes = d > t.limit
	case OpIn:
		if t.set != nil {
			yes = t.set[c.text]
		} else {
			for _, x := range t.Texts {
				yes = yes || x == c.text
			}
		}
	}
	if yes != t.Not {
		return Yes
	}
	return No
}

// Keys gives a variable and the texts one of which it must have for the condition
// to be true, so that it can be found by them. It is false when there is none.
func (c *Condition) Keys() (field string, texts []string, ok bool) {
	if !c.guard {
		return "", nil, false
	}
	type key struct {
		field string
		n     int
	}
	var best key
	for name := range c.table.candidates() {
		n := 0
		for _, r := range c.table {
			n += len(r.keys(name))
		}
		if best.field == "" || cmp.Or(cmp.Compare(n, best.n), cmp.Compare(name, best.field)) < 0 {
			best = key{name, n}
		}
	}
	if best.field == "" {
		return "", nil, false
	}
	for _, r := range c.table {
		texts = append(texts, r.keys(best.field)...)
	}
	slices.Sort(texts)
	return best.field, slices.Compact(texts), true
}

// candidates gives the variables that every row compares with texts.
func (t Table) candidates() map[string]bool {
	out := map[string]bool{}
	for i, r := range t {
		here := map[string]bool{}
		for _, x := range r {
			if x.Op == OpIn && !x.Not {
				here[x.Field] = i == 0 || out[x.Field]
			}
		}
		for k, ok := range here {
			if !ok {
				delete(here, k)
			}
		}
		out = here
	}
	return out
}

func (r Row) keys(field string) []string {
	for _, x := range r {
		if x.Field == field && x.Op == OpIn && !x.Not {
			return x.Texts
		}
	}
	return nil
}

// A Key reads the text of one variable from a subject, for a look-up by the texts
// of [Condition.Keys].
type Key struct{ field *Field }

// Key gives the reader of a variable that Keys has named.
func (e *Env) Key(name string) Key { return Key{&e.fields[e.names[name]]} }

// Of gives the text; it is false where it is not known.
func (k Key) Of(in *Input) (string, bool) {
	c := in.cell(k.field)
	return c.text, c.known
}
