// SPDX-License-Identifier: Apache-2.0

// Package inline reads the comments in files that ask to overlook findings. It
// knows their form and their bounds. It does not know which rules there are, what
// a comment reaches, or whether it counts: policy does.
//
// A comment begins with bulwark:ignore right after a comment sign, and ends with
// its line or where the sign says so:
//
//	image: web:1 # bulwark:ignore BW-IMG-0007,secret/* until=2027-01-31 reason="moved in January" owner=web
//
// What is meant as such a comment and cannot be read is told, with the fault.
package inline

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Mark is what such a comment begins with.
const Mark = "bulwark:ignore"

// The bounds on what is read of a file.
const (
	MaxFile  = 1 << 20 // bytes; a person writes less, and generated files have no such comments
	MaxCount = 1000    // suppressions
	maxLine  = 4 << 10 // bytes of a line
	headSize = 8 << 10 // bytes in which a NUL means that the file is not text
)

// Has tells quickly whether data is text that has the mark. Read finds nothing in
// what has not.
func Has(data []byte) bool {
	return bytes.IndexByte(data[:min(len(data), headSize)], 0) < 0 && bytes.Contains(data, []byte(Mark))
}

// A sign begins a comment. The longer ones come first.
type sign struct {
	begins, ends string // "" ends with the line
}

var signs = [...]sign{
	{"{{!--", "--}}"}, {"<!--", "-->"}, {"<%--", "--%>"},
	{"/**", "*/"}, {"/*", "*/"}, {"{#", "#}"}, {"<#", "#>"},
	{"//!", ""}, {"//", ""}, {"--", ""}, {"#", ""}, {";", ""},
}

// Read gives what the comments in the content of the file at name ask for: one
// suppression for each rule that a comment names. Lines are counted from first,
// the line at which data begins in the file. It is [bulwark.ErrTooLarge], with what
// was read until then, when a comment lies beyond MaxFile or there are more than
// MaxCount suppressions. In Markdown only <!-- begins a comment: the rest is prose.
func Read(name string, first int, data []byte) ([]bulwark.Suppression, error) {
	if !Has(data) {
		return nil, nil
	}
	r := reader{data: data, line: max(1, first), end: -1, alone: -1, prose: isProse(name)}
	var out []bulwark.Suppression
	for {
		c, ok := r.next()
		if !ok {
			return out, nil
		}
		if c.at >= MaxFile {
			return out, fmt.Errorf("%s comments beyond the first %d bytes: %w", Mark, MaxFile, bulwark.ErrTooLarge)
		}
		for _, rule := range c.rules {
			if len(out) == MaxCount {
				return out, fmt.Errorf("more than %d rules in %s comments of one file: %w", MaxCount, Mark, bulwark.ErrTooLarge)
			}
			out = append(out, bulwark.Suppression{
				Rule: rule, Until: c.until, Reason: c.reason, Owner: c.owner, Fault: c.fault,
				Location: bulwark.Location{Path: name, Line: c.line},
			})
		}
	}
}

func isProse(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".md", ".markdown", ".mdx":
		return true
	}
	return false
}

// A reader goes from mark to mark. It looks at every byte a few times at most,
// whatever lines there are.
type reader struct {
	data  []byte
	at    int // where it goes on
	line  int // that at lies in
	begin int // of that line
	end   int // of that line; -1 is not known yet
	alone int // end of the first sign in that line that stands alone, or of the line; -1 is not known yet
	prose bool
}

// A comment is what one comment says.
type comment struct {
	at, line int
	rules    []string // at least one, which is "" where there is none
	until    string
	reason   string
	owner    string
	fault    string
}

// next gives the next comment.
func (r *reader) next() (*comment, bool) {
	for {
		i := bytes.Index(r.data[r.at:], []byte(Mark))
		if i < 0 {
			return nil, false
		}
		r.enter(r.at + i)
		if c := r.comment(r.at); c != nil {
			return c, true
		}
	}
}

// enter goes on to i.
func (r *reader) enter(i int) {
	if n := bytes.LastIndexByte(r.data[r.at:i], '\n'); n >= 0 {
		r.line += bytes.Count(r.data[r.at:i], []byte{'\n'})
		r.begin = r.at + n + 1
		r.end, r.alone = -1, -1
	}
	if r.end < 0 {
		r.end = len(r.data)
		if n := bytes.IndexByte(r.data[i:], '\n'); n >= 0 {
			r.end = i + n
		}
	}
	r.at = i
}

// comment reads the comment whose mark stands at i, and goes on behind it. It is
// nil when the mark is only mentioned.
func (r *reader) comment(i int) *comment {
	r.at = i + len(Mark)
	if r.at < r.end && isWord(r.data[r.at]) {
		return nil // the beginning of another word
	}
	before := bytes.TrimRight(r.data[max(r.begin, i-maxLine):i], blanks)
	s, ok := r.sign(before)
	c := &comment{at: i, line: r.line, rules: []string{""}}
	switch {
	case ok:
	case r.prose, i > r.begin && !isBlank(r.data[i-1]):
		return nil
	case len(bytes.TrimLeft(before, blanks+"\xef\xbb\xbf")) == 0:
		c.fault = "no comment sign stands before it in its line"
		return c
	case r.earlier(i):
		c.fault = "other words stand between it and the comment sign"
		return c
	default:
		return nil
	}
	most := min(r.end, r.begin+maxLine)
	if i >= most {
		c.fault = fmt.Sprintf("it lies beyond the first %d bytes of its line", maxLine)
		return c
	}
	body, whole := r.data[min(r.at, most):most], most == r.end
	r.at = max(r.at, most)
	if s.ends != "" {
		if n := bytes.Index(body, []byte(s.ends)); n >= 0 {
			r.at = most - len(body) + n + len(s.ends)
			body, whole = body[:n], true
		}
	}
	if len(body) > 0 && !isBlank(body[0]) {
		c.fault = "a blank has to follow " + Mark
		return c
	}
	c.parse(string(body))
	if !whole {
		c.fault = fmt.Sprintf("it goes on beyond the first %d bytes of its line", maxLine)
	}
	return c
}

// sign gives the sign that before ends with. An asterisk that begins its line goes
// on with a comment of an earlier line.
func (r *reader) sign(before []byte) (sign, bool) {
	for _, s := range signs {
		if bytes.HasSuffix(before, []byte(s.begins)) {
			return s, !r.prose || s.begins == "<!--"
		}
	}
	if rest, ok := bytes.CutSuffix(before, []byte("*")); ok && !r.prose && len(bytes.TrimLeft(rest, blanks)) == 0 {
		return sign{"*", "*/"}, true
	}
	return sign{}, false
}

// earlier tells whether a sign that stands alone lies between the beginning of the
// line and i. It looks at each line once.
func (r *reader) earlier(i int) bool {
	if r.alone < 0 {
		line := r.data[r.begin:min(r.end, r.begin+maxLine)]
		r.alone = r.end
		at := 0
		for word := range bytes.FieldsSeq(line) {
			at += bytes.Index(line[at:], word) + len(word)
			if slices.ContainsFunc(signs[:], func(s sign) bool { return string(word) == s.begins }) {
				r.alone = r.begin + at
				break
			}
		}
	}
	return r.alone < i
}

const blanks = " \t\r\v\f"

func isBlank(b byte) bool { return strings.IndexByte(blanks, b) >= 0 }

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
}
