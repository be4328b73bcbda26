// SPDX-License-Identifier: Apache-2.0

// Package openvex writes the vulnerabilities of a report as an OpenVEX document
// (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md, version 0.2.0): a
// draft that whoever makes the artifact goes through, signs and publishes. It
// knows how to say with OpenVEX what a report says; it makes no claim that the
// report does not make.
package openvex

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes one document with a statement for each vulnerability and each
// answer to it:
//
//	open, known before   affected, with what to do; under_investigation where
//	                     the report knows no more than a name
//	accepted             affected, with who took the risk until when;
//	                     under_investigation where the reason begins with that word
//	not affected         not_affected, with the justification or the words for it
//	fixed                fixed
//	suppressed           not_affected, with the rule's reason; under_investigation
//	                     where others decide
//
// Ids are made of the content and times are those of the report, so that one
// report always gives one document. A report without vulnerabilities gives a
// document without statements, which OpenVEX does not allow and some readers
// refuse: there is nothing to state.
type Format struct{}

// Name gives "openvex".
func (Format) Name() string { return "openvex" }

const (
	contextURI = "https://openvex.dev/ns/v0.2.0"

	// The statuses of the specification, section "Status Labels".
	notAffected        = "not_affected"
	affected           = "affected"
	fixed              = "fixed"
	underInvestigation = "under_investigation"
)

type statement struct {
	ID            string        `json:"@id"`
	Vulnerability vulnerability `json:"vulnerability"`
	Timestamp     string        `json:"timestamp"`
	Products      []product     `json:"products"`
	Status        string        `json:"status"`
	Notes         string        `json:"status_notes,omitempty"`
	Justification string        `json:"justification,omitempty"`
	Impact        string        `json:"impact_statement,omitempty"`
	Action        string        `json:"action_statement,omitempty"`
	ActionTime    string        `json:"action_statement_timestamp,omitempty"`
}

type vulnerability struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Aliases     []string `json:"aliases,omitempty"`
}

type product struct {
	component
	Subcomponents []component `json:"subcomponents,omitempty"`
}

type component struct {
	ID          string            `json:"@id"`
	Identifiers map[string]string `json:"identifiers,omitempty"`
	Hashes      map[string]string `json:"hashes,omitempty"`
}

// Write writes the document, statement by statement.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	v := view.New(r)
	out := text.NewJSONWriter(w)
	stamp := clock(r.Created)
	id := "urn:uuid:" + uuid("document", string(r.Artifact.Kind), string(r.Artifact.ID), r.Artifact.Name, stamp)
	tool := cmp.Or(strings.TrimSpace(r.Tool.Name+" "+r.Tool.Version), "bulwark")
	head(out, id, tool, "Vulnerability Scanner", stamp, tool+", database: "+v.DatabaseWords())
	for i, g := range groups(v) {
		if i > 0 {
			out.Raw(",")
		}
		out.Raw("\n    ")
		out.Value("    ", g.statement(v, stamp))
	}
	out.Raw("\n  ]\n}\n")
	return out.Close()
}

// head begins a document, up to its statements.
func head(out *text.JSONWriter, id, author, role, stamp, tooling string) {
	out.Raw("{")
	for i, m := range []struct {
		key   string
		value any
	}{
		{"@context", contextURI}, {"@id", id}, {"author", author}, {"role", role},
		{"timestamp", stamp}, {"version", 1}, {"tooling", tooling},
	} {
		if i > 0 {
			out.Raw(",")
		}
		out.Raw("\n  \"" + m.key + "\": ")
		out.Value("  ", m.value)
	}
	out.Raw(",\n  \"statements\": [")
}

// clock gives the time of the report, or the epoch when it has none that RFC
// 3339 can say.
func clock(t time.Time) string {
	t = t.UTC()
	if t.Year() < 1970 || t.Year() > 9999 {
		t = time.Unix(0, 0).UTC()
	}
	return t.Format(time.RFC3339)
}

// A group is the findings that one statement answers.
type group struct {
	rule     string
	status   bulwark.Status
	action   string
	findings []*bulwark.Finding
}

// groups gives the vulnerabilities by rule and answer, in order.
func groups(v *view.View) []*group {
	type key struct {
		rule   string
		status bulwark.Status
		action string
	}
	by := map[key]*group{}
	var list []*group
	for i := range v.Findings {
		f := &v.Findings[i]
		if f.Class != bulwark.ClassVulnerability {
			continue
		}
		k := key{rule: f.Rule, status: f.Status}
		if s := f.Status.State; s == bulwark.StateOpen || s == bulwark.StateKnown {
			k.action = action(v, f)
		}
		g := by[k]
		if g == nil {
			g = &group{rule: f.Rule, status: f.Status, action: k.action}
			by[k] = g
			list = append(list, g)
		}
		g.findings = append(g.findings, f)
	}
	slices.SortStableFunc(list, func(a, b *group) int {
		x, y := a.status, b.status
		return cmp.Or(strings.Compare(a.rule, b.rule), strings.Compare(x.State, y.State), strings.Compare(x.By, y.By),
			strings.Compare(x.Reason, y.Reason), strings.Compare(x.Owner, y.Owner), strings.Compare(x.Until, y.Until), strings.Compare(a.action, b.action))
	})
	return list
}

// action says what to do about an open finding; "" when nothing is known about
// its rule, not even whether the package is affected by it.
func action(v *view.View, f *bulwark.Finding) string {
	if _, ok := v.Advisories[f.Rule]; !ok && f.Fix == "" {
		return ""
	}
	if f.Fix == "" {
		return "No fixed version is known. Watch for one, or remove the package if nothing needs it."
	}
	name, _ := v.SubjectName(f)
	return "Upgrade " + name + " to " + f.Fix + " or later."
}

