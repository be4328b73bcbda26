// SPDX-License-Identifier: Apache-2.0

// Package view is what a person wants to know of a report: counts, groups,
// places and the limits of the answer, in words. It does not know how they are
// laid out. Strings of the report are handed on as they are; who shows them
// makes them safe.
package view

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
)

// A View is a report with indexes beside it. It is safe for concurrent use as
// long as the report does not change.
type View struct {
	*bulwark.Report
	packages map[string]*bulwark.Package // by purl, the first of each
	layers   map[bulwark.Digest]int      // numbers from 1, oldest first
	findings map[string]*bulwark.Finding // by id
}

// New gives the view of r.
func New(r *bulwark.Report) *View {
	v := &View{
		Report:   r,
		packages: make(map[string]*bulwark.Package, len(r.Inventory.Packages)),
		layers:   make(map[bulwark.Digest]int, len(r.Inventory.Layers)),
		findings: make(map[string]*bulwark.Finding, len(r.Findings)),
	}
	for i := range r.Inventory.Packages {
		if p := &r.Inventory.Packages[i]; v.packages[p.PURL] == nil {
			v.packages[p.PURL] = p
		}
	}
	for i, l := range r.Inventory.Layers {
		if l.DiffID != "" && v.layers[l.DiffID] == 0 {
			v.layers[l.DiffID] = i + 1
		}
	}
	for i := range r.Findings {
		v.findings[r.Findings[i].ID] = &r.Findings[i]
	}
	return v
}

// Package gives the package that f is about, nil when it is about none that the
// inventory has.
func (v *View) Package(f *bulwark.Finding) *bulwark.Package { return v.packages[f.Subject] }

// Advisory gives what is known of f's vulnerability; the zero Advisory when the
// report does not say.
func (v *View) Advisory(f *bulwark.Finding) bulwark.Advisory {
	if f.Class != bulwark.ClassVulnerability {
		return bulwark.Advisory{}
	}
	return v.Advisories[f.Rule]
}

// Title gives one line on what f claims; "" when nobody said.
func (v *View) Title(f *bulwark.Finding) string {
	if f.Class == bulwark.ClassVulnerability {
		a := v.Advisories[f.Rule]
		if a.Summary != "" {
			return a.Summary
		}
		line, _, _ := strings.Cut(strings.TrimSpace(a.Details), "\n")
		return line
	}
	return v.Rules[f.Rule].Title
}

// Place gives the first piece of evidence, the zero Evidence when there is none.
func (v *View) Place(f *bulwark.Finding) bulwark.Evidence {
	if len(f.Evidence) == 0 {
		return bulwark.Evidence{}
	}
	return f.Evidence[0]
}

// Where gives a place in words: "etc/passwd:3, layer 2, deleted by layer 5".
func (v *View) Where(l bulwark.Location) string {
	s := l.Path
	if l.Line > 0 {
		s += fmt.Sprintf(":%d", l.Line)
	}
	if layer := v.Layer(l); layer != "" {
		if s != "" {
			s += ", "
		}
		s += layer
	}
	return s
}

// shortCommit is how many digits of a commit are shown, as git does.
const shortCommit = 7

// Since says in words which commit brought what is at a place: "since 3f2a91c by
// A. Author, 2024-05-01"; "" when that is not known.
func (v *View) Since(l bulwark.Location) string {
	c := l.Since
	switch {
	case c == nil:
		return ""
	case c.Commit == "":
		return "not committed yet"
	}
	s := "since " + c.Commit[:min(shortCommit, len(c.Commit))]
	if c.Older {
		s += " or before"
	}
	if who := cmp.Or(c.Author, c.Mail); who != "" && !c.Older {
		s += " by " + who
	}
	if !c.Date.IsZero() {
		s += ", " + c.Date.Format(time.DateOnly)
	}
	return s
}

// Layer gives the layer part of a place in words; "" outside layers.
func (v *View) Layer(l bulwark.Location) string {
	if l.Layer == "" || len(v.Inventory.Layers) < 2 && l.Deleted == "" {
		return ""
	}
	s := v.layer(l.Layer)
	if l.Deleted != "" {
		s += ", deleted by " + v.layer(l.Deleted)
	}
	return s
}

func (v *View) layer(d bulwark.Digest) string {
	if n := v.layers[d]; n > 0 {
		return fmt.Sprintf("layer %d", n)
	}
	return "layer " + d.Short()
}

// A Tally counts findings by severity.
type Tally [bulwark.SeverityCritical + 1]int

// Add counts one more; a severity outside the scale counts as unknown.
func (t *Tally) Add(s bulwark.Severity) {
	if s < 0 || int(s) >= len(t) {
		s = bulwark.SeverityUnknown
	}
	t[s]++
}

// Total gives the sum.
func (t *Tally) Total() int {
	n := 0
	for _, c := range t {
		n += c
	}
	return n
}

