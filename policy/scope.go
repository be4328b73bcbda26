// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark/internal/glob"
	"github.com/bulwark-sec/bulwark/internal/nearest"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// collection is one Collection document, compiled.
type collection struct {
	doc              *document.Collection
	include, exclude []selector
}

// selector picks assets: each of its members must hold.
type selector struct {
	collections []*collection
	globs       []memberGlobs
	labels      map[string]*glob.Glob
}

type memberGlobs struct {
	of    func(*subject.Asset) string
	globs []*glob.Glob
}

// scope is where a policy or an exception holds; the zero scope is everywhere.
type scope struct {
	in, not []*collection
	types   []*glob.Glob // of Kubernetes objects or resources
}

// A typed subject has a type that a scope can choose by.
type typed interface{ Type() string }

func (l *loader) collections() {
	seen := map[string]document.Place{}
	for i := range l.docs.Collections {
		d := &l.docs.Collections[i]
		if !l.twice(seen, "collection", &d.Head) {
			l.set.collections[d.Name] = &collection{doc: d}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.set.collections)) {
		c := l.set.collections[name]
		c.include, c.exclude = l.selectors(c.doc.Include), l.selectors(c.doc.Exclude)
	}
	l.cycles()
}

func (l *loader) selectors(list []document.Selector) []selector {
	var out []selector
	for i := range list {
		d := &list[i]
		s := selector{collections: l.named(d.Collections)}
		for _, m := range []struct {
			texts []document.Text
			of    func(*subject.Asset) string
		}{
			{d.Kinds, func(a *subject.Asset) string { return a.Kind }},
			{d.Registries, func(a *subject.Asset) string { return a.Registry }},
			{d.Repos, func(a *subject.Asset) string { return a.Repo }},
			{d.Tags, func(a *subject.Asset) string { return a.Tag }},
			{d.Digests, func(a *subject.Asset) string { return a.Digest }},
			{d.Names, func(a *subject.Asset) string { return a.Name }},
			{d.Namespaces, func(a *subject.Asset) string { return a.Namespace }},
			{d.Clusters, func(a *subject.Asset) string { return a.Cluster }},
			{d.Hosts, func(a *subject.Asset) string { return a.Host }},
			{d.Accounts, func(a *subject.Asset) string { return a.Account }},
		} {
			if len(m.texts) > 0 {
				s.globs = append(s.globs, memberGlobs{m.of, globs(m.texts)})
			}
		}
		for k, v := range d.Labels {
			if s.labels == nil {
				s.labels = map[string]*glob.Glob{}
			}
			s.labels[k] = glob.New(v.Value)
		}
		out = append(out, s)
	}
	return out
}

func globs(texts []document.Text) []*glob.Glob {
	var out []*glob.Glob
	for _, t := range texts {
		out = append(out, glob.New(t.Value))
	}
	return out
}

// named finds collections by name.
func (l *loader) named(texts []document.Text) []*collection {
	var out []*collection
	for _, t := range texts {
		c := l.set.collections[t.Value]
		if c == nil {
			detail := fmt.Sprintf("there is no collection %q", t.Value)
			if near := nearest.Of(t.Value, slices.Sorted(maps.Keys(l.set.collections))); near != "" {
				detail += fmt.Sprintf(", did you mean %q?", near)
			}
			l.fault(t.Place, "%s", detail)
			continue
		}
		out = append(out, c)
	}
	return out
}

// cycles finds collections that are made of themselves.
func (l *loader) cycles() {
	const walking, done = 1, 2
	state := map[*collection]int{}
	var walk func(c *collection, path []string) bool
	walk = func(c *collection, path []string) bool {
		path = append(path, c.doc.Name)
		switch state[c] {
		case done:
			return true
		case walking:
			l.fault(c.doc.Place, "collections go in a circle: %s", strings.Join(path[slices.Index(path, c.doc.Name):], " → "))
			return false
		}
		state[c] = walking
		for _, list := range [][]selector{c.include, c.exclude} {
			for _, s := range list {
				for _, other := range s.collections {
					if !walk(other, path) {
						state[c] = done
						return false
					}
				}
			}
		}
		state[c] = done
		return true
	}
	for _, name := range slices.Sorted(maps.Keys(l.set.collections)) {
		if !walk(l.set.collections[name], nil) {
			return
		}
	}
}

func (l *loader) scope(d *document.Scope, kind string) scope {
	s := scope{in: l.named(d.Collections), not: l.named(d.Not)}
	for _, t := range []struct {
		key   string
		kind  string
		texts []document.Text
	}{{"kinds", "k8s.object", d.Kinds}, {"resourceTypes", "iac.resource", d.ResourceTypes}} {
		if len(t.texts) > 0 && kind != t.kind {
			l.fault(t.texts[0].Place, "%s choose among subjects of %s only", t.key, t.kind)
			continue
		}
		s.types = append(s.types, globs(t.texts)...)
	}
	return s
}

// where holds for each collection whether an asset is in it, as far as was asked.
type where map[*collection]bool

func (w where) has(c *collection, a *subject.Asset) bool {
	if in, ok := w[c]; ok {
		return in
	}
	in := len(c.include) == 0 || slices.ContainsFunc(c.include, func(s selector) bool { return w.selects(&s, a) })
	in = in && !slices.ContainsFunc(c.exclude, func(s selector) bool { return w.selects(&s, a) })
	w[c] = in
	return in
}

func (w where) selects(s *selector, a *subject.Asset) bool {
	for _, m := range s.globs {
		value := m.of(a)
		if !slices.ContainsFunc(m.globs, func(g *glob.Glob) bool { return g.Match(value) }) {
			return false
		}
	}
	for k, g := range s.labels {
		if v, ok := a.Labels[k]; !ok || !g.Match(v) {
			return false
		}
	}
	return len(s.collections) == 0 || slices.ContainsFunc(s.collections, func(c *collection) bool { return w.has(c, a) })
}

// holds tells whether an asset is in a scope, types aside.
func (w where) holds(s *scope, a *subject.Asset) bool {
	if len(s.in) > 0 && !slices.ContainsFunc(s.in, func(c *collection) bool { return w.has(c, a) }) {
		return false
	}
	return !slices.ContainsFunc(s.not, func(c *collection) bool { return w.has(c, a) })
}

// chooses tells whether the scope is about the type of a subject.
func (s *scope) chooses(subject any) bool {
	if len(s.types) == 0 {
		return true
	}
	t, ok := subject.(typed)
	return ok && slices.ContainsFunc(s.types, func(g *glob.Glob) bool { return g.Match(t.Type()) })
}
