// SPDX-License-Identifier: Apache-2.0

// Package bdb reads the pairs of a Berkeley DB hash file, in either byte order
// (dbinc/db_page.h of the Berkeley DB sources, versions 4 to 6; the layout is
// also described at
// https://docs.oracle.com/cd/E17276_01/html/programmer_reference/am_conf.html).
//
// It knows the header, hash pages and overflow pages. It knows no B-tree, no
// duplicates, no encryption, no hashing, and never writes: it goes over all
// pages in order instead of looking keys up. It holds two pages and one value
// at a time, and follows each overflow page at most once, so that a damaged or
// hostile file costs no more than an honest one of its size.
package bdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Errors of this package. A damaged file is ErrMalformed; a kind of file or
// entry that is not read is ErrUnsupported; a value over the caller's limit is
// ErrTooLarge.
var (
	ErrMalformed   = errors.New("malformed Berkeley DB file")
	ErrUnsupported = errors.New("Berkeley DB feature not read")
	ErrTooLarge    = errors.New("larger than the limit")
)

const (
	hashMagic  = 0x00061561
	btreeMagic = 0x00053162

	metaSize   = 72 // of the header fields that every kind of file has
	headerSize = 26 // of every other page

	pageOverflow     = 7
	pageHashMeta     = 8
	pageHashUnsorted = 2
	pageHash         = 13

	itemKeyData = 1
	itemOffPage = 3

	offPageSize = 12
	maxBadItems = 16 // each costs an error; a page with more is no page
)

// A DB is an open hash file. It is safe for concurrent use when its reader is.
type DB struct {
	r        io.ReaderAt
	order    binary.ByteOrder
	pageSize int
	pages    uint32
}

// Is tells whether head, the first bytes of a file, begin a Berkeley DB hash
// file.
func Is(head []byte) bool {
	return len(head) >= 16 && (binary.LittleEndian.Uint32(head[12:]) == hashMagic || binary.BigEndian.Uint32(head[12:]) == hashMagic)
}

// Open reads the header of a hash file of size bytes.
func Open(r io.ReaderAt, size int64) (*DB, error) {
	var h [metaSize]byte
	if err := readFull(r, h[:], 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	db := &DB{r: r, order: binary.LittleEndian}
	if binary.BigEndian.Uint32(h[12:]) == hashMagic || binary.BigEndian.Uint32(h[12:]) == btreeMagic {
		db.order = binary.BigEndian
	}
	switch magic := db.order.Uint32(h[12:]); magic {
	case hashMagic:
	case btreeMagic:
		return nil, fmt.Errorf("a B-tree file: %w", ErrUnsupported)
	default:
		return nil, fmt.Errorf("header: %w", ErrMalformed)
	}
	if kind := h[25]; kind != pageHashMeta {
		return nil, fmt.Errorf("header page of kind %d: %w", kind, ErrMalformed)
	}
	// An encrypted or checksummed file has wider page headers.
	if h[24] != 0 || h[26]&1 != 0 {
		return nil, fmt.Errorf("encryption or checksums: %w", ErrUnsupported)
	}
	ps := db.order.Uint32(h[20:])
	if ps < 512 || ps > 1<<16 || ps&(ps-1) != 0 {
		return nil, fmt.Errorf("page size %d: %w", ps, ErrMalformed)
	}
	db.pageSize = int(ps)
	// What the header says beyond the file cannot be read, and a file cut short
	// is told when its end is reached.
	db.pages = db.order.Uint32(h[32:])
	if db.pages == 1<<32-1 {
		return nil, fmt.Errorf("last page %d: %w", db.pages, ErrMalformed)
	}
	db.pages++
	if have := (size + int64(ps) - 1) / int64(ps); int64(db.pages) > have+1 {
		return nil, fmt.Errorf("%d pages in a file of %d: %w", db.pages, have, ErrMalformed)
	}
	return db, nil
}

// A Pair is one entry. It is valid until the next one is asked for.
type Pair struct{ Key, Value []byte }

// Pairs gives the entries in the order of the file. A part of the file that
// cannot be read is an error in place of the entries that it held, and the walk
// goes on behind it; a done ctx ends it with its error. A value of more than
// limit bytes is [ErrTooLarge].
func (db *DB) Pairs(ctx context.Context, limit int) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		w := walker{db: db, limit: limit, seen: make([]uint64, uint64(db.pages)/64+1)}
		page := make([]byte, db.pageSize)
		for no := uint32(1); no < db.pages; no++ {
			if err := ctx.Err(); err != nil {
				yield(Pair{}, err)
				return
			}
			if err := readFull(db.r, page, int64(no)*int64(db.pageSize)); err != nil {
				// Behind a page that is not there, none is.
				yield(Pair{}, fmt.Errorf("page %d of %d: %w", no, db.pages, err))
				return
			}
			// Values that overflow are reached from their hash page; free
			// pages have no kind.
			if kind := page[25]; kind != pageHash && kind != pageHashUnsorted {
				continue
			}
			if !w.page(no, page, yield) {
				return
			}
		}
	}
}

