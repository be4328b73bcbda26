// SPDX-License-Identifier: Apache-2.0

package openvex

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
)

// A Document is statements that somebody makes, and no report.
type Document struct {
	Author     string // "" is the tool
	Tool       string // name and version of what writes it
	Created    time.Time
	Statements []Statement
}

// A Statement says of one vulnerability how it concerns products.
type Statement struct {
	Vulnerability string
	Aliases       []string
	Image         *bulwark.Artifact // that Packages are in, with a valid ID; nil is wherever they are
	Packages      []string          // package URLs; with an Image none is the whole of it
	Status        string            // in the specification's words
	Justification string            // of not_affected, in the specification's words
	Impact        string            // of not_affected, where there is no justification
	Action        string            // of affected
	Notes         string
}

// Write writes the document. Ids are made of the content, so that the same
// statements at the same time are the same document.
func (d *Document) Write(w io.Writer) error {
	out := text.NewJSONWriter(w)
	stamp := clock(d.Created)
	list := make([]statement, 0, len(d.Statements))
	parts := []string{"statements", d.Author, stamp}
	for i := range d.Statements {
		list = append(list, d.Statements[i].statement(stamp))
		parts = append(parts, list[i].ID)
	}
	head(out, "urn:uuid:"+uuid(parts...), cmp.Or(d.Author, d.Tool), "Document Creator", stamp, d.Tool)
	for i := range list {
		if i > 0 {
			out.Raw(",")
		}
		out.Raw("\n    ")
		out.Value("    ", list[i])
	}
	out.Raw("\n  ]\n}\n")
	return out.Close()
}

func (s *Statement) statement(stamp string) statement {
	out := statement{
		Vulnerability: vulnerability{Name: cmp.Or(strings.TrimSpace(s.Vulnerability), "unnamed")},
		Timestamp:     stamp, Products: products(s.Image, s.Packages),
		Status: s.Status, Notes: s.Notes, Justification: s.Justification, Impact: s.Impact, Action: s.Action,
	}
	for _, a := range s.Aliases {
		if a != "" && a != s.Vulnerability && !slices.Contains(out.Vulnerability.Aliases, a) {
			out.Vulnerability.Aliases = append(out.Vulnerability.Aliases, a)
		}
	}
	if out.Action != "" {
		out.ActionTime = stamp
	}
	parts := []string{"statement", stamp, s.Vulnerability, s.Status, s.Notes, s.Justification, s.Impact, s.Action}
	for _, p := range out.Products {
		parts = append(parts, p.ID)
	}
	out.ID = "urn:uuid:" + uuid(append(parts, s.Packages...)...)
	return out
}
