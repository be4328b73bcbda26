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
	slots   []any  // CEL's values, made when they are first needed
	unknown []bool // nil: everything is known
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
		in = &Input{env: e, slots: make([]any, len(e.fields))}
	}
	in.value, in.now, in.unknown = v.Elem(), now, nil
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
	clear(in.slots)
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
	if in.slots[i] == nil {
		in.slots[i] = in.convert(&in.env.fields[i])
	}
	return in.slots[i], true
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

func (in *Input) convert(f *Field) any {
	v := in.member(f)
	if !in.known(f, v) {
		return types.NewUnknown(int64(f.slot)+1, types.NewAttributeTrail(f.Name))
	}
	switch f.kind {
	case kindText:
		return types.String(v.String())
	case kindInt:
		return types.Int(v.Int())
	case kindBool:
		return types.Bool(v.Bool())
	}
	return in.env.env.CELTypeAdapter().NativeToValue(v.Interface())
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
