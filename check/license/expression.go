// SPDX-License-Identifier: Apache-2.0

package license

import (
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Limits of one expression. Real ones have a few hundred bytes, three levels of
// parentheses and, in the copyright files of distributions, a hundred terms.
const (
	maxExpression = 8 << 10
	maxDepth      = 32
	maxTerms      = 512
)

// An operator joins terms. The zero operator is none: a single licence.
type operator int

const (
	single operator = iota
	and
	or
)

// An Expression is an SPDX licence expression
// (https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/).
// The zero Expression says nothing. It is immutable and safe for concurrent use.
type Expression struct {
	op        operator
	id        string // canonical id, "LicenseRef-…" or "DocumentRef-…:LicenseRef-…"
	later     bool   // "+"
	exception string // canonical exception or "AdditionRef-…"
	terms     []Expression
}

// Parse reads an SPDX licence expression strictly: ids of the SPDX list in any
// case, "+", WITH and an exception, AND, OR, parentheses, LicenseRef,
// DocumentRef and AdditionRef. Anything else, NONE and NOASSERTION included, is
// [bulwark.ErrUnsupported]; an expression of more than 8 KiB, 512 terms or 32
// levels of parentheses is [bulwark.ErrTooLarge].
func Parse(s string) (Expression, error) {
	if len(s) > maxExpression {
		return Expression{}, fmt.Errorf("licence expression of %d bytes: %w", len(s), bulwark.ErrTooLarge)
	}
	p := parser{words: words(s), atom: strictAtom}
	e, err := p.all()
	if err != nil {
		return Expression{}, fmt.Errorf("licence expression %q: %w", clip(s), err)
	}
	return e, nil
}

// Zero tells whether e says nothing.
func (e Expression) Zero() bool { return e.op == single && e.id == "" }

// String writes e in canonical form; "" for the zero Expression.
func (e Expression) String() string {
	var b strings.Builder
	e.write(&b, single)
	return b.String()
}

func (e Expression) write(b *strings.Builder, outer operator) {
	if e.op == single {
		b.WriteString(e.id)
		if e.later {
			b.WriteByte('+')
		}
		if e.exception != "" {
			b.WriteString(" WITH " + e.exception)
		}
		return
	}
	// AND binds closer than OR, but readers are not sure of it.
	nested := outer != single && outer != e.op
	if nested {
		b.WriteByte('(')
	}
	word := " AND "
	if e.op == or {
		word = " OR "
	}
	for i, t := range e.terms {
		if i > 0 {
			b.WriteString(word)
		}
		t.write(b, e.op)
	}
	if nested {
		b.WriteByte(')')
	}
}

// Licenses gives the ids in e, each once and in its order, with "+" and
// exceptions: "GPL-2.0-only WITH Classpath-exception-2.0".
func (e Expression) Licenses() []string {
	var out []string
	seen := map[string]bool{}
	e.each(func(t Expression) {
		if s := t.String(); s != "" && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	})
	return out
}

func (e Expression) each(f func(Expression)) {
	if e.op == single {
		f(e)
	}
	for _, t := range e.terms {
		t.each(f)
	}
}

// join puts terms together, flat where they have the same operator and each
// once.
func join(op operator, terms []Expression) Expression {
	out := Expression{op: op}
	seen := map[string]bool{}
	add := func(t Expression) {
		s := t.String()
		if s != "" && !seen[s] {
			seen[s] = true
			out.terms = append(out.terms, t)
		}
	}
	for _, t := range terms {
		if t.op != op {
			add(t)
			continue
		}
		for _, inner := range t.terms {
			add(inner)
		}
	}
	switch len(out.terms) {
	case 0:
		return Expression{}
	case 1:
		return out.terms[0]
	}
	return out
}

// words splits an expression; parentheses are words.
func words(s string) []string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "(", " ( "), ")", " ) ")
	return strings.Fields(s)
}

// A parser reads words by recursive descent. How a licence is written is up to
// atom: strict ids, or what packages write.
type parser struct {
	words []string
	terms int
	// atom reads the words of one licence and the exception after WITH, if any.
	atom func(name, exception []string) (Expression, bool)
}

