// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark/policy/policytest"
)

var update = flag.Bool("update", false, "write what tests want anew")

// TestArchives runs testdata/*/*.txtar: "want" is what is written of the result, or
// the error. Examples must pass.
func TestArchives(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d test files: %v", len(files), err)
	}
	for _, file := range files {
		kind := filepath.Base(filepath.Dir(file))
		if kind == "replay" || kind == "preview" {
			continue
		}
		t.Run(kind+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sources, want, err := policytest.Archive(data)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			r, err := policytest.Run(t.Context(), sources, policytest.Options{})
			if err == nil {
				if err := r.WriteText(&got); err != nil {
					t.Fatal(err)
				}
			} else {
				got.WriteString("error\n" + err.Error() + "\n")
			}
			if ok := err == nil && r.OK(); ok != (kind == "examples") {
				t.Errorf("passes: %t", ok)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" && !*update {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if *update {
				ar := txtar.Parse(data)
				for i := range ar.Files {
					if ar.Files[i].Name == "want" {
						ar.Files[i].Data = []byte(got.String())
					}
				}
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
