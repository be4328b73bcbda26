// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/store"
)

// kept gives a report of one artifact and day, with findings of so many rules.
func kept(name string, at time.Time, findings int) *bulwark.Report {
	r := &bulwark.Report{
		Schema: bulwark.ReportSchema, Created: at,
		Artifact: bulwark.Artifact{ID: digest(len(name)), Kind: bulwark.KindImage, Name: name},
		Decision: bulwark.Decision{Verdict: bulwark.Fail, Policy: digest(77)},
	}
	sum := sha256.Sum256([]byte(name + at.String()))
	r.Decision.ID = fmt.Sprintf("%x", sum[:8])
	for i := range findings {
		rule := fmt.Sprintf("CVE-2026-%04d", i)
		f := bulwark.Finding{ID: bulwark.FindingID(bulwark.ClassVulnerability, rule, name), Class: bulwark.ClassVulnerability, Rule: rule, Subject: name}
		if i == 0 {
			f.Status.State = bulwark.StateAccepted
		}
		r.Findings = append(r.Findings, f)
	}
	return r
}

func putReport(t testing.TB, s *store.Reports, r *bulwark.Report, set string) string {
	t.Helper()
	id, err := s.Put(t.Context(), r, []byte(set))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// listed gives the names of the reports in a list, and its errors.
func listed(t testing.TB, s *store.Reports) (out []string, errs []error) {
	t.Helper()
	for h, err := range s.List(t.Context()) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, h.Name)
	}
	return out, errs
}

