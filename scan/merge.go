// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A stack is the records of an artifact's layers, oldest first.
type stack struct {
	records []*record
	layers  []bulwark.Layer
	lines   map[string]lineage // of paths that were asked for lately
}

// hiddenBy gives the layer that hides what layer i has at a path, or -1.
func (s *stack) hiddenBy(i int, path string) int {
	if i+1 >= len(s.records) {
		return -1
	}
	l := s.lineage(outer(path))
	for j := i + 1; j < len(s.records); j++ {
		if s.records[j].hides(l) {
			return j
		}
	}
	return -1
}

func (s *stack) lineage(p string) lineage {
	l, ok := s.lines[p]
	if !ok {
		if len(s.lines) > 2000 || s.lines == nil {
			s.lines = map[string]lineage{}
		}
		l = lineageOf(p)
		s.lines[p] = l
	}
	return l
}

// visible gives the kept files that are seen when only the layers up to and
// including last exist, and the links among them that lead nowhere.
func (s *stack) visible(last int) (out []keptFile, lost []keptLink) {
	files := map[string]keptFile{}
	links := map[string]keptLink{}
	for i := 0; i <= last; i++ {
		rec := s.records[i]
		for p := range files {
			if rec.hides(s.lineage(p)) {
				delete(files, p)
			}
		}
		for p := range links {
			if rec.hides(s.lineage(p)) {
				delete(links, p)
			}
		}
		for _, k := range rec.Kept {
			files[k.Path] = k
		}
		for _, l := range rec.Links {
			links[l.Path] = l
		}
	}
	out = make([]keptFile, 0, len(files))
	for _, k := range files {
		out = append(out, k)
	}
	for _, l := range links {
		end := l
		for hops := 0; hops < 8 && links[end.Target].Path != ""; hops++ {
			end = links[end.Target]
		}
		if k, ok := files[end.Target]; ok {
			k.Path = l.Path
			out = append(out, k)
		} else if l.Needed {
			lost = append(lost, l)
		}
	}
	slices.SortFunc(out, func(a, b keptFile) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(lost, func(a, b keptLink) int { return cmp.Compare(a.Path, b.Path) })
	return out, lost
}

// changed lists the layers after which the package databases look different,
// the last one always among them.
func (s *stack) changed() []int {
	var at []int
	for i, rec := range s.records {
		if len(rec.Kept)+len(rec.Links) > 0 || i == len(s.records)-1 {
			at = append(at, i)
		}
	}
	return at
}

// maxStates bounds how many states of the package databases are read to find out
// which layer brought a package. Beyond it the oldest states count as one.
const maxStates = 24

// inventory puts the layers' records together.
func (s *stack) inventory(ctx context.Context, e *engine) (bulwark.Inventory, []bulwark.Finding, error) {
	var inv bulwark.Inventory
	for _, r := range s.records {
		r.index()
	}
	n := 0
	for _, r := range s.records {
		n += len(r.Packages)
	}
	pkgs := make([]bulwark.Package, 0, n)
	var paths []string
	var removed []bulwark.Package
	for i, rec := range s.records {
		for _, p := range rec.Packages {
			if err := ctx.Err(); err != nil {
				return inv, nil, err
			}
			p.Where = slices.Clone(p.Where)
			for w := range p.Where {
				p.Where[w].Layer = s.layers[i].DiffID
			}
			for w := range p.Where {
				if j := s.hiddenBy(i, p.Where[w].Path); j >= 0 {
					p.Where[w].Deleted = s.layers[j].DiffID
				}
			}
			gone := slices.Clone(p.Where)
			p.Where = slices.DeleteFunc(p.Where, func(l bulwark.Location) bool { return l.Deleted != "" })
			if len(p.Where) == 0 {
				p.Where = gone
				removed = append(removed, p)
				continue
			}
			pkgs = append(pkgs, p)
			for _, l := range p.Where {
				paths = append(paths, outer(l.Path))
			}
		}
		for _, f := range rec.Functions {
			if s.hiddenBy(i, f.Path) < 0 {
				inv.Functions = append(inv.Functions, f)
			}
		}
		rec.Packages = nil // a large image's packages are held once
		for _, p := range rec.Programs {
			if s.hiddenBy(i, p.Path) < 0 {
				p.Layer = s.layers[i].DiffID
				inv.Programs = append(inv.Programs, p)
			}
		}
		rec.Programs = nil
		for _, g := range rec.Gaps {
			g.Layer = s.layers[i].DiffID
			inv.Gaps = append(inv.Gaps, g)
		}
	}
	var more []bulwark.Gap
	inv.Suppressions, more = s.suppressions()
	inv.Gaps = append(inv.Gaps, more...)
	slices.Sort(paths)
	final, brought, gone, err := s.databases(ctx, e, slices.Compact(paths))
	// Nothing is parsed after this: the child's memory is given back before the
	// parent's own work begins.
	if err = errors.Join(err, e.end(ctx)); err != nil {
		return inv, nil, err
	}
	inv.OS = final.OS
	for _, rec := range s.records {
		if inv.OS == nil {
			inv.OS = rec.OS
		}
	}
	inv.Gaps = append(inv.Gaps, final.Gaps...)
	for _, p := range final.Packages {
		for w := range p.Where {
			p.Where[w].Layer = brought[p.Key()]
		}
		if len(p.Where) == 0 {
			p.Where = []bulwark.Location{{Layer: brought[p.Key()]}}
		}
		pkgs = append(pkgs, p)
	}
	for i := range pkgs {
		p := &pkgs[i]
		for _, l := range p.Where {
			if owner := final.Owners[outer(l.Path)]; owner != "" {
				p.Owner = owner
			}
		}
	}
	inv.Packages = together(pkgs)
	inv.Removed = s.removed(inv.Packages, append(removed, gone...))
	for i := range s.layers {
		s.layers[i].Wasted = s.wasted(i)
		s.layers[i].Content = s.records[i].Content
	}
	return inv, s.findings(), nil
}

// maxRemoved bounds the packages that are listed as taken away.
const maxRemoved = 5000

// removed gives the packages that are really gone: not those that a later layer
// has brought again, at the same place or another.
func (s *stack) removed(there, gone []bulwark.Package) []bulwark.Package {
	known := make(map[string]bool, len(there))
	for i := range there {
		known[there[i].Key()] = true
	}
	gone = slices.DeleteFunc(gone, func(p bulwark.Package) bool { return known[p.Key()] })
	gone = together(gone)
	return gone[:min(len(gone), maxRemoved)]
}

// databases reads the package databases as the last layer leaves them, and as
// earlier layers left them, to tell which layer brought each package, and which
// of earlier layers are gone.
func (s *stack) databases(ctx context.Context, e *engine, paths []string) (final merged, brought map[string]bulwark.Digest, gone []bulwark.Package, err error) {
	states := s.changed()
	if len(states) == 0 {
		return final, nil, nil, nil
	}
	last := states[len(states)-1]
	files, lost := s.visible(last)
	final = merged{Owners: map[string]string{}}
	if len(files) > 0 {
		if final, err = e.merge(ctx, mergeCommand{Files: files, Last: true, Paths: paths}); err != nil {
			return final, nil, nil, err
		}
	}
	for _, l := range lost {
		final.Gaps = append(final.Gaps, bulwark.Gap{Kind: bulwark.GapUnsupported, Path: l.Path, Hides: true, Detail: "a package database that is a link to elsewhere, or no file at all, is not read"})
	}
	if final.OS != nil && len(final.Packages) == 0 && len(final.Gaps) == 0 {
		final.Gaps = append(final.Gaps, bulwark.Gap{Kind: bulwark.GapUnsupported, Hides: true, Detail: fmt.Sprintf("the system says that it is %q, and no package database of it was found", final.OS.ID)})
	}
	brought = make(map[string]bulwark.Digest, len(final.Packages))
	for _, p := range final.Packages {
		brought[p.Key()] = s.layers[last].DiffID
	}
	// From the newest state back: a package that was there before the layer came
	// from an older one.
	older := states[:len(states)-1]
	if len(older) > maxStates {
		older = older[len(older)-maxStates:]
	}
	there := brought
	newer := make(map[string]bool, len(brought)) // packages of the next state
	for key := range brought {
		newer[key] = true
	}
	lostAt := map[string]int{} // packages that are gone → index in gone
	next := last
	for _, i := range slices.Backward(older) {
		files, _ := s.visible(i)
		m, err := e.merge(ctx, mergeCommand{Files: files})
		if err != nil {
			return final, nil, nil, err
		}
		still := map[string]bulwark.Digest{}
		now := make(map[string]bool, len(m.Packages))
		for _, p := range m.Packages {
			key := databaseKey(p, final.OS)
			now[key] = true
			if _, ok := there[key]; ok {
				brought[key] = s.layers[i].DiffID
				still[key] = ""
			}
			at, known := lostAt[key]
			switch {
			case known: // it came from an older layer still
				gone[at].Where[0].Layer = s.layers[i].DiffID
			case !newer[key] && len(gone) < maxRemoved:
				nameRelease(&p, final.OS)
				path := ""
				if len(p.Where) > 0 {
					path = p.Where[0].Path
				}
				p.Where = []bulwark.Location{{Path: path, Layer: s.layers[i].DiffID, Deleted: s.layers[next].DiffID}}
				lostAt[key] = len(gone)
				gone = append(gone, p)
			}
		}
		there, newer, next = still, now, i
	}
	return final, brought, gone, nil
}

// nameRelease gives a package of the distribution its ecosystem, which is that of
// the final state.
func nameRelease(p *bulwark.Package, os *bulwark.OS) {
	kind, _, _ := strings.Cut(p.PURL, "/")
	if os != nil && os.Ecosystem != "" && (kind == "pkg:deb" || kind == "pkg:rpm" || kind == "pkg:apk") && p.Owner == "" {
		p.Ecosystem = os.Ecosystem
	}
}

// databaseKey is the key of a package of an earlier state, where the release may
// not have been known yet.
func databaseKey(p bulwark.Package, os *bulwark.OS) string {
	nameRelease(&p, os)
	return p.Key()
}

// together makes one package of those with the same key and owner, and sorts.
func together(pkgs []bulwark.Package) []bulwark.Package {
	byKey := make(map[string]int, len(pkgs))
	out := make([]bulwark.Package, 0, len(pkgs))
	for _, p := range pkgs {
		key := p.Key() + "\x00" + p.Owner + "\x00" + p.PURL
		i, ok := byKey[key]
		if !ok {
			byKey[key] = len(out)
			out = append(out, p)
			continue
		}
		q := &out[i]
		for _, l := range p.Where {
			if !slices.Contains(q.Where, l) {
				q.Where = append(q.Where, l)
			}
		}
		q.Dev = q.Dev && p.Dev
		q.Vendor = cmp.Or(q.Vendor, p.Vendor)
		if !slices.Contains(strings.Split(q.By, ","), p.By) {
			by := append(strings.Split(q.By, ","), p.By)
			slices.Sort(by)
			q.By = strings.Join(by, ",")
		}
		for _, l := range p.Licenses {
			if !slices.Contains(q.Licenses, l) {
				q.Licenses = append(q.Licenses, l)
			}
		}
	}
	slices.SortFunc(out, func(a, b bulwark.Package) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.PURL, b.PURL), cmp.Compare(a.Owner, b.Owner))
	})
	return out
}

