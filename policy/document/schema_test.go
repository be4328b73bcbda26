// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6" // tests only: the schemas are for its like
	"gopkg.in/yaml.v3"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/document"
)

// schemas compiles the schema of each kind, which checks it against that of its
// draft.
func schemas(t testing.TB) map[string]*jsonschema.Schema {
	t.Helper()
	all := map[string]*jsonschema.Schema{}
	for _, kind := range document.Kinds() {
		b, err := document.Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource(kind, doc); err != nil {
			t.Fatal(err)
		}
		if all[kind], err = c.Compile(kind); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// tree is a document as an editor's validator has it.
func tree(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return tree(n.Content[0])
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = tree(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			l = append(l, tree(c))
		}
		return l
	}
	var v any = n.Value
	if n.Tag != "!!timestamp" {
		if err := n.Decode(&v); err != nil {
			return n.Value
		}
	}
	return v
}

// refused says what the schema of the document's kind has against it.
func refused(t testing.TB, all map[string]*jsonschema.Schema, source string) error {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(source), &n); err != nil {
		t.Fatalf("%v in\n%s", err, source)
	}
	if len(n.Content) == 0 {
		return nil
	}
	doc, _ := tree(&n).(map[string]any)
	kind, _ := doc["kind"].(string)
	if all[kind] == nil {
		return fmt.Errorf("no kind %q", kind)
	}
	return all[kind].Validate(doc)
}

func TestSchemaGood(t *testing.T) {
	all := schemas(t)
	for name, data := range inputs(t, "good") {
		for doc := range strings.SplitSeq("\n"+string(data), "\n---") {
			_, doc, _ = strings.Cut(doc, "\n") // what stands behind the dashes
			if err := refused(t, all, doc); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, doc)
			}
		}
	}
}

// TestSchemaBad runs testdata/schema/*.txtar: each document has one fault. The
// schema must see it, too, except in unseen.txtar.
func TestSchemaBad(t *testing.T) {
	all := schemas(t)
	for name, data := range inputs(t, "schema") {
		for i, doc := range strings.Split(string(data), "\n---\n") {
			set, faults := document.Parse("p.yaml", []byte(doc))
			if n := len(set.Policies) + len(set.Collections) + len(set.Exceptions) + len(set.Tests) + len(set.Lists); len(faults) != 1 || n > 0 {
				t.Errorf("%s, document %d: %d documents, faults %v in\n%s", name, i, n, faults, doc)
			}
			seen := refused(t, all, doc) != nil
			if seen == strings.HasSuffix(name, "unseen.txtar") {
				t.Errorf("%s, document %d: the schema sees it: %v; the parser says %v in\n%s", name, i, seen, faults, doc)
			}
		}
	}
}

// TestSchemaShorter takes each line of good documents away: what the parser reads,
// the schema must not refuse.
func TestSchemaShorter(t *testing.T) {
	all := schemas(t)
	for name, data := range inputs(t, "good") {
		for doc := range strings.SplitSeq(string(data), "\n---\n") {
			lines := strings.SplitAfter(doc, "\n")
			for i := range lines {
				short := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
				set, faults := document.Parse("p.yaml", []byte(short))
				if len(faults) > 0 || len(set.Policies)+len(set.Tests)+len(set.Exceptions)+len(set.Collections)+len(set.Lists) != 1 {
					continue
				}
				if err := refused(t, all, short); err != nil {
					t.Errorf("%s: the schema says %v of\n%s", name, err, short)
				}
			}
		}
	}
}

func TestSchemaUnknown(t *testing.T) {
	_, err := document.Schema("Polcy")
	if !errors.Is(err, bulwark.ErrUsage) || !strings.Contains(err.Error(), `did you mean "Policy"?`) {
		t.Errorf("got %v", err)
	}
}

// TestSchemaDescribed shows that editors have something to say of each key.
func TestSchemaDescribed(t *testing.T) {
	for _, kind := range document.Kinds() {
		b, err := document.Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		described(t, kind, doc)
	}
}

func described(t *testing.T, at string, v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			described(t, at, x)
		}
	case map[string]any:
		if properties, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
			for key, p := range properties {
				if d, _ := p.(map[string]any)["description"].(string); !strings.HasSuffix(d, ".") && !strings.HasSuffix(d, "…") && !strings.HasSuffix(d, `"`) {
					t.Errorf("%s.%s has the description %q", at, key, d)
				}
				described(t, at+"."+key, p)
			}
		}
		for key, x := range v {
			if key != "properties" {
				described(t, at, x)
			}
		}
	}
}
