// SPDX-License-Identifier: Apache-2.0

package html

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// The most that one row shows of its kind. The JSON has all of it.
const (
	maxName     = 160  // columns of a name or path
	maxText     = 1500 // columns of a description
	maxEvidence = 20
	maxLinks    = 8
	maxShow     = 1000 // findings that an action's button shows
	maxGaps     = 5000
	maxControls = 12 // of one reason
	maxRefused  = 50
	actions     = 3
)

type caveat struct{ Text, Next string }

type reason struct {
	Rule, Detail, Effect, Tone, Held, Remedy string
	Controls                                 []string
}

func reasonOf(x *bulwark.Reason) reason {
	r := reason{Rule: cut(x.Rule, maxName), Detail: cut(x.Detail, maxText), Effect: x.Effect.String(), Held: cut(view.Aside(x), maxText), Remedy: cut(x.Remedy, maxText)}
	switch {
	case x.Effect.Refuses():
		r.Tone = "fail"
	case x.Effect >= bulwark.EffectAlert:
		r.Tone = "warn"
	}
	for _, c := range x.Controls[:min(len(x.Controls), maxControls)] {
		r.Controls = append(r.Controls, cut(c, 60))
	}
	if n := len(x.Controls) - maxControls; n > 0 {
		r.Controls = append(r.Controls, text.Count(n)+" more")
	}
	return r
}

type cell struct {
	Count                  int
	Class, Key, Say, Words string
}

type line struct {
	Class, Name string
	Cells       []cell
}

type share struct{ N, X, W int }

type action struct{ Title, Command, Words, Show string }

type summary struct {
	Name, Version, When, Tone, Verdict, VerdictMark, VerdictWords string
	Nothing, BarWords, Excepted, Why                              string
	Refused                                                       []string
	Identity, Effort                                              []string
	Loud                                                          []caveat
	Reasons, Errors                                               []reason
	Total, AllActions                                             int
	Stacked                                                       bool // there are more reasons than fit beside the counts
	MoreActions                                                   bool
	Severities                                                    []severity
	Bar                                                           []share
	Lines                                                         []line
	Actions                                                       []action
}

func (p *writer) summary() summary {
	v := p.v
	s := summary{
		Name: cut(v.ArtifactName(), maxName), Version: cut(v.Tool.Version, 60), When: view.Minute(v.Created),
		Verdict: v.Verdict(), VerdictWords: v.VerdictWords(), Identity: cleanAll(v.Identity()), Effort: cleanAll(v.Effort()),
		Severities: severities(), AllActions: len(v.Actions),
	}
	switch v.Decision.Verdict {
	case bulwark.Pass:
		s.Tone, s.VerdictMark = "pass", "✓"
	case bulwark.Fail:
		s.Tone, s.VerdictMark = "fail", "✕"
	case bulwark.Warn:
		s.Tone, s.VerdictMark = "warn", "!"
	default:
		s.Tone, s.VerdictMark = "open", "?"
	}
	for _, c := range v.Caveats() {
		if c.Loud {
			s.Loud = append(s.Loud, caveat{clean(c.Text), c.Next})
		}
	}
	for _, x := range v.Reasons() {
		s.Reasons = append(s.Reasons, reasonOf(&x))
	}
	for _, x := range v.Decision.Errors {
		s.Errors = append(s.Errors, reasonOf(&x))
	}
	x := v.Excepted()
	s.Excepted, s.Why = cut(x.Words(), maxText), clean(v.Why())
	for i, r := range v.Refused() {
		if i < maxRefused {
			s.Refused = append(s.Refused, cut(r.Words(), maxText))
		}
	}
	s.Stacked = len(s.Reasons)+len(s.Errors)+len(s.Refused) > 3
	var all view.Tally
	lines := v.Lines()
	for _, l := range lines {
		row := line{Class: clean(string(l.Class)), Name: clean(l.Name)}
		for _, sev := range bulwark.Severities() {
			n := l.Open[sev]
			all[sev] += n
			row.Cells = append(row.Cells, cell{n, row.Class, strconv.Itoa(int(sev)), fmt.Sprintf("show %s %s %s", text.Count(n), sev, row.Name), text.Count(n)})
		}
		row.Cells = append(row.Cells, cell{l.Fixable, row.Class, "fix", fmt.Sprintf("show %s %s with a fix", text.Count(l.Fixable), row.Name), text.Count(l.Fixable)})
		s.Lines = append(s.Lines, row)
	}
	if lines[0].Open.Total() == 0 {
		s.Nothing = clean(v.Nothing())
	}
	s.Total = all.Total()
	s.BarWords = "Open findings: " + all.Words()
	s.Bar = bar(all)
	for _, a := range v.Removals(actions) {
		s.Actions = append(s.Actions, action{cut(a.Title, maxName), cut(a.Command, 1000), a.Words(), show(a.Findings)})
	}
	s.MoreActions = len(s.Actions) < s.AllActions
	return s
}

