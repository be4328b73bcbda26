// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/glob"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// inlines are the comments in scanned files that ask to overlook findings. Whoever
// wrote the file wrote them, so each policy says what they count.
type inlines struct {
	list   []inline
	byPath map[string][]int // those in a file
	at     time.Time
}

type inline struct {
	*bulwark.Suppression
	rule    *glob.Glob
	end     time.Time // zero: none
	matched int       // findings that a rule fired on
	applied int       // of them, those that it closed for some rule
	why     string    // it did not count where it was asked
}

// name tells comments apart.
func (s *inline) name() string { return fmt.Sprintf(byComment+"%s:%d", s.Path, s.Line) }

// uses gives a count for every comment.
func (x *inlines) uses() []Use {
	var out []Use
	for i := range x.list {
		s := &x.list[i]
		out = append(out, Use{Name: s.name(), Matched: s.matched, Applied: s.applied, Why: s.why})
	}
	return out
}

func (v *View) inline(r *bulwark.Report, at time.Time) *inlines {
	out := &inlines{at: at, byPath: map[string][]int{}}
	for i := range r.Inventory.Suppressions {
		s := &r.Inventory.Suppressions[i]
		x := inline{Suppression: s, rule: glob.New(strings.ToLower(s.Rule)), why: s.Fault}
		if s.Until != "" && s.Fault == "" {
			end, err := time.Parse(time.DateOnly, s.Until)
			if err != nil {
				x.why = fmt.Sprintf("its end %q is no date like 2027-01-31", s.Until)
			}
			x.end = end.AddDate(0, 0, 1)
		}
		out.byPath[s.Path] = append(out.byPath[s.Path], len(out.list))
		out.list = append(out.list, x)
	}
	return out
}

// apply lets comments close what they are about.
func (x *inlines) apply(item *subject.Item, outs []outcome) {
	if len(x.list) == 0 || item.Finding == nil || len(item.Finding.Evidence) == 0 {
		return
	}
	var aliases []string
	if v, ok := item.Subject.(*subject.Vulnerability); ok {
		aliases = v.V.Aliases
	}
	for _, i := range x.byPath[item.Finding.Evidence[0].Path] { // it lies beside every place
		s := &x.list[i]
		if s.why != "" && s.matched == 0 || !s.about(item.Finding, aliases) { // it cannot be read
			continue
		}
		s.matched++
		applied := false
		for k := range outs {
			o := &outs[k]
			if o.effect == bulwark.EffectAllow {
				continue
			}
			name := s.name()
			why := s.refused(o.rule.policy, x.at)
			if why != "" {
				o.asked = append(o.asked, asked{name, true, false, why})
				s.why = why
				continue
			}
			why = strings.Join(nonEmpty(s.Reason, s.Owner, s.Until), "; ")
			o.asked = append(o.asked, asked{name, true, true, why})
			o.effect, o.held = min(o.effect, bulwark.EffectIgnore), "a comment in the file asks to overlook it: "+why
			o.inline, applied = s, true
		}
		if applied {
			s.applied++
		}
	}
}

// about tells whether the comment is about a finding: about its rule, by that name
// or another, and beside every one of its places, in the same file: layers of an
// image can each have one of that name.
func (s *inline) about(f *bulwark.Finding, aliases []string) bool {
	if len(f.Evidence) > 0 && f.Evidence[0].Path != s.Path {
		return false
	}
	named := func(n string) bool { return s.rule.Match(strings.ToLower(n)) }
	if !named(f.Rule) && !slices.ContainsFunc(aliases, named) {
		return false
	}
	return !slices.ContainsFunc(f.Evidence, func(e bulwark.Evidence) bool {
		return e.Path != s.Path || s.Layer != "" && e.Layer != "" && e.Layer != s.Layer || e.Line == 0 || e.Line != s.Line && e.Line != s.Line+1
	})
}

// refused says why a policy does not count the comment; "" when it does.
func (s *inline) refused(p *policy, at time.Time) string {
	switch {
	case p.tier == tierGuardrail:
		return "the policy is a guardrail: comments in files do not count"
	case p.inline == "never":
		return "the policy does not count comments in files (allowInline: never)"
	case !s.end.IsZero() && !at.Before(s.end):
		return "it ended on " + s.Until
	case p.inline == "always":
		return ""
	case s.Reason == "":
		return "it gives no reason: write reason=\"…\""
	case s.end.IsZero():
		return "it gives no end: write until=2027-01-31"
	}
	return ""
}
