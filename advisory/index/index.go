// SPDX-License-Identifier: Apache-2.0

// Package index holds the file formats of the advisory database: a segment,
// which is everything known about the packages of one ecosystem, and scores,
// which are numbers by CVE.
//
// A segment has a hot part that is made to be mapped into memory and searched
// where it lies, and a cold part of compressed blocks with the texts. The
// package knows bytes; it does not know version orders, feeds, or where files
// are kept. Files are treated as hostile: a damaged one gives an error.
package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrCorrupt says that a file is not what its format asks for.
var ErrCorrupt = errors.New("damaged index file")

// Limits of the format. A reader refuses what lies beyond them.
const (
	// MaxString is the longest string of a segment in bytes: names, versions, ids.
	MaxString = 4096
	// maxRecord bounds one cold record. The largest records of the public feeds
	// are below 1 MiB without their affected packages, which are not in it.
	maxRecord = 4 << 20
	// coldBlock is the size at which a cold block is closed. Larger blocks
	// compress better, smaller ones are faster to open for a single record.
	coldBlock = 32 << 10
	// maxText and maxRows bound what a builder collects in memory: bytes of cold
	// records, and affected packages. The largest public ecosystem needs a fifth.
	maxText = 1 << 30
	maxRows = 20 << 20
	// maxRow bounds the versions of one affected package in bytes, so that a small
	// damaged file does not unfold into a large answer. The longest lists of the
	// public feeds have some thousand versions.
	maxRow = 1 << 20
	// maxReleases bounds the releases of one ecosystem; Red Hat, which writes
	// products there, has a few thousand.
	maxReleases = 1 << 16
)

// A section of a segment file. The order is the order in the file.
const (
	secReleases = iota
	secStrings
	secBodies
	secNameIndex
	secNameBlocks
	secRows
	secIDIndex
	secIDBlocks
	secOrdinals
	secColdIndex // last section of the hot part
	secCold
	sections
)

const (
	segmentMagic = "BWKSEG\x00\x01"
	headerSize   = 192
	crcAt        = headerSize - 4
)

// Offsets inside the header, bytes.
const (
	hdrEcosystem  = 8  // 40 bytes, zero-padded
	hdrNames      = 48 // u32
	hdrRows       = 52 // u32
	hdrAdvisories = 56 // u32
	hdrIDs        = 60 // u32
	hdrSections   = 64 // sections+1 times u64: starts of the sections and the end of the file
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func corrupt(what string) error { return fmt.Errorf("%s: %w", what, ErrCorrupt) }

// cur reads numbers and runs of bytes from a slice. After the first thing that
// does not fit it is bad and gives zeros.
type cur struct {
	b   []byte
	bad bool
}

func (c *cur) num() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cur) run(n uint64) []byte {
	if n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	r := c.b[:n]
	c.b = c.b[n:]
	return r
}

// from gives a cursor at off, a bad one when off is outside b.
func from(b []byte, off uint64) cur {
	if off > uint64(len(b)) {
		return cur{bad: true}
	}
	return cur{b: b[off:]}
}
