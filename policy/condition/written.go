// SPDX-License-Identifier: Apache-2.0

package condition

import "cel.dev/cel-go/common/ast"

// written gives an expression as somebody wrote it, with the calls of macros in
// place of what CEL makes of them.
func written(parsed *ast.AST) *ast.AST {
	if len(parsed.SourceInfo().MacroCalls()) == 0 {
		return parsed
	}
	w := writer{info: parsed.SourceInfo(), f: ast.NewExprFactory()}
	info := ast.CopySourceInfo(w.info)
	for id := range w.info.MacroCalls() {
		info.ClearMacroCall(id)
	}
	return ast.NewAST(w.expr(parsed.Expr()), info)
}

type writer struct {
	info *ast.SourceInfo
	f    ast.ExprFactory
}

func (w *writer) list(all []ast.Expr) []ast.Expr {
	out := make([]ast.Expr, len(all))
	for i, x := range all {
		out[i] = w.expr(x)
	}
	return out
}

func (w *writer) expr(x ast.Expr) ast.Expr {
	id := x.ID()
	if call, ok := w.info.GetMacroCall(id); ok {
		x = call
	}
	switch x.Kind() {
	case ast.CallKind:
		call := x.AsCall()
		if call.IsMemberFunction() {
			return w.f.NewMemberCall(id, call.FunctionName(), w.expr(call.Target()), w.list(call.Args())...)
		}
		return w.f.NewCall(id, call.FunctionName(), w.list(call.Args())...)
	case ast.SelectKind:
		s := x.AsSelect()
		if s.IsTestOnly() {
			return w.f.NewPresenceTest(id, w.expr(s.Operand()), s.FieldName())
		}
		return w.f.NewSelect(id, w.expr(s.Operand()), s.FieldName())
	case ast.ListKind:
		l := x.AsList()
		return w.f.NewList(id, w.list(l.Elements()), l.OptionalIndices())
	case ast.MapKind:
		var entries []ast.EntryExpr
		for _, e := range x.AsMap().Entries() {
			m := e.AsMapEntry()
			entries = append(entries, w.f.NewMapEntry(e.ID(), w.expr(m.Key()), w.expr(m.Value()), m.IsOptional()))
		}
		return w.f.NewMap(id, entries)
	}
	return w.f.CopyExpr(x)
}