// bar gives the shares of the severities in thousandths; each that occurs is
// wide enough to be seen.
func bar(all view.Tally) []share {
	const width, least = 1000, 6
	total := all.Total()
	var list []share
	x := 0
	for _, s := range bulwark.Severities() {
		if n := all[s]; n > 0 {
			w := max(least, int(int64(n)*width/int64(total)))
			list = append(list, share{N: int(s), X: x, W: w})
			x += w
		}
	}
	if n := len(list); n > 0 { // rounding goes to the widest, and what follows moves
		widest := 0
		for i := range list {
			if list[i].W > list[widest].W {
				widest = i
			}
		}
		list[widest].W += width - x
		for i := 1; i < n; i++ {
			list[i].X = list[i-1].X + list[i-1].W
		}
	}
	return list
}

func show(ids []string) string {
	var b strings.Builder
	for i, id := range ids {
		if i == maxShow {
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("f-" + anchor(id))
	}
	return b.String()
}

// anchor makes an id of the report fit for an attribute that is split at spaces.
func anchor(id string) string { return strings.ReplaceAll(cut(id, 80), " ", "_") }

type evidence struct{ Where, Since, Detail string }

type finding struct {
	ID, Class, Rule, Title, In, Version, Fix, Where, Layer, Since string
	Severity                                                      severity
	KEV, Vulnerable                                               bool
	Due, EPSS, EPSSNumber                                         string
	Text, Remedy, Facts, MoreEvidence                             string
	Evidence                                                      []evidence
	Links                                                         []string
	State, StateWords                                             string
}

func (p *writer) finding(f *bulwark.Finding) finding {
	v := p.v
	name, version := v.SubjectName(f)
	place := v.Place(f).Location
	out := finding{
		ID: anchor(f.ID), Class: clean(string(f.Class)), Rule: cut(f.Rule, 120), Title: cut(v.Title(f), maxName), In: cut(name, maxName), Version: cut(version, 60),
		Fix: cut(f.Fix, 120), Layer: clean(v.Layer(place)), Severity: severityOf(f.Severity), EPSSNumber: "0",
		State: clean(view.StateName(f.Status.State)), StateWords: cut(view.StatusWords(f.Status), maxText),
	}
	out.Since = cut(v.Since(place), maxName)
	place.Layer = ""
	out.Where = cut(v.Where(place), maxName)
	out.Vulnerable = f.Class == bulwark.ClassVulnerability
	if f.Subject != "" && f.Subject == place.Path {
		out.In = cut(path.Base(f.Subject), maxName) // the whole stands under Where
	}
	for i, e := range f.Evidence {
		if i == maxEvidence {
			out.MoreEvidence = "and " + text.Plural(len(f.Evidence)-i, "other place", "other places")
			break
		}
		out.Evidence = append(out.Evidence, evidence{cut(v.Where(e.Location), maxName), cut(v.Since(e.Location), maxName), cut(e.Detail, maxText)})
	}
	var refs []string
	if f.Class == bulwark.ClassVulnerability {
		a := v.Advisory(f)
		refs = a.References
		out.Text = text.Cut(text.Block(text.Cut(a.Details, 2*maxText, "…")), maxText, "…")
		out.KEV, out.Due = a.Exploited, view.Day(a.Due)
		if a.EPSS > 0 && a.EPSS <= 1 {
			out.EPSS = percent(a.EPSS)
			out.EPSSNumber = strconv.FormatFloat(a.EPSS, 'f', 6, 64)
		}
		out.Facts = facts(a)
	} else if rule, ok := v.Rules[f.Rule]; ok {
		refs = rule.References
		out.Text, out.Remedy = text.Block(text.Cut(rule.Description, maxText, "…")), text.Block(text.Cut(rule.Remedy, maxText, "…"))
		out.Facts = cut(strings.Join(rule.Controls, ", "), maxName)
	}
	for _, u := range refs {
		if u = text.HTTPS(u); u != "" && len(out.Links) < maxLinks {
			out.Links = append(out.Links, u)
		}
	}
	return out
}

func percent(p float64) string {
	switch {
	case p < 0.0001:
		return "<0.01%"
	case p < 0.01:
		return strconv.FormatFloat(100*p, 'f', 2, 64) + "%"
	}
	return strconv.FormatFloat(100*p, 'f', 0, 64) + "%"
}

// facts gives the small print of an advisory on one line.
func facts(a bulwark.Advisory) string {
	var parts []string
	add := func(word, s string) {
		if s != "" {
			parts = append(parts, strings.TrimSpace(word+" "+cut(s, maxName)))
		}
	}
	add("also known as", strings.Join(a.Aliases, ", "))
	add("severity by", a.SeverityBy)
	if a.Score > 0 && a.Score <= 10 {
		add("score", strconv.FormatFloat(a.Score, 'f', 1, 64))
	}
	add("", a.CVSS)
	add("", strings.Join(a.CWEs, ", "))
	add("published", view.Day(a.Published))
	add("changed", view.Day(a.Modified))
	add("feed", a.Feed)
	return strings.Join(parts, " · ")
}

type gap struct {
	Kind, Where, Detail string
	Hides               bool
}

type coverage struct {
	Hiding  int
	Any     bool
	Caveats []caveat
	Gaps    []gap
}

func (p *writer) coverage() coverage {
	c := coverage{Hiding: p.v.Hiding()}
	for _, x := range p.v.Caveats() {
		c.Any = true
		c.Caveats = append(c.Caveats, caveat{clean(x.Text), x.Next})
	}
	gaps := p.v.Gaps()
	for i, g := range gaps {
		c.Any = true
		if i == maxGaps {
			c.Caveats = append(c.Caveats, caveat{text.Plural(len(gaps)-i, "more gap is", "more gaps are") + " in the JSON only.", ""})
			break
		}
		c.Gaps = append(c.Gaps, gap{cut(g.Kind, 40), cut(p.v.GapWhere(g), maxName), cut(g.Detail, maxText), g.Hides})
	}
	return c
}

type pkg struct{ Name, Version, Ecosystem, Licenses, Owner, Where, Since string }

func (p *writer) pkg(x *bulwark.Package) pkg {
	out := pkg{
		Name: cut(x.Name, maxName), Version: cut(x.Version, 60), Ecosystem: cut(x.Ecosystem, 60),
		Licenses: cut(strings.Join(x.Licenses, ", "), maxName), Owner: cut(x.Owner, maxName),
	}
	if len(x.Where) > 0 {
		out.Where, out.Since = cut(p.v.Where(x.Where[0]), maxName), cut(p.v.Since(x.Where[0]), maxName)
		if n := len(x.Where) - 1; n > 0 {
			out.Where += " and " + text.Plural(n, "other place", "other places")
		}
	}
	return out
}

type layer struct {
	N            int
	By, Size, ID string
}

func (p *writer) layers() []layer {
	var list []layer
	for i, l := range p.v.Inventory.Layers {
		size := ""
		if l.Size > 0 {
			size = text.Bytes(l.Size)
		}
		list = append(list, layer{i + 1, cut(l.CreatedBy, maxName), size, clean(l.DiffID.Short())})
	}
	return list
}

type feed struct{ Name, Records, To string }

type foot struct {
	Database, DatabaseID, ID, Policy, Again string
	Decision, Why                           string
	Feeds                                   []feed
	Twice                                   []caveat
	Severities                              []severity
}

func (p *writer) foot() foot {
	v := p.v
	f := foot{
		Database: clean(v.DatabaseWords()), DatabaseID: clean(string(v.Database.ID)), ID: clean(string(v.Artifact.ID)), Policy: clean(string(v.Decision.Policy)),
		Decision: clean(v.Decision.ID), Why: clean(v.Why()),
		Again: clean(v.Reproduce()), Severities: severities(),
	}
	for _, x := range v.Database.Feeds {
		f.Feeds = append(f.Feeds, feed{cut(x.Name, 80), text.Plural(x.Records, "record", "records"), view.Day(x.Modified)})
	}
	for _, c := range v.Caveats() {
		if c.All {
			f.Twice = append(f.Twice, caveat{clean(c.Text), c.Next})
		}
	}
	return f
}
