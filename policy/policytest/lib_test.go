// SPDX-License-Identifier: Apache-2.0

package policytest_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/framework"
	"github.com/bulwark-sec/bulwark/policy/lib"
	"github.com/bulwark-sec/bulwark/policy/policytest"
)

// shipped gives the shipped documents, with their examples or without.
func shipped(tests bool) []policy.Source {
	files := lib.Files()
	if tests {
		files = slices.Concat(files, lib.Tests())
	}
	var out []policy.Source
	for _, f := range files {
		out = append(out, policy.Source{Name: f.Name, Data: f.Data})
	}
	return out
}

// TestLib runs the examples of the shipped policies: every rule has one that it
// matches and one that it does not, and every part of every condition is shown.
func TestLib(t *testing.T) {
	r, err := policytest.Run(t.Context(), shipped(true), policytest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Tests {
		for _, f := range x.Failed {
			t.Errorf("%s/%s: %+v", x.Name, f.Case, f.Differences)
		}
	}
	for _, x := range r.Rules {
		if !x.Covered() {
			t.Errorf("%s: matches in %q, does not in %q", x.Name, x.Matches, x.Others)
		}
	}
	if r.Mutants == nil || r.Mutants.Total < 50 || r.Mutants.Killed != r.Mutants.Total {
		t.Errorf("mutants: %+v", r.Mutants)
	}
	if !r.OK() {
		t.Error("the shipped policies do not pass their own tests")
	}
}

// TestLibDocuments holds the shipped policies to what everybody may expect of them.
func TestLibDocuments(t *testing.T) {
	set, err := policy.Load(shipped(false))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(set.Tests()); n != 0 {
		t.Errorf("%d tests are among what decides", n)
	}
	doc, err := os.ReadFile("../../docs/default-policies.md")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, p := range set.Policies() {
		if p.Tier != "org" || p.Mode != "" || p.Description == "" || !strings.HasPrefix(p.Name, "default-") {
			t.Errorf("%s: tier %q, mode %q, description %q", p.Name, p.Tier, p.Mode, p.Description)
		}
		for i := range p.Rules {
			r := &p.Rules[i]
			text.WriteString(r.When.Value)
			name := p.Name + "/" + r.ID.Value
			if r.Description == "" || r.Message.Value == "" || r.Remediation == "" || r.Severity == "" {
				t.Errorf("%s lacks a description, message, remediation or severity", name)
			}
			if !strings.Contains(string(doc), "| `"+name+"` |") {
				t.Errorf("docs/default-policies.md has no row of %s", name)
			}
			// A refusal that nobody can end by an upgrade is noise.
			if p.Subject.Value == "vulnerability" && (refuses(r.Effect.Default) || slices.ContainsFunc([]string{"build", "registry", "admit"}, func(s string) bool { return refuses(r.Effect.Stages[s]) })) &&
				!strings.Contains(r.When.Value, `v.fixed_in != ""`) {
				t.Errorf("%s refuses what has no fix", name)
			}
		}
	}
	for _, f := range lib.Files() {
		docs, faults := document.Parse(f.Name, f.Data)
		if len(faults) > 0 {
			t.Error(faults)
		}
		for _, l := range docs.Lists {
			if !strings.Contains(text.String(), "lists."+l.Name) {
				t.Errorf("nothing uses the list %s", l.Name)
			}
			if !strings.Contains(string(doc), "`"+l.Name+"`") {
				t.Errorf("docs/default-policies.md does not name the list %s", l.Name)
			}
		}
	}
}

func refuses(t document.Text) bool {
	e, err := bulwark.ParseEffect(t.Value)
	return err == nil && e.Refuses()
}

// TestLibControls compares what the rules say they speak for with what the
// frameworks ask them for: a rule names all controls that name it, and none that
// is not there.
func TestLibControls(t *testing.T) {
	set, err := policy.Load(shipped(false))
	if err != nil {
		t.Fatal(err)
	}
	frameworks, err := framework.All()
	if err != nil {
		t.Fatal(err)
	}
	known, asked := map[string]bool{}, map[string][]string{}
	for _, f := range frameworks {
		for _, c := range f.Controls {
			id := f.Name + "/" + c.ID
			known[id] = true
			for _, r := range c.Rules {
				if r.Policy != "" {
					asked[r.Policy] = append(asked[r.Policy], id)
				}
			}
		}
	}
	for _, p := range set.Policies() {
		for _, r := range p.Rules {
			name := p.Name + "/" + r.ID.Value
			got := slices.Sorted(slices.Values(slices.Concat(p.Controls, r.Controls)))
			if len(got) == 0 {
				t.Errorf("%s names no control", name)
			}
			for _, id := range got {
				if !known[id] {
					t.Errorf("%s: there is no control %s", name, id)
				}
			}
			if want := slices.Sorted(slices.Values(asked[name])); len(want) > 0 {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: controls that name it, and those that it names: %s", name, diff)
				}
			}
			delete(asked, name)
		}
	}
	for name, controls := range asked {
		t.Errorf("%q ask for the rule %s, which is not there", controls, name)
	}
}
