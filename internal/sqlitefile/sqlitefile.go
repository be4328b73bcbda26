// SPDX-License-Identifier: Apache-2.0

// Package sqlitefile reads the rows of a table of an SQLite 3 database file,
// with what a write-ahead log beside it has committed
// (https://www.sqlite.org/fileformat2.html).
//
// It knows pages, b-trees, records and the log. It knows no SQL, no index, no
// locks, and never writes. It holds a few pages at a time, whatever the size of
// the file, and every page is read at most once per walk, so that a damaged or
// hostile file costs no more than an honest one of its size.
package sqlitefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"
)

// Errors of this package. A damaged file is ErrMalformed; a feature that is not
// read is ErrUnsupported; a row over the caller's limit is ErrTooLarge.
var (
	ErrMalformed   = errors.New("malformed SQLite file")
	ErrUnsupported = errors.New("SQLite feature not read")
	ErrTooLarge    = errors.New("larger than the limit")
	ErrNoTable     = errors.New("no such table")
)

const (
	headerSize = 100
	magic      = "SQLite format 3\x00"
	// A b-tree of 2^32 pages is less deep; SQLite itself stops at 20.
	maxDepth = 20
	// The schema of a package database has a dozen rows of a few hundred bytes.
	maxSchemaRow = 1 << 20
	maxColumns   = 2000 // SQLITE_MAX_COLUMN
	maxBadCells  = 16   // each costs an error; a page with more is no page

	leafTable     = 0x0d
	interiorTable = 0x05
	leafIndex     = 0x0a
	interiorIndex = 0x02
)

// A DB is an open database file. It is safe for concurrent use when its readers
// are.
type DB struct {
	r        io.ReaderAt
	wal      io.ReaderAt
	frames   map[uint32]int64 // where the log holds the newest content of a page
	size     int64            // bytes of the main file
	pageSize int
	usable   int // bytes of a page that b-trees may use
	pages    uint32
}