func TestReports(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	s := store.OpenReports(dir, store.ReportBounds{})
	if got, errs := listed(t, s); got != nil || errs != nil {
		t.Error(got, errs)
	}
	if h, err := s.Held(t.Context()); err != nil || h.Reports != 0 || h.Max != (store.ReportBounds{Reports: 200, Bytes: 256 << 20}) {
		t.Error(h, err)
	}
	b := putReport(t, s, kept("b", day(2), 3), "policies")
	a := putReport(t, s, kept("a", day(1), 0), "policies")
	c := putReport(t, s, kept("c", day(3), 0), "")
	if again := putReport(t, s, kept("b", day(2), 3), "policies"); again != b {
		t.Errorf("the same report has two ids: %s, %s", b, again)
	}
	if got, errs := listed(t, s); !slices.Equal(got, []string{"a", "b", "c"}) || errs != nil {
		t.Error(got, errs)
	}
	var heads []store.Header
	for h, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, h)
		if h.Name == "b" {
			break
		}
	}
	want := kept("b", day(2), 3)
	set := bulwark.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("policies"))))
	h := heads[1]
	if h.Bytes <= h.Packed || h.Packed == 0 || h.Size == 0 || !h.Sum.Valid() {
		t.Errorf("%+v", h)
	}
	h.Bytes, h.Packed, h.Size, h.Sum = 0, 0, 0, ""
	if d := cmp.Diff(store.Header{
		ID: b, Name: "b", Artifact: want.Artifact.ID, Kind: bulwark.KindImage, Created: day(2), Verdict: bulwark.Fail,
		Decision: want.Decision.ID, Policy: digest(77), Set: set, Findings: 2,
	}, h); d != "" {
		t.Error(d)
	}
	got, err := s.Get(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got.Report); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(heads[1], got.Header); d != "" {
		t.Error(d)
	}
	if got, err := s.Set(set); err != nil || string(got) != "policies" {
		t.Errorf("%q, %v", got, err)
	}
	for _, d := range []bulwark.Digest{"", "sha256:x", digest(5), "../../etc/passwd"} {
		if _, err := s.Set(d); !errors.Is(err, bulwark.ErrNotFound) {
			t.Errorf("%q: %v", d, err)
		}
	}
	for _, id := range []string{"", "x", "0000000000000000", "../" + a, strings.Repeat("x", 500)} {
		if _, err := s.Get(t.Context(), id); !errors.Is(err, bulwark.ErrNotFound) || len(err.Error()) > 200 {
			t.Errorf("%q: %v", id, err)
		}
	}
	held, err := s.Held(t.Context())
	if err != nil || held.Reports != 3 || held.Sets != 1 || !held.Oldest.Equal(day(1)) || !held.Newest.Equal(day(3)) {
		t.Errorf("%+v, %v", held, err)
	}
	// One set is kept once, and everything for its owner alone.
	all := files(t, dir)
	if len(all) != 4 {
		t.Error(all)
	}
	bytes := int64(0)
	for name, info := range all {
		bytes += info.Size()
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, info.Mode())
		}
	}
	if held.Bytes != bytes {
		t.Errorf("%d bytes, files have %d", held.Bytes, bytes)
	}
	check(t, s.Clear())
	check(t, s.Clear())
	if left := files(t, dir); len(left) != 0 {
		t.Error(left)
	}
	if _, err := s.Get(t.Context(), c); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	s := store.OpenReports(t.TempDir(), store.ReportBounds{})
	putReport(t, s, kept("a", day(1), 3), "")
	second := putReport(t, s, kept("a", day(2), 2), "")
	putReport(t, s, kept("b", day(3), 2), "")
	id := func(n int) string {
		return bulwark.FindingID(bulwark.ClassVulnerability, fmt.Sprintf("CVE-2026-%04d", n), "a")
	}
	// A text that holds an id, but is none.
	decoy := kept("c", day(4), 1)
	decoy.Findings[0].Rule = id(1)
	putReport(t, s, decoy, "")
	for name, tc := range map[string]struct {
		id   string
		want time.Time
	}{
		"decision":             {kept("a", day(1), 0).Decision.ID, day(1)},
		"decision-newest":      {decoy.Decision.ID, day(4)},
		"finding-newest":       {id(0), day(2)},
		"finding-decoy":        {id(1), day(2)},
		"finding-only-old-one": {id(2), day(1)},
		"unknown":              {"0123456789abcdef", time.Time{}},
		"rule":                 {"CVE-2026-0000", time.Time{}},
		"empty":                {"", time.Time{}},
		"quote":                {`012345678","9abc`, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			k, skipped, err := s.Find(t.Context(), tc.id)
			switch {
			case len(skipped) > 0:
				t.Error(skipped)
			case tc.want.IsZero():
				if !errors.Is(err, bulwark.ErrNotFound) {
					t.Error(k, err)
				}
			case err != nil || !k.Created.Equal(tc.want) || !k.Report.Created.Equal(tc.want):
				t.Error(k, err)
			}
		})
	}
	if k, _, err := s.Find(t.Context(), id(0)); err != nil || k.ID != second {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Find(ctx, id(0)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := s.Get(ctx, second); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, err := range s.List(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if _, err := s.Put(ctx, decoy, []byte("x")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// fileOf gives the path of a report's file.
func fileOf(t testing.TB, dir, id string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "reports", "*-"+id+"*.report"))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	return list[0]
}

// What is cut off or changed is told and passed over, and the rest is there.
func TestDamagedReports(t *testing.T) {
	dir := t.TempDir()
	s := store.OpenReports(dir, store.ReportBounds{})
	old, young := kept("a", day(1), 3), kept("a", day(2), 3)
	putReport(t, s, old, "")
	id := putReport(t, s, young, "policies")
	name := fileOf(t, dir, id)
	good, err := os.ReadFile(name)
	check(t, err)
	finding := young.Findings[1].ID
	damage := map[string][]byte{"more": append(bytes.Clone(good), 0), "other": []byte("x"), "other-line": []byte("x\n"), "zeros": make([]byte, len(good)), "lines": bytes.Repeat([]byte("\n"), len(good))}
	for n := 0; n < len(good); n = max(2*n, n+1) {
		damage[fmt.Sprint("first-", n)] = good[:n]
		damage[fmt.Sprint("without-", n+1)] = good[:len(good)-n-1]
	}
	for i := 0; i < len(good); i += 7 {
		b := bytes.Clone(good)
		b[i] ^= 0x20
		damage[fmt.Sprint("byte-", i)] = b
	}
	for what, b := range damage {
		check(t, os.WriteFile(name, b, 0o600))
		got, errs := listed(t, s)
		if len(got)+len(errs) != 2 || !slices.Contains(got, "a") {
			t.Errorf("%s: listed %v, %v", what, got, errs)
		}
		_, err := s.Get(t.Context(), id)
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%s: %v", what, err)
		}
		k, skipped, err := s.Find(t.Context(), finding)
		if err != nil || len(skipped) != 1 || !k.Created.Equal(day(1)) {
			t.Errorf("%s: %v, %v", what, skipped, err)
		}
		if _, skipped, err := s.Find(t.Context(), young.Decision.ID); !errors.Is(err, bulwark.ErrNotFound) || len(skipped) != 1 {
			t.Errorf("%s: %v, %v", what, skipped, err)
		}
	}
	// Put again it is sound.
	putReport(t, s, young, "policies")
	if k, skipped, err := s.Find(t.Context(), finding); err != nil || skipped != nil || k.ID != id {
		t.Error(skipped, err)
	}
	// Files of nobody, and ones that are being written.
	for _, base := range []string{"x", "readme.report", ".new-1"} {
		check(t, os.WriteFile(filepath.Join(dir, "reports", base), []byte("x"), 0o600))
	}
	check(t, os.Mkdir(filepath.Join(dir, "reports", "20260101T000000.000000000Z-0123456789abcdef.report"), 0o700))
	if got, errs := listed(t, s); len(got) != 2 || len(errs) != 3 {
		t.Error(got, errs)
	}
	if h, err := s.Held(t.Context()); err != nil || h.Reports != 2 || h.Foreign != 3 {
		t.Error(h, err)
	}
	// A set that is damaged.
	set := bulwark.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("policies"))))
	for _, b := range [][]byte{nil, []byte("x"), zip(t, []byte("other policies"))} {
		check(t, os.WriteFile(filepath.Join(dir, "sets", set.Hex()), b, 0o600))
		if got, err := s.Set(set); !errors.Is(err, bulwark.ErrDigest) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func zip(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	check(t, err)
	defer z.Close()
	return z.EncodeAll(b, nil)
}

// forge writes a file whose checksums are right, with any content.
func forge(t testing.TB, dir string, text []byte, change func(*store.Header)) string {
	t.Helper()
	packed := zip(t, text)
	h := store.Header{
		ID: fmt.Sprintf("%x", sha256.Sum256(text))[:16], Created: day(1), Size: int64(len(text)), Packed: int64(len(packed)),
		Sum: bulwark.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(packed))),
	}
	name := h.Created.Format("20060102T150405.000000000Z") + "-" + h.ID + ".report"
	change(&h)
	head, err := json.Marshal(h)
	check(t, err)
	line := fmt.Appendf(nil, "bulwark.kept/v1 %x %s\n", sha256.Sum256(head), head)
	line = append(line[:32], line[80:]...) // 16 digits of 64
	check(t, os.MkdirAll(filepath.Join(dir, "reports"), 0o700))
	check(t, os.WriteFile(filepath.Join(dir, "reports", name), append(line, packed...), 0o600))
	return fmt.Sprintf("%x", sha256.Sum256(text))[:16]
}

