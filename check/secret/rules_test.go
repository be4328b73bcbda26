// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

// Every rule of ours finds its true examples, by its own name, and not its false
// ones.
func TestExamples(t *testing.T) {
	c := newCheck(t)
	for _, r := range c.rules {
		if !r.own {
			continue
		}
		t.Run(r.ID, func(t *testing.T) {
			if r.Find != "keystore" && (len(r.True) == 0 || len(r.False) == 0) {
				t.Error("a rule needs a true and a false example")
			}
			for i, e := range append(append([]example(nil), r.True...), r.False...) {
				path := e.Path
				if path == "" {
					path = "srv/app/notes.txt"
				}
				text := strings.ReplaceAll(e.Text, "¦", "")
				f := bulwark.MemoryFile(path, 0o644, []byte(text))
				got, err := c.Check(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				hit := false
				for _, g := range got {
					hit = hit || g.Rule == "secret/"+r.ID
					for _, ev := range g.Evidence {
						if len(ev.Detail) == 0 || ev.Line < 1 {
							t.Errorf("evidence %+v", ev)
						}
					}
				}
				if want := i < len(r.True); hit != want {
					t.Errorf("example %d: found %v, want %v: %q: %+v", i, hit, want, e.Text, got)
				}
			}
		})
	}
}

func newCheck(t testing.TB) *Check {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
