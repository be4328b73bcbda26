// SPDX-License-Identifier: Apache-2.0

package ignore

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// A Use is one entry of an ignore file and the findings it matches.
type Use struct {
	Entry    Entry
	Findings []string // ids, in the order of the findings
}

// An Outcome says what the entries of ignore files did. Every entry is in
// exactly one of its lists.
type Outcome struct {
	Used    []Use // accepted at least one finding, or matched one that does not count anyway
	Unused  []Use // matched nothing
	Expired []Use // did not apply; Findings are those it would have matched
}

// Gaps tells of entries that had no effect, so that a report can show them:
// forgotten exceptions are risks that nobody remembers taking.
func (o *Outcome) Gaps() []bulwark.Gap {
	var out []bulwark.Gap
	add := func(ig *Entry, format string, args ...any) {
		out = append(out, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: fmt.Sprintf("ignore entry %s (%q, owner %q) ", ig.Name(), ig.ID, ig.Owner) + fmt.Sprintf(format, args...)})
	}
	for i := range o.Expired {
		u := &o.Expired[i]
		if len(u.Findings) == 0 {
			add(&u.Entry, "ended on %s and matches nothing; remove it", u.Entry.Until)
		} else {
			add(&u.Entry, "ended on %s and no longer covers %s; fix them or renew it", u.Entry.Until, number(len(u.Findings), "finding"))
		}
	}
	for i := range o.Unused {
		add(&o.Unused[i].Entry, "matches nothing; remove it or correct it")
	}
	return out
}

// Apply sets the Status of open findings that an active entry matches to
// accepted, in place. The first entry that matches wins. advisories, which may
// be nil, are those of the report by rule: an entry may name a finding by an
// alias of its rule. Expired entries change nothing.
//
// A path glob must hold every place of a finding: a copy elsewhere is another
// risk than the one that was accepted.
func Apply(findings []bulwark.Finding, advisories map[string]bulwark.Advisory, ignores []Entry, now time.Time) Outcome {
	matched := make([][]string, len(ignores))
	byRule := map[string][]int{} // rule → entries that name it, in order
	for i := range findings {
		f := &findings[i]
		named, ok := byRule[f.Rule]
		if !ok {
			names := ruleNames(f.Rule, advisories)
			for j := range ignores {
				if slices.ContainsFunc(names, ignores[j].id.match) {
					named = append(named, j)
				}
			}
			byRule[f.Rule] = named
		}
		for _, j := range named {
			ig := &ignores[j]
			if !ig.pkg.matchPackage(f.Subject) || !ig.matchesPath(f) {
				continue
			}
			matched[j] = append(matched[j], f.ID)
			if f.Status.Open() && !ig.Expired(now) {
				f.Status = bulwark.Status{State: bulwark.StateAccepted, By: ig.Name(), Reason: ig.Reason, Owner: ig.Owner, Until: ig.Until}
			}
		}
	}
	var out Outcome
	for j, ig := range ignores {
		use := Use{ig, matched[j]}
		switch {
		case ig.Expired(now):
			out.Expired = append(out.Expired, use)
		case len(use.Findings) == 0:
			out.Unused = append(out.Unused, use)
		default:
			out.Used = append(out.Used, use)
		}
	}
	return out
}

// ruleNames gives the names of a rule in lower case: its own, its aliases, and
// what it derives from when that is one flaw alone. An advisory about several
// flaws is not accepted by accepting one of them.
func ruleNames(rule string, advisories map[string]bulwark.Advisory) []string {
	names := []string{strings.ToLower(rule)}
	a := advisories[rule]
	for _, alias := range a.Aliases {
		names = append(names, strings.ToLower(alias))
	}
	if len(a.Upstream) == 1 {
		names = append(names, strings.ToLower(a.Upstream[0]))
	}
	return names
}

// matchesPath tells whether the entry's path holds every place of the finding.
func (ig *Entry) matchesPath(f *bulwark.Finding) bool {
	if ig.path == nil {
		return true
	}
	some := false
	for i := range f.Evidence {
		if p := f.Evidence[i].Path; p != "" {
			if !ig.path.match(p) {
				return false
			}
			some = true
		}
	}
	if some {
		return true
	}
	isPath := !strings.HasPrefix(f.Subject, "pkg:") && !bulwark.Digest(f.Subject).Valid()
	return isPath && ig.path.match(f.Subject)
}

func number(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
