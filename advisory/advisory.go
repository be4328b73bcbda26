// SPDX-License-Identifier: Apache-2.0

// Package advisory knows what is known about packages: it keeps a database of
// published advisories, brings it up to date, and matches an inventory with it.
//
// The one form of input is the OSV schema; feeds are fetched by leaves and
// written into an immutable, signed database that is mapped into memory. The
// package does not know how packages are found, nor what a policy makes of a
// finding.
package advisory

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
	"github.com/bulwark-sec/bulwark/advisory/index"
	"github.com/bulwark-sec/bulwark/advisory/osv"
	"github.com/bulwark-sec/bulwark/advisory/vers"
)

// A DB is an opened database. It is safe for concurrent use; updates of the
// directory that it was opened from do not touch it.
type DB struct {
	id       bulwark.Digest
	manifest bundle.Manifest
	starter  bool
	segments map[string]*index.Segment // by ecosystem without release
	order    []string                  // keys of segments, sorted
	kev      *index.Scores             // nil without; due day since 1970 and flags
	epss     *index.Scores             // nil without; millionths

	mu      sync.RWMutex // held for reading while mapped memory is read
	closed  bool
	release []func() error
}

// Open opens the current database in dir. The signature of its manifest is
// checked; the checksum of a segment when it is first used. It is
// [bulwark.ErrNotFound], with a hint, when there is none.
func Open(dir string) (*DB, error) {
	for try := 0; ; try++ {
		db, err := open(dir)
		if errors.Is(err, os.ErrNotExist) && try < 5 {
			continue // a writer replaced the generation after we had read its name
		}
		if errors.Is(err, bulwark.ErrNotFound) {
			return nil, &bulwark.Hint{Err: fmt.Errorf("open advisories: %w", err), Next: "run bulwark db update, or bulwark db import FILE where there is no network"}
		}
		if err != nil {
			return nil, fmt.Errorf("open advisories: %w", err)
		}
		return db, nil
	}
}

func open(dir string) (*DB, error) {
	g, err := bundle.Current(dir)
	if err != nil {
		return nil, err
	}
	return openGeneration(g)
}

func openGeneration(g *bundle.Generation) (*DB, error) {
	db := &DB{id: g.ID, manifest: g.Manifest, segments: map[string]*index.Segment{}}
	for i := range g.Files {
		f := &g.Files[i]
		b, release, err := g.Map(f)
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		db.release = append(db.release, release)
		if err := db.attach(f.Name, b); err != nil {
			return nil, errors.Join(fmt.Errorf("%q: %w", f.Name, err), db.Close())
		}
	}
	db.order = slices.Sorted(maps.Keys(db.segments))
	return db, nil
}

func (db *DB) attach(name string, b []byte) error {
	ecosystem, ok := strings.CutPrefix(name, "osv/")
	var err error
	switch {
	case ok:
		var s *index.Segment
		if s, err = index.Open(b); err == nil && s.Ecosystem() != ecosystem {
			err = fmt.Errorf("holds %q: %w", s.Ecosystem(), index.ErrCorrupt)
		}
		db.segments[ecosystem] = s
	case name == "kev":
		db.kev, err = index.OpenScores(b)
	case name == "epss":
		db.epss, err = index.OpenScores(b)
	}
	return err
}

// Starter builds a database in memory from OSV records, one in a file, at any
// depth of fsys. It says of itself that it is a starter set, and counts a flaw once
// that is there for several ecosystems. Records say themselves which flaws are known
// to be exploited. A record that cannot be read is an error.
func Starter(ctx context.Context, fsys fs.FS) (*DB, error) {
	builders := map[string]*index.Builder{}
	var newest time.Time
	flaws := map[string]bool{} // a record is there once for each ecosystem
	var exploited index.ScoresBuilder
	for a, err := range (osv.Feed{Compare: vers.Compare, Own: true}).Parse(ctx, fsys) {
		if err != nil {
			return nil, fmt.Errorf("starter set: %w", err)
		}
		if !a.Withdrawn.IsZero() || flaws[a.ID] {
			continue
		}
		flaws[a.ID] = true
		a.Feed = "starter"
		if a.Exploited {
			x, y := kevNumbers(&a)
			if err := exploited.Add(a.ID, x, y); err != nil {
				return nil, fmt.Errorf("starter set, %q: %w", a.ID, err)
			}
		}
		if a.Modified.After(newest) {
			newest = a.Modified
		}
		canonical(&a)
		bases := map[string]bool{}
		for i := range a.Affected {
			base, _ := split(a.Affected[i].Ecosystem)
			bases[base] = true
		}
		for _, base := range slices.Sorted(maps.Keys(bases)) {
			b := builders[base]
			if b == nil {
				if b, err = index.NewBuilder(base); err != nil {
					return nil, fmt.Errorf("starter set, %q: %w", a.ID, err)
				}
				builders[base] = b
			}
			if err := b.Add(a); err != nil {
				return nil, fmt.Errorf("starter set: %w", err)
			}
		}
	}
	db := &DB{starter: true, segments: map[string]*index.Segment{}, order: slices.Sorted(maps.Keys(builders))}
	db.manifest.Built = newest
	all := sha()
	for _, base := range db.order {
		b, err := builders[base].Bytes()
		if err != nil {
			return nil, fmt.Errorf("starter set: %w", err)
		}
		all.Write(b)
		if err := db.attach("osv/"+base, b); err != nil {
			return nil, fmt.Errorf("starter set: %w", err)
		}
	}
	var kev bytes.Buffer
	if _, err := exploited.WriteTo(&kev); err != nil {
		return nil, fmt.Errorf("starter set: %w", err)
	}
	all.Write(kev.Bytes())
	if err := db.attach("kev", kev.Bytes()); err != nil {
		return nil, fmt.Errorf("starter set: %w", err)
	}
	db.id = all.digest()
	db.manifest.Feeds = []bundle.Feed{{Feed: bulwark.Feed{Name: "starter", Records: len(flaws), Modified: newest, Fetched: newest, Source: "embedded"}}}
	return db, nil
}

