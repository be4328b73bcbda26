// SPDX-License-Identifier: Apache-2.0

package model_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/model"
)

type extractor = extracttest.Leaf

var extractors = []extractor{model.GGUF{}, model.Safetensors{}, model.Pickle{}, model.Ref{}, model.Config{}, model.Card{}}

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

func TestFixtures(t *testing.T) {
	extracttest.Fixtures(t, extractors, func(path string, data []byte, e extractor, want string) {
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

// A short file ends where its leaf said that it needs no more.
type short struct {
	*bytes.Reader
	n int64
}

func (s short) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > s.n {
		return 0, bulwark.ErrTooLarge
	}
	return s.Reader.ReadAt(p, off)
}

// TestPrefix shows files with weights of a TiB: leaves read no more than they say.
func TestPrefix(t *testing.T) {
	asked := 0
	extracttest.Fixtures(t, extractors, func(path string, data []byte, e extractor, want string) {
		p, ok := e.(interface {
			Prefix(path string, head []byte) int64
		})
		if !ok || strings.Contains(want, "error: ") {
			return
		}
		asked++
		n := p.Prefix(path, data[:min(len(data), 4096)])
		padded := append(bytes.Clone(data), make([]byte, 8192)...)
		if n < int64(len(padded)) {
			padded = padded[:n]
		}
		// What is read beyond the fixture stands for weights.
		padded = append(padded, make([]byte, max(0, min(n, 1<<20)-int64(len(padded))))...)
		f := bulwark.ReaderFile(path, 0o644, short{bytes.NewReader(padded), int64(len(padded))}, 1<<40)
		pkgs, err := e.Extract(t.Context(), f)
		if diff := cmp.Diff(want, describe(pkgs, err)); diff != "" {
			t.Errorf("%s of %s: %s", e.Name(), path, diff)
		}
	})
	if asked < 10 {
		t.Errorf("only %d files", asked)
	}
}

func TestKit(t *testing.T) { extracttest.Kit(t, extractors, 2) }

func TestTooLarge(t *testing.T) {
	for _, e := range extractors {
		if _, err := e.Extract(t.Context(), bulwark.ReaderFile("x", 0, bytes.NewReader(nil), 1<<40)); err == nil {
			t.Errorf("%s: no error", e.Name())
		}
	}
}

func TestIrregular(t *testing.T) {
	extracttest.Fixtures(t, extractors, func(path string, _ []byte, e extractor, _ string) {
		for _, mode := range []fs.FileMode{fs.ModeDir, fs.ModeSymlink, fs.ModeDevice} {
			if e.Wants(path, bulwark.Stat{Mode: mode}) {
				t.Errorf("%s wants %q of mode %v", e.Name(), path, mode)
			}
		}
	})
}

func FuzzExtract(f *testing.F) {
	extracttest.Fixtures(f, extractors, func(path string, data []byte, e extractor, _ string) {
		f.Add(slices.IndexFunc(extractors, func(x extractor) bool { return x.Name() == e.Name() }), path, data)
	})
	f.Fuzz(func(t *testing.T, n int, path string, data []byte) {
		e := extractors[uint(n)%uint(len(extractors))]
		extracttest.Wanted(e, path, data)
		pkgs, _ := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
		for _, p := range pkgs {
			if _, err := packageurl.FromString(p.PURL); err != nil || p.Name == "" || p.By != e.Name() {
				t.Errorf("%+v: %v", p, err)
			}
		}
	})
}
