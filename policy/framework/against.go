// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// A witness is a report that is asked about one control after the other.
type witness struct {
	r *bulwark.Report
	o Options

	doubts map[string]doubt // by what decides, once it was asked
	named  map[string]string
}

func newWitness(r *bulwark.Report, o Options) *witness {
	return &witness{r: r, o: o, doubts: map[string]doubt{}, named: map[string]string{}}
}

// A speech is what a report has to say against a control.
type speech struct {
	bad      []string // ids of findings that count
	accepted []string // ids of those that somebody answers for
	severity map[bulwark.Severity]int
	policies []string // what policy rules said

	known   int            // of bad: in the baseline, which mends nothing
	ended   int            // of bad: accepted until a day that is over
	until   string         // the last such day
	aside   map[string]int // findings that do not count, by state
	unrated int            // vulnerabilities without a severity, where one is asked
	young   int            // vulnerabilities that are within their time
	owners  []string       // of what is accepted, and until when
	days    int
}

func (s *speech) fails() bool { return len(s.bad) > 0 || len(s.policies) > 0 }

// against gives what speaks against a control with these rules.
func (w *witness) against(rules []Rule) *speech {
	s := &speech{severity: map[bulwark.Severity]int{}, aside: map[string]int{}}
	fired := map[string]bool{} // findings that a policy rule names
	for i := range rules {
		if rules[i].Policy != "" {
			s.policy(w.r, rules[i].Policy, fired)
		}
	}
	for i := range w.r.Findings {
		f := &w.r.Findings[i]
		best := no
		for j := range rules {
			m := w.match(&rules[j], f)
			if m == tooYoung && s.days == 0 {
				s.days = rules[j].Days
			}
			best = max(best, m)
		}
		if fired[f.ID] {
			best = yes
		}
		switch best {
		case yes:
			s.add(f, w.o.Now)
		case noSeverity:
			if f.Status.Open() {
				s.unrated++
			}
		case tooYoung:
			if f.Status.Open() {
				s.young++
			}
		}
	}
	return s
}

// add counts a finding that matches.
func (s *speech) add(f *bulwark.Finding, now time.Time) {
	switch f.Status.State {
	case bulwark.StateAccepted:
		if over(f.Status.Until, now) {
			s.ended++
			s.until = max(s.until, f.Status.Until)
			break
		}
		s.accepted = append(s.accepted, f.ID)
		if who := answers(f.Status); !slices.Contains(s.owners, who) {
			s.owners = append(s.owners, who)
		}
		return
	case bulwark.StateOpen:
	case bulwark.StateKnown:
		s.known++
	default:
		s.aside[f.Status.State]++
		return
	}
	s.bad = append(s.bad, f.ID)
	s.severity[f.Severity]++
}

// policy counts what a policy rule said of the report. Effects that only allow or
// note do not speak against anything.
func (s *speech) policy(r *bulwark.Report, rule string, fired map[string]bool) {
	for i := range r.Decision.Reasons {
		x := &r.Decision.Reasons[i]
		if x.Rule != rule || x.Effect <= bulwark.EffectIgnore {
			continue
		}
		for _, id := range x.Findings {
			fired[id] = true
		}
		if len(x.Findings) == 0 { // it spoke of the artifact as a whole
			s.policies = append(s.policies, fmt.Sprintf("the policy rule %s says: %s", rule, x.Detail))
		}
	}
}

// over tells whether the last day of an exception is over. What cannot be read
// is over: nobody answers for it for ever by a slip of the pen.
func over(until string, now time.Time) bool {
	if until == "" {
		return false
	}
	if t, err := time.Parse(time.RFC3339, until); err == nil {
		return !now.Before(t)
	}
	t, err := time.Parse(time.DateOnly, until)
	return err != nil || !now.Before(t.AddDate(0, 0, 1))
}

// answers says who answers for a finding, and until when.
func answers(s bulwark.Status) string {
	who := s.Owner
	if who == "" {
		who = s.By
	}
	if who == "" {
		who = "nobody named"
	}
	if s.Until != "" {
		who += ", until " + s.Until
	}
	return who
}

