// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/bulwark-sec/bulwark/policy/document"
)

// WriteText writes a result for people: a line for each test, and below what is not
// as it was wanted, with its place.
func (r *Result) WriteText(w io.Writer) error {
	t := &text{w: w}
	width := 0
	for i := range r.Tests {
		width = max(width, len(r.Tests[i].Name))
	}
	for i := range r.Tests {
		x := &r.Tests[i]
		if len(x.Failed) == 0 {
			t.line("ok    %-*s  %s", width, x.Name, number(x.Cases, "case"))
			continue
		}
		t.line("FAIL  %-*s  %d of %s", width, x.Name, len(x.Failed), number(x.Cases, "case"))
		for k := range x.Failed {
			t.failed(&x.Failed[k])
		}
	}
	if len(r.Tests) == 0 {
		t.line("no tests: there is no document of kind PolicyTest")
	}
	covered := 0
	for i := range r.Rules {
		if r.Rules[i].Covered() {
			covered++
		}
	}
	t.line("rules: %d of %d have an example that matches and one that does not", covered, len(r.Rules))
	for i := range r.Rules {
		switch x := &r.Rules[i]; {
		case x.Covered():
		case len(x.Matches)+len(x.Others) == 0:
			t.line("  %s: %s has no example at all", x.Place, x.Name)
		case len(x.Matches) == 0:
			t.line("  %s: %s has no example that matches", x.Place, x.Name)
		default:
			t.line("  %s: %s has no example that does not match", x.Place, x.Name)
		}
	}
	if r.Mutants != nil {
		t.mutants(r.Mutants)
	}
	return t.err
}

// text writes lines until one cannot be written.
type text struct {
	w   io.Writer
	err error
}

func (t *text) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *text) failed(f *Failed) {
	t.line("  %s: %s", f.Place, f.Case)
	for _, d := range f.Differences {
		got := strings.Split(d.Got, "\n")
		if len(got) == 1 {
			t.line("    %s: want %s, got %s", d.What, d.Want, got[0])
		} else {
			t.line("    %s: want %s, got", d.What, d.Want)
			for _, g := range got {
				t.line("      %s", g)
			}
		}
		for _, l := range d.Leaves {
			s := fmt.Sprintf("%-7s %s", l.Value, l.Source)
			if len(l.Inputs) > 0 {
				s += "   with " + strings.Join(l.Inputs, ", ")
			}
			t.line("      %s", s)
		}
	}
}

func (t *text) mutants(m *Mutants) {
	t.line("mutants: %d of %d killed", m.Killed, m.Total)
	for _, s := range m.Survivors {
		switch {
		case s.Why != "":
			t.survivor(s.Place, s.Name, "could not be tried: "+s.Why)
		case s.Leaf == "":
			t.survivor(s.Place, s.Name, "no case fails without the rule")
		default:
			t.survivor(s.Place, s.Name, fmt.Sprintf("no case fails when its opposite stands for %s", s.Leaf))
		}
	}
	if m.Untried > 0 {
		t.line("  %d were not tried: the set has more than %d; test its files one by one", m.Untried, maxMutants)
	}
}

func (t *text) survivor(at document.Place, name, what string) { t.line("  %s: %s: %s", at, name, what) }

func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// plain makes of text that somebody else wrote one line of at most n characters,
// without what a terminal takes for commands.
func plain(s string, n int) string {
	var b strings.Builder
	for _, c := range s {
		if n--; n < 0 {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(c) {
			c = ' '
		}
		b.WriteRune(c)
	}
	return b.String()
}