func (p *parser) all() (Expression, error) {
	e, err := p.or(0)
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("unexpected %q: %w", clip(p.words[0]), bulwark.ErrUnsupported)
	}
	return e, err
}

func (p *parser) next(word string) bool {
	if len(p.words) > 0 && strings.EqualFold(p.words[0], word) {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *parser) or(depth int) (Expression, error) {
	return p.list(or, "OR", func() (Expression, error) { return p.and(depth) })
}

func (p *parser) and(depth int) (Expression, error) {
	return p.list(and, "AND", func() (Expression, error) { return p.simple(depth) })
}

func (p *parser) list(op operator, word string, term func() (Expression, error)) (Expression, error) {
	var terms []Expression
	for {
		t, err := term()
		if err != nil {
			return Expression{}, err
		}
		terms = append(terms, t)
		if !p.next(word) {
			return join(op, terms), nil
		}
	}
}

func (p *parser) simple(depth int) (Expression, error) {
	if p.terms++; depth > maxDepth || p.terms > maxTerms {
		return Expression{}, fmt.Errorf("too deep or too long: %w", bulwark.ErrTooLarge)
	}
	if p.next("(") {
		e, err := p.or(depth + 1)
		if err == nil && !p.next(")") {
			err = fmt.Errorf("a parenthesis is open: %w", bulwark.ErrUnsupported)
		}
		return e, err
	}
	name := p.run()
	var exception []string
	if len(name) > 0 && p.next("WITH") {
		if exception = p.run(); len(exception) == 0 {
			return Expression{}, fmt.Errorf("no exception after WITH: %w", bulwark.ErrUnsupported)
		}
	}
	e, ok := p.atom(name, exception)
	if !ok {
		return Expression{}, fmt.Errorf("%q is no licence: %w", clip(strings.Join(name, " ")), bulwark.ErrUnsupported)
	}
	return e, nil
}

// run takes the words up to the next operator or parenthesis.
func (p *parser) run() []string {
	n := 0
	for n < len(p.words) && !operatorWord(p.words[n]) {
		n++
	}
	out := p.words[:n]
	p.words = p.words[n:]
	return out
}

func operatorWord(w string) bool {
	return w == "(" || w == ")" || strings.EqualFold(w, "AND") || strings.EqualFold(w, "OR") || strings.EqualFold(w, "WITH")
}

// strictAtom reads one SPDX id and one exception.
func strictAtom(name, exception []string) (Expression, bool) {
	if len(name) != 1 || len(exception) > 1 {
		return Expression{}, false
	}
	e, ok := licence(name[0])
	if ok && len(exception) == 1 {
		e.exception, ok = exceptionID(exception[0])
	}
	return e, ok
}

// licence reads an SPDX id, an id with "+", or a reference.
func licence(s string) (Expression, bool) {
	if id, ok := known().licenses[strings.ToLower(s)]; ok {
		return Expression{id: id}, true
	}
	if base, ok := strings.CutSuffix(s, "+"); ok {
		id, ok := known().licenses[strings.ToLower(base)]
		return Expression{id: id, later: true}, ok
	}
	return Expression{id: s}, reference(s)
}

// reference tells whether s is a LicenseRef, with or without a DocumentRef.
func reference(s string) bool {
	if doc, ref, ok := strings.Cut(s, ":"); ok {
		name, ok := strings.CutPrefix(doc, "DocumentRef-")
		if !ok || !idString(name) {
			return false
		}
		s = ref
	}
	name, ok := strings.CutPrefix(s, "LicenseRef-")
	return ok && idString(name)
}

func exceptionID(s string) (string, bool) {
	if id, ok := known().exceptions[strings.ToLower(s)]; ok {
		return id, true
	}
	name, ok := strings.CutPrefix(s, "AdditionRef-")
	return s, ok && idString(name)
}

// idString tells whether s is an idstring: letters, digits, "-" and ".".
func idString(s string) bool {
	for i := range len(s) {
		if !idByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func idByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.'
}

// clip bounds a string that is repeated in an error or a finding.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
