// SPDX-License-Identifier: Apache-2.0

// Package ndb reads the blobs of an rpm "ndb" file, Packages.db
// (lib/backend/ndb/rpmpkg.c of the rpm sources, version 0 of the format).
//
// It knows the header, the slots and the blobs. It does not know what a blob
// says, uses no index and never writes. It holds one page of slots and one blob
// at a time; blobs may not overlap, so that a damaged or hostile file costs no
// more than an honest one of its size.
package ndb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"iter"
)

// Errors of this package. A damaged file is ErrMalformed; another version of
// the format is ErrUnsupported; a blob over the caller's limit is ErrTooLarge.
var (
	ErrMalformed   = errors.New("malformed ndb file")
	ErrUnsupported = errors.New("ndb version not read")
	ErrTooLarge    = errors.New("larger than the limit")
)

// Magic numbers are read as little-endian words: "RpmP", "Slot", "BlbS", "BlbE".
const (
	magicFile  = 'R' | 'p'<<8 | 'm'<<16 | 'P'<<24
	magicSlot  = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	magicStart = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24
	magicEnd   = 'B' | 'l'<<8 | 'b'<<16 | 'E'<<24

	pageSize   = 4096
	headerSize = 32
	slotSize   = 16
	blockSize  = 16
	headSize   = 16
	tailSize   = 12

	maxBadSlots = 64 // each costs an error; a file with more is no database
)

// A DB is an open file. It is safe for concurrent use when its reader is.
type DB struct {
	r         io.ReaderAt
	size      int64
	slotPages uint32
}

// Is tells whether head, the first bytes of a file, begin an ndb file.
func Is(head []byte) bool {
	return len(head) >= 4 && binary.LittleEndian.Uint32(head) == magicFile
}

// Open reads the header of a file of size bytes.
func Open(r io.ReaderAt, size int64) (*DB, error) {
	var h [headerSize]byte
	if err := readFull(r, h[:], 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if !Is(h[:]) {
		return nil, fmt.Errorf("header: %w", ErrMalformed)
	}
	if v := binary.LittleEndian.Uint32(h[4:]); v != 0 {
		return nil, fmt.Errorf("version %d: %w", v, ErrUnsupported)
	}
	n := binary.LittleEndian.Uint32(h[12:])
	if n == 0 || int64(n) > (size+pageSize-1)/pageSize {
		return nil, fmt.Errorf("%d pages of slots in %d bytes: %w", n, size, ErrMalformed)
	}
	return &DB{r: r, size: size, slotPages: n}, nil
}

// A Blob is one entry. It is valid until the next one is asked for.
type Blob struct {
	ID   uint32
	Data []byte
}

// Blobs gives the entries in the order of their slots. A part of the file that
// cannot be read is an error in place of the entry, and the walk goes on behind
// it; a blob whose checksum is wrong is given, and then the error. A done ctx
// ends the walk with its error. A blob of more than limit bytes is
// [ErrTooLarge].
func (db *DB) Blobs(ctx context.Context, limit int) iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		var (
			page [pageSize]byte
			buf  []byte
			bad  int
			// Blocks that blobs may still have. More than the file has means
			// that some overlap.
			room = db.size / blockSize
		)
		fail := func(err error) bool {
			bad++
			if !yield(Blob{}, err) {
				return false
			}
			if bad == maxBadSlots {
				yield(Blob{}, fmt.Errorf("given up after %d damaged entries: %w", bad, ErrMalformed))
				return false
			}
			return true
		}
		for no := range db.slotPages {
			if err := readFull(db.r, page[:], int64(no)*pageSize); err != nil {
				yield(Blob{}, fmt.Errorf("slot page %d: %w", no, err))
				return
			}
			slots := page[:]
			if no == 0 {
				slots = slots[headerSize:] // the header takes the place of two slots
			}
			for ; len(slots) > 0; slots = slots[slotSize:] {
				if err := ctx.Err(); err != nil {
					yield(Blob{}, err)
					return
				}
				word := func(i int) uint32 { return binary.LittleEndian.Uint32(slots[4*i:]) }
				id, at, count := word(1), word(2), word(3)
				if word(0) != magicSlot {
					if !fail(fmt.Errorf("slot page %d: %w", no, ErrMalformed)) {
						return
					}
					break // without its mark nothing in the page can be trusted
				}
				if id == 0 || at == 0 {
					continue // free
				}
				if room -= int64(count); room < 0 {
					yield(Blob{}, fmt.Errorf("blobs overlap: %w", ErrMalformed))
					return
				}
				var blob []byte
				var err error
				blob, buf, err = db.blob(buf, id, int64(at)*blockSize, int64(count)*blockSize, limit)
				if blob != nil && !yield(Blob{ID: id, Data: blob}, nil) {
					return
				}
				if err != nil && !fail(fmt.Errorf("blob %d: %w", id, err)) {
					return
				}
			}
		}
	}
}

// blob reads the blob in the n bytes at off: a head of 16 bytes, the data,
// padding, and a tail of 12 bytes with a checksum of all before it. It gives
// both data and an error when only the checksum is wrong. Buf is reused.
func (db *DB) blob(buf []byte, id uint32, off, n int64, limit int) (blob, kept []byte, err error) {
	if n < headSize+tailSize || off+n > db.size {
		return nil, buf, fmt.Errorf("%d bytes at %d of %d: %w", n, off, db.size, ErrMalformed)
	}
	if n > int64(limit)+headSize+tailSize+blockSize {
		return nil, buf, fmt.Errorf("%d bytes, limit %d: %w", n, limit, ErrTooLarge)
	}
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	b := buf[:n]
	if err := readFull(db.r, b, off); err != nil {
		return nil, buf, err
	}
	le := binary.LittleEndian
	length := int64(le.Uint32(b[12:]))
	if le.Uint32(b) != magicStart || le.Uint32(b[4:]) != id || length > n-headSize-tailSize {
		return nil, buf, fmt.Errorf("head: %w", ErrMalformed)
	}
	tail := b[n-tailSize:]
	if le.Uint32(tail[4:]) != uint32(length) || le.Uint32(tail[8:]) != magicEnd || le.Uint32(tail) != adler32.Checksum(b[:n-tailSize]) {
		err = fmt.Errorf("tail or checksum: %w", ErrMalformed)
	}
	return b[headSize : headSize+length], buf, err
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
