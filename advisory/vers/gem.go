// SPDX-License-Identifier: Apache-2.0

package vers

import "strings"

// compareGem orders RubyGems versions as Gem::Version does: numbers and words,
// a word before any number, missing segments as zero, and zeros that end the
// leading numbers dropped; see
// https://docs.ruby-lang.org/en/master/Gem/Version.html.
func compareGem(a, b string) (int, error) {
	x, y := gemSegments{rest: a}, gemSegments{rest: b}
	xs, xok := x.next()
	ys, yok := y.next()
	if !xok && !hasSegment(a) {
		return 0, unreadable(schemeGem, a, "it has neither number nor word")
	}
	if !yok && !hasSegment(b) {
		return 0, unreadable(schemeGem, b, "it has neither number nor word")
	}
	for xok || yok {
		if c := compareSegments(xs, ys); c != 0 {
			return c, nil
		}
		xs, xok = x.next()
		ys, yok = y.next()
	}
	return 0, nil
}

// compareSegments orders two segments; "" is a missing one, zero.
func compareSegments(x, y string) int {
	xword, yword := x != "" && !isDigit(x[0]), y != "" && !isDigit(y[0])
	switch {
	case xword && yword:
		return strings.Compare(x, y)
	case xword:
		return -1
	case yword:
		return 1
	default:
		return compareNumbers(x, y)
	}
}

// hasSegment tells whether there is anything to compare in s.
func hasSegment(s string) bool {
	for i := range len(s) {
		if isAlnum(s[i]) {
			return true
		}
	}
	return false
}

// gemSegments reads the canonical segments of a version one by one.
type gemSegments struct {
	rest  string
	zeros int  // zeros to give before rest
	words bool // a word was seen: zeros are no longer dropped
}

// next gives the next segment: a number, or a word. A hyphen is the word pre.
func (g *gemSegments) next() (string, bool) {
	for g.zeros == 0 {
		for g.rest != "" && !isAlnum(g.rest[0]) && g.rest[0] != '-' {
			g.rest = g.rest[1:]
		}
		switch {
		case g.rest == "":
			return "", false
		case g.rest[0] == '-':
			g.rest, g.words = g.rest[1:], true
			return "pre", true
		}
		if n := letterRun(g.rest); n > 0 {
			word := g.rest[:n]
			g.rest, g.words = g.rest[n:], true
			return word, true
		}
		n := digitRun(g.rest)
		number := g.rest[:n]
		g.rest = g.rest[n:]
		if g.words || !isZero(number) {
			return number, true
		}
		g.skipZeros()
	}
	g.zeros--
	return "0", true
}

// skipZeros goes on after a first zero until something else comes, and keeps
// the count only if that is a number.
func (g *gemSegments) skipZeros() {
	zeros := 1
	for g.rest != "" {
		n := digitRun(g.rest)
		switch {
		case n > 0 && isZero(g.rest[:n]):
			zeros++
			g.rest = g.rest[n:]
		case n > 0:
			g.zeros = zeros
			return
		case isLetter(g.rest[0]) || g.rest[0] == '-':
			return
		default:
			g.rest = g.rest[1:]
		}
	}
}
