// SPDX-License-Identifier: Apache-2.0

package hex

import (
	"bytes"
	"context"
	"errors"
)

// The kinds of token beside punctuation, which stands for itself.
const (
	end     = 0
	text    = 's' // a string, a binary
	atom    = 'a' // an atom, a word, a number
	keyword = 'k' // "key:" in a keyword list of Elixir
)

// checkEvery says after how many tokens the scanner asks whether to go on.
const checkEvery = 1024

var errString = errors.New("string without end")

// A token is a piece of an Erlang or Elixir term. Its text is a part of the file.
type token struct {
	kind byte
	text []byte
	line int // from 1
}

// A scanner cuts literal terms of Erlang and Elixir into tokens: tuples, lists,
// maps, strings, binaries, atoms, numbers. It builds nothing, so nested terms
// cost nothing. What it does not know is passed over.
type scanner struct {
	done      func() error
	data      []byte
	comment   byte // '%' in Erlang, '#' in Elixir
	pos, line int
	count     int
	err       error // why the tokens ended early
}

func newScanner(ctx context.Context, data []byte, comment byte) *scanner {
	return &scanner{done: ctx.Err, data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), comment: comment, line: 1}
}

// next gives the next token; its kind is end at the end of the file, after an
// error, and when the context is done.
func (s *scanner) next() token {
	if s.count++; s.count%checkEvery == 0 && s.err == nil {
		s.err = s.done()
	}
	for s.err == nil && s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '\n':
			s.line++
			s.pos++
		case c == s.comment:
			if n := bytes.IndexByte(s.data[s.pos:], '\n'); n >= 0 {
				s.pos += n
			} else {
				s.pos = len(s.data)
			}
		case c == '{' || c == '}' || c == '[' || c == ']' || c == ',':
			s.pos++
			return token{kind: c, line: s.line}
		case c == '"':
			return s.quoted('"', text)
		case c == '\'':
			return s.quoted('\'', atom)
		case c == '<' && bytes.HasPrefix(s.data[s.pos:], []byte(`<<"`)):
			s.pos += 2
			t := s.quoted('"', text)
			rest := s.data[s.pos:min(len(s.data), s.pos+16)] // a type may follow: /utf8
			if n := bytes.Index(rest, []byte(">>")); n >= 0 {
				s.pos += n + 2
			}
			return t
		case c == '$' && s.comment == '%': // a character, which may be a quote
			s.pos += 2
		case c == ':' && s.pos+1 < len(s.data) && s.data[s.pos+1] == '"':
			s.pos++
			return s.quoted('"', atom)
		case c == ':' && s.pos+1 < len(s.data) && word(s.data[s.pos+1]):
			s.pos++
			return s.word()
		case c == ':':
			s.pos++
			return token{kind: ':', line: s.line}
		case c == '=' && s.pos+1 < len(s.data) && s.data[s.pos+1] == '>':
			s.pos += 2
			return token{kind: ':', line: s.line}
		case word(c):
			t := s.word()
			if s.pos < len(s.data) && s.data[s.pos] == ':' {
				s.pos++
				t.kind = keyword
			}
			return t
		default:
			s.pos++
		}
	}
	return token{line: s.line}
}

// word tells whether c may stand in an atom without quotes or in a number.
func word(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '@' || c == '.' || c == '-'
}

func (s *scanner) word() token {
	start := s.pos
	for s.pos < len(s.data) && word(s.data[s.pos]) {
		s.pos++
	}
	return token{kind: atom, text: s.data[start:s.pos], line: s.line}
}

// quoted reads up to the closing quote. Escapes stay as they are: nothing that
// is wanted has one.
func (s *scanner) quoted(quote, kind byte) token {
	t := token{kind: kind, line: s.line}
	start := s.pos + 1
	for i := start; i < len(s.data); i++ {
		switch s.data[i] {
		case '\n':
			s.line++
		case '\\':
			i++
			if i < len(s.data) && s.data[i] == '\n' {
				s.line++
			}
		case quote:
			t.text, s.pos = s.data[start:i], i+1
			return t
		}
	}
	s.err, s.pos = errString, len(s.data)
	return token{line: s.line}
}

// A tuple is the flat part of a term: its first elements as far as they are
// strings and atoms, and the tag of a repository in what is nested in it.
type tuple struct {
	field [8][]byte
	tag   []byte
}

// tuple reads a tuple whose opening brace was the last token, to its end; whole
// tells that it has one.
func (s *scanner) tuple() (tu tuple, whole bool) {
	var prev token
	for depth, index := 1, 0; depth > 0; {
		t := s.next()
		switch t.kind {
		case end:
			return tu, false
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 1 {
				index++
			} else if string(prev.text) == "tag" { // {tag, "1.0"}
				continue
			}
		case text, atom:
			if depth == 1 && index < len(tu.field) {
				tu.field[index] = t.text
			}
			if depth > 1 && string(prev.text) == "tag" && t.kind == text && tu.tag == nil {
				tu.tag = t.text
			}
		}
		prev = t
	}
	return tu, true
}