func TestHostileReports(t *testing.T) {
	good, err := json.Marshal(kept("a", day(1), 1))
	check(t, err)
	same := func(*store.Header) {}
	for name, tc := range map[string]struct {
		text   []byte
		change func(*store.Header)
		want   error
	}{
		"good":         {good, same, nil},
		"bomb":         {make([]byte, 1<<20), func(h *store.Header) { h.Size = 100 }, bulwark.ErrTooLarge},
		"large":        {good, func(h *store.Header) { h.Size = 1 << 40 }, bulwark.ErrTooLarge},
		"negative":     {good, func(h *store.Header) { h.Size = -1 }, bulwark.ErrTooLarge},
		"longer":       {good, func(h *store.Header) { h.Size++ }, bulwark.ErrDigest},
		"packed":       {good, func(h *store.Header) { h.Packed = 1 << 40 }, bulwark.ErrTooLarge},
		"packed-less":  {good, func(h *store.Header) { h.Packed-- }, bulwark.ErrDigest},
		"sum":          {good, func(h *store.Header) { h.Sum = "" }, bulwark.ErrDigest},
		"time":         {good, func(h *store.Header) { h.Created = day(2) }, bulwark.ErrDigest},
		"id":           {good, func(h *store.Header) { h.ID = "../../x" }, bulwark.ErrDigest},
		"set":          {good, func(h *store.Header) { h.Set = "sha256:../../x" }, bulwark.ErrDigest},
		"schema":       {[]byte(`{"schema":"x"}`), same, bulwark.ErrUnsupported},
		"null":         {[]byte(`null`), same, bulwark.ErrUnsupported},
		"many-values":  {[]byte(`{"findings":[` + strings.Repeat("{},", 13<<20) + `{}]}`), same, bulwark.ErrTooLarge},
		"values-in-it": {[]byte(`{"schema":"bulwark.report/v1","tool":{"name":"` + strings.Repeat(`,\"`, 13<<20) + `"}}`), same, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := store.OpenReports(dir, store.ReportBounds{})
			id := forge(t, dir, tc.text, tc.change)
			if _, err := s.Get(t.Context(), id); !errors.Is(err, tc.want) {
				t.Error(err)
			}
		})
	}
	for _, text := range []string{"", "{", "[]", `{"findings":{}}`, strings.Repeat("[", 1<<20)} {
		dir := t.TempDir()
		s := store.OpenReports(dir, store.ReportBounds{})
		if _, err := s.Get(t.Context(), forge(t, dir, []byte(text), same)); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func TestTrimReports(t *testing.T) {
	// One report takes some 700 bytes.
	for _, tc := range []struct {
		name string
		max  store.ReportBounds
		want []string
		sets int
	}{
		{"room-for-all", store.ReportBounds{}, []string{"a", "b", "c", "d"}, 2},
		{"number", store.ReportBounds{Reports: 2}, []string{"c", "d"}, 1},
		{"one", store.ReportBounds{Reports: 1}, []string{"d"}, 1},
		{"bytes", store.ReportBounds{Bytes: 2800}, []string{"c", "d"}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s := store.OpenReports(dir, store.ReportBounds{})
			for i, name := range []string{"a", "b", "c", "d"} {
				putReport(t, s, kept(name, day(1+i), 1), []string{"old policies", "new policies"}[i/2])
			}
			// Sets are young for a minute, and stay for so long.
			small := store.OpenReports(dir, tc.max)
			putReport(t, small, kept("d", day(4), 1), "new policies")
			if h, err := s.Held(t.Context()); err != nil || h.Sets != 2 {
				t.Errorf("%+v, %v", h, err)
			}
			hour := time.Now().Add(-time.Hour)
			sets, err := filepath.Glob(filepath.Join(dir, "sets", "*"))
			check(t, err)
			for _, name := range sets {
				check(t, os.Chtimes(name, hour, hour))
			}
			if _, err := small.Trim(t.Context()); err != nil {
				t.Error(err)
			}
			if got, errs := listed(t, s); !slices.Equal(got, tc.want) || errs != nil {
				t.Error(got, errs)
			}
			h, err := small.Held(t.Context())
			if err != nil || h.Sets != tc.sets || tc.max.Bytes > 0 && h.Bytes > tc.max.Bytes {
				t.Errorf("%+v, %v", h, err)
			}
			for h, err := range s.List(t.Context()) {
				if _, serr := s.Set(h.Set); err != nil || serr != nil {
					t.Errorf("%s has lost its policies: %v, %v", h.Name, err, serr)
				}
			}
		})
	}
	t.Run("larger-than-all", func(t *testing.T) {
		dir := t.TempDir()
		s := store.OpenReports(dir, store.ReportBounds{Bytes: 100})
		if _, err := s.Put(t.Context(), kept("a", day(1), 1), nil); !errors.Is(err, bulwark.ErrTooLarge) {
			t.Error(err)
		}
		if left := files(t, dir); len(left) != 0 {
			t.Error(left)
		}
	})
	t.Run("abandoned", func(t *testing.T) {
		dir := t.TempDir()
		s := store.OpenReports(dir, store.ReportBounds{})
		putReport(t, s, kept("a", day(1), 1), "x")
		hour := time.Now().Add(-2 * time.Hour)
		for _, sub := range []string{"reports", "sets"} {
			name := filepath.Join(dir, sub, ".new-1")
			check(t, os.WriteFile(name, []byte("x"), 0o600))
			check(t, os.WriteFile(filepath.Join(dir, sub, ".new-2"), []byte("x"), 0o600))
			check(t, os.Chtimes(name, hour, hour))
		}
		if _, err := s.Trim(t.Context()); err != nil {
			t.Error(err)
		}
		if left := files(t, dir); len(left) != 4 {
			t.Error(left)
		}
	})
}

