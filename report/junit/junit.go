// SPDX-License-Identifier: Apache-2.0

// Package junit writes a report as JUnit XML, the form in which build servers
// show tests. It knows which findings the gate counted: those are failures, the
// other open ones pass, and those that do not count are skipped. It follows what
// the readers of Jenkins, GitLab, Azure and CircleCI share, which is the schema
// of Jenkins' xUnit plugin
// (https://github.com/jenkinsci/xunit-plugin, junit-10.xsd).
package junit

import (
	"bufio"
	"encoding/xml"
	"io"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes one test suite for the gate, one for vulnerabilities and one
// for each other class that has findings. Characters that XML cannot hold, or
// that would act on a terminal, are written as their names, such as \x1b.
type Format struct{}

// Name gives "junit".
func (Format) Name() string { return "junit" }

type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Suites   []suite
}

type suite struct {
	XMLName    xml.Name `xml:"testsuite"`
	Name       string   `xml:"name,attr"`
	Tests      int      `xml:"tests,attr"`
	Failures   int      `xml:"failures,attr"`
	Errors     int      `xml:"errors,attr"`
	Skipped    int      `xml:"skipped,attr"`
	Timestamp  string   `xml:"timestamp,attr,omitempty"`
	Properties *properties
	Cases      []testCase
	Out        *output `xml:"system-out"`
}

type properties struct {
	XMLName xml.Name   `xml:"properties"`
	List    []property `xml:"property"`
}

type property struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type testCase struct {
	XMLName xml.Name `xml:"testcase"`
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Time    string   `xml:"time,attr"` // tests take time; some readers insist on it
	Failure *result  `xml:"failure"`
	Error   *result  `xml:"error"`
	Skipped *result  `xml:"skipped"`
	Out     *output  `xml:"system-out"`
}

