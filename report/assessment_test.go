// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/framework"
	"github.com/bulwark-sec/bulwark/report"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/jsonreport"
	"github.com/bulwark-sec/bulwark/report/table"
)

// assess judges saved reports of the fixtures that the framework package has.
func assess(t testing.TB, names ...string) *report.Assessment {
	t.Helper()
	var reports []*bulwark.Report
	for _, name := range names {
		f, err := os.Open(filepath.Join("..", "policy", "framework", "testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := jsonreport.Parse(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	a, err := framework.Judge("pci-4.0", reports, framework.Options{Now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), StaleAfter: 7 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	// Golden files are about the forms; the mapping's digest changes with its data.
	a.Mapping = bulwark.Digest("sha256:" + strings.Repeat("ab", 32))
	out := report.Assessment(*a)
	return &out
}

func assessors() map[string]report.Assessor {
	m := map[string]report.Assessor{
		"table-60":  table.Format{Width: 60},
		"table-100": table.Format{Width: 100, Unicode: true, Color: true},
		"table-all": table.Format{Width: 200, Unicode: true, Limit: -1},
	}
	for _, f := range report.Assessors() {
		m[f.Name()] = f
	}
	return m
}

func TestAssessments(t *testing.T) {
	for _, names := range [][]string{{"bad"}, {"good"}, {"bad", "good"}} {
		a := assess(t, names...)
		for name, f := range assessors() {
			t.Run(strings.Join(names, "-")+"/"+name, func(t *testing.T) {
				var one, two bytes.Buffer
				if err := f.Assess(&one, a); err != nil {
					t.Fatal(err)
				}
				if err := f.Assess(&two, a); err != nil || one.String() != two.String() {
					t.Errorf("the second writing differs from the first: %v", err)
				}
				if d := cmp.Diff(assess(t, names...), a); d != "" {
					t.Errorf("the assessment was changed (-want +got):\n%s", d)
				}
				golden := filepath.Join("testdata", "golden", "compliance-"+strings.Join(names, "-")+"."+name)
				if *update {
					if err := os.WriteFile(golden, one.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), one.String()); d != "" {
					t.Errorf("%s (-want +got; write with -update):\n%s", golden, d)
				}
			})
		}
	}
}

// TestAssessmentActsNot puts hostile strings where an attacker can, and looks for
// anything that would act on a terminal or in a browser.
func TestAssessmentActsNot(t *testing.T) {
	const hostile = "</td><script>alert(1)</script>\x1b]0;x\x07\u202e\"'`\r\n\x00"
	a := assess(t, "bad", "good")
	for _, r := range a.Reports {
		r.Artifact.Name += hostile
		r.Tool.Version += hostile
		r.Inventory.OS.Name += hostile
		for i := range r.Findings {
			f := &r.Findings[i]
			f.Subject += hostile
			f.Rule += hostile
			f.Fix += hostile
			f.Status.Reason += hostile
			f.Status.Owner += hostile
			for j := range f.Evidence {
				f.Evidence[j].Path += hostile
				f.Evidence[j].Detail += hostile
			}
		}
		for i := range r.Controls {
			r.Controls[i].Detail += hostile
		}
	}
	for i := range a.Controls {
		a.Controls[i].Detail += hostile
	}
	a.Title += hostile
	a.Source = "javascript:alert(1)"
	for name, f := range assessors() {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := f.Assess(&b, a); err != nil {
				t.Fatal(err)
			}
			out := b.String()
			if tf, ok := f.(table.Format); ok && tf.Color {
				out = withoutColor(out)
			}
			if !utf8.ValidString(out) {
				t.Error("not UTF-8")
			}
			for i, c := range out {
				if c != '\n' && !text.Safe(c) && !mark(c) {
					t.Fatalf("%U at %d: %q", c, i, out[max(0, i-60):min(len(out), i+60)])
				}
			}
			if name == "html" && (strings.Contains(out, "<script") || strings.Contains(out, "javascript:")) {
				t.Error("something may run")
			}
			if name == "json" {
				var v map[string]any
				if err := json.Unmarshal(b.Bytes(), &v); err != nil || v["schema"] != jsonreport.AssessmentSchema {
					t.Errorf("%v: %v", v["schema"], err)
				}
			}
		})
	}
}
