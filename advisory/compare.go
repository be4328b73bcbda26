// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
	"github.com/bulwark-sec/bulwark/advisory/index"
)

// A Comparison says what became of a database from one state to another.
type Comparison struct {
	Old        Side               `json:"old"`
	New        Side               `json:"new"`
	Ecosystems []EcosystemChanges `json:"ecosystems"` // those with any; sorted by name
	// Exploited and NoLonger are CVEs that came to CISA's catalogue and that went.
	Exploited []string `json:"exploited,omitempty"`
	NoLonger  []string `json:"noLongerExploited,omitempty"`
	Scores    int      `json:"scores"` // EPSS scores that came, went or changed
}

// A Side is one of the databases of a Comparison.
type Side struct {
	ID         bulwark.Digest `json:"id"`
	Built      time.Time      `json:"built"`
	Advisories int            `json:"advisories"`
}

// EcosystemChanges are the advisories of one ecosystem that differ, sorted by id.
type EcosystemChanges struct {
	Ecosystem string           `json:"ecosystem"`
	Added     []AdvisoryChange `json:"added,omitempty"`
	Withdrawn []AdvisoryChange `json:"withdrawn,omitempty"`
	Changed   []AdvisoryChange `json:"changed,omitempty"`
}

// AdvisoryChange is one advisory that differs.
type AdvisoryChange struct {
	ID       string            `json:"id"`
	Aliases  []string          `json:"aliases,omitempty"`
	Severity bulwark.Severity  `json:"severity"`
	Was      *bulwark.Severity `json:"wasSeverity,omitempty"` // nil when it is the same, or new
	Packages []string          `json:"packages,omitempty"`    // names, sorted
	// What differs, of a changed one: "packages", "ranges", "severity", "ids",
	// "text", or "date" when it is nothing else.
	What   []string        `json:"what,omitempty"`
	Ranges []PackageChange `json:"ranges,omitempty"` // of a changed one
}

// PackageChange says which versions of a package were and are affected.
type PackageChange struct {
	Ecosystem string            `json:"ecosystem"` // with release
	Name      string            `json:"name"`
	Old       *bulwark.Affected `json:"old,omitempty"`
	New       *bulwark.Affected `json:"new,omitempty"`
}

// CompareOptions say where databases are looked for. Dir and Now are needed.
type CompareOptions struct {
	Dir      string // of the database that "current" and ids are of
	Now      time.Time
	Client   *http.Client
	Registry Opener
}

// Compare says what is different in the database that b names from the one that a
// names. A name is "current", "previous", the beginning of an id, the folder of a
// database, an exported file, a bundle, or what [Pull] takes. Nothing is taken
// into the database; signatures are checked, whoever made them.
func Compare(ctx context.Context, a, b string, o CompareOptions) (*Comparison, error) {
	if o.Dir == "" || o.Now.IsZero() {
		return nil, fmt.Errorf("compare databases: directory and time are needed: %w", bulwark.ErrUsage)
	}
	old, doneOld, err := state(ctx, a, o)
	if err != nil {
		return nil, fmt.Errorf("compare databases: %w", err)
	}
	defer doneOld()
	next, doneNext, err := state(ctx, b, o)
	if err != nil {
		return nil, fmt.Errorf("compare databases: %w", err)
	}
	defer doneNext()
	c, err := compare(ctx, old, next, o.Now)
	if err != nil {
		return nil, fmt.Errorf("compare databases: %w", err)
	}
	return c, nil
}

