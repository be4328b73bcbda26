// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"math"
	"math/bits"
	"regexp/syntax"
	"slices"
	"unicode"

	"github.com/bulwark-sec/bulwark/internal/grams"
)

const (
	maxLead  = 32   // classes kept of one lead: enough to tell a token from prose
	maxLeads = 48   // alternatives kept apart before they are merged
	maxGrams = 2048 // four-byte strings that one lead may put into the filter
)

// A set is a set of bytes.
type set [4]uint64

func (s *set) add(b byte)      { s[b>>6] |= 1 << (b & 63) }
func (s *set) has(b byte) bool { return s[b>>6]>>(b&63)&1 != 0 }
func (s *set) union(t *set) {
	for i := range s {
		s[i] |= t[i]
	}
}

// folded gives the members as the filter sees them, see grams.FoldBit: those without
// the bit stand 32 places below those with it.
func (s set) folded() set {
	for i, w := range s {
		s[i] = (w | w<<32) &^ (1<<32 - 1)
	}
	return s
}

func (s *set) len() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2]) + bits.OnesCount64(s[3])
}

// all gives the members in ascending order.
func (s *set) all(yield func(byte) bool) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			if !yield(byte(i<<6 | bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}

// A lead is what every match of an expression begins with: one class for each
// of its first bytes. It lets a hit of the filter be refused without running
// the expression.
type lead struct {
	seq   []set
	exact bool        // the sequence is the whole of what it was made from
	place int         // of the first of two neighbouring grams
	grams [2][]uint32 // the ways to write each
}

// leads gives the ways a match of re can begin, after an optional edge: a
// leading alternative of nothing and one byte, as in (?:^|["']). It gives nil
// when a match can begin with anything.
//
// Non-ASCII letters that fold to ASCII ones (the Kelvin sign, long s) are left
// out: no token has them.
func leads(re *syntax.Regexp) []lead {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op == syntax.OpConcat {
		sub := re.Sub
		for len(sub) > 0 && isEdge(sub[0]) {
			sub = sub[1:]
		}
		return tidy(concat(sub))
	}
	return tidy(walk(re))
}

func tidy(ls []lead) []lead {
	for _, l := range ls {
		if len(l.seq) < 4 {
			return nil
		}
	}
	return ls
}

// isEdge tells whether re matches nothing or one byte of context.
func isEdge(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	case syntax.OpAlternate:
		begins := false
		for _, s := range re.Sub {
			switch {
			case s.Op == syntax.OpBeginLine || s.Op == syntax.OpBeginText:
				begins = true
			case s.Op != syntax.OpCharClass && (s.Op != syntax.OpLiteral || len(s.Rune) != 1):
				return false
			}
		}
		return begins
	}
	return false
}

func concat(subs []*syntax.Regexp) []lead {
	out := []lead{{exact: true}}
	for _, s := range subs {
		open := false
		for _, l := range out {
			open = open || l.exact && len(l.seq) < maxLead
		}
		if !open {
			break
		}
		out = cross(out, walk(s))
	}
	return out
}

func cross(a, b []lead) []lead {
	if len(a)*len(b) > maxLeads {
		b = []lead{merge(b)}
	}
	if len(a)*len(b) > maxLeads {
		a = []lead{merge(a)}
	}
	var out []lead
	for _, l := range a {
		if !l.exact || len(l.seq) >= maxLead {
			out = append(out, l)
			continue
		}
		for i, r := range b {
			seq := l.seq
			if i < len(b)-1 { // the last may have the slice itself
				seq = slices.Clone(seq)
			}
			seq = append(seq, r.seq...)
			exact := r.exact
			if len(seq) > maxLead {
				seq, exact = seq[:maxLead], false
			}
			out = append(out, lead{seq: seq, exact: exact})
		}
	}
	return out
}

// merge gives one lead that covers all.
func merge(ls []lead) lead {
	m := lead{seq: append([]set(nil), ls[0].seq...), exact: ls[0].exact}
	for _, l := range ls[1:] {
		m.exact = m.exact && l.exact && len(l.seq) == len(m.seq)
		m.seq = m.seq[:min(len(m.seq), len(l.seq))]
		for i := range m.seq {
			m.seq[i].union(&l.seq[i])
		}
	}
	return m
}

