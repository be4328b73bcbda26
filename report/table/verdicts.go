// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Judged is what became of one of several reports.
type Judged struct {
	File     string
	Artifact string
	Created  time.Time // when it was scanned
	Open     int       // findings
	Decision *bulwark.Decision
	Error    string // why there is no decision
}

// why gives the verdict and what decided it, in words.
func (j *Judged) why() (v *view.View, words string) {
	v = view.New(&bulwark.Report{})
	if j.Decision == nil {
		return v, j.Error
	}
	v.Decision = *j.Decision
	list := v.Reasons()
	if len(list) == 0 {
		return v, v.VerdictWords()
	}
	words = cmp.Or(list[0].Detail, list[0].Rule)
	if n := len(list) - 1; n > 0 {
		words += "; " + text.Plural(n, "more reason", "more reasons")
	}
	return v, words
}

// Verdicts writes one block for each of several reports, and how many there are of
// each verdict.
func (f Format) Verdicts(w io.Writer, list []Judged) error {
	p := f.page(w, &bulwark.Report{})
	p.blank()
	count, order := map[string]int{}, []string{}
	for i := range list {
		j := &list[i]
		v, words := j.why()
		p.v = v
		word, st := p.badge()
		if j.Decision == nil {
			word, st = "[NOT JUDGED]", badgeGry
			if p.Color {
				word = " NOT JUDGED "
			}
		}
		if count[word]++; count[word] == 1 {
			order = append(order, word)
		}
		const wide = len("[NOT TRUSTWORTHY]")
		name := p.cutLeft(p.safe(j.File), p.room()-wide-2)
		facts := []string{j.Artifact, view.Minute(j.Created)}
		if j.Decision != nil {
			facts = append(facts, text.Plural(j.Open, "open finding", "open findings"))
		}
		p.line(p.cell(st, word, wide), "  ", p.ink(bold, name))
		gap := strings.Repeat(" ", wide+2)
		if facts = nonEmpty(facts); len(facts) > 0 {
			for _, l := range p.join(facts, p.room()-wide-2) {
				p.line(gap, p.ink(dim, l))
			}
		}
		for k, l := range text.Wrap(p.safe(words), p.room()-wide-2) {
			if k == 2 {
				p.line(gap, p.glyphs.more)
				break
			}
			p.line(gap, l)
		}
		p.blank()
	}
	var parts []string
	for _, word := range order {
		parts = append(parts, text.Count(count[word])+" "+strings.ToLower(strings.Trim(word, "[] ")))
	}
	p.line(p.ink(bold, text.Plural(len(list), "report", "reports")), ": ", strings.Join(parts, ", "))
	return p.w.Flush()
}

// nonEmpty gives the strings that are not empty.
func nonEmpty(list []string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// PlainVerdicts writes one line for each of several reports, for cut and awk:
// verdict, file, artifact, time of the scan, open findings, decision, what decided
// it. Empty columns are "-".
func PlainVerdicts(w io.Writer, list []Judged) error {
	b := bufio.NewWriter(w)
	for i := range list {
		j := &list[i]
		v, words := j.why()
		cols := []string{v.Verdict(), j.File, j.Artifact, view.Minute(j.Created), strconv.Itoa(j.Open), v.Decision.ID, words}
		if j.Decision == nil {
			cols[0], cols[4] = "NOT JUDGED", ""
		}
		for k := range cols {
			cols[k] = cmp.Or(text.Clean(cols[k]), "-")
		}
		fmt.Fprintln(b, strings.Join(cols, "\t"))
	}
	return b.Flush()
}
