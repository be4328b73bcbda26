// SPDX-License-Identifier: Apache-2.0

package jsonreport_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/jsonreport"
)

var fixtures = []string{"report", "clean", "empty"}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			in := read(t, name)
			r, err := jsonreport.Parse(bytes.NewReader(in))
			if err != nil {
				t.Fatal(err)
			}
			var want bulwark.Report
			if err := json.Unmarshal(in, &want); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&want, r); d != "" {
				t.Errorf("parsed differs from unmarshalled (-want +got):\n%s", d)
			}
			var out bytes.Buffer
			if err := (jsonreport.Format{}).Write(&out, r); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(in), out.String()); d != "" {
				t.Errorf("written differs from read (-want +got):\n%s", d)
			}
		})
	}
}

// TestEveryField fills every field by reflection, so that a field that is added
// to the nouns cannot be left out of the element-by-element writer.
func TestEveryField(t *testing.T) {
	var r bulwark.Report
	fill(reflect.ValueOf(&r).Elem(), 0)
	r.Schema = bulwark.ReportSchema
	want, err := json.MarshalIndent(&r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := (jsonreport.Format{}).Write(&got, &r); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want)+"\n", got.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	back, err := jsonreport.Parse(&got)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]bulwark.Package{r.Inventory.Packages, r.Inventory.Removed} {
		for i := range list {
			list[i].Files = nil // not part of the stored form
		}
	}
	if d := cmp.Diff(&r, back); d != "" {
		t.Errorf("read back (-want +got):\n%s", d)
	}
}

func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), depth+1)
		fill(v.Index(1), depth+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, k := range []string{"b", "a"} {
			e := reflect.New(v.Type().Elem()).Elem()
			fill(e, depth+1)
			v.SetMapIndex(reflect.ValueOf(k), e)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), depth)
		}
	}
}

func TestNothingForATerminal(t *testing.T) {
	r := &bulwark.Report{Schema: bulwark.ReportSchema, Artifact: bulwark.Artifact{
		Name: "\x1b[2J\u009b31m\u202e\u200b\u061c\ufeff\U000e0041 ü 包 \u007f",
	}}
	var out bytes.Buffer
	if err := (jsonreport.Format{}).Write(&out, r); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u009b\u202e\u200b\u061c\ufeff\U000e0041\u007f") {
		t.Errorf("a terminal would act on %q", out.String())
	}
	if !strings.Contains(out.String(), " ü 包 ") {
		t.Error("ordinary letters were escaped")
	}
	back, err := jsonreport.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r.Artifact.Name, back.Artifact.Name); d != "" {
		t.Error(d)
	}
}

func TestParseRefuses(t *testing.T) {
	const head = `{"schema":"bulwark.report/v1"`
	tests := []struct {
		name, in string
		is       error
	}{
		{"nothing", "", io.ErrUnexpectedEOF},
		{"array", "[]", nil},
		{"null", "null", nil},
		{"no-schema", "{}", bulwark.ErrUnsupported},
		{"other-schema", `{"schema":"bulwark.report/v9"}`, bulwark.ErrUnsupported},
		{"cut", head, io.ErrUnexpectedEOF},
		{"cut-list", head + `,"findings":[{`, io.ErrUnexpectedEOF},
		{"wrong-type", head + `,"findings":{}}`, nil},
		{"wrong-severity", head + `,"findings":[{"severity":"dreadful"}]}`, bulwark.ErrUsage},
		{"twice", head + `,"findings":[],"findings":[]}`, nil},
		{"two", head + `}{}`, nil},
		{"deep", head + `,"x":` + strings.Repeat("[", 20000), nil},
		{"values", head + `,"x":[0` + strings.Repeat(",0", 13<<20), bulwark.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := jsonreport.Parse(strings.NewReader(tt.in))
			if err == nil || r != nil {
				t.Fatalf("got %v and error %v", r, err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v, want %v", err, tt.is)
			}
		})
	}
}

func TestParseTruncated(t *testing.T) {
	in := read(t, "clean")
	for n := range len(bytes.TrimSpace(in)) {
		if _, err := jsonreport.Parse(bytes.NewReader(in[:n])); err == nil {
			t.Fatalf("%d of %d bytes are taken for a report", n, len(in))
		}
	}
}

func TestLaterFieldsAreLeftOut(t *testing.T) {
	in := `{"schema":"bulwark.report/v1","new":{"a":[1]},"inventory":{"packages":null,"newer":1},"findings":[{"id":"x","newest":true}]}`
	r, err := jsonreport.Parse(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 1 || r.Findings[0].ID != "x" {
		t.Errorf("findings %v", r.Findings)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(read(f, "empty")) // small seeds, else the engine spends its time on shrinking
	f.Add([]byte(`{"schema":"bulwark.report/v1"}`))
	f.Add([]byte(`{"schema":"bulwark.report/v1","findings":[{"rule":"CVE-1","severity":"high","evidence":[{"path":"a"}]}],"advisories":{"CVE-1":{"score":1}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := jsonreport.Parse(bytes.NewReader(in))
		if err != nil {
			return
		}
		var one, two bytes.Buffer
		if err := (jsonreport.Format{}).Write(&one, r); err != nil {
			t.Fatalf("a report that was read cannot be written: %v", err)
		}
		back, err := jsonreport.Parse(bytes.NewReader(one.Bytes()))
		if err != nil {
			t.Fatalf("a report that was written cannot be read: %v", err)
		}
		if err := (jsonreport.Format{}).Write(&two, back); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Fatal("the second writing differs from the first")
		}
	})
}
