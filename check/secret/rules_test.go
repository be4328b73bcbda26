// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"reflect"
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

// newCheck gives a Check whose rules have their examples, as only tests want.
func newCheck(t testing.TB) *Check {
	c, err := load(true)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Leaving out the examples leaves everything else as it is.
func TestWithoutExamples(t *testing.T) {
	with, err := readRules(ruleFiles, true)
	if err != nil {
		t.Fatal(err)
	}
	without, err := readRules(ruleFiles, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(with.Rules) != len(without.Rules) || !reflect.DeepEqual(with.Drop, without.Drop) || !reflect.DeepEqual(with.Tune, without.Tune) {
		t.Fatalf("%d rules and %d", len(with.Rules), len(without.Rules))
	}
	for i, r := range with.Rules {
		r.True, r.False = nil, nil
		if !reflect.DeepEqual(r, without.Rules[i]) {
			t.Errorf("rule %q differs from %q", r.ID, without.Rules[i].ID)
		}
	}
}
