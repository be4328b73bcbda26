// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCommon writes common.txt anew from the texts below the directories of
// BULWARK_CORPUS, each of which counts the same: a stock installation, source
// code in several languages.
func TestCommon(t *testing.T) {
	roots := filepath.SplitList(os.Getenv("BULWARK_CORPUS"))
	if len(roots) == 0 {
		t.Skip("BULWARK_CORPUS is not set to directories of texts")
	}
	share := map[uint32]float64{}
	for _, root := range roots {
		count, total := map[uint32]int{}, 0
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			b, err := os.ReadFile(p)
			if err != nil || hasNUL(b) {
				return nil
			}
			b = b[:min(len(b), 256<<10)] // no text outweighs all others
			for i := 0; i+4 <= len(b); i++ {
				count[binary.LittleEndian.Uint32(b[i:])|foldMask]++
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
	var out bytes.Buffer
	n := 0
	for _, g := range slices.SortedFunc(maps.Keys(share), func(a, b uint32) int {
		return cmp.Or(cmp.Compare(share[b], share[a]), cmp.Compare(a, b))
	}) {
		s := strings.ReplaceAll(string(binary.LittleEndian.AppendUint32(nil, g)), "\x7f", "_")
		if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			continue
		}
		out.WriteString(s + "\n")
		if n++; n == 4096 {
			break
		}
	}
	if err := os.WriteFile("common.txt", out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
