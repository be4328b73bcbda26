// SPDX-License-Identifier: Apache-2.0

package junit_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/junit"
)

func load(t testing.TB, name string) *bulwark.Report {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	r := new(bulwark.Report)
	if err := json.Unmarshal(b, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t testing.TB, r *bulwark.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := (junit.Format{}).Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The document as readers see it.
type document struct {
	Suites []struct {
		Name  string `xml:"name,attr"`
		Cases []struct {
			Name    string  `xml:"name,attr"`
			Class   string  `xml:"classname,attr"`
			Failure *result `xml:"failure"`
			Error   *result `xml:"error"`
			Skipped *result `xml:"skipped"`
			Out     string  `xml:"system-out"`
		} `xml:"testcase"`
		Out string `xml:"system-out"`
	} `xml:"testsuite"`
}

type result struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func read(t testing.TB, b []byte) document {
	t.Helper()
	var doc document
	if err := xml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// elements says for each element which attributes it may have ("!" if it must)
// and which elements it may hold, by junit-10.xsd of Jenkins' xUnit plugin.
var elements = map[string]struct{ attributes, children string }{
	"":           {"", "testsuites"},
	"testsuites": {"name time tests failures errors", "testsuite"},
	"testsuite":  {"name! tests! failures! errors! group time skipped timestamp hostname id package file log url", "testsuite properties testcase system-out system-err"},
	"properties": {"", "property"},
	"property":   {"name! value!", ""},
	"testcase":   {"name! time classname group", "skipped error failure rerunFailure rerunError flakyFailure flakyError system-out system-err"},
	"failure":    {"type message", ""},
	"error":      {"type message", ""},
	"skipped":    {"type message", ""},
	"system-out": {"", ""},
	"system-err": {"", ""},
}

// check says what is wrong with a document; "" when nothing is.
func check(b []byte) string {
	stack := []string{""}
	counts := map[string]int{} // of the innermost suite, and of all
	claims := map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil {
			return err.Error()
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			name := tok.Name.Local
			if !slices.Contains(strings.Fields(elements[stack[len(stack)-1]].children), name) {
				return fmt.Sprintf("%s in %s", name, stack[len(stack)-1])
			}
			have := map[string]string{}
			for _, a := range tok.Attr {
				have[a.Name.Local] = a.Value
			}
			for _, a := range strings.Fields(elements[name].attributes) {
				bare := strings.TrimSuffix(a, "!")
				if _, ok := have[bare]; !ok && bare != a {
					return fmt.Sprintf("%s has no %s", name, bare)
				}
				delete(have, bare)
			}
			if len(have) > 0 {
				return fmt.Sprintf("%s has %v", name, have)
			}
			if name == "testsuite" {
				clear(counts)
				for _, a := range tok.Attr {
					if n, err := strconv.Atoi(a.Value); err == nil && a.Name.Local != "name" {
						claims[a.Name.Local] = n
					}
				}
			}
			counts[name]++
			stack = append(stack, name)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			if tok.Name.Local == "testsuite" {
				got := map[string]int{"tests": counts["testcase"], "failures": counts["failure"], "errors": counts["error"], "skipped": counts["skipped"]}
				if d := cmp.Diff(got, claims); d != "" {
					return "the suite counts wrongly: " + d
				}
			}
		}
	}
}

func TestStructure(t *testing.T) {
	for _, name := range []string{"report", "clean", "empty"} {
		if s := check(write(t, load(t, name))); s != "" {
			t.Errorf("%s: %s", name, s)
		}
	}
	for _, bad := range []string{
		`<testsuite/>`, `<testsuites><testcase/></testsuites>`, `<testsuites><testsuite name="a" tests="0" failures="0"/></testsuites>`,
		`<testsuites><testsuite name="a" tests="2" failures="0" errors="0" skipped="0"><testcase name="x"/></testsuite></testsuites>`,
	} {
		if check([]byte(bad)) == "" {
			t.Errorf("%s passes, so the check says nothing", bad)
		}
	}
}

// TestFailures: what the gate counted fails, nothing else does.
func TestFailures(t *testing.T) {
	r := load(t, "report")
	want := map[string]string{}
	for _, f := range r.Findings {
		switch {
		case !f.Status.Open():
			want[f.ID] = "skipped"
		case slices.ContainsFunc(r.Decision.Reasons, func(x bulwark.Reason) bool { return x.Effect.Refuses() && slices.Contains(x.Findings, f.ID) }):
			want[f.ID] = "failed"
		default:
			want[f.ID] = "passed"
		}
	}
	if d := cmp.Diff(want, states(t, r)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// states gives what became of each finding.
func states(t *testing.T, r *bulwark.Report) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, s := range read(t, write(t, r)).Suites {
		for _, c := range s.Cases {
			state, words := "passed", c.Out
			switch {
			case c.Failure != nil:
				state, words = "failed", c.Failure.Text
			case c.Skipped != nil:
				state, words = "skipped", c.Skipped.Text
			}
			if _, id, ok := strings.Cut(words, "\nid: "); ok {
				got[strings.TrimSpace(id)] = state
			}
		}
	}
	return got
}

// TestManyFailures: a reason lists a hundred findings only; the others fail, too.
func TestManyFailures(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rule    string
		unfixed int // findings without a fix
		count   int // what the gate counted
		want    int
	}{
		{"all", "fail-on/high", 50, 300, 300},
		{"fixed-only", "fail-on/high", 50, 250, 250},
		{"unknown", "fail-on/unknown", 0, 120, 120},
		{"other-rule", "database/stale", 0, 300, 1},
		{"odd-rule", "fail-on/terrible", 0, 300, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &bulwark.Report{Decision: bulwark.Decision{Verdict: bulwark.Fail}}
			add := func(n int, s bulwark.Severity, fix string) {
				for range n {
					id := strconv.Itoa(len(r.Findings))
					r.Findings = append(r.Findings, bulwark.Finding{ID: id, Class: bulwark.ClassVulnerability, Rule: "CVE-" + id, Severity: s, Fix: fix})
				}
			}
			add(300-tt.unfixed, bulwark.SeverityHigh, "2")
			add(tt.unfixed, bulwark.SeverityCritical, "")
			add(120, bulwark.SeverityUnknown, "")
			add(10, bulwark.SeverityLow, "2")
			r.Decision.Reasons = []bulwark.Reason{{Rule: tt.rule, Findings: []string{"0"}, Count: tt.count}}
			failed := 0
			for _, s := range states(t, r) {
				if s == "failed" {
					failed++
				}
			}
			if tt.name == "unknown" {
				tt.want++ // the one that the reason lists
			}
			if failed != tt.want {
				t.Errorf("%d failed, want %d", failed, tt.want)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	for verdict, want := range map[bulwark.Verdict]int{bulwark.Pass: 0, bulwark.Undecided: 1, bulwark.Fail: 1, "odd": 1} {
		failed := 0
		for _, c := range read(t, write(t, &bulwark.Report{Decision: bulwark.Decision{Verdict: verdict}})).Suites[0].Cases {
			if c.Failure != nil {
				failed++
			}
		}
		if failed != want {
			t.Errorf("%q: %d tests of the gate failed, want %d", verdict, failed, want)
		}
	}
}

func FuzzWrite(f *testing.F) {
	f.Add("]]>\x00\x1b\u202e\ufffe\xff<&\"")
	f.Fuzz(func(t *testing.T, s string) {
		r := &bulwark.Report{
			Artifact: bulwark.Artifact{Name: s}, Decision: bulwark.Decision{Verdict: bulwark.Verdict(s), Reasons: []bulwark.Reason{{Rule: s, Detail: s}}, Errors: []bulwark.Reason{{Rule: s, Detail: s}}},
			Advisories: map[string]bulwark.Advisory{s: {Summary: s, CVSS: s}},
			Findings: []bulwark.Finding{
				{ID: s, Class: bulwark.ClassVulnerability, Rule: s, Subject: s, Fix: s, Evidence: []bulwark.Evidence{{Detail: s}}},
				{ID: s, Class: bulwark.Class(s), Rule: s, Status: bulwark.Status{State: s, Reason: s}},
			},
		}
		if why := check(write(t, r)); why != "" {
			t.Error(why)
		}
	})
}
