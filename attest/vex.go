// SPDX-License-Identifier: Apache-2.0

// Package attest applies what others state about an artifact: documents in
// OpenVEX, CSAF and CycloneDX that say which vulnerabilities do not affect a
// product. It knows statements and what they are about; it does not fetch
// documents, does not check who signed them, and does not find vulnerabilities.
package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// Limits on one document; the largest public ones have a few thousand
// statements.
const (
	maxVEXBytes   = 32 << 20
	maxStatements = 100_000
	maxComponents = 500_000 // products and subcomponents of all statements
	maxNested     = 100     // branches or components in one another; real trees have five
	maxNames      = 100     // of one vulnerability
)

// A VEXStatus is what a statement says of a product. The zero VEXStatus says nothing.
type VEXStatus string

// The statuses, in OpenVEX's words.
const (
	VEXNotAffected        VEXStatus = "not_affected"
	VEXAffected           VEXStatus = "affected"
	VEXFixed              VEXStatus = "fixed"
	VEXUnderInvestigation VEXStatus = "under_investigation"
)

// closes tells whether the status takes a finding off the list.
func (s VEXStatus) closes() bool { return s == VEXNotAffected || s == VEXFixed }

// A Document is one document of statements, whatever its form.
type Document struct {
	Name       string    // file or URL, as the caller named it
	ID         string    // as it calls itself: an IRI, "RHSA-2026:1234"; "" when it does not
	Author     string    //
	Timestamp  time.Time // when it was last changed; zero when it does not say
	Statements []Statement
}

// A Statement is one claim of a Document: these products have this status
// with regard to this vulnerability.
type Statement struct {
	ID            string
	Vulnerability string   // as written: "CVE-2023-1234"
	Aliases       []string // other names of it
	Products      []Product
	Status        VEXStatus
	Justification string    // machine-readable reason of not_affected
	Impact        string    // the same in words
	Action        string    // what to do about affected
	Notes         string    // how the status was found
	Timestamp     time.Time // from which it holds, the document's where it has none of its own
}

// A Product is what a statement is about. With subcomponents it is about those
// within the product, and not about the product's other parts.
type Product struct {
	Component
	Subcomponents []Component
	Within        []Component // what it must itself be in for the statement to hold, innermost first
}

// A Component names one piece of software. Each of its names is enough.
type Component struct {
	ID     string   // IRI, often a purl
	PURLs  []string // package URLs, that of ID first
	Hashes []string // hexadecimal digits, lower case
	CPEs   []string // in either binding; they name distributions and nothing else
}

// The justifications that the specification knows.
var justifications = []string{
	"component_not_present",
	"vulnerable_code_not_present",
	"vulnerable_code_not_in_execute_path",
	"vulnerable_code_cannot_be_controlled_by_adversary",
	"inline_mitigations_already_exist",
}

// ParseVEX reads a document in JSON: OpenVEX
// (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md, version 0.2.0 and
// the first drafts), CSAF 2.0 of the categories csaf_vex and
// csaf_security_advisory
// (https://docs.oasis-open.org/csaf/csaf/v2.0/os/csaf-v2.0-os.html), or a
// CycloneDX bill of materials whose vulnerabilities have an analysis
// (https://cyclonedx.org/docs/1.6/json/). name is used in messages and kept. It
// is [bulwark.ErrUnsupported] for everything else, and [bulwark.ErrTooLarge]
// beyond the limits. A document with a single invalid statement is refused as a
// whole: half of a document may say the opposite of it.
func ParseVEX(name string, data []byte) (Document, error) {
	doc, err := parseVEX(data)
	if err != nil {
		return Document{}, fmt.Errorf("vex %q: %w", name, err)
	}
	doc.Name = name
	return doc, nil
}

// formsRead is the end of a message about a document of another form.
const formsRead = "JSON of OpenVEX, CSAF 2.0 (csaf_vex, csaf_security_advisory) and CycloneDX is read"

