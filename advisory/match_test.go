// SPDX-License-Identifier: Apache-2.0

package advisory_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
	"github.com/bulwark-sec/bulwark/internal/funcset"
)

var update = flag.Bool("update", false, "write what tests want anew")

// TestMatch runs testdata/match/*.txtar: records below osv/ and a file "inventory"
// in, a file "want" out. A line of the inventory is
// "ecosystem name version key=value…"; the keys are those of bulwark.Package; % is a space,
// and - an ecosystem that is not known.
// "program path function…" says which functions a program has, "program path" that it hides them,
// and a word system=linux/amd64 what it was built for.
func TestMatch(t *testing.T) {
	files, err := filepath.Glob("testdata/match/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no test files", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			db, _ := build(t, ar)
			inv := &bulwark.Inventory{}
			want := -1
			for i, f := range ar.Files {
				switch f.Name {
				case "inventory":
					*inv = inventory(t, string(f.Data))
				case "want":
					want = i
				}
			}
			r, err := db.Match(t.Context(), inv)
			if err != nil {
				t.Fatal(err)
			}
			got := show(t, db, inv, &r)
			if *update {
				if want < 0 {
					ar.Files = append(ar.Files, txtar.File{Name: "want"})
					want = len(ar.Files) - 1
				}
				ar.Files[want].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want < 0 {
				t.Fatal("no file want")
			}
			if d := gocmp.Diff(strings.Split(string(ar.Files[want].Data), "\n"), strings.Split(got, "\n")); d != "" {
				t.Error(d)
			}
			for _, f := range r.Findings {
				if len(f.Evidence) == 0 || f.ID != bulwark.FindingID(f.Class, f.Rule, f.Subject) {
					t.Errorf("finding %+v", f)
				}
				if a, ok := r.Advisories[f.Rule]; !ok || a.ID != f.Rule || a.Affected != nil {
					t.Errorf("advisory of %q: %+v", f.Rule, a)
				}
			}
			again, err := db.Match(t.Context(), inv)
			if err != nil {
				t.Fatal(err)
			}
			if d := gocmp.Diff(r, again); d != "" {
				t.Error("not the same twice", d)
			}
		})
	}
}

func inventory(t *testing.T, text string) (inv bulwark.Inventory) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if eco, ok := strings.CutPrefix(line, "os "); ok {
			inv.OS = &bulwark.OS{ID: "x", Version: "1", Ecosystem: eco}
			continue
		}
		if rest, ok := strings.CutPrefix(line, "program "); ok {
			inv.Programs = append(inv.Programs, program(rest))
			continue
		}
		f := strings.Split(line, " ")
		for i := range f {
			f[i] = strings.ReplaceAll(f[i], "%", " ")
		}
		p := bulwark.Package{Ecosystem: strings.TrimPrefix(f[0], "-"), Name: f[1], PURL: "pkg:test/" + f[1]}
		if len(f) > 2 && f[2] != "" {
			p.Version = f[2]
			p.PURL += "@" + f[2]
		}
		for _, kv := range f[min(3, len(f)):] {
			k, v, _ := strings.Cut(kv, "=")
			switch k {
			case "source":
				p.Source = v
			case "sourceVersion":
				p.SourceVersion = v
			case "module":
				p.Module = v
			case "owner":
				p.Owner = v
			case "arch":
				p.Arch = v
			case "purl":
				p.PURL = v
			case "at":
				p.Where = append(p.Where, bulwark.Location{Path: v})
			default:
				t.Fatalf("inventory: %q", line)
			}
		}
		inv.Packages = append(inv.Packages, p)
	}
	return inv
}

func program(line string) bulwark.Program {
	f := strings.Fields(line)
	p := bulwark.Program{Path: f[0]}
	var b funcset.Builder
	for _, name := range f[1:] {
		if system, ok := strings.CutPrefix(name, "system="); ok {
			p.System = system
			continue
		}
		b.Add([]byte(name))
	}
	if p.Functions = b.Set(); p.Functions == nil {
		p.Unknown = "it hides them"
	}
	return p
}

