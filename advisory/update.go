// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
	"github.com/bulwark-sec/bulwark/advisory/epss"
	"github.com/bulwark-sec/bulwark/advisory/index"
	"github.com/bulwark-sec/bulwark/advisory/kev"
	"github.com/bulwark-sec/bulwark/advisory/osv"
	"github.com/bulwark-sec/bulwark/advisory/vers"
)

// A Feed is one source of advisories. To add one: write the leaf, and a line in
// feeds.
type Feed interface {
	// Name is short and never changes: "osv/Debian", "kev".
	Name() string
	// Source is the address that the feed is fetched from.
	Source() string
	// Fetch writes what the source has to dst, and gives a mark to ask for
	// changes with the next time; last is the mark of the last time, "" for
	// everything. Entries below "delta/" are changes, all others are everything.
	// It is bulwark.ErrUnchanged when nothing is new. It has network and no
	// parser; client bears short failures and reads file URLs, too.
	Fetch(ctx context.Context, client *http.Client, dst *zip.Writer, last string) (mark string, err error)
	// Parse gives the advisories of what Fetch wrote. An error with a zero
	// Advisory is about one record. It has a parser and no network.
	Parse(ctx context.Context, fsys fs.FS) iter.Seq2[bulwark.Advisory, error]
}

// feeds lists every feed of an update.
func feeds(base string, ecosystems []string, kevURL, epssURL string) []Feed {
	var out []Feed
	for _, e := range ecosystems {
		out = append(out, osv.Feed{Base: base, Ecosystem: e, Compare: vers.Compare})
	}
	if kevURL != "" {
		out = append(out, kev.Feed{URL: kevURL})
	}
	if epssURL != "" {
		out = append(out, epss.Feed{URL: epssURL})
	}
	return out
}

// None as a source leaves a feed out.
const None = "none"

// UpdateOptions say what is fetched, and from where. Dir and Now are needed. A
// source is an https address or a path; "" is the public one, None is none.
type UpdateOptions struct {
	Dir        string   // of the database
	Source     string   // of the OSV export, see [osv.Export]
	KEV        string   // see [kev.Catalogue]
	EPSS       string   // see [epss.Daily]
	Ecosystems []string // OSV ecosystems, with or without release; nil is all that the export has
	Full       bool     // fetch everything, not only what changed

	Client   *http.Client // nil is one with the system's proxy settings
	Now      time.Time
	Log      *slog.Logger        // nil is silent
	Progress func(feed Progress) // called before and after each feed; nil is not
}

// Progress tells where an update stands.
type Progress struct {
	Feed  string // "osv/Debian"
	Index int    // from 0
	Count int    // feeds in this update
	Done  bool
}

// Status is what an update, an import or a look at a database found.
type Status struct {
	ID         bulwark.Digest `json:"id"` // of the manifest
	Key        string         `json:"key"`
	Built      time.Time      `json:"built"`
	Expires    time.Time      `json:"expires,omitzero"` // said by who published it; zero is never
	Feeds      []FeedStatus   `json:"feeds"`            // sorted by name
	Advisories int            `json:"advisories"`
	Rows       int            `json:"rows"`  // affected packages
	Bytes      int64          `json:"bytes"` // of all files
	Hot        int64          `json:"hot"`   // bytes that matching looks at
}

// FeedStatus is what became of one feed.
type FeedStatus struct {
	bulwark.Feed
	Changed   int      `json:"changed,omitempty"`   // records that were read
	Unchanged bool     `json:"unchanged,omitempty"` // the source had nothing new
	Withdrawn int      `json:"withdrawn,omitempty"` // records among Changed that no longer stand
	Bad       int      `json:"bad,omitempty"`       // records that could not be read
	Samples   []string `json:"samples,omitempty"`   // what was wrong with some of them
	Err       string   `json:"error,omitempty"`     // why it was not updated
}

// maxSamples bounds what is told about bad records.
const maxSamples = 5

