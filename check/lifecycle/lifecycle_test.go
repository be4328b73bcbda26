// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/lifecycle"
)

func day(t testing.TB, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func pkg(purl, owner string) bulwark.Package {
	_, rest, _ := strings.Cut(purl, "/")
	name, version, _ := strings.Cut(rest, "@")
	return bulwark.Package{PURL: purl, Name: name, Version: version, Owner: owner, Where: []bulwark.Location{{Path: "usr/local/bin/" + name}}}
}

func TestFindings(t *testing.T) {
	for _, tc := range []struct{ purl, owner, now, want string }{
		{"pkg:generic/node@18.19.0", "", "2026-11-22", "high"},
		{"pkg:generic/node@20.1.0", "", "2026-11-22", "medium"},
		{"pkg:generic/node@22.1.0", "", "2026-11-22", ""},
		{"pkg:generic/node@22.1.0", "", "2027-02-15", "low"},
		{"pkg:generic/node@20.1.0", "", "2026-04-30", "low"},
		{"pkg:generic/node@20.1.0", "", "2026-05-01", "medium"},
		{"pkg:generic/node@26.1.0", "", "2026-11-22", ""},
		{"pkg:generic/node@2.1.0", "", "2026-05-01", ""}, // io.js: nothing is known of it
		{"pkg:generic/node@99.1.0", "", "2026-05-01", ""},
		{"pkg:generic/node@18.19.0", "nodejs 18.19.0+dfsg-6", "2026-11-22", ""},
		{"pkg:deb/debian/nodejs@18.19.0", "", "2026-11-22", ""},
		{"pkg:npm/node@18.19.0", "", "2026-11-22", ""},
		{"pkg:generic/python@3.1.4", "", "2026-11-22", "high"},
		{"pkg:generic/python@3.12.1", "", "2026-11-22", ""},
		{"pkg:generic/perl@5.8.9", "", "2026-11-22", "high"},
		{"pkg:generic/perl@5.40.1", "", "2026-11-22", ""},
		{"pkg:generic/ruby@2.7.8", "", "2026-11-22", "high"},
		{"pkg:generic/ruby@3.2.1", "", "2026-04-01", "low"},
		{"pkg:generic/ruby@3.2.1", "", "2026-04-02", "medium"},
		{"pkg:generic/ruby@4.0.1", "", "2026-11-22", ""},
		{"pkg:generic/php@8.2.9", "", "2026-11-22", "low"},
		{"pkg:generic/java@8.0.402", "", "2026-11-22", ""},
		{"pkg:generic/java@16.0.2", "", "2026-11-22", "high"},
		{"pkg:golang/stdlib@1.20.3", "", "2026-11-22", "high"},
		{"pkg:golang/stdlib@1.25rc1", "", "2026-11-22", "medium"},
		{"pkg:golang/stdlib@1.26.1", "", "2026-11-22", ""},
		{"pkg:golang/stdlib@1.20.3", "golang 1.20", "2026-11-22", ""},
		{"pkg:golang/example.test/stdlib2@1.20.3", "", "2026-11-22", ""},
		{"pkg:nuget/Microsoft.NETCore.App.Runtime.linux-x64@6.0.1", "", "2026-11-22", "high"},
		{"pkg:nuget/Microsoft.NETCore.App.Runtime.linux-x64@10.0.1", "", "2026-11-22", ""},
		{"pkg:nuget/Newtonsoft.Json@6.0.1", "", "2026-11-22", ""},
		{"pkg:generic/openssl@1.1.1w", "", "2026-11-22", "high"},
		{"pkg:generic/openssl@3.6.4", "", "2026-11-22", "medium"},
		{"pkg:generic/openssl@4.0.1", "", "2026-11-22", ""},
		{"pkg:generic/postgresql@13.4", "", "2026-11-22", "high"},
		{"pkg:generic/postgresql@", "", "2026-11-22", ""},
		{"", "", "2026-11-22", ""},
	} {
		got := ""
		p := pkg(tc.purl, tc.owner)
		for _, f := range lifecycle.Findings([]bulwark.Package{p, p}, day(t, tc.now)) {
			got += f.Severity.String()
			if len(f.Evidence) == 0 || f.Fix == "" || f.Subject != tc.purl || f.ID == "" {
				t.Errorf("%q: not whole: %+v", tc.purl, f)
			}
		}
		if got != tc.want {
			t.Errorf("%q %q on %s: got %q, want %q", tc.purl, tc.owner, tc.now, got, tc.want)
		}
	}
}

func TestWording(t *testing.T) {
	now := day(t, "2026-11-22")
	var got strings.Builder
	p := pkg("pkg:generic/node@18.19.0", "")
	for _, f := range lifecycle.Findings([]bulwark.Package{p}, now) {
		fmt.Fprintln(&got, f.Evidence[0].Path, f.Evidence[0].Detail)
		fmt.Fprintln(&got, f.Fix)
	}
	for _, f := range lifecycle.OS(&bulwark.OS{ID: "debian", Version: "10"}, day(t, "2024-06-30"), now) {
		fmt.Fprintln(&got, f.Subject, f.Severity, f.Evidence[0].Detail)
	}
	want := `usr/local/bin/node Node.js 18 got its last security fixes on 2025-04-30; see https://github.com/nodejs/release#release-schedule
change to Node.js 26, maintained until 2029-04-30, or another release that is
debian 10 high "debian 10" got its last security fixes on 2024-06-30
`
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
	if f := lifecycle.OS(&bulwark.OS{ID: "debian", Version: "13"}, day(t, "2030-06-30"), now); f != nil {
		t.Error(f)
	}
	if f := lifecycle.OS(nil, day(t, "2010-06-30"), now); f != nil {
		t.Error(f)
	}
}

// TestTable checks the form of the table: one entry a release, each with a page
// and a day that can be.
func TestTable(t *testing.T) {
	release := regexp.MustCompile(`^\d+(\.\d+){0,2}$`)
	seen, products := map[string]bool{}, map[string]bool{}
	for _, s := range lifecycle.Supports() {
		key := s.Product + " " + s.Release
		products[s.Product] = true
		if seen[key] || !release.MatchString(s.Release) || s.Title == "" || !strings.HasPrefix(s.Source, "https://") || s.Last.Year() < 2005 || s.Last.Year() > 2035 {
			t.Errorf("%q: twice or not whole: %+v", key, s)
		}
		seen[key] = true
	}
	for _, p := range []string{"node", "python", "ruby", "php", "go", "java", "dotnet", "perl", "postgresql", "openssl"} {
		if !products[p] {
			t.Errorf("no dates for %s", p)
		}
	}
	for _, r := range lifecycle.Rules() {
		if r.Title == "" || r.Remedy == "" || r.Class != bulwark.ClassCompliance {
			t.Errorf("rule %+v is not whole", r)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("pkg:generic/node@18.19.0", "node", "18.19.0")
	f.Add("pkg:golang/stdlib@1.20", "stdlib", "go1.20")
	f.Add("pkg:", "", "\x00")
	f.Fuzz(func(t *testing.T, purl, name, version string) {
		p := bulwark.Package{PURL: purl, Name: name, Version: version}
		if s, ok := lifecycle.Of(&p); ok && !strings.HasPrefix(strings.TrimPrefix(version, "v"), s.Release) {
			t.Errorf("%q is taken for %s", version, s.Release)
		}
		lifecycle.Findings([]bulwark.Package{p}, time.Unix(0, 0))
	})
}
