// SPDX-License-Identifier: Apache-2.0

package html_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/framework"
	"github.com/bulwark-sec/bulwark/report"
	"github.com/bulwark-sec/bulwark/report/html"
)

// TestAssessmentStructure reads the page of an assessment by a strict grammar.
func TestAssessmentStructure(t *testing.T) {
	for name, n := range map[string]int{"one": 1, "two": 2, "many": 50} {
		t.Run(name, func(t *testing.T) {
			var reports []*bulwark.Report
			for i := range n {
				b, err := os.ReadFile("../../policy/framework/testdata/" + []string{"bad", "good"}[i%2] + ".json")
				if err != nil {
					t.Fatal(err)
				}
				r := new(bulwark.Report)
				if err := json.Unmarshal(b, r); err != nil {
					t.Fatal(err)
				}
				reports = append(reports, r)
			}
			a, err := framework.Judge("nist-800-190", reports, framework.Options{Now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)})
			if err != nil {
				t.Fatal(err)
			}
			shown := report.Assessment(*a)
			var b bytes.Buffer
			if err := (html.Format{}).Assess(&b, &shown); err != nil {
				t.Fatal(err)
			}
			page := b.String()
			ids := map[string]bool{}
			var refs []string
			for _, x := range parse(t, page) {
				if id, ok := x.attrs["id"]; ok {
					if id == "" || ids[id] {
						t.Errorf("<%s>: id %q is empty or taken", x.name, id)
					}
					ids[id] = true
				}
				for k, v := range x.attrs {
					switch {
					case strings.HasPrefix(k, "on") || k == "style" || k == "src":
						t.Errorf("<%s> has %s", x.name, k)
					case k == "href" && !strings.HasPrefix(v, "#") && (x.name != "a" || !strings.HasPrefix(v, "https://") || x.attrs["rel"] != "noreferrer"):
						t.Errorf("<%s href=%q>", x.name, v)
					case k == "aria-labelledby":
						refs = append(refs, v)
					}
				}
				if x.name == "script" || x.name == "th" && x.attrs["scope"] == "" {
					t.Errorf("<%s> %v", x.name, x.attrs)
				}
			}
			for _, id := range refs {
				if !ids[id] {
					t.Errorf("%q is not there", id)
				}
			}
			if !strings.Contains(page, "script-src 'none'") {
				t.Error("the policy lets a script run")
			}
			if strings.Count(page, "<h1") != 1 || strings.Count(page, "<table") != strings.Count(page, "<caption") {
				t.Error("one heading, and a caption for each table")
			}
		})
	}
}
