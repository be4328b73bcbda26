// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// fill gives every member of a subject a value that is not its zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 21, 1, 2, 3, 4, time.UTC)))
		return
	case bulwark.Severity:
		v.Set(reflect.ValueOf(bulwark.SeverityHigh))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.String:
		v.SetString("a\x00é")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(math.MaxInt64)
	case reflect.Float64:
		v.SetFloat(0.25)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.Map:
		e := reflect.New(v.Type().Elem()).Elem()
		fill(t, e)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), e)
	case reflect.Interface:
		v.Set(reflect.ValueOf(map[string]any{"n": int64(7), "f": 1.5, "l": []any{"a", true, nil}}))
	default:
		t.Fatalf("a %s", v.Type())
	}
}

// TestInputs writes an input of every kind, full and empty, as scans record it, and
// reads it back.
func TestInputs(t *testing.T) {
	for _, k := range subject.Kinds() {
		for _, full := range []bool{false, true} {
			want := policy.Input{Stage: k.Stages[0], Kind: k.Name, Subject: k.New(), Now: time.Date(2026, 11, 21, 0, 0, 0, 5, time.UTC)}
			if full {
				fill(t, reflect.ValueOf(want.Subject).Elem())
				want.Unknown = []string{"asset", "asset.name"}
			}
			b, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := policy.ParseInput(b)
			if err != nil {
				t.Errorf("%s: %v in %s", k.Name, err, b)
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", k.Name, diff)
			}
			if full && subject.AssetIn(got.Subject).Name != "a\x00é" {
				t.Errorf("%s: the asset is not found", k.Name)
			}
			for n := range len(b) {
				if _, err := policy.ParseInput(b[:n]); err == nil {
					t.Fatalf("%s: %d of %d bytes were taken for an input", k.Name, n, len(b))
				}
			}
		}
	}
	if a := subject.AssetIn(7); a.Name != "" {
		t.Error("a number has an asset")
	}
}

func TestInputFaults(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"empty":          {``, "the JSON object of an input ends too early"},
		"null":           {`null`, `"now" is no time of an input`},
		"list":           {`[]`, "cannot unmarshal array"},
		"field":          {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","inputs":{}}`, `unknown field "inputs"`},
		"no input":       {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process"}`, `"input" is missing`},
		"no time":        {`{"stage":"run","subject":"process","input":{}}`, `"now" is no time`},
		"year zero":      {`{"now":"0001-01-01T00:00:00+23:59","stage":"run","subject":"process","input":{}}`, `"now" is no time`},
		"last year":      {`{"now":"9999-12-31T23:59:59-23:59","stage":"run","subject":"process","input":{}}`, `"now" is no time`},
		"subject":        {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"proces","input":{}}`, `unknown subject "proces"; did you mean "process"?`},
		"stage":          {`{"now":"2026-01-01T00:00:00Z","stage":"build","subject":"process","input":{}}`, `there is no process at stage "build"; there is at run`},
		"two":            {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","input":{}} {}`, "something follows"},
		"variable":       {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","input":{"proc":{"nmae":"sh"}}}`, `undefined field "nmae" of proc; did you mean "name"?`},
		"case":           {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","input":{"proc":{"Name":"sh"}}}`, `undefined field "Name" of proc`},
		"type":           {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","input":{"proc":{"uid":"0"}}}`, `proc.uid: want a whole number, got "0"`},
		"fraction":       {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","input":{"proc":{"uid":0.5}}}`, `proc.uid: want a whole number, got 0.5`},
		"too large":      {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","input":{"proc":{"uid":9223372036854775808}}}`, `proc.uid: want a whole number`},
		"no number":      {`{"now":"2026-01-01T00:00:00Z","stage":"build","subject":"iac.resource","input":{"attr":{"n":1e999}}}`, "number 1e999 is too large"},
		"severity":       {`{"now":"2026-01-01T00:00:00Z","stage":"build","subject":"secret","input":{"s":{"severity":4}}}`, "s.severity: want a severity, got 4"},
		"unknown":        {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","input":{},"unknown":["proc.nmae"]}`, `a process has no variable "proc.nmae"; did you mean "proc.name"?`},
		"many unknown":   {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","input":{},"unknown":["proc"` + strings.Repeat(`,"proc"`, 1000) + `]}`, "1001 variables are not known, limit 1000"},
		"deep":           {`{"now":"2026-01-01T00:00:00Z","stage":"build","subject":"iac.resource","input":{"attr":{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}}`, "more than 100 levels"},
		"deeper":         {`{"now":"2026-01-01T00:00:00Z","stage":"build","subject":"iac.resource","input":{"attr":{"a":` + strings.Repeat("[", 20_000), "exceeded max depth"},
		"a long value":   {`{"now":"2026-01-01T00:00:00Z","stage":"run","subject":"process","input":{"proc":"` + strings.Repeat("é", 1000) + `"}}`, "proc: want a mapping, got \"" + strings.Repeat("é", 59) + "…"},
		"too many bytes": {strings.Repeat(" ", policy.MaxInput+1), "limit 4194304"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.ParseInput([]byte(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %s", err, tc.want)
			}
			if large := name == "too many bytes" || name == "deep" || name == "many unknown"; errors.Is(err, bulwark.ErrTooLarge) != large {
				t.Errorf("too large: %v", err)
			}
		})
	}
}

// FuzzInput checks that whatever is read can be decided about, and is read again as
// it was.
func FuzzInput(f *testing.F) {
	set, err := policy.Load([]policy.Source{{Name: "p.yaml", Data: []byte(explained)}})
	if err != nil {
		f.Fatal(err)
	}
	for _, k := range subject.Kinds() {
		b, err := json.Marshal(policy.Input{Stage: k.Stages[0], Kind: k.Name, Subject: k.New(), Now: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"stage":"run","subject":"connection","input":{"src":{"app":"api","labels":{"a":"b"}},"dst":{"app":"db"},"conn":{"port":5432}},"unknown":["dst.dns"],"now":"2026-11-21T00:00:00Z"}`))
	f.Add([]byte(`{"stage":"admit","subject":"k8s.object","input":{"object":{"kind":"Pod","spec":{"containers":[{"n":1e3}]}}},"now":"2026-11-21T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := policy.ParseInput(data)
		if err != nil {
			return
		}
		if _, err := set.At(in.Stage, subject.AssetIn(in.Subject)).Decide(in.Kind, in.Subject, in.Unknown, in.Now); err != nil {
			t.Fatalf("decide about %q: %v", data, err)
		}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := policy.ParseInput(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if b2, err := json.Marshal(again); err != nil || string(b2) != string(b) {
			t.Fatalf("%s became %s: %v", b, b2, err)
		}
	})
}
