// SPDX-License-Identifier: Apache-2.0

package table

import (
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// summary shows how much there is: a bar, the words for it, and a line for each
// class when there are several.
func (p *page) summary() {
	lines := p.v.Lines()
	var all view.Tally
	for _, l := range lines {
		for s, n := range l.Open {
			all[s] += n
		}
	}
	if all.Total() == 0 {
		p.section("open findings", "")
		p.wrap(plain, "vulnerabilities  ", p.safe(p.v.Nothing()))
		return
	}
	p.section("open findings", "")
	p.bar(all)
	p.matrix(lines)
	if lines[0].Open.Total() == 0 {
		p.wrap(plain, "vulnerabilities  ", p.safe(p.v.Nothing()))
	}
}

// bar shows the shares of the severities; each has a fill of its own, and each
// that occurs gets one column at least.
func (p *page) bar(all view.Tally) {
	width := min(p.room(), 96)
	total := all.Total()
	cells := map[bulwark.Severity]int{}
	used := 0
	worst := bulwark.SeverityUnknown
	for _, s := range bulwark.Severities() {
		n := all[s]
		if n == 0 {
			continue
		}
		cells[s] = max(1, int(int64(n)*int64(width)/int64(total)))
		used += cells[s]
		if cells[s] > cells[worst] {
			worst = s
		}
	}
	cells[worst] += width - used // rounding goes to the largest, which bears it
	var b strings.Builder
	for _, s := range bulwark.Severities() {
		b.WriteString(p.ink(severityStyle(s), strings.Repeat(p.glyphs.fill[s], max(0, cells[s]))))
	}
	p.line(b.String())
}

// matrix shows classes by severities, in full words where the width allows.
func (p *page) matrix(lines []view.Line) {
	severities := bulwark.Severities()
	first := 0
	for _, l := range lines {
		first = max(first, text.Width(p.safe(l.Name)))
	}
	first = min(first, 20)
	heads := make([]string, 0, len(severities)+1)
	for _, s := range severities {
		heads = append(heads, p.glyphs.mark[s]+" "+s.String())
	}
	heads = append(heads, "with a fix")
	widths := columnWidths(heads, lines)
	if total(widths)+first > p.room() {
		heads = []string{"crit", "high", "med", "low", "negl", "unkn", "fix"}
		widths = columnWidths(heads, lines)
	}
	first = max(8, min(first, p.room()-total(widths)))
	styles := make([]style, len(heads))
	row := []string{strings.Repeat(" ", first)}
	for i, h := range heads {
		if i < len(severities) {
			styles[i] = severityStyle(severities[i])
		}
		row = append(row, "  ", p.ink(styles[i], text.PadLeft(h, widths[i])))
	}
	p.line(row...)
	for _, l := range lines {
		row = append(row[:0], text.Pad(p.cut(p.safe(l.Name), first), first))
		for i, n := range numbers(l) {
			cell, st := text.Count(n), styles[i]
			if n == 0 {
				cell, st = p.glyphs.dash, dim
			}
			row = append(row, "  ", p.ink(st, text.PadLeft(cell, widths[i])))
		}
		p.line(row...)
	}
}

// numbers gives the columns of a line: severities, worst first, and fixable.
func numbers(l view.Line) []int {
	var list []int
	for _, s := range bulwark.Severities() {
		list = append(list, l.Open[s])
	}
	return append(list, l.Fixable)
}

func columnWidths(heads []string, lines []view.Line) []int {
	var widths []int
	for _, h := range heads {
		widths = append(widths, text.Width(h))
	}
	for _, l := range lines {
		for i, n := range numbers(l) {
			widths[i] = max(widths[i], len(text.Count(n)))
		}
	}
	return widths
}

func total(widths []int) int {
	n := 0
	for _, w := range widths {
		n += 2 + w
	}
	return n
}

// maxCommand is the longest command shown, in columns. A longer one is no command.
const maxCommand = 1000

// actions shows the three things to do that remove most risk.
func (p *page) actions() {
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
		words := a.Words()
		title := p.safe(a.Title)
		number := text.Count(i+1) + "  "
		inner := p.room() - len(number)
		if text.Width(title)+4+text.Width(words) <= inner {
			p.line(p.ink(bold, number), text.Pad(title, inner-text.Width(words)-2), "  ", p.ink(severityStyle(known(a.Worst)), words))
		} else {
			for j, l := range text.Wrap(p.cut(title, 3*inner), inner) {
				if j > 0 {
					number = "   "
				}
				p.line(p.ink(bold, number), l)
			}
			p.line("   ", p.ink(severityStyle(known(a.Worst)), p.cut(words, inner)))
		}
		if a.Command != "" {
			// A command that is cut to the width could not be typed.
			p.line("   ", p.ink(green, p.glyphs.prompt+" "+p.cut(p.safe(a.Command), maxCommand)))
		}
	}
}

// foot says what was known, how to get this again, and the warnings once more.
func (p *page) foot() {
	d := &p.v.Database
	p.section("database", "")
	for _, l := range p.join(strings.Split(p.v.DatabaseWords(), ", "), p.room()) {
		p.line(l)
	}
	names := make([]string, 0, len(d.Feeds))
	for _, f := range d.Feeds {
		s := f.Name
		if day := view.Day(f.Modified); day != "" {
			s += " (to " + day + ")"
		}
		names = append(names, s)
	}
	if len(names) > 8 {
		names = append(names[:8:8], "and "+text.Plural(len(names)-8, "other", "others"))
	}
	if len(names) > 0 {
		for _, l := range p.join(names, p.room()) {
			p.line(p.ink(dim, l))
		}
	}
	if again := p.v.Reproduce(); again != "" {
		p.section("again", "flags of the gate are not in a report")
		p.line(p.ink(green, p.glyphs.prompt+" "+p.safe(again)))
	}
	p.banner(false)
	p.blank()
}
