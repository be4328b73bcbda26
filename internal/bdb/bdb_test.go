// SPDX-License-Identifier: Apache-2.0

package bdb_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/bdb"
	"github.com/bulwark-sec/bulwark/internal/bdb/bdbtest"
)

func pairs() []bdbtest.Pair {
	var ps []bdbtest.Pair
	for i, n := range []int{0, 1, 50, 127, 128, 129, 485, 486, 487, 1000, 5000, 3, 4} {
		ps = append(ps, bdbtest.Pair{Key: fmt.Append(nil, "key", i), Value: bytes.Repeat([]byte{byte('a' + i)}, n)})
	}
	return ps
}

func read(t testing.TB, file []byte, limit int) (map[string]string, []error) {
	t.Helper()
	db, err := bdb.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, []error{err}
	}
	got := map[string]string{}
	var errs []error
	for p, err := range db.Pairs(t.Context(), limit) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		got[string(p.Key)] = string(p.Value)
	}
	return got, errs
}

func TestPairs(t *testing.T) {
	want := map[string]string{}
	for _, p := range pairs() {
		want[string(p.Key)] = string(p.Value)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, pageSize := range []int{512, 4096, 32768} {
			file := bdbtest.Write(order, pageSize, pairs())
			if !bdb.Is(file) {
				t.Errorf("%v %d: not recognised", order, pageSize)
			}
			got, errs := read(t, file, 1<<20)
			if len(errs) > 0 {
				t.Errorf("%v %d: %v", order, pageSize, errs)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v %d: %s", order, pageSize, diff)
			}
		}
	}
}

func TestDamage(t *testing.T) {
	whole := bdbtest.Write(binary.LittleEndian, 512, pairs())
	all, _ := read(t, whole, 1<<20)
	for name, tt := range map[string]struct {
		limit  int
		damage func(b []byte) []byte
		want   error
		lost   int // entries that may be missing
	}{
		"short":     {1 << 20, func(b []byte) []byte { return b[:40] }, bdb.ErrMalformed, 99},
		"magic":     {1 << 20, func(b []byte) []byte { b[12] = 0; return b }, bdb.ErrMalformed, 99},
		"btree":     {1 << 20, func(b []byte) []byte { binary.LittleEndian.PutUint32(b[12:], 0x053162); return b }, bdb.ErrUnsupported, 99},
		"encrypted": {1 << 20, func(b []byte) []byte { b[24] = 1; return b }, bdb.ErrUnsupported, 99},
		"checksums": {1 << 20, func(b []byte) []byte { b[26] = 1; return b }, bdb.ErrUnsupported, 99},
		"page-size": {1 << 20, func(b []byte) []byte { b[20] = 1; return b }, bdb.ErrMalformed, 99},
		"pages":     {1 << 20, func(b []byte) []byte { b[34] = 1; return b }, bdb.ErrMalformed, 99},
		"pages-max": {1 << 20, func(b []byte) []byte { copy(b[32:], "\xff\xff\xff\xff"); return b }, bdb.ErrMalformed, 99},
		"kind":      {1 << 20, func(b []byte) []byte { b[25] = 9; return b }, bdb.ErrMalformed, 99},
		"limit":     {2000, func(b []byte) []byte { return b }, bdb.ErrTooLarge, 1},
		"cut":       {1 << 20, func(b []byte) []byte { return b[:len(b)-512] }, bdb.ErrMalformed, 8},
		"entries":   {1 << 20, func(b []byte) []byte { b[512+20] = 255; return b }, bdb.ErrMalformed, 11},
		"offset":    {1 << 20, func(b []byte) []byte { b[512+26] = 3; b[512+27] = 9; return b }, bdb.ErrMalformed, 2},
		"loop": {1 << 20, func(b []byte) []byte {
			for at := 512; at < len(b); at += 512 {
				if b[at+25] == 7 {
					binary.LittleEndian.PutUint32(b[at+16:], uint32(at/512))
				}
			}
			return b
		}, bdb.ErrMalformed, 8},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := read(t, tt.damage(bytes.Clone(whole)), tt.limit)
			if !errors.Is(errors.Join(errs...), tt.want) {
				t.Errorf("errors %v, want %v", errs, tt.want)
			}
			if len(got) < len(all)-tt.lost {
				t.Errorf("%d of %d entries", len(got), len(all))
			}
			for k, v := range got {
				if all[k] != v && tt.lost < 2 {
					t.Errorf("entry %q changed", k)
				}
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	file := bdbtest.Write(binary.LittleEndian, 512, pairs())
	db, err := bdb.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range db.Pairs(ctx, 1<<20) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
	for range db.Pairs(t.Context(), 1<<20) {
		break // stopping early is fine
	}
}

func TestTruncated(t *testing.T) {
	file := bdbtest.Write(binary.BigEndian, 512, pairs())
	for n := range file {
		read(t, file[:n], 1<<20)
	}
}

func FuzzPairs(f *testing.F) {
	f.Add(bdbtest.Write(binary.LittleEndian, 512, pairs()))
	f.Add(bdbtest.Write(binary.BigEndian, 512, pairs()))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, _ := read(t, file, 1<<20)
		total := 0
		for _, v := range got {
			total += len(v)
		}
		if total > len(file) {
			t.Errorf("%d bytes of values in a file of %d", total, len(file))
		}
	})
}