// show writes a result for people.
func show(t *testing.T, db *advisory.DB, inv *bulwark.Inventory, r *advisory.Result) string {
	t.Helper()
	var b strings.Builder
	for _, f := range r.Findings {
		a := r.Advisories[f.Rule]
		fmt.Fprintf(&b, "%s %s %s", f.Severity, f.Rule, f.Subject)
		if f.Fix != "" {
			fmt.Fprintf(&b, " fix %s", f.Fix)
		}
		if f.Reach != "" {
			fmt.Fprintf(&b, " reach %s", f.Reach)
		}
		if !f.Status.Open() {
			fmt.Fprintf(&b, "\n  %s by %s: %s", f.Status.State, f.Status.By, f.Status.Reason)
		}
		for _, e := range f.Evidence {
			fmt.Fprintf(&b, "\n  %s: %s", cmp.Or(e.Path, "-"), e.Detail)
		}
		fmt.Fprintf(&b, "\n  also %s, related %s, rated by %q, score %.1f, epss %.3f, exploited %t\n", a.Aliases, a.Related, a.SeverityBy, a.Score, a.EPSS, a.Exploited)
	}
	for _, g := range r.Gaps {
		fmt.Fprintf(&b, "gap %s: %s\n", g.Kind, g.Detail)
	}
	for _, u := range r.Uncovered {
		fmt.Fprintf(&b, "uncovered %s\n", u)
	}
	actions, err := db.Plan(inv, r.Findings, r.Advisories)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range actions {
		fmt.Fprintf(&b, "do %s: %s, removes %d, worst %s, risk %.1f\n", a.Title, cmp.Or(a.Command, "-"), len(a.Findings), a.Worst, a.Risk)
	}
	return b.String()
}

func TestClosed(t *testing.T) {
	db, _ := build(t, &txtar.Archive{Files: []txtar.File{record("X-1", "npm", "x", "2.0.0", "2026-01-01T00:00:00Z")}})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Match(t.Context(), &bulwark.Inventory{}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("match after close: %v", err)
	}
	if _, err := db.Advisory("X-1"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("advisory after close: %v", err)
	}
}

func TestAdvisory(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/match/aliases.txtar")
	if err != nil {
		t.Fatal(err)
	}
	db, _ := build(t, ar)
	for _, id := range []string{"CVE-2021-23337", "GHSA-35jh-r3h4-6jhm"} {
		a, err := db.Advisory(id)
		if err != nil || a.ID != id || len(a.Aliases) == 0 || a.Severity != bulwark.SeverityHigh {
			t.Errorf("%s: %+v, %v", id, a, err)
		}
	}
	if _, err := db.Advisory("CVE-1999-0001"); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
}

