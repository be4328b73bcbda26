// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/bulwark-sec/bulwark/internal/nearest"
)

// A form is how one value is written. The same form reads it and describes it to
// editors, so that the two cannot differ.
type form[V any] interface {
	// read takes the value of n, or leaves faults. What names the value in them.
	read(r *reader, n *yaml.Node, what string, to *V)
	// schema gives the form as JSON Schema, as far as that can say it.
	schema() object
}

// An object is a JSON object.
type object map[string]any

// A mapping is a form with named members.
type mapping[T any] struct {
	name   string // in faults: "rule"
	fields []field[T]
	some   []string                                      // at least one of these keys must be there
	place  func(*T) *Place                               // where to put the place; nil is nowhere
	check  func(r *reader, n *yaml.Node, f nodes, to *T) // of sound values that must fit together
	also   object                                        // what check asks, as far as JSON Schema can say it
}

// nodes are the values of a mapping, by key.
type nodes map[string]*yaml.Node

// A field is one member of a mapping.
type field[T any] struct {
	key, doc string
	needed   bool
	read     func(r *reader, n *yaml.Node, to *T)
	schema   func() object
}

// in is a field whose value has the form f and is kept at.
func in[T, V any](key, doc string, f form[V], at func(*T) *V) field[T] {
	return field[T]{
		key: key, doc: doc,
		read:   func(r *reader, n *yaml.Node, to *T) { f.read(r, n, strconv.Quote(key), at(to)) },
		schema: f.schema,
	}
}

// need is a field that must be there.
func need[T, V any](key, doc string, f form[V], at func(*T) *V) field[T] {
	m := in(key, doc, f, at)
	m.needed = true
	return m
}

func (m mapping[T]) keys() []string {
	keys := make([]string, len(m.fields))
	for i, f := range m.fields {
		keys[i] = f.key
	}
	return keys
}

func (m mapping[T]) read(r *reader, n *yaml.Node, what string, to *T) {
	before := r.count
	f, ok := r.members(n, what, m.name, m.keys())
	if !ok {
		return
	}
	if m.place != nil {
		*m.place(to) = r.place(n)
	}
	foreign := r.count > before // of one of the keys that are missed, perhaps
	for _, d := range m.fields {
		if v := f[d.key]; v != nil {
			d.read(r, v, to)
		} else if d.needed && !meant(n, d.key, m.keys()) {
			r.fault(r.place(n), "%s without %q", m.name, d.key)
		}
	}
	if len(m.some) > 0 && !foreign && !slices.ContainsFunc(m.some, func(k string) bool { return f[k] != nil }) {
		r.fault(r.place(n), "%s without any of %s", m.name, quoted(m.some))
	}
	if m.check != nil && r.count == before {
		m.check(r, n, f, to)
	}
}

// members gives the values of a mapping node by key. Keys that are not among the
// known ones, and repeated ones, are faults; known nil accepts every text. It is
// false when n is no mapping.
func (r *reader) members(n *yaml.Node, what, name string, known []string) (nodes, bool) {
	if n.Kind != yaml.MappingNode {
		r.wants(n, what, "a mapping")
		return nil, false
	}
	f := make(nodes, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode:
			r.fault(r.place(k), "a key of %s is no word", name)
		case known != nil && !slices.Contains(known, k.Value):
			r.fault(r.place(k), "%s", unknownKey(k.Value, name, known))
		case known == nil && k.Tag != "!!str" && k.Tag != "!!timestamp":
			r.fault(r.place(k), "a key of %s is no text; put %s in quotes", name, clip(k.Value))
		case known == nil && strings.TrimSpace(k.Value) == "":
			r.fault(r.place(k), "a key of %s is blank", name)
		case lines[k.Value] > 0:
			r.fault(r.place(k), "key %q is already in line %d", clip(k.Value), lines[k.Value])
		default:
			lines[k.Value] = r.first + k.Line
			f[k.Value] = v
		}
	}
	return f, true
}

// meant tells whether one of the foreign keys of a mapping is probably this one.
func meant(n *yaml.Node, key string, known []string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i].Value; !slices.Contains(known, k) && nearest.Of(k, known) == key {
			return true
		}
	}
	return false
}

func unknownKey(key, name string, known []string) string {
	s := unknown("key", key, known)
	return strings.Replace(s, strconv.Quote(clip(key)), strconv.Quote(clip(key))+" in "+name, 1)
}