// Open reads the header of a database of size bytes. Wal and walSize are the
// file with "-wal" appended to its name; wal may be nil. An empty database
// file is one without tables.
func Open(ctx context.Context, r io.ReaderAt, size int64, wal io.ReaderAt, walSize int64) (*DB, error) {
	db := &DB{r: r, size: size}
	if size == 0 {
		return db, nil
	}
	var h [headerSize]byte
	if err := readFull(r, h[:], 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if string(h[:len(magic)]) != magic {
		return nil, fmt.Errorf("header: %w", ErrMalformed)
	}
	ps := int(binary.BigEndian.Uint16(h[16:]))
	if ps == 1 {
		ps = 1 << 16
	}
	reserved := int(h[20])
	if ps < 512 || ps&(ps-1) != 0 || ps-reserved < 480 {
		return nil, fmt.Errorf("page size %d with %d reserved: %w", ps, reserved, ErrMalformed)
	}
	if enc := binary.BigEndian.Uint32(h[56:]); enc > 1 {
		return nil, fmt.Errorf("text encoding %d: %w", enc, ErrUnsupported)
	}
	db.pageSize, db.usable = ps, ps-reserved
	filePages := size / int64(ps)
	// Byte 19 is the version needed to read: 2 means that a log counts. A log
	// beside a file that is not in that mode is a leftover.
	if h[19] > 2 {
		return nil, fmt.Errorf("read version %d: %w", h[19], ErrUnsupported)
	}
	committed := uint32(0)
	if wal != nil && walSize > 0 && h[19] == 2 {
		var err error
		db.wal = wal
		if db.frames, committed, err = readLog(ctx, wal, walSize, ps); err != nil {
			return nil, fmt.Errorf("read write-ahead log: %w", err)
		}
	}
	most := filePages + int64(len(db.frames))
	if committed > 0 {
		if int64(committed) > most {
			return nil, fmt.Errorf("write-ahead log of %d pages: %w", committed, ErrMalformed)
		}
		db.pages = committed
	} else {
		// The size in the header may be stale after an old SQLite wrote the
		// file, and a page beyond the file cannot be read anyway.
		db.pages = uint32(min(filePages, math.MaxUint32-1))
	}
	if db.pages == 0 {
		return nil, fmt.Errorf("file of %d bytes: %w", size, ErrMalformed)
	}
	return db, nil
}

// page reads page no, from 1, into buf, which has the length of a page.
func (db *DB) page(no uint32, buf []byte) error {
	if no == 0 || no > db.pages {
		return fmt.Errorf("page %d of %d: %w", no, db.pages, ErrMalformed)
	}
	r, off := db.r, int64(no-1)*int64(db.pageSize)
	if at, ok := db.frames[no]; ok {
		r, off = db.wal, at
	}
	if err := readFull(r, buf, off); err != nil {
		return fmt.Errorf("page %d: %w", no, err)
	}
	return nil
}

// A Row is one row of a table. It is valid until the next one is asked for.
type Row struct {
	ID      int64   // the row id, which stands for an INTEGER PRIMARY KEY
	Columns []Value // as stored; an INTEGER PRIMARY KEY is stored as null
}

// A Value is one column of a row. Bytes hold text and blobs; a null has neither.
type Value struct {
	Bytes []byte
	Int   int64
	Kind  Kind
}

// A Kind is the storage class of a value. The zero Kind is null.
type Kind uint8

// The storage classes.
const (
	Null Kind = iota
	Int
	Float // the bits are in Value.Int
	Blob
	Text
)

// Rows gives the rows of a table in the order of the file. A part of the file
// that cannot be read is an error in place of the rows that it held, and the
// walk goes on behind it; a done ctx ends it with its error. A row of more than
// limit bytes is [ErrTooLarge]. A missing table is [ErrNoTable].
func (db *DB) Rows(ctx context.Context, table string, limit int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if db.size == 0 {
			yield(Row{}, fmt.Errorf("table %q: %w", table, ErrNoTable))
			return
		}
		root, err := db.root(ctx, table)
		if root == 0 {
			if err == nil {
				err = fmt.Errorf("table %q: %w", table, ErrNoTable)
			}
			yield(Row{}, err)
			return
		}
		if err != nil && !yield(Row{}, err) {
			return
		}
		w := db.walk(ctx, limit, yield)
		w.tree(root, 0)
	}
}

// root finds the first page of a table in the schema. It may give both a root
// and an error when the schema is damaged elsewhere.
func (db *DB) root(ctx context.Context, table string) (root uint32, err error) {
	w := db.walk(ctx, maxSchemaRow, func(row Row, e error) bool {
		if e != nil {
			err = errors.Join(err, fmt.Errorf("schema: %w", e))
			return ctx.Err() == nil
		}
		c := row.Columns // type, name, tbl_name, rootpage, sql
		if len(c) < 5 || string(c[0].Bytes) != "table" || !strings.EqualFold(string(c[1].Bytes), table) {
			return true
		}
		if c[3].Kind == Int && c[3].Int > 0 && c[3].Int <= int64(db.pages) {
			root = uint32(c[3].Int)
		}
		return false
	})
	w.tree(1, 0)
	return root, err
}

// A walker goes over one b-tree once.
type walker struct {
	db    *DB
	ctx   context.Context //nolint:containedctx // lives for one call of Rows
	yield func(Row, error) bool
	limit int
	seen  []uint64 // one bit for each page
	stack [][]byte // one page for each depth, kept for the next subtree
	over  []byte   // one overflow page
	row   []byte   // a row that overflows
	cols  []Value
	ended bool
}

func (db *DB) walk(ctx context.Context, limit int, yield func(Row, error) bool) *walker {
	return &walker{db: db, ctx: ctx, limit: limit, yield: yield, seen: make([]uint64, uint64(db.pages)/64+1)}
}

