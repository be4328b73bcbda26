// SPDX-License-Identifier: Apache-2.0

package julia_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/package-url/packageurl-go"
	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/julia"
)

type extractor interface {
	Name() string
	Wants(path string, st bulwark.Stat) bool
	Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error)
}

var extractors = []extractor{julia.Manifest{}, julia.Installed{}}

// describe writes one line for each package and one for the error.
func describe(pkgs []bulwark.Package, err error) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s [%s] %q %q :%d", p.PURL, p.Ecosystem, p.Name, p.Version, p.Where[0].Line)
		if p.Dev {
			b.WriteString(" dev")
		}
		if len(p.Licenses) > 0 {
			fmt.Fprintf(&b, " %s", strings.Join(p.Licenses, ", "))
		}
		b.WriteByte('\n')
	}
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	return b.String()
}

// wants asks as a walk does: by name first, then by the first bytes.
func wants(e extractor, path string, data []byte) bool {
	if !e.Wants(path, bulwark.Stat{Size: int64(len(data)), Mode: 0o644}) {
		return false
	}
	h, ok := e.(interface {
		WantsHead(path string, head []byte) bool
	})
	return !ok || h.WantsHead(path, data[:min(4096, len(data))])
}

// fixtures calls try with each file of each archive in testdata, the extractors
// that want it, and what is expected: the file of the same name with ".want".
func fixtures(tb testing.TB, try func(path string, data []byte, e extractor, want string)) {
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
			w, ok := want[f.Name+".want"]
			found := false
			for _, e := range extractors {
				if wants(e, f.Name, f.Data) {
					found = true
					try(f.Name, f.Data, e, w)
				}
			}
			if found != ok {
				tb.Errorf("%s in %s: wanted %v, expected %v", f.Name, name, found, ok)
			}
		}
	}
}

func TestFixtures(t *testing.T) {
	fixtures(t, func(path string, data []byte, e extractor, want string) {
		t.Run(path, func(t *testing.T) {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
			if diff := cmp.Diff(want, describe(pkgs, err)); diff != "" {
				t.Error(diff)
			}
			for _, p := range pkgs {
				if _, err := packageurl.FromString(p.PURL); err != nil || p.By != e.Name() || p.Where[0].Path != path {
					t.Errorf("%+v", p)
				}
			}
		})
	})
}

func TestKit(t *testing.T) {
	seeds := map[string]map[string][]byte{}
	fixtures(t, func(path string, data []byte, e extractor, want string) {
		if want == "" || strings.Contains(want, "error:") {
			return
		}
		if seeds[e.Name()] == nil {
			seeds[e.Name()] = map[string][]byte{}
		}
		if len(seeds[e.Name()]) < 2 {
			seeds[e.Name()][path] = data
		}
	})
	for _, e := range extractors {
		t.Run(e.Name(), func(t *testing.T) { extracttest.Extractor(t, e, seeds[e.Name()]) })
	}
}

func TestTooLarge(t *testing.T) {
	for _, e := range extractors {
		if _, err := e.Extract(t.Context(), bulwark.ReaderFile("x", 0, bytes.NewReader(nil), 1<<40)); err == nil {
			t.Errorf("%s: no error", e.Name())
		}
	}
}

func TestIrregular(t *testing.T) {
	fixtures(t, func(path string, _ []byte, e extractor, _ string) {
		for _, mode := range []fs.FileMode{fs.ModeDir, fs.ModeSymlink, fs.ModeDevice} {
			if e.Wants(path, bulwark.Stat{Mode: mode}) {
				t.Errorf("%s wants %q of mode %v", e.Name(), path, mode)
			}
		}
	})
}

func FuzzExtract(f *testing.F) {
	fixtures(f, func(path string, data []byte, e extractor, _ string) {
		f.Add(slices.IndexFunc(extractors, func(x extractor) bool { return x.Name() == e.Name() }), path, data)
	})
	f.Fuzz(func(t *testing.T, n int, path string, data []byte) {
		e := extractors[uint(n)%uint(len(extractors))]
		wants(e, path, data)
		pkgs, _ := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
		for _, p := range pkgs {
			if _, err := packageurl.FromString(p.PURL); err != nil || p.Name == "" || p.By != e.Name() {
				t.Errorf("%+v: %v", p, err)
			}
		}
	})
}
