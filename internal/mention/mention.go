// SPDX-License-Identifier: Apache-2.0

// Package mention tells which lines of a text name a package at a version, or say
// what another text says in a line: how one thing is found again in other versions
// of a lock file or a settings file. It knows no format; what files of many kinds
// have in common is enough. The texts may be hostile: the work is bounded by a small
// multiple of their length.
package mention

import (
	"bytes"
	"strings"
)

// Of gives a test for what text says of the package name at version or, when it does
// not name it, in line number line, from 1. The test gives the lines of another text
// that say the same, as offsets of their first byte and behind their last one; to is
// 0 when there are none. It keeps neither text. It is nil when there is nothing to
// test for: text leaves the version to another file, say, and the line holds a brace.
func Of(text []byte, name, version string, line int) func([]byte) (from, to int) {
	if name != "" && version != "" {
		if i := strings.LastIndexByte(name, ':'); i >= 0 {
			name = name[i+1:] // Maven's group has a line of its own
		}
	}
	if name != "" && version != "" {
		find := func(b []byte) (from, to int) { return names(b, []byte(name), []byte(version)) }
		if _, to := find(text); to > 0 {
			return find
		}
	}
	said := bytes.Clone(lineOf(text, line))
	if len(bytes.TrimSpace(said)) < 4 { // a brace is nobody's
		return nil
	}
	return func(b []byte) (from, to int) { return hasLine(b, said) }
}

// lineOf gives a line, from 1, without its end.
func lineOf(b []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	for line := range bytes.Lines(b) {
		if n--; n == 0 {
			return bytes.TrimRight(line, "\r\n")
		}
	}
	return nil
}

// hasLine gives the first line of b that says the same.
func hasLine(b, line []byte) (from, to int) {
	for at := 0; at < len(b); {
		i := bytes.Index(b[at:], line)
		if i < 0 {
			return 0, 0
		}
		i += at
		end := i + len(line)
		if (i == 0 || b[i-1] == '\n') && (end == len(b) || b[end] == '\n' || b[end] == '\r') {
			return i, endOfLine(b, end)
		}
		at = endOfLine(b, i) // no other line begins before
	}
	return 0, 0
}

// reach is how many lines below a package's name its version may stand: lock files
// write it on the same line or right below.
const reach = 4

// endOfLine gives where the line after the one at b[i] begins.
func endOfLine(b []byte, i int) int {
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(b)
}

// names gives the lines of b that have a package's name and within reach its
// version. A line is looked at once, however often it has the name.
func names(b, name, version []byte) (from, to int) {
	for at := 0; at < len(b); {
		i := bytes.Index(b[at:], name)
		if i < 0 {
			return 0, 0
		}
		i += at
		at = i + 1
		if !begins(b, i) || !ends(b, i+len(name)) {
			continue
		}
		from, to := bytes.LastIndexByte(b[:i], '\n')+1, i+len(name)
		for range reach {
			to = endOfLine(b, to)
			if isVersion(b[from:to], version) {
				return from, to
			}
		}
		at = endOfLine(b, i)
	}
	return 0, 0
}

func letter(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// begins tells whether a package's name can begin at b[i]: not in the middle of
// another one. What follows "node_modules/" is a whole name.
func begins(b []byte, i int) bool {
	if i == 0 {
		return true
	}
	switch c := b[i-1]; {
	case letter(c), c == '-', c == '.', c == '@':
		return false
	case c == '/':
		before := b[:i-1]
		return bytes.HasSuffix(before, []byte("node_modules")) || len(before) > 0 && in(before[len(before)-1], " \t\n'\"")
	}
	return true
}

// ends tells whether a package's name can end before b[i].
func ends(b []byte, i int) bool {
	return i >= len(b) || !letter(b[i]) && b[i] != '-' && b[i] != '.' && !(b[i] == '/' && i+1 < len(b) && letter(b[i+1]) && !digit(b[i+1]))
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func in(c byte, set string) bool { return strings.IndexByte(set, c) >= 0 }

// isVersion tells whether text has the version, and not only one that it is a part
// of.
func isVersion(text, version []byte) bool {
	for at := 0; ; {
		i := bytes.Index(text[at:], version)
		if i < 0 {
			return false
		}
		i += at
		at = i + 1
		start, end := i, i+len(version)
		if start > 0 && in(text[start-1], "vV") {
			start--
		}
		if start > 0 && (letter(text[start-1]) || text[start-1] == '.') {
			continue
		}
		if end < len(text) && (letter(text[end]) || in(text[end], ".-+") && end+1 < len(text) && letter(text[end+1])) {
			continue
		}
		return true
	}
}
