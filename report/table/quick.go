// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bufio"
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// minRows is the smallest screen that the quick view is made for, in rows: that
// of a terminal window nobody has changed.
const minRows = 24

// quick shows what fits one screen: the answer, how much there is, what to do
// first, the worst findings as far as there is room, what was known, and how to
// see all. The last row is left to the prompt.
func (p *page) quick() {
	rows := max(p.Rows, minRows) - 1
	top := p.lines(func() { p.quickHead(); p.quickVerdict() })
	end := p.lines(p.quickFoot)
	count := p.lines(p.quickCounts)
	todo := p.lines(p.quickActions)
	rest := rows - len(top) - len(end) - len(count) - len(todo)
	worst := p.lines(func() { p.quickWorst(rest - 2) }) // a blank line and the title
	if rest < 4 {
		worst = nil
	}
	for _, part := range [][]string{top, count, todo, worst, end} {
		for _, l := range part {
			p.w.WriteString(l)
			p.w.WriteByte('\n')
		}
	}
}

// lines gives what show writes, in lines.
func (p *page) lines(show func()) []string {
	var b bytes.Buffer
	outer := p.w
	p.w = bufio.NewWriter(&b)
	show()
	p.w.Flush()
	p.w = outer
	if b.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func (p *page) quickHead() {
	bar := p.ink(blue, p.glyphs.bar) + " "
	width := p.room() - 2
	p.line(bar, p.ink(bold, p.cutLeft(p.safe(p.v.ArtifactName()), width)))
	parts := append(p.v.Identity(), text.Plural(len(p.v.Inventory.Packages), "package", "packages"))
	p.line(bar, p.join(parts, width)[0])
}

// quickVerdict says the answer with its first reason, and the loudest warnings,
// in five lines at most.
func (p *page) quickVerdict() {
	d := &p.v.Decision
	list := p.v.Reasons()
	word, badge := p.badge()
	why := p.v.VerdictWords()
	if len(list) > 0 {
		why = p.safe(list[0].Detail)
	}
	more := ""
	if n := len(list) - 1 + len(d.Errors); n > 0 && len(list) > 0 {
		more = "  " + text.Plural(n, "more reason", "more reasons")
	}
	p.line(p.ink(badge, word), "  ", p.cut(why, p.room()-text.Width(word)-2-len(more)), p.ink(dim, more))
	if x := p.v.Excepted(); x.Count > 0 || d.Verdict == bulwark.Fail && d.ID != "" {
		var parts []string
		if s := p.v.Why(); s != "" {
			parts = append(parts, "why: "+s)
		}
		if x.Count > 0 {
			parts = append(parts, text.Count(x.Count)+" excepted")
		}
		p.line(p.ink(dim, p.join(parts, p.room())[0]))
	}
	const most = 3
	var loud []view.Caveat
	for _, c := range p.v.Caveats() {
		if c.Loud {
			loud = append(loud, c)
		}
	}
	for i, c := range loud {
		s, next := p.safe(c.Text), ""
		if i == most-1 && len(loud) > most {
			s = text.Count(len(loud)-most+1) + " more warnings"
		} else if c.Next != "" && (i+1 == len(loud) || loud[i+1].Next != c.Next) {
			next = " " + p.glyphs.arrow + " " + c.Next
		}
		p.line(p.ink(badgeYel, " ! "), " ", p.ink(yellow, p.cut(s, p.room()-4-text.Width(next))), p.ink(bold, next))
		if i == most-1 {
			break
		}
	}
}

// quickCounts shows the classes by severity, in six lines at most.
func (p *page) quickCounts() {
	most := 4
	lines := p.v.Lines()
	total := 0
	for _, l := range lines {
		total += l.Open.Total()
	}
	p.blank()
	if total == 0 || lines[0].Open.Total() == 0 {
		for i, l := range text.Wrap(p.safe(p.v.Nothing()), p.room()-len("vulnerabilities  ")) {
			head := "vulnerabilities  "
			if i > 0 {
				head = strings.Repeat(" ", len(head))
			}
			if i < 2 {
				p.line(head, l)
				most--
			}
		}
		lines = lines[1:]
	}
	if total == 0 {
		return
	}
	if len(lines) > most {
		rest := view.Line{Name: "others"}
		for _, l := range lines[most-1:] {
			for s, n := range l.Open {
				rest.Open[s] += n
			}
			rest.Fixable += l.Fixable
		}
		lines = append(lines[:most-1:most-1], rest)
	}
	p.matrix(lines)
}

// quickActions shows three things to do in two lines each.
func (p *page) quickActions() {
	list := p.v.Removals(actions)
	if len(list) == 0 {
		return
	}
	note := ""
	if more := len(p.v.Actions) - len(list); more > 0 {
		note = "the first " + text.Count(len(list)) + " of " + text.Count(len(p.v.Actions))
	}
	p.section("do this first", note)
	for i, a := range list {
		number := text.Count(i+1) + "  "
		inner := p.room() - len(number)
		words := p.cut(a.Words(), inner/2)
		title := p.cut(p.safe(a.Title), inner-text.Width(words)-2)
		p.line(p.ink(bold, number), text.Pad(title, inner-text.Width(words)-2), "  ", p.ink(severityStyle(known(a.Worst)), words))
		// A command that is cut could not be typed.
		if c := p.glyphs.prompt + " " + p.safe(a.Command); a.Command != "" && text.Width(c) <= inner {
			p.line("   ", p.ink(green, c))
		}
	}
}

// quickWorst shows as many of the worst findings as there is room for:
// vulnerabilities by package, others by rule.
func (p *page) quickWorst(room int) {
	type entry struct {
		severity         bulwark.Severity
		name, what, tail string
	}
	var list []entry
	hidden := 0
	for _, g := range p.v.Groups() {
		f := g.Findings[0]
		what := p.safe(strings.TrimSpace(g.Version)) + " " + p.fix(f)
		tail := p.safe(f.Rule)
		if n := g.Total() - 1; n > 0 {
			tail += " and " + text.Count(n) + " more"
		}
		list = append(list, entry{f.Severity, p.safe(g.Name()), what, tail})
	}
	for _, c := range view.Classes(p.v.Report) {
		if c == bulwark.ClassVulnerability {
			continue
		}
		type kind struct {
			rule     string
			severity bulwark.Severity
		}
		open := p.v.Open(c)
		count := map[kind]int{}
		for _, f := range open {
			count[kind{f.Rule, f.Severity}]++
		}
		for _, f := range open {
			k := kind{f.Rule, f.Severity}
			n := count[k]
			if n == 0 { // told with the first
				continue
			}
			count[k] = 0
			where := p.safe(p.v.Where(p.v.Place(f).Location))
			if n > 1 {
				where += " and " + text.Count(n-1) + " more"
			}
			list = append(list, entry{f.Severity, p.safe(cmp.Or(p.v.Title(f), f.Rule)), "", where})
		}
	}
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(b.severity, a.severity) })
	if room <= 0 || len(list) == 0 {
		return
	}
	if len(list) > room {
		hidden = len(list) - room
		list = list[:room]
	}
	note := ""
	if hidden > 0 {
		note = text.Count(hidden) + " more with --full"
	}
	p.section("worst", note)
	for _, e := range list {
		width := p.room() - severityWidth - 1
		tail := p.cutLeft(e.tail, width*2/5)
		left := width - text.Width(tail) - 2
		name := p.cut(e.name, left)
		if rest := left - text.Width(name) - 1; e.what != "" && rest >= 12 {
			name += " " + p.cut(e.what, rest)
		}
		p.line(p.severity(e.severity), " ", text.Pad(name, left), "  ", p.ink(dim, tail))
	}
}

// quickFoot says what was known, and where all of it is.
func (p *page) quickFoot() {
	p.blank()
	p.line(p.ink(bold, "database"), "  ", p.ink(dim, p.join(strings.Split(p.v.DatabaseWords(), ", "), p.room()-10)[0]))
	var parts []string
	if n := len(p.v.Closed()); n > 0 {
		parts = append(parts, text.Plural(n, "finding does not count", "findings do not count"))
	}
	if n := len(p.v.Inventory.Gaps); n > 0 {
		parts = append(parts, text.Plural(n, "gap", "gaps"))
	}
	all := p.glyphs.arrow + " all of it: --full, or -o html=FILE"
	p.line(p.ink(bold, all), p.ink(dim, p.cut(strings.Join(append([]string{""}, parts...), p.glyphs.dot), p.room()-text.Width(all))))
}