// findings gathers what the checks found in all layers.
func (s *stack) findings() []bulwark.Finding {
	return s.gather(func(i int) []bulwark.Finding { return s.records[i].Findings })
}

// gather makes one list of what was found in each layer. What a later layer
// covers is still in the image, and says so.
func (s *stack) gather(of func(layer int) []bulwark.Finding) []bulwark.Finding {
	byID := map[string]int{}
	var out []bulwark.Finding
	for i := range s.records {
		for _, f := range of(i) {
			f.Evidence = slices.Clone(f.Evidence)
			for k := range f.Evidence {
				ev := &f.Evidence[k]
				ev.Layer = s.layers[i].DiffID
				if j := s.hiddenBy(i, ev.Path); j >= 0 {
					ev.Deleted = s.layers[j].DiffID
				}
			}
			if f.Class != bulwark.ClassSecret && f.Class != bulwark.ClassMalware {
				// A setting counts only where it can be seen.
				f.Evidence = slices.DeleteFunc(f.Evidence, func(ev bulwark.Evidence) bool { return ev.Deleted != "" })
				if len(f.Evidence) == 0 {
					continue
				}
			}
			if k, ok := byID[f.ID]; ok {
				for _, ev := range f.Evidence {
					if !slices.Contains(out[k].Evidence, ev) {
						out[k].Evidence = append(out[k].Evidence, ev)
					}
				}
				continue
			}
			byID[f.ID] = len(out)
			out = append(out, f)
		}
	}
	return out
}

// chainKey names the result of a stack of layers.
func chainKey(plan string, layers []bulwark.Layer) (string, bool) {
	key := "inventory " + plan
	for _, l := range layers {
		if l.DiffID == "" {
			return "", false
		}
		key += " " + string(l.DiffID) + " " + string(l.Digest)
	}
	return key, len(layers) > 0
}
