// SPDX-License-Identifier: Apache-2.0

package document

import (
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// text gives a scalar's value and where its content begins.
func (r *reader) text(n *yaml.Node) Text {
	t := Text{Value: n.Value, Place: r.place(n)}
	switch {
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		t.Place.Column++
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		t.Place.Line++
		t.Place.Column = 1 + r.indent(n)
	}
	return t
}

// indent gives the characters before each line of a block scalar: its first line
// that is not empty is, in the file, that much longer.
func (r *reader) indent(n *yaml.Node) int {
	first := strings.TrimLeft(n.Value, "\n")
	first, _, _ = strings.Cut(first, "\n")
	for i := n.Line + 1; i <= len(r.lines); i++ {
		if l := r.lines[i-1]; strings.TrimSpace(l) != "" {
			return max(0, utf8.RuneCountInString(strings.TrimSuffix(l, "\r"))-utf8.RuneCountInString(first))
		}
	}
	return 0
}

// At gives the place of the character that has so many before it in the value.
func (t Text) At(offset int) Place {
	p := t.Place
	for _, c := range t.Value {
		if offset <= 0 {
			break
		}
		offset--
		p.Column++
		if c == '\n' {
			p.Line, p.Column = p.Line+1, t.Place.Column
		}
	}
	return p
}
