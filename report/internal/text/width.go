// SPDX-License-Identifier: Apache-2.0

package text

import (
	"strings"
	"unicode"
)

// wide lists the blocks whose characters take two columns on a terminal, after
// Unicode Standard Annex 11 (https://www.unicode.org/reports/tr11/), to the
// block and not to the character.
var wide = [...][2]rune{
	{0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23ec}, {0x25fd, 0x25fe}, {0x2614, 0x2615},
	{0x2648, 0x2653}, {0x267f, 0x267f}, {0x2693, 0x2693}, {0x26a1, 0x26a1}, {0x26aa, 0x26ab},
	{0x26bd, 0x26be}, {0x26c4, 0x26c5}, {0x26ce, 0x26ce}, {0x26d4, 0x26d4}, {0x26ea, 0x26ea},
	{0x26f2, 0x26f3}, {0x26f5, 0x26f5}, {0x26fa, 0x26fa}, {0x26fd, 0x26fd}, {0x2705, 0x2705},
	{0x270a, 0x270b}, {0x2728, 0x2728}, {0x274c, 0x274c}, {0x274e, 0x274e}, {0x2753, 0x2755},
	{0x2757, 0x2757}, {0x2795, 0x2797}, {0x27b0, 0x27b0}, {0x27bf, 0x27bf}, {0x2b1b, 0x2b1c},
	{0x2b50, 0x2b50}, {0x2b55, 0x2b55}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf},
	{0x4e00, 0x9fff}, {0xa000, 0xa4cf}, {0xa960, 0xa97f}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
	{0xfe30, 0xfe6f}, {0xff01, 0xff60}, {0xffe0, 0xffe6}, {0x16fe0, 0x18aff}, {0x1b000, 0x1b2ff},
	{0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a},
	{0x1f200, 0x1f320}, {0x1f32d, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f7e0, 0x1f7eb},
	{0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
}

func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	for _, w := range wide {
		if r < w[0] {
			break
		}
		if r <= w[1] {
			return 2
		}
	}
	return 1
}

// Width gives the columns that a clean string takes on a terminal, to a good
// approximation.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// Cut gives s in at most width columns, its end replaced by mark where it is
// longer. A width that is smaller than the mark gives "".
func Cut(s string, width int, mark string) string {
	if len(s) <= width || Width(s) <= width {
		return s
	}
	room := width - Width(mark)
	if room < 0 {
		return ""
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > room {
			return strings.TrimRight(s[:i], " ") + mark
		}
	}
	return s
}

// CutLeft is Cut at the start: the end of a path says more than its beginning.
func CutLeft(s string, width int, mark string) string {
	if len(s) <= width || Width(s) <= width {
		return s
	}
	room := width - Width(mark)
	if room < 0 {
		return ""
	}
	over := Width(s) - room
	for i, r := range s {
		if over <= 0 && runeWidth(r) > 0 {
			return mark + s[i:]
		}
		over -= runeWidth(r)
	}
	return mark
}

// Pad gives s with spaces after it up to width columns.
func Pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-Width(s)))
}

// PadLeft gives s with spaces before it up to width columns.
func PadLeft(s string, width int) string {
	return strings.Repeat(" ", max(0, width-Width(s))) + s
}

// Wrap gives a clean string as lines of at most width columns, broken at spaces
// and, in words that are longer, anywhere. It gives at least one line.
func Wrap(s string, width int) []string {
	width = max(width, 2)
	var lines []string
	line, n := "", 0
	for word := range strings.FieldsSeq(s) {
		w := Width(word)
		if n > 0 && n+1+w <= width {
			line, n = line+" "+word, n+1+w
			continue
		}
		if n > 0 {
			lines = append(lines, line)
		}
		for w > width {
			head := Cut(word, width, "")
			if head == "" {
				break
			}
			lines = append(lines, head)
			word = word[len(head):]
			w = Width(word)
		}
		line, n = word, w
	}
	return append(lines, line)
}
