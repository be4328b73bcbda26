// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/internal/diskcache"
	"github.com/bulwark-sec/bulwark/scan"
)

// suppressed gives the suppressions of a report as "path:line rule".
func suppressed(r *bulwark.Report) []string {
	var out []string
	for _, s := range r.Inventory.Suppressions {
		out = append(out, fmt.Sprintf("%s:%d %s", s.Path, s.Line, s.Rule))
	}
	slices.Sort(out)
	return out
}

// What a later layer takes away or puts in its place asks for nothing any more.
func TestSuppressionsOfLayers(t *testing.T) {
	const ignore = "#!/bin/sh\n# bulwark:ignore "
	first := new(stream)
	for _, name := range []string{"app/kept.sh", "app/gone.sh", "app/replaced.sh", "app/linked.sh", "cleared/x.sh", "whole/x.sh", "other/x.sh"} {
		first.file(name, ignore+"first-"+filepath.Base(filepath.Dir(name))+"\n")
	}
	first.file("app/twice.sh", ignore+"void\n").file("app/twice.sh", "#!/bin/sh\n"+ignore+"counts\n")
	second := new(stream)
	second.file("app/.wh.gone.sh", "").file("app/replaced.sh", "#!/bin/sh\n\n"+ignore+"second owner=web\n").symlink("app/linked.sh", "kept.sh")
	second.file("cleared/.wh..wh..opq", "").file(".wh.whole", "").file("other", "a file now")
	third := new(stream)
	third.file("late.sh", ignore+"third\n")

	s := scan.Scanner{Tool: bulwark.Tool{Version: "test"}, TempDir: t.TempDir(), Cache: diskcache.Open(t.TempDir(), 1<<30), Secrets: true}
	r := &room{dir: t.TempDir()}
	one, two, three := gz(first.end()), gz(second.end()), gz(third.end())
	want := []string{"app/kept.sh:2 first-app", "app/replaced.sh:4 second", "app/twice.sh:3 counts"}
	for _, tc := range []struct {
		name   string
		layers []layer
		cached int
		want   []string
	}{
		{"read", []layer{one, two}, 0, want},
		{"result-kept", []layer{one, two}, 2, want},
		{"records-kept", []layer{one, two, three}, 2, append(slices.Clone(want), "late.sh:2 third")},
		{"first-alone", []layer{one}, 1, []string{
			"app/gone.sh:2 first-app", "app/kept.sh:2 first-app", "app/linked.sh:2 first-app", "app/replaced.sh:2 first-app", "app/twice.sh:3 counts",
			"cleared/x.sh:2 first-cleared", "other/x.sh:2 first-other", "whole/x.sh:2 first-whole",
		}},
	} {
		got, err := s.Run(t.Context(), r.sub(tc.name).layout(tc.layers...))
		if err != nil {
			t.Fatal(tc.name, err)
		}
		if d := cmp.Diff(tc.want, suppressed(got)); d != "" || got.Scan.Cached != tc.cached {
			t.Errorf("%s, %d cached:\n%s", tc.name, got.Scan.Cached, d)
		}
		for _, c := range got.Inventory.Suppressions {
			from := one
			switch c.Rule {
			case "second":
				if from = two; c.Owner != "web" {
					t.Errorf("%s: owner %q", tc.name, c.Owner)
				}
			case "third":
				from = three
			}
			if string(c.Layer) != from.diff || c.Fault != "" {
				t.Errorf("%s: %+v", tc.name, c)
			}
		}
	}
}

// Comments are read where something else is looked for, and nowhere else.
func TestSuppressionsOfFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"requirements.txt": "requests==2.0 # bulwark:ignore CVE-2018-18074\n",
		"Dockerfile":       "FROM x\n# bulwark:ignore BW-IMG-0001\nUSER root\n",
		"app.py":           "x = 1 # bulwark:ignore secret/*\n",
		"logo.png":         "# bulwark:ignore secret/*\n",
		"binary":           "\x00\x01\x02 # bulwark:ignore secret/*\n",
		"late.txt":         strings.Repeat("a line of a text\n", 80_000) + "# bulwark:ignore secret/*\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		s    scan.Scanner
		want []string
	}{
		"packages": {scan.Scanner{}, []string{"requirements.txt:1 CVE-2018-18074"}},
		"config":   {scan.Scanner{Config: true}, []string{"Dockerfile:2 BW-IMG-0001", "requirements.txt:1 CVE-2018-18074"}},
		"secrets":  {scan.Scanner{Secrets: true}, []string{"Dockerfile:2 BW-IMG-0001", "app.py:1 secret/*", "requirements.txt:1 CVE-2018-18074"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.s.InProcessUnsafe, tc.s.TempDir = true, t.TempDir()
			got, err := tc.s.Run(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, suppressed(got)); d != "" {
				t.Error(d)
			}
			late := gap{kind: bulwark.GapLimit, path: "late.txt", detail: "beyond the first"}.in(got.Inventory.Gaps)
			if late != tc.s.Secrets {
				t.Errorf("gaps: %+v", got.Inventory.Gaps)
			}
		})
	}
}

