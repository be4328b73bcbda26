// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/license"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"MIT", "MIT"},
		{"mit", "MIT"},
		{"apache-2.0+", "Apache-2.0+"},
		{"GPL-2.0+", "GPL-2.0+"},
		{"MIT OR Apache-2.0", "MIT OR Apache-2.0"},
		{"mit and (bsd-3-clause or zlib)", "MIT AND (BSD-3-Clause OR Zlib)"},
		{"MIT OR ISC AND Zlib", "MIT OR (ISC AND Zlib)"},
		{"GPL-2.0-only WITH linux-syscall-NOTE", "GPL-2.0-only WITH Linux-syscall-note"},
		{"((MIT))", "MIT"},
		{"(MIT OR MIT) AND MIT", "MIT"},
		{"(MIT OR ISC) OR Zlib", "MIT OR ISC OR Zlib"},
		{"LicenseRef-mine.1", "LicenseRef-mine.1"},
		{"DocumentRef-a:LicenseRef-b AND MIT", "DocumentRef-a:LicenseRef-b AND MIT"},
		{"GPL-3.0-only WITH AdditionRef-ours", "GPL-3.0-only WITH AdditionRef-ours"},
		{"", ""},
		{"Apache 2.0", ""},
		{"GPLv2+", ""},
		{"MIT OR", ""},
		{"OR MIT", ""},
		{"(MIT", ""},
		{"MIT)", ""},
		{"()", ""},
		{"MIT WITH", ""},
		{"MIT WITH MIT", ""},
		{"LicenseRef-", ""},
		{"LicenseRef-a_b", ""},
		{"DocumentRef-:LicenseRef-b", ""},
		{"NOASSERTION", ""},
		{"MIT\x00", ""},
	} {
		e, err := license.Parse(tt.in)
		if e.String() != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q gives %q, %v; want %q", tt.in, e, err, tt.want)
		}
		if err != nil && !errors.Is(err, bulwark.ErrUnsupported) {
			t.Errorf("%q: %v", tt.in, err)
		}
	}
	for _, in := range []string{strings.Repeat("(", 1000) + "MIT" + strings.Repeat(")", 1000), strings.Repeat("MIT OR ", 600) + "MIT", strings.Repeat("MIT OR ", 10_000) + "MIT"} {
		if _, err := license.Parse(in); !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%.20q: %v", in, err)
		}
	}
}

// What real packages declare is read as its maker meant it.
func TestDeclared(t *testing.T) {
	data, err := os.ReadFile("testdata/declared.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, " | ")
		if len(f) == 3 { // an empty expression
			f = []string{f[0], f[1], "", strings.TrimPrefix(f[2], "| ")}
		}
		if len(f) != 4 {
			t.Fatalf("line %q", line)
		}
		n++
		p := bulwark.Package{PURL: "pkg:" + f[0] + "/a@1", Name: "a", Licenses: strings.Split(f[1], " ;; ")}
		e := license.Package(&p)
		if e.String() != f[2] || e.Risk().String() != f[3] {
			t.Errorf("%s %q gives %q, %v; want %q, %s", f[0], f[1], e, e.Risk(), f[2], f[3])
		}
	}
	if n < 90 {
		t.Errorf("%d lines", n)
	}
}

func TestRisk(t *testing.T) {
	for in, want := range map[string]license.Risk{
		"MIT AND GPL-3.0-only":                            license.Restricted,
		"MIT OR GPL-3.0-only":                             license.Notice,
		"(MIT OR GPL-3.0-only) AND MPL-2.0":               license.Reciprocal,
		"MIT AND LicenseRef-x":                            license.Unknown,
		"MIT OR LicenseRef-x":                             license.Notice,
		"GPL-2.0-only AND LicenseRef-x":                   license.Restricted,
		"GPL-2.0-only OR LicenseRef-x":                    license.Restricted,
		"LicenseRef-x OR LicenseRef-y":                    license.Unknown,
		"CC0-1.0 AND Unlicense":                           license.Unencumbered,
		"GPL-2.0-only WITH Classpath-exception-2.0":       license.Reciprocal,
		"GPL-2.0-only WITH AdditionRef-a":                 license.Restricted,
		"SSPL-1.0 OR AGPL-3.0-only OR LicenseRef-elastic": license.Restricted,
		"DocumentRef-a:LicenseRef-public-domain":          license.Unknown,
	} {
		e, err := license.Parse(in)
		if err != nil || e.Risk() != want {
			t.Errorf("%q is %v (%v), want %v", in, e.Risk(), err, want)
		}
	}
	if (license.Expression{}).Risk() != license.Unknown || license.Unknown.Severity() != bulwark.SeverityUnknown {
		t.Error("nothing is something")
	}
}