// state opens the database that a name means. The caller calls done.
func state(ctx context.Context, name string, o CompareOptions) (db *DB, done func(), err error) {
	remote := strings.Contains(name, "://")
	st, statErr := os.Stat(name)
	if !remote {
		g, err := bundle.Named(o.Dir, name)
		if err == nil {
			db, err := openGeneration(g)
			return db, func() { db.Close() }, err
		}
		if name == "previous" || name == "current" {
			return nil, nil, err
		}
		if statErr != nil {
			return nil, nil, &bulwark.Hint{Err: err, Next: "name current, previous, the beginning of an id, a folder, a file, or an address"}
		}
		if st.IsDir() && exists(filepath.Join(name, "CURRENT")) {
			db, err := Open(name)
			return db, func() { db.Close() }, err
		}
	}
	dir, err := os.MkdirTemp("", "bulwark-db-*")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	if remote || st.IsDir() {
		_, err = pull(ctx, PullOptions{Dir: dir, From: []string{name}, Now: o.Now, AllowOlder: true, Client: o.Client, Registry: o.Registry}, true)
	} else {
		err = takeFile(ctx, name, dir, o.Now)
	}
	if err == nil {
		db, err = Open(dir)
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	return db, func() { db.Close(); remove() }, nil
}

// takeFile imports an exported file or a bundle, whoever signed it.
func takeFile(ctx context.Context, name, dir string, now time.Time) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	carried, err := bundle.Carried(f)
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	w, err := bundle.NewWriter(ctx, dir)
	if err != nil {
		return err
	}
	if carried {
		_, _, err = w.Apply(ctx, bufio.NewReader(f), bundle.Acceptance{Any: true, AllowOlder: true, Now: now})
	} else {
		_, err = w.Import(ctx, bufio.NewReader(f), nil)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	return nil
}

func (db *DB) side() Side {
	s := Side{ID: db.id, Built: db.manifest.Built}
	for i := range db.manifest.Files {
		if f := &db.manifest.Files[i]; strings.HasPrefix(f.Name, "osv/") {
			s.Advisories += f.Advisories
		}
	}
	return s
}

func compare(ctx context.Context, old, next *DB, now time.Time) (*Comparison, error) {
	c := &Comparison{Old: old.side(), New: next.side(), Ecosystems: []EcosystemChanges{}}
	names := map[string]bool{}
	for _, e := range slices.Concat(old.order, next.order) {
		names[e] = true
	}
	for _, e := range slices.Sorted(maps.Keys(names)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a, err := segmentOr(old.segments[e], e)
		if err != nil {
			return nil, err
		}
		b, err := segmentOr(next.segments[e], e)
		if err != nil {
			return nil, err
		}
		part := EcosystemChanges{Ecosystem: e}
		err = index.Changes(a, b, func(ch index.Change) bool {
			part.add(ch)
			return ctx.Err() == nil
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", e, err)
		}
		if len(part.Added)+len(part.Withdrawn)+len(part.Changed) > 0 {
			c.Ecosystems = append(c.Ecosystems, part)
		}
	}
	index.ScoreChanges(old.kev, next.kev, func(cve string, was, is bool) {
		switch {
		case !was:
			c.Exploited = append(c.Exploited, cve)
		case !is:
			c.NoLonger = append(c.NoLonger, cve)
		}
	})
	index.ScoreChanges(old.epss, next.epss, func(string, bool, bool) { c.Scores++ })
	return c, nil
}

// segmentOr gives a segment whose checksum was compared, or an empty one.
func segmentOr(s *index.Segment, ecosystem string) (*index.Segment, error) {
	if s != nil {
		return s, s.Check()
	}
	b, err := index.NewBuilder(ecosystem)
	if err != nil {
		return nil, err
	}
	text, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return index.Open(text)
}

func (p *EcosystemChanges) add(ch index.Change) {
	e := ch.New
	if e == nil {
		e = ch.Old
	}
	a := AdvisoryChange{ID: ch.ID, Aliases: slices.Concat(e.Aliases, e.Upstream), Severity: worst(e)}
	for i := range e.Affected {
		a.Packages = append(a.Packages, e.Affected[i].Name)
	}
	slices.Sort(a.Packages)
	a.Packages = slices.Compact(a.Packages)
	switch {
	case ch.Old == nil:
		p.Added = append(p.Added, a)
	case ch.New == nil:
		p.Withdrawn = append(p.Withdrawn, a)
	default:
		a.differ(ch.Old, ch.New)
		p.Changed = append(p.Changed, a)
	}
}

// worst gives the severity of an advisory: a vendor's word, of the whole or of its
// worst package, or else that of its score.
func worst(e *index.Entry) bulwark.Severity {
	s := e.Severity
	for i := range e.Packages {
		s = max(s, e.Packages[i].Severity)
	}
	if s == bulwark.SeverityUnknown && e.CVSS != "" {
		return bulwark.SeverityOfScore(e.Score)
	}
	return s
}

func (a *AdvisoryChange) differ(old, next *index.Entry) {
	say := func(differs bool, what string) {
		if differs && !slices.Contains(a.What, what) {
			a.What = append(a.What, what)
		}
	}
	type key struct{ ecosystem, name, module string }
	rows := func(e *index.Entry) map[key][]*bulwark.Affected {
		m := map[key][]*bulwark.Affected{}
		for i := range e.Affected {
			f := &e.Affected[i]
			k := key{f.Ecosystem, f.Name, f.Module}
			m[k] = append(m[k], f)
		}
		return m
	}
	was, is := rows(old), rows(next)
	keys := map[key]bool{}
	maps.Copy(keys, boolsOf(was))
	maps.Copy(keys, boolsOf(is))
	order := slices.SortedFunc(maps.Keys(keys), func(x, y key) int {
		return strings.Compare(x.name+"\x00"+x.ecosystem+"\x00"+x.module, y.name+"\x00"+y.ecosystem+"\x00"+y.module)
	})
	for _, k := range order {
		o, n := was[k], is[k]
		if reflect.DeepEqual(o, n) {
			continue
		}
		say(len(o) == 0 || len(n) == 0, "packages")
		say(len(o) > 0 && len(n) > 0, "ranges")
		for i := range max(len(o), len(n)) {
			ch := PackageChange{Ecosystem: k.ecosystem, Name: k.name}
			if i < len(o) {
				ch.Old = o[i]
			}
			if i < len(n) {
				ch.New = n[i]
			}
			if !reflect.DeepEqual(ch.Old, ch.New) {
				a.Ranges = append(a.Ranges, ch)
			}
		}
	}
	if s := worst(old); s != a.Severity {
		a.Was = &s
	}
	say(a.Was != nil || old.CVSS != next.CVSS || old.Score != next.Score || !reflect.DeepEqual(old.Packages, next.Packages), "severity")
	say(!slices.Equal(old.Aliases, next.Aliases) || !slices.Equal(old.Upstream, next.Upstream) || !slices.Equal(old.Related, next.Related), "ids")
	say(old.Summary != next.Summary || old.Details != next.Details || !slices.Equal(old.References, next.References) || !slices.Equal(old.CWEs, next.CWEs), "text")
	say(len(a.What) == 0, "date")
}

func boolsOf[K comparable, V any](m map[K]V) map[K]bool {
	out := make(map[K]bool, len(m))
	for k := range m {
		out[k] = true
	}
	return out
}
