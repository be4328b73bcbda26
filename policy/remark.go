// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/ignore"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// item counts what each exception is about, and which others cover the same.
func (w *linter) item(v *View, item *subject.Item, in *condition.Input, outs []outcome) {
	for i, e := range w.set.exceptions {
		if !v.within[e] || !e.about(item.Kind) || !e.scope.chooses(item.Subject) {
			continue
		}
		fired := slices.ContainsFunc(outs, func(o outcome) bool { return e.from(o.rule) })
		if e.match == nil && !fired {
			continue // it is from rules, and none fired
		}
		if truth, _ := e.matches(item.Kind, in); truth != condition.Yes {
			continue
		}
		w.uses[i].matched++
		if w.each != nil {
			w.each(i, item)
		}
		if fired {
			w.uses[i].fired++
		}
	}
	for k := range outs {
		o := &outs[k]
		if o.by == nil {
			continue
		}
		var applied []int // exceptions of a rule are in the order of names, as those of the set
		for j, a := range o.asked {
			if a.applied {
				if at, ok := slices.BinarySearchFunc(w.set.exceptions, o.rule.exceptions[j].doc.Name, func(e *exception, name string) int { return compare(e.doc.Name, name) }); ok {
					applied = append(applied, at)
				}
			}
		}
		for _, i := range applied {
			u := &w.uses[i]
			if u.covered {
				u.shadows = slices.DeleteFunc(u.shadows, func(j int) bool { _, there := slices.BinarySearch(applied, j); return !there })
				continue
			}
			u.covered = true
			for _, j := range applied {
				if len(u.shadows) < maxShadows && w.outlives(i, j) {
					u.shadows = append(u.shadows, j)
				}
			}
		}
	}
}

// maxShadows bounds the exceptions that may make one idle: thousands may cover the
// same finding.
const maxShadows = 64

// outlives tells whether a second exception says the same as the first one, for
// longer.
func (w *linter) outlives(first, second int) bool {
	a, b := w.set.exceptions[first], w.set.exceptions[second]
	if first == second || b.tier < a.tier || vexState(a) != vexState(b) {
		return false
	}
	// One of two that end together goes, not both.
	c := b.doc.Expires.Compare(a.doc.Expires)
	return c > 0 || c == 0 && second < first
}

// shadows tells whether a second exception, which outlives the first one and covers
// everything that it was seen to cover, is from all its rules.
func (w *linter) shadows(first, second int) bool {
	a, b := w.set.exceptions[first], w.set.exceptions[second]
	for _, p := range w.set.policies {
		for _, r := range p.rules {
			if a.from(r) && !b.from(r) {
				return false
			}
		}
	}
	return true
}

func vexState(e *exception) string {
	if e.doc.VEX == nil {
		return ""
	}
	return e.doc.VEX.Status
}

func (w *linter) remark(base Remark, kind, format string, args ...any) {
	base.Kind, base.Detail = kind, fmt.Sprintf(format, args...)
	w.out.Remarks = append(w.out.Remarks, base)
}

// exception tells what is wrong with one document.
func (w *linter) exception(i int, e *exception) {
	u, base := &w.uses[i], Remark{Name: "exception/" + e.doc.Name, Owner: e.doc.Owner, Place: e.doc.Place}
	for _, t := range e.doc.For.Policies {
		if p := w.set.byName[t.Value]; p != nil && p.doc.Mode == "off" {
			w.remark(base, RemarkOff, "policy %q is off (mode: off), so it does nothing there", t.Value)
		}
	}
	switch now := w.Now; {
	case !now.Before(e.doc.Expires):
		w.remark(base, RemarkExpired, "it ended on %s; %s", e.until(), u.without(w.out.Reports))
		return
	case now.Before(e.doc.Starts):
		w.remark(base, RemarkEarly, "it begins on %s", day(e.doc.Starts))
		w.life(base, e.tier, e.doc.Starts, e.doc.Expires)
		return
	}
	w.expiring(base, e.doc.Expires, e.until())
	w.life(base, e.tier, e.doc.Starts, e.doc.Expires)
	if w.out.Reports == 0 {
		return
	}
	if !u.asked {
		w.remark(base, RemarkUnasked, "none of the reports is in its scope, so nobody knows whether it is needed: name one with --report")
		return
	}
	if w.idle(base, &u.past) {
		return
	}
	switch {
	case u.fired == 0 && !slices.ContainsFunc(w.set.policies, func(p *policy) bool { return slices.ContainsFunc(p.rules, e.from) }):
		w.remark(base, RemarkNeedless, "it matches %s, and no policy that was read has a rule that it is from: name the policies, too", number(u.matched, "finding"))
	case u.fired == 0:
		w.remark(base, RemarkNeedless, "it matches %s, and no rule that it is from fires on them", number(u.matched, "finding"))
	case !u.covered && e.tier != tierGuardrail:
		w.remark(base, RemarkRefused, "it matches %s, and applies to none: the policies are guardrails, and tier %s approved it (approverTier)", number(u.matched, "finding"), e.tier)
	}
	for _, j := range u.shadows {
		if w.shadows(i, j) {
			other := w.set.exceptions[j].doc
			w.remark(base, RemarkShadowed, "exception %q, at %s, covers everything that it covers, until %s: remove one of them", other.Name, other.Place, w.set.exceptions[j].until())
			break
		}
	}
}