func TestStarter(t *testing.T) {
	fsys := fstest.MapFS{}
	for _, f := range []txtar.File{
		record("CVE-2021-44228", "Maven", "org.apache.logging.log4j:log4j-core", "2.15.0", "2021-12-10T00:00:00Z"),
		record("CVE-2014-0160", "Debian:7", "openssl", "1.0.1e-2+deb7u5", "2014-04-07T00:00:00Z"),
	} {
		fsys[strings.TrimPrefix(f.Name, "osv/")] = &fstest.MapFile{Data: f.Data}
		fsys["again/"+f.Name] = &fstest.MapFile{Data: f.Data} // of a second ecosystem: the same flaw
	}
	shell := fsys["Maven/CVE-2021-44228.json"]
	shell.Data = bytes.Replace(shell.Data, []byte(`"id"`), []byte(`"database_specific":{"exploited":true},"id"`), 1)
	db, err := advisory.Starter(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	info := db.Info(now, 24*time.Hour)
	if !info.Starter || info.Advisories != 2 || !info.Stale || info.ID == "" {
		t.Errorf("info %+v", info)
	}
	r, err := db.Match(t.Context(), &bulwark.Inventory{Packages: []bulwark.Package{
		{PURL: "pkg:maven/l", Ecosystem: "Maven", Name: "org.apache.logging.log4j:log4j-core", Version: "2.14.1"},
		{PURL: "pkg:deb/o", Ecosystem: "Debian:7", Name: "libssl1.0.0", Source: "openssl", Version: "1.0.1e-2"},
		{PURL: "pkg:deb/p", Ecosystem: "Debian:12", Name: "openssl", Version: "1.0.1e-2"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, f := range r.Findings {
		rules = append(rules, f.Rule)
	}
	slices.Sort(rules)
	if d := gocmp.Diff([]string{"CVE-2014-0160", "CVE-2021-44228"}, rules); d != "" {
		t.Error(d)
	}
	if !r.Advisories["CVE-2021-44228"].Exploited || r.Advisories["CVE-2014-0160"].Exploited {
		t.Errorf("exploited: %+v", r.Advisories)
	}
	if d := gocmp.Diff([]string{"Debian:12"}, r.Uncovered); d != "" {
		t.Error(d)
	}
	if _, err := advisory.Starter(t.Context(), fstest.MapFS{"npm/x.json": {Data: []byte("{")}}); err == nil {
		t.Error("a broken starter record is not told")
	}
}

// TestReportForm keeps a result in the form that reports write.
func TestReportForm(t *testing.T) {
	ar, err := txtar.ParseFile("testdata/match/aliases.txtar")
	if err != nil {
		t.Fatal(err)
	}
	db, _ := build(t, ar)
	r, err := db.Match(t.Context(), &bulwark.Inventory{Packages: []bulwark.Package{{PURL: "pkg:npm/lodash@4.17.20", Ecosystem: "npm", Name: "lodash", Version: "4.17.20"}}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(b), `"severity":"high"`) {
		t.Errorf("%s, %v", b, err)
	}
}

// What an id affects is told for every ecosystem, a little of each.
func TestAffected(t *testing.T) {
	fsys := fstest.MapFS{}
	for i, name := range []string{"a", "b", "c"} {
		f := record(fmt.Sprintf("X-%d", i), "npm", name, "1.0.0", "2021-12-10T00:00:00Z")
		fsys["npm/"+name+".json"] = &fstest.MapFile{Data: bytes.Replace(f.Data, []byte(`"id"`), []byte(`"aliases":["CVE-2026-1"],"id"`), 1)}
	}
	f := record("CVE-2026-1", "Debian:12", "node-a", "1.0-1", "2021-12-10T00:00:00Z")
	fsys["Debian/d.json"] = &fstest.MapFile{Data: f.Data}
	db, err := advisory.Starter(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, tc := range []struct {
		max, more int
		want      []string
	}{
		{10, 0, []string{"Debian:12 node-a 1.0-1", "npm a 1.0.0", "npm b 1.0.0", "npm c 1.0.0"}},
		{2, 2, []string{"Debian:12 node-a 1.0-1", "npm a 1.0.0"}},
		{0, 4, nil},
	} {
		list, more, err := db.Affected(t.Context(), "CVE-2026-1", tc.max)
		if err != nil || more != tc.more {
			t.Errorf("at most %d: %d more, %v", tc.max, more, err)
		}
		var got []string
		for _, a := range list {
			got = append(got, a.Ecosystem+" "+a.Name+" "+a.Ranges[0].Fixed)
		}
		if d := gocmp.Diff(tc.want, got); d != "" {
			t.Errorf("at most %d: -want +got:\n%s", tc.max, d)
		}
	}
	if list, more, err := db.Affected(t.Context(), "CVE-1999-0001", 10); list != nil || more != 0 || err != nil {
		t.Error(list, more, err)
	}
}
