// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

//go:generate go test -run TestFieldReference -update-manual .
var updateManual = flag.Bool("update-manual", false, "write docs/policy-fields.md anew")

const (
	manual    = "../docs/policy.md"
	reference = "../docs/policy-fields.md"
)

// TestFieldReference compares docs/policy-fields.md with what conditions see.
func TestFieldReference(t *testing.T) {
	got := fieldReference(t)
	if *updateManual {
		if err := os.WriteFile(reference, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is old: run make generate (-want +got):\n%s", reference, diff)
	}
}

// fieldReference gives docs/policy-fields.md.
func fieldReference(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# What conditions see\n\nMade by `make generate` of the program itself; do not edit. How it is used: [policy.md](policy.md).\n\n")
	var sev []string
	for _, s := range bulwark.Severities() {
		sev = append(sev, "`sev."+s.String()+"`")
	}
	slices.SortFunc(sev, func(a, b string) int {
		weight := subject.Severities()
		return cmp.Compare(weight[strings.Trim(a, "`")], weight[strings.Trim(b, "`")])
	})
	fmt.Fprintf(&b, "Besides its fields every subject has `now`, the time of the decision; `lists.NAME` for each `ValueList`, a list of texts;\nand %s.\nA field without ✓ is not known at that stage: a policy that is about the stage and names it does not load.\n\n", strings.Join(sev, " < "))
	var names []string
	for _, k := range subject.Kinds() {
		names = append(names, fmt.Sprintf("[%s](#%s)", k.Name, strings.ReplaceAll(k.Name, ".", "")))
	}
	fmt.Fprintf(&b, "%s.\n", strings.Join(names, " · "))
	for _, k := range subject.Kinds() {
		fmt.Fprintf(&b, "\n## %s\n\n%s%s.\n\n| field | type | %s | |\n|---|---|%s---|\n", k.Name, strings.ToUpper(k.Doc[:1]), k.Doc[1:],
			joinStages(bulwark.Stages()), strings.Repeat(":-:|", len(bulwark.Stages())))
		typ := reflect.TypeOf(k.New()).Elem()
		fields, err := condition.Fields(typ)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			if f.Doc == "" {
				t.Errorf("%s: %s has no doc", k.Name, f.Name)
			}
			row(&b, k, f.Name, f.Type, f.Doc, f.Stages)
			items := member(typ, f.Name)
			for items != nil && (items.Kind() == reflect.Slice || items.Kind() == reflect.Map) {
				items = items.Elem()
			}
			if items == nil || items.Kind() != reflect.Struct || items.PkgPath() != reflect.TypeFor[subject.Signer]().PkgPath() {
				continue
			}
			inside, err := condition.Fields(items)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range inside {
				row(&b, k, f.Name+"[]."+g.Name, g.Type, g.Doc, f.Stages)
			}
		}
	}
	return b.String()
}

func joinStages(stages []bulwark.Stage) string {
	var names []string
	for _, s := range stages {
		names = append(names, string(s))
	}
	return strings.Join(names, " | ")
}

// row writes one field.
func row(b *strings.Builder, k subject.Kind, name, typ, doc string, stages []string) {
	typ = strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration", "dyn", "any").Replace(typ)
	fmt.Fprintf(b, "| `%s` | %s |", name, typ)
	for _, s := range bulwark.Stages() {
		tick := " "
		if slices.Contains(k.Stages, s) && (len(stages) == 0 || slices.Contains(stages, string(s))) {
			tick = " ✓ "
		}
		b.WriteString(tick + "|")
	}
	fmt.Fprintf(b, " %s |\n", strings.ReplaceAll(doc, "|", `\|`))
}

// member gives the type of a member by its name in conditions.
func member(t reflect.Type, name string) reflect.Type {
	first, rest, deeper := strings.Cut(name, ".")
	for _, f := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == first {
			if deeper {
				return member(f.Type, rest)
			}
			return f.Type
		}
	}
	return nil
}

var fence = regexp.MustCompile("(?ms)^```(\\w+)(?: +([^\\s`]+))?\n(.*?)^```$")

// TestManual loads the examples of docs/policy.md, all as one set.
func TestManual(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	var sources []policy.Source
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		if m[1] == "yaml" && strings.HasPrefix(m[3], "apiVersion:") {
			sources = append(sources, policy.Source{Name: cmp.Or(m[2], fmt.Sprintf("example-%d.yaml", len(sources))), Data: []byte(m[3])})
		}
	}
	if len(sources) < 3 {
		t.Fatalf("%d examples", len(sources))
	}
	set, err := policy.Load(sources)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range set.Warnings() {
		t.Errorf("warning: %v", w)
	}
	if n := strings.Count(string(text), "\n"); n > 120 {
		t.Errorf("the language on two screens has %d lines", n)
	}
}

// TestManualEffects holds the table of effects of docs/policy.md against what can be
// loaded.
func TestManualEffects(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range strings.Split(string(text), "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 8 && strings.HasPrefix(cells[1], " `") {
			if _, err := bulwark.ParseEffect(strings.Trim(cells[1], " `")); err == nil {
				for i := 3; i <= 6; i++ {
					cells[i] = strings.TrimSpace(cells[i])
				}
				got = append(got, strings.Trim(cells[1], " `")+": "+strings.Join(cells[3:7], " "))
			}
		}
	}
	// can tells whether a policy about a kind may ask for an effect at a stage.
	can := func(kind string, stage bulwark.Stage, e bulwark.Effect) bool {
		_, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(yamlDoc("Policy", "p",
			fmt.Sprintf("subject: %s, stages: [%s], combine: firstMatch, rules: [{id: a, when: true, effect: {%s: %s}}]", kind, stage, stage, e)))}})
		var f policy.Fault
		if err != nil && !errors.As(err, &f) {
			t.Fatal(err)
		}
		return err == nil
	}
	var want []string
	for e := bulwark.EffectAllow; e.String() != ""; e++ {
		var cells []string
		for _, stage := range bulwark.Stages() {
			all, some := true, false
			for _, k := range subject.Kinds() {
				if slices.Contains(k.Stages, stage) {
					ok := can(k.Name, stage, e)
					all, some = all && ok, some || ok
				}
			}
			cells = append(cells, map[[2]bool]string{{true, true}: "✓", {false, true}: "some", {false, false}: "–"}[[2]bool{all, some}])
		}
		want = append(want, e.String()+": "+strings.Join(cells, " "))
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
