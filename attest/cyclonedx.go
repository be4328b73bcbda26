// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

// A rawBOM is what of a CycloneDX bill of materials is about vulnerabilities. The
// rest of the model, which is large, is not needed.
type rawBOM struct {
	Serial   string `json:"serialNumber"`
	Metadata struct {
		Timestamp string   `json:"timestamp"`
		Component *rawPart `json:"component"`
		Supplier  struct {
			Name string `json:"name"`
		} `json:"supplier"`
	} `json:"metadata"`
	Components      []rawPart  `json:"components"`
	Vulnerabilities []rawRated `json:"vulnerabilities"`
}

type rawPart struct {
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
	CPE     string `json:"cpe"`
	Hashes  []struct {
		Content string `json:"content"`
	} `json:"hashes"`
	Components []rawPart `json:"components"`
}

type rawRated struct {
	ID         string `json:"id"`
	References []struct {
		ID string `json:"id"`
	} `json:"references"`
	Recommendation string `json:"recommendation"`
	Workaround     string `json:"workaround"`
	Analysis       *struct {
		State         string   `json:"state"`
		Justification string   `json:"justification"`
		Response      []string `json:"response"`
		Detail        string   `json:"detail"`
		First         string   `json:"firstIssued"`
		Last          string   `json:"lastUpdated"`
	} `json:"analysis"`
	Affects []rawAffects `json:"affects"`
}

type rawAffects struct {
	Ref      string `json:"ref"`
	Versions []struct {
		Version string `json:"version"` // "" for a range
	} `json:"versions"`
}

// analysisStates gives what a state of an analysis says.
var analysisStates = map[string]VEXStatus{
	"resolved":               VEXFixed,
	"resolved_with_pedigree": VEXFixed,
	"exploitable":            VEXAffected,
	"in_triage":              VEXUnderInvestigation,
	"false_positive":         VEXNotAffected,
	"not_affected":           VEXNotAffected,
}

// analysisJustifications gives the justifications for which OpenVEX has a word.
// The others are given in words: they say what an attack needs, or that something
// else stands in its way.
var analysisJustifications = map[string]string{
	"code_not_present":                "vulnerable_code_not_present",
	"code_not_reachable":              "vulnerable_code_not_in_execute_path",
	"protected_by_compiler":           "inline_mitigations_already_exist",
	"protected_at_runtime":            "inline_mitigations_already_exist",
	"protected_by_mitigating_control": "inline_mitigations_already_exist",
	"protected_at_perimeter":          "",
	"requires_configuration":          "",
	"requires_dependency":             "",
	"requires_environment":            "",
}

// parseCycloneDX reads the analyses of a bill of materials. What is stated of a
// component holds within what the bill is of: whether code can be reached is not
// the component's alone.
func parseCycloneDX(data []byte) (Document, error) {
	fail := func(format string, args ...any) (Document, error) {
		return Document{}, fmt.Errorf("cyclonedx: "+format, args...)
	}
	var raw rawBOM
	if err := json.Unmarshal(data, &raw); err != nil {
		return fail("%w", err)
	}
	if len(raw.Vulnerabilities) > maxStatements {
		return fail("%d vulnerabilities, limit %d: %w", len(raw.Vulnerabilities), maxStatements, bulwark.ErrTooLarge)
	}
	doc := Document{ID: raw.Serial, Author: raw.Metadata.Supplier.Name}
	var err error
	if doc.Timestamp, err = latest(raw.Metadata.Timestamp); err != nil {
		return fail("%w", err)
	}
	b := &bom{serial: strings.ToLower(strings.TrimPrefix(raw.Serial, "urn:uuid:")), parts: map[string]*rawPart{}, twice: map[string]bool{}, left: maxComponents}
	if b.root = raw.Metadata.Component; b.root != nil {
		if err := b.index([]rawPart{*b.root}, 0); err != nil {
			return fail("%w", err)
		}
	}
	if err := b.index(raw.Components, 0); err != nil {
		return fail("%w", err)
	}
	for i := range raw.Vulnerabilities {
		if raw.Vulnerabilities[i].Analysis == nil || raw.Vulnerabilities[i].Analysis.State == "" {
			continue
		}
		s, err := raw.Vulnerabilities[i].statement(b, doc.Timestamp)
		if err != nil {
			return fail("vulnerabilities[%d]: %w", i, err)
		}
		doc.Statements = append(doc.Statements, s)
	}
	if len(doc.Statements) == 0 {
		return fail("no vulnerability has an analysis with a state")
	}
	return doc, nil
}

// A bom is a bill of materials made ready for looking up.
type bom struct {
	serial string // UUID, lower case
	root   *rawPart
	parts  map[string]*rawPart // by bom-ref
	twice  map[string]bool     // bom-refs that stand for two things
	left   int                 // components and references
}

