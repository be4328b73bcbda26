// SPDX-License-Identifier: Apache-2.0

// Package policy decides: it holds what is found against documents that people
// write, and says what comes of it and why. Documents are read in policy/document,
// conditions judged in policy/condition, what they see is declared in
// policy/subject; here they become a Set, which is asked about one subject or a
// whole report at a time. It is pure: it does no I/O and reads no clock. It does
// not know how a report was made, where its files came from or how it is shown.
package policy

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/nearest"
	"github.com/bulwark-sec/bulwark/policy/bundle"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// A Source is one file of documents.
type Source struct {
	Name string // for messages
	Data []byte
	// Local says that whoever owns what is judged wrote the file: it is of the team
	// tier, and may not say otherwise.
	Local bool
}

// A Fault is a mistake in a file that a person wrote, with its place.
type Fault = document.Fault

// Limits on a set, far above what people could keep in their heads.
const (
	maxFiles      = 1000
	maxSetBytes   = 16 << 20
	maxRules      = 20_000
	maxExceptions = 20_000
)

// A Set is documents made ready to decide. The nil Set decides nothing. It is safe
// for concurrent use.
type Set struct {
	digest      bulwark.Digest
	files       []bundle.File
	policies    []*policy // in the order of their names
	byName      map[string]*policy
	collections map[string]*collection
	exceptions  []*exception // in the order of their names
	tests       []document.PolicyTest
	lists       []document.ValueList
	envs        map[string]*condition.Env
}

// Load reads the documents of all sources. The error joins a [Fault] for every
// mistake; with one there is no Set. The order of the sources means nothing.
func Load(sources []Source) (*Set, error) { return load(sources, nil) }

// LoadWith reads documents as Load does, and lets lists have other values.
func LoadWith(sources []Source, lists map[string][]string) (*Set, error) {
	return load(sources, lists)
}

func load(sources []Source, values map[string][]string) (*Set, error) {
	s := &Set{byName: map[string]*policy{}, collections: map[string]*collection{}, envs: map[string]*condition.Env{}}
	l := &loader{set: s, local: map[string]bool{}, messages: map[string]*condition.Condition{}}
	size := 0
	sources = slices.Clone(sources)
	slices.SortStableFunc(sources, func(a, b Source) int { return compare(a.Name, b.Name) })
	if len(sources) > maxFiles {
		return nil, fmt.Errorf("%d files of policies, limit %d: %w", len(sources), maxFiles, bulwark.ErrTooLarge)
	}
	for _, src := range sources {
		if size += len(src.Data); size > maxSetBytes {
			return nil, fmt.Errorf("files of policies have more than %d bytes: %w", maxSetBytes, bulwark.ErrTooLarge)
		}
		docs, faults := document.Parse(src.Name, src.Data)
		l.faults = append(l.faults, faults...)
		if docs != nil {
			l.docs.Policies = append(l.docs.Policies, docs.Policies...)
			l.docs.Collections = append(l.docs.Collections, docs.Collections...)
			l.docs.Exceptions = append(l.docs.Exceptions, docs.Exceptions...)
			l.docs.Lists = append(l.docs.Lists, docs.Lists...)
			l.docs.Tests = append(l.docs.Tests, docs.Tests...)
		}
		l.local[src.Name] = src.Local
		s.files = append(s.files, bundle.File{Name: src.Name, Data: src.Data})
	}
	l.values(values)
	l.collections()
	l.policies()
	l.exceptions()
	l.tests()
	if len(l.faults) > 0 {
		return nil, errors.Join(l.faults...)
	}
	s.digest = bundle.Digest(s.files)
	return s, nil
}