// without says what an exception that is over leaves.
func (u *use) without(reports int) string {
	switch {
	case reports == 0 || !u.asked:
		return "remove or renew it"
	case u.matched == 0:
		return "it matches nothing: remove it"
	}
	return number(u.matched, "finding") + " without it: fix them or renew it"
}

// idle tells of what matches nothing; it is false where something is matched.
func (w *linter) idle(base Remark, p *past) bool {
	switch {
	case p.matched > 0:
		return false
	case p.gone != "":
		w.remark(base, RemarkGone, "fixed in %q since %s, and it matches nothing else: remove it", p.gone, day(p.when))
	default:
		w.remark(base, RemarkUnused, "it matches nothing in %s: remove it or correct it", number(w.out.Reports, "report"))
	}
	return true
}

func (w *linter) expiring(base Remark, end time.Time, last string) {
	if left := end.Sub(w.Now); left < w.Expiring {
		w.remark(base, RemarkExpiring, "it ends on %s, in %s", last, number(int(left/(24*time.Hour)), "day"))
	}
}

// life tells of a life that is longer than the tier may give.
func (w *linter) life(base Remark, t tier, from, end time.Time) {
	if from.IsZero() {
		from = w.Now
	}
	// One day more, for the last day counts and days are of different length.
	if end.After(from.Add(t.longest()).AddDate(0, 0, 1)) {
		w.remark(base, RemarkLong, "it lasts %d days; tier %s gives at most %d", (end.Unix()-from.Unix())/86400, t, int(t.longest()/(24*time.Hour)))
	}
}

// entry tells what is wrong with one entry of an ignore file.
func (w *linter) entry(ig *ignore.Entry, p *past) {
	base := Remark{Name: "ignore/" + ig.Name(), Owner: ig.Owner, Place: document.Place{File: ig.File, Line: ig.Line}}
	end := lastDay(ig.Until)
	if ig.Expired(w.Now) {
		u := use{past: *p, asked: true}
		w.remark(base, RemarkExpired, "it ended on %s; %s", ig.Until, u.without(w.out.Reports))
		return
	}
	w.expiring(base, end, ig.Until)
	w.life(base, tierTeam, time.Time{}, end)
	if w.out.Reports > 0 {
		w.idle(base, p)
	}
}

// lastDay gives the end of a day, the zero time of what is no day.
func lastDay(s string) time.Time {
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}
	}
	return day.AddDate(0, 0, 1)
}

// comments tells what is wrong with the comments of a report.
func (w *linter) comments(r *bulwark.Report, x *inlines) {
	w.out.Comments += len(x.list)
	for i := range x.list {
		s := &x.list[i]
		base := Remark{Name: s.name(), Owner: s.Owner, Artifact: r.Artifact.Name, Place: document.Place{File: s.Path, Line: s.Line}}
		if s.Fault != "" || s.matched == 0 && s.why != "" {
			w.remark(base, RemarkFaulty, "it does nothing: %s", s.why)
			continue
		}
		about := 0
		for k := range r.Findings {
			if f := &r.Findings[k]; f.Status.State != bulwark.StateSuppressed && len(f.Evidence) > 0 && s.about(f, r.Advisories[f.Rule].Aliases) {
				about++
			}
		}
		if !s.end.IsZero() && !w.Now.Before(s.end) {
			u := use{past: past{matched: about}, asked: true}
			w.remark(base, RemarkExpired, "the comment about %q ended on %s; %s", s.Rule, s.Until, u.without(1))
			continue
		}
		if !s.end.IsZero() {
			w.expiring(base, s.end, s.Until)
			w.life(base, tierTeam, time.Time{}, s.end)
		}
		if strings.TrimSpace(s.Reason) == "" {
			w.remark(base, RemarkUnreasoned, "the comment about %q gives no reason: write reason=\"…\"", s.Rule)
		}
		switch {
		case about == 0:
			w.remark(base, RemarkUnused, "no finding of %q is at its line or the next: remove it or correct it", s.Rule)
		case s.why != "" && s.applied == 0 && s.Reason == "": // was told
		case s.why != "" && s.applied == 0:
			w.remark(base, RemarkRefused, "the comment about %q does not count: %s", s.Rule, s.why)
		case s.matched > 0 && s.applied == 0:
			w.remark(base, RemarkNeedless, "the comment about %q is beside %s, and no rule of a policy fires there", s.Rule, number(about, "finding"))
		}
	}
}
