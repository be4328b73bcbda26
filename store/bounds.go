// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bulwark-sec/bulwark/internal/whole"
)

// Bounds say how much is kept of images. A zero field means the default: 2,000
// images and 256 MiB. A thousand packages take some 60 KB.
type Bounds struct {
	Images int   `json:"images"` // names; those of declared base images are not counted
	Bytes  int64 `json:"bytes"`  // of everything but declarations
}

const (
	defaultImages = 2000
	defaultBytes  = 256 << 20
)

// Held says what is kept of images.
type Held struct {
	Dir      string    `json:"dir"`
	Images   int       `json:"images"`   // names
	Declared int       `json:"declared"` // of them: somebody said that they are base images
	Bytes    int64     `json:"bytes"`
	Max      Bounds    `json:"max"`
	Oldest   time.Time `json:"oldest,omitzero"` // when the one that goes first was seen last
}

// A piece is one file below chains.
type piece struct {
	path string
	size int64
	time time.Time
}

func (p *piece) chain() string { return filepath.Base(filepath.Dir(p.path)) }

// key is what the marks of an image are called.
func (p *piece) key() string {
	return p.chain() + "-" + strings.TrimSuffix(filepath.Base(p.path), ".json")
}

// holding is everything that is kept, the least recently seen first.
type holding struct {
	names    []piece // images that were not declared
	declared []piece
	contents []piece // inventories
	bytes    int64   // of names and contents
	said     int64   // bytes of declared
}

// hold lists what is kept. What is unfinished and will never be goes.
func (s *Images) hold(ctx context.Context) (*holding, error) {
	said := map[string]bool{}
	marks, err := os.ReadDir(filepath.Join(s.dir, "declared"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, m := range marks {
		said[m.Name()] = true
	}
	h := &holding{}
	err = filepath.WalkDir(filepath.Join(s.dir, "chains"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			return nil // another process was faster, or another user's
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		p := piece{path, info.Size(), info.ModTime()}
		switch {
		case whole.Unfinished(d.Name()):
			if whole.Abandoned(p.time) {
				_ = os.Remove(path)
			}
			return nil
		case d.Name() == inventoryFile:
			h.contents = append(h.contents, p)
		case !strings.HasSuffix(d.Name(), ".json"):
			return nil
		case said[p.key()]:
			h.declared = append(h.declared, p)
			h.said += p.size
			return nil
		default:
			h.names = append(h.names, p)
		}
		h.bytes += p.size
		return nil
	})
	order := func(a, b piece) int { return cmp.Or(a.time.Compare(b.time), strings.Compare(a.path, b.path)) }
	slices.SortFunc(h.names, order)
	slices.SortFunc(h.contents, order)
	return h, err
}

// Held counts what is kept.
func (s *Images) Held(ctx context.Context) (Held, error) {
	if s == nil {
		return Held{}, nil
	}
	h, err := s.hold(ctx)
	if err != nil {
		return Held{}, err
	}
	out := Held{Dir: s.dir, Images: len(h.names) + len(h.declared), Declared: len(h.declared), Bytes: h.bytes + h.said, Max: s.max}
	if len(h.names) > 0 {
		out.Oldest = h.names[0].time
	}
	return out, nil
}

// Trim removes the least recently seen images until the bounds hold, and gives
// how many. Of declared base images it removes what is in them at most. What this
// user may not remove stays.
func (s *Images) Trim(ctx context.Context) (int, error) {
	if s == nil {
		return 0, nil
	}
	return s.shrink(ctx, s.max)
}

// Clear forgets every image, but for what was declared to be a base image unless
// declared is true. What is being written meanwhile may stay.
func (s *Images) Clear(ctx context.Context, declared bool) error {
	if s == nil {
		return nil
	}
	if declared {
		var errs []error
		for _, part := range []string{"chains", "repositories", "declared"} {
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, part)))
		}
		return errors.Join(errs...)
	}
	_, err := s.shrink(ctx, Bounds{})
	return err
}

// shrink removes images until no more than max are kept.
func (s *Images) shrink(ctx context.Context, max Bounds) (gone int, err error) {
	h, err := s.hold(ctx)
	if err != nil || len(h.names) <= max.Images && h.bytes <= max.Bytes {
		return 0, err
	}
	// Down to nine tenths, so that not every scan has to remove one.
	room := Bounds{max.Images - max.Images/10, max.Bytes - max.Bytes/10}
	names := map[string]int{} // of each chain
	for _, list := range [][]piece{h.names, h.declared} {
		for i := range list {
			names[list[i].chain()]++
		}
	}
	content := map[string]*piece{}
	for i := range h.contents {
		content[h.contents[i].chain()] = &h.contents[i]
	}
	left := len(h.names)
	for i := range h.names {
		p := &h.names[i]
		if left <= room.Images && h.bytes <= room.Bytes {
			break
		}
		if err := ctx.Err(); err != nil {
			return gone, err
		}
		img, err := read(p.path)
		if err == nil && img.Declared {
			left-- // its mark is missing
			continue
		}
		if err := remove(p.path); err != nil {
			return gone, err
		}
		left, h.bytes, gone = left-1, h.bytes-p.size, gone+1
		if img != nil {
			_ = os.Remove(s.markOf(img, img.Chain()))
		}
		if names[p.chain()]--; names[p.chain()] > 0 {
			continue
		}
		if c := content[p.chain()]; c != nil {
			if err := remove(c.path); err != nil {
				return gone, err
			}
			h.bytes -= c.size
			delete(content, p.chain())
		}
		_ = os.Remove(filepath.Dir(p.path)) // unless somebody puts something there
	}
	for i := range h.contents {
		p := &h.contents[i]
		if h.bytes <= room.Bytes {
			break
		}
		if content[p.chain()] == nil {
			continue
		}
		if err := errors.Join(ctx.Err(), remove(p.path)); err != nil {
			return gone, err
		}
		h.bytes -= p.size
	}
	return gone, nil
}

// remove removes a file. That it is gone already, or another user's, is fine.
func remove(name string) error {
	err := os.Remove(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return nil
	}
	return err
}
