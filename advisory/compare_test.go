// SPDX-License-Identifier: Apache-2.0

package advisory_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
)

func TestCompare(t *testing.T) {
	ctx, dir, data := t.Context(), t.TempDir(), t.TempDir()
	opt := advisory.CompareOptions{Dir: dir, Now: now}
	if _, err := advisory.Compare(ctx, "previous", "current", opt); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
	first := small()
	write(t, data, first)
	one, err := advisory.Import(ctx, data, advisory.ImportOptions{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := advisory.Compare(ctx, "previous", "current", opt); !errors.Is(err, bulwark.ErrNotFound) || !strings.Contains(err.Error(), "after the next update") {
		t.Error(err)
	}
	same, err := advisory.Compare(ctx, "current", string(one.ID), opt)
	if err != nil || len(same.Ecosystems) != 0 || same.Old.Advisories != 4 {
		t.Errorf("%+v, %v", same, err)
	}

	// GHSA-1 goes, GHSA-2 gets another fix, GHSA-3 another severity and text, one
	// comes, and so does an ecosystem; another goes.
	next := &txtar.Archive{Files: []txtar.File{
		record("GHSA-2", "npm", "two", "1.2.5", "2026-01-05T00:00:00Z"),
		record("GHSA-3", "npm", "three", "1.3.0", "2026-01-03T00:00:00.123456789123Z"),
		record("GHSA-4", "npm", "four", "1.4.0", "2026-01-05T00:00:00Z"),
		record("PYSEC-1", "PyPI", "five", "1.5.0", "2026-01-05T00:00:00Z"),
		{Name: "kev/known_exploited_vulnerabilities.json", Data: []byte(`{"vulnerabilities":[{"cveID":"CVE-2026-0002","dateAdded":"2026-01-01","dueDate":"2026-01-20"}]}`)},
		{Name: "epss/epss_scores-current.csv.gz", Data: []byte("#model_version:v2025.03.14,score_date:2026-11-21T12:55:00Z\ncve,epss,percentile\nCVE-2026-0001,0.6,0.9\nCVE-2026-0002,0.1,0.2\n")},
	}}
	next.Files[1].Data = bytes.Replace(next.Files[1].Data, []byte(`"affected"`), []byte(`"summary":"worse than thought","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected"`), 1)
	more := t.TempDir()
	write(t, more, next)
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	fresh := t.TempDir()
	two, err := advisory.Import(ctx, more, advisory.ImportOptions{Dir: fresh, Now: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	unknown := bulwark.SeverityUnknown
	rng := func(eco, name, fixed string) *bulwark.Affected {
		return &bulwark.Affected{Ecosystem: eco, Name: name, Ranges: []bulwark.Range{{Introduced: "0", Fixed: fixed}}}
	}
	want := &advisory.Comparison{
		Old: advisory.Side{ID: one.ID, Built: now, Advisories: 4},
		New: advisory.Side{ID: two.ID, Built: now.Add(time.Hour), Advisories: 4},
		Ecosystems: []advisory.EcosystemChanges{
			{Ecosystem: "AlmaLinux", Withdrawn: []advisory.AdvisoryChange{{ID: "ALSA-2026:1", Packages: []string{"bash"}}}},
			{
				Ecosystem: "PyPI", Added: []advisory.AdvisoryChange{{ID: "PYSEC-1", Packages: []string{"five"}}},
			},
			{
				Ecosystem: "npm",
				Added:     []advisory.AdvisoryChange{{ID: "GHSA-4", Packages: []string{"four"}}},
				Withdrawn: []advisory.AdvisoryChange{{ID: "GHSA-1", Packages: []string{"one"}}},
				Changed: []advisory.AdvisoryChange{
					{ID: "GHSA-2", Packages: []string{"two"}, What: []string{"ranges"}, Ranges: []advisory.PackageChange{
						{Ecosystem: "npm", Name: "two", Old: rng("npm", "two", "1.2.0"), New: rng("npm", "two", "1.2.5")},
					}},
					{ID: "GHSA-3", Packages: []string{"three"}, Severity: bulwark.SeverityCritical, Was: &unknown, What: []string{"severity", "text"}},
				},
			},
		},
		Exploited: []string{"CVE-2026-0002"}, NoLonger: []string{"CVE-2026-0001"}, Scores: 2,
	}
	// Every way to name a database leads to the same answer.
	site, export, carried := t.TempDir(), filepath.Join(t.TempDir(), "x.db"), filepath.Join(t.TempDir(), "x.bundle")
	if _, err := advisory.Publish(ctx, advisory.PublishOptions{Dir: fresh, To: site, Now: now}); err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for name, put := range map[string]func(f *os.File) error{
		export: func(f *os.File) error { return advisory.Export(ctx, fresh, f) },
		carried: func(f *os.File) error {
			_, err := advisory.Carry(ctx, f, advisory.CarryOptions{Dir: fresh, Key: key, Now: now})
			return err
		},
	} {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(put(f), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	m := serve(t)
	if err := os.CopyFS(m.dir, os.DirFS(site)); err != nil {
		t.Fatal(err)
	}
	opt.Client = m.Client()
	for name, b := range map[string]string{"folder": fresh, "publication": site, "web": m.URL, "export": export, "bundle": carried} {
		t.Run(name, func(t *testing.T) {
			got, err := advisory.Compare(ctx, "current", b, opt)
			if err != nil {
				t.Fatal(err)
			}
			if d := gocmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
	if got, err := advisory.Compare(ctx, fresh, old, opt); err != nil || len(got.Ecosystems) != 3 || len(got.Ecosystems[0].Added) != 1 {
		t.Errorf("the other way: %+v, %v", got, err)
	}
	for _, bad := range []string{"nowhere", "deadbeef00", t.TempDir(), filepath.Join(data, "osv", "ecosystems.txt"), "ftp://x/y"} {
		if _, err := advisory.Compare(ctx, "current", bad, opt); err == nil {
			t.Errorf("%q was found", bad)
		}
	}
	if st, err := advisory.Verify(ctx, dir); err != nil || st.ID != one.ID {
		t.Error("comparing changed the database", err)
	}
	// After an update there is the one before.
	opt.Dir = fresh
	write(t, more, &txtar.Archive{Files: append(next.Files, record("GHSA-5", "npm", "six", "1", "2026-02-01T00:00:00Z"))})
	if _, err := advisory.Import(ctx, more, advisory.ImportOptions{Dir: fresh, Now: now.Add(2 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	got, err := advisory.Compare(ctx, "previous", "current", opt)
	if err != nil || len(got.Ecosystems) != 1 || len(got.Ecosystems[0].Added) != 1 || got.Old.ID != two.ID {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCarried takes a bundle by the parent's functions.
func TestCarried(t *testing.T) {
	ctx, dir, there := t.Context(), t.TempDir(), t.TempDir()
	write(t, dir, small())
	src := t.TempDir()
	st, err := advisory.Import(ctx, dir, advisory.ImportOptions{Dir: src, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	pub := bundle.PublicKey(key.Public().(ed25519.PublicKey))
	var b bytes.Buffer
	if _, err := advisory.Carry(ctx, &b, advisory.CarryOptions{Dir: t.TempDir(), Key: key, Now: now}); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
	b.Reset()
	made, err := advisory.Carry(ctx, &b, advisory.CarryOptions{Dir: src, Key: key, Now: now, ValidFor: time.Hour, Tool: "t", Versions: map[string]string{"a": "b"}})
	if err != nil || made.Label.Database != st.ID || made.Key != pub || !made.Label.Expires.Equal(now.Add(time.Hour)) {
		t.Fatal(made, err)
	}
	name := filepath.Join(t.TempDir(), "x.bundle")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	opt := advisory.ApplyOptions{Dir: there, Keys: []string{pub}, Now: now}
	seen, err := advisory.VerifyBundle(ctx, name, opt)
	if err != nil || seen.ID != st.ID || !seen.Newer || seen.Label.Versions["a"] != "b" {
		t.Error(seen, err)
	}
	if _, err := advisory.Stored(there); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error("verify wrote something", err)
	}
	for i := range 2 {
		got, err := advisory.Apply(ctx, name, opt)
		if err != nil || got.ID != st.ID || got.Newer != (i == 0) {
			t.Error(got, err)
		}
	}
	if v, err := advisory.Verify(ctx, there); err != nil || v.Rows != st.Rows {
		t.Error(v, err)
	}
	for what, o := range map[string]advisory.ApplyOptions{
		"expired": {Dir: there, Now: now.Add(2 * time.Hour)}, "no-time": {Dir: there}, "bad-key": {Dir: there, Now: now, Keys: []string{"ed25519:x"}},
	} {
		if _, err := advisory.Apply(ctx, name, o); err == nil {
			t.Error(what, "is taken")
		}
		if _, err := advisory.VerifyBundle(ctx, name, o); err == nil {
			t.Error(what, "is taken")
		}
	}
	for _, bad := range []string{"nowhere", dir + "/osv/ecosystems.txt"} {
		if _, err := advisory.Apply(ctx, bad, opt); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Error(err)
		}
	}
}
