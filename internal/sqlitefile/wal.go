// SPDX-License-Identifier: Apache-2.0

package sqlitefile

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	walHeader   = 32
	frameHeader = 24
	walVersion  = 3007000
	// Pages that a log may hold. SQLite folds a log back at 1,000 pages, a
	// large transaction makes it longer; the index of this many takes about 50 MB.
	maxFrames = 1 << 20
)

// readLog gives the place of the newest committed content of every page in a
// write-ahead log, and the size of the database in pages after the last
// commit; 0 when nothing is committed. As in SQLite, the log ends silently at
// the first frame whose salt or checksum is not right: the rest is left over
// from before, or was being written.
func readLog(ctx context.Context, r io.ReaderAt, size int64, pageSize int) (frames map[uint32]int64, pages uint32, err error) {
	var h [walHeader]byte
	if size < walHeader {
		return nil, 0, nil
	}
	if err := readFull(r, h[:], 0); err != nil {
		return nil, 0, err
	}
	var order binary.ByteOrder
	switch binary.BigEndian.Uint32(h[:]) {
	case 0x377f0682:
		order = binary.LittleEndian
	case 0x377f0683:
		order = binary.BigEndian
	default:
		return nil, 0, nil
	}
	sum := checksum(order, [2]uint32{}, h[:24])
	if sum != pair(h[24:]) {
		return nil, 0, nil
	}
	if v := binary.BigEndian.Uint32(h[4:]); v != walVersion {
		return nil, 0, fmt.Errorf("version %d: %w", v, ErrUnsupported)
	}
	if ps := binary.BigEndian.Uint32(h[8:]); int64(ps) != int64(pageSize) {
		return nil, 0, fmt.Errorf("page size %d, the database has %d: %w", ps, pageSize, ErrMalformed)
	}
	salt := pair(h[16:])
	frames = map[uint32]int64{}
	pending := map[uint32]int64{}
	frame := make([]byte, frameHeader+pageSize)
	for off := int64(walHeader); off+int64(len(frame)) <= size; off += int64(len(frame)) {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		if err := readFull(r, frame, off); err != nil {
			return nil, 0, err
		}
		no := binary.BigEndian.Uint32(frame)
		if no == 0 || pair(frame[8:]) != salt {
			break
		}
		sum = checksum(order, sum, frame[:8])
		sum = checksum(order, sum, frame[frameHeader:])
		if sum != pair(frame[16:]) {
			break
		}
		pending[no] = off + frameHeader
		if len(frames)+len(pending) > maxFrames {
			return nil, 0, fmt.Errorf("more than %d pages: %w", maxFrames, ErrTooLarge)
		}
		if n := binary.BigEndian.Uint32(frame[4:]); n != 0 { // a commit
			pages = n
			for no, at := range pending {
				frames[no] = at
			}
			clear(pending)
		}
	}
	return frames, pages, nil
}

func pair(b []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// checksum is the sum of section 4.2 of the file format. The length of b is a
// multiple of eight.
func checksum(order binary.ByteOrder, s [2]uint32, b []byte) [2]uint32 {
	if order == binary.ByteOrder(binary.LittleEndian) {
		for ; len(b) >= 8; b = b[8:] {
			s[0] += binary.LittleEndian.Uint32(b) + s[1]
			s[1] += binary.LittleEndian.Uint32(b[4:]) + s[0]
		}
		return s
	}
	for ; len(b) >= 8; b = b[8:] {
		s[0] += binary.BigEndian.Uint32(b) + s[1]
		s[1] += binary.BigEndian.Uint32(b[4:]) + s[0]
	}
	return s
}
