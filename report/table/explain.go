// SPDX-License-Identifier: Apache-2.0

package table

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
)

// Explained is what is known of one id. Kind says what it was taken for; members
// that do not apply are nil.
type Explained struct {
	Kind     string
	Finding  *bulwark.Finding
	Package  *bulwark.Package
	Layers   []bulwark.Layer
	Actions  []bulwark.Action
	Advisory *bulwark.Advisory
	More     int // packages that the advisory affects and does not list
	Rule     *bulwark.Rule
	Report   *bulwark.Report // whose decision it is
	Policies []PolicyText    // the policy, or those of the decision
	Accounts []Account       // what rules say of the finding
}

// maxAffected bounds the packages of a vulnerability that are shown.
const maxAffected = 40

// Explanation writes what is known of one id.
func (f Format) Explanation(w io.Writer, x Explained) error {
	p := f.page(w, &bulwark.Report{})
	p.blank()
	p.limit = p.Limit
	switch {
	case x.Report != nil:
		p.decision(&x)
	case x.Kind == "policy":
		for i := range x.Policies {
			p.policy(&x.Policies[i])
		}
	case x.Finding != nil:
		p.line(p.ink(dim, "finding "), p.ink(bold, x.Finding.ID), "  ", p.severity(x.Finding.Severity))
		p.finding(&x)
	case x.Rule != nil:
		p.line(p.ink(dim, "rule "), p.ink(bold, p.safe(x.Rule.ID)))
	case x.Advisory != nil:
		p.line(p.ink(dim, "vulnerability "), p.ink(bold, p.safe(x.Advisory.ID)))
	}
	if x.Rule != nil {
		p.rule(x.Rule)
	}
	if x.Advisory != nil {
		p.vulnerability(x.Advisory, x.More)
	}
	for i := range x.Accounts {
		p.account(&x.Accounts[i])
	}
	return p.w.Flush()
}

// pair writes a name and what belongs to it, if there is anything.
func (p *page) pair(name, value string) {
	if value != "" {
		p.wrap(plain, fmt.Sprintf("%-12s", name), p.safe(value))
	}
}

func (p *page) finding(x *Explained) {
	f := x.Finding
	p.pair("rule", f.Rule)
	p.pair("subject", f.Subject)
	if x.Package != nil {
		p.pair("package", strings.TrimSpace(x.Package.Name+" "+x.Package.Version)+", found by "+x.Package.By)
		p.pair("owned by", x.Package.Owner)
	}
	p.pair("fixed in", f.Fix)
	state := cmp.Or(f.Status.State, "open")
	if !f.Status.Open() {
		state += ": " + f.Status.Reason + " (" + f.Status.By + ")"
	}
	p.pair("status", state)
	switch f.Reach {
	case bulwark.ReachLinked:
		p.pair("reach", "a flawed function is in the program, see the evidence")
	case bulwark.ReachNotLinked:
		p.pair("reach", "no flawed function is in the program")
	case bulwark.ReachUnknown:
		p.pair("reach", "not known whether the flawed code is in the program: the advisory names no functions, or not all places show theirs")
	}
	switch f.Origin {
	case bulwark.OwnerBase:
		p.pair("brought by", "the base image")
	case bulwark.OwnerApp:
		p.pair("brought by", "the image's own layers")
	}
	for _, l := range x.Layers {
		p.pair("layer", l.DiffID.Short()+" "+strings.Join(strings.Fields(l.CreatedBy), " "))
	}
	for i, e := range f.Evidence {
		if i == 10 {
			p.pair("", fmt.Sprintf("%d more places", len(f.Evidence)-i))
			break
		}
		where := e.Path
		if e.Line > 0 {
			where += fmt.Sprintf(":%d", e.Line)
		}
		if e.Deleted != "" {
			where += " (deleted by layer " + e.Deleted.Short() + ", and still in the image)"
		}
		p.pair("evidence", strings.TrimPrefix(where+": "+e.Detail, ": "))
		p.pair("", p.v.Since(e.Location))
	}
	for _, a := range x.Actions {
		p.pair("to do", a.Title)
		p.pair("", a.Command)
	}
	p.blank()
}

func (p *page) rule(r *bulwark.Rule) {
	p.pair("title", r.Title)
	p.pair("class", string(r.Class))
	p.pair("severity", r.Severity.String())
	p.pair("why", r.Description)
	p.pair("remedy", r.Remedy)
	p.pair("controls", strings.Join(r.Controls, ", "))
	for _, u := range r.References {
		p.pair("see", u)
	}
}

func (p *page) vulnerability(a *bulwark.Advisory, more int) {
	p.pair("summary", a.Summary)
	severity := a.Severity.String()
	if a.SeverityBy != "" {
		severity += ", by " + a.SeverityBy
	}
	if a.Score > 0 {
		severity += fmt.Sprintf(", CVSS %.1f %s", a.Score, a.CVSS)
	}
	p.pair("severity", severity)
	if a.Exploited {
		p.pair("exploited", "yes: in CISA's list of known exploited vulnerabilities")
	}
	if a.EPSS > 0 {
		p.pair("EPSS", fmt.Sprintf("%.1f %% within 30 days, higher than %.0f %% of all", 100*a.EPSS, 100*a.EPSSRank))
	}
	p.pair("also", strings.Join(a.Aliases, ", "))
	p.pair("CWE", strings.Join(a.CWEs, ", "))
	if !a.Withdrawn.IsZero() {
		p.pair("withdrawn", a.Withdrawn.Format("2006-01-02"))
	}
	shown := min(len(a.Affected), maxAffected)
	more += len(a.Affected) - shown
	for i := range a.Affected[:shown] {
		af := &a.Affected[i]
		p.pair("affects", strings.TrimSpace(af.Ecosystem+" "+af.Name)+" "+ranges(af))
	}
	if more > 0 {
		p.pair("", fmt.Sprintf("and %s more", text.Count(more)))
	}
	for i, u := range a.References {
		if i == 10 {
			break
		}
		p.pair("see", u)
	}
}

// ranges says which versions are affected.
func ranges(a *bulwark.Affected) string {
	var out []string
	for _, r := range a.Ranges {
		s := "from " + r.Introduced
		if r.Introduced == "0" || r.Introduced == "" {
			s = "all"
		}
		switch {
		case r.Fixed != "":
			s += " before " + r.Fixed
		case r.LastAffected != "":
			s += " up to " + r.LastAffected
		}
		out = append(out, s)
	}
	if n := len(a.Versions); n > 0 && len(a.Ranges) == 0 {
		out = append(out, strings.Join(a.Versions[:min(n, 8)], ", "))
		if n > 8 {
			out = append(out, fmt.Sprintf("%d more", n-8))
		}
	}
	return strings.Join(out, "; ")
}
