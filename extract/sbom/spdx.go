// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"encoding/json"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// An spdxPackage is what is needed of SPDX's
// (https://spdx.github.io/spdx-spec/v2.3/package-information/).
type spdxPackage struct {
	ID          string           `json:"SPDXID"`
	Name        string           `json:"name"`
	Version     string           `json:"versionInfo"`
	Supplier    string           `json:"supplier"`
	Declared    string           `json:"licenseDeclared"`
	Purpose     string           `json:"primaryPackagePurpose"`
	Comment     string           `json:"comment"`
	Refs        []spdxRef        `json:"externalRefs"`
	Annotations []spdxAnnotation `json:"annotations"`
}

type spdxRef struct {
	Type    string `json:"referenceType"`
	Locator string `json:"referenceLocator"`
}

type spdxAnnotation struct {
	Comment string `json:"comment"`
}

type spdxRelationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

// noted gives the JSON that Bulwark writes into a comment.
func noted(comment string) (string, bool) { return strings.CutPrefix(comment, "bulwark: ") }

// spdxPackage takes one package.
func (b *bill) spdxPackage(p *spdxPackage) error {
	comments := []string{p.Comment}
	for _, a := range p.Annotations {
		comments = append(comments, a.Comment)
	}
	if p.Purpose == "OPERATING-SYSTEM" {
		b.spdxSystem(p, comments)
		return nil
	}
	it := item{
		id: p.ID, name: clean(p.Name), version: clean(p.Version), vendor: supplier(p.Supplier),
		counts: p.Purpose == "" || p.Purpose == "LIBRARY" || p.Purpose == "FRAMEWORK",
	}
	switch l := clean(p.Declared); l {
	case "", "NOASSERTION", "NONE":
	default:
		it.licenses = []string{l}
	}
	for _, r := range p.Refs {
		if r.Type == "purl" && it.purl == "" {
			it.purl = r.Locator
		}
	}
	for _, c := range comments {
		text, ok := noted(c)
		if !ok {
			continue
		}
		var n struct {
			note
			Layers []bulwark.Digest `json:"layers"` // of the artifact itself
		}
		if json.Unmarshal([]byte(text), &n) != nil {
			continue
		}
		for _, id := range n.Layers {
			if id.Valid() {
				b.layers = append(b.layers, bulwark.Layer{DiffID: id})
			}
		}
		n.clean()
		it.own, it.dev = &n.note, n.Dev
	}
	return b.add(it)
}

// clean drops what is no reasonable text.
func (n *note) clean() {
	for _, s := range []*string{&n.Ecosystem, &n.Source, &n.SourceVersion, &n.Arch, &n.Module, &n.Owner, &n.By} {
		*s = clean(*s)
	}
	where := n.Where
	n.Where = nil
	for _, l := range where {
		if l.Path = clean(l.Path); !l.Layer.Valid() {
			l.Layer = ""
		}
		if !l.Deleted.Valid() {
			l.Deleted = ""
		}
		l.Line = max(0, l.Line)
		n.Where = append(n.Where, l)
	}
}

// spdxSystem takes the operating system. The first one counts.
func (b *bill) spdxSystem(p *spdxPackage, comments []string) {
	if b.os != nil || clean(p.Name) == "" {
		return
	}
	os := bulwark.OS{}
	for _, c := range comments {
		if text, ok := noted(c); ok && json.Unmarshal([]byte(text), &os) != nil {
			os = bulwark.OS{}
		}
	}
	for _, s := range []*string{&os.ID, &os.Version, &os.Like, &os.Codename, &os.Name, &os.Ecosystem} {
		*s = clean(*s)
	}
	if os.ID == "" {
		os.ID, os.Version = strings.ToLower(clean(p.Name)), clean(p.Version)
	}
	if os.Ecosystem == "" {
		os.Ecosystem = release(os.ID, os.Version)
	}
	b.os = &os
}

// supplier gives the name in "Organization: name (mail)".
func supplier(s string) string {
	_, who, ok := strings.Cut(clean(s), ": ")
	if !ok {
		return ""
	}
	return who
}

// annotation takes a note on the document.
func (b *bill) annotation(a *spdxAnnotation) error {
	if text, ok := strings.CutPrefix(a.Comment, "gap: "); ok {
		b.gap(text)
	}
	return nil
}

// relationship takes note of what the document is about.
func (b *bill) relationship(r *spdxRelationship) error {
	switch r.Type {
	case "DESCRIBES":
		if r.From == "SPDXRef-DOCUMENT" && len(b.described) < maxItems {
			b.described[r.To] = true
		}
	case "DESCRIBED_BY":
		if len(b.described) >= maxItems {
			return nil
		}
		b.described[r.From] = true
	}
	return nil
}