// Update fetches what is new and makes it the current database. What could not
// be fetched stays as it was; the error tells, and the Status is that of the
// database as it now is. Another update that is running is waited for.
func Update(ctx context.Context, o UpdateOptions) (Status, error) {
	if o.Dir == "" || o.Now.IsZero() {
		return Status{}, fmt.Errorf("update advisories: directory and time are needed: %w", bulwark.ErrUsage)
	}
	u := &updater{UpdateOptions: o, log: o.Log}
	if u.log == nil {
		u.log = slog.New(slog.DiscardHandler)
	}
	u.client = newClient(o.Client, transport{logf: func(msg string, args ...any) { u.log.WarnContext(ctx, msg, args...) }})
	w, err := bundle.NewWriter(ctx, o.Dir)
	if err != nil {
		return Status{}, fmt.Errorf("update advisories: %w", err)
	}
	st, err := u.run(ctx, w)
	return st, errors.Join(err, w.Close())
}

type updater struct {
	UpdateOptions
	client *http.Client
	log    *slog.Logger
}

// source gives the address of a feed; "" for none.
func source(given, standard string) (string, error) {
	switch given {
	case None:
		return "", nil
	case "":
		return standard, nil
	}
	return address(given)
}

func (u *updater) run(ctx context.Context, w *bundle.Writer) (Status, error) {
	base, err1 := source(u.Source, osv.Export)
	kevURL, err2 := source(u.KEV, kev.Catalogue)
	epssURL, err3 := source(u.EPSS, epss.Daily)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Status{}, fmt.Errorf("update advisories: %w", err)
	}
	var ecosystems []string
	if base != "" {
		var err error
		if ecosystems, err = u.ecosystems(ctx, base); err != nil {
			return Status{}, fmt.Errorf("update advisories: %w", err)
		}
	}
	old := bundle.Manifest{}
	if w.Current != nil {
		old = w.Current.Manifest
	}
	next := bundle.Manifest{Built: u.Now.UTC(), Builder: "bulwark"}
	list := feeds(base, ecosystems, kevURL, epssURL)
	var states []FeedStatus
	var errs []error
	done := map[string]bool{}
	for i, f := range list {
		if err := ctx.Err(); err != nil {
			return Status{}, err
		}
		if u.Progress != nil {
			u.Progress(Progress{Feed: f.Name(), Index: i, Count: len(list)})
		}
		done[f.Name()] = true
		state, feed, file, err := u.feed(ctx, w, &old, f)
		if err != nil {
			if ctx.Err() != nil {
				return Status{}, ctx.Err()
			}
			errs = append(errs, fmt.Errorf("update %s: %w", f.Name(), err))
			u.log.WarnContext(ctx, "feed failed", "feed", f.Name(), "error", err)
			state = FeedStatus{Feed: bulwark.Feed{Name: f.Name(), Source: f.Source()}, Err: err.Error()}
			done[f.Name()] = false // what was there stays
		} else {
			next.Feeds = append(next.Feeds, feed)
			next.Files = append(next.Files, file)
		}
		states = append(states, state)
		if u.Progress != nil {
			u.Progress(Progress{Feed: f.Name(), Index: i, Count: len(list), Done: true})
		}
	}
	for i := range old.Feeds {
		f, file := old.Feeds[i], old.File(old.Feeds[i].Name)
		if done[f.Name] || file == nil {
			continue
		}
		if err := w.Keep(file); err != nil {
			return Status{}, fmt.Errorf("update advisories: %w", err)
		}
		next.Feeds, next.Files = append(next.Feeds, f), append(next.Files, *file)
		if i := slices.IndexFunc(states, func(s FeedStatus) bool { return s.Name == f.Name }); i >= 0 {
			states[i].Feed = f.Feed
		} else {
			states = append(states, FeedStatus{Feed: f.Feed})
		}
	}
	if len(next.Files) == 0 {
		return Status{}, errors.Join(append(errs, fmt.Errorf("update advisories: no feed: %w", bulwark.ErrNotFound))...)
	}
	g, err := w.Publish(next)
	if err != nil {
		return Status{}, fmt.Errorf("update advisories: %w", err)
	}
	u.log.InfoContext(ctx, "advisories updated", "id", g.ID.Short(), "feeds", len(next.Feeds), "failed", len(errs))
	return status(g, states), errors.Join(errs...)
}

