// SPDX-License-Identifier: Apache-2.0

package document

import (
	"math"
	"regexp"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"
)

// An effectForm is an effect for every stage, or effects by stage.
type effectForm struct{}

func (effectForm) read(r *reader, n *yaml.Node, what string, to *Effect) {
	to.Place = r.place(n)
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		effect.read(r, n, what, &to.Default)
		return
	}
	if n.Kind != yaml.MappingNode {
		r.wants(n, what, "an effect, or effects by stage: {build: fail, default: alert}")
		return
	}
	table[Text]{name: "effect", of: effect, keys: append(stages(), "default")}.read(r, n, what, &to.Stages)
	to.Default = to.Stages["default"]
	delete(to.Stages, "default")
}

func (effectForm) schema() object {
	return object{"anyOf": []object{
		effect.schema(),
		table[Text]{of: effect, keys: append(stages(), "default")}.schema(),
	}}
}

// A wantedEffect is an effect, or that there is none.
type wantedEffect struct{}

func (wantedEffect) word() word {
	return word{words: append(slices.Clone(effect.words), "none", ""), noun: "effect"}
}

func (f wantedEffect) read(r *reader, n *yaml.Node, what string, to *string) {
	f.word().read(r, n, what, to)
	if *to == "none" {
		*to = ""
	}
}

func (f wantedEffect) schema() object { return f.word().schema() }

// Values are any values by name, as JSON has them: nil, bool, int64, float64,
// string, []any and map[string]any.
type values struct{}

func (values) read(r *reader, n *yaml.Node, what string, to *map[string]any) {
	if n.Kind != yaml.MappingNode {
		r.wants(n, what, "a mapping of variables")
		return
	}
	*to, _ = r.value(n).(map[string]any)
}

func (values) schema() object { return object{"type": "object"} }

// A number is read where YAML 1.1, YAML 1.2 and people agree on what it is.
var (
	decimal  = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	fraction = regexp.MustCompile(`^[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]+)?$`)
)

// value reads anything. What JSON cannot hold is a fault.
func (r *reader) value(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		members, _ := r.members(n, "", "a value", nil)
		m := make(map[string]any, len(members))
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k, v := n.Content[i], n.Content[i+1]; members[k.Value] == v {
				m[k.Value] = r.value(v)
			}
		}
		return m
	case yaml.SequenceNode:
		l := make([]any, len(n.Content))
		for i, c := range n.Content {
			l[i] = r.value(c)
		}
		return l
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value[0] == 't' || n.Value[0] == 'T'
	case "!!int":
		if v, err := strconv.ParseInt(n.Value, 10, 64); err == nil && decimal.MatchString(n.Value) {
			return v
		}
		r.fault(r.place(n), "number %s: write it in decimal digits, within 64 bits, or in quotes", clip(n.Value))
		return nil
	case "!!float":
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil && fraction.MatchString(n.Value) && !decimal.MatchString(n.Value) && !math.IsInf(v, 0) {
			return v
		}
		r.fault(r.place(n), "number %s cannot be kept as it is; write it in quotes", clip(n.Value))
		return nil
	}
	return n.Value
}
