// SPDX-License-Identifier: Apache-2.0

// Package cyclonedx writes a report as a CycloneDX 1.6 bill of materials, in JSON
// (https://cyclonedx.org/docs/1.6/json/) or XML
// (https://cyclonedx.org/docs/1.6/xml/): every package, the operating system,
// the vulnerabilities with their analysis. It knows which properties let a later
// import match exactly as the scan did. It leaves out findings that are not
// vulnerabilities and all that differs from scan to scan of one artifact.
package cyclonedx

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go" // the standard's own model

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/license"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes one indented bill of materials.
type Format struct{}

// Name gives "cyclonedx".
func (Format) Name() string { return "cyclonedx" }

const (
	schemaURI = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	rootRef   = "artifact"
	osRef     = "operating-system"
)

// Write writes the bill. It is a function of the artifact, the inventory, the
// vulnerabilities and the tool's version; the time of the scan is not in it.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	b := newBill(r)
	out := text.NewJSONWriter(w)
	if err := cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(b.bom()); err != nil {
		return err
	}
	return out.Close()
}

type bill struct {
	v    *view.View
	refs map[string]bool   // every bom-ref that is taken
	ref  map[string]string // purl to the bom-ref of the first package that has it
}

func newBill(r *bulwark.Report) *bill {
	return &bill{v: view.New(r), refs: map[string]bool{rootRef: true, osRef: true}, ref: map[string]string{}}
}

func (b *bill) bom() *cdx.BOM {
	r := b.v.Report
	bom := &cdx.BOM{
		JSONSchema: schemaURI, BOMFormat: cdx.BOMFormat, SpecVersion: cdx.SpecVersion1_6, Version: 1,
		SerialNumber: "urn:uuid:" + view.SBOMUUID(r),
	}
	components := make([]cdx.Component, 0, len(r.Inventory.Packages)+1)
	if r.Inventory.OS != nil {
		components = append(components, system(r.Inventory.OS))
	}
	for i := range r.Inventory.Packages {
		components = append(components, b.component(&r.Inventory.Packages[i]))
	}
	bom.Metadata = &cdx.Metadata{
		Timestamp: view.SBOMTime(r),
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{
			Type: cdx.ComponentTypeApplication, Name: orElse(r.Tool.Name, "bulwark"), Version: r.Tool.Version,
		}}},
		Component:  b.root(),
		Properties: b.coverage(),
	}
	bom.Components = &components
	depends := make([]string, 0, len(components))
	for i := range components {
		depends = append(depends, components[i].BOMRef)
	}
	bom.Dependencies = &[]cdx.Dependency{{Ref: rootRef, Dependencies: &depends}}
	if b.v.Hiding() > 0 || r.Scan.Interrupted {
		bom.Compositions = &[]cdx.Composition{{
			Aggregate: cdx.CompositionAggregateIncomplete, Assemblies: &[]cdx.BOMReference{rootRef},
		}}
	}
	if list := b.vulnerabilities(); len(list) > 0 {
		bom.Vulnerabilities = &list
	}
	return bom
}

func (b *bill) root() *cdx.Component {
	a := &b.v.Artifact
	c := &cdx.Component{BOMRef: rootRef, Type: cdx.ComponentTypeApplication, Name: b.v.ArtifactName(), Version: string(a.ID)}
	switch a.Kind {
	case bulwark.KindImage:
		c.Type = cdx.ComponentTypeContainer
	case bulwark.KindHost:
		c.Type = cdx.ComponentTypeDevice
	}
	p := props{}
	p.add("kind", string(a.Kind))
	p.add("id", string(a.ID))
	p.add("platform", a.Platform)
	p.add("commit", a.Commit)
	for _, l := range b.v.Inventory.Layers {
		p.add("layer", string(l.DiffID))
	}
	c.Properties = p.list()
	return c
}

// coverage says what the bill does not cover. Advice on the database has no
// place here: the packages do not depend on it.
func (b *bill) coverage() *[]cdx.Property {
	p := props{}
	for _, g := range b.v.Inventory.Gaps {
		s := g.Kind
		if g.Hides {
			s += ", may hide packages"
		}
		for _, more := range []string{g.Path, string(g.Layer), g.Detail} {
			if more != "" {
				s += ": " + more
			}
		}
		p.add("gap", s)
	}
	if b.v.Database.Starter {
		p.add("database", "starter set: only famous vulnerabilities were looked for")
	} else if b.v.NoDatabase() {
		p.add("database", "none: vulnerabilities were not looked for")
	}
	for _, e := range b.v.Database.Uncovered {
		p.add("uncovered", e)
	}
	return p.list()
}

