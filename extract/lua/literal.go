// SPDX-License-Identifier: Apache-2.0

package lua

import (
	"bytes"
	"context"
	"errors"
	"strings"
)

const (
	// maxDepth bounds tables inside tables. LuaRocks writes as many as a rock has
	// levels of directories.
	maxDepth = 64
	// maxText bounds a string, bytes; longer ones are read as "".
	maxText = 4096
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

var errDepth = errors.New("tables nested too deeply")

// A kind of token.
type kind int

const (
	end kind = iota
	word
	text
	sign // one byte, of which only = { } [ ] , ; matter
)

type token struct {
	kind kind
	text string // of a word or a string
	sign byte
	line int
}

// A lexer takes Lua apart: https://www.lua.org/manual/5.4/manual.html#3.1
type lexer struct {
	data []byte
	at   int
	line int
}

func (l *lexer) peek(n int) byte {
	if l.at+n < len(l.data) {
		return l.data[l.at+n]
	}
	return 0
}

// next gives the next token. Strings that are never closed end with the file.
func (l *lexer) next() token {
	for l.at < len(l.data) {
		c := l.data[l.at]
		switch {
		case c == '\n':
			l.line++
			l.at++
		case c <= ' ':
			l.at++
		case c == '-' && l.peek(1) == '-':
			l.at += 2
			if _, ok := l.long(); ok {
				continue
			}
			for l.at < len(l.data) && l.data[l.at] != '\n' {
				l.at++
			}
		case c == '"' || c == '\'':
			return l.quoted(c)
		case c == '[' && (l.peek(1) == '[' || l.peek(1) == '='):
			line := l.line
			if s, ok := l.long(); ok {
				return token{kind: text, text: s, line: line}
			}
			l.at++
			return token{kind: sign, sign: c, line: l.line}
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

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// quoted reads a string in quotes. Of the escapes it knows those of one
// character; what names and versions are made of needs none.
func (l *lexer) quoted(quote byte) token {
	t := token{kind: text, line: l.line}
	var b strings.Builder
	for l.at++; l.at < len(l.data); {
		c := l.data[l.at]
		l.at++
		switch c {
		case quote:
			t.text = b.String()
			return t
		case '\n': // without a backslash a string ends with its line
			l.line++
			return t
		case '\\':
			c = l.peek(0)
			l.at++
			switch c {
			case 'n':
				c = '\n'
			case '\n':
				l.line++
			}
		}
		if b.Len() < maxText {
			b.WriteByte(c)
		}
	}
	l.at = min(l.at, len(l.data))
	return t
}

// long reads a string in long brackets, [[…]] or [==[…]==], if one starts here.
func (l *lexer) long() (string, bool) {
	if l.peek(0) != '[' {
		return "", false
	}
	level := 0
	for l.peek(1+level) == '=' {
		level++
	}
	if l.peek(1+level) != '[' || level > maxText {
		return "", false
	}
	rest := l.data[l.at+level+2:]
	closing := "]" + strings.Repeat("=", level) + "]"
	n := bytes.Index(rest, []byte(closing))
	if n < 0 {
		n = len(rest)
	}
	l.line += bytes.Count(rest[:n], []byte{'\n'})
	l.at = min(len(l.data), l.at+level+2+n+len(closing))
	return strings.TrimPrefix(string(rest[:min(n, maxText)]), "\n"), true
}

// literals calls yield with each string that is assigned, its names from the
// outside in, and its line: description = { license = "MIT" } has the names
// "description" and "license". A table that is returned has the name "return".
// Path is valid during the call only. What is not a literal is passed over.
func literals(ctx context.Context, data []byte, yield func(path []string, value string, line int)) error {
	var (
		l    = lexer{data: data, line: 1}
		path []string // names of the open tables
		name string   // what the next value is assigned to, "" for an element of an array
		held token    // the last word or string, which may turn out to be a name
	)
	for n := 1; ; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		t := l.next()
		switch t.kind {
		case end:
			return ctx.Err()
		case word:
			if t.text == "return" && len(path) == 0 {
				name = t.text
			}
			held = t
		case text:
			if name != "" {
				path = append(path, name)
				yield(path, t.text, t.line)
				path = path[:len(path)-1]
				name = ""
			}
			held = t
		case sign:
			switch t.sign {
			case '=':
				name = held.text
			case '{':
				if len(path) == maxDepth {
					return errDepth
				}
				path, name = append(path, name), ""
			case '}':
				path, name = path[:max(0, len(path)-1)], ""
			case ',', ';':
				name = ""
			}
			if t.sign != ']' && t.sign != '[' {
				held = token{}
			}
		}
	}
}