func compare[T ~string](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Digest names the set by the content of its files, as bundle.Digest does. The nil
// Set is one without files.
func (s *Set) Digest() bulwark.Digest {
	if s == nil {
		return bundle.Digest(nil)
	}
	return s.digest
}

// Files gives the files that the set was made of, in order of their names.
func (s *Set) Files() []bundle.File { return s.files }

// Tests gives the tests among the documents.
func (s *Set) Tests() []document.PolicyTest { return s.tests }

// Lists gives the names of the lists among the documents, sorted.
func (s *Set) Lists() []string {
	var out []string
	for i := range s.lists {
		out = append(out, s.lists[i].Name)
	}
	slices.Sort(out)
	return out
}

// Empty tells whether the set has no rule.
func (s *Set) Empty() bool { return s == nil || len(s.policies) == 0 }

// Policies gives the documents of the set's policies, in order of their names.
func (s *Set) Policies() []document.Policy {
	if s == nil {
		return nil
	}
	var out []document.Policy
	for _, p := range s.policies {
		out = append(out, *p.doc)
	}
	return out
}

// Exceptions gives the documents of the set's exceptions, in order of their names.
func (s *Set) Exceptions() []document.Exception {
	if s == nil {
		return nil
	}
	var out []document.Exception
	for _, e := range s.exceptions {
		out = append(out, *e.doc)
	}
	return out
}

// A loader makes a Set of documents and gathers what is wrong with them.
type loader struct {
	set    *Set
	docs   document.Set
	local  map[string]bool // by file
	lists  map[string][]string
	faults []error

	messages map[string]*condition.Condition // by kind of subject and source
}

func (l *loader) fault(at document.Place, format string, args ...any) {
	if len(l.faults) < 100 { // who has made a hundred mistakes does not read the next
		l.faults = append(l.faults, Fault{Place: at, Detail: fmt.Sprintf(format, args...)})
	}
}

// twice tells whether a name was there before, and says where.
func (l *loader) twice(seen map[string]document.Place, kind string, h *document.Head) bool {
	if at, ok := seen[h.Name]; ok {
		l.fault(h.Place, "%s %q is there already, at %s: give one of them another name", kind, h.Name, at)
		return true
	}
	seen[h.Name] = h.Place
	return false
}

func (l *loader) values(given map[string][]string) {
	l.lists = map[string][]string{}
	seen := map[string]document.Place{}
	for i := range l.docs.Lists {
		d := &l.docs.Lists[i]
		if l.twice(seen, "list", &d.Head) {
			continue
		}
		var values []string
		for _, v := range d.Values {
			values = append(values, v.Value)
		}
		l.lists[d.Name] = values
		l.set.lists = append(l.set.lists, *d)
	}
	maps.Copy(l.lists, given)
}

// env gives what conditions about a kind of subject see.
func (l *loader) env(k subject.Kind) (*condition.Env, error) {
	if e, ok := l.set.envs[k.Name]; ok {
		return e, nil
	}
	e, err := condition.NewEnv(reflect.TypeOf(k.New()).Elem(), subject.Severities(), l.lists)
	if err == nil {
		l.set.envs[k.Name] = e
	}
	return e, err
}

// kind finds a kind of subject by what somebody wrote.
func (l *loader) kind(t document.Text) (subject.Kind, bool) {
	k, ok := subject.ByName(t.Value)
	if !ok {
		var names []string
		for _, k := range subject.Kinds() {
			names = append(names, k.Name)
		}
		detail := fmt.Sprintf("unknown subject %q", t.Value)
		if near := nearest.Of(t.Value, names); near != "" {
			detail += fmt.Sprintf(", did you mean %q?", near)
		} else {
			detail += fmt.Sprintf("; there are %s", join(names))
		}
		l.fault(t.Place, "%s", detail)
	}
	return k, ok
}

func join(names []string) string {
	out := ""
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += n
	}
	return out
}

// conditionFaults tells what is wrong with an expression.
func (l *loader) conditionFaults(t document.Text, what string, faults []condition.Fault) {
	for _, f := range faults {
		l.fault(t.At(f.Offset), "%s: %s", what, f.Detail)
	}
}

// tests checks the names in tests; what they expect is checked when they run.
func (l *loader) tests() {
	seen := map[string]document.Place{}
	for i := range l.docs.Tests {
		d := &l.docs.Tests[i]
		if l.twice(seen, "test", &d.Head) {
			continue
		}
		for _, p := range d.Policies {
			if l.set.byName[p.Value] == nil {
				l.unknownPolicy(p)
			}
		}
		l.set.tests = append(l.set.tests, *d)
	}
}

func (l *loader) unknownPolicy(t document.Text) {
	detail := fmt.Sprintf("there is no policy %q", t.Value)
	if near := nearest.Of(t.Value, slices.Sorted(maps.Keys(l.set.byName))); near != "" {
		detail += fmt.Sprintf(", did you mean %q?", near)
	}
	l.fault(t.Place, "%s", detail)
}

// day writes a date for a person.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
