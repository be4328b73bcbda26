// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd" // clusters that are compressed with it
)

// qcow2 reads the format of QEMU, versions 2 and 3
// (https://www.qemu.org/docs/master/interop/qcow2.html). It is not safe for
// concurrent use.
type qcow2 struct {
	ra      io.ReaderAt
	file    int64 // bytes of the file
	size    int64 // bytes of the disk
	bits    uint  // of a place in a cluster
	zstd    bool
	l1      []byte
	l2at    int64 // which table is held
	l2      []byte
	unpack  []byte // the compressed cluster that is held
	unpacks uint64 // its entry
}

const maxL1 = 32 << 20 // bytes, as QEMU has it

func isQcow2(ra io.ReaderAt) bool {
	var b [4]byte
	n, _ := ra.ReadAt(b[:], 0)
	return n == 4 && string(b[:]) == "QFI\xfb"
}

func openQcow2(ra io.ReaderAt, file int64) (*qcow2, error) {
	h := make([]byte, 112)
	if n, err := ra.ReadAt(h, 0); n < 72 {
		return nil, err
	}
	q := &qcow2{ra: ra, file: file, bits: uint(be.Uint32(h[20:])), size: int64(be.Uint64(h[24:])), l2at: -1}
	l1, at := int64(be.Uint32(h[36:]))*8, be.Uint64(h[40:])
	no := func(what string) error { return fmt.Errorf("%s: %w", what, errors.ErrUnsupported) }
	switch version := be.Uint32(h[4:]); {
	case version != 2 && version != 3:
		return nil, no(fmt.Sprintf("version %d", version))
	case be.Uint64(h[8:]) != 0:
		return nil, no("a disk on top of another; join them by qemu-img convert")
	case be.Uint32(h[32:]) != 0:
		return nil, no("encryption")
	case version == 3:
		const dirty, corrupt, external, compression = 1, 2, 4, 8
		incompat := be.Uint64(h[72:])
		if more := incompat &^ (dirty | corrupt | compression); more != 0 {
			return nil, no(fmt.Sprintf("features %#x, external data or long entries among them; convert it by qemu-img convert -O raw", more))
		}
		if incompat&compression != 0 && be.Uint32(h[100:]) > 104 {
			if q.zstd = h[104] == 1; h[104] > 1 {
				return nil, no(fmt.Sprintf("compression %d", h[104]))
			}
		}
	}
	if q.bits < 9 || q.bits > 21 || q.size < 0 || l1 > maxL1 || at > uint64(file) || int64(at) > file-l1 {
		return nil, malformed("header")
	}
	q.l1 = make([]byte, l1)
	if n, err := ra.ReadAt(q.l1, int64(at)); n < len(q.l1) {
		return nil, err
	}
	return q, nil
}

// ReadAt reads as [io.ReaderAt] does, save that it is not safe for concurrent use.
func (q *qcow2) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		if off < 0 || off >= q.size {
			return done, io.EOF
		}
		in := off & (1<<q.bits - 1)
		part := p[done:]
		part = part[:min(int64(len(part)), 1<<q.bits-in, q.size-off)]
		if err := q.cluster(part, off>>q.bits, in); err != nil {
			return done, err
		}
		done += len(part)
		off += int64(len(part))
	}
	return done, nil
}

const placeMask = 0x00fffffffffffe00

// cluster fills p from a place in one cluster.
func (q *qcow2) cluster(p []byte, n, in int64) error {
	perL2 := int64(1) << (q.bits - 3)
	i := n / perL2 * 8
	if i+8 > int64(len(q.l1)) {
		return malformed("a cluster outside of the table")
	}
	table := int64(be.Uint64(q.l1[i:]) & placeMask)
	if table == 0 {
		clear(p)
		return nil
	}
	if table != q.l2at {
		b := make([]byte, 1<<q.bits)
		q.l2at = -1
		if err := q.raw(b, table); err != nil {
			return err
		}
		q.l2, q.l2at = b, table
	}
	entry := be.Uint64(q.l2[n%perL2*8:])
	switch {
	case entry>>62&1 != 0:
		return q.compressed(p, entry, in)
	case entry&1 != 0 || entry&placeMask == 0:
		clear(p)
		return nil
	}
	return q.raw(p, int64(entry&placeMask)+in)
}

// raw fills p from the file. The end of the last cluster may be missing.
func (q *qcow2) raw(p []byte, off int64) error {
	if off < 0 || off >= q.file {
		return malformed("a cluster outside of the file")
	}
	n, err := q.ra.ReadAt(p, off)
	if n < len(p) && !errors.Is(err, io.EOF) {
		return err
	}
	clear(p[n:])
	return nil
}

func (q *qcow2) compressed(p []byte, entry uint64, in int64) error {
	if q.unpack == nil || q.unpacks != entry {
		x := 62 - (q.bits - 8)
		at := int64(entry & (1<<x - 1))
		size := int64(entry>>x&(1<<(q.bits-8)-1)+1)*512 - at&511
		if at >= q.file {
			return malformed("a cluster outside of the file")
		}
		packed := make([]byte, min(size, q.file-at))
		if err := q.raw(packed, at); err != nil {
			return err
		}
		out := make([]byte, 1<<q.bits)
		var r io.Reader = flate.NewReader(bytes.NewReader(packed))
		if q.zstd {
			z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(8<<20), zstd.WithDecoderLowmem(true))
			if err != nil {
				return fmt.Errorf("compressed cluster: %w", err)
			}
			defer z.Close()
			r = z
		}
		if _, err := io.ReadFull(r, out); err != nil {
			return fmt.Errorf("compressed cluster: %w", errors.Join(err, errFormat))
		}
		q.unpack, q.unpacks = out, entry
	}
	copy(p, q.unpack[in:])
	return nil
}
