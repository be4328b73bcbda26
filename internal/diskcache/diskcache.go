// SPDX-License-Identifier: Apache-2.0

// Package diskcache keeps derived data in a folder, bounded in size and shared
// by any number of processes without a lock: entries are written aside, renamed
// into place, and never changed. It does not know what an entry means.
package diskcache

import (
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
	"time"
)

// version is part of every path: entries of another layout are not seen.
const version = "v1"

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

// Put writes the entry of a key. After an error of write nothing is kept.
func (c *Cache) Put(key string, write func(io.Writer) error) (err error) {
	if c == nil {
		return nil
	}
	p := c.path(key)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(p), ".new-*")
	if err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if err := write(tmp); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	if err := os.Rename(tmp.Name(), p); err != nil {
		return fmt.Errorf("write cache: %w", err)
	}
	return nil
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
		// What a killed writer left behind goes after a day.
		if strings.HasPrefix(d.Name(), ".new-") {
			if time.Since(info.ModTime()) > 24*time.Hour {
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

// Trim removes the least recently used entries until the bound holds.
func (c *Cache) Trim(ctx context.Context) error {
	if c == nil || c.max <= 0 {
		return nil
	}
	list, total, err := c.entries(ctx)
	if err != nil || total <= c.max {
		return err
	}
	slices.SortFunc(list, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range list {
		// Down to nine tenths, so that not every run has to trim.
		if total <= c.max/10*9 {
			break
		}
		if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("trim cache: %w", err)
		}
		total -= e.size
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
	list, total, err := c.entries(ctx)
	i := Info{Dir: c.dir, Entries: len(list), Bytes: total, Max: c.max}
	for _, e := range list {
		if i.Oldest.IsZero() || e.used.Before(i.Oldest) {
			i.Oldest = e.used
		}
	}
	return i, err
}

// Clear removes every entry.
func (c *Cache) Clear() error { return os.RemoveAll(filepath.Join(c.dir, version)) }
