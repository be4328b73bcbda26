// SPDX-License-Identifier: Apache-2.0

package osv

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bulwark-sec/bulwark"
)

// Limits of one record. What is longer is cut, with the exception of the file
// itself, which is an error.
const (
	maxRecord     = 32 << 20 // bytes of JSON; the largest public records are near 10 MiB
	maxSummary    = 300      // bytes
	maxDetails    = 2000     // bytes; the reference has the rest
	maxReferences = 30
	maxIDs        = 4000 // aliases, upstream or related ids
	maxSymbols    = 2000 // for each package; more are as good as none
	maxSystem     = 20   // bytes of the name of a system
	maxSystems    = 100  // Go has about thirty
)

// record is an OSV record (https://ossf.github.io/osv-schema/), as much of it as
// is used. Members that public records fill in freely are kept raw.
type record struct {
	ID         string          `json:"id"`
	Modified   text            `json:"modified"`
	Published  text            `json:"published"`
	Withdrawn  string          `json:"withdrawn"`
	Aliases    []string        `json:"aliases"`
	Upstream   []string        `json:"upstream"`
	Related    []string        `json:"related"`
	Summary    text            `json:"summary"`
	Details    text            `json:"details"`
	Severity   []severity      `json:"severity"`
	Affected   []affected      `json:"affected"`
	References []reference     `json:"references"`
	Database   json.RawMessage `json:"database_specific"`
}

// text is a string that nothing depends on: what is no string is "".
type text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
	}
	return nil
}

type reference struct {
	URL text `json:"url"`
}

type severity struct {
	Type  text `json:"type"`
	Score text `json:"score"`
}

type affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Severity  []severity      `json:"severity"`
	Ranges    []ranges        `json:"ranges"`
	Versions  []string        `json:"versions"`
	Ecosystem json.RawMessage `json:"ecosystem_specific"`
	Database  json.RawMessage `json:"database_specific"`
}

type ranges struct {
	Type   string  `json:"type"`
	Events []event `json:"events"`
}

type event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
}

// Parse gives every record below fsys, sorted by file name. A file that is not
// a record gives an error that names it, and the next one is read. Withdrawn
// records are given with Withdrawn set.
func (f Feed) Parse(ctx context.Context, fsys fs.FS) iter.Seq2[bulwark.Advisory, error] {
	return func(yield func(bulwark.Advisory, error) bool) {
		err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if d.IsDir() || path.Ext(name) != ".json" {
				return nil
			}
			a, err := f.read(fsys, name)
			if err != nil {
				err = fmt.Errorf("read record %q: %w", name, err)
			}
			if !yield(a, err) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(bulwark.Advisory{}, fmt.Errorf("walk records: %w", err))
		}
	}
}

func (f Feed) read(fsys fs.FS, name string) (bulwark.Advisory, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return bulwark.Advisory{}, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxRecord+1))
	if err != nil {
		return bulwark.Advisory{}, err
	}
	if len(b) > maxRecord {
		return bulwark.Advisory{}, fmt.Errorf("limit of %d bytes: %w", maxRecord, bulwark.ErrTooLarge)
	}
	return f.Record(b)
}

// rejected begins the description of a CVE that its numbering authority has taken
// back (https://www.cve.org/ResourcesSupport/Glossary#glossaryRejected). Some feeds
// copy it and do not withdraw their record.
const rejected = "Rejected reason:"

