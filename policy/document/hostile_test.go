// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark/policy/document"
)

// list begins a ValueList whose values follow.
const list = "apiVersion: bulwark.dev/v1\nkind: ValueList\nmetadata: {name: a}\nspec:\n  values: "

// TestHostile gives each file that somebody may have made on purpose much more time
// than it needs, on however busy a machine, and asks for the first of its faults.
func TestHostile(t *testing.T) {
	rep := func(s string, bytes int) string { return strings.Repeat(s, bytes/len(s)) }
	const full = 1 << 18 // time grows with the size, no faster
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x]\n")
	for i := range 30 {
		fmt.Fprintf(&bomb, "a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	for name, tc := range map[string]struct{ data, want string }{
		"too large":          {rep("# 10 MB\n", 10<<20), "p.yaml: the file has 10485760 bytes, at most 1048576 are read; split it"},
		"nul":                {list + "[\"a\x00\"]", "p.yaml:5:14: control character U+0000"},
		"binary":             {"\x7fELF\x02\x01", "p.yaml:1:1: control character U+007F"},
		"utf-8":              {list + "[é\xff]", "p.yaml:5:13: byte 0xff is not UTF-8"},
		"utf-16":             {"\xff\xfea\x00", "p.yaml:1:1: byte 0xff is not UTF-8"},
		"second mark":        {"\ufeff\ufeff", "p.yaml:1:1: control character U+FEFF"},
		"old mac":            {"a: b\rc: d", "p.yaml:1:5: carriage return without a line feed"},
		"line separator":     {"# a\u2028b", "p.yaml:1:4: line separator U+2028; use a line feed"},
		"order of text":      {"# \u202e fail", "p.yaml:1:3: mark U+202E changes the order in which text is shown"},
		"bomb":               {bomb.String(), "p.yaml:1:5: anchors and aliases are not read; write the value out"},
		"anchor":             {list + "&a [b]", "p.yaml:5:11: anchors and aliases are not read; write the value out"},
		"alias of itself":    {list + "&a [*a]", "p.yaml:5:11: anchors and aliases are not read; write the value out"},
		"unknown alias":      {list + "[*a]", "p.yaml:5:12: anchors and aliases are not read; write the value out"},
		"merge":              {"apiVersion: bulwark.dev/v1\n<<: {kind: ValueList}\n", `p.yaml:2:1: merge keys ("<<") are not read; write the keys out`},
		"tag":                {list + "[!!binary aGk=]", `p.yaml:5:12: tag "!!binary": tags are not read; put a text in quotes`},
		"own tag":            {list + "!<tag:example.org,2026:a> [a]", `p.yaml:5:11: tag "tag:example.org,2026:a": tags are not read; put a text in quotes`},
		"directive":          {"%YAML 1.1\n---\n" + list + "[a]", "p.yaml:1: directives are not read; remove the line"},
		"long value":         {list + "[" + rep("x", 65<<10) + "]", "p.yaml:5:12: a value of 66560 bytes, at most 65536 are read"},
		"deep":               {list + strings.Repeat("[", 70) + strings.Repeat("]", 70), "p.yaml:5:74: more than 64 levels of nesting"},
		"deep in flow":       {rep("[", full), "p.yaml:1: exceeded max depth of 10000"},
		"deep in block":      {rep("- ", full), "p.yaml:1: exceeded max depth of 10000"},
		"deep in keys":       {rep("? ", full), "p.yaml:1: exceeded max depth of 10000"},
		"deep and closed":    {list + "[" + rep(strings.Repeat("[", 9000)+strings.Repeat("]", 9000)+",", full) + "]", "p.yaml:5:74: more than 64 levels of nesting"},
		"open flow":          {strings.Repeat("[", 9999) + rep("a,", full-10000), "p.yaml:1: did not find expected node content"},
		"stairs":             {stairs(full), "p.yaml:65:65: more than 64 levels of nesting"},
		"documents":          {many(1001), "p.yaml:6002:1: the file has more than 1000 documents; split it"},
		"empty documents":    {rep("---\n", full), ""},
		"comments":           {list + "[a] #x\n" + rep("#\n", full), ""},
		"comments in a list": {list + "\n" + rep("  - a #x\n", full), `p.yaml:7:5: value "a" is already in line 6`},
		"values":             {list + "[" + rep("a,", full) + "]", `p.yaml:5:14: value "a" is already in line 5`},
		"not ASCII":          {list + "[é" + rep(",\"\\x41\"", full) + "]", `p.yaml:5:21: value "A" is already in line 5`},
		"same keys":          {"kind: Policy\n" + rep("kind: \n", full), `p.yaml:2:1: key "kind" is already in line 1`},
		"foreign keys":       {"kind: Policy\n" + rep(strings.Repeat("x", 1000)+": 1\n", full), `p.yaml:2:1: unknown key "` + strings.Repeat("x", 64) + `" in Policy, want "apiVersion", "kind", "metadata", "spec"`},
		"two in one":         {list + "[a]\n...\n" + list + "[a]\n", `p.yaml:6: did not find expected <document start>; begin a document with a line "---"`},
		"scalar":             {"allow everything", `p.yaml:1:1: a document wants a mapping with "apiVersion", "kind", "metadata", "spec"`},
		"list of documents":  {"- kind: Policy", `p.yaml:1:1: a document wants a mapping with "apiVersion", "kind", "metadata", "spec"`},
		"mapping as key":     {"{kind: Policy}: {apiVersion: a}", `p.yaml:1:1: a document without "kind"; it is one of "Policy", "Collection", "Exception", "PolicyTest", "ValueList"`},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			_, faults := document.Parse("p.yaml", []byte(tc.data))
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
			got := ""
			if len(faults) > 0 {
				got = faults[0].Error()
			}
			if got != tc.want || len(faults) > 100 {
				t.Errorf("%d faults, the first is\n%.300s\nwant\n%s", len(faults), got, tc.want)
			}
		})
	}
}

