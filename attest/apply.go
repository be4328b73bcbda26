// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// An Unused is a statement that changed nothing, and why. Reports show it: a
// statement that somebody wrote and that matches nothing is mostly a mistake.
type Unused struct {
	Document  string // name of the document
	Index     int    // of the statement in the document, from 0
	Statement Statement
	Why       string // one sentence for a person
}

// Gap tells of the statement in the form that a report shows.
func (u *Unused) Gap() bulwark.Gap {
	return bulwark.Gap{Kind: bulwark.GapSkipped, Detail: fmt.Sprintf("statement %d of %q about %q: %s", u.Index+1, u.Document, clip(u.Statement.Vulnerability), u.Why)}
}

// toldOf is how many unused statements of one document are told one by one. One
// that is written for an artifact has few; a vendor's is about all its products.
const toldOf = 10

// Gaps tells of unused statements, in their order: the first ten of each document,
// and how many more it has.
func Gaps(unused []Unused) []bulwark.Gap {
	var out []bulwark.Gap
	for len(unused) > 0 {
		n := 1
		for n < len(unused) && unused[n].Document == unused[0].Document {
			n++
		}
		for i := range min(n, toldOf) {
			out = append(out, unused[i].Gap())
		}
		if n > toldOf {
			out = append(out, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: fmt.Sprintf("%d more statements of %q have no effect", n-toldOf, unused[0].Document)})
		}
		unused = unused[n:]
	}
	return out
}

// Apply sets the Status of vulnerability findings that docs state to be not
// affected or fixed, in place, and gives how many it set. Findings that are not
// open stay as they are. inv and a, which may be nil, say which products the
// statements may be about; advisories, which may be nil, are those of the
// report by rule and give the findings' aliases.
//
// Of several statements about one vulnerability of one package the newest
// counts; among equally new ones, the one that leaves the finding open. A
// finding about several vulnerabilities (a distribution's advisory) is closed
// when there is a closing statement for each of them.
//
// Statements that matched no finding are given back, in order.
func Apply(findings []bulwark.Finding, inv *bulwark.Inventory, a *bulwark.Artifact, advisories map[string]bulwark.Advisory, docs []Document) (applied int, unused []Unused) {
	m := newMatcher(inv, a, docs)
	for i := range findings {
		f := &findings[i]
		if f.Class != bulwark.ClassVulnerability {
			continue
		}
		won := m.judge(f, advisories[f.Rule])
		if len(won) == 0 || !f.Status.Open() {
			continue
		}
		f.Status = status(won)
		applied++
	}
	for _, c := range m.claims {
		if c.used {
			continue
		}
		doc := &docs[c.doc]
		unused = append(unused, Unused{Document: doc.Name, Index: c.index, Statement: doc.Statements[c.index], Why: c.why()})
	}
	return applied, unused
}

// A claim is a statement made ready for comparing.
type claim struct {
	doc, index int
	source     string // who says so
	stmt       *Statement
	products   []product

	used  bool   // it was about a finding
	known bool   // its vulnerability was found
	among string // rule of a finding that is about other vulnerabilities, too, which stay open
}

type product struct {
	component
	subs     []component
	artifact bool       // it is the artifact
	platform bool       // it is the distribution that the artifact stands on
	whole    bool       // one of subs is the artifact
	outside  bool       // what it must be in is not what is looked at
	packages []*subject // it is these packages of the inventory; looked up for subcomponents only
}

func (c *claim) why() string {
	switch {
	case c.among != "":
		return fmt.Sprintf("%s is about other vulnerabilities, too, which no statement closes", c.among)
	case !c.known:
		return "this vulnerability was not found"
	case len(c.products) == 0:
		return "it names no product"
	}
	return "its products are not those in which the vulnerability was found"
}

type matcher struct {
	claims   []*claim
	byName   map[string][]*claim // upper-case vulnerability → claims about it
	packages map[string]*bulwark.Package
	subjects map[string]*subject
}

func newMatcher(inv *bulwark.Inventory, a *bulwark.Artifact, docs []Document) *matcher {
	m := &matcher{byName: map[string][]*claim{}, packages: map[string]*bulwark.Package{}, subjects: map[string]*subject{}}
	// byBare finds the packages that a product with subcomponents may be.
	byBare := map[string][]*subject{}
	if inv != nil {
		for i := range inv.Packages {
			p := &inv.Packages[i]
			m.packages[p.PURL] = p
			s := m.subject(p.PURL)
			names := []string{s.purl.Name}
			if p.Source != "" && p.Source != s.purl.Name {
				names = append(names, p.Source)
			}
			for _, n := range names {
				byBare[bare(s.purl.Type, n)] = append(byBare[bare(s.purl.Type, n)], s)
			}
		}
	}
	id, os := newIdentity(a), newPlatform(inv)
	for d := range docs {
		for i := range docs[d].Statements {
			s := &docs[d].Statements[i]
			c := &claim{doc: d, index: i, stmt: s, source: docs[d].Name}
			if docs[d].ID != "" {
				c.source = docs[d].ID
			}
			for _, p := range s.Products {
				out := product{component: newComponent(p.Component)}
				out.artifact, out.platform = id.is(&out.component), os.is(p.Component)
				for _, sub := range p.Subcomponents {
					c := newComponent(sub)
					out.whole = out.whole || id.is(&c)
					out.subs = append(out.subs, c)
				}
				for _, outer := range p.Within {
					c := newComponent(outer)
					out.outside = out.outside || !os.is(outer) && !id.is(&c)
				}
				if len(out.subs) > 0 && !out.artifact {
					for _, want := range out.purls {
						for _, have := range byBare[bare(want.Type, want.Name)] {
							if have.is(&out.component) {
								out.packages = append(out.packages, have)
							}
						}
					}
				}
				c.products = append(c.products, out)
			}
			m.claims = append(m.claims, c)
			names := map[string]bool{}
			for _, n := range append([]string{s.Vulnerability}, s.Aliases...) {
				if n = strings.ToUpper(n); !names[n] {
					names[n] = true
					m.byName[n] = append(m.byName[n], c)
				}
			}
		}
	}
	return m
}

