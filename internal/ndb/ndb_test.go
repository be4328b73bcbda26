// SPDX-License-Identifier: Apache-2.0

package ndb_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/ndb"
	"github.com/bulwark-sec/bulwark/internal/ndb/ndbtest"
)

func blobs() [][]byte {
	var bs [][]byte
	for i, n := range []int{1, 2, 3, 4, 5, 15, 16, 17, 100, 5000, 0} {
		bs = append(bs, bytes.Repeat([]byte{byte('a' + i)}, n))
	}
	return bs
}

func read(t testing.TB, file []byte, limit int) (map[uint32]string, []error) {
	t.Helper()
	db, err := ndb.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, []error{err}
	}
	got := map[uint32]string{}
	var errs []error
	for b, err := range db.Blobs(t.Context(), limit) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		got[b.ID] = string(b.Data)
	}
	return got, errs
}

func TestBlobs(t *testing.T) {
	many := blobs()
	for range 400 { // more than one page of slots
		many = append(many, []byte("x"))
	}
	for _, bs := range [][][]byte{nil, blobs(), many} {
		file := ndbtest.Write(bs)
		if !ndb.Is(file) {
			t.Error("not recognised")
		}
		want := map[uint32]string{}
		for i, b := range bs {
			want[uint32(i+1)] = string(b)
		}
		got, errs := read(t, file, 1<<20)
		if len(errs) > 0 {
			t.Error(errs)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDamage(t *testing.T) {
	whole := ndbtest.Write(blobs())
	put := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], v); return b }
	}
	for name, tt := range map[string]struct {
		limit  int
		damage func(b []byte) []byte
		want   error
		got    int
	}{
		"short":      {1 << 20, func(b []byte) []byte { return b[:20] }, ndb.ErrMalformed, 0},
		"magic":      {1 << 20, put(0, 0), ndb.ErrMalformed, 0},
		"version":    {1 << 20, put(4, 1), ndb.ErrUnsupported, 0},
		"slot-pages": {1 << 20, put(12, 1<<30), ndb.ErrMalformed, 0},
		"no-slots":   {1 << 20, put(12, 0), ndb.ErrMalformed, 0},
		"slot-magic": {1 << 20, put(32+16*3, 0), ndb.ErrMalformed, 3},
		"offset":     {1 << 20, put(32+8, 1<<31), ndb.ErrMalformed, 10},
		"count":      {1 << 20, put(32+12, 1), ndb.ErrMalformed, 10},
		"overlap":    {1 << 20, put(32+12, 1<<31), ndb.ErrMalformed, 0},
		"head":       {1 << 20, put(4096, 0), ndb.ErrMalformed, 10},
		"length":     {1 << 20, put(4096+12, 1<<31), ndb.ErrMalformed, 10},
		"checksum":   {1 << 20, func(b []byte) []byte { b[4096+16] ^= 1; return b }, ndb.ErrMalformed, 11},
		"limit":      {100, func(b []byte) []byte { return b }, ndb.ErrTooLarge, 10},
		"cut":        {1 << 20, func(b []byte) []byte { return b[:len(b)-1000] }, ndb.ErrMalformed, 9},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := read(t, tt.damage(bytes.Clone(whole)), tt.limit)
			if !errors.Is(errors.Join(errs...), tt.want) {
				t.Errorf("errors %v, want %v", errs, tt.want)
			}
			if len(got) != tt.got {
				t.Errorf("%d entries, want %d", len(got), tt.got)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	file := ndbtest.Write(blobs())
	db, err := ndb.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range db.Blobs(ctx, 1<<20) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
	for range db.Blobs(t.Context(), 1<<20) {
		break // stopping early is fine
	}
}

func TestTruncated(t *testing.T) {
	file := ndbtest.Write(blobs())
	for n := range file {
		read(t, file[:n], 1<<20)
	}
}

func FuzzBlobs(f *testing.F) {
	f.Add(ndbtest.Write(blobs()))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, _ := read(t, file, 1<<20)
		total := 0
		for _, v := range got {
			total += len(v)
		}
		if total > len(file) {
			t.Errorf("%d bytes of blobs in a file of %d", total, len(file))
		}
	})
}
