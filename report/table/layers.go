// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

func (f Format) page(w io.Writer, r *bulwark.Report) *page {
	p := &page{Format: f, w: bufio.NewWriterSize(w, 64<<10), v: view.New(r), glyphs: glyphs(f.Unicode)}
	if f.Width == 0 {
		p.Width = defaultWidth
	}
	p.Width = min(max(p.Width, minWidth), maxWidth)
	return p
}

// layerCount is what came and went with one layer.
type layerCount struct {
	added, removed  int // packages
	brought, solved view.Tally
}

// Layers writes the layers of an image, oldest first: whose each one is, what it
// is for, what it brings, and what it takes away.
func (f Format) Layers(w io.Writer, r *bulwark.Report) error {
	p := f.page(w, r)
	p.head()
	p.ancestor(r.Base)
	if len(r.Inventory.Layers) == 0 {
		p.blank()
		p.line("no layers: only images have them")
		return p.w.Flush()
	}
	counts := countLayers(r)
	p.section("layers", fmt.Sprintf("%s, oldest first", text.Plural(len(r.Inventory.Layers), "layer", "layers")))
	p.line(p.ink(dim, fmt.Sprintf("%3s  %-4s %-13s %9s %9s %7s  %s", "", "OF", "CLASS", "SIZE", "WASTED", "PKGS", "OPEN FINDINGS")))
	for i := range r.Inventory.Layers {
		l := &r.Inventory.Layers[i]
		c := counts[l.DiffID]
		wasted, packages := "", ""
		if l.Wasted > 0 {
			wasted = text.Bytes(l.Wasted)
		}
		if c.added > 0 {
			packages = fmt.Sprintf("+%d", c.added)
		}
		if c.removed > 0 {
			packages = strings.TrimSpace(packages + fmt.Sprintf(" -%d", c.removed))
		}
		own := plain
		if l.Owner == bulwark.OwnerApp {
			own = bold
		}
		p.line(fmt.Sprintf("%3d  ", i+1), p.cell(own, cmp.Or(l.Owner, "?"), 5), p.cell(plain, cmp.Or(l.Class, "?"), 14),
			fmt.Sprintf("%9s ", text.Bytes(l.Size)), p.ink(yellow, fmt.Sprintf("%9s ", wasted)), fmt.Sprintf("%7s  ", packages), c.brought.Words())
		by := cmp.Or(l.CreatedBy, l.DiffID.Short())
		p.line(p.ink(dim, "     "+p.cut(p.safe(strings.Join(strings.Fields(by), " ")), p.room()-5)))
		if n := c.solved.Total(); n > 0 {
			p.line(p.ink(dim, fmt.Sprintf("     takes away %s with the packages it removes", text.Plural(n, "finding", "findings"))))
		}
	}
	return p.w.Flush()
}

// countLayers counts packages by the first layer that has them, and findings by
// the layers of their evidence.
func countLayers(r *bulwark.Report) map[bulwark.Digest]*layerCount {
	out := map[bulwark.Digest]*layerCount{}
	for _, l := range r.Inventory.Layers {
		out[l.DiffID] = &layerCount{}
	}
	for i := range r.Inventory.Packages {
		if p := &r.Inventory.Packages[i]; len(p.Where) > 0 && out[p.Where[0].Layer] != nil {
			out[p.Where[0].Layer].added++
		}
	}
	for i := range r.Inventory.Removed {
		p := &r.Inventory.Removed[i]
		if len(p.Where) == 0 {
			continue
		}
		if c := out[p.Where[0].Layer]; c != nil {
			c.added++
		}
		if c := out[p.Where[0].Deleted]; c != nil {
			c.removed++
		}
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		counted := map[bulwark.Digest]bool{}
		for _, e := range f.Evidence {
			if c := out[e.Layer]; c != nil && f.Status.Open() && !counted[e.Layer] {
				counted[e.Layer] = true
				c.brought.Add(f.Severity)
			}
		}
	}
	for i := range r.Gone {
		for _, e := range r.Gone[i].Evidence {
			if c := out[e.Deleted]; c != nil {
				c.solved.Add(r.Gone[i].Severity)
				break
			}
		}
	}
	return out
}