func (b *bom) index(parts []rawPart, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("more than %d components in one another: %w", maxNested, bulwark.ErrTooLarge)
	}
	if b.left -= len(parts); b.left < 0 {
		return fmt.Errorf("more than %d components: %w", maxComponents, bulwark.ErrTooLarge)
	}
	for i := range parts {
		p := &parts[i]
		if p.Ref != "" {
			b.twice[p.Ref] = b.twice[p.Ref] || b.parts[p.Ref] != nil
			b.parts[p.Ref] = p
		}
		if err := b.index(p.Components, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (p *rawPart) component(closes bool) Component {
	c := named{version: p.Version}
	if s := strings.TrimSpace(p.PURL); strings.HasPrefix(s, "pkg:") {
		c.ID, c.PURLs = s, []string{s}
	} else if bulwark.Digest(p.Version).Valid() {
		c.ID = p.Name + "@" + p.Version // how images are written that have no purl
	}
	if s := strings.TrimSpace(p.CPE); s != "" {
		c.CPEs = []string{s}
	}
	for _, h := range p.Hashes {
		c.Hashes = append(c.Hashes, digits(h.Content))
	}
	slices.Sort(c.Hashes)
	return c.component(closes)
}

// find gives what a reference stands for: a bom-ref, or a BOM-Link
// (https://cyclonedx.org/capabilities/bomlink/) into this or another bill. Of
// another bill nothing is known but the reference, which often is a purl.
func (b *bom) find(ref string, closes bool) (c Component, root bool, err error) {
	local := ref
	if link, ok := strings.CutPrefix(ref, "urn:cdx:"); ok {
		document, fragment, in := strings.Cut(link, "#")
		serial, _, _ := strings.Cut(document, "/")
		own := strings.ToLower(serial) == b.serial && b.serial != ""
		if !in { // the bill itself: what it is of
			return c, own && b.root != nil, nil
		}
		if !own || b.parts[fragment] == nil {
			if s, err := url.PathUnescape(fragment); err == nil && !strings.HasPrefix(fragment, "pkg:") {
				fragment = s
			}
		}
		if !own {
			if strings.HasPrefix(fragment, "pkg:") {
				c.ID, c.PURLs = fragment, []string{fragment}
			}
			return c, false, nil
		}
		local = fragment
	}
	if b.twice[local] {
		return c, false, fmt.Errorf("bom-ref %q stands for two components", clip(local))
	}
	if p := b.parts[local]; p != nil {
		return p.component(closes), b.root != nil && local == b.root.Ref, nil
	}
	return c, false, nil
}

func (r *rawRated) statement(b *bom, fallback time.Time) (Statement, error) {
	a := r.Analysis
	s := Statement{Vulnerability: strings.TrimSpace(r.ID), Status: analysisStates[a.State], Timestamp: fallback}
	if s.Vulnerability == "" {
		return s, errors.New("no id")
	}
	if s.Status == "" {
		return s, fmt.Errorf("%s: state %q is not one of CycloneDX", clip(s.Vulnerability), clip(a.State))
	}
	if len(r.References) > maxNames {
		return s, fmt.Errorf("%s: %d references, limit %d: %w", clip(s.Vulnerability), len(r.References), maxNames, bulwark.ErrTooLarge)
	}
	for _, ref := range r.References {
		if id := strings.TrimSpace(ref.ID); id != "" && id != s.Vulnerability && !slices.Contains(s.Aliases, id) {
			s.Aliases = append(s.Aliases, id)
		}
	}
	stamp, err := latest(a.First, a.Last)
	if err != nil {
		return s, err
	}
	if !stamp.IsZero() {
		s.Timestamp = stamp
	}
	detail := strings.TrimSpace(a.Detail)
	switch s.Status {
	case VEXNotAffected:
		s.Impact = detail
		if a.Justification == "" {
			break
		}
		word, ok := analysisJustifications[a.Justification]
		if !ok {
			return s, fmt.Errorf("%s: justification %q is not one of CycloneDX", clip(s.Vulnerability), clip(a.Justification))
		}
		if s.Justification = word; word == "" {
			s.Impact = strings.TrimSuffix(strings.ReplaceAll(a.Justification, "_", " ")+": "+detail, ": ")
		}
	case VEXAffected:
		s.Action = cmp.Or(strings.TrimSpace(r.Recommendation), strings.TrimSpace(r.Workaround), strings.Join(a.Response, ", "))
		s.Notes = detail
	default:
		s.Notes = detail
	}
	if b.left -= len(r.Affects); b.left < 0 {
		return s, fmt.Errorf("more than %d components and references to them: %w", maxComponents, bulwark.ErrTooLarge)
	}
	var parts []Component
	closes := s.Status.closes()
	for i := range r.Affects {
		c, root, err := b.find(r.Affects[i].Ref, closes)
		if err != nil {
			return s, err
		}
		if root {
			s.Products = append(s.Products, Product{Component: b.root.component(closes)})
			continue
		}
		list := r.Affects[i].narrow(c, closes)
		if b.left -= len(list); b.left < 0 {
			return s, fmt.Errorf("more than %d components and references to them: %w", maxComponents, bulwark.ErrTooLarge)
		}
		parts = append(parts, list...)
	}
	switch {
	case b.root == nil:
		for _, c := range parts {
			s.Products = append(s.Products, Product{Component: c})
		}
	case len(parts) > 0:
		s.Products = append(s.Products, Product{Component: b.root.component(closes), Subcomponents: parts})
	}
	return s, nil
}

// narrow gives the component in those versions that an entry is about. The
// versions of an entry say which ones have the flaw, whatever the analysis says
// of what the bill is of; they count where the component itself has none, and one
// that closes findings must not be read as more than that.
func (a *rawAffects) narrow(c Component, closes bool) []Component {
	if !closes || len(a.Versions) == 0 || len(c.PURLs) == 0 {
		return []Component{c}
	}
	p, err := packageurl.FromString(c.PURLs[0])
	if err != nil || p.Version != "" {
		return []Component{c}
	}
	var out []Component
	for _, v := range a.Versions {
		if v.Version != "" {
			q, one := p, c
			q.Version = v.Version
			one.ID = q.ToString()
			one.PURLs = []string{one.ID}
			out = append(out, one)
		}
	}
	return out
}
