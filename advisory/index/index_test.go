// SPDX-License-Identifier: Apache-2.0

package index_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/index"
)

// sample gives advisories of many shapes.
func sample(n int) []bulwark.Advisory {
	var out []bulwark.Advisory
	for i := range n {
		a := bulwark.Advisory{
			ID:        fmt.Sprintf("X-%04d", i*7%n),
			Aliases:   []string{fmt.Sprintf("CVE-2026-%04d", i%50), "GHSA-" + strings.Repeat("a", i%30)},
			Related:   []string{"CVE-2020-0001"},
			Summary:   strings.Repeat("a flaw ", i%9),
			Details:   strings.Repeat("text ", i*3%400),
			Modified:  time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC),
			Severity:  bulwark.Severity(i % 6),
			CVSS:      "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
			Feed:      "osv/Test",
			Published: time.Date(2025, 1, 1, 0, 0, i, 0, time.UTC),
		}
		for j := range i%4 + 1 {
			f := bulwark.Affected{Ecosystem: fmt.Sprintf("Test:%d", j), Name: fmt.Sprintf("lib%s%d", strings.Repeat("x", i%3), i%23)}
			switch i % 5 {
			case 0:
				f.Ranges = []bulwark.Range{{Introduced: "0", Fixed: fmt.Sprintf("1.%d", i)}}
			case 1:
				f.Ranges = []bulwark.Range{{Introduced: "1.0", LastAffected: "1.9"}, {Introduced: "2", Fixed: "2.1"}}
			case 2:
				f.Versions = []string{"1", "2", fmt.Sprint(i)}
			case 3:
				f.Ranges, f.Module = []bulwark.Range{{Introduced: "0"}}, "mod:1"
			case 4:
				f.Ranges, f.Versions = []bulwark.Range{{Introduced: "3", Fixed: "4", LastAffected: "3.9"}}, []string{"9"}
				f.Severity, f.CVSS, f.Symbols, f.Systems = bulwark.SeverityLow, "CVSS:4.0/x", []string{"p.S"}, []string{"windows"}
			}
			a.Affected = append(a.Affected, f)
		}
		out = append(out, a)
	}
	return out
}

