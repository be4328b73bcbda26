// SPDX-License-Identifier: Apache-2.0

package attest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

// Limits on a product tree.
const (
	maxChain      = 8         // products in one another; real relationships have two or three
	maxReferences = 2_000_000 // products that groups, reasons and relationships come to
)

// A rawTree is a product_tree of CSAF 2.0, section 3.2.2.
type rawTree struct {
	Branches []rawBranch `json:"branches"`
	Products []rawNamed  `json:"full_product_names"`
	Groups   []struct {
		ID       string   `json:"group_id"`
		Products []string `json:"product_ids"`
	} `json:"product_groups"`
	Relationships []rawRelationship `json:"relationships"`
}

type rawBranch struct {
	Category string      `json:"category"`
	Name     string      `json:"name"`
	Product  *rawNamed   `json:"product"`
	Branches []rawBranch `json:"branches"`
}

type rawNamed struct {
	ID     string `json:"product_id"`
	Helper struct {
		CPE    string `json:"cpe"`
		PURL   string `json:"purl"`
		Hashes []struct {
			Files []struct {
				Value string `json:"value"`
			} `json:"file_hashes"`
		} `json:"hashes"`
	} `json:"product_identification_helper"`
}

type rawRelationship struct {
	Product rawNamed `json:"full_product_name"`
	Inner   string   `json:"product_reference"`
	Outer   string   `json:"relates_to_product_reference"`
}

// A tree is a product tree made ready for looking up.
type tree struct {
	products map[string]*named // by product id
	related  map[string]*rawRelationship
	chains   map[string][]string // of those that were asked for
	groups   map[string][]string
	left     int // references
	room     int // components of statements
}

// A named is a product and its names.
type named struct {
	Component
	version string // that only the tree says
	ranged  bool   // it is some versions, which the tree says in words or in a range

	narrow *Component // component(true), once it was asked for
}

func newTree(raw *rawTree) (*tree, error) {
	t := &tree{
		products: map[string]*named{}, related: map[string]*rawRelationship{},
		chains: map[string][]string{}, groups: map[string][]string{}, left: maxReferences, room: maxComponents,
	}
	if err := t.grow(raw.Branches, named{}, 0); err != nil {
		return nil, err
	}
	for i := range raw.Products {
		if err := t.define(&raw.Products[i], named{}); err != nil {
			return nil, err
		}
	}
	for i := range raw.Relationships {
		r := &raw.Relationships[i]
		if t.related[r.Product.ID] != nil {
			return nil, fmt.Errorf("product %q is defined twice", clip(r.Product.ID))
		}
		if err := t.define(&r.Product, named{}); err != nil {
			return nil, err
		}
		t.related[r.Product.ID] = r
	}
	for _, g := range raw.Groups {
		if _, ok := t.groups[g.ID]; ok {
			return nil, fmt.Errorf("group %q is defined twice", clip(g.ID))
		}
		t.groups[g.ID] = g.Products
	}
	return t, nil
}

// grow defines the products of branches; up is what those above say of the version.
func (t *tree) grow(branches []rawBranch, up named, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("more than %d branches in one another: %w", maxNested, bulwark.ErrTooLarge)
	}
	for i := range branches {
		b, here := &branches[i], up
		switch b.Category {
		case "product_version":
			here.version = b.Name
		case "product_version_range":
			here.ranged = here.ranged || b.Name != "vers:all/*"
		case "patch_level", "service_pack":
			here.ranged = true
		}
		if b.Product != nil {
			if err := t.define(b.Product, here); err != nil {
				return err
			}
		}
		if err := t.grow(b.Branches, here, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// define adds a product. What is defined twice could be two things.
func (t *tree) define(raw *rawNamed, p named) error {
	if t.products[raw.ID] != nil {
		return fmt.Errorf("product %q is defined twice", clip(raw.ID))
	}
	if len(t.products) >= maxComponents {
		return fmt.Errorf("more than %d products: %w", maxComponents, bulwark.ErrTooLarge)
	}
	if s := strings.TrimSpace(raw.Helper.PURL); strings.HasPrefix(s, "pkg:") {
		p.ID, p.PURLs = s, []string{s}
	}
	if s := strings.TrimSpace(raw.Helper.CPE); s != "" {
		p.CPEs = []string{s}
	}
	for _, h := range raw.Helper.Hashes {
		for _, f := range h.Files {
			p.Hashes = append(p.Hashes, digits(f.Value))
		}
	}
	slices.Sort(p.Hashes)
	t.products[raw.ID] = &p
	return nil
}

// component gives the product's names. A purl without a version names all
// versions: where the tree says which ones are meant, one that closes findings
// must not be read as more than that.
func (n *named) component(closes bool) Component {
	if !closes || len(n.PURLs) == 0 {
		return n.Component
	}
	if n.narrow != nil {
		return *n.narrow
	}
	c := n.Component
	if p, err := packageurl.FromString(c.PURLs[0]); err == nil && p.Version == "" {
		switch {
		case n.ranged:
			c.ID, c.PURLs = "", nil
		case version(n.version) && n.version != p.Name:
			p.Version = n.version
			c.ID = p.ToString()
			c.PURLs = []string{c.ID}
		}
	}
	n.narrow = &c
	return c
}

// version tells whether the name of a branch is a version: vendors write the
// package's name there, too.
func version(s string) bool {
	if bulwark.Digest(s).Valid() {
		return true
	}
	s = strings.TrimPrefix(s, "v")
	return s != "" && s[0] >= '0' && s[0] <= '9'
}

// spend counts references.
func (t *tree) spend(n int) error {
	if t.left -= n; t.left < 0 {
		return fmt.Errorf("more than %d references to products: %w", maxReferences, bulwark.ErrTooLarge)
	}
	return nil
}

// expand gives the products that a flag, threat or remediation is about.
func (t *tree) expand(about *rawAbout) ([]string, error) {
	if err := t.spend(len(about.Products) + len(about.Groups)); err != nil {
		return nil, err
	}
	ids := slices.Clone(about.Products)
	for _, g := range about.Groups {
		list, ok := t.groups[g]
		if !ok {
			return nil, fmt.Errorf("group %q is not defined", clip(g))
		}
		if err := t.spend(len(list)); err != nil {
			return nil, err
		}
		ids = append(ids, list...)
	}
	return ids, nil
}

// chain gives the ids of the products that a product id stands for, the innermost
// first, each in the next one; none when one of them is not defined.
func (t *tree) chain(id string, depth int) ([]string, error) {
	if c, ok := t.chains[id]; ok {
		return c, nil
	}
	if depth > maxChain {
		return nil, fmt.Errorf("product %q: more than %d products in one another, or a circle: %w", clip(id), maxChain, bulwark.ErrTooLarge)
	}
	var out []string
	if r := t.related[id]; r != nil {
		inner, err := t.chain(r.Inner, depth+1)
		if err != nil {
			return nil, err
		}
		outer, err := t.chain(r.Outer, depth+1)
		if err != nil {
			return nil, err
		}
		if len(inner) == 1 && len(t.products[inner[0]].PURLs) == 0 && len(t.products[id].PURLs) > 0 {
			inner = []string{id} // the purl is with the relationship
		}
		if len(inner) > 0 && len(outer) > 0 {
			out = slices.Concat(inner, outer)
		}
		if len(out) > maxChain {
			return nil, fmt.Errorf("product %q: more than %d products in one another: %w", clip(id), maxChain, bulwark.ErrTooLarge)
		}
	} else if t.products[id] != nil {
		out = []string{id}
	}
	t.chains[id] = out
	return out, nil
}
