// SPDX-License-Identifier: Apache-2.0

// Package diskcache keeps derived data in a folder, bounded in size and shared
// by any number of processes without a lock: entries are written aside, renamed
// into place, and never changed. It does not know what an entry means.
package diskcache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bulwark-sec/bulwark/internal/whole"
)

// version is part of every path: entries of another layout are not seen.
const version = "v1"

// cleared is the prefix of folders that are being removed.
const cleared = ".old-"

// tries is how often a step is repeated that another process was faster in.
const tries = 10

// A Cache is a folder of entries. It is safe for concurrent use by goroutines
// and processes. The nil *Cache keeps nothing and finds nothing.
type Cache struct {
	dir string
	max int64
}

// Open gives the cache in dir, which is made when it is first written to. The
// least recently used entries go when it has more than max bytes; 0 is no bound.
func Open(dir string, max int64) *Cache { return &Cache{dir: dir, max: max} }

func (c *Cache) path(key string) string {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	return filepath.Join(c.dir, version, name[:2], name)
}

// Get opens the entry of a key; fs.ErrNotExist when there is none. The caller
// closes it.
func (c *Cache) Get(key string) (*os.File, error) {
	if c == nil {
		return nil, fs.ErrNotExist
	}
	p := c.path(key)
	f, err := os.Open(p)
	if err != nil {
		return nil, err
	}
	// The time of modification is the time of last use, for eviction. A reader
	// without the right to change it still reads.
	now := time.Now()
	_ = os.Chtimes(p, now, now)
	return f, nil
}

// Drop removes the entry of a key, for one that proved unreadable.
func (c *Cache) Drop(key string) {
	if c != nil {
		os.Remove(c.path(key))
	}
}

// Put writes the entry of a key. After an error of write nothing is kept, and
// nothing of an entry that is larger than the whole cache may be. Nobody sees an
// entry before it is complete; after a power failure it may be cut off, which its
// reader must be able to tell.
func (c *Cache) Put(key string, write func(io.Writer) error) error {
	if c == nil {
		return nil
	}
	var own error // of write, which is not the cache's
	err := whole.Write(c.path(key), func(w io.Writer) error {
		n := &counter{w: w}
		if own = write(n); own == nil && c.max > 0 && n.n > c.max {
			own = errLarge
		}
		return own
	})
	switch {
	case own == nil && err != nil && !errors.Is(err, whole.ErrGone):
		return fmt.Errorf("write cache: %w", err)
	case errors.Is(own, errLarge):
		return nil
	}
	return own // the folder may have been cleared meanwhile, and the entry with it
}

// errLarge says that an entry is larger than the cache may be.
var errLarge = errors.New("larger than the cache")

// A counter counts the bytes that go through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

type entry struct {
	path string
	size int64
	used time.Time
}

func (c *Cache) entries(ctx context.Context) (list []entry, total int64, err error) {
	err = filepath.WalkDir(filepath.Join(c.dir, version), func(p string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // another process was faster
		case errors.Is(err, fs.ErrPermission):
			return nil // another user's, after a scan with more rights say
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if whole.Unfinished(d.Name()) {
			if whole.Abandoned(info.ModTime()) {
				os.Remove(p)
			}
			return nil
		}
		list = append(list, entry{p, info.Size(), info.ModTime()})
		total += info.Size()
		return nil
	})
	return list, total, err
}

// Trim removes the least recently used entries until the bound holds. What this
// user may not remove stays.
func (c *Cache) Trim(ctx context.Context) error {
	if c == nil || c.max <= 0 {
		return nil
	}
	c.sweep()
	list, total, err := c.entries(ctx)
	if err != nil || total <= c.max {
		return err
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Or(a.used.Compare(b.used), strings.Compare(a.path, b.path)) })
	for _, e := range list {
		// Down to nine tenths, so that not every run has to trim.
		if total <= c.max/10*9 {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		switch err := os.Remove(e.path); {
		case err == nil, errors.Is(err, fs.ErrNotExist):
			total -= e.size
		case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		default:
			return fmt.Errorf("trim cache: %w", err)
		}
	}
	return nil
}

// An Info says what a cache holds.
type Info struct {
	Dir     string    `json:"dir"`
	Entries int       `json:"entries"`
	Bytes   int64     `json:"bytes"`
	Max     int64     `json:"max"` // bytes; 0 is no bound
	Oldest  time.Time `json:"oldest,omitzero"`
}

// Info counts the entries.
func (c *Cache) Info(ctx context.Context) (Info, error) {
	if c == nil {
		return Info{}, nil
	}
	list, total, err := c.entries(ctx)
	i := Info{Dir: c.dir, Entries: len(list), Bytes: total, Max: c.max}
	for _, e := range list {
		if i.Oldest.IsZero() || e.used.Before(i.Oldest) {
			i.Oldest = e.used
		}
	}
	return i, err
}

// Clear removes every entry. Who reads one reads on; what is being written is
// lost. It is done at once: the entries are moved aside first.
func (c *Cache) Clear() error {
	if c == nil {
		return nil
	}
	c.sweep()
	if _, err := os.Lstat(filepath.Join(c.dir, version)); err != nil {
		return nil // nothing is kept
	}
	old, err := os.MkdirTemp(c.dir, cleared+"*")
	if err != nil {
		return fmt.Errorf("clear cache: %w", err)
	}
	err = os.Rename(filepath.Join(c.dir, version), filepath.Join(old, version))
	if errors.Is(err, fs.ErrNotExist) { // another process was faster
		err = nil
	}
	// A writer that was about to make its file makes it in what was moved.
	for range tries {
		if rerr := os.RemoveAll(old); rerr == nil || err != nil {
			break
		} else if !errors.Is(rerr, syscall.ENOTEMPTY) {
			err = rerr
		}
	}
	if err != nil {
		return fmt.Errorf("clear cache: %w", err)
	}
	return nil
}

// sweep removes what is left of a Clear that was killed.
func (c *Cache) sweep() {
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), cleared) && whole.Abandoned(info.ModTime()) {
			os.RemoveAll(filepath.Join(c.dir, e.Name()))
		}
	}
}
