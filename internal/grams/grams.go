// SPDX-License-Identifier: Apache-2.0

// Package grams finds the places of a text where one of thousands of short
// strings may stand, by four of their bytes: a gram. A bit map over a hash of
// four bytes answers "not here" with independent loads, several places at a
// time; an automaton has to wait for its last state at each byte. Only every
// second place of the text is looked at, so that of each string two neighbouring
// grams must be known.
//
// It knows nothing of what the strings are for, and does not compare them: a
// gram is a reason to look closer.
package grams

import (
	"cmp"
	_ "embed"
	"encoding/binary"
	"slices"
	"sync"
)

const (
	FoldBit = 0x20       // makes ASCII letters lower case; other bytes may fall together
	Fold    = 0x20202020 // FoldBit in each byte of a gram
	hashMul = 0x9E3779B1 // golden ratio: spreads the low bytes over the top bits

	// 256 KiB of bits, which stay in the second-level cache: half of it is slower,
	// for more places must be looked at twice. As it is a constant, the place of a
	// bit is known to lie inside, and the compiler tests it in one instruction.
	mapBits  = 21
	mapWords = 1 << (mapBits - 6)
)

// Of gives the gram of the first four bytes of b, folded, first byte lowest.
func Of(b []byte) uint32 { return binary.LittleEndian.Uint32(b) | Fold }

// An Entry says what a gram stands for.
type Entry struct {
	Gram  uint32 // folded, see [Of]
	Value int32  // the caller's
}

// An Index knows the values of grams. New makes it; it never changes.
type Index struct {
	bits   [mapWords]uint64
	slots  []slot // open addressing
	mask   uint32
	values []int32
}

// A slot holds a gram, or 0 when it is free: every byte of a gram has FoldBit.
type slot struct {
	gram     uint32
	from, to int32 // of its values
}

// New makes an index of entries, in any order.
func New(entries []Entry) *Index {
	entries = slices.SortedFunc(slices.Values(entries), func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Gram, b.Gram), cmp.Compare(a.Value, b.Value))
	})
	size := uint32(64)
	for int(size) < 3*len(entries) {
		size *= 2
	}
	x := &Index{slots: make([]slot, size), mask: size - 1}
	for i := 0; i < len(entries); {
		g, from := entries[i].Gram, int32(len(x.values))
		for ; i < len(entries) && entries[i].Gram == g; i++ {
			x.values = append(x.values, entries[i].Value)
		}
		h := g * hashMul >> (32 - mapBits)
		x.bits[h>>6] |= 1 << (h & 63)
		at := g * hashMul >> 8 & x.mask
		for x.slots[at].gram != 0 {
			at = (at + 1) & x.mask
		}
		x.slots[at] = slot{g, from, int32(len(x.values))}
	}
	return x
}

// Next gives the first even place at or after i, which is even, where a known
// gram stands, and the gram's values in ascending order; -1 when there is none.
func (x *Index) Next(text []byte, i int) (int, []int32) {
	b := text[min(i, len(text)):]
	for ; len(b) >= 10; b = b[8:] { // four places; the last needs two bytes of what follows
		v := binary.LittleEndian.Uint64(b) | Fold<<32 | Fold
		if g := uint32(v); x.may(g) {
			if vs := x.at(g); vs != nil {
				return len(text) - len(b), vs
			}
		}
		if g := uint32(v >> 16); x.may(g) {
			if vs := x.at(g); vs != nil {
				return len(text) - len(b) + 2, vs
			}
		}
		if g := uint32(v >> 32); x.may(g) {
			if vs := x.at(g); vs != nil {
				return len(text) - len(b) + 4, vs
			}
		}
		if g := Of(b[6:]); x.may(g) {
			if vs := x.at(g); vs != nil {
				return len(text) - len(b) + 6, vs
			}
		}
	}
	for ; len(b) >= 4; b = b[2:] {
		if vs := x.at(Of(b)); vs != nil {
			return len(text) - len(b), vs
		}
	}
	return -1, nil
}

// may tells whether a gram may be known: its bit is set.
func (x *Index) may(g uint32) bool {
	h := g * hashMul >> (32 - mapBits)
	return x.bits[h>>6]&(1<<(h&63)) != 0
}

// at gives the values of a gram.
func (x *Index) at(g uint32) []int32 {
	for i := g * hashMul >> 8; ; i++ {
		s := &x.slots[i&x.mask]
		if s.gram == g {
			return x.values[s.from:s.to]
		}
		if s.gram == 0 {
			return nil
		}
	}
}

//go:embed common.bin
var commonGrams []byte // four bytes each, the most common first

// Share gives, roughly, the share of places of texts and programs that have a
// gram: by Zipf's law for the 6,144 most common ones, which TestCommon counts; 0
// for all others.
func Share(g uint32) float64 { return common()[g] }

var common = sync.OnceValue(func() map[uint32]float64 {
	out := make(map[uint32]float64, len(commonGrams)/4)
	for i := 0; i+4 <= len(commonGrams); i += 4 {
		out[Of(commonGrams[i:])] = 0.1 / float64(i/4+16)
	}
	return out
})
