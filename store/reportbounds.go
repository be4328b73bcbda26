// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/bulwark-sec/bulwark/internal/whole"
)

// ReportBounds say how much is kept of reports. A zero field means the default: 200
// reports and 256 MiB. One with 400 findings takes some 60 KB.
type ReportBounds struct {
	Reports int   `json:"reports"`
	Bytes   int64 `json:"bytes"` // of reports and sets of policies together
}

const (
	defaultReports     = 200
	defaultReportBytes = 256 << 20
)

// needed is the time within which a set counts as needed by a report that is
// about to be kept. Keeping one takes milliseconds.
const needed = time.Minute

// HeldReports says what is kept of reports.
type HeldReports struct {
	Dir     string       `json:"dir"`
	Reports int          `json:"reports"`
	Sets    int          `json:"sets"`    // of policies
	Foreign int          `json:"foreign"` // files that are no reports by their names
	Bytes   int64        `json:"bytes"`   // of reports and sets
	Max     ReportBounds `json:"max"`
	Oldest  time.Time    `json:"oldest,omitzero"` // when the one that goes first was made
	Newest  time.Time    `json:"newest,omitzero"`
}

// reportHolding is everything that is kept, reports oldest first.
type reportHolding struct {
	files   []reportFile
	foreign int
	sets    map[string]fs.FileInfo // by the digits of their digest
	bytes   int64
}

func (s *Reports) hold(ctx context.Context) (*reportHolding, error) {
	h := &reportHolding{sets: map[string]fs.FileInfo{}}
	// Sets come first: the report that needs one is written after it.
	for _, sub := range []string{"sets", "reports"} {
		dir := filepath.Join(s.dir, sub)
		list, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range list {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if sub == "reports" && !whole.Unfinished(e.Name()) {
				continue // see list
			}
			info, err := e.Info()
			switch {
			case err != nil || !info.Mode().IsRegular():
			case whole.Unfinished(e.Name()):
				if whole.Abandoned(info.ModTime()) {
					_ = os.Remove(filepath.Join(dir, e.Name()))
				}
			default:
				h.sets[e.Name()] = info
				h.bytes += info.Size()
			}
		}
	}
	files, faults, err := s.list()
	if err != nil {
		return nil, err
	}
	h.files, h.foreign = files, len(faults)
	for i := range files {
		h.bytes += files[i].size
	}
	return h, nil
}

// Held counts what is kept.
func (s *Reports) Held(ctx context.Context) (HeldReports, error) {
	if s == nil {
		return HeldReports{}, nil
	}
	h, err := s.hold(ctx)
	if err != nil {
		return HeldReports{}, err
	}
	out := HeldReports{Dir: s.dir, Reports: len(h.files), Sets: len(h.sets), Foreign: h.foreign, Bytes: h.bytes, Max: s.max}
	if n := len(h.files); n > 0 {
		out.Oldest, out.Newest = h.files[0].time(), h.files[n-1].time()
	}
	return out, nil
}

// time gives when the report was made, as its name says.
func (f *reportFile) time() time.Time {
	t, _ := time.Parse(nameTime, f.base[:len(nameTime)]) // the name has the form, if not a day that there is
	return t
}

// Trim removes the oldest reports until the bounds hold, and sets that no report
// needs any more, and gives how many reports went. What this user may not remove
// stays.
func (s *Reports) Trim(ctx context.Context) (gone int, err error) {
	if s == nil {
		return 0, nil
	}
	h, err := s.hold(ctx)
	if err != nil {
		return 0, err
	}
	needs := map[string]int{}
	for i := range h.files {
		needs[h.files[i].set]++
	}
	drop := func(set string) error {
		info := h.sets[set]
		if info == nil || needs[set] > 0 {
			return nil
		}
		delete(h.sets, set)
		h.bytes -= info.Size()
		if time.Since(info.ModTime()) < needed {
			return nil // it goes with a later call
		}
		return remove(s.setFile(set))
	}
	for set := range h.sets {
		if err := drop(set); err != nil {
			return 0, err
		}
	}
	if len(h.files) <= s.max.Reports && h.bytes <= s.max.Bytes {
		return 0, nil
	}
	// Down to nine tenths, so that not every scan has to remove one.
	room := ReportBounds{s.max.Reports - s.max.Reports/10, s.max.Bytes - s.max.Bytes/10}
	for i := range h.files {
		f := &h.files[i]
		if len(h.files)-gone <= room.Reports && h.bytes <= room.Bytes {
			break
		}
		if err := errors.Join(ctx.Err(), remove(filepath.Join(s.reports(), f.base))); err != nil {
			return gone, err
		}
		gone++
		h.bytes -= f.size
		needs[f.set]--
		if err := drop(f.set); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// Clear forgets every report. What is being written meanwhile may stay.
func (s *Reports) Clear() error {
	if s == nil {
		return nil
	}
	return errors.Join(os.RemoveAll(s.reports()), os.RemoveAll(filepath.Join(s.dir, "sets")))
}
