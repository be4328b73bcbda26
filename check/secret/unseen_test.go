// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

// TestUnseen scans the files that testdata/unseen.txt lists: drawn from packages
// of registries in rounds, each after the rules were written, and read by a
// person. What the first look at a round missed made the rules better, so the
// list now guards what was reached; the figures of each first look stand in it,
// and a claim about unseen files needs a new round.
// test/system/unseen fetches the files again into the directory that
// BULWARK_UNSEEN names, each under its digest.
//
// A wanted finding is "rule:line". One with a "-" before it is a secret that no
// rule finds, one with a "!" a finding that is none. At most a twentieth of the
// secrets may be missed, and one file in a hundred may have a false finding.
func TestUnseen(t *testing.T) {
	dir := os.Getenv("BULWARK_UNSEEN")
	if dir == "" {
		t.Skip("BULWARK_UNSEEN is not set to a directory; test/system/unseen makes one")
	}
	list, err := os.ReadFile("testdata/unseen.txt")
	if err != nil {
		t.Fatal(err)
	}
	c := newCheck(t)
	files, secrets, missed, falseFiles := 0, 0, 0, 0
	for line := range strings.Lines(string(list)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 6 || line[0] == '#' {
			continue
		}
		files++
		path, sum := f[3], f[4]
		data, err := os.ReadFile(filepath.Join(dir, sum))
		if err != nil {
			t.Fatal(err)
		}
		if have := sha256.Sum256(data); hex.EncodeToString(have[:]) != sum {
			t.Fatalf("%s of %s %s has another digest", path, f[1], f[2])
		}
		var found []string
		if c.Wants(path, bulwark.Stat{Size: int64(len(data)), Mode: 0o644}) {
			got, err := c.Check(t.Context(), bulwark.MemoryFile(path, 0o644, data))
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range got {
				for _, e := range g.Evidence {
					found = append(found, fmt.Sprintf("%s:%d", strings.TrimPrefix(g.Rule, "secret/"), e.Line))
				}
			}
		}
		var want []string
		wrong := false
		if f[5] != "none" {
			for w := range strings.SplitSeq(f[5], " ") {
				switch w[0] {
				case '-':
					secrets++
					missed++
				case '!':
					wrong = true
					want = append(want, w[1:])
				default:
					secrets++
					want = append(want, w)
				}
			}
		}
		if wrong {
			falseFiles++
		}
		slices.Sort(found)
		slices.Sort(want)
		if !slices.Equal(found, want) {
			t.Errorf("%s %s %s: found %v, want %v", f[1], f[2], path, found, want)
		}
	}
	t.Logf("%d files, %d secrets, %d missed, %d files with a false finding", files, secrets, missed, falseFiles)
	if files < 300 || 20*missed > secrets || 100*falseFiles > files {
		t.Errorf("%d files, %d of %d secrets missed, %d files with a false finding", files, missed, secrets, falseFiles)
	}
}