// ancestor says what the image was built from, and how sure that is.
func (p *page) ancestor(b *bulwark.Base) {
	p.section("base image", "")
	if b == nil {
		p.wrap(dim, "", "not known: no image whose layers this one begins with was seen. Scan the base image by its name, or bulwark layers import a list.")
		return
	}
	name := cmp.Or(b.Name, "without a name")
	p.line(p.ink(bold, p.cut(p.safe(name), p.room()-30)), "  ", b.Confidence)
	why := map[string]string{
		"layers":  "its layers are the first %s of this image",
		"label":   "a label of this image says so; by the history it has %s",
		"history": "a guess from the history: it may have %s",
	}[b.By]
	if why != "" {
		p.line(p.ink(dim, fmt.Sprintf(why, text.Plural(b.Layers, "layer", "layers"))))
	}
}

// Advice writes what to do about an image: other bases and what they would
// change, then upgrades.
func (f Format) Advice(w io.Writer, r *bulwark.Report, bumps []bulwark.Bump) error {
	p := f.page(w, r)
	p.head()
	p.ancestor(r.Base)
	p.section("another base", fmt.Sprintf("%d of its repository would be better", len(bumps)))
	switch {
	case r.Base == nil || r.Base.By != "layers":
		p.wrap(dim, "", "only a base that was recognised by its layers can be compared with others.")
	case len(bumps) == 0:
		p.wrap(dim, "", "no other tag of "+p.safe(r.Base.Name)+" that was scanned has less risk. Scan newer tags of it by name.")
	}
	for _, b := range bumps {
		adds := ""
		if len(b.Adds) > 0 {
			adds = fmt.Sprintf(", adds %d", len(b.Adds))
		}
		p.line(p.ink(bold, "FROM "+p.cut(p.safe(b.Image), p.room()-40)), fmt.Sprintf("  removes %d%s, worst ", len(b.Removes), adds), p.severity(b.Worst))
	}
	p.limit = len(r.Actions)
	p.actions()
	return p.w.Flush()
}

// Difference writes what changed from one artifact to another.
func (f Format) Difference(w io.Writer, d *bulwark.Difference) error {
	p := f.page(w, &bulwark.Report{Artifact: d.New})
	p.blank()
	p.line(p.ink(red, "- "), p.cut(p.safe(d.Old.Name), p.room()-24), "  ", p.ink(dim, d.Old.ID.Short()))
	p.line(p.ink(green, "+ "), p.cut(p.safe(d.New.Name), p.room()-24), "  ", p.ink(dim, d.New.ID.Short()))
	if d.Shared > 0 {
		p.line(p.ink(dim, fmt.Sprintf("  both begin with the same %s", text.Plural(d.Shared, "layer", "layers"))))
	}
	if d.Empty() {
		p.blank()
		p.line("no difference in packages, findings or settings")
		return p.w.Flush()
	}
	if len(d.Packages) > 0 {
		p.section("packages", text.Plural(len(d.Packages), "change", "changes"))
		for _, c := range d.Packages {
			switch {
			case c.Old == "":
				p.line(p.ink(green, "+ "), p.cell(plain, p.cut(p.safe(c.Name), 40), 42), p.cut(p.safe(c.New), p.room()-46))
			case c.New == "":
				p.line(p.ink(red, "- "), p.cell(plain, p.cut(p.safe(c.Name), 40), 42), p.cut(p.safe(c.Old), p.room()-46))
			default:
				p.line(p.ink(yellow, "~ "), p.cell(plain, p.cut(p.safe(c.Name), 40), 42), p.cut(p.safe(c.Old+" "+p.glyphs.arrow+" "+c.New), p.room()-46))
			}
		}
	}
	p.changed("findings that came", "+ ", red, d.Added)
	p.changed("findings that went", "- ", green, d.Removed)
	if len(d.Settings) > 0 {
		p.section("settings", text.Plural(len(d.Settings), "change", "changes"))
		for _, s := range d.Settings {
			p.line(p.ink(yellow, "~ "), p.cell(plain, p.cut(p.safe(s.Name), 28), 30), p.cut(p.safe(cmp.Or(s.Old, p.glyphs.dash)+" "+p.glyphs.arrow+" "+cmp.Or(s.New, p.glyphs.dash)), p.room()-34))
		}
	}
	return p.w.Flush()
}

func (p *page) changed(title, sign string, st style, list []bulwark.Finding) {
	if len(list) == 0 {
		return
	}
	p.section(title, text.Plural(len(list), "finding", "findings"))
	for i := range list {
		f := &list[i]
		note := ""
		if !f.Status.Open() {
			note = "  " + f.Status.State
		}
		p.line(p.ink(st, sign), p.severity(f.Severity), p.cell(plain, p.cut(p.safe(f.Rule), 26), 28), p.cut(p.safe(f.Subject), p.room()-46), p.ink(dim, note))
	}
}