func walk(re *syntax.Regexp) []lead {
	none := []lead{{}}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []lead{{exact: true}}
	case syntax.OpLiteral:
		l := lead{exact: true}
		for _, r := range re.Rune {
			if r >= 0x80 || len(l.seq) == maxLead {
				l.exact = false
				break
			}
			var s set
			s.add(byte(r))
			if re.Flags&syntax.FoldCase != 0 {
				s.add(byte(unicode.ToLower(r)))
				s.add(byte(unicode.ToUpper(r)))
			}
			l.seq = append(l.seq, s)
		}
		return []lead{l}
	case syntax.OpCharClass:
		var s set
		for i := 0; i+1 < len(re.Rune); i += 2 {
			if lo, hi := re.Rune[i], re.Rune[i+1]; hi < 0x80 {
				for r := lo; r <= hi; r++ {
					s.add(byte(r))
				}
			} else if hi > 0x212A { // beyond the folds of k and s
				return none
			}
		}
		return []lead{{seq: []set{s}, exact: true}}
	case syntax.OpCapture:
		return walk(re.Sub[0])
	case syntax.OpConcat:
		return concat(re.Sub)
	case syntax.OpRepeat, syntax.OpPlus:
		least, most := re.Min, re.Max
		if re.Op == syntax.OpPlus {
			least, most = 1, -1
		}
		if least == 0 {
			return none
		}
		sub := walk(re.Sub[0])
		if len(sub) == 1 && len(sub[0].seq) == 1 && sub[0].exact {
			seq := slices.Repeat(sub[0].seq, min(least, maxLead))
			return []lead{{seq: seq, exact: least == most && least <= maxLead}}
		}
		out := []lead{{exact: true}}
		for range min(least, maxLead) {
			out = cross(out, sub)
		}
		for i := range out {
			out[i].exact = out[i].exact && least == most && least <= maxLead
		}
		return out
	case syntax.OpAlternate:
		var out []lead
		for _, s := range re.Sub {
			out = append(out, walk(s)...)
		}
		if len(out) > maxLeads {
			out = []lead{merge(out)}
		}
		return out
	}
	return none
}

// admits tells whether keyword is written in the lead, at least half of it
// letter by letter: any word fits where any letter may stand.
func (l lead) admits(keyword string) bool {
	for i := 0; i+len(keyword) <= len(l.seq); i++ {
		ok, written := true, 0
		for j := range len(keyword) {
			s := &l.seq[i+j]
			c := keyword[j]
			ok = ok && (s.has(c) || s.has(c&^grams.FoldBit) || s.has(c|grams.FoldBit))
			if s.len() <= 2 {
				written++
			}
		}
		if ok && 2*written >= len(keyword) {
			return true
		}
	}
	return false
}

// at tells whether b begins with the lead.
func (l lead) at(b []byte) bool {
	if len(b) < len(l.seq) {
		return false
	}
	for i := range l.seq {
		if !l.seq[i].has(b[i]) {
			return false
		}
	}
	return true
}

// longest gives the bytes of the longest match of ASCII text, or -1 when there
// is no limit.
func longest(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpStar, syntax.OpPlus:
		return -1
	case syntax.OpCapture, syntax.OpQuest:
		return longest(re.Sub[0])
	case syntax.OpRepeat:
		n := longest(re.Sub[0])
		if re.Max < 0 || n < 0 {
			return -1
		}
		return n * re.Max
	case syntax.OpConcat, syntax.OpAlternate:
		sum, most := 0, 0
		for _, s := range re.Sub {
			n := longest(s)
			if n < 0 {
				return -1
			}
			sum, most = sum+n, max(most, n)
		}
		if re.Op == syntax.OpAlternate {
			return most
		}
		return sum
	}
	return 0
}

// fixed gives the bytes that every match begins with, four at most.
func fixed(ls []lead) string {
	if len(ls) == 0 {
		return ""
	}
	m := merge(ls)
	var out []byte
	for _, s := range m.seq[:min(4, len(m.seq))] {
		if s.len() != 1 {
			break
		}
		out = slices.AppendSeq(out, s.all)
	}
	return string(out)
}

// gramsOf gives the four-byte strings at the best two neighbouring places of seq,
// of which one lies at an even place of the text, and the first of the places:
// -1 stands for the byte before seq, whatever it is. The strings are nil when
// every place has too many.
func gramsOf(seq []set) (place int, out [2][]uint32) {
	var any set
	for b := range 256 {
		any.add(byte(b) | grams.FoldBit)
	}
	folds := make([]set, 1, len(seq)+2)
	folds[0] = any
	for i := range seq {
		folds = append(folds, seq[i].folded())
	}
	if len(seq) == 4 { // more is always there than a keyword of four
		folds = append(folds, any)
	}
	best := math.Inf(1)
	for i := 0; i+5 <= len(folds); i++ {
		n := 1
		for j := 1; j < 4 && n <= maxGrams; j++ {
			n *= max(1, folds[i+j].len())
		}
		n *= folds[i].len() + folds[i+4].len()
		cost := gramCost * float64(n)
		if n > maxGrams || cost >= best {
			continue
		}
		ways := [2][]uint32{product(folds[i : i+4]), product(folds[i+1 : i+5])}
		for _, w := range ways {
			for _, g := range w {
				cost += grams.Share(g)
			}
		}
		if cost < best {
			best, place, out = cost, i-1, ways
		}
	}
	return place, out
}

// gramCost is what a string costs that no text holds, as a share of the text:
// its bit also stands for others.
const gramCost = 1e-6

// product gives every string of one byte of each of four sets.
func product(seq []set) []uint32 {
	out := []uint32{0}
	for j := range seq {
		next := make([]uint32, 0, len(out)*seq[j].len())
		for _, g := range out {
			for b := range seq[j].all {
				next = append(next, g|uint32(b)<<(8*j))
			}
		}
		out = next
	}
	return out
}
