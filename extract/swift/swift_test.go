// SPDX-License-Identifier: Apache-2.0

package swift_test

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/swift"
)

type extractor = extracttest.Leaf

var extractors = []extractor{swift.PackageResolved{}, swift.PodfileLock{}}

func TestFixtures(t *testing.T) {
	extracttest.Fixtures(t, extractors, func(path string, data []byte, e extractor, want string) {
		t.Run(path, func(t *testing.T) {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
			if diff := cmp.Diff(want, extracttest.Brief(pkgs, err)); diff != "" {
				t.Error(diff)
			}
			for _, p := range pkgs {
				if (p.Ecosystem == "SwiftURL") != strings.HasPrefix(p.PURL, "pkg:swift/") || p.By != e.Name() {
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
		"Package.resolved":                              "package-resolved",
		"a/Package.resolved":                            "package-resolved",
		".build/checkouts/a/Package.resolved":           "",
		"a/SourcePackages/checkouts/b/Package.resolved": "",
		"ios/Podfile.lock":                              "podfile-lock",
		"ios/Pods/Manifest.lock":                        "podfile-lock",
		"ios/Pods/A/Podfile.lock":                       "",
		"src/Manifest.lock":                             "",
		"a.build/Package.resolved":                      "package-resolved",
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
		strings.Repeat("[", 1<<20),
		`{"pins": [` + strings.Repeat(`{"state":`, 1<<18),
		`{"object": ` + strings.Repeat(`{"object": `, 1<<18),
		`{"pins": [` + strings.Repeat("5,", 1<<20),
		"PODS:\n" + strings.Repeat("  - a (1.0)\n", 1<<16),
		"PODS:\n  - " + strings.Repeat("a/", 1<<20) + " (1.0)",
		`{"pins":[{"kind":"remoteSourceControl","location":"https://` + strings.Repeat("a/", 1<<20) + `"}]}`,
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
