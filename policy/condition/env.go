// SPDX-License-Identifier: Apache-2.0

// Package condition compiles and evaluates the conditions of policies: CEL
// (https://cel.dev) over a closed, typed set of variables that a Go struct
// declares. A condition is true, false or unknown, and says why. Where it only
// compares variables with literals it is a table, too, which is what is evaluated,
// indexed and handed to a kernel. The package does not know which subjects there
// are, nor what a policy makes of an answer.
package condition

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel" // Common Expression Language: typed, total, no I/O
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// Limits on what conditions may see. Their cost is estimated with them when they
// are loaded; input that is larger is unknown, and not cut.
const (
	defaultMaxText = 8192 // characters of a text
	defaultMaxList = 1024 // items of a list or map
	maxDynamic     = 128  // items of any list or map inside a value without a type
)

// A Field is one variable that conditions see.
type Field struct {
	Name   string   // "v.severity"
	Type   string   // as CEL writes it
	Doc    string   // one sentence
	Stages []string // at which it is known; empty is all
	Max    int      // items of a list or map, characters of a text

	index []int
	cel   *cel.Type
	kind  kind
	slot  int

	unknown *types.Unknown // what CEL is given where it is not known
}

// A kind says how a field is compared.
type kind int

const (
	kindOther kind = iota
	kindText
	kindInt
	kindBool
	kindFloat
	kindTime
)

// Fields gives the variables that a struct declares, in order. Its members are
// named by their json tags; members of a struct inside it have its name before a
// dot. The tag "doc" says what a member is, "stages" at which stages it is known,
// separated by commas, and "max" how large it may be. A struct without exported
// members that CEL can see is a mistake in the program.
func Fields(t reflect.Type) ([]Field, error) {
	var out []Field
	err := fields(t, "", nil, "", &out)
	for i := range out {
		out[i].slot, out[i].unknown = i, types.NewUnknown(int64(i)+1, types.NewAttributeTrail(out[i].Name))
	}
	return out, err
}

func fields(t reflect.Type, prefix string, index []int, stages string, out *[]Field) error {
	for i := range t.NumField() {
		m := t.Field(i)
		name, _, _ := strings.Cut(m.Tag.Get("json"), ",")
		if !m.IsExported() || name == "-" {
			continue
		}
		if m.Anonymous && name == "" {
			if err := fields(m.Type, prefix, append(slices.Clone(index), i), stages, out); err != nil {
				return err
			}
			continue
		}
		if name == "" {
			return fmt.Errorf("%s.%s has no json tag", t, m.Name)
		}
		at := append(slices.Clone(index), i)
		known := stages
		if s := m.Tag.Get("stages"); s != "" {
			known = s
		}
		if m.Type.Kind() == reflect.Struct && m.Type != reflect.TypeFor[time.Time]() {
			if err := fields(m.Type, prefix+name+".", at, known, out); err != nil {
				return err
			}
			continue
		}
		f := Field{Name: prefix + name, Doc: m.Tag.Get("doc"), index: at}
		if known != "" {
			f.Stages = strings.Split(known, ",")
		}
		var err error
		if f.cel, f.kind, f.Max, err = typeOf(m.Type); err != nil {
			return fmt.Errorf("%s.%s: %w", t, m.Name, err)
		}
		if s := m.Tag.Get("max"); s != "" {
			if f.Max, err = strconv.Atoi(s); err != nil {
				return fmt.Errorf("%s.%s: %w", t, m.Name, err)
			}
		}
		f.Type = strings.ReplaceAll(f.cel.String(), "subject.", "")
		*out = append(*out, f)
	}
	return nil
}

