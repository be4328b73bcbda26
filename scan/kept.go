// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/diskcache"
)

// What is kept between scans is a zstd stream of JSON lines: a header, counts,
// then one line an item, so that neither side ever holds the whole text.

// counts say how many items follow a header.
type counts struct {
	Packages int `json:"packages"`
	Programs int `json:"programs,omitempty"`
	Findings int `json:"findings"`
	Marks    int `json:"marks,omitempty"` // bytes
	Files    int `json:"files,omitempty"` // bytes

	Suppressions int `json:"suppressions,omitempty"`
}

// Bounds on what is believed of a kept file, which another process wrote.
const (
	maxItems = 4_000_000
	maxMarks = 192 << 20
)

func readKept[T any](f io.Reader, read func(*bufio.Reader) (T, error)) (v T, err error) {
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return v, err
	}
	defer z.Close()
	if v, err = read(bufio.NewReaderSize(z, 64<<10)); err != nil {
		return v, fmt.Errorf("read what was kept: %w", err)
	}
	return v, nil
}

func writeKept(w io.Writer, write func(io.Writer) error) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(512<<10), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	return errors.Join(write(z), z.Close())
}

func readJSON(br *bufio.Reader, v any) error {
	line, err := readLine(br)
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

func readList[T any](br *bufio.Reader, n int) ([]T, error) {
	if n < 0 || n > maxItems {
		return nil, bulwark.ErrTooLarge
	}
	var out []T
	for range n {
		var v T
		if err := readJSON(br, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func writeList[T any](enc *json.Encoder, list []T) error {
	for i := range list {
		if err := enc.Encode(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

// A result is what was read of a whole stack of layers.
type result struct {
	Inventory bulwark.Inventory `json:"inventory"` // without packages, programs and suppressions, which follow
	Layers    []bulwark.Layer   `json:"layers"`
	Findings  []bulwark.Finding `json:"-"`
}

func getResult(c *diskcache.Cache, key string) (*result, error) {
	f, err := c.Get(key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := readKept(f, func(br *bufio.Reader) (*result, error) {
		var r result
		var n counts
		err := errors.Join(readJSON(br, &r), readJSON(br, &n))
		if err != nil {
			return nil, err
		}
		if r.Inventory.Packages, err = readList[bulwark.Package](br, n.Packages); err != nil {
			return nil, err
		}
		if r.Inventory.Programs, err = readList[bulwark.Program](br, n.Programs); err != nil {
			return nil, err
		}
		if r.Findings, err = readList[bulwark.Finding](br, n.Findings); err != nil {
			return nil, err
		}
		r.Inventory.Suppressions, err = readList[bulwark.Suppression](br, n.Suppressions)
		return &r, err
	})
	if err != nil {
		c.Drop(key)
		return nil, err
	}
	return r, nil
}

func putResult(c *diskcache.Cache, key string, r *result) error {
	return c.Put(key, func(w io.Writer) error {
		return writeKept(w, func(w io.Writer) error {
			enc := json.NewEncoder(w)
			head := *r
			head.Inventory.Packages, head.Inventory.Programs, head.Inventory.Suppressions = nil, nil, nil
			return errors.Join(
				enc.Encode(head),
				enc.Encode(counts{Packages: len(r.Inventory.Packages), Programs: len(r.Inventory.Programs), Findings: len(r.Findings), Suppressions: len(r.Inventory.Suppressions)}),
				writeList(enc, r.Inventory.Packages),
				writeList(enc, r.Inventory.Programs),
				writeList(enc, r.Findings),
				writeList(enc, r.Inventory.Suppressions),
			)
		})
	})
}
