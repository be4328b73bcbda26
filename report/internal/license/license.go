// SPDX-License-Identifier: Apache-2.0

// Package license knows which words are SPDX licence ids and which strings are
// SPDX licence expressions (https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/).
// It does not guess: "GPLv2+" is no id, whatever was meant. It does not know
// what a licence permits.
package license

import (
	_ "embed" // the list of ids
	"strings"
	"sync"
)

//go:embed ids.txt
var ids string

type list struct{ licenses, exceptions map[string]string } // lower case to canonical

var known = sync.OnceValue(func() list {
	l := list{licenses: map[string]string{}, exceptions: map[string]string{}}
	into := l.licenses
	for line := range strings.Lines(ids) {
		line = strings.TrimSpace(line)
		switch {
		case line == "--":
			into = l.exceptions
		case line != "" && line[0] != '#':
			into[strings.ToLower(line)] = line
		}
	}
	return l
})

// maxExpression bounds the length of an expression in bytes, maxDepth its
// parentheses. Real ones have a few hundred and three.
const (
	maxExpression = 4096
	maxDepth      = 32
)

// ID gives the canonical spelling of an SPDX licence id, and whether s is one.
func ID(s string) (string, bool) {
	id, ok := known().licenses[strings.ToLower(s)]
	return id, ok
}

// An Expression is a well-formed SPDX licence expression.
type Expression struct {
	Text   string // canonical
	Single bool   // one id, no operator, no "+", no LicenseRef
	Or     bool   // OR stands outside all parentheses
}

// Parse reads an SPDX licence expression. It is not ok for anything else,
// NONE and NOASSERTION included. LicenseRef ids are refused, because they mean
// something only inside the document that explains them.
func Parse(s string) (e Expression, ok bool) {
	if len(s) > maxExpression {
		return Expression{}, false
	}
	p := parser{words: words(s)}
	text, or := p.or(0)
	if p.bad || len(p.words) > 0 || text == "" {
		return Expression{}, false
	}
	_, single := ID(text)
	return Expression{Text: text, Single: single, Or: or}, true
}

func words(s string) []string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "(", " ( "), ")", " ) ")
	return strings.Fields(s)
}

type parser struct {
	words []string
	bad   bool
}

func (p *parser) next(word string) bool {
	if len(p.words) > 0 && strings.EqualFold(p.words[0], word) {
		p.words = p.words[1:]
		return true
	}
	return false
}

func (p *parser) or(depth int) (string, bool) {
	s, or := p.and(depth), false
	for !p.bad && p.next("OR") {
		s, or = s+" OR "+p.and(depth), true
	}
	return s, or
}

func (p *parser) and(depth int) string {
	s := p.simple(depth)
	for !p.bad && p.next("AND") {
		s += " AND " + p.simple(depth)
	}
	return s
}

func (p *parser) simple(depth int) string {
	if depth > maxDepth || len(p.words) == 0 {
		p.bad = true
		return ""
	}
	if p.next("(") {
		s, _ := p.or(depth + 1)
		if !p.next(")") {
			p.bad = true
		}
		return "(" + s + ")"
	}
	word := p.words[0]
	p.words = p.words[1:]
	id, ok := ID(word)
	if !ok {
		var base string
		if base, ok = strings.CutSuffix(word, "+"); ok {
			id, ok = ID(base)
			id += "+"
		}
	}
	if !ok {
		p.bad = true
		return ""
	}
	if p.next("WITH") {
		if len(p.words) == 0 {
			p.bad = true
			return ""
		}
		exception, ok := known().exceptions[strings.ToLower(p.words[0])]
		if !ok {
			p.bad = true
			return ""
		}
		p.words = p.words[1:]
		id += " WITH " + exception
	}
	return id
}
