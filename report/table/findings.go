// SPDX-License-Identifier: Apache-2.0

package table

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// vulnerabilities shows the open ones by package, worst package first.
func (p *page) vulnerabilities() {
	groups := p.v.Groups()
	if len(groups) == 0 {
		return
	}
	total, fixable := 0, 0
	packages := 0
	for _, g := range groups {
		total += g.Total()
		packages += len(g.Names)
		for _, f := range g.Findings {
			if f.Fix != "" {
				fixable += len(g.Names)
			}
		}
	}
	p.section("vulnerabilities", fmt.Sprintf("%s open in %s, %s with a fix", text.Count(total),
		text.Plural(packages, "package", "packages"), text.Count(fixable)))
	cols := p.columns(groups)
	shown, groupsShown := 0, 0
	for _, g := range groups {
		if shown >= p.limit {
			break
		}
		groupsShown++
		p.group(&g)
		rows := g.Findings
		room := p.limit - shown
		// One package with hundreds must not push all others from the screen.
		if cap := max(p.limit/3, 3); p.Limit >= 0 {
			room = min(room, cap)
		}
		for _, f := range rows[:min(len(rows), room)] {
			p.row(cols, f)
			shown++
		}
		if more := len(rows) - room; more > 0 {
			var rest view.Tally
			for _, f := range rows[room:] {
				rest.Add(f.Severity)
			}
			p.line("  ", p.ink(dim, p.glyphs.more+" "+text.Count(more)+" more here: "+rest.Words()))
		}
	}
	left := 0
	packages = 0
	for _, g := range groups[groupsShown:] {
		left += g.Total()
		packages += len(g.Names)
	}
	if left > 0 {
		p.more(left, " in "+text.Plural(packages, "package", "packages"))
	}
	if cols.marks > 0 {
		p.wrap(dim, "", "KEV: known to be exploited (CISA). EPSS: chance of exploitation within 30 days (FIRST).")
	}
}

// more says what a list leaves out, and where all of it is.
func (p *page) more(n int, where string) {
	p.line(p.ink(dim, p.cut(p.glyphs.more+" "+text.Count(n)+" more"+where+": -o json=FILE or -o html=FILE has all", p.room())))
}

func (p *page) group(g *view.Group) {
	name := p.cut(p.safe(g.Name()), p.room()*3/5)
	version := p.cut(p.safe(g.Version), max(8, min(40, p.room()-text.Width(name)-2)))
	used := text.Width(name) + 1 + text.Width(version)
	var where string
	if g.Package != nil && len(g.Package.Where) > 0 {
		where = p.safe(p.v.Where(g.Package.Where[0]))
		if n := len(g.Package.Where) - 1; n > 0 {
			where += " and " + text.Plural(n, "other place", "other places")
		}
	} else {
		where = p.safe(p.v.Where(p.v.Place(g.Findings[0]).Location))
	}
	if left := p.room() - used - 2; left >= 24 {
		where = p.cutLeft(where, left)
		p.line(p.ink(bold, name), " ", version, "  ", p.ink(dim, text.PadLeft(where, left)))
	} else {
		p.line(p.ink(bold, name), " ", version)
		p.line("  ", p.ink(dim, p.cutLeft(where, p.room()-2)))
	}
	if g.Package != nil && len(g.Package.Where) > 0 {
		p.since(g.Package.Where[0], 2)
	}
}

// since says which commit brought what is at a place.
func (p *page) since(l bulwark.Location, indent int) {
	if s := p.safe(p.v.Since(l)); s != "" {
		p.line(strings.Repeat(" ", indent), p.ink(dim, p.cut(s, p.room()-indent)))
	}
}

// columns are the widths of the parts of a row; 0 leaves a part out.
type columns struct{ id, marks, fix, title int }

