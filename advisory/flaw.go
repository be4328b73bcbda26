// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/index"
	"github.com/bulwark-sec/bulwark/advisory/osv"
	"github.com/bulwark-sec/bulwark/advisory/vers"
)

// A flaw is one thing that is wrong with one package, and the advisories that
// say so.
type flaw struct {
	rule string
	hits []hit // sorted by id
	many bool  // an advisory among hits is about further flaws, too
}

// flaws sorts the hits of a package by what they are about. An advisory of a
// distribution is about each CVE that it names. Advisories about a library that
// share an id are about the same flaw, which is called by its CVE when it has
// exactly one.
func flaws(distribution bool, hits []hit) []flaw {
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.rec.ID, b.rec.ID) })
	out := map[string]*flaw{}
	put := func(rule string, h hit, many bool) {
		f := out[rule]
		if f == nil {
			f = &flaw{rule: rule}
			out[rule] = f
		}
		if !slices.ContainsFunc(f.hits, func(o hit) bool { return o.rec == h.rec }) {
			f.hits = append(f.hits, h)
		}
		f.many = f.many || many
	}
	for _, group := range groups(distribution, hits) {
		all := map[string]bool{}
		for _, h := range group {
			for _, c := range cves(distribution, h.rec) {
				all[c] = true
			}
		}
		first := map[string]string{} // id of the first record with these CVEs
		for _, h := range group {
			own := cves(distribution, h.rec)
			switch {
			case len(all) == 0:
				put(group[0].rec.ID, h, false)
			case distribution:
				for _, c := range own {
					put(c, h, len(own) > 1)
				}
			case len(all) == 1:
				for c := range all {
					put(c, h, false)
				}
			case len(own) == 1:
				put(own[0], h, false)
			case len(own) == 0:
				put(h.rec.ID, h, false)
			default: // records of the same CVEs are about one flaw
				same := strings.Join(own, " ")
				first[same] = cmp.Or(first[same], h.rec.ID)
				put(first[same], h, false)
			}
		}
	}
	list := make([]flaw, 0, len(out))
	for _, f := range out {
		list = append(list, *f)
	}
	slices.SortFunc(list, func(a, b flaw) int { return cmp.Compare(a.rule, b.rule) })
	return list
}

// groups puts hits together that share an id. The hits of a distribution stay
// apart: what they share are CVEs, which are told apart later.
func groups(distribution bool, hits []hit) [][]hit {
	out := make([][]hit, 0, len(hits))
	if distribution {
		for _, h := range hits {
			out = append(out, []hit{h})
		}
		return out
	}
	at := map[string]int{} // id → index in out
	for _, h := range hits {
		ids := append([]string{h.rec.ID}, h.rec.Aliases...)
		to := -1
		for _, id := range ids {
			if i, ok := at[id]; ok {
				if to < 0 {
					to = i
				} else if i != to { // this one joins two groups
					out[to] = append(out[to], out[i]...)
					out[i] = nil
					for k, v := range at {
						if v == i {
							at[k] = to
						}
					}
				}
			}
		}
		if to < 0 {
			to = len(out)
			out = append(out, nil)
		}
		out[to] = append(out[to], h)
		for _, id := range ids {
			at[id] = to
		}
	}
	out = slices.DeleteFunc(out, func(g []hit) bool { return len(g) == 0 })
	for _, g := range out {
		slices.SortFunc(g, func(a, b hit) int { return cmp.Compare(a.rec.ID, b.rec.ID) })
	}
	return out
}

