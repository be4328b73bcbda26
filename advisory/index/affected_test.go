// SPDX-License-Identifier: Apache-2.0

package index_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/index"
)

func TestAffected(t *testing.T) {
	before := func(v string) []bulwark.Range { return []bulwark.Range{{Introduced: "0", Fixed: v}} }
	s := open(t, build(t, []bulwark.Advisory{
		{ID: "X-1", Aliases: []string{"CVE-1"}, Affected: []bulwark.Affected{
			{Ecosystem: "Test:2", Name: "b", Ranges: before("2")},
			{Ecosystem: "Test:1", Name: "b", Ranges: before("1")},
			{Ecosystem: "Test", Name: "a", Versions: []string{"7"}},
		}},
		{ID: "X-2", Affected: []bulwark.Affected{{Ecosystem: "Test:1", Name: "c", Ranges: before("9")}}},
		{ID: "X-3", Aliases: []string{"CVE-1"}, Affected: []bulwark.Affected{{Ecosystem: "Test:2", Name: "b", Ranges: before("2")}}}, // as X-1 has it
	}))
	want := []bulwark.Affected{
		{Ecosystem: "Test", Name: "a", Versions: []string{"7"}},
		{Ecosystem: "Test:1", Name: "b", Ranges: before("1")},
		{Ecosystem: "Test:2", Name: "b", Ranges: before("2")},
	}
	for _, tc := range []struct {
		id    string
		max   int
		want  []bulwark.Affected
		total int
	}{
		{"CVE-1", 10, want, 3},
		{"CVE-1", 2, want[:2], 3},
		{"CVE-1", 0, nil, 3},
		{"X-2", 10, []bulwark.Affected{{Ecosystem: "Test:1", Name: "c", Ranges: before("9")}}, 1},
		{"X-9", 10, nil, 0},
	} {
		ords, err := s.Lookup(tc.id)
		if err != nil {
			t.Fatal(err)
		}
		got, total, err := s.Affected(t.Context(), ords, tc.max)
		if err != nil || total != tc.total {
			t.Errorf("%s: %d in all, %v", tc.id, total, err)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s, at most %d: -want +got:\n%s", tc.id, tc.max, d)
		}
	}
}

func TestAffectedCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := open(t, build(t, sample(50))).Affected(ctx, []uint32{1}, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A damaged file gives an error or an answer, in bounded time.
func TestAffectedDamaged(t *testing.T) {
	good := build(t, sample(40))
	for i := range good {
		b := append([]byte(nil), good...)
		b[i] ^= 0x55
		s, err := index.Open(b)
		if err != nil {
			continue
		}
		if list, _, _ := s.Affected(t.Context(), []uint32{0, 1, 7}, 5); len(list) > 5 {
			t.Fatalf("byte %d: %d", i, len(list))
		}
	}
}
