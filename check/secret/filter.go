// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"fmt"

	"github.com/bulwark-sec/bulwark/internal/grams"
)

const foldBit = grams.FoldBit

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
	places  *grams.Index // of indexes into anchors
	anchors []anchor
}

// newFilter builds a filter of rules, by index into all.
func newFilter(all []*rule, which []int) (*filter, error) {
	f := &filter{}
	var entries []grams.Entry
	put := func(a anchor, gs [2][]uint32) {
		for i := range gs {
			for _, g := range gs[i] {
				entries = append(entries, grams.Entry{Gram: g, Value: int32(len(f.anchors))})
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
			place, gs := gramsOf(seq)
			folded := []byte(k)
			for j := range folded {
				folded[j] |= foldBit
			}
			put(anchor{rule: i, before: place, keyword: folded, assign: r.named(k)}, gs)
		}
	}
	f.places = grams.New(entries)
	return f, nil
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
