// SPDX-License-Identifier: Apache-2.0

package grams

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Next finds what a plain search finds, at every length and place.
func TestNext(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	words := []string{"token", "secret", "KEY_", "\x00\x01\x02\x03\x04"}
	var entries []Entry
	known := map[uint32][]int32{}
	for i, w := range words {
		for j := range min(2, len(w)-3) {
			g := Of([]byte(w[j:]))
			entries = append(entries, Entry{g, int32(i)})
			known[g] = append(known[g], int32(i))
		}
	}
	x := New(entries)
	for n := range 200 {
		text := make([]byte, n)
		for i := range text {
			text[i] = "tokenscrKEY_\x00\x01\x02"[rnd.IntN(15)]
		}
		if n >= 8 {
			copy(text[rnd.IntN(n-4):], words[rnd.IntN(len(words))])
		}
		var want, got []int32
		for i := 0; i+4 <= n; i += 2 {
			if v := known[Of(text[i:])]; v != nil {
				want = append(append(want, int32(i)), v...)
			}
		}
		for p, vs := x.Next(text, 0); p >= 0; p, vs = x.Next(text, p+2) {
			got = append(append(got, int32(p)), vs...)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%q: %s", text, d)
		}
	}
}

func TestShare(t *testing.T) {
	gram := func(s string) float64 { return Share(Of([]byte(s))) }
	if !(gram("tion") > gram("decl") && gram("decl") > 0 && gram("xqzj") == 0 && gram("TION") == gram("tion")) {
		t.Error(gram("tion"), gram("decl"), gram("xqzj"), gram("TION"))
	}
	if n := len(commonGrams); n != 6144*4 {
		t.Error(n)
	}
	all := make([]uint32, 0, 6144)
	for i := 0; i < len(commonGrams); i += 4 {
		all = append(all, binary.LittleEndian.Uint32(commonGrams[i:]))
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != 6144 {
		t.Error("a gram is there twice")
	}
}

func FuzzNext(f *testing.F) {
	x := New([]Entry{{Of([]byte("toke")), 1}, {Of([]byte("oken")), 1}})
	f.Add([]byte("a token"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for p, vs := x.Next(text, 0); p >= 0; p, vs = x.Next(text, p+2) {
			if p%2 != 0 || p+4 > len(text) || len(vs) == 0 {
				t.Fatal(p, vs)
			}
		}
	})
}