func typeOf(t reflect.Type) (*cel.Type, kind, int, error) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return cel.TimestampType, kindTime, 0, nil
	case reflect.TypeFor[time.Duration]():
		return cel.DurationType, kindOther, 0, nil
	}
	switch t.Kind() {
	case reflect.String:
		return cel.StringType, kindText, defaultMaxText, nil
	case reflect.Bool:
		return cel.BoolType, kindBool, 0, nil
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Int16, reflect.Int8:
		return cel.IntType, kindInt, 0, nil
	case reflect.Float64:
		return cel.DoubleType, kindFloat, 0, nil
	case reflect.Interface:
		return cel.DynType, kindOther, 0, nil
	case reflect.Struct: // inside a list
		return cel.ObjectType(t.String()), kindOther, 0, nil
	case reflect.Slice:
		e, _, _, err := typeOf(t.Elem())
		if err != nil {
			return nil, 0, 0, err
		}
		return cel.ListType(e), kindOther, defaultMaxList, nil
	case reflect.Map:
		e, _, _, err := typeOf(t.Elem())
		if err != nil {
			return nil, 0, 0, err
		}
		return cel.MapType(cel.StringType, e), kindOther, defaultMaxList, nil
	}
	return nil, 0, 0, errors.New("CEL has no such type: " + t.String())
}

// structs gives the struct types inside lists, which need names of their own.
func structs(t reflect.Type, out map[reflect.Type]bool) {
	for i := range t.NumField() {
		m := t.Field(i).Type
		for m.Kind() == reflect.Slice || m.Kind() == reflect.Map {
			m = m.Elem()
			if m.Kind() == reflect.Struct && m != reflect.TypeFor[time.Time]() {
				out[m] = true
			}
		}
		if m.Kind() == reflect.Struct && m != reflect.TypeFor[time.Time]() {
			structs(m, out)
		}
	}
}

// An Env is what conditions about one kind of subject see. It is safe for
// concurrent use.
type Env struct {
	env    *cel.Env
	names  map[string]int
	fields []Field
	consts map[string]int64
	lists  map[string]*list
	nested []string // names of members of the structs inside lists
	inputs sync.Pool
	closed chan struct{} // a channel that is closed
	typ    reflect.Type
}

// now is the variable that holds the time.
const now = "now"

// NewEnv gives an environment whose variables are those of the struct type t, the
// constants, lists.NAME for each list, and now.
func NewEnv(t reflect.Type, consts map[string]int64, lists map[string][]string) (*Env, error) {
	all, err := Fields(t)
	if err != nil {
		return nil, err
	}
	e := &Env{names: map[string]int{}, fields: all, consts: consts, lists: map[string]*list{}, typ: t, closed: make(chan struct{})}
	close(e.closed)
	options := []cel.EnvOption{
		cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Network(),
		cel.DefaultUTCTimeZone(true), cel.HomogeneousAggregateLiterals(),
		cel.EnableMacroCallTracking(),
		cel.ParserRecursionLimit(64), cel.ParserExpressionSizeLimit(maxSource), cel.ParserErrorRecoveryLimit(4),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(), cel.ValidateComprehensionNestingLimit(3)),
	}
	inside := map[reflect.Type]bool{}
	structs(t, inside)
	if len(inside) > 0 {
		native := []any{types.ParseStructTag("json")}
		for s := range inside {
			native = append(native, s)
			for i := range s.NumField() {
				name, _, _ := strings.Cut(s.Field(i).Tag.Get("json"), ",")
				e.nested = append(e.nested, name)
			}
		}
		slices.Sort(e.nested)
		options = append(options, ext.NativeTypes(native...))
	}
	for i, f := range all {
		e.names[f.Name] = i
		options = append(options, cel.Variable(f.Name, f.cel))
	}
	options = append(options, cel.Variable(now, cel.TimestampType))
	for _, name := range slices.Sorted(maps.Keys(consts)) {
		options = append(options, cel.Constant(name, cel.IntType, types.Int(consts[name])))
	}
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		e.lists["lists."+name] = newList(lists[name])
		options = append(options, cel.Variable("lists."+name, cel.ListType(cel.StringType)))
	}
	if e.env, err = cel.NewEnv(options...); err != nil {
		return nil, fmt.Errorf("conditions over %s: %w", t, err)
	}
	return e, nil
}

// Fields gives the variables, in the order of their declaration.
func (e *Env) Fields() []Field { return e.fields }

// Has tells whether there is a variable of that name.
func (e *Env) Has(name string) bool { _, ok := e.names[name]; return ok }

// Env gives what the condition sees.
func (c *Condition) Env() *Env { return c.env }
