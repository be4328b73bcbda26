// SPDX-License-Identifier: Apache-2.0

package index_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/index"
)

// later gives the sample with advisories that went, came and changed.
func later(n int) []bulwark.Advisory {
	list := sample(n)
	list = slices.DeleteFunc(list, func(a bulwark.Advisory) bool { return a.ID == "X-0003" })
	for i := range list {
		a := &list[i]
		switch a.ID {
		case "X-0005":
			a.Modified = a.Modified.Add(time.Hour)
		case "X-0007":
			a.Affected[0].Ranges, a.Affected[0].Versions = []bulwark.Range{{Introduced: "7", Fixed: "8"}}, nil
		case "X-0009":
			a.Affected = append(a.Affected, bulwark.Affected{Ecosystem: "Test:new", Name: "added", Ranges: []bulwark.Range{{Introduced: "0"}}})
		case "X-0011":
			a.Affected = nil
		}
	}
	return append(list, bulwark.Advisory{ID: "X-new", Aliases: []string{"CVE-2026-9999"}, Summary: "it is new",
		Affected: []bulwark.Affected{{Ecosystem: "Test", Name: "lib", Versions: []string{"1"}}}})
}

func TestDelta(t *testing.T) {
	const n = 200
	first := build(t, sample(n))
	for name, next := range map[string][]bulwark.Advisory{
		"same": sample(n), "later": later(n), "empty": nil, "all-new": {{ID: "Y"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := build(t, next)
			d, touched, err := index.Delta(open(t, first), open(t, want))
			if err != nil {
				t.Fatal(err)
			}
			if (touched == 0) != (name == "same") || name == "later" && touched != 6 {
				t.Errorf("%d advisories touched", touched)
			}
			b, err := index.Apply(open(t, first), d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.Bytes()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("other bytes: %d, want %d, %v", len(got), len(want), err)
			}
			back, _, err := index.Delta(open(t, want), open(t, first))
			if err != nil {
				t.Fatal(err)
			}
			// Two steps at once give what one after the other gives.
			b, err = index.Apply(open(t, first), d, back)
			if err != nil {
				t.Fatal(err)
			}
			if got, err = b.Bytes(); err != nil || !bytes.Equal(got, first) {
				t.Errorf("there and back: %d bytes, want %d, %v", len(got), len(first), err)
			}
		})
	}
	other, err := index.NewBuilder("Other")
	if err != nil {
		t.Fatal(err)
	}
	b, err := other.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := index.Delta(open(t, first), open(t, b)); !errors.Is(err, bulwark.ErrUsage) {
		t.Error(err)
	}
}

