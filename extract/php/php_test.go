// SPDX-License-Identifier: Apache-2.0

package php_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/php"
)

type extractor = extracttest.Leaf

var extractors = []extractor{php.ComposerLock{}, php.Installed{}}

func TestFixtures(t *testing.T) {
	extracttest.Fixtures(t, extractors, func(path string, data []byte, e extractor, want string) {
		t.Run(path, func(t *testing.T) {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
			if diff := cmp.Diff(want, extracttest.Brief(pkgs, err)); diff != "" {
				t.Error(diff)
			}
			for _, p := range pkgs {
				if p.Ecosystem != "Packagist" || p.By != e.Name() {
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
		if err == nil {
			t.Errorf("%s: no error", e.Name())
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
