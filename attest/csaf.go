// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// The model is our own: the well-kept module for CSAF (gocsaf/csaf, 3.6.0) takes
// hashes of a product for an object where the schema has a list, and brings a
// client, a provider and a database with it.
type rawCSAF struct {
	Document struct {
		Category  string `json:"category"`
		Version   string `json:"csaf_version"`
		Publisher struct {
			Name string `json:"name"`
		} `json:"publisher"`
		Tracking struct {
			ID      string `json:"id"`
			Current string `json:"current_release_date"`
		} `json:"tracking"`
	} `json:"document"`
	Tree            rawTree         `json:"product_tree"`
	Vulnerabilities []rawCSAFEntity `json:"vulnerabilities"`
}

// A rawCSAFEntity is what a document says of one vulnerability.
type rawCSAFEntity struct {
	CVE   string `json:"cve"`
	Title string `json:"title"`
	IDs   []struct {
		Text string `json:"text"`
	} `json:"ids"`
	Status       map[string][]string `json:"product_status"`
	Flags        []rawAbout          `json:"flags"`
	Threats      []rawAbout          `json:"threats"`
	Remediations []rawAbout          `json:"remediations"`
}

// A rawAbout is a flag, a threat or a remediation, and the products it is about.
type rawAbout struct {
	Label    string   `json:"label"`
	Category string   `json:"category"`
	Details  string   `json:"details"`
	Products []string `json:"product_ids"`
	Groups   []string `json:"group_ids"`
}

// A csafStatus is a list of product_status.
type csafStatus struct {
	list   string
	status VEXStatus // that it gives products
}

// csafStatuses gives what each list of product_status says, in the order in which
// statements come. recommended says nothing of a vulnerability.
var csafStatuses = []csafStatus{
	{"known_not_affected", VEXNotAffected},
	{"fixed", VEXFixed},
	{"first_fixed", VEXFixed},
	{"known_affected", VEXAffected},
	{"first_affected", VEXAffected},
	{"last_affected", VEXAffected},
	{"under_investigation", VEXUnderInvestigation},
}

// parseCSAF reads a CSAF document. A product that the product tree does not
// define names nothing; a justification must say which products it is of.
func parseCSAF(data []byte) (Document, error) {
	fail := func(format string, args ...any) (Document, error) {
		return Document{}, fmt.Errorf("csaf: "+format, args...)
	}
	var raw rawCSAF
	if err := json.Unmarshal(data, &raw); err != nil {
		return fail("%w", err)
	}
	if v := raw.Document.Version; v != "2.0" {
		return fail("version %q: %s: %w", clip(v), formsRead, bulwark.ErrUnsupported)
	}
	switch raw.Document.Category {
	case "csaf_vex", "csaf_security_advisory":
	default:
		return fail("category %q: %s: %w", clip(raw.Document.Category), formsRead, bulwark.ErrUnsupported)
	}
	doc := Document{ID: raw.Document.Tracking.ID, Author: raw.Document.Publisher.Name}
	var err error
	// Each release states everything anew.
	if doc.Timestamp, err = latest(raw.Document.Tracking.Current); err != nil {
		return fail("%w", err)
	}
	t, err := newTree(&raw.Tree)
	if err != nil {
		return fail("product_tree: %w", err)
	}
	for i := range raw.Vulnerabilities {
		list, err := raw.Vulnerabilities[i].statements(t)
		if err != nil {
			return fail("vulnerabilities[%d]: %w", i, err)
		}
		for j := range list {
			list[j].Timestamp = doc.Timestamp
		}
		if doc.Statements = append(doc.Statements, list...); len(doc.Statements) > maxStatements {
			return fail("more than %d statements: %w", maxStatements, bulwark.ErrTooLarge)
		}
	}
	if len(doc.Statements) == 0 {
		return fail("no vulnerability has a product_status")
	}
	return doc, nil
}

// names gives what the vulnerability is called, the CVE first.
func (r *rawCSAFEntity) names() []string {
	var out []string
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	add(r.CVE)
	for _, id := range r.IDs {
		// Some write the address of the page about it.
		if id.Text = strings.TrimRight(id.Text, "/"); strings.Contains(id.Text, "://") {
			id.Text = id.Text[strings.LastIndexAny(id.Text, "/#")+1:]
		}
		add(id.Text)
	}
	if len(out) == 0 {
		add(r.Title)
	}
	return out
}