func (p *page) columns(groups []view.Group) columns {
	var c columns
	seen := 0
	for _, g := range groups {
		for _, f := range g.Findings {
			if seen++; seen > p.limit {
				break
			}
			c.id = max(c.id, text.Width(p.safe(f.Rule)))
			c.marks = max(c.marks, len(p.marks(f)))
			c.fix = max(c.fix, text.Width(p.fix(f)))
		}
	}
	c.id = min(c.id, 19) // GHSA-xxxx-xxxx-xxxx
	c.fix = min(c.fix, 30)
	left := p.room() - 2 - severityWidth - 1 - c.id
	// What to install matters more than how likely it is needed; the words come last.
	if c.marks > 0 && left-2-c.marks < 2+c.fix {
		c.marks = len("KEV")
	}
	if c.marks > 0 {
		left -= 2 + c.marks
	}
	c.fix = max(6, min(c.fix, left-2))
	left -= 2 + c.fix
	if left -= 2; left >= 16 {
		c.title = left
	}
	return c
}

// marks gives what makes a vulnerability urgent, in fixed places: "KEV 97%".
func (p *page) marks(f *bulwark.Finding) string {
	a := p.v.Advisory(f)
	epss := ""
	if a.EPSS >= 0.0005 && a.EPSS <= 1 {
		epss = fmt.Sprintf("%.1f%%", 100*a.EPSS)
		if a.EPSS >= 0.01 {
			epss = fmt.Sprintf("%.0f%%", 100*a.EPSS)
		}
	}
	switch {
	case a.Exploited && epss != "":
		return "KEV EPSS " + epss
	case a.Exploited:
		return "KEV"
	case epss != "":
		return "    EPSS " + epss
	}
	return ""
}

func (p *page) fix(f *bulwark.Finding) string {
	if f.Fix == "" {
		return "no fix"
	}
	return p.glyphs.arrow + " " + p.safe(f.Fix)
}

func (p *page) row(c columns, f *bulwark.Finding) {
	parts := []string{"  ", p.severity(f.Severity), " ", text.Pad(p.cut(p.safe(f.Rule), c.id), c.id)}
	if c.marks > 0 {
		st := dim
		if p.v.Advisory(f).Exploited {
			st = boldRed
		}
		marks := p.marks(f)
		if len(marks) > c.marks {
			marks = strings.TrimSpace(marks[:c.marks]) // the first word, or none
		}
		parts = append(parts, "  ", p.cell(st, marks, c.marks))
	}
	st := green
	if f.Fix == "" {
		st = dim
	}
	parts = append(parts, "  ", p.cell(st, p.cut(p.fix(f), c.fix), c.fix))
	if c.title > 0 {
		parts = append(parts, "  ", p.cut(p.safe(p.v.Title(f)), c.title))
	}
	p.line(parts...)
}

// others shows every class but vulnerabilities.
func (p *page) others() {
	for _, c := range view.Classes(p.v.Report) {
		if c == bulwark.ClassVulnerability {
			continue
		}
		list := p.v.Open(c)
		if len(list) == 0 {
			continue
		}
		p.section(p.safe(view.ClassName(c)), text.Count(len(list))+" open")
		limit := max(p.limit/2, 5)
		for i, f := range list {
			if i == limit && p.Limit >= 0 {
				p.more(len(list)-limit, "")
				break
			}
			p.fault(f)
		}
	}
}