// Close releases the memory that the database is mapped to, after every match
// that is running has ended. Later calls do nothing.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil
	}
	db.closed = true
	var errs []error
	for _, r := range db.release {
		errs = append(errs, r())
	}
	return errors.Join(errs...)
}

// Ecosystems lists the ecosystems that the database covers, without releases,
// sorted.
func (db *DB) Ecosystems() []string { return slices.Clone(db.order) }

// Info describes the database. Its age is that of the OSV feed that was asked
// longest ago, among those of the given ecosystems when any are given; it is
// stale when that is more than stale ago, or when its publisher said that it is
// good no longer.
func (db *DB) Info(now time.Time, stale time.Duration, ecosystems ...string) bulwark.Database {
	want := map[string]bool{}
	for _, e := range ecosystems {
		base, _ := split(e)
		want["osv/"+base] = true
	}
	d := bulwark.Database{ID: db.id, Built: db.manifest.Built, Starter: db.starter}
	oldest := time.Time{}
	for i := range db.manifest.Feeds {
		f := &db.manifest.Feeds[i]
		d.Feeds = append(d.Feeds, f.Feed)
		if f.Name == "kev" || f.Name == "epss" {
			continue
		}
		d.Advisories += f.Records
		if (len(want) == 0 || want[f.Name]) && (oldest.IsZero() || f.Fetched.Before(oldest)) {
			oldest = f.Fetched
		}
	}
	if oldest.IsZero() {
		oldest = db.manifest.Built
	}
	age := max(now.Sub(oldest), 0)
	d.AgeSeconds = int64(age / time.Second)
	expired := !db.manifest.Expires.IsZero() && now.After(db.manifest.Expires)
	d.Stale = age > stale || expired
	return d
}

// Advisory gives what the database knows about an id, own or alias. Affected is
// left empty. It is [bulwark.ErrNotFound] when that is nothing.
func (db *DB) Advisory(id string) (bulwark.Advisory, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return bulwark.Advisory{}, fs.ErrClosed
	}
	m := matcher{db: db}
	recs, err := m.known(id)
	if err == nil && len(recs) == 0 { // what only Bulwark's own table knows
		var own *index.Segment
		if own, err = products(); err == nil {
			recs, err = m.lookup(own, id)
		}
	}
	if err != nil {
		return bulwark.Advisory{}, fmt.Errorf("advisory %q: %w", id, err)
	}
	if len(recs) == 0 {
		return bulwark.Advisory{}, fmt.Errorf("advisory %q: %w", id, bulwark.ErrNotFound)
	}
	f := flaw{rule: id}
	for _, r := range recs {
		f.hits = append(f.hits, hit{rec: r})
	}
	a, _, err := m.describe(&f)
	return a, err
}

// Affected gives what the database knows of the packages and versions that an id,
// own or alias, is about: at most max of them, some of each ecosystem, by
// ecosystem and name, and how many more there are. It reads whole segments and
// serves people, not scans.
func (db *DB) Affected(ctx context.Context, id string, max int) (list []bulwark.Affected, more int, err error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return nil, 0, fs.ErrClosed
	}
	var all [][]bulwark.Affected
	total := 0
	for _, base := range db.bases() {
		seg, err := db.segment(base)
		if err != nil {
			return nil, 0, fmt.Errorf("affected by %q: %w", id, err)
		}
		if err := seg.Check(); err != nil {
			return nil, 0, fmt.Errorf("affected by %q: %w", id, err)
		}
		ords, err := seg.Lookup(id)
		if err != nil {
			return nil, 0, fmt.Errorf("affected by %q: %w", id, err)
		}
		if len(ords) == 0 {
			continue
		}
		part, n, err := seg.Affected(ctx, ords, max)
		if err != nil {
			return nil, 0, fmt.Errorf("affected by %q: %w", id, err)
		}
		all, total = append(all, part), total+n
	}
	for len(list) < max && len(list) < total {
		for i, part := range all {
			if len(part) > 0 && len(list) < max {
				list, all[i] = append(list, part[0]), part[1:]
			}
		}
	}
	slices.SortStableFunc(list, func(a, b bulwark.Affected) int {
		return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name))
	})
	return list, total - len(list), nil
}
