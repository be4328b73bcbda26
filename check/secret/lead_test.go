// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"testing"
)

// Whatever an expression matches, the filter notices: a lead or a keyword stands
// in it, the cheap looks let it pass, and the window holds it. Matches are drawn
// at random from the expression.
func TestFilterMissesNothing(t *testing.T) {
	c := newCheck(t)
	rnd := rand.New(rand.NewPCG(7, 9))
	for i, r := range c.rules {
		if r.regex == nil || r.Whole {
			continue
		}
		tree, err := syntax.Parse(r.Regex, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		f := c.wide
		if r.limited() {
			f = c.narrow
		}
		tried, missed := 0, 0
		for range 12 {
			var b strings.Builder
			draw(rnd, &b, tree)
			word := b.String()
			if len(word) > 400 {
				continue
			}
			if r.leads == nil && !hasKeyword(r, word) { // the module asks for it anywhere in the file
				word = r.Keywords[0] + "\n" + word
			}
			text := []byte("x = \n" + word + "\n y")
			loc := r.regex.get().FindIndex(text)
			if loc == nil { // a boundary that the drawing does not respect
				continue
			}
			// What follows the secret itself may be left to the next window.
			tried++
			if !notices(c, f, i, text, loc) {
				missed++
				t.Logf("%s: %q", r.ID, word)
			}
		}
		// Keywords of the module do not cover all that its expressions take (a comma in a name).
		if missed*2 > tried {
			t.Errorf("%s: %d of %d missed", r.ID, missed, tried)
		}
		if r.leads != nil && missed > 0 && r.near == nil {
			t.Errorf("%s: the lead misses %d of %d", r.ID, missed, tried)
		}
	}
}

func notices(c *Check, f *filter, rule int, text []byte, loc []int) bool {
	r := c.rules[rule]
	for p, as := f.places.Next(text, 0); p >= 0; p, as = f.places.Next(text, p+2) {
		for _, ai := range as {
			a := &f.anchors[ai]
			at := p - a.before
			if a.rule != rule || !a.matches(text, at) || a.assign && !r.assigned(text, at+len(a.keyword)) || r.near != nil && !r.close(text, at) {
				continue
			}
			if at-r.Back <= loc[0] && at+r.Ahead >= min(loc[1], loc[0]+16) {
				return true
			}
		}
	}
	return false
}

func hasKeyword(r *rule, word string) bool {
	for _, k := range r.Keywords {
		if strings.Contains(strings.ToLower(word), k) {
			return true
		}
	}
	return false
}

// draw writes a text that re matches, save for edges.
func draw(rnd *rand.Rand, b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			s := string(r)
			if re.Flags&syntax.FoldCase != 0 && rnd.IntN(2) == 0 {
				s = strings.ToUpper(s)
			}
			b.WriteString(s)
		}
	case syntax.OpCharClass:
		var ascii []rune
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1] && r < 0x7F; r++ {
				if r >= ' ' || r == '\n' || r == '\t' {
					ascii = append(ascii, r)
				}
			}
		}
		if len(ascii) > 0 {
			b.WriteRune(ascii[rnd.IntN(len(ascii))])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('.') // most that are not escaped mean this
	case syntax.OpCapture:
		draw(rnd, b, re.Sub[0])
	case syntax.OpConcat:
		for _, s := range re.Sub {
			draw(rnd, b, s)
		}
	case syntax.OpAlternate:
		draw(rnd, b, re.Sub[rnd.IntN(len(re.Sub))])
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		low, high := 0, 4
		switch re.Op {
		case syntax.OpPlus:
			low = 1
		case syntax.OpQuest:
			high = 1
		case syntax.OpRepeat:
			low, high = re.Min, re.Max
			if high < 0 || high > low+8 {
				high = low + 8
			}
		}
		for range low + rnd.IntN(max(1, high-low+1)) {
			draw(rnd, b, re.Sub[0])
		}
	}
}
