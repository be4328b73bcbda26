// SPDX-License-Identifier: Apache-2.0

// Package spdx writes a report's inventory as an SPDX 2.3 document, in JSON or as
// tags and values (https://spdx.github.io/spdx-spec/v2.3/). It knows how to say with valid SPDX
// what packages declare in their own words. What SPDX has no field for stands in
// each package's comment, so that a later import matches exactly as the scan
// did. Findings are not part of it.
package spdx

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/license"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes one indented document, package by package.
type Format struct{}

// Name gives "spdx".
func (Format) Name() string { return "spdx" }

const (
	noAssertion = "NOASSERTION"
	documentID  = "SPDXRef-DOCUMENT"
	artifactID  = "SPDXRef-Artifact"
	systemID    = "SPDXRef-OperatingSystem"

	// namespace is where SPDX 2.3, section 6.5, lets documents live that nobody
	// publishes.
	namespace = "https://spdx.org/spdxdocs/bulwark-"
)

// Write writes the document. It is a function of the artifact, the inventory and
// the tool's version; the time of the scan is not in it.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	out := text.NewJSONWriter(w)
	d := document{v: view.New(r), w: out, ids: map[string]bool{}, texts: map[string]string{}}
	d.write()
	if d.err != nil {
		return d.err
	}
	return out.Close()
}

