// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common" // the standard's own model and writer
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdx/v2/v2_3/tagvalue/writer"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// TagValue writes the document that [Format] writes, as tags and values
// (https://spdx.github.io/spdx-spec/v2.3/conformance/). Values that would end
// their line or their text, or act on a terminal, are written with the names of
// the characters, such as \x1b.
type TagValue struct{}

// Name gives "spdx-tag-value".
func (TagValue) Name() string { return "spdx-tag-value" }

// Write writes the document.
func (TagValue) Write(w io.Writer, r *bulwark.Report) error {
	d := &document{v: view.New(r), ids: map[string]bool{}, texts: map[string]string{}}
	doc := d.model()
	if d.err != nil {
		return d.err
	}
	out := bufio.NewWriterSize(w, 64<<10) // it keeps the first error, which the writer does not look at
	if err := writer.RenderDocument(doc, out); err != nil {
		return err
	}
	return out.Flush()
}

// model gives the document in the standard's own model.
func (d *document) model() *v2_3.Document {
	r := d.v.Report
	created, tool := view.SBOMTime(r), d.tool()
	creator := strings.TrimPrefix(tool, "Tool: ")
	doc := &v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: element(documentID),
		DocumentName: line(d.v.ArtifactName()), DocumentNamespace: namespace + view.SBOMUUID(r),
		CreationInfo: &v2_3.CreationInfo{Created: created, Creators: []common.Creator{{CreatorType: "Tool", Creator: creator}}},
	}
	if doc.DocumentName == "" {
		doc.DocumentName = "artifact"
	}
	for _, a := range d.coverage(tool, created) {
		doc.Annotations = append(doc.Annotations, &v2_3.Annotation{
			Annotator: common.Annotator{AnnotatorType: "Tool", Annotator: creator}, AnnotationDate: a.Date, AnnotationType: a.Type,
			AnnotationSPDXIdentifier: common.MakeDocElementID("", string(element(documentID))), AnnotationComment: line(a.Comment),
		})
	}
	doc.Packages = append(doc.Packages, tagged(d.artifact()))
	if r.Inventory.OS != nil {
		doc.Packages = append(doc.Packages, tagged(d.system(r.Inventory.OS)))
	}
	for i := range r.Inventory.Packages {
		doc.Packages = append(doc.Packages, tagged(d.item(&r.Inventory.Packages[i])))
	}
	for _, id := range slices.Sorted(maps.Keys(d.texts)) {
		words := line(d.texts[id])
		doc.OtherLicenses = append(doc.OtherLicenses, &v2_3.OtherLicense{
			LicenseIdentifier: id, ExtractedText: words, LicenseName: text.Cut(words, 100, "…"),
		})
	}
	relate := func(from, kind, to string) {
		doc.Relationships = append(doc.Relationships, &v2_3.Relationship{
			RefA: common.MakeDocElementID("", string(element(from))), RefB: common.MakeDocElementID("", string(element(to))), Relationship: kind,
		})
	}
	relate(documentID, "DESCRIBES", artifactID)
	for _, id := range d.order {
		relate(artifactID, "CONTAINS", id)
	}
	return doc
}

// element takes off the prefix that the standard's writer puts on.
func element(id string) common.ElementID {
	return common.ElementID(strings.TrimPrefix(id, "SPDXRef-"))
}

func tagged(it item) *v2_3.Package {
	p := &v2_3.Package{
		PackageName: line(it.Name), PackageSPDXIdentifier: element(it.ID), PackageVersion: line(it.Version),
		PackageDownloadLocation: it.DownloadLocation, FilesAnalyzed: it.FilesAnalyzed, IsFilesAnalyzedTagPresent: true,
		PackageSourceInfo: line(it.SourceInfo), PackageLicenseConcluded: it.Concluded, PackageLicenseDeclared: it.Declared,
		PackageCopyrightText: it.Copyright, PackageComment: folded(it.Comment), PrimaryPackagePurpose: it.Purpose,
	}
	if p.PackageName == "" { // it was spaces; without its first tag a package would be none
		p.PackageName = "unnamed"
	}
	if kind, who, ok := strings.Cut(line(it.Supplier), ": "); ok {
		p.PackageSupplier = &common.Supplier{SupplierType: kind, Supplier: who}
	}
	for _, ref := range it.Refs {
		if at := strings.ReplaceAll(line(ref.Locator), " ", "%20"); at != "" {
			p.PackageExternalReferences = append(p.PackageExternalReferences, &v2_3.PackageExternalReference{Category: ref.Category, RefType: ref.Type, Locator: at})
		}
	}
	return p
}

// line gives s as a value on one line: without a mark that begins or ends a text
// of several.
func line(s string) string {
	return strings.TrimSpace(strings.NewReplacer("<text>", `\x3ctext>`, "</text>", `\x3c/text>`).Replace(text.Clean(s)))
}

// longLine is how long a line may be, bytes. Readers commonly end at 64 KiB.
const longLine = 32 << 10

// folded gives a comment of ours as a value. Its JSON has no such marks and no
// line ends; a long one gets line ends between its members.
func folded(s string) string {
	mark, raw, ok := strings.Cut(s, ": ")
	if !ok {
		return line(s)
	}
	var b bytes.Buffer
	out := text.NewJSONWriter(&b)
	out.Raw(raw)
	out.Close() // to memory
	if b.Len() < longLine {
		return mark + ": " + b.String()
	}
	raw = b.String()
	b.Reset()
	if json.Indent(&b, []byte(raw), "", " ") != nil {
		return line(s)
	}
	return mark + ": " + b.String()
}