// failed says why a control fails.
func (s *speech) failed() string {
	var parts []string
	if len(s.bad) > 0 {
		var by []string
		for _, sev := range bulwark.Severities() {
			if n := s.severity[sev]; n > 0 {
				by = append(by, fmt.Sprintf("%s %s", group(n), sev))
			}
		}
		parts = append(parts, plural(len(s.bad), "finding speaks", "findings speak")+" against it: "+strings.Join(by, ", "))
	}
	parts = append(parts, s.policies...)
	if s.known > 0 {
		parts = append(parts, fmt.Sprintf("%s in the baseline, and still there", were(s.known)))
	}
	if s.ended > 0 {
		parts = append(parts, fmt.Sprintf("%s accepted until %s, which is over", were(s.ended), s.until))
	}
	if more := s.closed(); more != "" {
		parts = append(parts, more)
	}
	return strings.Join(parts, "; ")
}

func were(n int) string {
	if n == 1 {
		return "1 of them was"
	}
	return group(n) + " of them were"
}

// maxOwners is how many of those who answer are named in a sentence.
const maxOwners = 3

// closed tells of what would speak against a control and does not count; "" is
// nothing.
func (s *speech) closed() string {
	var parts []string
	if n := len(s.accepted); n > 0 {
		who := strings.Join(s.owners[:min(len(s.owners), maxOwners)], "; ")
		if more := len(s.owners) - maxOwners; more > 0 {
			who += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, fmt.Sprintf("%s accepted: by %s", group(n), who))
	}
	for _, state := range []string{bulwark.StateNotAffected, bulwark.StateFixed, bulwark.StateSuppressed} {
		if n := s.aside[state]; n > 0 {
			parts = append(parts, group(n)+" "+map[string]string{
				bulwark.StateNotAffected: "not affected", bulwark.StateFixed: "fixed by a statement", bulwark.StateSuppressed: "suppressed",
			}[state])
		}
	}
	if s.young > 0 {
		parts = append(parts, fmt.Sprintf("%s younger than %d days", plural(s.young, "is", "are"), s.days))
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, "; ")
}

// How a rule stands to a finding; a greater one wins among the rules of a
// control.
const (
	no = iota
	tooYoung
	noSeverity
	yes
)

func (w *witness) match(x *Rule, f *bulwark.Finding) int {
	switch {
	case x.Rule != "":
		if f.Class == bulwark.ClassVulnerability {
			return no
		}
		if ok, err := path.Match(x.Rule, f.Rule); ok && err == nil && f.Severity >= x.Severity {
			return yes
		}
		return no
	case x.Class == "" || x.Class != f.Class:
		return no
	case x.Fixable && f.Fix == "":
		return no
	}
	a := w.r.Advisories[f.Rule]
	if x.Exploited && !a.Exploited || len(x.Packages) > 0 && !slices.ContainsFunc(x.Packages, func(glob string) bool {
		ok, err := path.Match(glob, w.name(f.Subject))
		return ok && err == nil
	}) {
		return no
	}
	if x.Severity > bulwark.SeverityUnknown && f.Severity < x.Severity {
		if f.Severity <= bulwark.SeverityUnknown {
			return noSeverity
		}
		return no
	}
	if x.Days > 0 && !a.Published.IsZero() && w.o.Now.Before(a.Published.AddDate(0, 0, x.Days)) {
		return tooYoung
	}
	return yes
}

// name gives the last part of the name of the package that a package URL names,
// in lower case: "runc" of a distribution and "github.com/opencontainers/runc" of
// Go are one thing.
func (w *witness) name(purl string) string {
	name, ok := w.named[purl]
	if ok {
		return name
	}
	name, _, _ = strings.Cut(purl, "?")
	if i := strings.LastIndexByte(name, '@'); i > 0 {
		name = name[:i]
	}
	name = strings.ToLower(name)
	base := path.Base(name)
	if major, ok := strings.CutPrefix(base, "v"); ok && strings.Trim(major, "0123456789") == "" { // of a Go module
		base = path.Base(path.Dir(name))
	}
	w.named[purl] = base
	return base
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return group(n) + " " + many
}

// group writes a number with a comma between thousands.
func group(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