// wants says that n is not what is wanted.
func (r *reader) wants(n *yaml.Node, what, want string) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		r.fault(r.place(n), "%s is empty, it wants %s", what, want)
		return
	}
	kind := "a text"
	switch {
	case n.Kind == yaml.MappingNode:
		kind = "a mapping"
	case n.Kind == yaml.SequenceNode:
		kind = "a list"
	case n.Tag == "!!int", n.Tag == "!!float":
		kind = "a number"
	case n.Tag == "!!bool":
		kind = "true or false"
	}
	r.fault(r.place(n), "%s is %s, it wants %s", what, kind, want)
}

func (m mapping[T]) schema() object {
	properties, required := object{}, []string{}
	for _, f := range m.fields {
		s := f.schema()
		s["description"] = f.doc
		properties[f.key] = s
		if f.needed {
			required = append(required, f.key)
		}
	}
	s := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	if len(m.some) > 0 {
		var any []object
		for _, k := range m.some {
			any = append(any, object{"required": []string{k}})
		}
		s["anyOf"] = any
	}
	for k, v := range m.also {
		s[k] = v
	}
	return s
}

// optional is a form whose absence is told from its zero value.
type optional[V any] struct{ form form[V] }

func (o optional[V]) read(r *reader, n *yaml.Node, what string, to **V) {
	*to = new(V)
	o.form.read(r, n, what, *to)
}

func (o optional[V]) schema() object { return o.form.schema() }

// A text is a scalar. What YAML reads as another type wants quotes, unless kinds
// has it: 1.10 is a number, and was perhaps meant to be one.
type text struct {
	words   []string       // one of these; nil is any text that is not blank
	noun    string         // of the words, in faults
	pattern *regexp.Regexp // of the whole text
	like    string         // the pattern in words
	bytes   int            // 0 is maxScalar
	bools   bool           // true and false are texts, too
	numbers bool           // and numbers are
}

func (f text) read(r *reader, n *yaml.Node, what string, to *Text) {
	ok := n.Kind == yaml.ScalarNode && (n.Tag == "!!str" || n.Tag == "!!timestamp" ||
		f.bools && n.Tag == "!!bool" || f.numbers && (n.Tag == "!!int" || n.Tag == "!!float"))
	switch {
	case !ok && n.Kind == yaml.ScalarNode && n.Tag != "!!null":
		r.wants(n, what, fmt.Sprintf("a text: put %s in quotes", clip(n.Value)))
	case !ok:
		r.wants(n, what, "a text")
	case f.words != nil && !slices.Contains(f.words, n.Value):
		detail := unknown(f.noun, n.Value, f.words)
		if len(f.words) <= 6 { // "unaffected" is nearest to "affected", and means the other one
			detail = fmt.Sprintf("unknown %s %q, want %s", f.noun, clip(n.Value), quoted(f.words))
		}
		r.fault(r.place(n), "%s: %s", what, detail)
	case f.words == nil && strings.TrimSpace(n.Value) == "":
		r.fault(r.place(n), "%s is blank", what)
	case f.bytes > 0 && len(n.Value) > f.bytes:
		r.fault(r.place(n), "%s has %d bytes, at most %d", what, len(n.Value), f.bytes)
	case f.pattern != nil && !f.pattern.MatchString(n.Value):
		r.fault(r.place(n), "%s %q is not %s", what, clip(n.Value), f.like)
	default:
		*to = r.text(n)
	}
}

func (f text) schema() object {
	if f.words != nil {
		return object{"type": "string", "enum": f.words}
	}
	s := object{"type": "string", "pattern": `\S`}
	if f.pattern != nil {
		s["pattern"] = f.pattern.String()
	}
	if f.bytes > 0 {
		s["maxLength"] = f.bytes
	}
	types := []string{"string"}
	if f.bools {
		types = append(types, "boolean")
	}
	if f.numbers {
		types = append(types, "number")
	}
	if len(types) > 1 {
		s["type"] = types
	}
	return s
}

// A word is a text whose place nobody asks for.
type word text

func (f word) read(r *reader, n *yaml.Node, what string, to *string) {
	var t Text
	text(f).read(r, n, what, &t)
	*to = strings.TrimSpace(t.Value) // a block ends with a line feed
}

func (f word) schema() object { return text(f).schema() }

// A list is a form of many values, no two of them the same.
type list[V any] struct {
	of    form[V]
	key   func(*V) string // what tells values apart; nil is nothing
	empty bool            // may be empty
	free  bool            // the schema cannot tell values apart
	noun  string          // of a value, in faults: "rule"; "" is the list's key
}