// What is inside an archive goes with it, when the archive comes a second time.
func TestSuppressionsInArchives(t *testing.T) {
	inside := func(rule string) string {
		return string(zipped(member{name: "Dockerfile", data: []byte("FROM x # bulwark:ignore " + rule + "\n")}))
	}
	s := new(stream)
	s.file("a.zip", inside("void")).file("b.zip", inside("b")).file("a.zip", inside("a"))
	r := &room{dir: t.TempDir()}
	got, err := (&scan.Scanner{TempDir: t.TempDir(), InProcessUnsafe: true, Secrets: true, Archives: true}).Run(t.Context(), r.layout(gz(s.end())))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a.zip!/Dockerfile:1 a", "b.zip!/Dockerfile:1 b"}, suppressed(got)); d != "" {
		t.Error(d)
	}
}

// A comment does not bring a secret into the report, and no rule's id is taken
// for one.
func TestSuppressionsRedacted(t *testing.T) {
	const token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
	dir := t.TempDir()
	text := "x = 1 # bulwark:ignore secret/* reason=\"the old " + token + " is revoked\" owner=me\n# bulwark:ignore " + token + " " + token + "\n"
	rules, err := check.Every()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		text += "# bulwark:ignore " + r.ID + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "a.py"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := (&scan.Scanner{TempDir: t.TempDir(), InProcessUnsafe: true, Secrets: true}).Run(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	list := got.Inventory.Suppressions
	if len(list) != len(rules)+2 || !strings.HasPrefix(list[0].Reason, "the old ") || !strings.HasSuffix(list[0].Reason, " is revoked") || list[1].Fault == "" {
		t.Fatalf("%d suppressions, want %d: %+v", len(list), len(rules)+2, list[:min(2, len(list))])
	}
	if strings.Contains(fmt.Sprint(list), token) {
		t.Errorf("the token is there: %+v", list[:2])
	}
	for i, r := range rules {
		if s := list[i+2]; s.Rule != r.ID || s.Fault != "" {
			t.Errorf("%s: %+v", r.ID, s)
		}
	}
}

// An artifact's comments are bounded, and what is left out is told.
func TestSuppressionsBounded(t *testing.T) {
	many := func(dir string, n int) []byte {
		s := new(stream)
		for i := range n {
			s.file(fmt.Sprintf("%s/%d.sh", dir, i), strings.Repeat("# bulwark:ignore r\n", 1000))
		}
		return s.end()
	}
	for name, tc := range map[string]struct {
		layers []layer
		want   int
		told   string
	}{
		"all":        {[]layer{gz(many("a", 9)), gz(many("b", 1))}, 10_000, ""},
		"one-layer":  {[]layer{gz(many("a", 11))}, 10_000, "comments of one layer"},
		"two-layers": {[]layer{gz(many("a", 6)), gz(many("b", 6))}, 10_000, "the rest is left out"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &room{dir: t.TempDir()}
			got, err := (&scan.Scanner{TempDir: t.TempDir(), Secrets: true}).Run(t.Context(), r.layout(tc.layers...))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(got.Inventory.Suppressions); n != tc.want {
				t.Errorf("%d suppressions", n)
			}
			if told := (gap{kind: bulwark.GapLimit, detail: "rules in bulwark:ignore comments"}); told.in(got.Inventory.Gaps) != (tc.told != "") ||
				tc.told != "" && !(gap{kind: bulwark.GapLimit, detail: tc.told}).in(got.Inventory.Gaps) {
				t.Errorf("gaps: %+v", got.Inventory.Gaps)
			}
		})
	}
}
