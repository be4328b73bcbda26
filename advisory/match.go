// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/index"
	"github.com/bulwark-sec/bulwark/advisory/vers"
)

// A Result is what is known about an inventory.
type Result struct {
	Findings   []bulwark.Finding           // worst first, then by rule and subject
	Advisories map[string]bulwark.Advisory // by the Rule of the findings; Affected is empty
	Gaps       []bulwark.Gap               // packages whose version could not be compared
	Uncovered  []string                    // ecosystems in the inventory that the database has nothing about, sorted
	Unwatched  []string                    // types of packages in the inventory that OSV has no ecosystem for, sorted
}

// maxGaps bounds the gaps of a Result; one more says how many were left out.
const maxGaps = 500

// maxPlaces bounds the places in the evidence of a finding.
const maxPlaces = 50

// Match tells which packages have known flaws, by the rules of each ecosystem.
// A flaw that several advisories describe is one finding. A package whose
// version cannot be compared with what is known about its name is a gap.
func (db *DB) Match(ctx context.Context, inv *bulwark.Inventory) (Result, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return Result{}, fmt.Errorf("match: %w", fs.ErrClosed)
	}
	m := db.matcher(inv)
	for i := range inv.Packages {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		if err := m.match(&inv.Packages[i]); err != nil {
			return Result{}, fmt.Errorf("match %q: %w", inv.Packages[i].PURL, err)
		}
	}
	return m.result(), nil
}

type matcher struct {
	db         *DB
	inv        *bulwark.Inventory
	kernel     bool
	findings   map[string]*bulwark.Finding // by ID
	advisories map[string]bulwark.Advisory
	uncovered  map[string]bool
	unwatched  map[string]bool
	gaps       map[string]bool // details

	programs map[place]program

	records map[recordKey]*index.Record
	masks   map[string]map[string]bool // ecosystem with release → release of a row → same
	aliases map[string][]*index.Record
	osKnown *bool
}

func (db *DB) matcher(inv *bulwark.Inventory) *matcher {
	return &matcher{
		db:         db,
		inv:        inv,
		findings:   map[string]*bulwark.Finding{},
		advisories: map[string]bulwark.Advisory{},
		uncovered:  map[string]bool{},
		unwatched:  map[string]bool{},
		gaps:       map[string]bool{},
		kernel:     hasKernel(inv),
		programs:   programs(inv),
	}
}

type recordKey struct {
	seg *index.Segment
	ord uint32
}

// A hit is one advisory that holds for one package.
type hit struct {
	rec     *index.Record
	base    string // ecosystem of the segment
	release string
	name    string // the name that the advisory uses
	version string // the version that was compared
	fix     string // "" if none is known
	how     string // "is before 3.0.15-1"
}

func (m *matcher) match(p *bulwark.Package) error {
	if q := judged(p); q != p {
		if watched, err := m.matchProduct(p, q); watched || err != nil {
			return err
		}
	}
	if kind, ok := unwatched(p); ok {
		m.unwatched[kind] = true
		return nil
	}
	hits, err := m.hits(p)
	if err != nil {
		return err
	}
	return m.reportAll(p, hits)
}

// hits gives the advisories that hold for a package. One whose ecosystem the
// database does not know is noted.
func (m *matcher) hits(p *bulwark.Package) ([]hit, error) {
	base, release := split(p.Ecosystem)
	seg, err := m.db.segment(base)
	if err != nil {
		return nil, err
	}
	if seg == nil || !m.covers(p.Ecosystem, base, release, seg) {
		m.uncovered[m.ecosystemOf(p)] = true
		return nil, nil
	}
	if err := seg.Check(); err != nil {
		return nil, err
	}
	var hits []hit
	for _, n := range names(base, p) {
		found, err := m.find(seg, base, release, n[0], n[1], p)
		if err != nil {
			return nil, err
		}
		for _, h := range found {
			if !slices.ContainsFunc(hits, func(o hit) bool { return o.rec == h.rec }) {
				hits = append(hits, h)
			}
		}
	}
	return hits, nil
}

// reportAll makes the findings of the advisories that hold for a package.
func (m *matcher) reportAll(p *bulwark.Package, hits []hit) error {
	if len(hits) == 0 {
		return nil
	}
	base, _ := split(p.Ecosystem)
	for _, f := range flaws(namingOf(base) != byName, hits) {
		if err := m.report(p, &f); err != nil {
			return err
		}
	}
	return nil
}

// unwatched gives the type of a package that OSV has no ecosystem for, whatever
// its feeds: a model, a snap, a plugin. Operating systems' packages are not
// among them: there, having none says that the distribution was not recognised.
func unwatched(p *bulwark.Package) (string, bool) {
	kind, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
	switch kind {
	case "deb", "rpm", "apk", "alpm", "ebuild", "opkg", "":
		return "", false
	}
	return kind, p.Ecosystem == ""
}

