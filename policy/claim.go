// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// A Claim is what an exception says of one vulnerability, with names that others
// understand.
type Claim struct {
	Exception     *document.Exception
	Vulnerability string
	Aliases       []string          // the same flaw under other ids
	Image         *bulwark.Artifact // in which the packages are; nil is wherever they are
	Packages      []string          // package URLs, sorted; empty is the image as a whole
}

// Claims gives what the exceptions of a set say of vulnerabilities. Products are
// those that the match of an exception names literally, else those in which the
// reports have findings that it matches. What says nothing to others is remarked:
// exceptions that do not hold now, and those without any product.
func (l Lint) Claims(ctx context.Context, s *Set, reports iter.Seq[*bulwark.Report]) ([]Claim, []Remark, error) {
	if s == nil {
		return nil, nil, nil
	}
	w := linter{Lint: l, set: s, uses: make([]use, len(s.exceptions))}
	w.stages = s.asked()
	c := claims{by: map[claimKey]*claim{}}
	open := map[int]bool{} // those that findings must tell of
	for i, e := range s.exceptions {
		base := Remark{Name: "exception/" + e.doc.Name, Owner: e.doc.Owner, Place: e.doc.Place}
		switch {
		case !l.Now.Before(e.doc.Expires):
			w.remark(base, RemarkExpired, "it ended on %s", e.until())
		case l.Now.Before(e.doc.Starts):
			w.remark(base, RemarkEarly, "it begins on %s", day(e.doc.Starts))
		case !c.literal(i, e):
			open[i] = true
		}
	}
	for r := range reports {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if len(open) == 0 {
			break
		}
		w.each = func(i int, item *subject.Item) {
			if f := item.Finding; open[i] && f != nil && f.Class == bulwark.ClassVulnerability {
				c.found(i, r, f)
			}
		}
		if err := w.walk(ctx, reopened(r), nil); err != nil {
			return nil, nil, err
		}
	}
	for _, i := range slices.Sorted(maps.Keys(open)) {
		if e := s.exceptions[i]; !c.has[i] {
			w.remark(Remark{Name: "exception/" + e.doc.Name, Owner: e.doc.Owner, Place: e.doc.Place}, RemarkUnused,
				"its match names no vulnerability and product literally, and no report has a vulnerability that it matches: name a report with --report")
		}
	}
	return c.list(s), w.out.Remarks, ctx.Err()
}

type claimKey struct {
	exception            int
	vulnerability, image string
}

type claim struct {
	Claim
	exception int
	packages  map[string]bool
}

type claims struct {
	by  map[claimKey]*claim
	has map[int]bool // exceptions with a claim
}

func (c *claims) add(i int, vulnerability string, image *bulwark.Artifact, aliases []string) *claim {
	k := claimKey{exception: i, vulnerability: vulnerability}
	if image != nil {
		k.image = string(image.ID)
	}
	x := c.by[k]
	if x == nil {
		x = &claim{exception: i, packages: map[string]bool{}}
		x.Vulnerability, x.Image, x.Aliases = vulnerability, image, aliases
		c.by[k] = x
		if c.has == nil {
			c.has = map[int]bool{}
		}
		c.has[i] = true
	}
	return x
}

// found takes in a finding that an exception matches.
func (c *claims) found(i int, r *bulwark.Report, f *bulwark.Finding) {
	var image *bulwark.Artifact
	if a := r.Artifact; a.Kind == bulwark.KindImage && a.ID.Valid() {
		image = &a
	}
	c.add(i, f.Rule, image, r.Advisories[f.Rule].Aliases).packages[f.Subject] = true
}

// literal takes in what the match of an exception says in literals. It is false
// where it says more, or less, than that: then a claim would be about more than the
// exception.
func (c *claims) literal(i int, e *exception) bool {
	match := e.match["vulnerability"]
	if match == nil || len(e.scope.in) > 0 || len(e.scope.not) > 0 || len(e.scope.types) > 0 {
		return false
	}
	table, exact, ok := match.Table()
	if !ok || !exact {
		return false
	}
	rows := make([]literalRow, len(table))
	for k, r := range table {
		if rows[k], ok = readRow(r); !ok {
			return false
		}
	}
	for _, r := range rows {
		for _, id := range r.ids {
			images := []*bulwark.Artifact{nil}
			if len(r.digests) > 0 {
				images = images[:0]
			}
			for _, d := range r.digests {
				images = append(images, &bulwark.Artifact{Kind: bulwark.KindImage, ID: bulwark.Digest(d)})
			}
			for _, image := range images {
				x := c.add(i, id, image, nil)
				for _, p := range r.purls {
					x.packages[p] = true
				}
			}
		}
	}
	return len(rows) > 0
}

// literalRow is what one row of a table names.
type literalRow struct{ ids, digests, purls []string }

// readRow is false for a row that compares anything else.
func readRow(r condition.Row) (out literalRow, ok bool) {
	for _, t := range r {
		if t.Not {
			return out, false
		}
		var to *[]string
		switch t.Field {
		case "v.id":
			to = &out.ids
		case "img.digest":
			to = &out.digests
		case "pkg.purl":
			to = &out.purls
		}
		switch {
		case to == nil || *to != nil:
			return out, false
		case t.Op == condition.OpIn:
			*to = t.Texts
		case t.Op == condition.OpPrefix && t.Field == "pkg.purl" && strings.HasSuffix(t.Texts[0], "@"),
			t.Op == condition.OpPrefix && t.Field == "pkg.purl" && strings.HasSuffix(t.Texts[0], "?"):
			*to = []string{t.Texts[0][:len(t.Texts[0])-1]} // every version of it, or every kind of that version
		default:
			return out, false
		}
	}
	for _, d := range out.digests {
		if !bulwark.Digest(d).Valid() {
			return out, false
		}
	}
	for _, p := range out.purls {
		if !strings.HasPrefix(p, "pkg:") {
			return out, false
		}
	}
	return out, len(out.ids) > 0 && len(out.digests)+len(out.purls) > 0
}

// list gives the claims in the order of exceptions, vulnerabilities and images.
func (c *claims) list(s *Set) []Claim {
	all := slices.SortedFunc(maps.Values(c.by), func(a, b *claim) int {
		name := func(x *claim) string {
			if x.Image == nil {
				return ""
			}
			return x.Image.Name + "\x00" + string(x.Image.ID)
		}
		return cmp.Or(cmp.Compare(a.exception, b.exception), cmp.Compare(a.Vulnerability, b.Vulnerability), cmp.Compare(name(a), name(b)))
	})
	var out []Claim
	for _, x := range all {
		x.Exception, x.Packages = s.exceptions[x.exception].doc, slices.Sorted(maps.Keys(x.packages))
		out = append(out, x.Claim)
	}
	return out
}