// once tells whether page no is met for the first time in this walk.
func (w *walker) once(no uint32) error {
	if no == 0 || no > w.db.pages {
		return fmt.Errorf("page %d of %d: %w", no, w.db.pages, ErrMalformed)
	}
	bit := uint64(1) << (no % 64)
	if w.seen[no/64]&bit != 0 {
		return fmt.Errorf("page %d has two parents: %w", no, ErrMalformed)
	}
	w.seen[no/64] |= bit
	return nil
}

func (w *walker) fail(err error) {
	if !w.ended && !w.yield(Row{}, err) {
		w.ended = true
	}
}

// tree walks the subtree under page no.
func (w *walker) tree(no uint32, depth int) {
	if w.ended {
		return
	}
	if err := w.ctx.Err(); err != nil {
		w.fail(err)
		w.ended = true
		return
	}
	if depth > maxDepth {
		w.fail(fmt.Errorf("b-tree deeper than %d: %w", maxDepth, ErrMalformed))
		return
	}
	if err := w.once(no); err != nil {
		w.fail(err)
		return
	}
	if depth == len(w.stack) {
		w.stack = append(w.stack, make([]byte, w.db.pageSize))
	}
	p := w.stack[depth]
	if err := w.db.page(no, p); err != nil {
		w.fail(err)
		return
	}
	h := p
	if no == 1 {
		h = p[headerSize:]
	}
	kind, cells := h[0], int(binary.BigEndian.Uint16(h[3:]))
	size := 8
	switch kind {
	case leafTable:
	case interiorTable:
		size = 12
	case leafIndex, interiorIndex:
		w.fail(fmt.Errorf("page %d belongs to an index or a table without row ids: %w", no, ErrUnsupported))
		return
	default:
		w.fail(fmt.Errorf("page %d of kind %#02x: %w", no, kind, ErrMalformed))
		return
	}
	pointers := h[size:]
	if 2*cells > len(pointers) {
		w.fail(fmt.Errorf("page %d with %d cells: %w", no, cells, ErrMalformed))
		return
	}
	bad, room := 0, w.db.usable
	for i := range cells {
		if w.ended {
			return
		}
		at := int(binary.BigEndian.Uint16(pointers[2*i:]))
		if kind == leafTable {
			used, err := w.cell(p, at)
			// Cells do not overlap. A page whose cells have more bytes than it
			// has would cost the square of its size.
			if room -= used; room < 0 {
				w.fail(fmt.Errorf("page %d: cells overlap: %w", no, ErrMalformed))
				return
			}
			if err != nil {
				w.fail(fmt.Errorf("page %d cell %d: %w", no, i, err))
				if bad++; bad == maxBadCells {
					w.fail(fmt.Errorf("page %d: given up after %d damaged cells: %w", no, bad, ErrMalformed))
					return
				}
			}
			continue
		}
		if at+4 > w.db.usable {
			w.fail(fmt.Errorf("page %d cell %d: %w", no, i, ErrMalformed))
			continue
		}
		w.tree(binary.BigEndian.Uint32(p[at:]), depth+1)
	}
	if kind == interiorTable {
		w.tree(binary.BigEndian.Uint32(h[8:]), depth+1)
	}
}

// cell reads one row and hands it over. It gives the bytes of the page that the
// row takes.
func (w *walker) cell(p []byte, at int) (used int, err error) {
	p = p[:w.db.usable]
	if at >= len(p) {
		return 0, ErrMalformed
	}
	size, n := varint(p[at:])
	at += n
	id, m := varint(p[at:])
	at += m
	if n == 0 || m == 0 {
		return 0, ErrMalformed
	}
	if size > uint64(w.limit) {
		return n + m, fmt.Errorf("row %d of %d bytes, limit %d: %w", int64(id), size, w.limit, ErrTooLarge)
	}
	local := w.local(int(size))
	body, err := w.body(p[at:], local, int(size))
	if err == nil {
		err = w.columns(body)
	}
	if err != nil {
		return n + m, fmt.Errorf("row %d: %w", int64(id), err)
	}
	if !w.yield(Row{ID: int64(id), Columns: w.cols}, nil) {
		w.ended = true
	}
	return n + m + local, nil
}