// Record reads one OSV record.
func (f Feed) Record(b []byte) (bulwark.Advisory, error) {
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return bulwark.Advisory{}, err
	}
	if r.ID == "" || len(r.ID) > 200 || strings.ContainsAny(r.ID, "\x00\n\r") {
		return bulwark.Advisory{}, fmt.Errorf("id %q: %w", cut(r.ID, 80), bulwark.ErrUnsupported)
	}
	db := specifics(r.Database)
	a := bulwark.Advisory{
		ID:         r.ID,
		Aliases:    ids(r.Aliases, r.ID),
		Upstream:   ids(r.Upstream, r.ID),
		Related:    ids(r.Related, r.ID),
		Summary:    cut(oneLine(string(r.Summary)), maxSummary),
		Details:    cut(strings.TrimSpace(string(r.Details)), maxDetails),
		Published:  when(string(r.Published)),
		Modified:   when(string(r.Modified)),
		Withdrawn:  when(r.Withdrawn),
		CWEs:       db.strings("cwe_ids"),
		Exploited:  f.Own && string(db["exploited"]) == "true",
		References: urls(r.References),
		Feed:       f.Name(),
	}
	if r.Withdrawn != "" && a.Withdrawn.IsZero() {
		a.Withdrawn = time.Unix(0, 0).UTC() // withdrawn at a time that cannot be read
	}
	if a.Withdrawn.IsZero() && strings.HasPrefix(a.Details, rejected) {
		a.Withdrawn = cmp.Or(a.Modified, time.Unix(0, 0).UTC())
	}
	base := f.Ecosystem
	if base == "" && len(r.Affected) > 0 {
		base, _, _ = strings.Cut(r.Affected[0].Package.Ecosystem, ":")
	}
	a.CVSS, a.Score = vector(r.Severity)
	a.Severity, a.SeverityBy = rating(&r, db, base)
	if a.CVSS == "" {
		a.Score = db.score("cvss_score")
	}
	for i := range r.Affected {
		p := &r.Affected[i]
		if p.Package.Name == "" || p.Package.Ecosystem == "" {
			continue // only of use to those who match commits
		}
		if row, ok := f.affected(p, &r); ok {
			a.Affected = append(a.Affected, row)
		}
	}
	return a, nil
}

// affected reads one affected package; false when it names no versions.
func (f Feed) affected(p *affected, r *record) (bulwark.Affected, bool) {
	a := bulwark.Affected{Ecosystem: p.Package.Ecosystem, Name: p.Package.Name, Versions: p.Versions}
	for _, g := range p.Ranges {
		if g.Type == "GIT" {
			continue // commits are not versions
		}
		a.Ranges = append(a.Ranges, f.pair(a.Ecosystem, g.Events)...)
	}
	if len(a.Ranges) == 0 && len(a.Versions) == 0 {
		return a, false
	}
	eco, db := specifics(p.Ecosystem), specifics(p.Database)
	a.CVSS, _ = vector(p.Severity)
	if a.CVSS == "" && len(r.Severity) == 0 {
		if v := db.string("cvss"); strings.HasPrefix(v, "CVSS:") {
			a.CVSS, _ = vector([]severity{{Score: text(v)}})
		}
	}
	a.Severity = worded(p.Severity, eco.string("severity"), eco.string("urgency"), db.string("severity"))
	if a.Severity == bulwark.SeverityUnknown {
		a.Severity = informational(db.string("informational"))
	}
	a.Symbols, a.Systems = symbols(eco)
	a.Module = module(&a, r)
	return a, true
}

