// SPDX-License-Identifier: Apache-2.0

// Package csv writes the findings of a report as a table of comma-separated
// values (RFC 4180). It knows what a spreadsheet would take for a formula; it
// leaves out everything that is no finding.
package csv

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes a line of names, then a line for each finding, in the report's
// order, with a carriage return and a line feed at the end of each. Columns are
// added at the end, never moved. A cell that begins as a formula does has an
// apostrophe in front, by which spreadsheets know text.
type Format struct{}

// Name gives "csv".
func (Format) Name() string { return "csv" }

// columns lists the names and what stands below them.
var columns = []struct {
	name string
	cell func(v *view.View, f *bulwark.Finding) string
}{
	{"severity", func(_ *view.View, f *bulwark.Finding) string { return f.Severity.String() }},
	{"class", func(_ *view.View, f *bulwark.Finding) string { return string(f.Class) }},
	{"rule", func(_ *view.View, f *bulwark.Finding) string { return f.Rule }},
	{"name", func(v *view.View, f *bulwark.Finding) string { name, _ := v.SubjectName(f); return name }},
	{"version", func(v *view.View, f *bulwark.Finding) string { _, version := v.SubjectName(f); return version }},
	{"ecosystem", func(v *view.View, f *bulwark.Finding) string {
		if p := v.Package(f); p != nil {
			return p.Ecosystem
		}
		return ""
	}},
	{"fix", func(_ *view.View, f *bulwark.Finding) string { return f.Fix }},
	{"state", func(_ *view.View, f *bulwark.Finding) string { return view.StateName(f.Status.State) }},
	{"status", func(_ *view.View, f *bulwark.Finding) string { return view.StatusWords(f.Status) }},
	{"exploited", func(v *view.View, f *bulwark.Finding) string {
		if v.Advisory(f).Exploited {
			return "yes"
		}
		return ""
	}},
	{"epss", func(v *view.View, f *bulwark.Finding) string { return number(v.Advisory(f).EPSS, 1) }},
	{"score", func(v *view.View, f *bulwark.Finding) string { return number(v.Advisory(f).Score, 10) }},
	{"cvss", func(v *view.View, f *bulwark.Finding) string { return v.Advisory(f).CVSS }},
	{"aliases", func(v *view.View, f *bulwark.Finding) string { return strings.Join(v.Advisory(f).Aliases, " ") }},
	{"title", func(v *view.View, f *bulwark.Finding) string { return v.Title(f) }},
	{"path", func(v *view.View, f *bulwark.Finding) string { return v.Place(f).Path }},
	{"line", func(v *view.View, f *bulwark.Finding) string {
		if n := v.Place(f).Line; n > 0 {
			return strconv.Itoa(n)
		}
		return ""
	}},
	{"layer", func(v *view.View, f *bulwark.Finding) string { return string(v.Place(f).Layer) }},
	{"places", func(_ *view.View, f *bulwark.Finding) string { return strconv.Itoa(len(f.Evidence)) }},
	{"detail", func(v *view.View, f *bulwark.Finding) string { return v.Place(f).Detail }},
	{"subject", func(_ *view.View, f *bulwark.Finding) string { return f.Subject }},
	{"id", func(_ *view.View, f *bulwark.Finding) string { return f.ID }},
	{"artifact", func(v *view.View, _ *bulwark.Finding) string { return v.Artifact.Name }},
	{"digest", func(v *view.View, _ *bulwark.Finding) string { return string(v.Artifact.ID) }},
	{"origin", func(_ *view.View, f *bulwark.Finding) string { return f.Origin }},
	{"database", func(v *view.View, _ *bulwark.Finding) string { return v.DatabaseWords() }},
}

// Write writes the table.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180, section 2
	v := view.New(r)
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = c.name
	}
	out.Write(row) // the writer keeps the first error
	for i := range r.Findings {
		for j, c := range columns {
			row[j] = Cell(c.cell(v, &r.Findings[i]))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Cell gives s on one line, as text that no spreadsheet calculates: what begins
// with a sign that starts a formula, after any spaces, gets an apostrophe
// (https://owasp.org/www-community/attacks/CSV_Injection).
func Cell(s string) string {
	s = text.Clean(s) // tabs and line ends are names from here on
	first := strings.TrimLeft(s, " ")
	for _, sign := range []string{"=", "+", "-", "@", `\t`, `\r`, `\n`, "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(first, sign) {
			return "'" + s
		}
	}
	return s
}

// number gives v when it is above zero and at most top.
func number(v, top float64) string {
	if v > 0 && v <= top {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}