// statements gives one statement for each status and reason of it.
func (r *rawCSAFEntity) statements(t *tree) ([]Statement, error) {
	if len(r.Status) == 0 {
		return nil, nil
	}
	names := r.names()
	if len(names) == 0 {
		return nil, errors.New("it has neither cve nor ids nor title")
	}
	if len(names) > maxNames {
		return nil, fmt.Errorf("%d names, limit %d: %w", len(names), maxNames, bulwark.ErrTooLarge)
	}
	for list := range maps.Keys(r.Status) {
		if list != "recommended" && !slices.ContainsFunc(csafStatuses, func(s csafStatus) bool { return s.list == list }) {
			return nil, fmt.Errorf("product_status %q is not one of CSAF 2.0", clip(list))
		}
	}
	reasons, err := r.reasons(t)
	if err != nil {
		return nil, err
	}
	type key struct {
		status VEXStatus
		reason reason
	}
	var out []Statement
	at := map[key]*gathered{}
	for _, s := range csafStatuses {
		for _, id := range r.Status[s.list] {
			chain, err := t.chain(id, 0)
			if err != nil {
				return nil, err
			}
			if t.room -= 1 + len(chain); t.room < 0 {
				return nil, fmt.Errorf("more than %d products and what they are in: %w", maxComponents, bulwark.ErrTooLarge)
			}
			why := reasons.of(id, s.status)
			g := at[key{s.status, why}]
			if g == nil {
				out = append(out, Statement{
					Vulnerability: names[0], Aliases: names[1:], Status: s.status,
					Justification: why.justification, Impact: why.impact, Action: why.action,
				})
				g = &gathered{statement: len(out) - 1, product: map[string]int{}, seen: map[string]bool{}}
				at[key{s.status, why}] = g
			}
			g.add(&out[g.statement], t, id, chain)
		}
	}
	return out, nil
}

// gathered says what is in a statement so far.
type gathered struct {
	statement int
	product   map[string]int  // by ids of what components are in
	seen      map[string]bool // by id
}

// add adds the product to the statement: a chain of three is a component of a
// product that must itself be in another.
func (g *gathered) add(s *Statement, t *tree, id string, chain []string) {
	if g.seen[id] || len(chain) == 0 {
		return
	}
	g.seen[id] = true
	closes := s.Status.closes()
	if len(chain) == 1 {
		s.Products = append(s.Products, Product{Component: t.products[chain[0]].component(closes)})
		return
	}
	outer := strings.Join(chain[1:], "\x00")
	i, ok := g.product[outer]
	if !ok {
		p := Product{Component: t.products[chain[1]].component(closes)}
		for _, w := range chain[2:] {
			p.Within = append(p.Within, t.products[w].component(closes))
		}
		i = len(s.Products)
		g.product[outer] = i
		s.Products = append(s.Products, p)
	}
	s.Products[i].Subcomponents = append(s.Products[i].Subcomponents, t.products[chain[0]].component(closes))
}

// A reason is what is said of a product's status, as far as it goes with it.
type reason struct{ justification, impact, action string }

// reasons are what is said of the products of one vulnerability.
type reasons struct {
	own map[string]reason // by product
	all reason            // where there is none of its own
}

// of gives the part of the reasons that goes with the status.
func (r *reasons) of(id string, status VEXStatus) reason {
	own := r.own[id]
	switch status {
	case VEXNotAffected:
		if own.impact == "" {
			own.impact = r.all.impact
		}
		return reason{justification: own.justification, impact: own.impact}
	case VEXAffected:
		if own.action == "" {
			own.action = r.all.action
		}
		return reason{action: own.action}
	}
	return reason{}
}

func (r *rawCSAFEntity) reasons(t *tree) (*reasons, error) {
	out := &reasons{own: map[string]reason{}}
	each := func(about *rawAbout, set func(*reason)) error {
		ids, err := t.expand(about)
		if err != nil {
			return err
		}
		for _, id := range ids {
			have := out.own[id]
			set(&have)
			out.own[id] = have
		}
		return nil
	}
	for i := range r.Flags {
		f := &r.Flags[i]
		if !slices.Contains(justifications, f.Label) {
			return nil, fmt.Errorf("flags[%d]: label %q is not one of %s", i, clip(f.Label), strings.Join(justifications, ", "))
		}
		if len(f.Products)+len(f.Groups) == 0 {
			return nil, fmt.Errorf("flags[%d]: %s names no product", i, f.Label)
		}
		if err := each(f, func(w *reason) { w.justification = cmp.Or(w.justification, f.Label) }); err != nil {
			return nil, fmt.Errorf("flags[%d]: %w", i, err)
		}
	}
	for i := range r.Threats {
		f := &r.Threats[i]
		details := strings.TrimSpace(f.Details)
		if f.Category != "impact" || rating(details) {
			continue
		}
		if len(f.Products)+len(f.Groups) == 0 {
			out.all.impact = cmp.Or(out.all.impact, details)
		}
		if err := each(f, func(w *reason) { w.impact = cmp.Or(w.impact, details) }); err != nil {
			return nil, fmt.Errorf("threats[%d]: %w", i, err)
		}
	}
	for i := range r.Remediations {
		f := &r.Remediations[i]
		details := strings.TrimSpace(f.Details)
		if len(f.Products)+len(f.Groups) == 0 {
			out.all.action = cmp.Or(out.all.action, details)
		}
		if err := each(f, func(w *reason) { w.action = cmp.Or(w.action, details) }); err != nil {
			return nil, fmt.Errorf("remediations[%d]: %w", i, err)
		}
	}
	return out, nil
}

// rating tells whether an impact is a vendor's word for the severity, which is no
// reason for anything.
func rating(s string) bool {
	switch strings.ToLower(s) {
	case "low", "moderate", "medium", "important", "high", "critical":
		return true
	}
	return false
}
