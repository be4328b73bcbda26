// SPDX-License-Identifier: Apache-2.0

package opam

import (
	"bytes"
	"context"
	"strings"
)

const (
	// maxText bounds a string, bytes; longer ones are cut.
	maxText = 4096
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// A kind of token.
type kind int

const (
	end kind = iota
	word
	text
	sign
)

type token struct {
	kind kind
	text string // of a word or a string
	sign byte
	line int
}

// A lexer takes opam's format apart: https://opam.ocaml.org/doc/Manual.html#Common-file-format
type lexer struct {
	data []byte
	at   int
	line int
}

// isWord tells whether c belongs to identifiers, names and versions.
func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '-' || c == '+' || c == '.' || c == '~'
}

// next gives the next token. What is never closed ends with the file.
func (l *lexer) next() token {
	for l.at < len(l.data) {
		c, rest := l.data[l.at], l.data[l.at:]
		switch {
		case c == '\n':
			l.line++
			l.at++
		case c <= ' ':
			l.at++
		case c == '#':
			if n := bytes.IndexByte(rest, '\n'); n >= 0 {
				l.at += n
			} else {
				l.at = len(l.data)
			}
		case bytes.HasPrefix(rest, []byte("(*")):
			l.comment()
		case bytes.HasPrefix(rest, []byte(`"""`)):
			return l.triple()
		case c == '"':
			return l.quoted()
		case isWord(c):
			from := l.at
			for l.at < len(l.data) && isWord(l.data[l.at]) {
				l.at++
			}
			return token{kind: word, text: string(l.data[from:min(l.at, from+maxText)]), line: l.line}
		default:
			l.at++
			return token{kind: sign, sign: c, line: l.line}
		}
	}
	return token{line: l.line}
}

// comment passes over a comment, in which others may be nested.
func (l *lexer) comment() {
	depth := 0
	for l.at < len(l.data) {
		switch rest := l.data[l.at:]; {
		case bytes.HasPrefix(rest, []byte("(*")):
			depth++
			l.at += 2
		case bytes.HasPrefix(rest, []byte("*)")):
			l.at += 2
			if depth--; depth == 0 {
				return
			}
		default:
			if rest[0] == '\n' {
				l.line++
			}
			l.at++
		}
	}
}

// triple reads a string in three quotes.
func (l *lexer) triple() token {
	t := token{kind: text, line: l.line}
	rest := l.data[l.at+3:]
	n := bytes.Index(rest, []byte(`"""`))
	if n < 0 {
		n = len(rest)
	}
	l.line += bytes.Count(rest[:n], []byte{'\n'})
	l.at = min(len(l.data), l.at+3+n+3)
	t.text = string(rest[:min(n, maxText)])
	return t
}

// quoted reads a string. Of the escapes it knows those that stand for
// themselves; names, versions and licences need no other.
func (l *lexer) quoted() token {
	t := token{kind: text, line: l.line}
	var b strings.Builder
	for l.at++; l.at < len(l.data); {
		c := l.data[l.at]
		l.at++
		switch c {
		case '"':
			t.text = b.String()
			return t
		case '\n':
			l.line++
		case '\\':
			if l.at == len(l.data) {
				return t
			}
			c = l.data[l.at]
			l.at++
			if c == '\n' {
				l.line++
				continue
			}
		}
		if b.Len() < maxText {
			b.WriteByte(c)
		}
	}
	return t
}

// fields calls yield with each token that belongs to a field of the file itself,
// not of a section in it, and with the number of braces that are open around it:
// those hold conditions. A brace counts itself.
func fields(ctx context.Context, data []byte, yield func(field string, t token, braces int)) error {
	var (
		l                = lexer{data: data, line: 1}
		field            string
		held             token
		braces, brackets int
	)
	for n := 1; ; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		t := l.next()
		if t.kind == end {
			return ctx.Err()
		}
		if braces == 0 && brackets == 0 {
			if t.kind == sign && t.sign == ':' && held.kind == word {
				field, held = held.text, token{}
				continue
			}
			// A word before a colon begins a field; before a brace, with or
			// without a label, it begins a section.
			if c := l.upcoming(); t.kind == word && (c == ':' || c == '{' || c == '"') {
				field = ""
			}
			held = t
		}
		if t.kind == sign {
			switch t.sign {
			case '{':
				braces++
			case '[':
				brackets++
			case ']':
				brackets = max(0, brackets-1)
			}
		}
		if field != "" {
			yield(field, t, braces)
		}
		if t.kind == sign && t.sign == '}' {
			braces = max(0, braces-1)
		}
	}
}

// upcoming gives the next byte that is not space, if it is near.
func (l *lexer) upcoming() byte {
	for _, c := range l.data[l.at:min(len(l.data), l.at+64)] {
		if c > ' ' {
			return c
		}
	}
	return 0
}