type result struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",cdata"`
}

// output is text in the lines that it has.
type output struct {
	Text string `xml:",cdata"`
}

// Write writes the document.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	v := view.New(r)
	all := suites{Name: "bulwark " + text.Clean(v.ArtifactName())}
	all.Suites = append(all.Suites, gate(v))
	counted := counted(r)
	for _, c := range view.Classes(r) {
		all.Suites = append(all.Suites, class(v, c, counted))
	}
	stamp := ""
	if t := r.Created.UTC(); t.Year() > 1 && t.Year() <= 9999 {
		stamp = t.Format("2006-01-02T15:04:05")
	}
	for i := range all.Suites {
		s := &all.Suites[i]
		s.Timestamp = stamp
		s.Tests = len(s.Cases)
		for _, c := range s.Cases {
			switch {
			case c.Failure != nil:
				s.Failures++
			case c.Error != nil:
				s.Errors++
			case c.Skipped != nil:
				s.Skipped++
			}
		}
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
	}
	out := bufio.NewWriterSize(w, 64<<10)
	out.WriteString(xml.Header)
	e := xml.NewEncoder(out)
	e.Indent("", "  ")
	if err := e.Encode(&all); err != nil {
		return err
	}
	out.WriteByte('\n')
	return out.Flush()
}

// gate gives the reasons of the decision as tests: those that rest on findings
// are shown beside their findings, too.
func gate(v *view.View) suite {
	d := &v.Decision
	s := suite{Name: "gate", Properties: &properties{}}
	for _, p := range []property{
		{"artifact", string(v.Artifact.ID)}, {"platform", v.Artifact.Platform},
		{"tool", strings.TrimSpace(v.Tool.Name + " " + v.Tool.Version)}, {"database", v.DatabaseWords()},
	} {
		if p.Value != "" {
			s.Properties.List = append(s.Properties.List, property{p.Name, text.Clean(p.Value)})
		}
	}
	const group = "bulwark.gate"
	list := v.Reasons()
	for _, x := range list {
		c := testCase{Name: text.Clean(x.Rule), Class: group, Time: "0"}
		if d.Verdict == bulwark.Pass || x.Effect != bulwark.EffectNone && !x.Effect.Refuses() {
			c.Out = &output{told(&x)}
		} else {
			c.Failure = &result{Message: text.Clean(x.Detail), Type: text.Clean(x.Rule), Text: told(&x)}
		}
		s.Cases = append(s.Cases, c)
	}
	if x := v.Excepted(); x.Count > 0 {
		words := text.Clean(x.Words())
		s.Cases = append(s.Cases, testCase{Name: "excepted", Class: group, Time: "0", Skipped: &result{Message: words, Type: "excepted", Text: words}})
	}
	for _, x := range d.Errors {
		s.Cases = append(s.Cases, testCase{Name: text.Clean(x.Rule), Class: group, Time: "0",
			Error: &result{Message: text.Clean(x.Detail), Type: "not evaluated", Text: text.Clean(x.Detail)}})
	}
	if len(list) == 0 {
		c := testCase{Name: "verdict", Class: group, Time: "0"}
		if d.Verdict == bulwark.Pass {
			c.Out = &output{v.VerdictWords()}
		} else {
			c.Failure = &result{Message: v.Verdict(), Type: "verdict", Text: v.VerdictWords()}
		}
		s.Cases = append(s.Cases, c)
	}
	words := v.Verdict()
	if why := v.Why(); why != "" {
		words += "\nwhy: " + text.Clean(why)
	}
	for _, x := range v.Refused() {
		words += "\ndoes not count: " + text.Clean(x.Words())
	}
	for _, c := range v.Caveats() {
		if c.Loud {
			words += "\n" + text.Clean(c.Text)
		}
	}
	s.Out = &output{words}
	return s
}

// told gives one rule's part in a decision in lines.
func told(x *bulwark.Reason) string {
	s := text.Clean(x.Detail)
	for _, l := range []struct{ name, value string }{
		{"effect", x.Effect.String()}, {"held", view.Aside(x)}, {"remedy", x.Remedy}, {"controls", strings.Join(x.Controls, ", ")},
	} {
		if value := text.Clean(l.value); value != "" {
			s += "\n" + l.name + ": " + value
		}
	}
	return s
}

// class gives the findings of one class.
func class(v *view.View, c bulwark.Class, counted map[string]bool) suite {
	s := suite{Name: text.Clean(view.ClassName(c))}
	group := "bulwark." + strings.ReplaceAll(text.Clean(string(c)), ".", "_")
	for i := range v.Findings {
		f := &v.Findings[i]
		if f.Class != c {
			continue
		}
		name, version := v.SubjectName(f)
		what := strings.TrimSpace(name + " " + version)
		tc := testCase{Name: text.Clean(f.Rule + " in " + what), Class: group + "." + strings.ReplaceAll(text.Clean(name), ".", "_"), Time: "0"}
		words := describe(v, f)
		message := f.Severity.String()
		if f.Fix != "" {
			message += ", fix: " + text.Clean(f.Fix)
		}
		if title := text.Clean(v.Title(f)); title != "" {
			message += ", " + title
		}
		switch {
		case !f.Status.Open():
			m := view.StateName(f.Status.State)
			if why := view.StatusWords(f.Status); why != "" {
				m += ": " + why
			}
			tc.Skipped = &result{Message: text.Clean(m), Type: text.Clean(f.Status.State), Text: words}
		case counted[f.ID]:
			tc.Failure = &result{Message: message, Type: f.Severity.String(), Text: words}
		default:
			tc.Out = &output{words}
		}
		s.Cases = append(s.Cases, tc)
	}
	if len(s.Cases) == 0 {
		// A suite without tests counts as broken in some readers.
		s.Cases = append(s.Cases, testCase{Name: "none", Class: group, Time: "0", Out: &output{text.Clean(v.Nothing())}})
	}
	return s
}

// describe gives all that is known of a finding in lines.
func describe(v *view.View, f *bulwark.Finding) string {
	var b strings.Builder
	line := func(name, value string) {
		if value = text.Clean(value); value != "" {
			b.WriteString("\n" + name + ": " + value)
		}
	}
	line("severity", f.Severity.String())
	line("rule", f.Rule)
	line("title", v.Title(f))
	line("subject", f.Subject)
	line("fix", f.Fix)
	line("brought by", f.Origin)
	for i, e := range f.Evidence {
		if i == maxPlaces {
			line("places", "and "+text.Count(len(f.Evidence)-maxPlaces)+" more")
			break
		}
		line("place", v.Where(e.Location))
		line("seen", e.Detail)
	}
	a := v.Advisory(f)
	if a.Exploited {
		line("known exploited", "yes")
	}
	if a.EPSS > 0 && a.EPSS <= 1 {
		line("EPSS", strconv.FormatFloat(a.EPSS, 'f', -1, 64))
	}
	line("CVSS", a.CVSS)
	line("remedy", v.Rules[f.Rule].Remedy)
	line("id", f.ID)
	return b.String() + "\n"
}

// maxPlaces bounds the places shown of one finding.
const maxPlaces = 20

// counted gives the ids of the findings that the gate failed on. A reason lists
// at most a hundred and says how many there are; the others follow from its
// rule's name.
func counted(r *bulwark.Report) map[string]bool {
	ids := map[string]bool{}
	if r.Decision.Verdict != bulwark.Fail {
		return ids
	}
	for _, x := range r.Decision.Reasons {
		if x.Effect != bulwark.EffectNone && !x.Effect.Refuses() {
			continue
		}
		for _, id := range x.Findings {
			ids[id] = true
		}
		level, ok := strings.CutPrefix(x.Rule, "fail-on/")
		if !ok || x.Count <= len(x.Findings) {
			continue
		}
		least, err := bulwark.ParseSeverity(level)
		if err != nil && level != "unknown" {
			continue
		}
		// The gate may leave out what has no fix. What adds up is what it did.
		for _, unfixed := range []bool{true, false} {
			if list := over(r, least, unfixed); len(list) == x.Count || !unfixed {
				for _, id := range list {
					ids[id] = true
				}
				break
			}
		}
	}
	return ids
}

// over gives the open findings of a severity or worse; of unknown severity when
// least is unknown.
func over(r *bulwark.Report, least bulwark.Severity, unfixed bool) []string {
	var list []string
	for i := range r.Findings {
		f := &r.Findings[i]
		fits := f.Severity >= least
		if least <= bulwark.SeverityUnknown {
			fits = f.Severity <= bulwark.SeverityUnknown
		}
		if fits && f.Status.Open() && (unfixed || f.Fix != "" || f.Class != bulwark.ClassVulnerability) {
			list = append(list, f.ID)
		}
	}
	return list
}