// pair turns the events of a range into stretches of versions, by the order of
// the ecosystem: events need not be sorted, and one list may hold several
// stretches (https://ossf.github.io/osv-schema/#evaluation).
func (f Feed) pair(ecosystem string, events []event) []bulwark.Range {
	type step struct {
		version string
		kind    int // 0 introduced, 1 fixed, 2 last affected
	}
	var steps []step
	for _, e := range events {
		for kind, v := range []string{e.Introduced, e.Fixed, e.LastAffected} {
			if v != "" {
				steps = append(steps, step{v, kind})
			}
		}
	}
	sortable := f.Compare != nil
	order := func(x, y step) int {
		switch {
		case x.kind == 0 && x.version == "0", y.kind == 0 && y.version == "0":
			return cmp.Compare(btoi(y.kind == 0 && y.version == "0"), btoi(x.kind == 0 && x.version == "0"))
		case !sortable || x.version == y.version:
			return 0
		}
		c, err := f.Compare(ecosystem, x.version, y.version)
		if err != nil {
			sortable = false // from here on as they were written
		}
		return c
	}
	// Equal steps keep their order: "fixed 1.2, introduced 1.2" goes on,
	// "introduced 1.2, fixed 1.2" is empty.
	if written := slices.Clone(steps); sortable {
		slices.SortStableFunc(steps, order)
		if !sortable {
			steps = written
		}
	}
	var out []bulwark.Range
	open := -1
	for i, s := range steps {
		switch {
		case s.kind == 0 && open < 0:
			open = i
		case s.kind == 0 && !sortable:
			// Unsorted and not closed: it cannot be told where the first ended.
			out = append(out, bulwark.Range{Introduced: steps[open].version})
			open = i
		case s.kind == 1 && open >= 0:
			out = append(out, bulwark.Range{Introduced: steps[open].version, Fixed: s.version})
			open = -1
		case s.kind == 2 && open >= 0:
			out = append(out, bulwark.Range{Introduced: steps[open].version, LastAffected: s.version})
			open = -1
		}
	}
	if open >= 0 {
		out = append(out, bulwark.Range{Introduced: steps[open].version})
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// when reads an RFC 3339 time with any number of digits behind the second; what
// cannot be read is the zero time.
func when(s string) time.Time {
	if len(s) > 64 {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// ids gives the distinct ids of list without own, in their order.
func ids(list []string, own string) []string {
	var out []string
	seen := map[string]bool{own: true, "": true}
	for _, id := range list {
		id = strings.TrimSpace(id)
		if seen[id] || len(id) > 200 || len(out) >= maxIDs {
			continue
		}
		seen[id] = true
		out = append(out, id)
	}
	return out
}

func urls(list []reference) []string {
	var out []string
	for _, r := range list {
		u := string(r.URL)
		ok := strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://")
		if ok && len(u) <= 1000 && len(out) < maxReferences && !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// cut shortens s to at most n bytes without breaking a character.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// specific is a JSON object whose members nobody promised anything about.
type specific map[string]json.RawMessage

func specifics(raw json.RawMessage) specific {
	var m specific
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func (m specific) string(key string) string {
	var s string
	if raw, ok := m[key]; !ok || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func (m specific) strings(key string) []string {
	var s []string
	if raw, ok := m[key]; !ok || json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return ids(s, "")
}

func (m specific) score(key string) float64 {
	var f float64
	if raw, ok := m[key]; !ok || json.Unmarshal(raw, &f) != nil || f < 0 || f > 10 {
		return 0
	}
	return f
}

// symbols gives the functions that a Go advisory names, and the packages of
// which it names none, for they are affected as a whole, and for each the systems
// that it is flawed on; nil when that is all for all
// (https://go.dev/doc/security/vuln/database#schema).
func symbols(eco specific) (out, systems []string) {
	var imports []struct {
		Path    string   `json:"path"`
		Symbols []string `json:"symbols"`
		OS      []string `json:"goos"`
		Arch    []string `json:"goarch"`
	}
	if raw, ok := eco["imports"]; !ok || json.Unmarshal(raw, &imports) != nil {
		return nil, nil
	}
	some := false
	for _, i := range imports {
		if i.Path == "" {
			return nil, nil
		}
		if len(i.Symbols) == 0 {
			out = append(out, i.Path+".*")
		}
		for _, s := range i.Symbols {
			out = append(out, i.Path+"."+s)
		}
		if len(out) > maxSymbols {
			return nil, nil
		}
		on := system(i.OS, i.Arch)
		for len(systems) < len(out) {
			systems = append(systems, on)
		}
		some = some || on != ""
	}
	if !some {
		systems = nil
	}
	return out, systems
}

// system writes what a part of an advisory is about, as Affected has it. Names
// that are none are about every system: nothing is hidden by them.
func system(os, arch []string) string {
	for _, n := range slices.Concat(os, arch) {
		if len(n) > maxSystem || strings.Trim(n, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || n == "" {
			return ""
		}
	}
	if len(os)+len(arch) > maxSystems {
		return ""
	}
	s := strings.Join(os, ",")
	if len(arch) > 0 {
		s += "/" + strings.Join(arch, ",")
	}
	return s
}