func parseVEX(data []byte) (Document, error) {
	if len(data) > maxVEXBytes {
		return Document{}, fmt.Errorf("%d bytes, limit %d: %w", len(data), maxVEXBytes, bulwark.ErrTooLarge)
	}
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(data) == 0 || data[0] != '{' {
		return Document{}, fmt.Errorf("not a JSON object: %s: %w", formsRead, bulwark.ErrUnsupported)
	}
	// What tells the forms apart has any type in the JSON of others.
	var head struct {
		Context  any             `json:"@context"`
		Format   any             `json:"bomFormat"`
		Document json.RawMessage `json:"document"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Document{}, err
	}
	var csaf struct {
		Version string `json:"csaf_version"`
	}
	if context, _ := head.Context.(string); strings.HasPrefix(context, "https://openvex.dev/ns") {
		return parseOpenVEX(data)
	}
	if head.Format == "CycloneDX" {
		return parseCycloneDX(data)
	}
	if json.Unmarshal(head.Document, &csaf) == nil && csaf.Version != "" {
		return parseCSAF(data)
	}
	return Document{}, fmt.Errorf("JSON of an unknown form: %s: %w", formsRead, bulwark.ErrUnsupported)
}

func parseOpenVEX(data []byte) (Document, error) {
	fail := func(format string, args ...any) (Document, error) {
		return Document{}, fmt.Errorf("openvex: "+format, args...)
	}
	var raw rawDocument
	if err := json.Unmarshal(data, &raw); err != nil {
		return fail("%w", err)
	}
	if len(raw.Statements) == 0 {
		return fail("no statements")
	}
	if len(raw.Statements) > maxStatements {
		return fail("%d statements, limit %d: %w", len(raw.Statements), maxStatements, bulwark.ErrTooLarge)
	}
	doc := Document{ID: raw.ID, Author: raw.Author}
	var err error
	if doc.Timestamp, err = latest(raw.Timestamp, raw.LastUpdated); err != nil {
		return fail("%w", err)
	}
	// A statement inherits when the document was made, not when it was last
	// touched: else an untouched statement would overrule the one that was added.
	made, err := latest(raw.Timestamp)
	if err != nil {
		return fail("%w", err)
	}
	budget := maxComponents
	doc.Statements = make([]Statement, 0, len(raw.Statements))
	for i := range raw.Statements {
		s, err := raw.Statements[i].statement(made, &budget)
		if err != nil {
			return fail("statements[%d]: %w", i, err)
		}
		doc.Statements = append(doc.Statements, s)
	}
	return doc, nil
}

func (r *rawStatement) statement(fallback time.Time, budget *int) (Statement, error) {
	s := Statement{
		ID: r.ID, Vulnerability: r.Vulnerability.name(), Status: VEXStatus(r.Status), Justification: r.Justification,
		Impact: strings.TrimSpace(r.Impact), Action: r.Action, Notes: r.Notes,
	}
	for _, a := range r.Vulnerability.Aliases {
		if a = strings.TrimSpace(a); a != "" {
			s.Aliases = append(s.Aliases, a)
		}
	}
	if s.Vulnerability == "" {
		return s, errors.New("no vulnerability")
	}
	var err error
	if s.Timestamp, err = latest(r.Timestamp, r.LastUpdated); err != nil {
		return s, err
	}
	if s.Timestamp.IsZero() {
		s.Timestamp = fallback
	}
	switch s.Status {
	case VEXAffected, VEXFixed, VEXUnderInvestigation:
	case VEXNotAffected:
		if s.Justification == "" && s.Impact == "" {
			return s, fmt.Errorf("%s is not_affected without a justification or an impact_statement", clip(s.Vulnerability))
		}
	default:
		return s, fmt.Errorf("status %q is not one of not_affected, affected, fixed, under_investigation", clip(r.Status))
	}
	if s.Justification != "" && !slices.Contains(justifications, s.Justification) {
		return s, fmt.Errorf("justification %q is not one of %s", clip(s.Justification), strings.Join(justifications, ", "))
	}
	for i := range r.Products {
		p := &r.Products[i]
		subs := slices.Concat(p.Subcomponents, r.Subcomponents)
		if *budget -= 1 + len(subs); *budget < 0 {
			return s, fmt.Errorf("more than %d products and subcomponents: %w", maxComponents, bulwark.ErrTooLarge)
		}
		product := Product{Component: p.component()}
		for j := range subs {
			product.Subcomponents = append(product.Subcomponents, subs[j].component())
		}
		s.Products = append(s.Products, product)
	}
	return s, nil
}

// latest gives the later of two timestamps, either of which may be "".
func latest(stamps ...string) (time.Time, error) {
	var out time.Time
	for _, s := range stamps {
		if s == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return time.Time{}, fmt.Errorf("timestamp %q is not of RFC 3339", clip(s))
		}
		if t.After(out) {
			out = t
		}
	}
	return out, nil
}

func clip(s string) string { return s[:min(len(s), 80)] }

// The JSON of OpenVEX. Objects that were plain strings in its first
// drafts are read in both forms.
type rawDocument struct {
	Context     string         `json:"@context"`
	ID          string         `json:"@id"`
	Author      string         `json:"author"`
	Timestamp   string         `json:"timestamp"`
	LastUpdated string         `json:"last_updated"`
	Statements  []rawStatement `json:"statements"`
}

type rawStatement struct {
	ID            string         `json:"@id"`
	Vulnerability rawVuln        `json:"vulnerability"`
	Timestamp     string         `json:"timestamp"`
	LastUpdated   string         `json:"last_updated"`
	Products      []rawProduct   `json:"products"`
	Subcomponents []rawComponent `json:"subcomponents"` // first drafts only
	Status        string         `json:"status"`
	Notes         string         `json:"status_notes"`
	Justification string         `json:"justification"`
	Impact        string         `json:"impact_statement"`
	Action        string         `json:"action_statement"`
}

type rawVuln struct {
	ID      string   `json:"@id"`
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
}

// name gives the vulnerability's name. Without one, the last part of its IRI
// is its name in every database that gives IRIs to vulnerabilities.
func (v *rawVuln) name() string {
	if n := strings.TrimSpace(v.Name); n != "" {
		return n
	}
	id := strings.TrimRight(strings.TrimSpace(v.ID), "/")
	return id[strings.LastIndexAny(id, "/#")+1:]
}

func (v *rawVuln) UnmarshalJSON(b []byte) error {
	type plain rawVuln
	return stringOr(b, &v.Name, (*plain)(v))
}

type rawComponent struct {
	ID          string            `json:"@id"`
	Identifiers map[string]string `json:"identifiers"`
	Hashes      map[string]string `json:"hashes"`
}

func (c *rawComponent) UnmarshalJSON(b []byte) error {
	type plain rawComponent
	return stringOr(b, &c.ID, (*plain)(c))
}

func (c *rawComponent) component() Component {
	out := Component{ID: strings.TrimSpace(c.ID)}
	for _, p := range []string{out.ID, strings.TrimSpace(c.Identifiers["purl"])} {
		if strings.HasPrefix(p, "pkg:") && !slices.Contains(out.PURLs, p) {
			out.PURLs = append(out.PURLs, p)
		}
	}
	for _, h := range c.Hashes {
		out.Hashes = append(out.Hashes, digits(h))
	}
	slices.Sort(out.Hashes)
	return out
}

// digits gives the digits of a hash. Some writers put the algorithm in front, as
// OCI does.
func digits(h string) string {
	h = strings.ToLower(strings.TrimSpace(h))
	return h[strings.LastIndexByte(h, ':')+1:]
}

type rawProduct struct {
	rawComponent
	Subcomponents []rawComponent
}

func (p *rawProduct) UnmarshalJSON(b []byte) error {
	if err := p.rawComponent.UnmarshalJSON(b); err != nil {
		return err
	}
	if b[0] != '{' {
		return nil
	}
	var rest struct {
		Subcomponents []rawComponent `json:"subcomponents"`
	}
	err := json.Unmarshal(b, &rest)
	p.Subcomponents = rest.Subcomponents
	return err
}

// stringOr reads a JSON string into s, or anything else into v.
func stringOr(b []byte, s *string, v any) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, s)
	}
	return json.Unmarshal(b, v)
}
