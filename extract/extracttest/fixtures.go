// SPDX-License-Identifier: Apache-2.0

package extracttest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
)

// A Leaf is an extractor of files.
type Leaf interface {
	Name() string
	Wants(path string, st bulwark.Stat) bool
	Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error)
}

// Wanted asks as a walk does: by name first, then by the first bytes.
func Wanted(l Leaf, path string, data []byte) bool {
	if !l.Wants(path, bulwark.Stat{Size: int64(len(data)), Mode: 0o644}) {
		return false
	}
	h, ok := l.(headed)
	return !ok || h.WantsHead(path, data[:min(4096, len(data))])
}

// Fixtures calls try with each file of each archive in testdata, the leaves that
// want it, and what is expected: the file of the same name with ".want". A file
// that has one and is not wanted is an error, and so is the reverse. One that says
// "file: NAME" stands for that file in testdata, which is not text.
func Fixtures(tb testing.TB, leaves []Leaf, try func(path string, data []byte, l Leaf, want string)) {
	tb.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		tb.Fatal("no fixtures", err)
	}
	for _, name := range archives {
		a, err := txtar.ParseFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		want := map[string]string{}
		for _, f := range a.Files {
			want[f.Name] = string(f.Data)
		}
		for _, f := range a.Files {
			if strings.HasSuffix(f.Name, ".want") {
				continue
			}
			if name, ok := strings.CutPrefix(strings.TrimSpace(string(f.Data)), "file: "); ok {
				if f.Data, err = os.ReadFile(filepath.Join("testdata", name)); err != nil {
					tb.Fatal(err)
				}
			}
			w, ok := want[f.Name+".want"]
			found := false
			for _, l := range leaves {
				if Wanted(l, f.Name, f.Data) {
					found = true
					try(f.Name, f.Data, l, w)
				}
			}
			if found != ok {
				tb.Errorf("%s in %s: wanted %v, expected %v", f.Name, name, found, ok)
			}
		}
	}
}

// Kit runs the kit on each leaf with at most n fixtures that it reads without an
// error.
func Kit(t *testing.T, leaves []Leaf, n int) {
	t.Helper()
	seeds := map[string]map[string][]byte{}
	Fixtures(t, leaves, func(path string, data []byte, l Leaf, want string) {
		if want == "" || strings.Contains(want, "error:") {
			return
		}
		if seeds[l.Name()] == nil {
			seeds[l.Name()] = map[string][]byte{}
		}
		if len(seeds[l.Name()]) < n {
			seeds[l.Name()][path] = data
		}
	})
	for _, l := range leaves {
		t.Run(l.Name(), func(t *testing.T) { Extractor(t, l, seeds[l.Name()]) })
	}
}

// Describe writes one line for each package, with its name and version as the
// ecosystem writes them, and one for the error.
func Describe(pkgs []bulwark.Package, err error) string {
	return describe(pkgs, err, func(p *bulwark.Package) string {
		return fmt.Sprintf("%s [%s] %q %q", p.PURL, p.Ecosystem, p.Name, p.Version)
	}, ", ")
}

// Brief is Describe with package URLs only.
func Brief(pkgs []bulwark.Package, err error) string {
	return describe(pkgs, err, func(p *bulwark.Package) string { return p.PURL }, ",")
}

func describe(pkgs []bulwark.Package, err error, name func(*bulwark.Package) string, between string) string {
	var b strings.Builder
	for i := range pkgs {
		p := &pkgs[i]
		fmt.Fprintf(&b, "%s :%d", name(p), p.Where[0].Line)
		if p.Dev {
			b.WriteString(" dev")
		}
		if len(p.Licenses) > 0 {
			fmt.Fprintf(&b, " %s", strings.Join(p.Licenses, between))
		}
		b.WriteByte('\n')
	}
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	return b.String()
}
