// SPDX-License-Identifier: Apache-2.0

package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
)

// An Assessment says how artifacts stand to the controls of a framework. Its
// fields are those of whoever made it.
type Assessment struct {
	Framework string         // "pci-4.0"
	Title     string         // "PCI DSS 4.0"
	About     string         // what of it was judged, one sentence
	Source    string         // URL of its publisher's text
	Mapping   bulwark.Digest // of the data that say what decides each control
	Now       time.Time      // when it was made
	Verdict   bulwark.Verdict
	Controls  []bulwark.Control // of all artifacts together, in the framework's order
	Reports   []*bulwark.Report // with Controls of this framework, in the same order
}

// Meaning is what every form says of a pass.
const Meaning = "A pass says that the artifact shows nothing against the control, on the day and with the knowledge named here. It does not say that an organisation meets it."

// The groups of controls, in the order in which a person should read them.
const (
	GroupFail   = iota // something speaks against them
	GroupScan          // a better scan would decide them
	GroupPass          //
	GroupPerson        // no scan decides them
	GroupKind          // another kind of artifact would tell
	groups
)

// GroupTitles name the groups.
func GroupTitles() [groups]string {
	return [groups]string{"Fails", "Not decided: a better scan would tell", "Passes", "For a person to look at", "About other kinds of artifact"}
}

// GroupOf gives the group that a control belongs to.
func GroupOf(c *bulwark.Control) int {
	switch {
	case c.State == bulwark.ControlFail:
		return GroupFail
	case c.State == bulwark.ControlPass:
		return GroupPass
	case c.Lacks == bulwark.LacksTrust || c.Lacks == bulwark.LacksCheck:
		return GroupScan
	case c.Lacks == bulwark.LacksKind:
		return GroupKind
	}
	return GroupPerson
}

// Groups gives the numbers of the controls of each group.
func (a *Assessment) Groups() [groups][]int {
	var out [groups][]int
	for i := range a.Controls {
		g := GroupOf(&a.Controls[i])
		out[g] = append(out[g], i)
	}
	return out
}

// Word gives the word of the verdict.
func (a *Assessment) Word() string {
	switch a.Verdict {
	case bulwark.Pass:
		return "PASS"
	case bulwark.Fail:
		return "FAIL"
	case bulwark.Warn:
		return "NOT DECIDED"
	}
	return "NOT JUDGED"
}

// Stand counts controls by group, in words: "3 fail, 1 not decided, 9 pass, 12 for
// a person, 4 about other kinds of artifact".
func Stand(list []bulwark.Control) string {
	var n [groups]int
	for i := range list {
		n[GroupOf(&list[i])]++
	}
	s := fmt.Sprintf("%s, %s not decided, %s, %s for a person",
		text.Plural(n[GroupFail], "fails", "fail"), text.Count(n[GroupScan]), text.Plural(n[GroupPass], "passes", "pass"), text.Count(n[GroupPerson]))
	if n[GroupKind] > 0 {
		s += ", " + text.Count(n[GroupKind]) + " about other kinds of artifact"
	}
	return s
}

// Dates says on what day the artifact was scanned, with what knowledge, and by
// which policy, in parts.
func (v *View) Dates() []string {
	parts := []string{"scanned " + Minute(v.Created)}
	if v.Created.IsZero() {
		parts[0] = "nobody says when it was scanned"
	}
	if v.NoDatabase() {
		parts = append(parts, "no advisories")
	} else {
		s := text.Plural(v.Database.Advisories, "advisory", "advisories") + " of " + Day(v.Database.Built)
		if short := v.Database.ID.Short(); short != "" {
			s += " (" + short + ")"
		}
		parts = append(parts, s)
	}
	if short := v.Decision.Policy.Short(); short != "" {
		parts = append(parts, "policy "+short)
	}
	return parts
}

// Named gives the findings with these ids, worst first, at most limit, and how
// many there are. Ids that the report does not have are left out.
func (v *View) Named(ids []string, limit int) ([]*bulwark.Finding, int) {
	var out []*bulwark.Finding
	for _, id := range ids {
		if f := v.findings[id]; f != nil {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, v.compare)
	n := len(out)
	return out[:min(n, limit)], n
}

// About gives in one line what a finding is about, and where it is: the package
// of a vulnerability, the title of any other.
func (v *View) About(f *bulwark.Finding) (subject, where string) {
	where = v.Where(v.Place(f).Location)
	if title := v.Title(f); title != "" && f.Class != bulwark.ClassVulnerability && f.Class != bulwark.ClassLicense {
		return title, where
	}
	name, version := v.SubjectName(f)
	if name == v.Place(f).Path && name != "" {
		return "", where
	}
	return strings.TrimSpace(name + " " + version), where
}