func TestFindings(t *testing.T) {
	at := []bulwark.Location{{Path: "var/lib/dpkg/status", Line: 7}}
	pkgs := []bulwark.Package{
		{PURL: "pkg:deb/debian/bash@5.2", Licenses: []string{"GPL-3+", "BSD-4-clause-UC"}, Where: at},
		{PURL: "pkg:npm/left-pad@1.3.0", Licenses: []string{"WTFPL"}, Where: at},
		{PURL: "pkg:npm/mine@1", Licenses: []string{"UNLICENSED"}, Where: at},
		{PURL: "pkg:golang/acme.test/x@v1", Where: at},
		{PURL: "pkg:maven/a/b@1", Licenses: []string{"Eclipse Public License v2.0", "The Apache License, Version 2.0"}, Where: at},
		{PURL: "pkg:npm/db@1", Licenses: []string{"SSPL-1.0"}, Where: at},
		{PURL: "pkg:gem/odd@1", Licenses: []string{"MPL-2.0"}},
		{PURL: "pkg:gem/odd@1", Licenses: []string{"MPL-2.0"}},
	}
	var got []string
	for _, f := range license.Findings(pkgs, license.Options{}) {
		if f.Class != bulwark.ClassLicense || f.ID != bulwark.FindingID(f.Class, f.Rule, f.Subject) || f.Fix == "" || len(f.Evidence) != 1 || !f.Status.Open() {
			t.Errorf("finding %+v", f)
		}
		got = append(got, f.Rule+" "+f.Severity.String()+" "+f.Subject+" "+f.Evidence[0].Detail)
	}
	want := []string{
		"license/restricted high pkg:deb/debian/bash@5.2 GPL-3.0-or-later AND BSD-4-Clause-UC (declared GPL-3+; BSD-4-clause-UC): restricted by GPL-3.0-or-later",
		"license/unknown unknown pkg:npm/mine@1 LicenseRef-proprietary (declared UNLICENSED): unknown",
		"license/forbidden critical pkg:npm/db@1 SSPL-1.0: forbidden",
		"license/reciprocal medium pkg:gem/odd@1 MPL-2.0: reciprocal",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	all := license.Findings(pkgs, license.Options{All: true})
	if len(all) != 7 || all[3].Rule != "license/undeclared" {
		t.Errorf("%d findings, %+v", len(all), all)
	}
	rules := map[string]bulwark.Rule{}
	for _, r := range license.Rules() {
		if r.Title == "" || r.Remedy == "" || r.Description == "" || r.Class != bulwark.ClassLicense {
			t.Errorf("rule %+v", r)
		}
		rules[r.ID] = r
	}
	for _, f := range all {
		if r, ok := rules[f.Rule]; !ok || r.Severity != f.Severity {
			t.Errorf("finding %s has no rule or another severity", f.Rule)
		}
	}
}

func archive(t testing.TB) *txtar.Archive {
	t.Helper()
	a, err := txtar.ParseFile("testdata/texts.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTexts(t *testing.T) {
	want := map[string]struct {
		licenses, rule string
		line           int
	}{
		"left-pad/COPYING":          {"WTFPL", "license/permissive", 1},
		"node-forge/LICENSE":        {"BSD-3-Clause GPL-2.0-only", "license/notice", 0}, // one may choose
		"axe-core/LICENSE":          {"MPL-2.0", "license/reciprocal", 1},
		"base-files/COPYING.LESSER": {"LGPL-3.0-only", "license/restricted", 1},
		"app/NOTICE":                {"Apache-2.0", "license/notice", 0},
		"app/LICENSE.txt":           {"", "", 0},
	}
	c, err := license.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive(t).Files {
		w := want[f.Name]
		texts, err := license.Identify(f.Data)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, x := range texts {
			if x.Start < 0 || x.End > len(f.Data) || x.Start >= x.End {
				t.Errorf("%s: %+v", f.Name, x)
			}
			if n := len(ids); n == 0 || ids[n-1] != x.License {
				ids = append(ids, x.License)
			}
		}
		if got := strings.Join(ids, " "); got != w.licenses {
			t.Errorf("%s holds %q, want %q", f.Name, got, w.licenses)
		}
		if !c.Wants("usr/lib/node_modules/"+f.Name, bulwark.Stat{Size: int64(len(f.Data)), Mode: 0o644}) {
			t.Errorf("%s is not wanted", f.Name)
		}
		got, err := c.Check(t.Context(), bulwark.MemoryFile(f.Name, 0o644, f.Data))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case w.rule == "" && len(got) > 0, w.rule != "" && (len(got) != 1 || got[0].Rule != w.rule || w.line > 0 && got[0].Evidence[0].Line != w.line):
			t.Errorf("%s: %+v", f.Name, got)
		}
	}
}

// Copies of a licence that differ in who holds the copyright and in where lines end
// say the same; a line of the licence that begins like that of a holder stays.
func TestCopies(t *testing.T) {
	c := &license.Check{}
	isc := "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above\n" +
		"copyright notice and this permission notice appear in all copies.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS " +
		"SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL " +
		"DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN " +
		"CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.\n"
	for text, line := range map[string]int{
		"Copyright (c) 2014, A B <a@b.test>\n\n" + isc:                         3,
		"ISC License\n\nCopyright 2019-2024 C\nCopyright (c) 2025 D\n\n" + isc: 1,
		"\n\n\n" + strings.ReplaceAll(isc, " ", "\r\n"):                        4,
		"/*\n * copyright: (c) 2020 E\n */\n" + isc:                            1,
	} {
		got, err := c.Check(t.Context(), bulwark.MemoryFile("LICENSE", 0o644, []byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Rule != "license/notice" || got[0].Evidence[0].Line != line {
			t.Errorf("%.40q: %+v, want line %d", text, got, line)
		}
	}
}

func TestWants(t *testing.T) {
	c := &license.Check{}
	for path, want := range map[string]bool{
		"app/LICENSE": true, "app/license.md": true, "app/LICENSE-MIT": true, "app/LICENSE.MIT": true, "app/MIT-LICENSE.txt": true, "app/COPYING": true, "app/COPYING.LIB": true,
		"app/NOTICE.txt": true, "app/LICENSES.txt": true, "app/UNLICENSE": true, "app/Licence.rst": true, "app/LICENSE_OPENSSL": true, "app/LICENSE.APACHE2": true, "app/THIRD-PARTY-LICENSES": true,
		"app/license.js": false, "app/licenses.py": false, "app/LICENSE.gz": false, "app/NOTICEBOARD": false, "app/copyings": true, "app/license.go": false, "app/README": false,
		"usr/share/common-licenses/GPL-3": false, "usr/share/common-licenses/LICENSE": false, "LICENSE": true, "app/licensed.rb": false,
	} {
		if got := c.Wants(path, bulwark.Stat{Size: 1000, Mode: 0o644}); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if c.Wants("LICENSE", bulwark.Stat{Size: 1 << 30, Mode: 0o644}) || c.Wants("LICENSE", bulwark.Stat{Size: 10, Mode: 0o644}) {
		t.Error("size does not count")
	}
}

// Damaged, huge and hostile content: no panic, no long time, no more than
// ErrTooLarge.
func TestHostile(t *testing.T) {
	c := &license.Check{}
	files := archive(t).Files
	var inputs [][]byte
	for _, f := range files {
		for n := 1; n < len(f.Data); n *= 2 {
			inputs = append(inputs, f.Data[:n])
		}
	}
	for _, unit := range []string{"GNU GENERAL PUBLIC LICENSE ", "http://www.apache.org/licenses/LICENSE-2.0 ", "copyright ", "a", "\x00", "\xff\xfe", "((((", "permission is hereby granted free of charge to any person "} {
		inputs = append(inputs, []byte(strings.Repeat(unit, 512<<10/len(unit))))
	}
	for _, in := range inputs {
		start := time.Now()
		if _, err := c.Check(t.Context(), bulwark.MemoryFile("LICENSE", 0o644, in)); err != nil {
			t.Errorf("%.20q: %v", in, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%.20q: %v", in, took)
		}
	}
	if _, err := c.Check(t.Context(), bulwark.MemoryFile("LICENSE", 0o644, make([]byte, 513<<10))); !errors.Is(err, bulwark.ErrTooLarge) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Check(ctx, bulwark.MemoryFile("LICENSE", 0o644, files[0].Data)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := c.Check(t.Context(), bulwark.ReaderFile("LICENSE", 0o644, strings.NewReader("short"), 500)); err == nil {
		t.Error("a short file gave no error")
	}
	for _, in := range []string{strings.Repeat("(", 4000), strings.Repeat("a (", 1300) + strings.Repeat(")", 100), strings.Repeat("GPL or later ", 300), strings.Repeat("a, and b or ", 300), strings.Repeat("/", 4000), strings.Repeat("GPL (GPL ", 400) + ")"} {
		start := time.Now()
		if e := license.Declared([]string{in}, license.AllOf); e.Zero() {
			t.Errorf("%.20q gives nothing", in)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%.20q: %v", in, took)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("MIT AND (GPL-2.0-only WITH Linux-syscall-note OR LicenseRef-a)")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := license.Parse(s)
		if err != nil {
			return
		}
		again, err := license.Parse(e.String())
		if err != nil || again.String() != e.String() || again.Risk() != e.Risk() {
			t.Errorf("%q becomes %q and then %q, %v", s, e, again, err)
		}
	})
}

// Whatever a package declares, the result is an SPDX expression.
func FuzzDeclared(f *testing.F) {
	for _, s := range []string{"GPLv2+ and MIT", "License :: OSI Approved :: MIT License", "GPL-2+ or Artistic, and BSD", "MIT/X11", "GPL2 w/ CPE", "a (b) with c", "https://www.apache.org/licenses/LICENSE-2.0.txt"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, all bool) {
		terms := license.AnyOf
		if all {
			terms = license.AllOf
		}
		e := license.Declared([]string{s, "MIT"}, terms)
		if len(e.String()) > 8<<10 || len(e.Licenses()) > 500 {
			return // longer than what Parse takes back
		}
		again, err := license.Parse(e.String())
		if err != nil || again.String() != e.String() {
			t.Errorf("%q becomes %q and then %q, %v", s, e, again, err)
		}
	})
}

func FuzzCheck(f *testing.F) {
	for _, file := range archive(f).Files {
		f.Add(file.Data[:min(2000, len(file.Data))])
	}
	c := &license.Check{}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := c.Check(t.Context(), bulwark.MemoryFile("LICENSE", 0o644, data))
		if err != nil && !errors.Is(err, bulwark.ErrTooLarge) {
			t.Fatal(err)
		}
		for _, g := range got {
			if len(g.Evidence) != 1 || g.Evidence[0].Line < 1 {
				t.Errorf("finding %+v", g)
			}
		}
	})
}

func BenchmarkText(b *testing.B) {
	f := archive(b).Files[2]
	c := &license.Check{}
	b.SetBytes(int64(len(f.Data)))
	for b.Loop() {
		if got, err := c.Check(b.Context(), bulwark.MemoryFile("LICENSE", 0o644, f.Data)); err != nil || len(got) != 1 {
			b.Fatal(got, err)
		}
	}
}