// Words gives what is not zero, worst first: "2 critical, 5 high".
func (t *Tally) Words() string {
	var parts []string
	for _, s := range bulwark.Severities() {
		if n := t[s]; n > 0 {
			parts = append(parts, text.Count(n)+" "+s.String())
		}
	}
	return strings.Join(parts, ", ")
}

// A Line is the count of one class.
type Line struct {
	Class   bulwark.Class
	Name    string // "vulnerabilities"
	Open    Tally
	Fixable int // open ones with a known fix
}

// Lines counts the open findings of each class that the report has, in the
// order of [Classes]; vulnerabilities are always there, first.
func (v *View) Lines() []Line {
	by := map[bulwark.Class]*Line{bulwark.ClassVulnerability: {}}
	for i := range v.Findings {
		f := &v.Findings[i]
		if !f.Status.Open() {
			continue
		}
		l := by[f.Class]
		if l == nil {
			l = &Line{}
			by[f.Class] = l
		}
		l.Open.Add(f.Severity)
		if f.Fix != "" {
			l.Fixable++
		}
	}
	var lines []Line
	for _, c := range Classes(v.Report) {
		if l := by[c]; l != nil {
			l.Class, l.Name = c, ClassName(c)
			lines = append(lines, *l)
		}
	}
	return lines
}

// Classes lists vulnerability and the classes of r's findings, in a fixed order.
func Classes(r *bulwark.Report) []bulwark.Class {
	order := []bulwark.Class{
		bulwark.ClassVulnerability, bulwark.ClassMalware, bulwark.ClassSecret, bulwark.ClassMisconfiguration,
		bulwark.ClassCompliance, bulwark.ClassTrust, bulwark.ClassLicense, bulwark.ClassBehaviour,
		bulwark.ClassNetwork, bulwark.ClassDataLeak,
	}
	seen := map[bulwark.Class]bool{bulwark.ClassVulnerability: true}
	var others []bulwark.Class
	for i := range r.Findings {
		c := r.Findings[i].Class
		if !seen[c] {
			seen[c] = true
			if !slices.Contains(order, c) {
				others = append(others, c)
			}
		}
	}
	slices.Sort(others)
	return slices.DeleteFunc(append(order, others...), func(c bulwark.Class) bool { return !seen[c] })
}

// ClassName gives the plural of a class.
func ClassName(c bulwark.Class) string {
	switch c {
	case bulwark.ClassVulnerability:
		return "vulnerabilities"
	case bulwark.ClassSecret:
		return "secrets"
	case bulwark.ClassMisconfiguration:
		return "misconfigurations"
	case bulwark.ClassMalware, bulwark.ClassCompliance, bulwark.ClassTrust:
		return string(c)
	case bulwark.ClassLicense:
		return "licences"
	case bulwark.ClassDataLeak:
		return "data leaks"
	case "":
		return "without class"
	}
	return string(c)
}

// Open gives the open findings of a class, worst first and else as reported.
func (v *View) Open(c bulwark.Class) []*bulwark.Finding {
	var list []*bulwark.Finding
	for i := range v.Findings {
		if f := &v.Findings[i]; f.Class == c && f.Status.Open() {
			list = append(list, f)
		}
	}
	slices.SortStableFunc(list, v.compare)
	return list
}

// Closed gives the findings that do not count, worst first and else as reported.
func (v *View) Closed() []*bulwark.Finding {
	var list []*bulwark.Finding
	for i := range v.Findings {
		if f := &v.Findings[i]; !f.Status.Open() {
			list = append(list, f)
		}
	}
	slices.SortStableFunc(list, v.compare)
	return list
}

func (v *View) compare(a, b *bulwark.Finding) int {
	if c := cmp.Compare(b.Severity, a.Severity); c != 0 {
		return c
	}
	x, y := v.Advisory(a), v.Advisory(b)
	if x.Exploited != y.Exploited {
		if x.Exploited {
			return -1
		}
		return 1
	}
	return cmp.Compare(y.EPSS, x.EPSS)
}

// A Group is the open vulnerabilities of one package, or of several that were
// built from one source and have the same ones.
type Group struct {
	Names    []string           // of the packages, as the inventory has them
	Version  string             // installed
	Package  *bulwark.Package   // the first; nil when the inventory does not have it
	Findings []*bulwark.Finding // of the first, worst first
	Open     Tally              // of the first
}

// Total counts the findings of all packages of the group.
func (g *Group) Total() int { return len(g.Findings) * len(g.Names) }

// Name gives the names in one line: "libssl3, openssl".
func (g *Group) Name() string { return list3(g.Names) }

