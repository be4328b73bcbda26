// SPDX-License-Identifier: Apache-2.0

package npm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// maxDepth bounds nested values that are descended into. The tree of a version
// 1 lock file is rarely deeper than 20.
const maxDepth = 128

var errJSON = errors.New("malformed JSON")

func indexByte(b []byte, c byte) int { return bytes.IndexByte(b, c) }

// A scanner walks over a JSON text without building it. It exists because a
// tree of node_modules has thousands of package.json files, of which two or
// three short strings each are wanted, and because lines are. It is lenient: a
// value that is skipped is not checked beyond its brackets and strings.
type scanner struct {
	done func() error // tells that the context is done
	data []byte
	pos  int
	// at and line are a place that has been counted to.
	at, line int
	keys     int
	long     string // what text gives for a string that is too long
}

func newScanner(ctx context.Context, data []byte) *scanner {
	return &scanner{done: ctx.Err, data: bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), line: 1}
}

// lineOf gives the line of a position that is not before the last one asked for.
func (s *scanner) lineOf(pos int) int {
	if pos > s.at {
		s.line += bytes.Count(s.data[s.at:pos], []byte{'\n'})
		s.at = pos
	}
	return s.line
}

func (s *scanner) errorf(what string) error {
	return fmt.Errorf("%s at byte %d: %w", what, s.pos, errJSON)
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek gives the first byte of the next value, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.pos >= len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// raw gives the next string with its quotes.
func (s *scanner) raw() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.errorf("no string")
	}
	start := s.pos
	for i := s.pos + 1; i < len(s.data); {
		j := bytes.IndexByte(s.data[i:], '"')
		if j < 0 {
			break
		}
		end := i + j
		slashes := 0
		for end-1-slashes > start && s.data[end-1-slashes] == '\\' {
			slashes++
		}
		if i = end + 1; slashes&1 == 0 {
			s.pos = i
			return s.data[start:i], nil
		}
	}
	return nil, s.errorf("string without end")
}

// unquote gives the text of a string with its quotes.
func unquote(raw []byte) (string, error) {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return string(inner), nil
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err
}

// text gives the next value if it is a string of reasonable size, and "" for
// every other value.
func (s *scanner) text() (string, error) {
	if s.peek() != '"' {
		return "", s.skip()
	}
	raw, err := s.raw()
	if err != nil {
		return "", err
	}
	if len(raw) > maxLine {
		return s.long, nil
	}
	text, err := unquote(raw)
	if err != nil {
		return "", s.errorf("bad escape")
	}
	return text, nil
}

// truth gives the next value if it is true.
func (s *scanner) truth() (bool, error) {
	yes := s.peek() == 't'
	return yes, s.skip()
}

// skip passes the next value.
func (s *scanner) skip() error {
	switch s.peek() {
	case '"':
		_, err := s.raw()
		return err
	case '{', '[':
		return s.skipNested()
	}
	start := s.pos
	for s.pos < len(s.data) && !ends(s.data[s.pos]) {
		s.pos++ // number, true, false, null
	}
	if s.pos == start {
		return s.errorf("no value")
	}
	return nil
}

// skipNested passes an object or an array. Only brackets and strings matter.
func (s *scanner) skipNested() error {
	depth := 0
	for i := s.pos; i < len(s.data); i++ {
		switch s.data[i] {
		case '"':
			s.pos = i
			if _, err := s.raw(); err != nil {
				return err
			}
			i = s.pos - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.pos = i + 1
				return nil
			}
		}
	}
	s.pos = len(s.data)
	return s.errorf("value without end")
}

// ends tells whether c ends a number or a word.
func ends(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', ',', ':', ']', '}', '[', '{', '"':
		return true
	}
	return false
}

// object calls member with each key of the next value, which must be an object,
// and the position of the key. Member must pass the value.
func (s *scanner) object(member func(key string, pos int) error) error {
	return s.members('{', '}', member)
}

// array calls element at each element of the next value, which must be an array.
func (s *scanner) array(element func() error) error {
	return s.members('[', ']', func(string, int) error { return element() })
}

func (s *scanner) members(open, shut byte, member func(key string, pos int) error) error {
	if s.peek() != open {
		return s.errorf("no " + string(rune(open)))
	}
	s.pos++
	if s.peek() == shut {
		s.pos++
		return nil
	}
	for {
		if s.keys++; s.keys%checkEvery == 0 {
			if err := s.done(); err != nil {
				return err
			}
		}
		key, pos := "", s.pos
		if open == '{' {
			raw, err := s.raw()
			if err != nil {
				return err
			}
			pos = s.pos - len(raw)
			if len(raw) <= maxLine {
				if key, err = unquote(raw); err != nil {
					return s.errorf("bad escape")
				}
			}
			if s.peek() != ':' {
				return s.errorf("no colon")
			}
			s.pos++
		}
		if err := member(key, pos); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case shut:
			s.pos++
			return nil
		default:
			return s.errorf("no comma")
		}
	}
}
