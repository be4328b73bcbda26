// SPDX-License-Identifier: Apache-2.0

package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
)

// Reasons gives what people must read of why the verdict is what it is: what
// refuses first, then the milder, then why the answer is not to be trusted. What is
// excepted or only recorded is left out, see [View.Excepted].
func (v *View) Reasons() []bulwark.Reason {
	list := slices.DeleteFunc(slices.Clone(v.Decision.Reasons), func(r bulwark.Reason) bool { return quiet(&r) })
	slices.SortStableFunc(list, func(a, b bulwark.Reason) int { return cmp.Compare(b.Effect, a.Effect) })
	return list
}

// quiet tells whether nobody needs to act on a reason.
func quiet(r *bulwark.Reason) bool {
	return r.Effect == bulwark.EffectIgnore || r.Effect == bulwark.EffectAllow
}

// Tally counts the reasons by what comes of them: "1 rule fails, 2 alert"; "" for a
// decision that does not tell effects.
func (v *View) Tally() string {
	var parts []string
	list := v.Reasons()
	for i := 0; i < len(list) && list[i].Effect != bulwark.EffectNone; {
		n := 1
		for i+n < len(list) && list[i+n].Effect == list[i].Effect {
			n++
		}
		noun, verb := text.Plural(n, "rule", "rules"), "says "
		if n > 1 {
			verb = "say "
		}
		if i > 0 {
			noun, verb = text.Count(n), ""
		}
		parts = append(parts, strings.TrimSpace(noun+" "+verb+list[i].Effect.String()))
		i += n
	}
	return strings.Join(parts, ", ")
}

// Aside says what holds a reason back, and until when; "" when nothing does.
func Aside(r *bulwark.Reason) string {
	s := strings.TrimSpace(r.Held)
	if s == "" && r.Wanted > r.Effect {
		s = r.Wanted.String() + " held to " + r.Effect.String()
	}
	return s
}

// An Exempt says what does not count in a decision because somebody said so.
type Exempt struct {
	Count int       // findings, or other subjects where there are none
	Cut   bool      // there are more, which the decision does not list
	Names []string  // on whose word, sorted
	Ends  time.Time // the first day on which something of it does not hold any more; zero is never
	noun  [2]string
}

// Excepted gives what rules fired on and what was closed by exceptions, statements
// of vendors, ignore files, comments or a baseline.
func (v *View) Excepted() Exempt {
	x := Exempt{noun: [2]string{"finding", "findings"}}
	ids, most, other := map[string]bool{}, 0, 0
	ends := func(t time.Time) {
		if !t.IsZero() && (x.Ends.IsZero() || t.Before(x.Ends)) {
			x.Ends = t
		}
	}
	for i := range v.Decision.Reasons {
		r := &v.Decision.Reasons[i]
		if r.Effect != bulwark.EffectIgnore || r.Wanted <= r.Effect {
			continue // the rule only records
		}
		ends(r.Until)
		for _, id := range r.Findings {
			ids[id] = true
			if f := v.findings[id]; f != nil {
				ends(lastDay(f.Status.Until))
			}
		}
		if x.Cut = x.Cut || r.Count > len(r.Findings) && len(r.Findings) > 0; len(r.Findings) == 0 {
			other += max(1, r.Count)
		}
		most = max(most, r.Count)
	}
	if x.Count = max(len(ids), most); len(ids) == 0 {
		x.Count, x.noun = other, [2]string{"subject", "subjects"}
	}
	if x.Count == 0 {
		return x
	}
	for i := range v.Decision.Exceptions {
		if c := &v.Decision.Exceptions[i]; c.Applied && !slices.Contains(x.Names, c.Name) {
			x.Names = append(x.Names, c.Name)
		}
	}
	slices.Sort(x.Names)
	return x
}

// lastDay reads the end of a status: a day, or the moment after it. The zero time
// is no end, or none that can be read.
func lastDay(s string) time.Time {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t.AddDate(0, 0, 1)
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Words gives it in one sentence without an end: "4 findings are excepted by a, b;
// the first ends on 2026-12-31". It is "" when nothing is excepted.
func (x *Exempt) Words() string {
	if x.Count == 0 {
		return ""
	}
	s := text.Plural(x.Count, x.noun[0]+" is excepted", x.noun[1]+" are excepted")
	if x.Cut {
		s = "at least " + s
	}
	if len(x.Names) > 0 {
		s += " by " + list3(x.Names)
	}
	if day := x.Until(); day != "" {
		s += "; the first ends on " + day
	}
	return s
}

// Until gives the last day of what ends first; "" where nothing ends.
func (x *Exempt) Until() string {
	if x.Ends.IsZero() {
		return ""
	}
	return Day(x.Ends.Add(-time.Second))
}

// A Refused is an exception that is about something on which a rule fired, and does
// not count.
type Refused struct {
	Name, Why string
	Rules     []string // sorted
	Findings  int
}

// Words gives it in one line: "NAME for p/a, p/b: it ended on …".
func (x *Refused) Words() string { return x.Name + " for " + list3(x.Rules) + ": " + x.Why }

// Refused gives the exceptions that do not count though somebody asked for them, in
// the order of the decision.
func (v *View) Refused() []Refused {
	var list []Refused
	for i := range v.Decision.Exceptions {
		c := &v.Decision.Exceptions[i]
		if c.Applied || !c.About {
			continue
		}
		k := slices.IndexFunc(list, func(r Refused) bool { return r.Name == c.Name && r.Why == c.Why })
		if k < 0 {
			k = len(list)
			list = append(list, Refused{Name: c.Name, Why: c.Why})
		}
		list[k].Findings = max(list[k].Findings, c.Count, len(c.Findings))
		if !slices.Contains(list[k].Rules, c.Rule) {
			list[k].Rules = append(list[k].Rules, c.Rule)
			slices.Sort(list[k].Rules)
		}
	}
	return list
}

// Why gives the command that explains the decision; "" when nothing was judged.
func (v *View) Why() string {
	if v.Decision.ID == "" {
		return ""
	}
	return "bulwark explain " + text.Quote(v.Decision.ID)
}