// cves gives the CVEs that a record is about. Distributions write them in one of
// three places: aliases, upstream (Debian, Alpine, Ubuntu), related (AlmaLinux).
// In other records related ids are other flaws.
func cves(distribution bool, r *index.Record) []string {
	lists := [][]string{append([]string{r.ID}, r.Aliases...), r.Upstream}
	if distribution {
		lists = append(lists, r.Related)
	}
	for _, list := range lists {
		var out []string
		for _, id := range list {
			if _, ok := index.CVE(id); ok && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// report makes the finding of a flaw in a package.
func (m *matcher) report(p *bulwark.Package, f *flaw) error {
	adv, severity, err := m.describe(f)
	if err != nil {
		return err
	}
	var fix string
	var details []string
	for _, h := range f.hits {
		if h.fix != "" {
			// The highest: until then one of the advisories still holds.
			if c, err := vers.Compare(p.Ecosystem, h.fix, cmp.Or(fix, h.fix)); fix == "" || err == nil && c > 0 {
				fix = h.fix
			}
		}
		details = append(details, detail(p, &h))
	}
	if p.Ecosystem == vers.Bulwark {
		details = append(details, ownFacts)
	}
	status := m.status(p, f)
	if status.Open() && p.Owner != "" && m.inv.OS != nil { // not the vendor's records, see status
		details = append(details, fmt.Sprintf("the files belong to %s, whose vendor may have mended it: the database has no records of %s", p.Owner, cmp.Or(m.inv.OS.Ecosystem, m.inv.OS.Name)))
	}
	id := bulwark.FindingID(bulwark.ClassVulnerability, f.rule, p.PURL)
	find := bulwark.Finding{
		ID: id, Class: bulwark.ClassVulnerability, Rule: f.rule, Severity: severity, Subject: p.PURL, Fix: fix,
		Status: status,
	}
	r := m.reach(p, f)
	find.Reach, find.Evidence = r.state, evidence(p, strings.Join(slices.Compact(details), "; "), r.words)
	if find.Status.Open() && r.reason != "" {
		find.Status = bulwark.Status{State: bulwark.StateNotAffected, By: notLinked, Reason: r.reason}
	}
	if old, ok := m.advisories[f.rule]; ok {
		adv = join(old, adv)
	}
	m.advisories[f.rule] = adv
	if old, ok := m.findings[id]; ok { // the same package under two keys
		for _, e := range find.Evidence {
			if !slices.Contains(old.Evidence, e) && len(old.Evidence) < maxPlaces {
				old.Evidence = append(old.Evidence, e)
			}
		}
		old.Severity = max(old.Severity, find.Severity)
		if find.Status.Open() {
			old.Status = find.Status
		}
		old.Reach = weaker(old.Reach, find.Reach)
		if c, err := vers.Compare(p.Ecosystem, cmp.Or(find.Fix, "0"), cmp.Or(old.Fix, "0")); err == nil && c > 0 {
			old.Fix = find.Fix
		}
		return nil
	}
	m.findings[id] = &find
	return nil
}

func detail(p *bulwark.Package, h *hit) string {
	name := p.Name
	if h.name != canonicalName(h.base, p.Name) {
		name = fmt.Sprintf("%s (source %s)", p.Name, h.name)
	}
	return fmt.Sprintf("%s %s %s (%s)", name, h.version, h.how, h.rec.ID)
}

func evidence(p *bulwark.Package, detail string, words []string) []bulwark.Evidence {
	out := make([]bulwark.Evidence, 0, max(1, min(len(p.Where), maxPlaces)))
	for i, w := range p.Where {
		if i == maxPlaces {
			break
		}
		e := bulwark.Evidence{Location: w, Detail: detail}
		if words != nil && words[i] != "" {
			e.Detail += "; " + words[i]
		}
		out = append(out, e)
	}
	if len(out) == 0 {
		out = append(out, bulwark.Evidence{Detail: detail})
	}
	if n := len(p.Where) - len(out); n > 0 {
		out[len(out)-1].Detail += fmt.Sprintf("; and in %d more places", n)
	}
	return out
}

// bugfix are ids of errata that are not about security
// (https://errata.almalinux.org/: BA is a bug fix, EA an enhancement).
var bugfix = regexp.MustCompile(`^(AL|RL|RH|EL)[BE]A-`)

// status tells findings that are noise, and why.
func (m *matcher) status(p *bulwark.Package, f *flaw) bulwark.Status {
	suppress := func(by, reason string) bulwark.Status {
		return bulwark.Status{State: bulwark.StateSuppressed, By: by, Reason: reason}
	}
	base, _ := split(p.Ecosystem)
	if namingOf(base) == byName {
		if p.Owner != "" && m.covered() {
			return suppress("bulwark/os-owned", fmt.Sprintf("the files belong to the operating system's package %s, whose vendor's advisories decide", p.Owner))
		}
		return bulwark.Status{}
	}
	if !m.kernel && kernelNoise(p.Name) {
		return suppress("bulwark/kernel-headers", fmt.Sprintf("%s holds no code that runs, and no kernel is installed", p.Name))
	}
	if len(f.hits) > 0 && !slices.ContainsFunc(f.hits, func(h hit) bool { return !bugfix.MatchString(h.rec.ID) || len(cves(true, h.rec)) > 0 }) {
		return suppress("bulwark/bug-fix", f.rule+" is a bug fix or an enhancement that names no vulnerability")
	}
	return bulwark.Status{}
}

// covered tells whether the database knows the operating system of the
// inventory: only then do its advisories decide anything.
func (m *matcher) covered() bool {
	if m.osKnown == nil {
		known := false
		if m.inv.OS != nil {
			base, release := split(m.inv.OS.Ecosystem)
			if seg := m.db.segments[base]; seg != nil {
				known = m.covers(m.inv.OS.Ecosystem, base, release, seg)
			}
		}
		m.osKnown = &known
	}
	return *m.osKnown
}

// kernelNoise tells packages that are built from the kernel's source and hold
// none of its code that runs.
func kernelNoise(name string) bool {
	switch name {
	case "linux-libc-dev", "linux-headers", "linux-doc", "linux-glibc-devel", "kernel-headers", "kernel-doc", "kernel-docs",
		"kernel-macros", "kernel-srpm-macros", "kernel-rpm-macros", "kernel-abi-stablelists", "kernel-abi-whitelists", "glibc-kernheaders":
		return true
	}
	for _, prefix := range []string{"linux-libc-dev-", "linux-headers-", "linux-kbuild-", "linux-doc-", "linux-source", "linux-compiler-", "linux-config-", "linux-support-", "kernel-devel", "kernel-default-devel", "kernel-cross-headers", "kernel-source"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	// Ubuntu: linux-azure-6.5-headers-6.5.0-1007
	return strings.HasPrefix(name, "linux-") && (strings.Contains(name, "-headers-") || strings.HasSuffix(name, "-headers"))
}

// hasKernel tells whether a kernel is installed.
func hasKernel(inv *bulwark.Inventory) bool {
	for i := range inv.Packages {
		p := &inv.Packages[i]
		base, _ := split(p.Ecosystem)
		if namingOf(base) == byName {
			continue
		}
		switch p.Name {
		case "kernel", "kernel-core", "kernel-rt-core", "kernel-64k-core", "kernel-debug-core", "kernel-uek", "kernel-uek-core",
			"kernel-default", "kernel-default-base", "kernel-azure", "linux-lts", "linux-virt", "linux-edge", "linux-rpi", "linux-vanilla", "linux-hardened", "linux":
			return true
		}
		if strings.HasPrefix(p.Name, "linux-image-") || strings.HasPrefix(p.Name, "linux-modules-") {
			return true
		}
	}
	return false
}

// describe makes one advisory of everything that is known about a flaw, and
// rates it: the vendor's word first, then CVSS of the advisories, then what the
// database knows about the same flaw elsewhere.
func (m *matcher) describe(f *flaw) (bulwark.Advisory, bulwark.Severity, error) {
	a := bulwark.Advisory{ID: f.rule}
	var others []*index.Record
	for _, h := range f.hits {
		r := h.rec
		_, own := index.CVE(f.rule)
		if own && f.many && len(cves(true, r)) > 1 {
			a.Related = insert(a.Related, r.ID, f.rule)
		} else {
			a.Aliases = insert(a.Aliases, r.ID, f.rule)
			for _, id := range r.Aliases {
				a.Aliases = insert(a.Aliases, id, f.rule)
			}
		}
		fill(&a, &r.Advisory)
	}
	ids := append([]string{f.rule}, a.Aliases...)
	for _, id := range ids[:min(len(ids), 16)] {
		more, err := m.known(id)
		if err != nil {
			return a, 0, err
		}
		for _, r := range more {
			seen := slices.Contains(others, r) || slices.ContainsFunc(f.hits, func(h hit) bool { return h.rec == r })
			if !seen {
				others = append(others, r)
			}
		}
	}
	for _, r := range others {
		if a.Summary == "" && a.Details == "" {
			a.Summary, a.Details = r.Summary, r.Details
		}
		if len(a.CWEs) == 0 {
			a.CWEs = r.CWEs
		}
	}
	rate(&a, f.hits, others)
	slices.Sort(a.Aliases)
	slices.Sort(a.Related)
	for _, id := range ids {
		m.db.score(&a, id)
	}
	return a, a.Severity, nil
}

func insert(list []string, id, not string) []string {
	if id == "" || id == not || slices.Contains(list, id) {
		return list
	}
	return append(list, id)
}

// fill adds the facts of a record to an advisory.
func fill(a, r *bulwark.Advisory) {
	if a.Summary == "" {
		a.Summary = r.Summary
	}
	if a.Details == "" {
		a.Details = r.Details
	}
	if a.Feed == "" {
		a.Feed = r.Feed
	}
	if a.Published.IsZero() || !r.Published.IsZero() && r.Published.Before(a.Published) {
		a.Published = r.Published
	}
	if r.Modified.After(a.Modified) {
		a.Modified = r.Modified
	}
	for _, c := range r.CWEs {
		a.CWEs = insert(a.CWEs, c, "")
	}
	for _, u := range r.References {
		if len(a.References) < 30 {
			a.References = insert(a.References, u, "")
		}
	}
}

// rate finds the severity of a flaw, and says whose word it is.
func rate(a *bulwark.Advisory, hits []hit, others []*index.Record) {
	// The CVSS vector is shown even where a vendor's word decides.
	version, by := 0, ""
	cvss := func(vector string, score float64, id string) {
		v, s, ok := osv.Score(vector)
		if !ok && score == 0 {
			return
		}
		if !ok {
			v, s = 1, score
			vector = ""
		}
		if v > version || v == version && s > a.Score {
			version, a.CVSS, a.Score = v, vector, s
			by = scale(v) + " of " + id
		}
	}
	word := func(s bulwark.Severity, by string) {
		if s > a.Severity {
			a.Severity, a.SeverityBy = s, by
		}
	}
	for _, h := range hits {
		pkg := detailOf(h.rec, h.name, h.release, h.base)
		switch {
		case pkg.Severity != bulwark.SeverityUnknown:
			word(pkg.Severity, osv.Vendor(h.rec.ID, h.base))
		default:
			word(h.rec.Severity, h.rec.SeverityBy)
		}
		if pkg.CVSS != "" {
			cvss(pkg.CVSS, 0, h.rec.ID)
		} else {
			cvss(h.rec.CVSS, h.rec.Score, h.rec.ID)
		}
	}
	if version == 0 {
		for _, r := range others {
			cvss(r.CVSS, r.Score, r.ID)
			for _, p := range r.Packages {
				cvss(p.CVSS, 0, r.ID)
			}
		}
	}
	if a.Severity == bulwark.SeverityUnknown && version > 0 {
		a.Severity, a.SeverityBy = bulwark.SeverityOfScore(a.Score), by
	}
	if a.Severity == bulwark.SeverityUnknown {
		for _, r := range others {
			if r.Severity != bulwark.SeverityUnknown {
				word(r.Severity, r.SeverityBy+" in "+r.ID)
			}
		}
	}
}

func scale(version int) string {
	switch version {
	case 40:
		return "CVSS v4.0"
	case 31:
		return "CVSS v3.1"
	case 30:
		return "CVSS v3.0"
	}
	return "CVSS score"
}

// detailOf gives what a record says about one of its packages.
func detailOf(r *index.Record, name, release, base string) index.Detail {
	for _, p := range r.Packages {
		if p.Name == name && sameRelease(base, release, p.Release) {
			return p
		}
	}
	return index.Detail{}
}

// join makes one advisory of two descriptions of the same flaw in different
// packages. The worse rating stands.
func join(a, b bulwark.Advisory) bulwark.Advisory {
	if b.Severity > a.Severity {
		a.Severity, a.SeverityBy = b.Severity, b.SeverityBy
	}
	if a.CVSS == "" && b.Score > 0 {
		a.CVSS, a.Score = b.CVSS, b.Score
	}
	for _, id := range b.Aliases {
		a.Aliases = insert(a.Aliases, id, a.ID)
	}
	for _, id := range b.Related {
		a.Related = insert(a.Related, id, a.ID)
	}
	slices.Sort(a.Aliases)
	slices.Sort(a.Related)
	fill(&a, &b)
	return a
}
