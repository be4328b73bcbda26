// SPDX-License-Identifier: Apache-2.0

package table

import (
	"fmt"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// The most that one control shows of its kind, without --all.
const (
	maxAgainst   = 3  // findings of one artifact
	maxArtifacts = 6  // artifacts of one control
	maxHead      = 12 // artifacts in the head
)

// Assess writes how artifacts stand to a framework: what fails first.
func (f Format) Assess(w io.Writer, a *view.Assessment) error {
	p := &assessing{page: f.page(w, &bulwark.Report{}), a: a}
	for _, r := range a.Reports {
		p.views = append(p.views, view.New(r))
	}
	p.head()
	word, st := p.word()
	p.blank()
	p.line(p.ink(st, word), "  ", view.Stand(a.Controls))
	for g, list := range a.Groups() {
		if len(list) == 0 {
			continue
		}
		p.section(view.GroupTitles()[g], text.Plural(len(list), "control", "controls"))
		for _, i := range list {
			p.control(g, i)
		}
	}
	p.blank()
	p.wrap(dim, "", view.Meaning)
	p.wrap(dim, "", "Mapping "+p.safe(a.Mapping.Short())+", source "+p.safe(a.Source))
	return p.w.Flush()
}

type assessing struct {
	*page
	a     *view.Assessment
	views []*view.View
}

// most gives how many of a kind are shown.
func (p *assessing) most(n int) int {
	if p.Limit < 0 {
		return 1 << 30
	}
	return n
}

func (p *assessing) word() (string, style) {
	st := badgeGry
	switch p.a.Verdict {
	case bulwark.Pass:
		st = badgeGrn
	case bulwark.Fail:
		st = badgeRed
	case bulwark.Warn:
		st = badgeYel
	}
	if !p.Color {
		return "[" + p.a.Word() + "]", st
	}
	return " " + p.a.Word() + " ", st
}

func (p *assessing) head() {
	bar := p.ink(blue, p.glyphs.bar) + " "
	width := p.room() - 2
	when := view.Minute(p.a.Now)
	p.blank()
	p.line(bar, p.cell(bold, p.cut(p.safe(p.a.Title), width-len(when)-1), width-len(when)), p.ink(dim, when))
	for _, l := range text.Wrap(p.safe(p.a.About), width) {
		p.line(bar, p.ink(dim, l))
	}
	for n, v := range p.views {
		if n == p.most(maxHead) {
			p.line(bar, p.ink(dim, p.glyphs.more+" "+text.Plural(len(p.views)-n, "more artifact", "more artifacts")))
			break
		}
		name := p.safe(v.ArtifactName())
		if len(p.views) > 1 {
			name = fmt.Sprintf("%d  %s", n+1, name)
			p.line(bar)
		}
		p.line(bar, p.cut(name, width))
		if len(p.views) > 1 {
			p.line(bar, p.cut(p.safe(view.Stand(v.Controls)), width))
		} else {
			for _, l := range p.join(v.Identity(), width) {
				p.line(bar, p.ink(dim, l))
			}
		}
		for _, l := range p.join(v.Dates(), width) {
			p.line(bar, p.ink(dim, l))
		}
	}
}

// stateWidth is the column of the state's word, and the indent of what follows.
const stateWidth = len("undecided") + 2

func (p *assessing) control(group, i int) {
	c := &p.a.Controls[i]
	word, st := controlWord(c.State)
	title := p.safe(c.ID) + "  " + p.safe(c.Title)
	for n, l := range text.Wrap(title, p.room()-stateWidth) {
		if n > 0 {
			word = ""
		}
		p.line(p.cell(st, word, stateWidth), p.ink(bold, l))
	}
	indent := strings.Repeat(" ", stateWidth)
	if len(p.views) == 1 {
		p.wrap(plain, indent, p.safe(c.Detail))
		p.evidence(p.views[0], i, indent)
	} else {
		p.wrap(plain, indent, p.safe(c.Detail))
		p.each(group, i, indent)
	}
	if group == view.GroupFail && c.Remedy != "" {
		p.wrap(plain, indent+p.glyphs.arrow+" ", p.safe(c.Remedy))
	}
	if group == view.GroupPass && c.Rationale != "" {
		p.wrap(dim, indent, "not seen: "+p.safe(c.Rationale))
	}
}

// each shows of each artifact what it says, where that is not what all say.
func (p *assessing) each(group, i int, indent string) {
	if group == view.GroupPerson || group == view.GroupKind {
		return
	}
	shown, all := 0, 0
	for n, v := range p.views {
		x := &v.Controls[i]
		if view.GroupOf(x) != group { // what is better than the worst
			continue
		}
		if all++; shown == p.most(maxArtifacts) {
			continue
		}
		shown++
		p.wrap(plain, indent+fmt.Sprintf("%d ", n+1), p.cut(p.safe(v.ArtifactName()), p.room()/2)+": "+p.safe(x.Detail))
		p.evidence(v, i, indent+"  ")
	}
	if all > shown {
		p.line(indent, p.ink(dim, p.glyphs.more+" "+text.Plural(all-shown, "more artifact", "more artifacts")))
	}
}

// evidence shows what speaks against a control, and what does not because
// somebody answers for it.
func (p *assessing) evidence(v *view.View, i int, indent string) {
	x := &v.Controls[i]
	list, _ := v.Named(x.Findings, p.most(maxAgainst))
	for _, f := range list {
		p.line(indent, p.severity(f.Severity), " ", p.cut(p.about(v, f), p.room()-text.Width(indent)-severityWidth-1))
	}
	if more := max(x.Count, len(x.Findings)) - len(list); more > 0 {
		p.line(indent, p.ink(dim, p.glyphs.more+" "+text.Count(more)+" more"))
	}
	list, n := v.Named(x.Accepted, p.most(maxAgainst))
	for _, f := range list {
		p.wrap(yellow, indent+"accepted ", p.about(v, f)+": "+p.safe(view.StatusWords(f.Status)))
	}
	if n > len(list) {
		p.line(indent, p.ink(dim, p.glyphs.more+" "+text.Count(n-len(list))+" more accepted"))
	}
}

// about names a finding: its rule, what it is about, and where.
func (p *assessing) about(v *view.View, f *bulwark.Finding) string {
	subject, where := v.About(f)
	parts := []string{p.cut(p.safe(f.Rule), p.room()/3)}
	if subject != "" && subject != v.ArtifactName() {
		parts = append(parts, p.safe(subject))
	}
	if where != "" {
		parts = append(parts, p.safe(where))
	}
	return strings.Join(parts, "  ")
}