// ecosystems gives what is to be fetched, without releases.
func (u *updater) ecosystems(ctx context.Context, base string) ([]string, error) {
	if u.Ecosystems == nil {
		list, err := osv.Ecosystems(ctx, u.client, base)
		if errors.Is(err, bulwark.ErrNotFound) {
			err = &bulwark.Hint{Err: err, Next: "check that the source has the layout of the OSV.dev export, with ecosystems.txt at its top"}
		}
		return list, err
	}
	var out []string
	for _, e := range u.Ecosystems {
		b, _ := split(e)
		if !osv.Valid(b) {
			return nil, fmt.Errorf("ecosystem %q: %w", e, bulwark.ErrUsage)
		}
		out = append(out, b)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// feed brings one feed up to date.
func (u *updater) feed(ctx context.Context, w *bundle.Writer, old *bundle.Manifest, f Feed) (FeedStatus, bundle.Feed, bundle.File, error) {
	state := FeedStatus{}
	was, file := old.Feed(f.Name()), old.File(f.Name())
	last := ""
	if was != nil && file != nil && was.Source == f.Source() && !u.Full {
		last = was.Mark // a mark means something to the source that gave it only
	}
	feed := bundle.Feed{Feed: bulwark.Feed{Name: f.Name(), Source: f.Source(), Fetched: u.Now.UTC()}}
	if at := fetched(f.Source()); !at.IsZero() && at.Before(feed.Fetched) {
		feed.Fetched = at // a copy is as fresh as the day it was made
	}
	spool, mark, err := u.fetch(ctx, f, last)
	if errors.Is(err, bulwark.ErrUnchanged) && was != nil && file != nil {
		fetched := feed.Fetched
		feed = *was
		feed.Fetched = fetched
		state.Feed, state.Unchanged = feed.Feed, true
		return state, feed, *file, w.Keep(file)
	}
	if err != nil {
		return state, feed, bundle.File{}, err
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	st, err := spool.Stat()
	if err != nil {
		return state, feed, bundle.File{}, err
	}
	zr, err := zip.NewReader(spool, st.Size())
	if err != nil {
		return state, feed, bundle.File{}, err
	}
	var out bundle.File
	switch f := f.(type) {
	case osv.Feed:
		out, err = u.segment(ctx, w, f, zr, file, was, &state)
	default:
		out, err = u.scores(ctx, w, f, zr, &state)
	}
	if err != nil {
		return state, feed, bundle.File{}, err
	}
	feed.Mark, feed.Bad, feed.Records, feed.Modified = mark, state.Bad, out.Advisories, state.Modified
	state.Feed = feed.Feed
	u.log.InfoContext(ctx, "feed updated", "feed", f.Name(), "records", feed.Records, "changed", state.Changed, "bad", state.Bad)
	return state, feed, out, nil
}

// fetched gives the time at which a local copy was made; zero for an address.
func fetched(source string) time.Time {
	return written(source+"/all.zip", source+"/modified_id.csv", source)
}

// fetch spools what a feed has. A body that broke off is asked for once more.
func (u *updater) fetch(ctx context.Context, f Feed, last string) (*os.File, string, error) {
	for try := 0; ; try++ {
		spool, err := os.CreateTemp("", "bulwark-feed-*")
		if err != nil {
			return nil, "", err
		}
		zw := zip.NewWriter(spool)
		mark, err := f.Fetch(ctx, u.client, zw, last)
		if err == nil {
			err = zw.Close()
		}
		if err == nil {
			return spool, mark, nil
		}
		_ = spool.Close()
		_ = os.Remove(spool.Name())
		if try > 0 || ctx.Err() != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, mark, err
		}
		u.log.WarnContext(ctx, "feed broke off", "feed", f.Name(), "error", err)
	}
}

// segment builds the segment of an ecosystem from records, on top of the one
// that there is when the records are changes only.
func (u *updater) segment(ctx context.Context, w *bundle.Writer, f osv.Feed, zr *zip.Reader, old *bundle.File, was *bundle.Feed, state *FeedStatus) (bundle.File, error) {
	b, err := index.NewBuilder(f.Ecosystem)
	if err != nil {
		return bundle.File{}, err
	}
	fresh := map[string]bool{}
	for a, err := range f.Parse(ctx, zr) {
		if err := ctx.Err(); err != nil {
			return bundle.File{}, err
		}
		if err == nil {
			fresh[a.ID] = true
			if a.Modified.After(state.Modified) {
				state.Modified = a.Modified
			}
			state.Changed++
			if !a.Withdrawn.IsZero() {
				state.Withdrawn++
				continue
			}
			canonical(&a)
			trim(&a)
			err = b.Add(a)
		}
		if err != nil {
			state.bad(err)
		}
	}
	if state.Changed == 0 && state.Bad > 0 {
		return bundle.File{}, fmt.Errorf("none of %d records can be read: %s", state.Bad, state.Samples[0])
	}
	if _, err := fs.Stat(zr, "delta"); err == nil && old != nil {
		data, release, err := w.Current.Map(old)
		if err != nil {
			return bundle.File{}, err
		}
		defer release()
		seg, err := index.Open(data)
		if err == nil {
			err = seg.Check()
		}
		if err == nil {
			err = b.AddAll(seg, func(id string) bool { return fresh[id] })
		}
		if err != nil {
			return bundle.File{}, &bulwark.Hint{Err: fmt.Errorf("the segment that there is: %w", err), Next: "run bulwark db update --full"}
		}
		if was.Modified.After(state.Modified) {
			state.Modified = was.Modified
		}
	}
	out, err := w.Add(f.Name(), b)
	if err != nil {
		return out, err
	}
	out.Advisories, out.Rows, out.Hot = b.Len(), b.Rows(), b.Hot()
	return out, nil
}

func (s *FeedStatus) bad(err error) {
	s.Bad++
	if len(s.Samples) < maxSamples {
		s.Samples = append(s.Samples, err.Error())
	}
}

// trim leaves out the listed versions that a range holds anyway: they are most
// of what some feeds say, and add nothing.
func trim(a *bulwark.Advisory) {
	for i := range a.Affected {
		f := &a.Affected[i]
		if len(f.Ranges) == 0 {
			continue
		}
		kept := f.Versions[:0]
		only := bulwark.Affected{Ranges: f.Ranges}
		for _, v := range f.Versions {
			if _, err := vers.Compare(f.Ecosystem, v, v); err == nil {
				if h, err := holds(f.Ecosystem, v, &only, true); err == nil && h.yes {
					continue
				}
			}
			kept = append(kept, v)
		}
		f.Versions = kept
	}
}

// scores builds the file of a feed that says one thing about each CVE.
func (u *updater) scores(ctx context.Context, w *bundle.Writer, f Feed, zr *zip.Reader, state *FeedStatus) (bundle.File, error) {
	var b index.ScoresBuilder
	for a, err := range f.Parse(ctx, zr) {
		if err := ctx.Err(); err != nil {
			return bundle.File{}, err
		}
		if err == nil {
			x, y := kevNumbers(&a)
			if !a.Exploited {
				x, y = epssNumbers(&a)
			}
			err = b.Add(a.ID, x, y)
		}
		if err != nil {
			state.bad(err)
			continue
		}
		state.Changed++
		if a.Modified.After(state.Modified) {
			state.Modified = a.Modified
		}
	}
	if b.Len() == 0 {
		return bundle.File{}, fmt.Errorf("no entry can be read: %w", errors.Join(bulwark.ErrUnsupported, errors.New(firstOf(state.Samples))))
	}
	out, err := w.Add(f.Name(), &b)
	out.Advisories = b.Len()
	return out, err
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return "it is empty"
	}
	return list[0]
}

// status describes a generation; states say what became of some of its feeds.
func status(g *bundle.Generation, states []FeedStatus) Status {
	s := Status{ID: g.ID, Key: bundle.PublicKey(g.Key), Built: g.Built, Expires: g.Expires, Feeds: states}
	if states == nil {
		for i := range g.Feeds {
			s.Feeds = append(s.Feeds, FeedStatus{Feed: g.Feeds[i].Feed, Bad: g.Feeds[i].Bad})
		}
	}
	slices.SortFunc(s.Feeds, func(a, b FeedStatus) int { return strings.Compare(a.Name, b.Name) })
	for i := range g.Files {
		f := &g.Files[i]
		s.Bytes += f.Size
		s.Hot += f.Hot
		s.Rows += f.Rows
		if f.Rows > 0 || f.Hot > 0 {
			s.Advisories += f.Advisories
		}
	}
	return s
}