// ecosystemOf names the ecosystem of a package that OSV does not know, as well as
// can be told.
func (m *matcher) ecosystemOf(p *bulwark.Package) string {
	if p.Ecosystem != "" {
		return p.Ecosystem
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
	switch kind {
	case "deb", "rpm", "apk", "alpm", "":
		if m.inv.OS != nil && m.inv.OS.ID != "" {
			return strings.TrimSuffix(m.inv.OS.ID+":"+m.inv.OS.Version, ":")
		}
	}
	return cmp.Or(kind, "unknown")
}

// covers tells whether the segment has anything about the release.
func (m *matcher) covers(ecosystem, base, release string, seg *index.Segment) bool {
	mask, ok := m.masks[ecosystem]
	if !ok {
		mask = map[string]bool{}
		for _, r := range seg.Releases() {
			if sameRelease(base, release, r) {
				mask[r] = true
			}
		}
		if m.masks == nil {
			m.masks = map[string]map[string]bool{}
		}
		m.masks[ecosystem] = mask
	}
	return len(mask) > 0
}

// names gives the names by which advisories may know a package, each with the
// version that goes with it.
func names(base string, p *bulwark.Package) [][2]string {
	own := [2]string{canonicalName(base, p.Name), p.Version}
	source := own
	if p.Source != "" {
		source[0] = canonicalName(base, p.Source)
	}
	if p.SourceVersion != "" {
		source[1] = p.SourceVersion
	}
	switch namingOf(base) {
	case bySource:
		return [][2]string{source}
	case byBoth:
		// The name of a source rpm lacks the epoch, which its packages share.
		if epoch, _, ok := strings.Cut(p.Version, ":"); ok && !strings.Contains(source[1], ":") {
			source[1] = epoch + ":" + source[1]
		}
		if source != own {
			return [][2]string{own, source}
		}
	}
	return [][2]string{own}
}

// find gives the advisories about a name that hold for a version.
func (m *matcher) find(seg *index.Segment, base, release, name, version string, p *bulwark.Package) ([]hit, error) {
	rows := seg.Find(name)
	mask := m.masks[p.Ecosystem]
	var out []hit
	var readable error // of version, told once
	asked := false
	var group []held
	ord := uint32(0)
	flush := func() error {
		if h, ok := decide(base, group); ok {
			rec, err := m.record(seg, ord)
			if err != nil {
				return err
			}
			out = append(out, hit{rec: rec, base: base, release: release, name: name, version: version, fix: h.fix, how: standing(base, version) + h.how})
		}
		group = group[:0]
		return nil
	}
	for rows.Next() {
		if !mask[rows.Release()] {
			continue
		}
		a, err := rows.Affected()
		if err != nil {
			return nil, err
		}
		if !sameModule(a.Module, p) {
			continue
		}
		if !asked {
			asked = true
			if _, readable = vers.Compare(p.Ecosystem, version, version); readable != nil {
				m.gap(p, version, readable)
			}
		}
		if rows.Ordinal() != ord {
			if err := flush(); err != nil {
				return nil, err
			}
			ord = rows.Ordinal()
		}
		h, err := holds(p.Ecosystem, version, &a, readable == nil)
		if err != nil {
			rec, rerr := m.record(seg, ord)
			if rerr != nil {
				return nil, rerr
			}
			m.gaps[fmt.Sprintf("%s %s may be affected by %s: %v", p.Name, version, rec.ID, err)] = true
		}
		group = append(group, h)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out, flush()
}

func (m *matcher) gap(p *bulwark.Package, version string, err error) {
	if version == "" {
		m.gaps[fmt.Sprintf("%s (%s) has advisories, but its version is not known", p.Name, p.Ecosystem)] = true
		return
	}
	if why := unversioned(p, version); why != "" {
		m.gaps[why] = true
		return
	}
	m.gaps[fmt.Sprintf("%s (%s) has advisories, but its version %q cannot be compared: %v", p.Name, p.Ecosystem, version, err)] = true
}

func (m *matcher) record(seg *index.Segment, ord uint32) (*index.Record, error) {
	k := recordKey{seg, ord}
	if r, ok := m.records[k]; ok {
		return r, nil
	}
	r, err := seg.Advisory(ord)
	if err != nil {
		return nil, err
	}
	if m.records == nil {
		m.records = map[recordKey]*index.Record{}
	}
	m.records[k] = &r
	return &r, nil
}

// held says whether one row holds for a version.
type held struct {
	yes   bool
	fix   string
	how   string
	build bool // the row only says from which build on the flaw is fixed
}

// holds applies a row to a version (https://ossf.github.io/osv-schema/#evaluation).
// A version that has no place in the order can still be listed. The error is
// about versions of the row; what could be told without them is told.
func holds(ecosystem, version string, a *bulwark.Affected, readable bool) (held, error) {
	h := held{build: len(a.Versions) == 0 && len(a.Ranges) == 1 && a.Ranges[0].Introduced == "0" && a.Ranges[0].Fixed != ""}
	var bad error
	after := func(to string) bool { // or equal
		c, err := against(ecosystem, version, to)
		if err != nil && bad == nil {
			bad = err
		}
		return c >= 0
	}
	until := func(to string) bool {
		in, err := upTo(ecosystem, version, to)
		if err != nil && bad == nil {
			bad = err
		}
		return in
	}
	if readable {
		for _, r := range a.Ranges {
			was := bad
			bad = nil
			in := (r.Introduced == "0" || after(r.Introduced)) &&
				(r.Fixed == "" || !after(r.Fixed)) &&
				(r.LastAffected == "" || until(r.LastAffected))
			in = in && bad == nil
			bad = cmp.Or(was, bad)
			if !in {
				continue
			}
			if r.Fixed != "" {
				if c, err := vers.Compare(ecosystem, r.Fixed, cmp.Or(h.fix, r.Fixed)); h.fix == "" || err == nil && c < 0 {
					h.fix = r.Fixed
				}
			}
			if !h.yes || h.fix != "" {
				h.how = describeRange(r, h.fix)
			}
			h.yes = true
		}
	}
	if h.yes || version == "" {
		return h, nilUnless(!h.yes, bad)
	}
	for _, v := range a.Versions {
		if v == version {
			h.yes = true
			break
		}
		if readable && !h.yes {
			if c, err := against(ecosystem, version, v); err == nil && c == 0 {
				h.yes = true
				break
			}
		}
	}
	if h.yes {
		h.how = "is listed as affected"
		bad = nil
	}
	return h, bad
}

func nilUnless(keep bool, err error) error {
	if keep {
		return err
	}
	return nil
}

func describeRange(r bulwark.Range, fix string) string {
	switch {
	case fix != "":
		return "is before " + fix
	case r.LastAffected != "" && r.Introduced != "0":
		return "is from " + r.Introduced + " to " + r.LastAffected
	case r.LastAffected != "":
		return "is not after " + r.LastAffected
	case r.Introduced != "0":
		return "is not before " + r.Introduced + ", and no fix is known"
	}
	return "is affected like every version, and no fix is known"
}

// decide makes one answer of the rows that an advisory has for a package. The
// rows of an rpm erratum are the same fix, built for several minor releases of a
// distribution: who has one of the builds has the fix.
func decide(base string, group []held) (held, bool) {
	n := namingOf(base)
	rpm := n == byBinary || n == byBoth
	var best held
	for _, h := range group {
		if rpm && h.build && !h.yes {
			all := !slices.ContainsFunc(group, func(o held) bool { return !o.build })
			if all {
				return held{}, false
			}
		}
		if !h.yes {
			continue
		}
		if !best.yes {
			best = h
			continue
		}
		if h.fix != "" {
			if c, err := vers.Compare(base, h.fix, cmp.Or(best.fix, h.fix)); best.fix == "" || err == nil && c < 0 {
				best = h
			}
		}
	}
	return best, best.yes
}

func (m *matcher) result() Result {
	r := Result{Advisories: m.advisories, Findings: []bulwark.Finding{}}
	for _, f := range m.findings {
		r.Findings = append(r.Findings, *f)
	}
	slices.SortFunc(r.Findings, func(a, b bulwark.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject))
	})
	details := slices.Sorted(maps.Keys(m.gaps))
	for i, d := range details {
		if i == maxGaps {
			r.Gaps = append(r.Gaps, bulwark.Gap{Kind: bulwark.GapAdvisory, Detail: fmt.Sprintf("%d more packages could not be compared", len(details)-i)})
			break
		}
		r.Gaps = append(r.Gaps, bulwark.Gap{Kind: bulwark.GapAdvisory, Detail: d})
	}
	r.Uncovered = slices.Sorted(maps.Keys(m.uncovered))
	r.Unwatched = slices.Sorted(maps.Keys(m.unwatched))
	return r
}

// known gives every record of the database that has an id as its own or as an
// alias. Bulwark's own facts are none: they do not rate what others tell.
func (m *matcher) known(id string) ([]*index.Record, error) {
	if r, ok := m.aliases[id]; ok {
		return r, nil
	}
	var out []*index.Record
	for _, base := range m.db.order {
		more, err := m.lookup(m.db.segments[base], id)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	if m.aliases == nil {
		m.aliases = map[string][]*index.Record{}
	}
	m.aliases[id] = out
	return out, nil
}

// lookup gives the records of a segment that have an id as their own or as an
// alias.
func (m *matcher) lookup(seg *index.Segment, id string) ([]*index.Record, error) {
	if err := seg.Check(); err != nil {
		return nil, err
	}
	ords, err := seg.Lookup(id)
	if err != nil {
		return nil, err
	}
	var out []*index.Record
	for _, ord := range ords[:min(len(ords), 16)] {
		r, err := m.record(seg, ord)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
