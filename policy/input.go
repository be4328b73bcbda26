// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/nearest"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// Limits on one recorded input.
const (
	// MaxInput is the most bytes that an input may have.
	MaxInput      = 4 << 20
	maxInputDepth = 100  // lists and mappings inside each other
	maxUnknown    = 1000 // names of variables that are not known
)

// ParseInput reads an [Input] as it was recorded: one JSON object. Everything in it
// must be known: a field that is not, a value of another type or a kind that does
// not exist is an error that names it, so that nothing is decided about half of an
// input. More than [MaxInput] bytes are [bulwark.ErrTooLarge].
func ParseInput(data []byte) (Input, error) {
	if len(data) > MaxInput {
		return Input{}, fmt.Errorf("an input of %d bytes, limit %d: %w", len(data), MaxInput, bulwark.ErrTooLarge)
	}
	var raw struct {
		Stage   bulwark.Stage  `json:"stage"`
		Kind    string         `json:"subject"`
		Subject map[string]any `json:"input"`
		Unknown []string       `json:"unknown"`
		Now     time.Time      `json:"now"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(&raw); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return Input{}, errors.New("the JSON object of an input ends too early")
		}
		return Input{}, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Input{}, errors.New("something follows the JSON object of an input")
	}
	in := Input{Stage: raw.Stage, Kind: raw.Kind, Unknown: raw.Unknown, Now: raw.Now.UTC()}
	if y := in.Now.Year(); raw.Now.IsZero() || y < 1 || y > 9999 {
		return Input{}, errors.New(`"now" is no time of an input`)
	}
	k, err := kindAt(in.Kind, in.Stage)
	if err != nil {
		return Input{}, err
	}
	if raw.Subject == nil {
		return Input{}, errors.New(`"input" is missing`)
	}
	if in.Subject, err = ReadSubject(k.Name, raw.Subject); err != nil {
		return Input{}, err
	}
	return in, CheckUnknown(k.Name, in.Unknown)
}

// kindAt gives a kind of subject that there is at a stage.
func kindAt(name string, stage bulwark.Stage) (subject.Kind, error) {
	k, ok := subject.ByName(name)
	if !ok {
		var names []string
		for _, k := range subject.Kinds() {
			names = append(names, k.Name)
		}
		return k, fmt.Errorf("unknown subject %q%s", name, meant(name, names))
	}
	if !slices.Contains(k.Stages, stage) {
		return k, fmt.Errorf("there is no %s at stage %q; there is at %s", name, stage, stageNames(k.Stages))
	}
	return k, nil
}

// meant asks whether another word was meant.
func meant(word string, words []string) string {
	if near := nearest.Of(word, words); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// CheckUnknown tells whether names of variables that are not known are such names,
// or beginnings of them, of a kind of subject. The error names the first that is
// not, and the nearest that is.
func CheckUnknown(kind string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if len(names) > maxUnknown {
		return fmt.Errorf("%d variables are not known, limit %d: %w", len(names), maxUnknown, bulwark.ErrTooLarge)
	}
	k, ok := subject.ByName(kind)
	if !ok {
		return fmt.Errorf("unknown subject %q", kind)
	}
	fields, err := condition.Fields(reflect.TypeOf(k.New()).Elem())
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, f := range fields {
		for name := f.Name; ; {
			known[name] = true
			i := strings.LastIndexByte(name, '.')
			if i < 0 {
				break
			}
			name = name[:i]
		}
	}
	for _, n := range names {
		if !known[n] {
			return fmt.Errorf("a %s has no variable %q%s", kind, n, meant(n, slices.Sorted(maps.Keys(known))))
		}
	}
	return nil
}

// ReadSubject makes the struct of a kind of subject of its variables by name, as
// {"v": {"id": "CVE-2024-3094", "severity": "high"}}. Values are those of JSON or of
// a document: numbers may be int64, float64 or json.Number, times are RFC 3339 or
// days. The error names the variable, and the nearest where there is no such.
func ReadSubject(kind string, values map[string]any) (any, error) {
	k, ok := subject.ByName(kind)
	if !ok {
		return nil, fmt.Errorf("unknown subject %q", kind)
	}
	out := k.New()
	return out, assign(reflect.ValueOf(out).Elem(), values, "", 0)
}

// assign puts a value into a member of a subject.
func assign(to reflect.Value, x any, path string, depth int) error {
	if depth > maxInputDepth {
		return fmt.Errorf("%s: more than %d levels: %w", path, maxInputDepth, bulwark.ErrTooLarge)
	}
	switch p := to.Addr().Interface().(type) {
	case *time.Time:
		return assignTime(p, x, path)
	case *bulwark.Severity:
		return assignSeverity(p, x, path)
	}
	switch to.Kind() {
	case reflect.Struct:
		return assignStruct(to, x, path, depth)
	case reflect.Interface:
		v, err := plain(x, path, depth)
		if err == nil && v != nil {
			to.Set(reflect.ValueOf(v))
		}
		return err
	case reflect.String:
		s, ok := x.(string)
		if !ok {
			return wanted(path, "a text", x)
		}
		to.SetString(s)
	case reflect.Bool:
		b, ok := x.(bool)
		if !ok {
			return wanted(path, "true or false", x)
		}
		to.SetBool(b)
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Int16, reflect.Int8:
		v, _ := plain(x, path, depth)
		n, ok := v.(int64)
		if !ok || to.OverflowInt(n) {
			return wanted(path, "a whole number", x)
		}
		to.SetInt(n)
	case reflect.Float64:
		switch v, _ := plain(x, path, depth); v := v.(type) {
		case int64:
			to.SetFloat(float64(v))
		case float64:
			to.SetFloat(v)
		default:
			return wanted(path, "a number", x)
		}
	case reflect.Slice:
		list, ok := x.([]any)
		if !ok {
			return wanted(path, "a list", x)
		}
		to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
		for i, e := range list {
			if err := assign(to.Index(i), e, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		m, ok := x.(map[string]any)
		if !ok {
			return wanted(path, "a mapping", x)
		}
		to.Set(reflect.MakeMapWithSize(to.Type(), len(m)))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			e := reflect.New(to.Type().Elem()).Elem()
			if err := assign(e, m[k], fmt.Sprintf("%s[%q]", path, k), depth+1); err != nil {
				return err
			}
			to.SetMapIndex(reflect.ValueOf(k), e)
		}
	default:
		return fmt.Errorf("%s: a %s cannot be read", path, to.Type())
	}
	return nil
}

// wanted says what should have been there.
func wanted(path, what string, x any) error {
	if x == nil {
		return fmt.Errorf("%s is null: leave it out, or name it in unknown", path)
	}
	given := fmt.Sprintf("%q", x)
	switch x.(type) {
	case map[string]any:
		given = "a mapping"
	case []any:
		given = "a list"
	case bool, int64, float64, json.Number:
		given = fmt.Sprint(x)
	}
	return fmt.Errorf("%s: want %s, got %s", path, what, clip(given))
}

// clip cuts what somebody wrote to what a line of a terminal takes.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

func assignTime(to *time.Time, x any, path string) error {
	s, ok := x.(string)
	if !ok {
		return wanted(path, "a time", x)
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 {
			*to = t.UTC()
			return nil
		}
	}
	return wanted(path, "a time like 2027-01-31T12:00:00Z, or a day", x)
}

func assignSeverity(to *bulwark.Severity, x any, path string) (err error) {
	var names []string
	for _, s := range bulwark.Severities() {
		names = append(names, s.String())
	}
	s, ok := x.(string)
	if !ok {
		return wanted(path, "a severity", x)
	}
	if *to, err = bulwark.ParseSeverity(s); err != nil {
		return fmt.Errorf("%w%s", wanted(path, "one of "+join(names), x), meant(s, names))
	}
	return nil
}

func assignStruct(to reflect.Value, x any, path string, depth int) error {
	m, ok := x.(map[string]any)
	if !ok {
		return wanted(path, "a mapping", x)
	}
	members := map[string]reflect.Value{}
	named(to, members)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		at := k
		if path != "" {
			at = path + "." + k
		}
		member, ok := members[k]
		if !ok {
			of, known := "", slices.Sorted(maps.Keys(members))
			if path != "" {
				of = " of " + path
			}
			hint := meant(k, known)
			if hint == "" {
				hint = "; there are " + join(known)
			}
			return fmt.Errorf("undefined field %q%s%s", clip(k), of, hint)
		}
		if err := assign(member, m[k], at, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// named gives the members of a struct by the names that conditions have for them.
func named(v reflect.Value, out map[string]reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case f.Anonymous && name == "":
			named(v.Field(i), out)
		default:
			out[name] = v.Field(i)
		}
	}
}

// plain gives a value without a type as conditions see it: whole numbers are
// int64.
func plain(x any, path string, depth int) (any, error) {
	if depth > maxInputDepth {
		return nil, fmt.Errorf("%s: more than %d levels: %w", path, maxInputDepth, bulwark.ErrTooLarge)
	}
	switch x := x.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n, nil
		}
		f, err := x.Float64()
		if err != nil {
			return nil, fmt.Errorf("%s: number %s is too large", path, clip(string(x)))
		}
		return f, nil
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			v, err := plain(e, path, depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			v, err := plain(e, path, depth+1)
			if err != nil {
				return nil, err
			}
			out[k] = v
		}
		return out, nil
	}
	return x, nil
}