// many are documents of six lines.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "---\n%s[a]\n", strings.Replace(list, "name: a", fmt.Sprintf("name: a%d", i), 1))
	}
	return b.String()
}

// stairs are mappings, each in the one before.
func stairs(bytes int) string {
	var b strings.Builder
	for i := 0; b.Len()+i < bytes; i++ {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestFaultsBound shows that what is not told is said.
func TestFaultsBound(t *testing.T) {
	_, faults := document.Parse("p.yaml", []byte(strings.Repeat("a: b\n---\n", 500)))
	if len(faults) != 100 {
		t.Fatalf("%d faults", len(faults))
	}
	if got, want := faults[99].Error(), "p.yaml:199:1: more faults follow; these are the first"; got != want {
		t.Errorf("the last is %q, want %q", got, want)
	}
	if got, want := faults[98].Error(), `p.yaml:197:1: a document without "kind"; it is one of "Policy", "Collection", "Exception", "PolicyTest", "ValueList"`; got != want {
		t.Errorf("the last but one is %q, want %q", got, want)
	}
}

// TestFaultsMany shows that a part that is missing is not looked into, though its
// fault is one that is not kept.
func TestFaultsMany(t *testing.T) {
	var labels strings.Builder
	for i := range 200 {
		fmt.Fprintf(&labels, "k%d: %d, ", i, i)
	}
	set, faults := document.Parse("p.yaml", []byte("apiVersion: bulwark.dev/v1\nkind: Exception\nmetadata: {name: a, labels: {"+labels.String()+"}}\n"+
		"spec: {match: x, for: {rules: [a]}, vex: {justification: component_not_present}}\n"))
	if len(faults) != 100 || len(set.Exceptions) > 0 {
		t.Errorf("%d faults, %d exceptions", len(faults), len(set.Exceptions))
	}
}

func TestEmpty(t *testing.T) {
	for _, data := range []string{"", "\n", "# nothing\n", "---\n", "---\n# a\n---\n...\n", "\ufeff", "\ufeff# a", " \n  \n"} {
		set, faults := document.Parse("p.yaml", []byte(data))
		if diff := cmp.Diff(&document.Set{}, set); diff != "" || len(faults) > 0 {
			t.Errorf("%q: %v %s", data, faults, diff)
		}
	}
}

// inputs gives the inputs of all archives of a kind.
func inputs(t testing.TB, kind string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/" + kind + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[f] = txtar.Parse(b).Files[0].Data
	}
	return all
}

// TestTruncated cuts a good file at every byte: what comes before the cut stays as
// it was, and no document loses a part silently.
func TestTruncated(t *testing.T) {
	data := inputs(t, "good")["testdata/good/all.txtar"]
	whole, _ := document.Parse("p.yaml", data)
	for n := range data {
		set, _ := document.Parse("p.yaml", data[:n])
		check(t, data[:n], set)
		for i, x := range set.Exceptions {
			if i+1 < len(set.Exceptions) && whole.Exceptions[i].Source != x.Source {
				t.Errorf("cut at %d: exception %d is another", n, i)
			}
		}
	}
}

// check asks of a set what holds for every one: required parts are there.
func check(t *testing.T, data []byte, set *document.Set) {
	t.Helper()
	lines := strings.Count(string(data), "\n") + 1
	head := func(h document.Head) {
		if h.Name == "" || h.Source == "" || h.Place.Line < 1 || h.Place.Line > lines {
			t.Errorf("head %+v", h)
		}
	}
	source := strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
	text := func(x document.Text) {
		for i, c := range []rune(x.Value)[:min(40, utf8.RuneCountInString(x.Value))] {
			p := x.At(i)
			if p.Line < x.Place.Line || p.Line > lines || p.Column < 1 {
				t.Errorf("character %d of %q is at %v of %d lines", i, x.Value, p, lines)
				continue
			}
			if unicode.IsSpace(c) {
				continue // of a fold, perhaps
			}
			if l := []rune(source[p.Line-1]); p.Column > len(l) || l[p.Column-1] != c && l[p.Column-1] != '\\' {
				t.Errorf("character %d of %q is not at %v", i, x.Value, p)
			}
		}
	}
	for _, p := range set.Policies {
		head(p.Head)
		if p.Subject.Value == "" || len(p.Rules) == 0 {
			t.Errorf("policy %+v", p)
		}
		for _, r := range p.Rules {
			if r.ID.Value == "" || r.When.Value == "" || r.Effect.Default.Value == "" && len(r.Effect.Stages) == 0 {
				t.Errorf("rule %+v", r)
			}
			text(r.ID)
			text(r.When)
			text(r.Message)
		}
	}
	for _, c := range set.Collections {
		head(c.Head)
		if len(c.Include)+len(c.Exclude) == 0 {
			t.Errorf("collection %+v", c)
		}
	}
	for _, e := range set.Exceptions {
		head(e.Head)
		if e.Reason == "" || e.Owner == "" || e.Expires.IsZero() || len(e.For.Policies)+len(e.Match.Value)+len(e.Scope.Collections)+len(e.Scope.Not) == 0 {
			t.Errorf("exception %+v", e)
		}
		text(e.Match)
	}
	for _, x := range set.Tests {
		head(x.Head)
		if len(x.Cases) == 0 {
			t.Errorf("test %+v", x)
		}
	}
	for _, l := range set.Lists {
		head(l.Head)
		for _, v := range l.Values {
			text(v)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, kind := range []string{"good", "faults"} {
		for _, data := range inputs(f, kind) {
			f.Add(data)
			for doc := range strings.SplitSeq(string(data), "\n---") {
				f.Add([]byte(doc))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, faults := document.Parse("p.yaml", data)
		if len(faults) > 100 {
			t.Errorf("%d faults", len(faults))
		}
		check(t, data, set)
		again, twice := document.Parse("p.yaml", data)
		if diff := cmp.Diff(set, again) + cmp.Diff(fmt.Sprint(faults), fmt.Sprint(twice)); diff != "" {
			t.Errorf("the second time differs:\n%s", diff)
		}
		lines := strings.Count(string(data), "\n") + 1
		last := document.Place{}
		for _, err := range faults {
			var fault document.Fault
			if !errors.As(err, &fault) || fault.Detail == "" || fault.Place.File != "p.yaml" || fault.Place.Line > lines+1 {
				t.Errorf("fault %#v", err)
			}
			if fault.Place.Line < last.Line {
				t.Errorf("%v comes after line %d", fault, last.Line)
			}
			last = fault.Place
		}
		// A document's own text is the document.
		for _, p := range set.Policies {
			alone, faults := document.Parse("p.yaml", []byte(p.Source))
			if len(faults) > 0 || len(alone.Policies) != 1 || alone.Policies[0].Name != p.Name {
				t.Errorf("the source of %q is not itself: %v", p.Name, faults)
			}
		}
	})
}
