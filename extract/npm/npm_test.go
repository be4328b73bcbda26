// SPDX-License-Identifier: Apache-2.0

package npm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/npm"
)

type extractor = extracttest.Leaf

var extractors = []extractor{npm.Installed{}, npm.PackageLock{}, npm.YarnLock{}, npm.PnpmLock{}, npm.BunLock{}, npm.DenoLock{}}

func TestFixtures(t *testing.T) {
	extracttest.Fixtures(t, extractors, func(path string, data []byte, e extractor, want string) {
		t.Run(path, func(t *testing.T) {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
			if diff := cmp.Diff(want, extracttest.Brief(pkgs, err)); diff != "" {
				t.Error(diff)
			}
			for _, p := range pkgs {
				if (p.Ecosystem == "npm") != strings.HasPrefix(p.PURL, "pkg:npm/") || p.By != e.Name() {
					t.Errorf("%+v", p)
				}
			}
		})
	})
}

func TestKit(t *testing.T) { extracttest.Kit(t, extractors, 3) }

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		"package.json":                                   false,
		"app/package.json":                               false,
		"app/node_modules/a/package.json":                true,
		"node_modules/@s/a/package.json":                 true,
		"node_modules/a/mypackage.json":                  false,
		"usr/share/nodejs/acorn/package.json":            true,
		"usr/lib/x86_64-linux-gnu/nodejs/a/package.json": true,
	} {
		if got := (npm.Installed{}).Wants(path, bulwark.Stat{Size: 10, Mode: 0o644}); got != want {
			t.Errorf("Wants(%q) = %v", path, got)
		}
	}
	for _, e := range extractors {
		if e.Wants("node_modules/package.json/", bulwark.Stat{Mode: fs.ModeDir}) {
			t.Errorf("%s wants a directory", e.Name())
		}
	}
}

func TestDeep(t *testing.T) {
	// Nested until the limit, in each place that is descended into.
	for _, text := range []string{
		`{"dependencies":` + strings.Repeat(`{"a":{"version":"1.0.0","dependencies":`, 100_000),
		`{"packages":{"node_modules/a":` + strings.Repeat(`[`, 1_000_000),
		`{"license":` + strings.Repeat(`[`, 1_000_000) + strings.Repeat(`]`, 1_000_000) + "}",
	} {
		pkgs, err := npm.PackageLock{}.Extract(t.Context(), bulwark.MemoryFile("package-lock.json", 0, []byte(text)))
		if len(pkgs) > 1 {
			t.Errorf("%d packages, %v", len(pkgs), err)
		}
	}
}

func TestBunHostile(t *testing.T) {
	// A key that is as deep as any, whose package needs what is nowhere; packages
	// that need one another; a name for every kind of damage.
	deep := strings.TrimSuffix(strings.Repeat("a/", 250), "/")
	var needs strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&needs, "%q:1,", fmt.Sprint("n", i))
	}
	for text, want := range map[string]int{
		`{"lockfileVersion":1,"workspaces":{"":{"dependencies":{"a":1}}},"packages":{"` + deep + `":["x@1.0.0","",{"dependencies":{` + needs.String() + `}}],
			"a":["a@1.0.0","",{"dependencies":{"` + deep + `":1}}]}}`: 2,
		`{"lockfileVersion":1,"workspaces":{"":{"dependencies":{"a":1}}},"packages":{"a":["a@1.0.0","",{"dependencies":{"b":1}}],"b":["b@1.0.0","",{"dependencies":{"a":1,"b":1}}]}}`: 2,
		`{"lockfileVersion":1,"packages":` + strings.Repeat(`{"a":["a@1.0.0","",`, 100_000):                                                                                           0,
		`{"lockfileVersion":1,"packages":{"//":["@/x@1.0.0"],"@":["@"],"":["@@1"],"/":["/@1.0.0","",{"dependencies":{"/":1,"":1}}]}}`:                                                 3,
		`{"lockfileVersion":1,"packages":{` + strings.Repeat(`,`, 1_000_000):                                                                                                          0,
		`/*/` + strings.Repeat(`/*`, 500_000): 0,
	} {
		pkgs, err := npm.BunLock{}.Extract(t.Context(), bulwark.MemoryFile("bun.lock", 0, []byte(text)))
		if len(pkgs) != want {
			t.Errorf("%.60q: %d packages, want %d; %v", text, len(pkgs), want, err)
		}
	}
}

