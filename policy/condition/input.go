// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"fmt"
	"reflect"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// An Input is one subject made ready for conditions. It is not safe for concurrent
// use; Release gives it back.
type Input struct {
	env     *Env
	value   reflect.Value
	now     time.Time
	cells   []cell // by slot, filled when they are first needed
	round   uint32 // of cells that are filled for this subject
	unknown []bool // nil: everything is known
}

// A cell is what is known of one variable.
type cell struct {
	round  uint32
	boxed  uint32 // round in which value was made
	known  bool
	truth  bool
	number int64
	real   float64
	time   time.Time
	text   string
	value  any // CEL's
}

// cell gives what is known of a variable.
func (in *Input) cell(f *Field) *cell {
	c := &in.cells[f.slot]
	if c.round == in.round {
		return c
	}
	c.round = in.round
	v := in.member(f)
	if c.known = in.known(f, v); !c.known {
		return c
	}
	switch f.kind {
	case kindText:
		c.text = v.String()
	case kindInt:
		c.number = v.Int()
	case kindBool:
		c.truth = v.Bool()
	case kindFloat:
		c.real = v.Float()
	case kindTime:
		c.time, _ = v.Interface().(time.Time)
	}
	return c
}

// Bind makes an Input of a pointer to the environment's struct. It must not change
// while the Input is in use. unknown are names of variables that are not known, or
// beginnings of them: "img.signers", "fn".
func (e *Env) Bind(subject any, now time.Time, unknown []string) (*Input, error) {
	v := reflect.ValueOf(subject)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem() != e.typ {
		return nil, fmt.Errorf("a condition over %s cannot be asked about %T", e.typ, subject)
	}
	in, ok := e.inputs.Get().(*Input)
	if !ok {
		in = &Input{env: e, cells: make([]cell, len(e.fields))}
	}
	in.value, in.now, in.unknown = v.Elem(), now, nil
	if in.round++; in.round == 0 { // it went round
		clear(in.cells)
		in.round = 1
	}
	for _, name := range unknown {
		if in.unknown == nil {
			in.unknown = make([]bool, len(e.fields))
		}
		for i := range e.fields {
			if f := e.fields[i].Name; f == name || len(f) > len(name) && f[:len(name)] == name && f[len(name)] == '.' {
				in.unknown[i] = true
			}
		}
	}
	return in, nil
}

// Release gives an Input back. It must not be used again.
func (in *Input) Release() {
	in.value, in.unknown = reflect.Value{}, nil
	in.env.inputs.Put(in)
}

// ResolveName gives CEL the value of a variable.
func (in *Input) ResolveName(name string) (any, bool) {
	i, ok := in.env.names[name]
	if !ok {
		if name == now {
			return types.Timestamp{Time: in.now}, true
		}
		if l, ok := in.env.lists[name]; ok {
			return l, true
		}
		return nil, false
	}
	f := &in.env.fields[i]
	c := in.cell(f)
	if c.boxed != in.round {
		c.value, c.boxed = in.convert(f, c), in.round
	}
	return c.value, true
}

// Parent is nil.
func (in *Input) Parent() cel.Activation { return nil }

func (in *Input) member(f *Field) reflect.Value {
	v := in.value
	for _, i := range f.index {
		v = v.Field(i)
	}
	return v
}

// known tells whether the field has a value within its bounds.
func (in *Input) known(f *Field, v reflect.Value) bool {
	if in.unknown != nil && in.unknown[f.slot] {
		return false
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len() <= f.Max || utf8.RuneCountInString(v.String()) <= f.Max
	case reflect.Slice, reflect.Map:
		return v.Len() <= f.Max
	case reflect.Interface:
		return !v.IsNil()
	case reflect.Struct:
		return !v.IsZero() // a time
	}
	return true
}

func (in *Input) convert(f *Field, c *cell) any {
	if !c.known {
		return f.unknown
	}
	switch f.kind {
	case kindText:
		return types.String(c.text)
	case kindInt:
		return types.Int(c.number)
	case kindBool:
		return types.Bool(c.truth)
	case kindFloat:
		return types.Double(c.real)
	case kindTime:
		return types.Timestamp{Time: c.time}
	}
	return in.env.env.CELTypeAdapter().NativeToValue(in.member(f).Interface())
}

// A list is a list of texts in which one is found without a walk.
type list struct {
	traits.Lister
	values []string
	has    map[string]bool
}

func newList(values []string) *list {
	l := &list{types.NewStringList(types.DefaultTypeAdapter, values), values, make(map[string]bool, len(values))}
	for _, v := range values {
		l.has[v] = true
	}
	return l
}

// Contains tells whether the list has a text.
func (l *list) Contains(v ref.Val) ref.Val {
	if s, ok := v.(types.String); ok {
		return types.Bool(l.has[string(s)])
	}
	return l.Lister.Contains(v)
}
