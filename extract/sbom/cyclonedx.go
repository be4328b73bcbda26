// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A component is what is needed of CycloneDX's
// (https://cyclonedx.org/docs/1.6/json/#components).
type component struct {
	Type       string          `json:"type"`
	Group      string          `json:"group"`
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	Describe   string          `json:"description"`
	PURL       string          `json:"purl"`
	Scope      string          `json:"scope"`
	Publisher  string          `json:"publisher"`
	Licenses   json.RawMessage `json:"licenses"`
	Properties []property      `json:"properties"`
	Components []component     `json:"components"`

	declared []string // licences, where they were read as XML
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// metadata reads what a bill says of itself and its subject.
func (b *bill) metadata(d *json.Decoder) error {
	return b.members(d, func(key string) error {
		switch key {
		case "component":
			var c component
			if err := decode(d, &c); err != nil {
				return err
			}
			return b.subject(&c)
		case "properties":
			return each(b, d, func(p *property) error {
				if p.Name == "bulwark:gap" {
					b.gap(p.Value)
				}
				return nil
			})
		}
		return skip(d)
	})
}

// subject takes what the bill is about: no component of itself.
func (b *bill) subject(c *component) error {
	for _, p := range c.Properties {
		if id := bulwark.Digest(p.Value); p.Name == "bulwark:layer" && id.Valid() {
			b.layers = append(b.layers, bulwark.Layer{DiffID: id})
		}
	}
	if c.Type == "operating-system" {
		b.system(c)
	}
	for i := range c.Components {
		if err := b.component(&c.Components[i], 1); err != nil {
			return err
		}
	}
	return nil
}

// component takes a component and those in it.
func (b *bill) component(c *component, depth int) error {
	if depth > maxDepth {
		b.gap(bulwark.GapLimit + fmt.Sprintf(", may hide packages: components more than %d deep in others are left out", maxDepth))
		return nil
	}
	if err := b.done(); err != nil {
		return err
	}
	switch c.Type {
	case "operating-system":
		b.system(c)
	case "file", "data", "cryptographic-asset":
	default:
		it := item{
			group: clean(c.Group), name: clean(c.Name), version: clean(c.Version), purl: c.PURL,
			licenses: c.licenses(), vendor: clean(c.Publisher), dev: c.Scope == "excluded",
			// Trivy and others list lock files as applications.
			counts: c.Type == "library" || c.Type == "framework",
		}
		it.properties(c.Properties)
		if err := b.add(it); err != nil {
			return err
		}
	}
	for i := range c.Components {
		if err := b.component(&c.Components[i], depth+1); err != nil {
			return err
		}
	}
	return nil
}

// system takes the operating system. The first one counts.
func (b *bill) system(c *component) {
	if b.os != nil || clean(c.Name) == "" {
		return
	}
	os := bulwark.OS{ID: strings.ToLower(clean(c.Name)), Version: clean(c.Version), Name: clean(c.Describe)}
	for _, p := range c.Properties {
		switch v := clean(p.Value); p.Name {
		case "bulwark:ecosystem":
			os.Ecosystem = v
		case "bulwark:codename", "syft:distro:versionCodename":
			os.Codename = v
		case "bulwark:like", "syft:distro:idLike:0":
			os.Like = v
		case "syft:distro:id":
			os.ID = v
		case "syft:distro:versionID":
			os.Version = v
		case "syft:distro:prettyName":
			os.Name = v
		}
	}
	if os.Ecosystem == "" {
		os.Ecosystem = release(os.ID, os.Version)
	}
	b.os = &os
}

// properties takes what Bulwark, Syft and Trivy note.
func (it *item) properties(list []property) {
	var own note
	noted := false
	for _, p := range list {
		v := clean(p.Value)
		if rest, ok := strings.CutPrefix(p.Name, "bulwark:"); ok && v != "" {
			noted = true
			own.take(rest, v)
			continue
		}
		switch p.Name {
		case "aquasecurity:trivy:SrcName", "syft:metadata:source", "syft:metadata:originPackage":
			it.source = v
		case "aquasecurity:trivy:SrcVersion", "syft:metadata:sourceVersion":
			it.sourceVersion = v + it.sourceVersion // the release may have come first
		case "aquasecurity:trivy:SrcRelease":
			it.sourceVersion += "-" + v
		case "aquasecurity:trivy:SrcEpoch":
			if v != "0" && v != "" {
				it.sourceVersion = v + ":" + it.sourceVersion
			}
		case "aquasecurity:trivy:Modularitylabel", "syft:metadata:modularityLabel":
			it.module = v
		}
	}
	if noted {
		it.own = &own
	}
}

// take takes one property. Places are numbered from the second one on: "path",
// "path:1" with "layer:1", and so on. Writers that repeat "path" and "layer" in
// turn are understood, too.
func (n *note) take(key, v string) {
	switch key {
	case "ecosystem":
		n.Ecosystem = v
		return
	case "source":
		n.Source = v
		return
	case "sourceVersion":
		n.SourceVersion = v
		return
	case "arch":
		n.Arch = v
		return
	case "module":
		n.Module = v
		return
	case "owner":
		n.Owner = v
		return
	case "by":
		n.By = v
		return
	}
	field, number, numbered := strings.Cut(key, ":")
	at := max(0, len(n.Where)-1)
	switch {
	case numbered:
		i, err := strconv.Atoi(number)
		if err != nil || i < 1 || i > len(n.Where) || i > 100_000 {
			return
		}
		at = i
	case field == "path" && len(n.Where) > 0:
		at = len(n.Where)
	}
	for len(n.Where) <= at {
		n.Where = append(n.Where, bulwark.Location{})
	}
	w := &n.Where[at]
	switch field {
	case "path":
		w.Path = v
	case "layer":
		if d := bulwark.Digest(v); d.Valid() {
			w.Layer = d
		}
	case "deleted":
		if d := bulwark.Digest(v); d.Valid() {
			w.Deleted = d
		}
	case "line":
		if line, err := strconv.Atoi(v); err == nil && line > 0 {
			w.Line = line
		}
	}
}

// licenses reads ids, names or an expression.
func (c *component) licenses() []string {
	var list []struct {
		License struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"license"`
		Expression string `json:"expression"`
	}
	if c.declared != nil {
		return c.declared
	}
	if len(c.Licenses) == 0 || json.Unmarshal(c.Licenses, &list) != nil {
		return nil
	}
	var out []string
	for _, l := range list {
		for _, s := range []string{l.Expression, l.License.ID, l.License.Name} {
			if s = clean(s); s != "" && len(out) < 64 {
				out = append(out, s)
				break
			}
		}
	}
	return out
}