func system(os *bulwark.OS) cdx.Component {
	p := props{}
	p.add("ecosystem", os.Ecosystem)
	p.add("codename", os.Codename)
	p.add("like", os.Like)
	return cdx.Component{
		BOMRef: osRef, Type: cdx.ComponentTypeOS, Name: orElse(os.ID, "unknown"), Version: os.Version, Description: os.Name, Properties: p.list(),
	}
}

func (b *bill) component(pkg *bulwark.Package) cdx.Component {
	c := cdx.Component{
		Type: cdx.ComponentTypeLibrary, BOMRef: b.newRef(pkg), Name: orElse(pkg.Name, "unnamed"), Version: pkg.Version,
		PackageURL: pkg.PURL, Publisher: pkg.Vendor, Licenses: licensesOf(pkg),
	}
	if pkg.PURL != "" && b.ref[pkg.PURL] == "" {
		b.ref[pkg.PURL] = c.BOMRef
	}
	if pkg.Dev {
		c.Scope = cdx.ScopeExcluded // "not part of the delivered software"
	}
	p := props{}
	p.add("ecosystem", pkg.Ecosystem)
	p.add("source", pkg.Source)
	p.add("sourceVersion", pkg.SourceVersion)
	p.add("arch", pkg.Arch)
	p.add("module", pkg.Module)
	p.add("owner", pkg.Owner)
	p.add("by", pkg.By)
	for i, l := range pkg.Where {
		suffix := ""
		if i > 0 {
			suffix = ":" + strconv.Itoa(i) // "bulwark:path:1" belongs to "bulwark:layer:1"
		}
		p.add("path"+suffix, l.Path)
		p.add("layer"+suffix, string(l.Layer))
		p.add("deleted"+suffix, string(l.Deleted))
		if l.Line > 0 {
			p.add("line"+suffix, strconv.Itoa(l.Line))
		}
	}
	c.Properties = p.list()
	return c
}

// newRef gives the purl, which is what people look for, unless another package
// has it already or XML could not hold it.
func (b *bill) newRef(pkg *bulwark.Package) string {
	ref := pkg.PURL
	for n := 0; ref == "" || b.refs[ref] || text.Clean(ref) != ref; n++ {
		sum := sha256.Sum256([]byte(pkg.Key()))
		ref = "package-" + hex.EncodeToString(sum[:8])
		if n > 0 {
			ref += "-" + strconv.Itoa(len(b.refs)+n)
		}
	}
	b.refs[ref] = true
	return ref
}

// licensesOf gives what a package declares, or else what was read from a text
// beside it, marked as such.
func licensesOf(pkg *bulwark.Package) *cdx.Licenses {
	if pkg.Concluded == nil || len(pkg.Licenses) > 0 {
		return licenses(pkg.Licenses)
	}
	list := licenses([]string{pkg.Concluded.License})
	if list == nil {
		return nil
	}
	for i := range *list {
		if l := (*list)[i].License; l != nil {
			l.Acknowledgement = cdx.LicenseAcknowledgementConcluded
		}
	}
	return list
}

// licenses gives one expression where there is one, else a list of ids and
// names: the standard does not allow to mix them.
func licenses(declared []string) *cdx.Licenses {
	var list cdx.Licenses
	for _, s := range declared {
		e, ok := license.Parse(s)
		switch {
		case strings.TrimSpace(s) == "":
		case ok && e.Single:
			list = append(list, cdx.LicenseChoice{License: &cdx.License{ID: e.Text}})
		case ok && len(declared) == 1:
			list = append(list, cdx.LicenseChoice{Expression: e.Text})
		default:
			list = append(list, cdx.LicenseChoice{License: &cdx.License{Name: s}})
		}
	}
	if len(list) == 0 {
		return nil
	}
	return &list
}

// props collects properties in bulwark's name space.
type props []cdx.Property

func (p *props) add(name, value string) {
	if value != "" {
		*p = append(*p, cdx.Property{Name: "bulwark:" + name, Value: value})
	}
}

func (p *props) list() *[]cdx.Property {
	if len(*p) == 0 {
		return nil
	}
	return (*[]cdx.Property)(p)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
