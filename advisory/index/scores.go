// SPDX-License-Identifier: Apache-2.0

package index

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Scores are two numbers for each of many CVEs, sorted, 12 bytes each. What the
// numbers mean is the caller's. They are safe for concurrent use.
type Scores struct{ data []byte }

const (
	scoresMagic  = "BWKNUM\x00\x01"
	scoresHeader = 16 // magic, u32 count, u32 checksum of the rest
	scoresEntry  = 12
)

// OpenScores reads the header of a scores file and compares its checksum. The
// bytes must not change while the scores are in use.
func OpenScores(data []byte) (*Scores, error) {
	if len(data) < scoresHeader || string(data[:8]) != scoresMagic {
		return nil, corrupt("scores header")
	}
	n := uint64(binary.LittleEndian.Uint32(data[8:]))
	if n*scoresEntry != uint64(len(data)-scoresHeader) {
		return nil, corrupt("scores size")
	}
	if crc32.Checksum(data[scoresHeader:], castagnoli) != binary.LittleEndian.Uint32(data[12:]) {
		return nil, corrupt("scores checksum")
	}
	return &Scores{data[scoresHeader:]}, nil
}

// Len gives the number of CVEs.
func (s *Scores) Len() int { return len(s.data) / scoresEntry }

// Find gives the numbers of a CVE; false when it has none.
func (s *Scores) Find(cve string) (a, b uint32, ok bool) {
	key, ok := CVE(cve)
	if !ok {
		return 0, 0, false
	}
	n := s.Len()
	i := sort.Search(n, func(i int) bool { return binary.LittleEndian.Uint32(s.data[i*scoresEntry:]) >= key })
	if i == n || binary.LittleEndian.Uint32(s.data[i*scoresEntry:]) != key {
		return 0, 0, false
	}
	e := s.data[i*scoresEntry:]
	return binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint32(e[8:]), true
}

// A ScoresBuilder collects scores. The zero value is ready for use.
type ScoresBuilder struct{ m map[uint32][2]uint32 }

// Add takes the numbers of a CVE. It is [bulwark.ErrUnsupported] for an id that
// is not a CVE.
func (b *ScoresBuilder) Add(cve string, x, y uint32) error {
	key, ok := CVE(cve)
	if !ok {
		return fmt.Errorf("id %q: %w", cve, bulwark.ErrUnsupported)
	}
	if b.m == nil {
		b.m = map[uint32][2]uint32{}
	}
	b.m[key] = [2]uint32{x, y}
	return nil
}

// Len gives the number of CVEs.
func (b *ScoresBuilder) Len() int { return len(b.m) }

// WriteTo writes the scores.
func (b *ScoresBuilder) WriteTo(w io.Writer) (int64, error) {
	out := make([]byte, scoresHeader, scoresHeader+len(b.m)*scoresEntry)
	for _, key := range slices.Sorted(maps.Keys(b.m)) {
		out = binary.LittleEndian.AppendUint32(out, key)
		out = binary.LittleEndian.AppendUint32(out, b.m[key][0])
		out = binary.LittleEndian.AppendUint32(out, b.m[key][1])
	}
	copy(out, scoresMagic)
	binary.LittleEndian.PutUint32(out[8:], uint32(len(b.m)))
	binary.LittleEndian.PutUint32(out[12:], crc32.Checksum(out[scoresHeader:], castagnoli))
	n, err := w.Write(out)
	return int64(n), err
}

// CVE packs a CVE id into a number that orders like it: the year since 1990 in
// 7 bits, then 25 bits. False when s is not a CVE id or does not fit.
func CVE(s string) (uint32, bool) {
	rest, ok := strings.CutPrefix(s, "CVE-")
	if !ok || len(rest) < 6 || rest[4] != '-' || strings.Trim(rest[:4]+rest[5:], "0123456789") != "" {
		return 0, false
	}
	year, _ := strconv.ParseUint(rest[:4], 10, 32)
	n, err := strconv.ParseUint(rest[5:], 10, 32)
	if err != nil || year < 1990 || year >= 1990+1<<7 || n >= 1<<25 {
		return 0, false
	}
	return uint32(year-1990)<<25 | uint32(n), true
}
