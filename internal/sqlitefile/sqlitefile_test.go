// SPDX-License-Identifier: Apache-2.0

package sqlitefile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/sqlitefile"
)

// The files in testdata were written by SQLite 3.40. Row i of their table
// Packages holds content(i, n) for the n that the tests give.
func content(i, n int) []byte {
	b := make([]byte, n)
	for j := range b {
		b[j] = byte(i*7 + j*13 + j>>8)
	}
	return b
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(name) == ".gz" {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if b, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func open(t testing.TB, db, wal []byte) *sqlitefile.DB {
	t.Helper()
	d, err := sqlitefile.Open(t.Context(), bytes.NewReader(db), int64(len(db)), bytes.NewReader(wal), int64(len(wal)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// packages gives the blobs of the table Packages by row id.
func packages(t testing.TB, d *sqlitefile.DB) (rows map[int64][]byte, errs []error) {
	t.Helper()
	rows = map[int64][]byte{}
	for row, err := range d.Rows(t.Context(), "packages", 1<<20) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if len(row.Columns) != 2 || row.Columns[0].Kind != sqlitefile.Null || row.Columns[1].Kind != sqlitefile.Blob {
			t.Fatalf("row %d has columns %v", row.ID, row.Columns)
		}
		rows[row.ID] = bytes.Clone(row.Columns[1].Bytes)
		if rows[row.ID] == nil {
			rows[row.ID] = []byte{}
		}
	}
	return rows, errs
}

func TestRows(t *testing.T) {
	tests := map[string]func() map[int64][]byte{
		"small.sqlite": func() map[int64][]byte {
			want := map[int64][]byte{}
			for i := 1; i < 200; i++ {
				want[int64(i)] = content(i, i%40)
			}
			return want
		},
		"overflow.sqlite": func() map[int64][]byte {
			sizes := []int{470, 471, 472, 473, 474, 475, 476, 477, 478, 479, 480, 1000, 5000, 39, 40, 0}
			want := map[int64][]byte{}
			for i := 1; i < 33; i++ {
				want[int64(i)] = content(i, sizes[i%16])
			}
			return want
		},
		"large-page.sqlite.gz": func() map[int64][]byte {
			return map[int64][]byte{1: content(1, 10), 2: content(2, 65000), 3: content(3, 65500), 4: content(4, 70000)}
		},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			got, errs := packages(t, open(t, read(t, name), nil))
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if diff := cmp.Diff(want(), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestValues(t *testing.T) {
	var ints []int64
	var floats []float64
	for row, err := range open(t, read(t, "small.sqlite"), nil).Rows(t.Context(), "Other", 1<<20) {
		if err != nil {
			t.Fatal(err)
		}
		c := row.Columns
		if row.ID == 16 {
			if c[0].Kind != sqlitefile.Null || c[1].Kind != sqlitefile.Null || c[2].Kind != sqlitefile.Null {
				t.Errorf("row of nulls: %v", c)
			}
			continue
		}
		ints = append(ints, c[1].Int)
		if c[2].Kind == sqlitefile.Float { // whole numbers are stored as integers
			floats = append(floats, math.Float64frombits(uint64(c[2].Int)))
		}
	}
	want := []int64{
		0, 1, -1, 127, -128, 32767, -32768, 8388607, -8388608, 1<<31 - 1, -1 << 31, 1<<47 - 1, -1 << 47,
		math.MaxInt64, math.MinInt64,
	}
	if diff := cmp.Diff(want, ints); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5}, floats); diff != "" {
		t.Error(diff)
	}
}

// walRows is what the database and its log hold after every commit: row 3 is
// deleted, 4 replaced, 11 to 15 added. Rows from 16 on were never committed.
func walRows() map[int64][]byte {
	want := map[int64][]byte{4: content(44, 900)}
	for _, i := range []int{1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} {
		want[int64(i)] = content(i, 100)
	}
	return want
}

func TestLog(t *testing.T) {
	db, wal := read(t, "wal.sqlite"), read(t, "wal.sqlite-wal")
	got, errs := packages(t, open(t, db, wal))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if diff := cmp.Diff(walRows(), got); diff != "" {
		t.Error(diff)
	}

	without := map[int64][]byte{}
	for i := 1; i <= 10; i++ {
		without[int64(i)] = content(i, 100)
	}
	flipped := bytes.Clone(wal)
	flipped[32+24+10] ^= 1 // a byte of the first frame: nothing behind it counts
	for name, wal := range map[string][]byte{
		"absent": nil, "damaged": flipped, "header-only": wal[:32], "half-frame": wal[:32+24+100], "foreign": []byte("not a log, but long enough to be one"),
	} {
		got, errs := packages(t, open(t, db, wal))
		if len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
		if diff := cmp.Diff(without, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestDamageHidesOnlyItself(t *testing.T) {
	whole := read(t, "small.sqlite")
	want, _ := packages(t, open(t, whole, nil))
	for no := 3; no < len(whole)/512; no++ {
		db := bytes.Clone(whole)
		clear(db[no*512 : no*512+8]) // page header of page no+1
		got, errs := packages(t, open(t, db, nil))
		if len(got) == len(want) && len(errs) == 0 {
			continue // a page of another table
		}
		if len(errs) == 0 || len(got) < len(want)-60 {
			t.Errorf("page %d: %d of %d rows, errors %v", no+1, len(got), len(want), errs)
		}
		for id, b := range got {
			if !bytes.Equal(b, want[id]) {
				t.Errorf("page %d: row %d changed", no+1, id)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	small := read(t, "small.sqlite")
	set := func(off int, b ...byte) []byte {
		c := bytes.Clone(small)
		copy(c[off:], b)
		return c
	}
	for name, tt := range map[string]struct {
		db   []byte
		want error
	}{
		"short":     {small[:50], sqlitefile.ErrMalformed},
		"no-page":   {small[:200], sqlitefile.ErrMalformed},
		"magic":     {set(0, 'X'), sqlitefile.ErrMalformed},
		"page-size": {set(16, 0, 3), sqlitefile.ErrMalformed},
		"reserved":  {set(20, 255), sqlitefile.ErrMalformed},
		"utf16":     {set(56, 0, 0, 0, 2), sqlitefile.ErrUnsupported},
		"version":   {set(19, 9), sqlitefile.ErrUnsupported},
	} {
		if _, err := sqlitefile.Open(t.Context(), bytes.NewReader(tt.db), int64(len(tt.db)), nil, 0); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	first := func(d *sqlitefile.DB, ctx context.Context, table string, limit int) error {
		for _, err := range d.Rows(ctx, table, limit) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	d := open(t, small, nil)
	if err := first(d, t.Context(), "Packages", 10); !errors.Is(err, sqlitefile.ErrTooLarge) {
		t.Errorf("limit: %v", err)
	}
	if err := first(d, t.Context(), "Missing", 10); !errors.Is(err, sqlitefile.ErrNoTable) {
		t.Errorf("missing table: %v", err)
	}
	if err := first(open(t, nil, nil), t.Context(), "Packages", 10); !errors.Is(err, sqlitefile.ErrNoTable) {
		t.Errorf("empty file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first(d, ctx, "Packages", 1000); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for range d.Rows(t.Context(), "Packages", 1000) {
		break // stopping early is fine
	}
}

func TestLoopsEnd(t *testing.T) {
	db := bytes.Clone(read(t, "overflow.sqlite"))
	// Let every page that may be an overflow page follow itself.
	for no := 2; no <= len(db)/512; no++ {
		if p := db[(no-1)*512:]; p[0] == 0 {
			binary.BigEndian.PutUint32(p, uint32(no))
		}
	}
	rows, errs := packages(t, open(t, db, nil))
	if len(errs) == 0 || len(rows) == 0 {
		t.Errorf("%d rows, errors %v", len(rows), errs)
	}
}

func TestTruncated(t *testing.T) {
	db, wal := read(t, "wal.sqlite"), read(t, "wal.sqlite-wal")
	for n := range db {
		if d, err := sqlitefile.Open(t.Context(), bytes.NewReader(db[:n]), int64(n), bytes.NewReader(wal), int64(len(wal))); err == nil {
			packages(t, d)
		}
	}
	for n := 0; n < len(wal); n += 7 {
		packages(t, open(t, db, wal[:n]))
	}
}

func FuzzRows(f *testing.F) {
	for _, name := range []string{"small.sqlite", "overflow.sqlite", "wal.sqlite"} {
		wal, _ := os.ReadFile(filepath.Join("testdata", name+"-wal"))
		f.Add(read(f, name), wal)
	}
	f.Fuzz(func(t *testing.T, db, wal []byte) {
		d, err := sqlitefile.Open(t.Context(), bytes.NewReader(db), int64(len(db)), bytes.NewReader(wal), int64(len(wal)))
		if err != nil {
			return
		}
		total := 0
		for row := range d.Rows(t.Context(), "Packages", 1<<20) {
			for _, c := range row.Columns {
				total += len(c.Bytes)
			}
		}
		if total > len(db)+len(wal) {
			t.Errorf("%d bytes of rows in %d bytes of file", total, len(db)+len(wal))
		}
	})
}