func (g *group) statement(v *view.View, stamp string) statement {
	a := v.Advisories[g.rule]
	s := statement{
		Vulnerability: vulnerability{Name: cmp.Or(strings.TrimSpace(g.rule), "unnamed"), Description: a.Summary},
		Timestamp:     stamp,
	}
	for _, id := range a.Aliases {
		if id != "" && id != g.rule && !slices.Contains(s.Vulnerability.Aliases, id) {
			s.Vulnerability.Aliases = append(s.Vulnerability.Aliases, id)
		}
	}
	g.answer(&s)
	if s.Action != "" {
		s.ActionTime = stamp
	}
	s.Products = g.products(v)
	// The place in the report does not name a statement, its content does.
	parts := []string{"statement", stamp, g.rule, s.Status, s.Notes, s.Justification, s.Impact, s.Action}
	for _, f := range g.findings {
		parts = append(parts, f.ID)
	}
	s.ID = "urn:uuid:" + uuid(parts...)
	return s
}

// answer gives the status and what the specification wants with it.
func (g *group) answer(s *statement) {
	by := ""
	if g.status.By != "" {
		by = "Stated by " + g.status.By + "."
	}
	switch g.status.State {
	case bulwark.StateNotAffected, bulwark.StateSuppressed:
		if g.status.By == osOwned {
			s.Status, s.Notes = underInvestigation, g.status.Reason
			return
		}
		s.Status, s.Notes = notAffected, by
		word, rest := justification(g.status.Reason)
		if word != "" { // the schema takes a justification or words, not both
			s.Justification = word
			s.Notes = strings.TrimSpace(rest + " " + by)
			return
		}
		s.Impact = cmp.Or(strings.TrimSpace(g.status.Reason), by, "No reason is given.")
	case bulwark.StateFixed:
		s.Status = fixed
		s.Notes = strings.TrimSpace(g.status.Reason + " " + by)
	case bulwark.StateOpen, bulwark.StateKnown:
		s.Status, s.Action = affected, g.action
		if g.action == "" {
			s.Status, s.Notes = underInvestigation, "Nothing is known about it."
		}
		if g.status.State == bulwark.StateKnown {
			s.Notes = strings.TrimSpace(s.Notes + " It was found by an earlier scan, too.")
		}
	default: // accepted, and what a later version may say
		if word, _, _ := strings.Cut(g.status.Reason, ":"); strings.TrimSpace(word) == underInvestigation {
			s.Status = underInvestigation
			s.Notes = view.StateName(g.status.State) + ", " + view.StatusWords(g.status) + "."
			return
		}
		s.Status = affected
		s.Action = "None for now: " + view.StateName(g.status.State)
		if words := view.StatusWords(g.status); words != "" {
			s.Action += ", " + words
		}
		s.Action += "."
	}
}

// osOwned is the rule that leaves the answer to a distribution's advisories.
const osOwned = "bulwark/os-owned"

// justification takes a justification of the specification off the begin of a
// reason: "word: more words".
func justification(reason string) (word, rest string) {
	word, rest, _ = strings.Cut(reason, ":")
	switch word = strings.TrimSpace(word); word {
	case "component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist":
		return word, strings.TrimSpace(rest)
	}
	return "", ""
}

// products gives an image with the packages in it, or else the packages.
func (g *group) products(v *view.View) []product {
	var subjects []string
	seen := map[string]bool{}
	for _, f := range g.findings {
		if !seen[f.Subject] {
			seen[f.Subject] = true
			subjects = append(subjects, f.Subject)
		}
	}
	if a := &v.Artifact; a.Kind == bulwark.KindImage && a.ID.Valid() {
		return products(a, subjects)
	}
	return products(nil, subjects)
}

// products names packages, where a is given those in an image.
func products(a *bulwark.Artifact, subjects []string) []product {
	parts := make([]component, len(subjects))
	for i, s := range subjects {
		parts[i] = part(s)
	}
	if a != nil {
		return []product{{component: image(a), Subcomponents: parts}}
	}
	list := make([]product, len(parts))
	for i, c := range parts {
		list[i].component = c
	}
	return list
}

// part names a package.
func part(subject string) component {
	if strings.HasPrefix(subject, "pkg:") && iri(subject) {
		return component{ID: subject, Identifiers: map[string]string{"purl": subject}}
	}
	return component{ID: "urn:uuid:" + uuid("subject", subject)}
}

// iri tells whether s has only characters that an IRI may have (RFC 3987).
func iri(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || strings.ContainsRune("<>\"{}|\\^`", r) || !text.Safe(r) })
}

// image names an image by its digest
// (https://github.com/package-url/purl-spec, type oci).
func image(a *bulwark.Artifact) component {
	name, _, _ := strings.Cut(a.Name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	repo := strings.ToLower(name)
	base := repo[strings.LastIndexByte(repo, '/')+1:]
	if base == "" {
		base, repo = "image", ""
	}
	purl := "pkg:oci/" + url.PathEscape(base) + "@" + url.QueryEscape(string(a.ID))
	if strings.Contains(repo, "/") && a.Source == "registry" {
		purl += "?repository_url=" + strings.ReplaceAll(url.QueryEscape(repo), "%2F", "/")
	}
	c := component{ID: purl, Identifiers: map[string]string{"purl": purl}}
	if alg, hex, _ := strings.Cut(string(a.ID), ":"); alg == "sha256" || alg == "sha512" {
		c.Hashes = map[string]string{"sha-" + alg[3:]: hex}
	}
	return c
}

// uuid gives a UUID of version 8 (RFC 9562) that stands for the parts.
func uuid(parts ...string) string {
	b, _ := json.Marshal(parts) // strings always can be
	sum := sha256.Sum256(append([]byte("bulwark\x00openvex\x00"), b...))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