func TestDenoHostile(t *testing.T) {
	for _, text := range []string{
		`{"version":"5","npm":` + strings.Repeat(`{"packages":`, 500_000),
		`{"version":"3","packages":` + strings.Repeat(`{"npm":`, 500_000),
		`{"version":"5","jsr":{"@s/a@1.0.0":` + strings.Repeat(`[`, 1_000_000),
	} {
		pkgs, err := npm.DenoLock{}.Extract(t.Context(), bulwark.MemoryFile("deno.lock", 0, []byte(text)))
		if len(pkgs) > 1 || err == nil {
			t.Errorf("%.60q: %d packages, %v", text, len(pkgs), err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	for _, e := range extractors {
		_, err := e.Extract(t.Context(), bulwark.ReaderFile("x", 0, bytes.NewReader(nil), 1<<40))
		if !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
}

// TestTree installs packages with npm and compares with what npm lists.
func TestTree(t *testing.T) {
	if os.Getenv("BULWARK_SYSTEM") == "" {
		t.Skip("installs packages; set BULWARK_SYSTEM=1")
	}
	tool, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no npm")
	}
	dir := t.TempDir()
	manifest := `{"name":"app","version":"1.0.0","dependencies":{"express":"4.17.1","lodash":"4.17.20","axios":"0.21.0",
		"@babel/core":"7.12.0","chalk":"4.1.0","yargs":"16.0.0","JSONStream":"1.3.5","lodash-alias":"npm:lodash@3.10.1"},
		"devDependencies":{"mocha":"8.0.0","rimraf":"3.0.0"}}`
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), tool, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.Output()
		if err != nil {
			t.Logf("npm %v: %v", args, err)
		}
		return out
	}
	run("install", "--ignore-scripts", "--no-audit", "--no-fund")
	want := map[string]bool{}
	var walk func(raw json.RawMessage)
	walk = func(raw json.RawMessage) {
		var node struct {
			Dependencies map[string]json.RawMessage
		}
		if err := json.Unmarshal(raw, &node); err != nil {
			t.Fatal(err)
		}
		for name, sub := range node.Dependencies {
			var dep struct{ Name, Version string }
			if err := json.Unmarshal(sub, &dep); err != nil {
				t.Fatal(err)
			}
			if dep.Name != "" {
				name = dep.Name
			}
			if dep.Version != "" {
				want[name+"@"+dep.Version] = true
			}
			walk(sub)
		}
	}
	walk(run("ls", "--all", "--long", "--json"))
	if len(want) < 100 {
		t.Skipf("npm lists %d packages: no registry?", len(want))
	}
	compare := func(what string, got map[string]bool) {
		missing, extra := 0, 0
		for p := range want {
			if !got[p] {
				missing++
				t.Errorf("%s: %s is missing", what, p)
			}
		}
		for p := range got {
			if !want[p] {
				extra++
				t.Logf("%s: %s is not in npm ls", what, p)
			}
		}
		t.Logf("%s: npm lists %d, found %d; recall %.4f, precision %.4f", what, len(want), len(got),
			1-float64(missing)/float64(len(want)), 1-float64(extra)/float64(len(got)))
	}
	for _, e := range []extractor{npm.Installed{}, npm.PackageLock{}} {
		got := map[string]bool{}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(dir, path)
			if err != nil || !d.Type().IsRegular() || !e.Wants(filepath.ToSlash(rel), bulwark.Stat{}) {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(filepath.ToSlash(rel), 0o644, data))
			if err != nil {
				t.Error(err)
			}
			for _, p := range pkgs {
				got[p.Name+"@"+p.Version] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		compare(e.Name(), got)
	}
}

func FuzzExtract(f *testing.F) {
	extracttest.Fixtures(f, extractors, func(_ string, data []byte, e extractor, _ string) {
		f.Add(slices.IndexFunc(extractors, func(x extractor) bool { return x.Name() == e.Name() }), data)
	})
	f.Fuzz(func(t *testing.T, n int, data []byte) {
		e := extractors[uint(n)%uint(len(extractors))]
		_, _ = e.Extract(t.Context(), bulwark.MemoryFile("node_modules/a/package.json", 0o644, data))
	})
}

// manifestText is a package.json of usual size.
func manifestText() string {
	var text strings.Builder
	text.WriteString(`{"name":"express","version":"4.17.1","license":"MIT","dependencies":{`)
	for i := range 60 {
		fmt.Fprintf(&text, "\n    \"dependency-%d\": \"^1.%d.0\",", i, i)
	}
	text.WriteString("\n    \"last\": \"1\"},\n \"scripts\": {\"test\": \"mocha --require \\\"x\\\" test/\"}}")
	return text.String()
}

func BenchmarkInstalled(b *testing.B) {
	f := bulwark.MemoryFile("node_modules/express/package.json", 0o644, []byte(manifestText()))
	b.SetBytes(f.Size)
	b.ReportAllocs()
	for b.Loop() {
		if pkgs, err := (npm.Installed{}).Extract(b.Context(), f); err != nil || len(pkgs) != 1 {
			b.Fatal(pkgs, err)
		}
	}
}

// BenchmarkEncodingJSON is the same work by the standard library.
func BenchmarkEncodingJSON(b *testing.B) {
	data := []byte(manifestText())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var m struct {
			Name, Version string
			License       json.RawMessage
		}
		if err := json.Unmarshal(data, &m); err != nil {
			b.Fatal(err)
		}
	}
}
