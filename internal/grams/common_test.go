// SPDX-License-Identifier: Apache-2.0

package grams

import (
	"cmp"
	"encoding/binary"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestCommon writes common.bin anew from the files below the directories of
// BULWARK_CORPUS, each of which counts the same: documents and scripts of a stock
// installation, source code in several languages, programs.
func TestCommon(t *testing.T) {
	roots := filepath.SplitList(os.Getenv("BULWARK_CORPUS"))
	if len(roots) == 0 {
		t.Skip("BULWARK_CORPUS is not set to directories of files")
	}
	share := map[uint32]float64{}
	for _, root := range roots {
		count, total := map[uint32]int{}, 0
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return nil
			}
			b = b[:min(len(b), 1<<20)] // none outweighs all others
			for i := 0; i+4 <= len(b); i++ {
				count[Of(b[i:])]++
			}
			total += len(b)
			return nil
		})
		if err != nil || total == 0 {
			t.Fatal(root, total, err)
		}
		for g, n := range count {
			share[g] += float64(n) / float64(total)
		}
	}
	all := slices.SortedFunc(maps.Keys(share), func(a, b uint32) int {
		return cmp.Or(cmp.Compare(share[b], share[a]), cmp.Compare(a, b))
	})
	var out []byte
	for _, g := range all[:min(len(all), 6144)] {
		out = binary.LittleEndian.AppendUint32(out, g)
	}
	if err := os.WriteFile("common.bin", out, 0o644); err != nil {
		t.Fatal(err)
	}
}
