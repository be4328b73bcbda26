// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/document"
)

var update = flag.Bool("update", false, "write what tests want anew")

// archives runs a test for each archive testdata/<kind>/*.txtar: got is what must
// be in its part "want".
func archives(t *testing.T, kind string, got func(t *testing.T, input []byte) string) {
	files, err := filepath.Glob("testdata/" + kind + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil || len(ar.Files) != 2 || ar.Files[0].Name != "p.yaml" || ar.Files[1].Name != "want" {
				t.Fatalf("want p.yaml and want: %v", err)
			}
			out := got(t, ar.Files[0].Data)
			if diff := cmp.Diff(string(ar.Files[1].Data), out); diff != "" && !*update {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if *update {
				ar.Files[1].Data = []byte(out)
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestFaults runs testdata/faults: the faults of p.yaml.
func TestFaults(t *testing.T) {
	archives(t, "faults", func(t *testing.T, input []byte) string {
		set, faults := document.Parse("p.yaml", input)
		if set == nil {
			t.Error("no set")
		}
		var got strings.Builder
		for _, f := range faults {
			fmt.Fprintln(&got, f)
			var fault document.Fault
			if !errors.As(f, &fault) || errors.Is(f, bulwark.ErrUsage) {
				t.Errorf("%v is a %T", f, f)
			}
		}
		return got.String()
	})
}

// TestParse runs testdata/good: the documents of p.yaml, as JSON without places
// and sources, at which TestAt and TestHead look.
func TestParse(t *testing.T) {
	archives(t, "good", func(t *testing.T, input []byte) string {
		set, faults := document.Parse("p.yaml", input)
		for _, f := range faults {
			t.Error(f)
		}
		b, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(b, &tree); err != nil {
			t.Fatal(err)
		}
		b, err = json.MarshalIndent(plain(tree), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	})
}

// plain leaves out places, sources and what is empty, and writes a text as its
// value.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case map[string]any:
		if value, ok := v["Value"]; ok && len(v) == 2 {
			return plain(value)
		}
		delete(v, "Place")
		delete(v, "Source")
		for k := range v {
			if v[k] = plain(v[k]); v[k] == nil && k != "null" {
				delete(v, k)
			}
		}
		if len(v) == 0 {
			return nil
		}
	case string:
		if v == "" || v == "0001-01-01T00:00:00Z" {
			return nil
		}
	}
	return v
}

// TestHead looks at where documents are, and at their own text.
func TestHead(t *testing.T) {
	const one = "# ours\napiVersion: bulwark.dev/v1\nkind: ValueList\nmetadata: {name: one}\nspec: {values: [a]}\n"
	const two = "kind: ValueList\r\napiVersion: bulwark.dev/v1\r\nmetadata:\r\n  name: two\r\nspec: {values: []}"
	set, faults := document.Parse("p.yaml", []byte("\ufeff"+one+"--- \n"+two))
	if len(faults) > 0 || len(set.Lists) != 2 {
		t.Fatalf("%d lists, faults %v", len(set.Lists), faults)
	}
	want := []document.Head{
		{Name: "one", Place: document.Place{File: "p.yaml", Line: 2, Column: 1}, Source: one},
		{Name: "two", Place: document.Place{File: "p.yaml", Line: 7, Column: 1}, Source: two},
	}
	if diff := cmp.Diff(want, []document.Head{set.Lists[0].Head, set.Lists[1].Head}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNothing tells what is not there from what is empty.
func TestNothing(t *testing.T) {
	set, faults := document.Parse("p.yaml", []byte("apiVersion: bulwark.dev/v1\nkind: PolicyTest\nmetadata: {name: a}\nspec: {cases: ["+
		"{name: a, stage: run, input: {a: ~, b: {}, c: [], d: ''}, lists: {a: []}, want: {effect: none}}, {name: b, stage: run, want: {rules: {r: no}}}]}"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	a, b := set.Tests[0].Cases[0], set.Tests[0].Cases[1]
	if a.Want.Effect == nil || *a.Want.Effect != "" || b.Want.Effect != nil {
		t.Errorf("effects %v, %v", a.Want.Effect, b.Want.Effect)
	}
	want := map[string]any{"a": nil, "b": map[string]any{}, "c": []any{}, "d": ""}
	if diff := cmp.Diff(want, a.Input) + cmp.Diff(map[string][]string{"a": {}}, a.Lists); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPlace writes places for people; the name of a file may be anybody's.
func TestPlace(t *testing.T) {
	for want, p := range map[string]document.Place{
		"":                       {},
		"é b.yaml":               {File: "é b.yaml"},
		"p.yaml:3":               {File: "p.yaml", Line: 3},
		"p.yaml:3:4":             {File: "p.yaml", Line: 3, Column: 4},
		`"\x1b[2Jp.yaml\n":3:4`:  {File: "\x1b[2Jp.yaml\n", Line: 3, Column: 4},
		`"\xff\u202ep.yaml":3:4`: {File: "\xff\u202ep.yaml", Line: 3, Column: 4},
	} {
		if got := p.String(); got != want {
			t.Errorf("place %s, want %s", got, want)
		}
	}
}