type walker struct {
	db    *DB
	limit int
	seen  []uint64 // one bit for each page
	over  []byte   // one overflow page
	value []byte
}

// page hands over the pairs of a hash page; it is false when no more are wanted.
func (w *walker) page(no uint32, page []byte, yield func(Pair, error) bool) bool {
	entries := int(w.db.order.Uint16(page[20:]))
	if entries%2 != 0 || headerSize+2*entries > len(page) {
		return yield(Pair{}, fmt.Errorf("page %d with %d entries: %w", no, entries, ErrMalformed))
	}
	// Items stand at the end of the page, each before the one with the next
	// lower index.
	offset := func(i int) int {
		if i < 0 {
			return len(page)
		}
		return int(w.db.order.Uint16(page[headerSize+2*i:]))
	}
	item := func(i int) ([]byte, error) {
		from, to := offset(i), offset(i-1)
		if from < headerSize+2*entries || from >= to || to > len(page) {
			return nil, fmt.Errorf("page %d item %d: %w", no, i, ErrMalformed)
		}
		return page[from:to], nil
	}
	bad := 0
	for i := 0; i < entries; i += 2 {
		p, err := w.pair(item, i)
		if !yield(p, err) {
			return false
		}
		if err != nil {
			if bad++; bad == maxBadItems {
				return yield(Pair{}, fmt.Errorf("page %d: given up after %d damaged items: %w", no, bad, ErrMalformed))
			}
		}
	}
	return true
}

func (w *walker) pair(item func(int) ([]byte, error), i int) (Pair, error) {
	key, err := item(i)
	if err != nil {
		return Pair{}, err
	}
	if key[0] != itemKeyData {
		return Pair{}, fmt.Errorf("key of kind %d: %w", key[0], ErrUnsupported)
	}
	value, err := item(i + 1)
	if err != nil {
		return Pair{}, err
	}
	switch kind := value[0]; kind {
	case itemKeyData:
		if len(value)-1 > w.limit {
			return Pair{}, fmt.Errorf("value of %d bytes, limit %d: %w", len(value)-1, w.limit, ErrTooLarge)
		}
		return Pair{Key: key[1:], Value: value[1:]}, nil
	case itemOffPage:
		if len(value) < offPageSize {
			return Pair{}, fmt.Errorf("reference of %d bytes: %w", len(value), ErrMalformed)
		}
		v, err := w.overflow(w.db.order.Uint32(value[4:]), w.db.order.Uint32(value[8:]))
		return Pair{Key: key[1:], Value: v}, err
	default:
		return Pair{}, fmt.Errorf("value of kind %d: %w", kind, ErrUnsupported)
	}
}

// overflow reads a value of size bytes that begins at page no.
func (w *walker) overflow(no, size uint32) ([]byte, error) {
	if int64(size) > int64(w.limit) {
		return nil, fmt.Errorf("value of %d bytes, limit %d: %w", size, w.limit, ErrTooLarge)
	}
	if w.over == nil {
		w.over = make([]byte, w.db.pageSize)
	}
	w.value = w.value[:0]
	for len(w.value) < int(size) {
		if no == 0 || no >= w.db.pages {
			return nil, fmt.Errorf("overflow page %d of %d: %w", no, w.db.pages, ErrMalformed)
		}
		if bit := uint64(1) << (no % 64); w.seen[no/64]&bit != 0 {
			return nil, fmt.Errorf("overflow page %d belongs to two values: %w", no, ErrMalformed)
		} else {
			w.seen[no/64] |= bit
		}
		if err := readFull(w.db.r, w.over, int64(no)*int64(w.db.pageSize)); err != nil {
			return nil, fmt.Errorf("overflow page %d: %w", no, err)
		}
		if kind := w.over[25]; kind != pageOverflow {
			return nil, fmt.Errorf("overflow page %d of kind %d: %w", no, kind, ErrMalformed)
		}
		// The field that gives the free space of other pages gives the length
		// of what an overflow page holds.
		n := int(w.db.order.Uint16(w.over[22:]))
		if n == 0 || n > len(w.over)-headerSize {
			return nil, fmt.Errorf("overflow page %d of %d bytes: %w", no, n, ErrMalformed)
		}
		w.value = append(w.value, w.over[headerSize:headerSize+n]...)
		no = w.db.order.Uint32(w.over[16:])
	}
	if len(w.value) > int(size) {
		return nil, fmt.Errorf("value of %d bytes instead of %d: %w", len(w.value), size, ErrMalformed)
	}
	return w.value, nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%d bytes at %d: %w", len(p), off, ErrMalformed)
	}
	return err
}
