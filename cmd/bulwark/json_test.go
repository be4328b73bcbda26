// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// checkJSON compares what a path leads to, joined by commas:
//
//	json FILE PATH WANT   they are WANT
//	json FILE PATH ~RE    they match RE
//	! json FILE PATH …    they are not, or do not
//
// FILE may be stdout.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH WANT")
	}
	var doc any
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	values, err := lookup(doc, args[1])
	ts.Check(err)
	got := strings.Join(values, ",")
	ok := got == args[2]
	if re, is := strings.CutPrefix(args[2], "~"); is {
		r, err := regexp.Compile(re)
		ts.Check(err)
		ok = r.MatchString(got)
	}
	if ok == neg {
		not := ""
		if neg {
			not = "anything but "
		}
		ts.Fatalf("%s: %s is %q, want %s%q", args[0], args[1], got, not, args[2])
	}
}

// letJSON sets an environment variable to what a path leads to, which must be one
// thing.
func letJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: let NAME FILE PATH")
	}
	var doc any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &doc))
	values, err := lookup(doc, args[2])
	ts.Check(err)
	if len(values) != 1 {
		ts.Fatalf("%s: %s leads to %q, one thing is wanted", args[1], args[2], values)
	}
	ts.Setenv(args[0], values[0])
}

// lookup follows a path from doc and gives what it leads to, as text:
//
//	.name         member
//	[3]           element
//	[]            every element or member
//	[name=text]   every element whose member is text
//	:count        how many there are
//
// What is not there leads to nothing.
func lookup(doc any, path string) ([]string, error) {
	at := []any{doc}
	for path != "" {
		var next []any
		switch path[0] {
		case '.':
			end := strings.IndexAny(path[1:], ".[:") + 1
			if end == 0 {
				end = len(path)
			}
			for _, v := range at {
				if m, ok := v.(map[string]any); ok && m[path[1:end]] != nil {
					next = append(next, m[path[1:end]])
				}
			}
			path = path[end:]
		case '[':
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return nil, fmt.Errorf("path %q: no end of [", path)
			}
			for _, v := range at {
				next = append(next, elements(v, path[1:end])...)
			}
			path = path[end+1:]
		case ':':
			if path != ":count" {
				return nil, fmt.Errorf("path %q: want :count", path)
			}
			return []string{strconv.Itoa(len(at))}, nil
		default:
			return nil, fmt.Errorf("path %q: want . or [", path)
		}
		at = next
	}
	var out []string
	for _, v := range at {
		if s, ok := v.(string); ok {
			out = append(out, s)
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out = append(out, string(b))
	}
	return out, nil
}

func elements(v any, which string) []any {
	var all []any
	switch v := v.(type) {
	case []any:
		all = v
	case map[string]any:
		for _, m := range v {
			all = append(all, m)
		}
	}
	if which == "" {
		return all
	}
	if i, err := strconv.Atoi(which); err == nil {
		if i < len(all) {
			return all[i : i+1]
		}
		return nil
	}
	name, want, _ := strings.Cut(which, "=")
	var out []any
	for _, e := range all {
		if m, ok := e.(map[string]any); ok && fmt.Sprint(m[name]) == want {
			out = append(out, e)
		}
	}
	return out
}

func TestLookup(t *testing.T) {
	var doc any
	if err := json.Unmarshal([]byte(`{"a":[{"k":"x","n":1},{"k":"y","n":2,"in":{"s":["p","q"]}},{"k":"y","n":3}],"b":true}`), &doc); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path string
		want []string
	}{
		{".b", []string{"true"}},
		{".a[].k", []string{"x", "y", "y"}},
		{".a[k=y].n", []string{"2", "3"}},
		{".a[1].in.s[]", []string{"p", "q"}},
		{".a[k=y]:count", []string{"2"}},
		{".a[9].k", nil},
		{".nothing.at.all", nil},
	} {
		got, err := lookup(doc, tc.path)
		if err != nil {
			t.Errorf("lookup(%q): %v", tc.path, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("lookup(%q): %s", tc.path, diff)
		}
	}
}

// findings writes "class rule subject severity fix" for each open finding of a
// report; with a class only those of the class:
//
//	findings FILE OUT [CLASS]
func findings(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: findings FILE OUT [CLASS]")
	}
	var report struct {
		Findings []struct {
			Class, Rule, Severity, Subject, Fix string
			Status                              struct{ State string }
		}
	}
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &report); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	set := map[string]bool{}
	for _, f := range report.Findings {
		if f.Status.State == "" && (len(args) == 2 || args[2] == f.Class) {
			set[strings.Join([]string{f.Class, f.Rule, f.Subject, f.Severity, f.Fix}, " ")] = true
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(sorted(set)), 0o644))
}
