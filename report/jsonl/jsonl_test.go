// SPDX-License-Identifier: Apache-2.0

package jsonl_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/jsonl"
)

func load(t testing.TB, name string) *bulwark.Report {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	r := new(bulwark.Report)
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t testing.TB, r *bulwark.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (jsonl.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestWhole puts a report together again from its lines.
func TestWhole(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		t.Run(name, func(t *testing.T) {
			want := load(t, name)
			want.Base = &bulwark.Base{Name: "debian:12", Layers: 1, By: "label", Confidence: "likely"}
			want.Inventory.Removed = []bulwark.Package{{Name: "curl"}}
			want.Gone = []bulwark.Finding{{ID: "1", Rule: "CVE-1"}}
			got := bulwark.Report{Inventory: bulwark.Inventory{Packages: []bulwark.Package{}}, Findings: []bulwark.Finding{}}
			var order []string
			for line := range bytes.Lines(write(t, want)) {
				var head struct {
					Type string
					Of   bulwark.Digest
				}
				if err := json.Unmarshal(line, &head); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				if head.Of != want.Artifact.ID || head.Type == "" {
					t.Fatalf("line %q", line)
				}
				if !slices.Contains(order, head.Type) {
					order = append(order, head.Type)
				} else if order[len(order)-1] != head.Type {
					t.Errorf("%s is in two places", head.Type)
				}
				into := func(v any) {
					if err := json.Unmarshal(line, v); err != nil {
						t.Fatalf("%q: %v", line, err)
					}
				}
				switch head.Type {
				case "report":
					into(&got)
				case "end":
					var end struct{ Packages, Findings int }
					into(&end)
					if end.Packages != len(got.Inventory.Packages) || end.Findings != len(got.Findings) {
						t.Errorf("the end counts %+v", end)
					}
				case "artifact":
					into(&got.Artifact)
				case "os":
					got.Inventory.OS = &bulwark.OS{}
					into(got.Inventory.OS)
				case "layer":
					push(t, line, &got.Inventory.Layers)
				case "base":
					got.Base = &bulwark.Base{}
					into(got.Base)
				case "package":
					push(t, line, &got.Inventory.Packages)
				case "removed":
					push(t, line, &got.Inventory.Removed)
				case "gap":
					push(t, line, &got.Inventory.Gaps)
				case "database":
					into(&got.Database)
				case "advisory":
					var a bulwark.Advisory
					into(&a)
					set(&got.Advisories, a.ID, a)
				case "rule":
					var r bulwark.Rule
					into(&r)
					set(&got.Rules, r.ID, r)
				case "finding":
					push(t, line, &got.Findings)
				case "gone":
					push(t, line, &got.Gone)
				case "decision":
					into(&got.Decision)
				case "action":
					push(t, line, &got.Actions)
				default:
					t.Errorf("a line of type %q", head.Type)
				}
			}
			if first, last := order[0], order[len(order)-1]; first != "report" || last != "end" {
				t.Errorf("from %s to %s", first, last)
			}
			if d := cmp.Diff(want, &got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func push[T any](t *testing.T, line []byte, list *[]T) {
	t.Helper()
	var v T
	if err := json.Unmarshal(line, &v); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	*list = append(*list, v)
}

func set[T any](m *map[string]T, key string, v T) {
	if *m == nil {
		*m = map[string]T{}
	}
	(*m)[key] = v
}

// TestTitles: a finding's line says what it is without the advisory's line.
func TestTitles(t *testing.T) {
	for line := range bytes.Lines(write(t, load(t, "report"))) {
		var f struct{ Type, Rule, Title string }
		if json.Unmarshal(line, &f) == nil && f.Rule == "CVE-2024-3094" && f.Type == "finding" {
			if f.Title != "Malicious code in the upstream tarballs of xz" {
				t.Errorf("title %q", f.Title)
			}
			return
		}
	}
	t.Error("the finding has no line")
}
