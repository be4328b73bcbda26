// SPDX-License-Identifier: Apache-2.0

package asdf_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/asdf"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
)

var extractors = []extracttest.Leaf{asdf.ToolVersions{}}

func TestFixtures(t *testing.T) {
	extracttest.Fixtures(t, extractors, func(path string, data []byte, e extracttest.Leaf, want string) {
		pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
		if diff := cmp.Diff(want, extracttest.Describe(pkgs, err)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestKit(t *testing.T) { extracttest.Kit(t, extractors, 1) }

func FuzzExtract(f *testing.F) {
	extracttest.Fixtures(f, extractors, func(path string, data []byte, _ extracttest.Leaf, _ string) { f.Add(path, data) })
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		_, _ = extractors[0].Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
	})
}
