// SPDX-License-Identifier: Apache-2.0

// Package glob matches names with patterns in which * is any characters and ? is
// one. Nothing else is special, and nothing takes more than linear time.
package glob

import (
	"regexp"
	"strings"
)

// A Glob is a pattern made ready. A nil Glob matches all.
type Glob struct {
	text  string
	plain bool
	re    *regexp.Regexp
}

// maxPattern bounds a pattern with stars, bytes: names are shorter.
const maxPattern = 4096

// New reads a pattern. It never fails: a pattern with stars of more than 4 KiB
// matches nothing.
func New(pattern string) *Glob {
	g := &Glob{text: pattern, plain: !strings.ContainsAny(pattern, "*?")}
	if !g.plain {
		g.re = compile(pattern)
	}
	return g
}

func compile(pattern string) *regexp.Regexp {
	if len(pattern) > maxPattern {
		return nil
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	rest := pattern
	for rest != "" {
		i := strings.IndexAny(rest, "*?")
		if i < 0 {
			i = len(rest)
		}
		b.WriteString(regexp.QuoteMeta(strings.ToValidUTF8(rest[:i], "\uFFFD")))
		if rest = rest[i:]; rest == "" {
			break
		}
		if rest[0] == '?' {
			b.WriteString(`.`)
			rest = rest[1:]
			continue
		}
		b.WriteString(`.*`)
		rest = strings.TrimLeft(rest, "*")
	}
	b.WriteString(`\z`)
	re, err := regexp.Compile(b.String())
	if err != nil {
		return nil
	}
	return re
}

// Match tells whether the whole of s is what the pattern means.
func (g *Glob) Match(s string) bool {
	if g == nil {
		return true
	}
	if g.plain {
		return g.text == s
	}
	return g.re != nil && g.re.MatchString(s)
}
