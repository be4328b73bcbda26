// SPDX-License-Identifier: Apache-2.0

package html

import (
	"bufio"
	"html/template"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// The most that the page of an assessment shows of its kind. The JSON has all
// of it.
const (
	maxAgainst = 20   // findings of one control and artifact
	maxAnswers = 50   // artifacts of one control
	maxGrid    = 40   // artifacts side by side
	maxJudged  = 1000 // artifacts of the page
)

// Assess writes the page of an assessment. It has no script.
func (Format) Assess(w io.Writer, a *view.Assessment) error {
	t, err := page()
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	out.WriteString(before(style+assessmentStyle, ""))
	out.WriteString("<title>" + template.HTMLEscapeString(cut(a.Title, 120)+": "+a.Word()) + "</title>\n</head>\n")
	if err := t.ExecuteTemplate(out, "assessment", assessed(a)); err != nil {
		return err
	}
	return out.Flush()
}

type state struct{ Class, Mark, Word string }

var groupStates = [...]state{
	view.GroupFail:   {"fail", "✕", "fails"},
	view.GroupScan:   {"scan", "!", "not decided"},
	view.GroupPass:   {"pass", "✓", "passes"},
	view.GroupPerson: {"person", "?", "undecided"},
	view.GroupKind:   {"kind", "–", "elsewhere"},
}

var (
	groupShort = [...]string{"fail", "not decided; a better scan would tell", "pass", "for a person to look at", "about other kinds of artifact"}
	groupWhy   = [...]string{"What speaks against it", "What is missing", "What was looked at", "What to look at", "What it is about"}
)

type fact struct {
	Severity                       severity
	Rule, Subject, Where, Fix, Why string
}

type answer struct {
	N            int
	Name, Detail string
	Evidence     []fact
	More         string
}

type control struct {
	ID, Title, Detail, Remedy, Beyond, More string
	State                                   state
	Answers                                 []answer
}

type controlGroup struct {
	Class, Short, Title, Why, Count string
	Controls                        []control
}

type artifact struct {
	N                                           int
	Name, Identity, Dates, ID, Database, Policy string
	Counts                                      [5]string
}

type gridRow struct {
	ID, Title string
	States    []state
}

type assessment struct {
	Name, Title, About, Source, Mapping, When, Tone, Mark, Word, Meaning string
	Many                                                                 bool
	Groups                                                               []controlGroup
	Artifacts                                                            []artifact
	Grid                                                                 []gridRow
}

func assessed(a *view.Assessment) assessment {
	out := assessment{
		Name: cut(a.Framework, maxName), Title: cut(a.Title, maxName), About: cut(a.About, maxText), Source: text.HTTPS(a.Source), Mapping: cut(string(a.Mapping), maxName),
		When: view.Minute(a.Now), Tone: "open", Mark: "?", Word: a.Word(), Meaning: view.Meaning, Many: len(a.Reports) > 1,
	}
	switch a.Verdict {
	case bulwark.Pass:
		out.Tone, out.Mark = "pass", "✓"
	case bulwark.Fail:
		out.Tone, out.Mark = "fail", "✕"
	case bulwark.Warn:
		out.Tone, out.Mark = "warn", "!"
	}
	var views []*view.View
	for n, r := range a.Reports {
		if n == maxJudged {
			break
		}
		v := view.New(r)
		views = append(views, v)
		out.Artifacts = append(out.Artifacts, artifactOf(n, v))
	}
	for g, list := range a.Groups() {
		if g == view.GroupKind && len(list) == 0 {
			continue
		}
		group := controlGroup{groupStates[g].Class, groupShort[g], view.GroupTitles()[g], groupWhy[g], text.Count(len(list)), nil}
		for _, i := range list {
			group.Controls = append(group.Controls, controlOf(a, views, g, i))
		}
		out.Groups = append(out.Groups, group)
	}
	if n := len(views); n > 1 && n <= maxGrid {
		for i := range a.Controls {
			if g := view.GroupOf(&a.Controls[i]); g == view.GroupPerson || g == view.GroupKind {
				continue
			}
			row := gridRow{ID: cut(a.Controls[i].ID, maxName), Title: cut(a.Controls[i].Title, maxName)}
			for _, v := range views {
				row.States = append(row.States, groupStates[view.GroupOf(&v.Controls[i])])
			}
			out.Grid = append(out.Grid, row)
		}
	}
	return out
}

func artifactOf(n int, v *view.View) artifact {
	var counts [5]int
	for i := range v.Controls {
		counts[view.GroupOf(&v.Controls[i])]++
	}
	out := artifact{
		N: n + 1, Name: cut(v.ArtifactName(), maxName), Identity: strings.Join(cleanAll(v.Identity()), " · "), Dates: strings.Join(cleanAll(v.Dates()), " · "),
		ID: cut(string(v.Artifact.ID), maxName), Database: cut(string(v.Report.Database.ID), maxName), Policy: cut(string(v.Decision.Policy), maxName),
	}
	for g, n := range counts {
		out.Counts[g] = text.Count(n)
	}
	return out
}

func controlOf(a *view.Assessment, views []*view.View, g, i int) control {
	c := &a.Controls[i]
	out := control{ID: cut(c.ID, maxName), Title: cut(c.Title, maxText), Detail: cut(c.Detail, maxText), State: groupStates[g]}
	switch g {
	case view.GroupFail:
		out.Remedy = cut(c.Remedy, maxText)
	case view.GroupPass:
		out.Beyond = cut(c.Rationale, maxText)
	case view.GroupPerson, view.GroupKind:
		return out
	}
	more := 0
	for n, v := range views {
		x := &v.Controls[i]
		if view.GroupOf(x) != g {
			continue
		}
		if len(out.Answers) == maxAnswers {
			more++
			continue
		}
		out.Answers = append(out.Answers, answerOf(n, v, x))
	}
	if more > 0 {
		out.More = "and " + text.Plural(more, "other artifact", "other artifacts")
	}
	return out
}

func answerOf(n int, v *view.View, x *bulwark.Control) answer {
	out := answer{N: n + 1, Name: cut(v.ArtifactName(), maxName), Detail: cut(x.Detail, maxText)}
	against, _ := v.Named(x.Findings, maxAgainst)
	excused, all := v.Named(x.Accepted, maxAgainst)
	for _, f := range against {
		out.Evidence = append(out.Evidence, factOf(v, f))
	}
	for _, f := range excused {
		e := factOf(v, f)
		e.Why, e.Fix = cut(view.StatusWords(f.Status), maxText), ""
		if e.Why == "" {
			e.Why = "on nobody's word"
		}
		out.Evidence = append(out.Evidence, e)
	}
	var more []string
	if n := max(x.Count, len(x.Findings)) - len(against); n > 0 {
		more = append(more, text.Plural(n, "more finding", "more findings"))
	}
	if n := all - len(excused); n > 0 {
		more = append(more, text.Count(n)+" more accepted")
	}
	if len(more) > 0 {
		out.More = "and " + strings.Join(more, ", ")
	}
	return out
}

func factOf(v *view.View, f *bulwark.Finding) fact {
	subject, where := v.About(f)
	if subject == v.ArtifactName() {
		subject = ""
	}
	return fact{Severity: severityOf(f.Severity), Rule: cut(f.Rule, 120), Subject: cut(subject, maxName), Where: cut(where, maxName), Fix: cut(f.Fix, maxName)}
}