func (f list[V]) read(r *reader, n *yaml.Node, what string, to *[]V) {
	if n.Kind != yaml.SequenceNode {
		want := "a list"
		if n.Kind == yaml.ScalarNode && n.Tag != "!!null" && len(n.Value) <= 64 {
			want = fmt.Sprintf("a list: [%s]", n.Value)
		}
		r.wants(n, what, want)
		return
	}
	if len(n.Content) == 0 && !f.empty {
		r.fault(r.place(n), "%s is an empty list; write values, or leave it out", what)
		return
	}
	one := f.noun
	if one == "" {
		one = "a value of " + what
	}
	first := make(map[string]int, len(n.Content))
	all := make([]V, len(n.Content))
	for i, c := range n.Content {
		f.of.read(r, c, one, &all[i])
		if f.key == nil {
			continue
		}
		key := f.key(&all[i])
		if key == "" {
			continue // has a fault
		}
		if line, twice := first[key]; twice {
			r.fault(r.place(c), "%s %q is already in line %d", one, clip(key), line)
		} else {
			first[key] = r.place(c).Line
		}
	}
	*to = all
}

func (f list[V]) schema() object {
	s := object{"type": "array", "items": f.of.schema()}
	if !f.empty {
		s["minItems"] = 1
	}
	if f.key != nil && !f.free {
		s["uniqueItems"] = true
	}
	return s
}

// texts is a list of texts.
func texts(of text) list[Text] {
	return list[Text]{of: of, key: func(t *Text) string { return t.Value }}
}

// words is a list of texts whose places nobody asks for.
func words(of text) list[string] {
	return list[string]{of: word(of), key: func(s *string) string { return *s }}
}

// A table is a mapping with any keys and values of one form.
type table[V any] struct {
	name string // in faults
	of   form[V]
	keys []string // nil is any text
}

func (f table[V]) read(r *reader, n *yaml.Node, what string, to *map[string]V) {
	members, ok := r.members(n, what, f.name, f.keys)
	if !ok {
		return
	}
	if len(n.Content) == 0 {
		r.fault(r.place(n), "%s is an empty mapping; write keys, or leave it out", what)
		return
	}
	*to = make(map[string]V, len(members))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if members[key] != n.Content[i+1] {
			continue // has a fault
		}
		var v V
		f.of.read(r, n.Content[i+1], fmt.Sprintf("%q of %s", clip(key), f.name), &v)
		(*to)[key] = v
	}
}

func (f table[V]) schema() object {
	s := object{"type": "object", "minProperties": 1, "additionalProperties": f.of.schema()}
	names := object{"pattern": `\S`}
	if f.keys != nil {
		names = object{"enum": f.keys}
	}
	s["propertyNames"] = names
	return s
}

// A count is a whole number from 0.
type count struct{ most int }

func (f count) read(r *reader, n *yaml.Node, what string, to *int) {
	v, err := strconv.Atoi(n.Value)
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!float":
		r.fault(r.place(n), "%s wants a whole number, not %s", what, clip(n.Value))
	case n.Kind != yaml.ScalarNode || n.Tag != "!!int":
		r.wants(n, what, "a whole number")
	case err != nil || len(n.Value) > 1 && n.Value[0] == '0':
		r.fault(r.place(n), "%s wants a whole number in decimal digits, not %s", what, clip(n.Value))
	case v < 0:
		r.fault(r.place(n), "%s is negative", what)
	case v > f.most:
		r.fault(r.place(n), "%s is %d, at most %d", what, v, f.most)
	default:
		*to = v
	}
}

func (f count) schema() object {
	return object{"type": "integer", "minimum": 0, "maximum": f.most}
}

// A moment is a time as in RFC 3339, or a date alone: its first moment, or the end
// of that day, in UTC.
type moment struct{ end bool }

// years are those that a clock of a machine shows; the zero time is none of them.
const years = `(19[7-9]|[2-9][0-9]{2})[0-9]`

func (f moment) read(r *reader, n *yaml.Node, what string, to *time.Time) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!timestamp" {
		r.wants(n, what, "a date like 2027-01-31")
		return
	}
	day := time.Duration(0)
	t, err := time.Parse(time.DateOnly, n.Value)
	if err == nil && f.end {
		day = 24 * time.Hour
	}
	if err != nil {
		t, err = time.Parse(time.RFC3339, n.Value)
	}
	if err != nil || t.Year() < 1970 {
		r.fault(r.place(n), "%s %q is no date like 2027-01-31, and no time like 2027-01-31T18:00:00Z", what, clip(n.Value))
		return
	}
	*to = t.Add(day).UTC()
}

func (f moment) schema() object {
	return object{
		"type":    "string",
		"pattern": `^` + years + `-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?$`,
		"anyOf":   []object{{"format": "date"}, {"format": "date-time"}},
	}
}
