// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"errors"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
)

// plain is a check of one rule that wants everything.
type plain struct{}

func (plain) Name() string                    { return "plain" }
func (plain) Wants(string, bulwark.Stat) bool { return true }
func (plain) Rules() []bulwark.Rule           { return []bulwark.Rule{{ID: "plain-1"}} }
func (plain) Check(context.Context, *bulwark.File) ([]bulwark.Finding, error) {
	return []bulwark.Finding{{Rule: "plain-1"}}, nil
}

// A check whose rules cannot be read says so and looks at nothing.
func TestUnreadableRules(t *testing.T) {
	broken := errors.New("cut off")
	tries := 0
	s := &Set{Checks: []Check{
		later("broken", func() (plain, error) { tries++; return plain{}, broken }, bulwark.ClassMalware),
		later("plain", func() (plain, error) { return plain{}, nil }, bulwark.ClassSecret),
	}}
	if got := s.Faults(); got != nil {
		t.Error("a fault before anything was asked:", got)
	}
	for range 2 {
		bad, good := s.Checks[0].(*lazy), s.Checks[1].(*lazy)
		if bad.Wants("a", bulwark.Stat{}) || bad.WantsHead("a", nil) || bad.Rules() != nil {
			t.Error("the broken check wants something")
		}
		if _, err := bad.Check(t.Context(), nil); !errors.Is(err, broken) {
			t.Error(err)
		}
		if found, err := good.Check(t.Context(), nil); !good.Wants("a", bulwark.Stat{}) || !good.WantsHead("a", nil) || len(found) != 1 || err != nil {
			t.Error("the other check does not work:", found, err)
		}
	}
	if got := s.Faults(); len(got) != 1 || !errors.Is(got[0], broken) || tries != 1 {
		t.Error(got, tries)
	}
	if _, err := s.Image(t.Context(), &bulwark.Artifact{}); !errors.Is(err, broken) {
		t.Error(err)
	}
	rules, err := s.Rules([]bulwark.Finding{{Class: bulwark.ClassSecret}})
	if len(rules) != 1 || !errors.Is(err, broken) {
		t.Error(rules, err)
	}
}

func TestEvery(t *testing.T) {
	rules, err := Every()
	if err != nil || len(rules) < 400 {
		t.Error(len(rules), err)
	}
	seen := map[string]bool{}
	for _, r := range rules {
		if seen[r.ID] {
			t.Errorf("%s is there twice", r.ID)
		}
		seen[r.ID] = true
	}
}

// Services are asked about the secrets of rules that there are.
func TestServicesOfRules(t *testing.T) {
	a, err := txtar.ParseFile("live/testdata/services.txtar")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := Every()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, r := range rules {
		known[r.ID] = true
	}
	for _, f := range a.Files {
		if !known["secret/"+f.Name] {
			t.Errorf("there is no rule %q", f.Name)
		}
	}
}
