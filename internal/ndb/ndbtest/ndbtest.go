// SPDX-License-Identifier: Apache-2.0

// Package ndbtest writes small ndb files for tests.
package ndbtest

import (
	"encoding/binary"
	"hash/adler32"
)

// Write gives a file whose entries have the identifiers 1, 2 and so on.
func Write(blobs [][]byte) []byte {
	const page, header, slot, block = 4096, 32, 16, 16
	le := binary.LittleEndian
	slotPages := (header + slot*len(blobs) + page - 1) / page
	file := make([]byte, slotPages*page)
	copy(file, "RpmP")
	le.PutUint32(file[12:], uint32(slotPages))
	le.PutUint32(file[16:], uint32(len(blobs)+1))
	for at := header; at < len(file); at += slot {
		copy(file[at:], "Slot")
	}
	for i, b := range blobs {
		count := (16 + len(b) + 12 + block - 1) / block
		s := file[header+slot*i:]
		le.PutUint32(s[4:], uint32(i+1))
		le.PutUint32(s[8:], uint32(len(file)/block))
		le.PutUint32(s[12:], uint32(count))
		entry := make([]byte, count*block)
		copy(entry, "BlbS")
		le.PutUint32(entry[4:], uint32(i+1))
		le.PutUint32(entry[12:], uint32(len(b)))
		copy(entry[16:], b)
		tail := entry[len(entry)-12:]
		le.PutUint32(tail, adler32.Checksum(entry[:len(entry)-12]))
		le.PutUint32(tail[4:], uint32(len(b)))
		copy(tail[8:], "BlbE")
		file = append(file, entry...)
	}
	return file
}
