// SPDX-License-Identifier: Apache-2.0

// Package plain writes a report as lines for grep, cut and awk: a word that says
// what the line is, then columns separated by single tabs. It has no colour and
// no width and leaves no finding out. Empty columns are "-". Columns are added at
// the end of a line, never moved.
package plain

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes these lines, in this order:
//
//	report    schema, tool, time of the scan
//	artifact  name, id, kind, platform, operating system
//	effort    layers, layers cached, packages, bytes read
//	warning   what the answer does not cover, what to do about it
//	verdict   PASS, FAIL, NOT TRUSTWORTHY or NO VERDICT
//	decision  id, effect, stage, digest of the policies, command that explains it
//	reason    rule, detail, effect, why it is not what the rule asks for, what to do, controls
//	broken    rule that could not be evaluated, detail, effect
//	excepted  number of findings, on whose word, last day of what ends first
//	refused   exception that does not count, why, rules, findings
//	count     class, critical, high, medium, low, negligible, unknown, with a fix
//	none      class, what it means that nothing is listed
//	action    number, what to do, command, what it removes
//	finding   severity, class, rule, subject, version, fix, state, place, marks, title, id
//	status    finding's id, state, on whose word
//	control   state, severity, recommendation of a benchmark, title, what decided it
//	gap       kind, "hides" if packages may be missing, place, detail
//	database  what the matching knew
//	feed      name, records, newest record
//	again     command that makes the report again
type Format struct{}

// Name gives "plain".
func (Format) Name() string { return "plain" }

// Write writes the lines.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	p := lines{bufio.NewWriterSize(w, 64<<10)}
	v := view.New(r)
	a := &r.Artifact
	os := ""
	if r.Inventory.OS != nil {
		os = strings.TrimSpace(r.Inventory.OS.ID + " " + r.Inventory.OS.Version)
	}
	p.line("report", r.Schema, strings.TrimSpace(r.Tool.Name+" "+r.Tool.Version), view.Minute(r.Created))
	p.line("artifact", a.Name, string(a.ID), string(a.Kind), a.Platform, os)
	p.line("effort", strconv.Itoa(r.Scan.Layers), strconv.Itoa(r.Scan.Cached), strconv.Itoa(len(r.Inventory.Packages)), strconv.FormatInt(r.Scan.Bytes, 10))
	for _, c := range v.Caveats() {
		p.line("warning", c.Text, c.Next)
	}
	p.line("verdict", v.Verdict())
	if d := &r.Decision; d.ID != "" {
		p.line("decision", d.ID, d.Effect.String(), string(d.Stage), string(d.Policy), v.Why())
	}
	for _, x := range v.Reasons() {
		p.line("reason", x.Rule, x.Detail, x.Effect.String(), view.Aside(&x), x.Remedy, strings.Join(x.Controls, ","))
	}
	for _, x := range r.Decision.Errors {
		p.line("broken", x.Rule, x.Detail, x.Effect.String())
	}
	if x := v.Excepted(); x.Count > 0 {
		p.line("excepted", strconv.Itoa(x.Count), strings.Join(x.Names, ","), x.Until())
	}
	for _, x := range v.Refused() {
		p.line("refused", x.Name, x.Why, strings.Join(x.Rules, ","), strconv.Itoa(x.Findings))
	}
	for _, l := range v.Lines() {
		cols := []string{string(l.Class)}
		for _, s := range bulwark.Severities() {
			cols = append(cols, strconv.Itoa(l.Open[s]))
		}
		p.line("count", append(cols, strconv.Itoa(l.Fixable))...)
		if l.Class == bulwark.ClassVulnerability && l.Open.Total() == 0 {
			p.line("none", string(l.Class), v.Nothing())
		}
	}
	for i, x := range v.Removals(len(r.Actions)) {
		p.line("action", strconv.Itoa(i+1), x.Title, x.Command, x.Words())
	}
	for i := range r.Findings {
		p.finding(v, &r.Findings[i])
	}
	for i := range r.Findings {
		if f := &r.Findings[i]; !f.Status.Open() {
			p.line("status", f.ID, f.Status.State, view.StatusWords(f.Status))
		}
	}
	for i := range r.Controls {
		c := &r.Controls[i]
		p.line("control", c.State, c.Severity.String(), c.ID, c.Title, c.Detail)
	}
	for _, g := range v.Gaps() {
		hides := ""
		if g.Hides {
			hides = "hides"
		}
		p.line("gap", g.Kind, hides, v.GapWhere(g), g.Detail)
	}
	p.line("database", v.DatabaseWords())
	for _, f := range r.Database.Feeds {
		p.line("feed", f.Name, strconv.Itoa(f.Records), view.Day(f.Modified))
	}
	if again := v.Reproduce(); again != "" {
		p.line("again", again)
	}
	return p.w.Flush()
}

type lines struct{ w *bufio.Writer } // bufio keeps the first error

func (p lines) line(word string, columns ...string) {
	p.w.WriteString(word)
	for _, c := range columns {
		p.w.WriteByte('\t')
		if c = text.Clean(c); c == "" {
			c = "-"
		}
		p.w.WriteString(c)
	}
	p.w.WriteByte('\n')
}

func (p lines) finding(v *view.View, f *bulwark.Finding) {
	name, version := v.SubjectName(f)
	p.line("finding", f.Severity.String(), string(f.Class), f.Rule, name, version, f.Fix, view.StateName(f.Status.State),
		v.Where(v.Place(f).Location), marks(v.Advisory(f)), v.Title(f), f.ID)
}

func marks(a bulwark.Advisory) string {
	var m []string
	if a.Exploited {
		m = append(m, "kev")
	}
	if a.EPSS > 0 && a.EPSS <= 1 {
		m = append(m, fmt.Sprintf("epss=%.4f", a.EPSS))
	}
	return strings.Join(m, ",")
}