func TestChanges(t *testing.T) {
	const n = 50
	var got []string
	old, next := open(t, build(t, sample(n))), open(t, build(t, later(n)))
	err := index.Changes(old, next, func(c index.Change) bool {
		rows := func(e *index.Entry) string {
			if e == nil {
				return "none"
			}
			if e.ID != c.ID {
				t.Errorf("%s holds %s", c.ID, e.ID)
			}
			return fmt.Sprint(len(e.Affected))
		}
		got = append(got, fmt.Sprint(c.ID, " ", rows(c.Old), " ", rows(c.New)))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"X-0003 2 none", "X-0005 4 4", "X-0007 2 2", "X-0009 2 3", "X-0011 4 0", "X-new none 1"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	count := 0
	if err := index.Changes(old, next, func(index.Change) bool { count++; return false }); err != nil || count != 1 {
		t.Errorf("stopped after %d, %v", count, err)
	}
	_ = index.Changes(old, next, func(c index.Change) bool {
		if c.ID == "X-0007" {
			if a := c.New.Affected[0]; a.Ecosystem != "Test:0" || a.Name == "" || a.Ranges[0].Fixed != "8" {
				t.Errorf("%+v", a)
			}
		}
		return true
	})
}

func scores(t testing.TB, m map[string][2]uint32) *index.Scores {
	t.Helper()
	var b index.ScoresBuilder
	for cve, v := range m {
		if err := b.Add(cve, v[0], v[1]); err != nil {
			t.Fatal(err)
		}
	}
	var buf bytes.Buffer
	if _, err := b.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	s, err := index.OpenScores(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDeltaScores(t *testing.T) {
	one := map[string][2]uint32{"CVE-2001-0001": {1, 2}, "CVE-2020-1234": {1 << 31, 1<<32 - 1}, "CVE-2024-0002": {0, 0}, "CVE-2025-3000000": {5, 5}}
	two := map[string][2]uint32{"CVE-1999-0001": {9, 9}, "CVE-2020-1234": {0, 7}, "CVE-2024-0002": {0, 0}, "CVE-2025-3000001": {1<<32 - 1, 0}}
	a, b := scores(t, one), scores(t, two)
	d, touched := index.DeltaScores(a, b)
	if touched != 5 {
		t.Errorf("%d CVEs touched", touched)
	}
	got, err := index.ApplyScores(a, d)
	if err != nil {
		t.Fatal(err)
	}
	var x, y bytes.Buffer
	if _, err := got.WriteTo(&x); err != nil {
		t.Fatal(err)
	}
	back, _ := index.DeltaScores(b, a)
	if got, err = index.ApplyScores(a, d, back); err != nil {
		t.Fatal(err)
	}
	if _, err := got.WriteTo(&y); err != nil {
		t.Fatal(err)
	}
	for i, buf := range []*bytes.Buffer{&x, &y} {
		s, err := index.OpenScores(buf.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		want := []map[string][2]uint32{two, one}[i]
		if s.Len() != len(want) {
			t.Errorf("%d CVEs", s.Len())
		}
		for cve, v := range want {
			if p, q, ok := s.Find(cve); !ok || p != v[0] || q != v[1] {
				t.Errorf("%s: %d %d %t", cve, p, q, ok)
			}
		}
	}
	var list []string
	index.ScoreChanges(a, b, func(cve string, was, is bool) { list = append(list, fmt.Sprint(cve, was, is)) })
	want := []string{"CVE-1999-0001false true", "CVE-2001-0001true false", "CVE-2020-1234true true", "CVE-2025-3000000true false", "CVE-2025-3000001false true"}
	if d := cmp.Diff(want, list); d != "" {
		t.Error(d)
	}
	index.ScoreChanges(nil, nil, func(string, bool, bool) { t.Error("of nothing") })
}

// TestHostileDelta cuts a delta at every byte and changes every byte: it is
// refused, or gives a builder that can be written.
func TestHostileDelta(t *testing.T) {
	const n = 12
	first := open(t, build(t, sample(n)))
	d, _, err := index.Delta(first, open(t, build(t, later(n))))
	if err != nil {
		t.Fatal(err)
	}
	for i := range d {
		if _, err := index.Apply(first, d[:i]); !errors.Is(err, index.ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v", i, len(d), err)
		}
	}
	if _, err := index.Apply(first, append(bytes.Clone(d), 0)); !errors.Is(err, index.ErrCorrupt) {
		t.Error(err)
	}
	taken := 0
	for i := range d {
		bad := bytes.Clone(d)
		bad[i] ^= []byte{1, 0x80, 0xff}[i%3]
		b, err := index.Apply(first, bad)
		if err != nil {
			continue
		}
		if taken++; taken%50 == 0 { // writing takes its time
			if _, err := b.Bytes(); err != nil {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
}

func FuzzDelta(f *testing.F) {
	first := build(f, sample(12))
	for _, next := range [][]bulwark.Advisory{sample(12), later(12), nil} {
		d, _, err := index.Delta(open(f, first), open(f, build(f, next)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(d)
	}
	sc := scores(f, map[string][2]uint32{"CVE-2001-0001": {1, 2}, "CVE-2020-1234": {3, 4}})
	d, _ := index.DeltaScores(sc, scores(f, map[string][2]uint32{"CVE-2001-0002": {1, 2}, "CVE-2020-1234": {3, 5}}))
	f.Add(d)
	f.Fuzz(func(t *testing.T, d []byte) {
		if b, err := index.Apply(open(t, first), d); err == nil {
			out, err := b.Bytes()
			if err != nil {
				return // more than the format holds
			}
			if err := use(out); err != nil {
				t.Errorf("a delta makes a segment that cannot be read: %v", err)
			}
		}
		if b, err := index.ApplyScores(sc, d); err == nil {
			var buf bytes.Buffer
			if _, err := b.WriteTo(&buf); err != nil {
				t.Error(err)
			}
		}
	})
}