// Reports of every size of name and of strange times are kept and found again.
func TestStrangeReports(t *testing.T) {
	s := store.OpenReports(t.TempDir(), store.ReportBounds{})
	for i, r := range []*bulwark.Report{
		{Schema: bulwark.ReportSchema},
		kept(strings.Repeat("ü", 5000), day(1), 1),
		kept("\x1b\x00\xff", time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), 1),
		kept("zone", day(1).In(time.FixedZone("x", -7*3600)), 1),
	} {
		k, err := s.Get(t.Context(), putReport(t, s, r, ""))
		if err != nil || !k.Created.Equal(r.Created) || len(k.Name) > 1000 {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, err := s.Put(t.Context(), kept("a", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), 1), nil); err == nil {
		t.Error("a year that JSON cannot hold")
	}
	if got, errs := listed(t, s); len(got) != 4 || errs != nil {
		t.Error(got, errs)
	}
}

// TestReportsTogether has several stores on one folder put, list, find and trim.
// TestOneSecond: the reports of one second are in the order in which they were kept,
// whatever their ids are.
func TestOneSecond(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	s := store.OpenReports(dir, store.ReportBounds{})
	want := []string{"e", "b", "d", "a", "c"}
	for i, name := range want {
		putReport(t, s, kept(name, day(1), i), "")
		files, err := filepath.Glob(filepath.Join(dir, "*", "*.report"))
		if err != nil || len(files) != i+1 {
			t.Fatal(files, err)
		}
		for _, f := range files { // clocks of file systems are coarse
			if info, err := os.Stat(f); err == nil && info.ModTime().After(day(2)) {
				if err := os.Chtimes(f, day(1), day(1).Add(time.Duration(i)*time.Millisecond)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if got, errs := listed(t, s); !slices.Equal(got, want) || errs != nil {
		t.Error(got, errs)
	}
}

func TestReportsTogether(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s := store.OpenReports(dir, store.ReportBounds{Reports: 30})
			for k := range 40 {
				r := kept(fmt.Sprint("w", i), day(1).Add(time.Duration(k*4+i)*time.Second), 2)
				if _, err := s.Put(t.Context(), r, fmt.Appendf(nil, "policies %d", k/20)); err != nil {
					t.Error(err)
				}
				if _, errs := listed(t, s); errs != nil {
					t.Error(errs)
				}
				if _, skipped, err := s.Find(t.Context(), r.Findings[0].ID); skipped != nil || err != nil && !errors.Is(err, bulwark.ErrNotFound) {
					t.Error(skipped, err)
				}
			}
		})
	}
	wg.Wait()
	s := store.OpenReports(dir, store.ReportBounds{Reports: 30})
	h, err := s.Held(t.Context())
	if err != nil || h.Reports < 20 || h.Reports > 30 || h.Sets > 2 {
		t.Errorf("%+v, %v", h, err)
	}
	for h, err := range s.List(t.Context()) {
		if _, serr := s.Set(h.Set); err != nil || serr != nil {
			t.Error(err, serr)
		}
	}
}

// A nil Reports keeps nothing and has nothing.
func TestNoReports(t *testing.T) {
	var s *store.Reports
	id, err := s.Put(t.Context(), kept("a", day(1), 1), nil)
	n, terr := s.Trim(t.Context())
	h, herr := s.Held(t.Context())
	if id != "" || err != nil || n != 0 || terr != nil || h != (store.HeldReports{}) || herr != nil || s.Clear() != nil {
		t.Error(id, err, n, terr, h, herr)
	}
	if got, errs := listed(t, s); got != nil || errs != nil {
		t.Error(got, errs)
	}
	if _, err := s.Get(t.Context(), "0123456789abcdef"); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
	if _, _, err := s.Find(t.Context(), "0123456789abcdef"); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.Set(digest(1)); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
}

func FuzzReports(f *testing.F) {
	dir := f.TempDir()
	s := store.OpenReports(dir, store.ReportBounds{})
	id, err := s.Put(f.Context(), kept("a", day(1), 2), nil)
	check(f, err)
	name := fileOf(f, dir, id)
	good, err := os.ReadFile(name)
	check(f, err)
	f.Add(good, []byte("{}"))
	f.Add(good[:len(good)/2], []byte(`{"schema":"bulwark.report/v1"}`))
	f.Fuzz(func(t *testing.T, b, text []byte) {
		dir := t.TempDir()
		s := store.OpenReports(dir, store.ReportBounds{})
		// Anything in place of a file, and any report with the right checksums.
		check(t, os.MkdirAll(filepath.Join(dir, "reports"), 0o700))
		check(t, os.WriteFile(filepath.Join(dir, "reports", filepath.Base(name)), b, 0o600))
		if _, err := s.Get(t.Context(), id); err == nil && !bytes.Equal(b, good) {
			t.Error("another file is taken for the report")
		}
		forged := forge(t, dir, text, func(*store.Header) {})
		_, _ = s.Get(t.Context(), forged)
		_, _, _ = s.Find(t.Context(), "0123456789abcdef")
		listed(t, s)
	})
}
