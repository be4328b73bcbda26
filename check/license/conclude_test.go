// SPDX-License-Identifier: Apache-2.0

package license_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check/license"
)

// mit is the licence as most packages carry it.
const mit = `The MIT License (MIT)

Copyright (c) 2014 A B

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in
all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
THE SOFTWARE.
`

// texts gives what the check says of files, of which each has a known text.
func texts(t testing.TB, files ...string) []bulwark.Finding {
	t.Helper()
	known := map[string]string{"mit": mit}
	for _, f := range archive(t).Files {
		known[strings.SplitN(f.Name, "/", 2)[0]] = string(f.Data)
	}
	c := &license.Check{}
	var out []bulwark.Finding
	for _, f := range files {
		name, what, _ := strings.Cut(f, " ")
		got, err := c.Check(t.Context(), bulwark.MemoryFile(name, 0o644, []byte(known[what])))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 {
			t.Fatalf("%s: %d findings", f, len(got))
		}
		out = append(out, got...)
	}
	return out
}

func TestConclude(t *testing.T) {
	pkg := func(purl, where string, declared ...string) bulwark.Package {
		_, name, _ := strings.Cut(purl, "/")
		name, version, _ := strings.Cut(name, "@")
		return bulwark.Package{PURL: purl, Name: name, Version: version, Licenses: declared, Where: []bulwark.Location{{Path: where}}}
	}
	for _, tc := range []struct {
		name  string
		pkgs  []bulwark.Package
		texts []string
		want  string
	}{
		{"beside", []bulwark.Package{pkg("pkg:npm/a@1", "node_modules/a/package.json")}, []string{"node_modules/a/LICENSE mit"}, "a MIT node_modules/a/LICENSE\n"},
		{"declared", []bulwark.Package{pkg("pkg:npm/a@1", "node_modules/a/package.json", "ISC")}, []string{"node_modules/a/LICENSE mit"}, ""},
		{"declared-and-risky", []bulwark.Package{pkg("pkg:npm/a@1", "node_modules/a/package.json", "ISC")}, []string{"node_modules/a/COPYING base-files"}, ""},
		{"below", []bulwark.Package{pkg("pkg:npm/a@1", "node_modules/a/package.json")}, []string{"node_modules/a/src/LICENSE mit"}, ""},
		{"wheel", []bulwark.Package{pkg("pkg:pypi/a@1", "site-packages/a-1.dist-info/METADATA")}, []string{"site-packages/a-1.dist-info/licenses/LICENSE mit"}, "a MIT site-packages/a-1.dist-info/licenses/LICENSE\n"},
		{"gem", []bulwark.Package{pkg("pkg:gem/a@1", "gems/3.1/specifications/a-1.gemspec")}, []string{"gems/3.1/gems/a-1/LICENSE mit"}, "a MIT gems/3.1/gems/a-1/LICENSE\n"},
		{"composer", []bulwark.Package{pkg("pkg:composer/x/a@1", "vendor/composer/installed.json")}, []string{"vendor/x/a/LICENSE mit"}, "x/a MIT vendor/x/a/LICENSE\n"},
		{"lock-file", []bulwark.Package{pkg("pkg:npm/a@1", "package-lock.json")}, []string{"LICENSE mit"}, ""},
		{"two-packages", []bulwark.Package{pkg("pkg:npm/a@1", "x/package.json"), pkg("pkg:npm/b@1", "x/package.json")}, []string{"x/LICENSE mit"}, ""},
		{"choice", []bulwark.Package{pkg("pkg:npm/a@1", "x/package.json")}, []string{"x/LICENSE-MIT mit", "x/LICENSE-LGPL base-files"}, "a LGPL-3.0-only OR MIT x/LICENSE-LGPL\n"},
		{"both", []bulwark.Package{pkg("pkg:npm/a@1", "x/package.json")}, []string{"x/LICENSE mit", "x/COPYING base-files"}, "a LGPL-3.0-only AND MIT x/COPYING\n"},
		{"nobody", nil, []string{"src/vendored/COPYING base-files", "src/LICENSE mit"}, "left src/vendored/COPYING high\n"},
		{"inside-an-archive", []bulwark.Package{pkg("pkg:maven/a@1", "a.jar!/META-INF/package.json")}, []string{"a.jar!/META-INF/LICENSE mit"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pkgs, rest := license.Conclude(tc.pkgs, texts(t, tc.texts...))
			var got strings.Builder
			for _, p := range pkgs {
				if c := p.Concluded; c != nil {
					fmt.Fprintln(&got, p.Name, c.License, c.Path)
					if c.Percent < 75 || c.Percent > 100 {
						t.Errorf("%d %%", c.Percent)
					}
				}
			}
			for _, f := range rest {
				fmt.Fprintln(&got, "left", f.Subject, f.Severity)
			}
			if d := cmp.Diff(tc.want, got.String()); d != "" {
				t.Error(d)
			}
			for _, p := range tc.pkgs {
				if p.Concluded != nil {
					t.Error("the packages that were handed over have changed")
				}
			}
		})
	}
}

// TestConcludedIsJudged holds that a licence from a text counts as a declared one
// does, and says where it is from.
func TestConcludedIsJudged(t *testing.T) {
	p := bulwark.Package{PURL: "pkg:npm/a@1", Name: "a", Concluded: &bulwark.Concluded{License: "LGPL-3.0-only", Path: "a/COPYING", Percent: 98}}
	got := license.Findings([]bulwark.Package{p}, license.Options{})
	if len(got) != 1 || got[0].Rule != "license/restricted" {
		t.Fatalf("%+v", got)
	}
	if d := cmp.Diff(`LGPL-3.0-only: restricted; nothing is declared, and 98 % of "a/COPYING" is its text`, got[0].Evidence[0].Detail); d != "" {
		t.Error(d)
	}
	p.Concluded.License = "((("
	if got := license.Findings([]bulwark.Package{p}, license.Options{}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestForeignDetails holds that evidence that nobody here wrote is no licence.
func TestForeignDetails(t *testing.T) {
	pkgs := []bulwark.Package{{PURL: "pkg:npm/a@1", Name: "a", Where: []bulwark.Location{{Path: "a/package.json"}}}}
	for _, detail := range []string{"", "MIT", "MIT: notice", "MIT: notice; 5 of 0 bytes", "MIT: notice; -5 of 4 bytes", "MIT: notice; 9 of 4 bytes", "MIT: notice; 9 of 9999999999999999999999 bytes", "(((: notice; 4 of 4 bytes are"} {
		f := bulwark.Finding{Class: bulwark.ClassLicense, Subject: "a/LICENSE", Evidence: []bulwark.Evidence{{Detail: detail}}}
		if got, _ := license.Conclude(pkgs, []bulwark.Finding{f}); got[0].Concluded != nil {
			t.Errorf("%q: %+v", detail, got[0].Concluded)
		}
	}
	if got, _ := license.Conclude(pkgs, []bulwark.Finding{{Class: bulwark.ClassLicense, Subject: "a/LICENSE"}}); got[0].Concluded != nil {
		t.Error("a licence without evidence")
	}
}

// TestMemory holds what the patterns keep: 80 MB when they are in one automaton.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, f := range archive(t).Files {
		if _, err := license.Identify(f.Data); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 16<<20 {
		t.Errorf("%d MB are kept", kept/1e6)
	} else {
		t.Logf("%d kB are kept", kept/1e3)
	}
}