func bare(kind, name string) string { return kind + "/" + strings.ToLower(name) }

func (m *matcher) subject(purl string) *subject {
	s, ok := m.subjects[purl]
	if !ok {
		s = newSubject(purl, m.packages[purl])
		m.subjects[purl] = s
	}
	return s
}

// judge gives the statements that close f, one for each vulnerability that it
// is about; none when it stays open.
func (m *matcher) judge(f *bulwark.Finding, a bulwark.Advisory) []*claim {
	own := append([]string{f.Rule}, a.Aliases...)
	if len(a.Upstream) == 1 {
		own = append(own, a.Upstream[0])
	}
	if c := m.newest(f, own); c != nil {
		c.used = true
		if !c.stmt.Status.closes() {
			return nil
		}
		return []*claim{c}
	}
	if len(a.Upstream) < 2 {
		return nil
	}
	var won []*claim
	closed := true
	for _, name := range a.Upstream {
		c := m.newest(f, []string{name})
		if c == nil || !c.stmt.Status.closes() {
			closed = false
		}
		if c != nil {
			won = append(won, c)
		}
	}
	for _, c := range won {
		if closed || !c.stmt.Status.closes() {
			c.used = true
		} else if !c.used {
			c.among = f.Rule
		}
	}
	if !closed {
		return nil
	}
	return won
}

// newest gives the claim that counts for f under one of the names.
func (m *matcher) newest(f *bulwark.Finding, names []string) *claim {
	var best *claim
	for _, n := range names {
		for _, c := range m.byName[strings.ToUpper(n)] {
			c.known = true
			if c == best || !m.about(c, f) {
				continue
			}
			if best == nil || newer(c, best) {
				best, c = c, best
			}
			if c != nil { // overruled, and rightly so
				c.used = true
			}
		}
	}
	return best
}

func newer(a, b *claim) bool {
	if c := a.stmt.Timestamp.Compare(b.stmt.Timestamp); c != 0 {
		return c > 0
	}
	if a.stmt.Status.closes() != b.stmt.Status.closes() {
		return b.stmt.Status.closes()
	}
	return a.doc > b.doc || a.doc == b.doc && a.index > b.index
}

// about tells whether one of the claim's products holds f.
func (m *matcher) about(c *claim, f *bulwark.Finding) bool {
	s := m.subject(f.Subject)
	for i := range c.products {
		p := &c.products[i]
		if p.outside {
			continue
		}
		if len(p.subs) == 0 {
			if p.artifact || s.is(&p.component) {
				return true
			}
			continue
		}
		if !p.artifact && !p.platform && len(p.packages) == 0 {
			continue
		}
		if p.whole && (p.artifact || p.platform) {
			return true
		}
		for j := range p.subs {
			if !s.is(&p.subs[j]) {
				continue
			}
			if p.artifact || p.platform && s.installed() {
				return true
			}
			for _, pkg := range p.packages {
				if s == pkg || s.within(pkg, f) {
					return true
				}
			}
		}
	}
	return false
}

// status gives the finding's status on the word of the claims that won.
func status(won []*claim) bulwark.Status {
	s := bulwark.Status{State: bulwark.StateFixed, By: won[0].source}
	var reasons []string
	for _, c := range won {
		if c.stmt.Status == VEXNotAffected {
			s.State = bulwark.StateNotAffected
		}
		r := c.stmt.Justification
		for _, words := range []string{c.stmt.Impact, c.stmt.Notes} {
			if words != "" && r != "" {
				r += ": " + words
				break
			} else if words != "" {
				r = words
				break
			}
		}
		if r == "" && c.stmt.Status == VEXNotAffected {
			r = "no reason is given" // CSAF and CycloneDX allow that
		}
		if len(won) > 1 {
			r = strings.TrimSuffix(c.stmt.Vulnerability+" "+r, " ")
		}
		if r != "" {
			reasons = append(reasons, r)
		}
	}
	s.Reason = strings.Join(reasons, "; ")
	return s
}
