// SPDX-License-Identifier: Apache-2.0

package dart_test

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/dart"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
)

type extractor = extracttest.Leaf

var extractors = []extractor{dart.PubspecLock{}}

func TestFixtures(t *testing.T) {
	extracttest.Fixtures(t, extractors, func(path string, data []byte, e extractor, want string) {
		t.Run(path, func(t *testing.T) {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
			if diff := cmp.Diff(want, extracttest.Brief(pkgs, err)); diff != "" {
				t.Error(diff)
			}
			for _, p := range pkgs {
				if p.Ecosystem != "Pub" || p.By != e.Name() {
					t.Errorf("%+v", p)
				}
			}
		})
	})
}

func TestKit(t *testing.T) { extracttest.Kit(t, extractors, 3) }

func TestTooLarge(t *testing.T) {
	for _, e := range extractors {
		_, err := e.Extract(t.Context(), bulwark.ReaderFile("x", 0, bytes.NewReader(nil), 1<<40))
		if !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]string{
		"pubspec.lock":              "pubspec-lock",
		"a/pubspec.lock":            "pubspec-lock",
		".pub-cache/a/pubspec.lock": "",
		"pubspec.yaml":              "",
	} {
		got := ""
		for _, e := range extractors {
			if e.Wants(path, bulwark.Stat{Size: 10, Mode: 0o644}) {
				got += e.Name()
			}
			if e.Wants(path, bulwark.Stat{Mode: fs.ModeDir | 0o755}) || e.Wants(path, bulwark.Stat{Mode: fs.ModeSymlink}) {
				t.Errorf("%s wants a directory or link %q", e.Name(), path)
			}
		}
		if got != want {
			t.Errorf("%q is wanted by %q, want %q", path, got, want)
		}
	}
}

// TestHostile reads files that are nested or repeated without end.
func TestHostile(t *testing.T) {
	for _, text := range []string{
		"packages:\n" + strings.Repeat(" ", 1<<20) + "a:",
		"packages:\n  " + strings.Repeat("a", 1<<20) + ":\n    version: 1",
		"packages:\n  a:\n" + strings.Repeat("    version: \"1\"\n", 1<<16),
	} {
		for _, e := range extractors {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile("a", 0, []byte(text)))
			if len(pkgs) > 1 {
				t.Errorf("%s: %d packages in %.20q, %v", e.Name(), len(pkgs), text, err)
			}
		}
	}
}

func FuzzExtract(f *testing.F) {
	extracttest.Fixtures(f, extractors, func(_ string, data []byte, e extractor, _ string) {
		f.Add(slices.IndexFunc(extractors, func(x extractor) bool { return x.Name() == e.Name() }), data)
	})
	f.Fuzz(func(t *testing.T, n int, data []byte) {
		e := extractors[uint(n)%uint(len(extractors))]
		_, _ = e.Extract(t.Context(), bulwark.MemoryFile("a", 0o644, data))
	})
}
