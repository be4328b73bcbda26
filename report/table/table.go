// SPDX-License-Identifier: Apache-2.0

// Package table writes a report for a person at a terminal: the answer first,
// then what to do, then the evidence, then what the answer does not cover. It
// knows columns, colours and glyphs; it does not know whether it writes to a
// terminal: whoever calls says so.
package table

import (
	"bufio"
	"cmp"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format says how the terminal looks. The zero value writes 100 columns of
// ASCII without colour.
type Format struct {
	Width   int  // columns, from 60 to 200; 0 is 100
	Color   bool // the sixteen ANSI colours
	Unicode bool // glyphs and names outside ASCII
	Limit   int  // findings shown; 0 is a screenful, negative is all
	Quick   bool // only what fits one screen of Rows
	Rows    int  // of the screen; fewer than 24 are taken for 24
}

// Name gives "table".
func (Format) Name() string { return "table" }

const (
	minWidth, maxWidth, defaultWidth = 60, 200, 100

	// screenful bounds the vulnerabilities shown, and the smaller lists get a
	// part of it: with the summary above, the whole is about two screens.
	screenful = 18
	// actions is how many things to do are shown. Three get done.
	actions = 3
	// margin stands left of everything.
	margin = "  "
)

// Write writes the report.
func (f Format) Write(w io.Writer, r *bulwark.Report) error {
	p := &page{Format: f, w: bufio.NewWriterSize(w, 64<<10), v: view.New(r), limit: f.Limit}
	if f.Width == 0 {
		p.Width = defaultWidth
	}
	p.Width = min(max(p.Width, minWidth), maxWidth)
	switch {
	case f.Limit == 0:
		p.limit = screenful
	case f.Limit < 0:
		p.limit = len(r.Findings) + len(r.Inventory.Gaps) + 1
	}
	p.glyphs = glyphs(f.Unicode)
	if f.Quick {
		p.quick()
		return p.w.Flush()
	}
	p.head()
	p.verdict()
	p.banner(true)
	p.summary()
	p.actions()
	p.vulnerabilities()
	p.others()
	p.controls()
	p.closed()
	p.coverage()
	p.foot()
	return p.w.Flush()
}

type page struct {
	Format
	w      *bufio.Writer // keeps the first error
	v      *view.View
	limit  int
	glyphs glyphSet
}

// A style is a set of SGR parameters (ECMA-48, 8.3.117).
type style string

const (
	plain    style = ""
	bold     style = "1"
	dim      style = "2"
	red      style = "31"
	boldRed  style = "1;31"
	green    style = "32"
	yellow   style = "33"
	blue     style = "34"
	cyan     style = "36"
	badgeRed style = "1;97;41"
	badgeYel style = "1;30;43"
	badgeGrn style = "1;30;42"
	badgeGry style = "1;30;47"
	critical style = "1;35"
)

// ink gives s in a style. Widths are measured before.
func (p *page) ink(st style, s string) string {
	if !p.Color || st == plain || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[0m"
}

// cell gives s in a style and spaces without one up to width columns.
func (p *page) cell(st style, s string, width int) string {
	return p.ink(st, s) + strings.Repeat(" ", max(0, width-text.Width(s)))
}

// line writes parts and ends the line, without spaces before the end.
func (p *page) line(parts ...string) {
	p.w.WriteString(strings.TrimRight(margin+strings.Join(parts, ""), " "))
	p.w.WriteByte('\n')
}

func (p *page) blank() { p.w.WriteByte('\n') }

// room is the width inside the margins.
func (p *page) room() int { return p.Width - 2*len(margin) }

// safe makes a string of the report fit for this terminal.
func (p *page) safe(s string) string {
	if p.Unicode {
		return text.Clean(s)
	}
	return text.ASCII(s)
}

func (p *page) cut(s string, width int) string     { return text.Cut(s, width, p.glyphs.more) }
func (p *page) cutLeft(s string, width int) string { return text.CutLeft(s, width, p.glyphs.more) }

// wrap writes text in lines that hang under its begin.
func (p *page) wrap(st style, first, s string) {
	hang := text.Width(first)
	for i, l := range text.Wrap(s, p.room()-hang) {
		if i > 0 {
			first = strings.Repeat(" ", hang)
		}
		p.line(p.cell(st, strings.TrimRight(first, " "), hang), p.ink(st, l))
	}
}

// section begins a part of the page: a title and what follows it on its line.
func (p *page) section(title, note string) {
	p.blank()
	title = strings.ToUpper(title)
	note = p.cut(note, p.room()-text.Width(title)-3)
	p.line(p.ink(bold, title), "  ", p.ink(dim, note))
}

// join gives parts on lines that fit, separated by a dot.
func (p *page) join(parts []string, width int) []string {
	var lines []string
	line := ""
	for _, s := range parts {
		s = p.cut(p.safe(s), width)
		switch {
		case line == "":
			line = s
		case text.Width(line)+text.Width(p.glyphs.dot)+text.Width(s) <= width:
			line += p.glyphs.dot + s
		default:
			lines = append(lines, line)
			line = s
		}
	}
	return append(lines, line)
}

type glyphSet struct {
	more, dot, arrow, rule, bar, prompt, dash string
	mark                                      [bulwark.SeverityCritical + 1]string
	fill                                      [bulwark.SeverityCritical + 1]string
}

func glyphs(unicode bool) glyphSet {
	if unicode {
		return glyphSet{
			more: "…", dot: " · ", arrow: "→", rule: "─", bar: "▌", prompt: "$", dash: "–",
			mark: [...]string{"?", "·", "▽", "◆", "▲", "✖"},
			fill: [...]string{"·", "·", "░", "▒", "▓", "█"},
		}
	}
	return glyphSet{
		more: "...", dot: " - ", arrow: "->", rule: "-", bar: "|", prompt: "$", dash: "-",
		mark: [...]string{"?", ".", "-", "+", "*", "!"},
		fill: [...]string{"?", ".", "-", "+", "*", "#"},
	}
}

func severityStyle(s bulwark.Severity) style {
	switch s {
	case bulwark.SeverityCritical:
		return critical
	case bulwark.SeverityHigh:
		return red
	case bulwark.SeverityMedium:
		return yellow
	case bulwark.SeverityLow:
		return cyan
	case bulwark.SeverityUnknown:
		return blue
	}
	return dim
}

func known(s bulwark.Severity) bulwark.Severity {
	if s < 0 || s > bulwark.SeverityCritical {
		return bulwark.SeverityUnknown
	}
	return s
}

// severity gives glyph and word in twelve columns: never colour alone.
func (p *page) severity(s bulwark.Severity) string {
	s = known(s)
	return p.cell(severityStyle(s), p.glyphs.mark[s]+" "+s.String(), severityWidth)
}

const severityWidth = len("? negligible")

// head says what was scanned.
func (p *page) head() {
	r := p.v.Report
	bar := p.ink(blue, p.glyphs.bar) + " "
	width := p.room() - 2
	tool := p.cut(p.safe(strings.TrimSpace(cmp.Or(r.Tool.Name, "bulwark")+" "+r.Tool.Version)), 40)
	when := view.Minute(r.Created)
	p.blank()
	p.line(bar, p.cell(dim, tool, width-len(when)), p.ink(dim, when))
	for i, l := range text.Wrap(p.cut(p.safe(p.v.ArtifactName()), 3*width), width) {
		if i < 3 {
			p.line(bar, p.ink(bold, l))
		}
	}
	for _, l := range p.join(p.v.Identity(), width) {
		p.line(bar, l)
	}
	for _, l := range p.join(p.v.Effort(), width) {
		p.line(bar, p.ink(dim, l))
	}
}

// banner says loudly what must not be overlooked: all of it at the top, and at
// the bottom once more what touches the whole answer.
func (p *page) banner(top bool) {
	var list []view.Caveat
	for _, c := range p.v.Caveats() {
		if c.All || c.Loud && top {
			list = append(list, c)
		}
	}
	if len(list) > 0 {
		p.blank()
	}
	for i, c := range list {
		for j, l := range text.Wrap(p.safe(c.Text), p.room()-4) {
			mark := " ! "
			if j > 0 {
				mark = "   "
			}
			p.line(p.ink(badgeYel, mark), " ", p.ink(yellow, l))
		}
		if c.Next != "" && (i+1 == len(list) || list[i+1].Next != c.Next) {
			p.line("    ", p.ink(bold, p.glyphs.arrow+" "+c.Next))
		}
	}
}
