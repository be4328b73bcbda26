// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/lib"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// FuzzDecide reads documents that anybody may have written and, when they are
// sound, asks them about inputs that anybody may have sent: there is no panic, and
// nothing is allowed on an error.
func FuzzDecide(f *testing.F) {
	input := []byte(`{"v":{"id":"CVE-2026-1","severity":"high","kev":true,"fixed_in":"1.2"},"proc":{"name":"sh","parent":"nginx"},"object":{"kind":"Pod","spec":{"containers":[{"name":"c"}]}},"attr":{"acl":"public-read"}}`)
	f.Add([]byte(world), input, "v.kev")
	for _, file := range lib.Files() {
		f.Add(file.Data, input, "")
	}
	examples, err := filepath.Glob("policytest/testdata/examples/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range examples {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var all []byte
		for _, part := range txtar.Parse(b).Files {
			if filepath.Ext(part.Name) == ".yaml" {
				all = append(append(all, "\n---\n"...), part.Data...)
			}
		}
		f.Add(all, input, "object.spec")
	}
	f.Fuzz(func(t *testing.T, docs, input []byte, unknown string) {
		s, err := policy.Load([]policy.Source{{Name: "a.yaml", Data: docs}})
		if err != nil {
			if s != nil {
				t.Error("a set with faults")
			}
			return
		}
		s.Targets()
		for _, k := range subject.Kinds() {
			sub := k.New()
			if json.Unmarshal(input, sub) != nil {
				continue
			}
			var asset subject.Asset
			if err := json.Unmarshal(input, &struct{ Asset *subject.Asset }{&asset}); err != nil {
				continue
			}
			for _, stage := range bulwark.Stages() {
				v := s.At(stage, &asset)
				d, err := v.Decide(k.Name, sub, []string{unknown}, noon)
				if err != nil {
					t.Fatal(err)
				}
				sound(t, d)
				again, err := v.Decide(k.Name, sub, []string{unknown}, noon)
				if err != nil || !bytes.Equal(encode(t, d), encode(t, again)) {
					t.Errorf("one question, two answers: %+v, %+v, %v", d, again, err)
				}
				for _, r := range d.Reasons {
					if r.Effect > r.Wanted && r.Wanted != bulwark.EffectNone {
						t.Errorf("%s is stricter than wanted", encode(t, r))
					}
				}
			}
		}
	})
}

// FuzzJudge asks the shipped policies about reports that anybody may have written.
func FuzzJudge(f *testing.F) {
	r := fresh()
	r.Findings = []bulwark.Finding{finding("a", bulwark.SeverityCritical, "2")}
	r.Inventory.Suppressions = []bulwark.Suppression{{Rule: "CVE-*", Until: "2027-01-01", Reason: "x", Location: bulwark.Location{Path: "a", Line: 3}}}
	f.Add(encode(f, r))
	f.Add([]byte(`{"artifact":{"kind":"image","image":{}},"findings":[{"id":"1","class":"secret","evidence":null}],"inventory":{"packages":[{"licenses":["(MIT OR"]}],"functions":[{}]}}`))
	var sources []policy.Source
	for _, file := range lib.Files() {
		sources = append(sources, policy.Source{Name: file.Name, Data: file.Data})
	}
	set, err := policy.Load(sources)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r bulwark.Report
		if json.Unmarshal(data, &r) != nil {
			return
		}
		d, _, err := policy.Judge{Set: set}.Judge(&r, noon)
		if err != nil {
			t.Fatal(err)
		}
		sound(t, d)
		if d.Verdict == bulwark.Undecided {
			t.Error("undecided about a report")
		}
	})
}

// TestTruncated cuts documents everywhere: what is left is refused, or is a set.
func TestTruncated(t *testing.T) {
	for _, file := range lib.Files() {
		for n := 0; n <= len(file.Data); n += 7 {
			s, err := policy.Load([]policy.Source{{Name: "a.yaml", Data: file.Data[:n]}})
			if (s == nil) != (err != nil) {
				t.Fatalf("%s cut at %d: %v, %v", file.Name, n, s, err)
			}
		}
	}
	if _, faults := document.Parse("a.yaml", bytes.Repeat([]byte("x"), 10<<20)); len(faults) == 0 {
		t.Error("10 MB are taken")
	}
}