// fault shows one finding that is not a vulnerability, on two lines at most.
func (p *page) fault(f *bulwark.Finding) {
	e := p.v.Place(f)
	title := p.safe(cmp.Or(p.v.Title(f), f.Rule))
	where := p.safe(p.v.Where(e.Location))
	if n := len(f.Evidence) - 1; n > 0 {
		where += " and " + text.Plural(n, "other place", "other places")
	}
	if where == "" {
		name, _ := p.v.SubjectName(f)
		if f.Subject != string(p.v.Artifact.ID) {
			where = p.safe(name)
		}
	}
	width := p.room() - 2 - severityWidth - 1
	left := width - text.Width(title) - 2
	if left >= 24 && where != "" {
		p.line("  ", p.severity(f.Severity), " ", title, "  ", p.ink(dim, text.PadLeft(p.cutLeft(where, left), left)))
	} else {
		p.line("  ", p.severity(f.Severity), " ", p.cut(title, width))
		if where != "" {
			p.line(strings.Repeat(" ", severityWidth+3), p.ink(dim, p.cutLeft(where, width)))
		}
	}
	p.since(e.Location, severityWidth+3)
	detail := p.safe(e.Detail)
	if f.Fix != "" {
		detail = strings.TrimPrefix(detail+"  "+p.glyphs.arrow+" "+p.safe(f.Fix), "  ")
	}
	if detail != "" {
		p.line(strings.Repeat(" ", severityWidth+3), p.ink(dim, p.cut(detail, width)))
	}
}

// closed shows that findings do not count, and on whose word.
func (p *page) closed() {
	list := p.v.Closed()
	if len(list) == 0 {
		return
	}
	p.section("do not count", p.safe(view.States(list)))
	limit := max(p.limit/3, 5)
	if p.Limit < 0 {
		limit = len(list)
	}
	wide := 0
	for _, f := range list[:min(limit, len(list))] {
		name, _ := p.v.SubjectName(f)
		wide = max(wide, text.Width(p.safe(name)))
	}
	for i, f := range list {
		if i == limit {
			p.more(len(list)-limit, "")
			break
		}
		name, _ := p.v.SubjectName(f)
		id := text.Pad(p.cut(p.safe(f.Rule), 19), 19)
		head := fmt.Sprintf("%s  %s  ", text.Pad(p.cut(p.safe(view.StateName(f.Status.State)), 12), 12), id)
		room := p.room() - 2 - text.Width(head)
		w := min(wide, max(12, room/4))
		name = text.Pad(p.cut(p.safe(name), w), w)
		words := p.safe(view.StatusWords(f.Status))
		if left := room - text.Width(name) - 2; words != "" && left >= 16 {
			p.line("  ", head, name, "  ", p.ink(dim, p.cut(words, left)))
			continue
		}
		p.line("  ", head, name)
		if words != "" {
			p.line(strings.Repeat(" ", 16), p.ink(dim, p.cut(words, p.room()-16)))
		}
	}
}

// coverage shows what was not read and not asked.
func (p *page) coverage() {
	gaps := p.v.Gaps()
	var quiet []view.Caveat
	for _, c := range p.v.Caveats() {
		if !c.Loud {
			quiet = append(quiet, c)
		}
	}
	if len(gaps) == 0 && len(quiet) == 0 {
		return
	}
	note := ""
	if n := p.v.Hiding(); n > 0 {
		note = text.Count(n) + " may hide packages"
	}
	p.section("what this answer does not cover", note)
	for _, c := range quiet {
		p.wrap(plain, "  ", p.safe(c.Text))
	}
	limit := max(p.limit/2, 5)
	for i, g := range gaps {
		if i == limit && p.Limit >= 0 {
			p.more(len(gaps)-limit, "")
			break
		}
		kind, st := text.Pad(p.cut(p.safe(g.Kind), 11), 11), plain
		mark := "  "
		if g.Hides {
			mark, st = "! ", yellow
		}
		where := p.safe(p.v.GapWhere(g))
		detail := p.safe(g.Detail)
		room := p.room() - 2 - 2 - 11 - 2
		if w := text.Width(where) + 2 + text.Width(detail); w <= room {
			p.line("  ", p.ink(st, mark+kind), "  ", where, "  ", p.ink(dim, detail))
			continue
		}
		p.line("  ", p.ink(st, mark+kind), "  ", p.cutLeft(where, room))
		if detail != "" {
			p.line(strings.Repeat(" ", 17), p.ink(dim, p.cut(detail, room)))
		}
	}
}