func build(t testing.TB, list []bulwark.Advisory) []byte {
	t.Helper()
	b, err := index.NewBuilder("Test")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if err := b.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func open(t testing.TB, b []byte) *index.Segment {
	t.Helper()
	s, err := index.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRoundTrip(t *testing.T) {
	list := sample(1000)
	s := open(t, build(t, list))
	if s.Ecosystem() != "Test" || s.Advisories() != 1000 {
		t.Errorf("%q, %d advisories", s.Ecosystem(), s.Advisories())
	}
	if d := cmp.Diff([]string{"0", "1", "2", "3"}, s.Releases()); d != "" {
		t.Error(d)
	}
	type key struct{ id, name, release string }
	want, got := map[key]bulwark.Affected{}, map[key]bulwark.Affected{}
	names := map[string]bool{}
	for _, a := range list {
		for _, f := range a.Affected {
			k := key{a.ID, f.Name, strings.TrimPrefix(f.Ecosystem, "Test:")}
			f.Ecosystem, f.Name, f.Severity, f.CVSS, f.Symbols, f.Systems = "", "", 0, "", nil, nil
			want[k], names[k.name] = f, true
		}
	}
	for name := range names {
		rows := s.Find(name)
		last := uint32(0)
		for rows.Next() {
			if rows.Ordinal() < last {
				t.Error("rows are not in order")
			}
			last = rows.Ordinal()
			rec, err := s.Advisory(rows.Ordinal())
			if err != nil {
				t.Fatal(err)
			}
			f, err := rows.Affected()
			if err != nil {
				t.Fatal(err)
			}
			got[key{rec.ID, name, rows.Release()}] = f
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s.Rows() != len(want) || s.Names() != len(names) {
		t.Errorf("%d rows of %d names, want %d of %d", s.Rows(), s.Names(), len(want), len(names))
	}
	for _, a := range list {
		ords, err := s.Lookup(a.ID)
		if err != nil || len(ords) != 1 {
			t.Fatalf("lookup %q: %v, %v", a.ID, ords, err)
		}
		rec, err := s.Advisory(ords[0])
		if err != nil {
			t.Fatal(err)
		}
		a.Affected = nil
		if d := cmp.Diff(a, rec.Advisory); d != "" {
			t.Error(d)
		}
	}
	if ords, err := s.Lookup("CVE-2026-0007"); err != nil || len(ords) != 20 {
		t.Errorf("alias: %v, %v", ords, err)
	}
	for _, name := range []string{"", "a", "lib", "zzz", "lib1x", strings.Repeat("l", 5000)} {
		rows := s.Find(name)
		if rows.Next() || rows.Err() != nil {
			t.Errorf("%q: found, or %v", name, rows.Err())
		}
	}
	if _, err := s.Advisory(1000); !errors.Is(err, index.ErrCorrupt) {
		t.Errorf("ordinal behind the last: %v", err)
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	list := sample(300)
	a := build(t, list)
	slices.Reverse(list)
	if !bytes.Equal(a, build(t, list)) {
		t.Error("the order of advisories changes the segment")
	}
	// On top of an older segment, with changes.
	b, err := index.NewBuilder("Test")
	if err != nil {
		t.Fatal(err)
	}
	old := slices.Clone(list)
	for i := range 40 {
		old[i].Affected = []bulwark.Affected{{Ecosystem: "Test:7", Name: "old", Versions: []string{"1"}}}
	}
	fresh := map[string]bool{}
	for _, a := range list[:40] {
		fresh[a.ID] = true
		if err := b.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.AddAll(open(t, build(t, old)), func(id string) bool { return fresh[id] }); err != nil {
		t.Fatal(err)
	}
	c, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, c) {
		t.Error("changes give another segment than everything")
	}
	// The same advisory twice: the later one counts.
	if d := cmp.Diff(a, build(t, append(slices.Clone(old), list...))); d != "" {
		t.Error("a replaced advisory leaves something behind")
	}
}

func TestLimits(t *testing.T) {
	b, err := index.NewBuilder("Test")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", index.MaxString+1)
	for _, a := range []bulwark.Advisory{
		{}, {ID: long},
		{ID: "a", Affected: []bulwark.Affected{{Ecosystem: "Test", Name: long}}},
		{ID: "a", Affected: []bulwark.Affected{{Ecosystem: "Test", Name: "n", Versions: []string{long}}}},
		{ID: "a", Details: strings.Repeat("x", 5<<20)},
	} {
		if err := b.Add(a); !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%.20q: %v", a.ID, err)
		}
	}
	if b.Len() != 0 {
		t.Errorf("%d advisories were taken", b.Len())
	}
	for _, name := range []string{"", long, "a\x00b"} {
		if _, err := index.NewBuilder(name); !errors.Is(err, bulwark.ErrUsage) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	empty := open(t, build(t, nil))
	if rows := empty.Find("x"); rows.Next() || rows.Err() != nil {
		t.Error("an empty segment has rows")
	}
}

// use touches everything in a segment.
func use(b []byte) error {
	s, err := index.Open(b)
	if err != nil {
		return err
	}
	errs := []error{s.Check()}
	for _, name := range []string{"lib0", "libx1", "libxx2", "", "zz"} {
		rows := s.Find(name)
		for n := 0; rows.Next() && n < 1000; n++ {
			rows.Release()
			_, _ = rows.Affected()
		}
		errs = append(errs, rows.Err())
	}
	for _, id := range []string{"X-0001", "CVE-2026-0001"} {
		ords, err := s.Lookup(id)
		errs = append(errs, err)
		for _, o := range ords[:min(len(ords), 10)] {
			_, err := s.Advisory(o)
			errs = append(errs, err)
		}
	}
	bld, err := index.NewBuilder(s.Ecosystem())
	if err == nil && s.Advisories() < 1000 {
		err = bld.AddAll(s, func(string) bool { return false })
	}
	return errors.Join(append(errs, err)...)
}

func TestTruncated(t *testing.T) {
	b := build(t, sample(100))
	for n := 1; n < len(b); n *= 2 {
		for _, at := range []int{n - 1, n, len(b) - n} {
			if err := use(b[:at]); err == nil {
				t.Errorf("%d of %d bytes are taken for all", at, len(b))
			}
		}
	}
}

func TestEveryByte(t *testing.T) {
	b := build(t, sample(12))
	for at := range b {
		bad := bytes.Clone(b)
		bad[at] ^= 0xff
		if err := use(bad); err == nil {
			if s, err := index.Open(bad); err != nil || at < s.Hot() {
				t.Errorf("byte %d of %d changed, and nobody noticed", at, len(b))
			}
		}
	}
}

func FuzzSegment(f *testing.F) {
	good := build(f, sample(40))
	f.Add(good)
	f.Add(build(f, nil))
	f.Add([]byte{})
	for i := 64; i < len(good); i += 97 {
		bad := bytes.Clone(good)
		bad[i] ^= byte(i)
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		start := time.Now()
		_ = use(b)
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%d bytes take %s", len(b), d)
		}
	})
}

func TestScores(t *testing.T) {
	var b index.ScoresBuilder
	for i := range 1000 {
		if err := b.Add(fmt.Sprintf("CVE-%d-%04d", 1999+i%28, i*31), uint32(i), uint32(2*i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "CVE", "GHSA-1", "CVE-2020-", "CVE-20x0-1234", "CVE-2020-12345678901", "CVE-1234-0001", "CVE-2020-1-2"} {
		if err := b.Add(bad, 0, 0); !errors.Is(err, bulwark.ErrUnsupported) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var buf bytes.Buffer
	if _, err := b.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	s, err := index.OpenScores(buf.Bytes())
	if err != nil || s.Len() != 1000 {
		t.Fatal(s, err)
	}
	for i := range 1000 {
		x, y, ok := s.Find(fmt.Sprintf("CVE-%d-%04d", 1999+i%28, i*31))
		if !ok || x != uint32(i) || y != uint32(2*i) {
			t.Errorf("%d: %d, %d, %t", i, x, y, ok)
		}
	}
	for _, id := range []string{"CVE-1990-0001", "CVE-2117-0001", "CVE-2010-999999", "x"} {
		if _, _, ok := s.Find(id); ok {
			t.Errorf("%q is found", id)
		}
	}
	for n := range buf.Len() {
		if _, err := index.OpenScores(buf.Bytes()[:n]); !errors.Is(err, index.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func FuzzScores(f *testing.F) {
	var b index.ScoresBuilder
	_ = b.Add("CVE-2020-0001", 1, 2)
	var buf bytes.Buffer
	_, _ = b.WriteTo(&buf)
	f.Add(buf.Bytes())
	f.Fuzz(func(_ *testing.T, b []byte) {
		if s, err := index.OpenScores(b); err == nil {
			s.Find("CVE-2020-0001")
		}
	})
}

func BenchmarkFind(b *testing.B) {
	s := open(b, build(b, sample(20000)))
	b.ReportAllocs()
	for b.Loop() {
		rows := s.Find("libx11")
		rows.Next()
	}
}