// local gives how many bytes of a row of size bytes stand in its page.
func (w *walker) local(size int) int {
	u := w.db.usable
	if size <= u-35 {
		return size
	}
	least := (u-12)*32/255 - 23
	if n := least + (size-least)%(u-4); n <= u-35 {
		return n
	}
	return least
}

// body gives the size bytes of a row whose first local bytes begin rest,
// following its overflow pages.
func (w *walker) body(rest []byte, local, size int) ([]byte, error) {
	u := w.db.usable
	if local == size {
		if size > len(rest) {
			return nil, ErrMalformed
		}
		return rest[:size], nil
	}
	if local+4 > len(rest) {
		return nil, ErrMalformed
	}
	// Each overflow page is read once in a walk, so a row cannot be larger than
	// the file, whatever it claims.
	if int64(size-local) > int64(w.db.pages)*int64(u) {
		return nil, fmt.Errorf("%d bytes in a file of %d pages: %w", size, w.db.pages, ErrMalformed)
	}
	w.row = append(w.row[:0], rest[:local]...)
	next := binary.BigEndian.Uint32(rest[local:])
	if w.over == nil {
		w.over = make([]byte, w.db.pageSize)
	}
	for len(w.row) < size {
		if err := w.once(next); err != nil {
			return nil, fmt.Errorf("overflow: %w", err)
		}
		if err := w.db.page(next, w.over); err != nil {
			return nil, fmt.Errorf("overflow: %w", err)
		}
		next = binary.BigEndian.Uint32(w.over)
		w.row = append(w.row, w.over[4:4+min(u-4, size-len(w.row))]...)
	}
	return w.row, nil
}

// columns splits a record (section 2.1 of the file format).
func (w *walker) columns(body []byte) error {
	head, n := varint(body)
	if n == 0 || head < uint64(n) || head > uint64(len(body)) {
		return fmt.Errorf("record header: %w", ErrMalformed)
	}
	types, data := body[n:head], body[head:]
	w.cols = w.cols[:0]
	for len(types) > 0 {
		t, n := varint(types)
		if n == 0 || len(w.cols) == maxColumns {
			return fmt.Errorf("record header: %w", ErrMalformed)
		}
		types = types[n:]
		v, size := Value{}, uint64(0)
		switch {
		case t == 0:
		case t <= 6:
			size = [...]uint64{0, 1, 2, 3, 4, 6, 8}[t]
			v.Kind = Int
		case t == 7:
			size, v.Kind = 8, Float
		case t == 8 || t == 9:
			v.Kind, v.Int = Int, int64(t-8)
		case t < 12:
			return fmt.Errorf("column type %d: %w", t, ErrMalformed)
		default:
			size, v.Kind = (t-12)/2, Blob+Kind(t%2)
		}
		if size > uint64(len(data)) {
			return fmt.Errorf("column of %d bytes: %w", size, ErrMalformed)
		}
		switch v.Kind {
		case Blob, Text:
			v.Bytes = data[:size:size]
		case Int, Float:
			if size > 0 {
				v.Int = int64(int8(data[0])) // the sign of all shorter integers
				for _, b := range data[1:size] {
					v.Int = v.Int<<8 | int64(b)
				}
			}
		}
		data = data[size:]
		w.cols = append(w.cols, v)
	}
	return nil
}

// varint reads a big-endian integer of up to nine bytes; n is 0 when it does
// not end.
func varint(b []byte) (v uint64, n int) {
	for i, c := range b[:min(len(b), 9)] {
		if i == 8 {
			return v<<8 | uint64(c), 9
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
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

// Is tells whether head, the first bytes of a file, begin an SQLite database.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