// Groups gives the open vulnerabilities by package, most dangerous package
// first: by worst severity, known exploitation, EPSS, number, name.
func (v *View) Groups() []Group {
	var groups []Group
	at := map[string]int{}
	for _, f := range v.Open(bulwark.ClassVulnerability) { // so the first of each group is its worst
		i, ok := at[f.Subject]
		if !ok {
			i = len(groups)
			at[f.Subject] = i
			g := Group{Package: v.Package(f)}
			name := ""
			if g.Package != nil {
				name, g.Version = g.Package.Name, g.Package.Version
			} else {
				name, g.Version = purlName(f.Subject)
			}
			g.Names = []string{name}
			groups = append(groups, g)
		}
		groups[i].Findings = append(groups[i].Findings, f)
		groups[i].Open.Add(f.Severity)
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(v.compare(a.Findings[0], b.Findings[0]),
			cmp.Compare(len(b.Findings), len(a.Findings)),
			strings.Compare(a.Names[0], b.Names[0]), strings.Compare(a.Version, b.Version))
	})
	merged := groups[:0]
	same := map[string]int{}
	for _, g := range groups {
		key := g.signature()
		if i, ok := same[key]; ok && key != "" {
			merged[i].Names = append(merged[i].Names, g.Names...)
			continue
		}
		same[key] = len(merged)
		merged = append(merged, g)
	}
	return merged
}

// signature is the same for groups that would be shown alike; "" for a package
// without a source package.
func (g *Group) signature() string {
	if g.Package == nil || g.Package.Source == "" {
		return ""
	}
	h := sha256.New()
	for _, s := range []string{g.Package.Ecosystem, g.Package.Source, g.Version, g.Package.Module} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	for _, f := range g.Findings {
		fmt.Fprintf(h, "%d:%s%d:%s%d", len(f.Rule), f.Rule, len(f.Fix), f.Fix, f.Severity)
	}
	return string(h.Sum(nil))
}

// SubjectName gives a short name of what f is about.
func (v *View) SubjectName(f *bulwark.Finding) (name, version string) {
	if p := v.Package(f); p != nil {
		return p.Name, p.Version
	}
	if f.Subject != "" && f.Subject == string(v.Artifact.ID) {
		return v.ArtifactName(), ""
	}
	return purlName(f.Subject)
}

// purlName gives the name and version inside a package URL, or the whole of
// anything else.
func purlName(s string) (name, version string) {
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok {
		return s, ""
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	if i := strings.LastIndexByte(rest, '@'); i > 0 {
		rest, version = rest[:i], rest[i+1:]
	}
	if _, after, ok := strings.Cut(rest, "/"); ok {
		rest = after
	}
	return unescape(rest), unescape(version)
}

func unescape(s string) string {
	if t, err := url.PathUnescape(s); err == nil {
		return t
	}
	return s
}

// A Removal says what an action does away with.
type Removal struct {
	bulwark.Action
	Open  Tally // by severity, of the findings that the report has
	Total int
}

// Removals gives the actions with what they remove, at most limit of them.
func (v *View) Removals(limit int) []Removal {
	var list []Removal
	for _, a := range v.Actions[:min(limit, len(v.Actions))] {
		r := Removal{Action: a, Total: len(a.Findings)}
		for _, id := range a.Findings {
			if f := v.findings[id]; f != nil {
				r.Open.Add(f.Severity)
			}
		}
		list = append(list, r)
	}
	return list
}

// Words gives "removes 14: 2 critical, 5 high", the two worst severities only.
func (r *Removal) Words() string {
	var parts []string
	for _, s := range bulwark.Severities() {
		if n := r.Open[s]; n > 0 && len(parts) < 2 {
			parts = append(parts, text.Count(n)+" "+s.String())
		}
	}
	if len(parts) == 0 {
		return "removes " + text.Count(r.Total)
	}
	return "removes " + text.Count(r.Total) + ": " + strings.Join(parts, ", ")
}

// StateName gives a state of a finding in words.
func StateName(state string) string {
	switch state {
	case bulwark.StateOpen:
		return "open"
	case bulwark.StateNotAffected:
		return "not affected"
	case bulwark.StateKnown:
		return "known before"
	}
	return state
}

// States counts findings by the name of their state: "2 accepted, 1 fixed".
func States(list []*bulwark.Finding) string {
	count := map[string]int{}
	var names []string
	for _, f := range list {
		n := StateName(f.Status.State)
		if count[n]++; count[n] == 1 {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for i, n := range names {
		names[i] = text.Count(count[n]) + " " + n
	}
	return strings.Join(names, ", ")
}

// StatusWords says on whose word a finding does not count and for how long.
func StatusWords(s bulwark.Status) string {
	var parts []string
	if s.Reason != "" {
		parts = append(parts, s.Reason)
	}
	if s.By != "" {
		parts = append(parts, "says "+s.By)
	}
	if s.Owner != "" {
		parts = append(parts, "owner "+s.Owner)
	}
	if s.Until != "" {
		parts = append(parts, "until "+s.Until)
	}
	return strings.Join(parts, "; ")
}