type document struct {
	v     *view.View
	w     io.Writer
	ids   map[string]bool   // SPDX ids of packages that are taken
	order []string          // the same in the order of packages
	texts map[string]string // LicenseRef id to the words that it stands for
	err   error
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type annotation struct {
	Annotator string `json:"annotator"`
	Date      string `json:"annotationDate"`
	Type      string `json:"annotationType"`
	Comment   string `json:"comment"`
}

type item struct {
	ID               string      `json:"SPDXID"`
	Name             string      `json:"name"`
	Version          string      `json:"versionInfo,omitempty"`
	Supplier         string      `json:"supplier,omitempty"`
	DownloadLocation string      `json:"downloadLocation"`
	FilesAnalyzed    bool        `json:"filesAnalyzed"`
	SourceInfo       string      `json:"sourceInfo,omitempty"`
	Concluded        string      `json:"licenseConcluded"`
	Declared         string      `json:"licenseDeclared"`
	Copyright        string      `json:"copyrightText"`
	Comment          string      `json:"comment,omitempty"`
	Refs             []reference `json:"externalRefs,omitempty"`
	Purpose          string      `json:"primaryPackagePurpose"`
}

type reference struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

type extracted struct {
	ID   string `json:"licenseId"`
	Text string `json:"extractedText"`
	Name string `json:"name"`
}

// Extra is what a package's comment carries after the word "bulwark: ".
type extra struct {
	Ecosystem     string             `json:"ecosystem,omitempty"`
	Source        string             `json:"source,omitempty"`
	SourceVersion string             `json:"sourceVersion,omitempty"`
	Arch          string             `json:"arch,omitempty"`
	Module        string             `json:"module,omitempty"`
	Owner         string             `json:"owner,omitempty"`
	By            string             `json:"by,omitempty"`
	Dev           bool               `json:"dev,omitempty"`
	Where         []bulwark.Location `json:"where,omitempty"`
}

func (d *document) raw(s string) {
	if d.err == nil {
		_, d.err = io.WriteString(d.w, s)
	}
}

func (d *document) value(indent string, v any) {
	b, err := json.MarshalIndent(v, indent, "  ")
	if d.err == nil {
		d.err = err
	}
	if d.err == nil {
		_, d.err = d.w.Write(b)
	}
}

func (d *document) member(key string, v any) {
	d.raw("  \"" + key + "\": ")
	d.value("  ", v)
	d.raw(",\n")
}

func (d *document) element(n int, v any) {
	if n > 0 {
		d.raw(",")
	}
	d.raw("\n    ")
	d.value("    ", v)
}

func (d *document) write() {
	r := d.v.Report
	created := view.SBOMTime(r)
	tool := d.tool()
	d.raw("{\n")
	d.member("spdxVersion", "SPDX-2.3")
	d.member("dataLicense", "CC0-1.0")
	d.member("SPDXID", documentID)
	d.member("name", cmp.Or(text.Clean(d.v.ArtifactName()), "artifact"))
	d.member("documentNamespace", namespace+view.SBOMUUID(r))
	d.member("creationInfo", creation{Created: created, Creators: []string{tool}})
	if notes := d.coverage(tool, created); len(notes) > 0 {
		d.member("annotations", notes)
	}
	d.raw("  \"packages\": [")
	d.element(0, d.artifact())
	n := 1
	if r.Inventory.OS != nil {
		d.element(n, d.system(r.Inventory.OS))
		n++
	}
	for i := range r.Inventory.Packages {
		d.element(n+i, d.item(&r.Inventory.Packages[i]))
	}
	d.raw("\n  ],\n")
	if len(d.texts) > 0 {
		d.raw("  \"hasExtractedLicensingInfos\": [")
		for i, id := range slices.Sorted(maps.Keys(d.texts)) {
			d.element(i, extracted{ID: id, Text: d.texts[id], Name: text.Cut(text.Clean(d.texts[id]), 100, "…")})
		}
		d.raw("\n  ],\n")
	}
	d.raw("  \"relationships\": [")
	d.element(0, relationship{documentID, "DESCRIBES", artifactID})
	for _, id := range d.order {
		d.element(1, relationship{artifactID, "CONTAINS", id})
	}
	d.raw("\n  ]\n}\n")
}

// tool names who made the document.
func (d *document) tool() string {
	t := &d.v.Tool
	return "Tool: " + word(cmp.Or(t.Name, "bulwark")) + "-" + word(cmp.Or(t.Version, "0"))
}

// coverage notes each gap, so that nobody takes the document for complete.
func (d *document) coverage(tool, date string) []annotation {
	var list []annotation
	if d.v.Database.Starter {
		list = append(list, annotation{Annotator: tool, Date: date, Type: "OTHER", Comment: "database: starter set: only famous vulnerabilities were looked for"})
	}
	for _, g := range d.v.Inventory.Gaps {
		s := "gap: " + g.Kind
		if g.Hides {
			s += ", may hide packages"
		}
		for _, more := range []string{g.Path, string(g.Layer), g.Detail} {
			if more != "" {
				s += ": " + more
			}
		}
		list = append(list, annotation{Annotator: tool, Date: date, Type: "OTHER", Comment: s})
	}
	return list
}

func (d *document) artifact() item {
	a := &d.v.Artifact
	it := item{
		ID: artifactID, Name: cmp.Or(text.Clean(d.v.ArtifactName()), "artifact"), Version: string(a.ID), DownloadLocation: noAssertion,
		Concluded: noAssertion, Declared: noAssertion, Copyright: noAssertion, Purpose: "OTHER",
	}
	switch a.Kind {
	case bulwark.KindImage:
		it.Purpose = "CONTAINER"
	case bulwark.KindRepo:
		it.Purpose = "SOURCE"
	case bulwark.KindHost:
		it.Purpose = "DEVICE"
	}
	layers := []bulwark.Digest{}
	for _, l := range d.v.Inventory.Layers {
		layers = append(layers, l.DiffID)
	}
	it.Comment = d.comment(map[string]any{"kind": a.Kind, "id": a.ID, "platform": a.Platform, "commit": a.Commit, "layers": layers})
	return it
}

func (d *document) system(os *bulwark.OS) item {
	d.take(systemID)
	return item{
		ID: systemID, Name: cmp.Or(os.ID, "unknown"), Version: os.Version, DownloadLocation: noAssertion,
		Concluded: noAssertion, Declared: noAssertion, Copyright: noAssertion, Purpose: "OPERATING-SYSTEM",
		Comment: d.comment(os),
	}
}

func (d *document) item(p *bulwark.Package) item {
	it := item{
		ID: d.id(p), Name: cmp.Or(p.Name, "unnamed"), Version: p.Version, DownloadLocation: noAssertion,
		Concluded: d.concluded(p.Concluded), Declared: d.declared(p.Licenses), Copyright: noAssertion, Purpose: "LIBRARY",
		Comment: d.comment(extra{p.Ecosystem, p.Source, p.SourceVersion, p.Arch, p.Module, p.Owner, p.By, p.Dev, p.Where}),
	}
	if vendor := strings.TrimSpace(text.Clean(p.Vendor)); vendor != "" {
		it.Supplier = "Organization: " + organization(vendor)
	}
	if p.Source != "" {
		it.SourceInfo = "built from source package " + strings.TrimSpace(p.Source+" "+cmp.Or(p.SourceVersion, p.Version))
	}
	if p.PURL != "" {
		it.Refs = []reference{{"PACKAGE-MANAGER", "purl", p.PURL}}
	}
	return it
}

func (d *document) comment(v any) string {
	b, err := json.Marshal(v)
	if err != nil && d.err == nil {
		d.err = err
	}
	return "bulwark: " + string(b)
}

func (d *document) take(id string) string {
	d.ids[id] = true
	d.order = append(d.order, id)
	return id
}

// id names a package by its key, so that it keeps its id from scan to scan.
func (d *document) id(p *bulwark.Package) string {
	sum := sha256.Sum256([]byte(p.Key()))
	for n := 8; ; n++ {
		id := "SPDXRef-Package-" + hex.EncodeToString(sum[:min(n, len(sum))])
		if n > len(sum) { // the same key again
			id += "-" + hex.EncodeToString([]byte{byte(len(d.order) >> 24), byte(len(d.order) >> 16), byte(len(d.order) >> 8), byte(len(d.order))})
		}
		if !d.ids[id] {
			return d.take(id)
		}
	}
}

// organization turns "Name <mail>" into SPDX's "Name (mail)".
func organization(vendor string) string {
	name, mail, ok := strings.Cut(vendor, "<")
	mail, _, closed := strings.Cut(mail, ">")
	name = strings.TrimSpace(name)
	if !ok || !closed || name == "" || strings.ContainsAny(mail, "()") {
		return strings.NewReplacer("(", "[", ")", "]").Replace(vendor)
	}
	return strings.NewReplacer("(", "[", ")", "]").Replace(name) + " (" + mail + ")"
}

// declared makes one SPDX expression of what a package declares. Words that are
// none become a LicenseRef that the document explains. Several licences hold
// together, as far as anybody said.
func (d *document) declared(licenses []string) string {
	var parts []string
	for _, s := range licenses {
		if s = strings.TrimSpace(s); s == "" || strings.EqualFold(s, noAssertion) || strings.EqualFold(s, "NONE") {
			continue
		}
		e, ok := license.Parse(s)
		switch {
		case !ok:
			parts = append(parts, d.licenseRef(s))
		case e.Or && len(licenses) > 1:
			parts = append(parts, "("+e.Text+")")
		default:
			parts = append(parts, e.Text)
		}
	}
	if len(parts) == 0 {
		return noAssertion
	}
	return strings.Join(parts, " AND ")
}

// concluded gives what was read from a text.
func (d *document) concluded(c *bulwark.Concluded) string {
	if c == nil {
		return noAssertion
	}
	return d.declared([]string{c.License})
}

func (d *document) licenseRef(s string) string {
	sum := sha256.Sum256([]byte(s))
	id := "LicenseRef-"
	if w := strings.Trim(word(s), "-."); w != "" && len(w) <= 40 {
		id += w + "-"
	}
	id += hex.EncodeToString(sum[:6])
	d.texts[id] = s
	return id
}

// word keeps the letters, digits, dots and hyphens of s, the only characters of
// SPDX ids, and puts hyphens for runs of others.
func word(s string) string {
	var b strings.Builder
	for _, r := range s[:min(len(s), 200)] {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.':
			b.WriteRune(r)
		case b.Len() > 0 && b.String()[b.Len()-1] != '-':
			b.WriteByte('-')
		}
	}
	return b.String()
}
