// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Every keyword is found by four of its bytes. A bit map over a hash of four
// bytes answers "not here" with independent loads, several positions at a time;
// an automaton has to wait for its last state at each byte and needs the text
// in lower case first. The map knows two neighbouring places of each keyword, so
// that looking at every second place of the text is enough.
const (
	foldBit  = 0x20 // makes ASCII letters lower case; other bytes may fall together, which the expressions undo
	foldMask = 0x20202020
	hashMul  = 0x9E3779B1 // golden ratio: spreads the low bytes over the top bits
	hashBits = 20         // 128 KiB of bits stay in the second-level cache; half of it is slower, for more places must be looked at twice
)

// An anchor is one way to notice a rule.
type anchor struct {
	rule    int    // index into the rules of the engine
	before  int    // bytes between the start of the keyword or lead and the gram
	keyword []byte // folded; nil when lead says it all
	lead    lead
	assign  bool // the keyword is a name, which an assignment must follow
}

// A filter finds places where rules may match.
type filter struct {
	bits    [1 << (hashBits - 6)]uint64
	keys    []uint32 // open addressing; 0 is free
	spans   [][2]int32
	order   []int32 // anchors, grouped by gram
	anchors []anchor
	mask    uint32
}

type gramOf struct {
	gram   uint32
	anchor int32
}

// newFilter builds a filter of rules, by index into all.
func newFilter(all []*rule, which []int) (*filter, error) {
	f := &filter{}
	var pairs []gramOf
	put := func(a anchor, gs [2][]uint32) {
		for i := range gs {
			for _, g := range gs[i] {
				pairs = append(pairs, gramOf{g, int32(len(f.anchors))})
			}
			f.anchors = append(f.anchors, a)
			a.before++
		}
	}
	for _, i := range which {
		r := all[i]
		if r.Whole {
			continue
		}
		if ls := r.leads; ls != nil {
			for _, l := range ls {
				put(anchor{rule: i, before: l.place, lead: l}, l.grams)
			}
			continue
		}
		for _, k := range r.Keywords {
			seq := make([]set, 0, len(k)+1)
			for j := range len(k) {
				var s set
				s.add(k[j] | foldBit)
				seq = append(seq, s)
			}
			for len(seq) == 3 { // any byte may follow
				var s set
				for b := range 256 {
					s.add(byte(b))
				}
				seq = append(seq, s)
			}
			if len(seq) < 4 {
				return nil, fmt.Errorf("rule %q: keyword %q is too short", r.ID, k)
			}
			place, gs := grams(seq)
			folded := []byte(k)
			for j := range folded {
				folded[j] |= foldBit
			}
			put(anchor{rule: i, before: place, keyword: folded, assign: r.named(k)}, gs)
		}
	}
	f.build(pairs)
	return f, nil
}

func (f *filter) build(pairs []gramOf) {
	slices.SortFunc(pairs, func(a, b gramOf) int {
		if a.gram != b.gram {
			if a.gram < b.gram {
				return -1
			}
			return 1
		}
		return int(a.anchor - b.anchor)
	})
	size := uint32(64)
	for int(size) < 3*len(pairs) {
		size *= 2
	}
	f.mask = size - 1
	f.keys = make([]uint32, size)
	f.spans = make([][2]int32, size)
	for i := 0; i < len(pairs); {
		g := pairs[i].gram
		from := int32(len(f.order))
		for ; i < len(pairs) && pairs[i].gram == g; i++ {
			f.order = append(f.order, pairs[i].anchor)
		}
		h := g * hashMul >> (32 - hashBits)
		f.bits[h>>6] |= 1 << (h & 63)
		slot := (g * hashMul >> 8) & f.mask
		for f.keys[slot] != 0 {
			slot = (slot + 1) & f.mask
		}
		f.keys[slot] = g // never 0: every byte has foldBit
		f.spans[slot] = [2]int32{from, int32(len(f.order))}
	}
}

// next gives the first even place at or after i, which is even, where anchors
// have a gram, and these as indexes into anchors; -1 when there is none.
func (f *filter) next(text []byte, i int) (int, []int32) {
	bits := &f.bits
	b := text[min(i, len(text)):]
	for ; len(b) >= 10; b = b[8:] {
		v := binary.LittleEndian.Uint64(b) | foldMask<<32 | foldMask
		w := binary.LittleEndian.Uint32(b[6:]) | foldMask
		h0 := uint32(v) * hashMul >> (32 - hashBits)
		h1 := uint32(v>>16) * hashMul >> (32 - hashBits)
		h2 := uint32(v>>32) * hashMul >> (32 - hashBits)
		h3 := w * hashMul >> (32 - hashBits)
		b0 := bits[h0>>6] >> (h0 & 63)
		b1 := bits[h1>>6] >> (h1 & 63)
		b2 := bits[h2>>6] >> (h2 & 63)
		b3 := bits[h3>>6] >> (h3 & 63)
		if (b0|b1|b2|b3)&1 == 0 {
			continue
		}
		for j, hit := range [4]uint64{b0, b1, b2, b3} {
			if hit&1 == 0 {
				continue
			}
			g := uint32(v >> (16 * j))
			if j == 3 {
				g = w
			}
			if as := f.at(g); as != nil {
				return len(text) - len(b) + 2*j, as
			}
		}
	}
	for ; len(b) >= 4; b = b[2:] {
		if as := f.at(binary.LittleEndian.Uint32(b) | foldMask); as != nil {
			return len(text) - len(b), as
		}
	}
	return -1, nil
}

// at gives the anchors of a gram.
func (f *filter) at(g uint32) []int32 {
	for slot := (g * hashMul >> 8) & f.mask; f.keys[slot] != 0; slot = (slot + 1) & f.mask {
		if f.keys[slot] == g {
			return f.order[f.spans[slot][0]:f.spans[slot][1]]
		}
	}
	return nil
}

// matches tells whether a's keyword or lead stands at b[p:]; p may be negative.
func (a *anchor) matches(b []byte, p int) bool {
	if p < 0 {
		return false
	}
	b = b[p:]
	if a.lead.seq != nil {
		return a.lead.at(b)
	}
	if len(b) < len(a.keyword) {
		return false
	}
	for i, k := range a.keyword {
		if b[i]|foldBit != k {
			return false
		}
	}
	return true
}
