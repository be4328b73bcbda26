// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
)

// A Segment is an opened segment file. It is safe for concurrent use. It reads
// from the bytes that it was opened with; what it gives is copied.
type Segment struct {
	ecosystem string
	releases  []string
	names     table
	ids       table
	strings   []byte
	bodies    []byte
	coldIndex []byte
	cold      []byte
	hot       int // bytes before the cold part
	rows      int
	count     int // advisories
	data      []byte

	checked func() error

	mu     sync.Mutex
	blocks map[int][]byte // opened cold blocks, at most cacheBlocks
	recent []int          // keys of blocks, oldest first
}

// cacheBlocks bounds the opened cold blocks of a segment, 32 KiB each: the
// advisories of one package are often near each other.
const cacheBlocks = 64

// Open reads the header of a segment file. The bytes must not change while the
// segment is in use. The checksum of the hot part is looked at by [Segment.Check].
func Open(data []byte) (*Segment, error) {
	if len(data) < headerSize || string(data[:8]) != segmentMagic {
		return nil, corrupt("segment header")
	}
	u32 := func(at int) int { return int(binary.LittleEndian.Uint32(data[at:])) }
	var start [sections + 1]uint64
	for i := range start {
		start[i] = binary.LittleEndian.Uint64(data[hdrSections+8*i:])
		if i > 0 && start[i] < start[i-1] || start[i] > uint64(len(data)) {
			return nil, corrupt("segment sections")
		}
	}
	if start[0] != headerSize || start[sections] != uint64(len(data)) {
		return nil, corrupt("segment sections")
	}
	sec := func(i int) []byte { return data[start[i]:start[i+1]:start[i+1]] }
	s := &Segment{
		ecosystem: string(bytes.TrimRight(data[hdrEcosystem:hdrNames], "\x00")),
		names:     table{sec(secNameIndex), sec(secNameBlocks), sec(secRows), u32(hdrNames)},
		ids:       table{sec(secIDIndex), sec(secIDBlocks), sec(secOrdinals), u32(hdrIDs)},
		strings:   sec(secStrings),
		bodies:    sec(secBodies),
		coldIndex: sec(secColdIndex),
		cold:      sec(secCold),
		hot:       int(start[secCold]),
		rows:      u32(hdrRows),
		count:     u32(hdrAdvisories),
		data:      data,
		blocks:    map[int][]byte{},
	}
	if err := s.names.check(); err != nil {
		return nil, err
	}
	if err := s.ids.check(); err != nil {
		return nil, err
	}
	if len(s.coldIndex)%coldEntry != 0 {
		return nil, corrupt("cold index")
	}
	c := cur{b: sec(secReleases)}
	n := c.num()
	if n > maxReleases {
		return nil, corrupt("releases")
	}
	for range n {
		s.releases = append(s.releases, string(c.run(c.num())))
		if c.bad {
			return nil, corrupt("releases")
		}
	}
	s.checked = sync.OnceValue(s.sum)
	return s, nil
}

func (s *Segment) sum() error {
	crc := crc32.Update(0, castagnoli, s.data[:crcAt])
	crc = crc32.Update(crc, castagnoli, s.data[headerSize:s.hot])
	if crc != binary.LittleEndian.Uint32(s.data[crcAt:]) {
		return corrupt("segment checksum")
	}
	return nil
}

// Check compares the checksum of the hot part, once. The cold part has a
// checksum in each block that is looked at when the block is opened.
func (s *Segment) Check() error { return s.checked() }

// Ecosystem gives the ecosystem without release.
func (s *Segment) Ecosystem() string { return s.ecosystem }

// Releases gives the releases that rows are about, sorted; "" stands for rows
// without one. The caller must not change it.
func (s *Segment) Releases() []string { return s.releases }

// Advisories gives the number of advisories.
func (s *Segment) Advisories() int { return s.count }

// Rows gives the number of affected packages over all advisories.
func (s *Segment) Rows() int { return s.rows }

// Names gives the number of package names.
func (s *Segment) Names() int { return s.names.n }

// Hot gives the size of the hot part in bytes.
func (s *Segment) Hot() int { return s.hot }

// Rows of one name. The zero Rows has none.
type Rows struct {
	seg *Segment
	c   cur
	ord uint64
	at  uint64
	err error
}

// Find gives the rows of a package name, spelt as the builder was given it.
func (s *Segment) Find(name string) Rows {
	b, _, err := s.names.find(name)
	return Rows{seg: s, c: cur{b: b}, err: err}
}

// Next goes to the next row; false after the last one and after an error.
func (r *Rows) Next() bool {
	if r.err != nil || len(r.c.b) == 0 {
		return false
	}
	r.ord += r.c.num()
	r.at = r.c.num()
	if r.c.bad || r.ord >= uint64(r.seg.count) {
		r.err = corrupt("rows")
		return false
	}
	return true
}

// Err gives the error that ended the rows.
func (r *Rows) Err() error { return r.err }

// Ordinal gives the advisory of the row, to be handed to [Segment.Advisory].
// The rows of one advisory follow each other.
func (r *Rows) Ordinal() uint32 { return uint32(r.ord) }

// Release gives the release that the row is about, "" for all.
func (r *Rows) Release() string {
	c := from(r.seg.bodies, r.at)
	if i := c.num(); !c.bad && i < uint64(len(r.seg.releases)) {
		return r.seg.releases[i]
	}
	r.err = corrupt("row")
	return ""
}

// Affected decodes the row; ecosystem and name are left empty.
func (r *Rows) Affected() (bulwark.Affected, error) {
	a, err := r.seg.body(r.at)
	if err != nil {
		r.err = err
	}
	return a, err
}

const (
	bodyModule   = 1 << 0
	bodyVersions = 1 << 1
	bodyShift    = 2

	rangeFixed = 1 << 0
	rangeLast  = 1 << 1
	rangeShift = 2
)

func (s *Segment) body(at uint64) (a bulwark.Affected, err error) {
	c := from(s.bodies, at)
	left := maxRow
	str := func() string {
		v := s.str(&c, c.num())
		if left -= len(v) + 16; left < 0 {
			c.bad, c.b = true, nil
		}
		return v
	}
	c.num() // release
	flags := c.num()
	if flags&bodyModule != 0 {
		a.Module = str()
	}
	n := flags >> bodyShift
	if n > uint64(len(c.b)) || n > maxRow/16 { // a range takes a byte at least
		return a, corrupt("row")
	}
	if n > 0 {
		a.Ranges = make([]bulwark.Range, 0, n)
	}
	for range n {
		v := c.num()
		g := bulwark.Range{Introduced: s.str(&c, v>>rangeShift)}
		left -= len(g.Introduced) + 16
		if v&rangeFixed != 0 {
			g.Fixed = str()
		}
		if v&rangeLast != 0 {
			g.LastAffected = str()
		}
		a.Ranges = append(a.Ranges, g)
		if c.bad || left < 0 {
			return bulwark.Affected{}, corrupt("row")
		}
	}
	if flags&bodyVersions != 0 {
		n := c.num()
		if n > uint64(len(c.b)) || n > maxRow/16 {
			return a, corrupt("row")
		}
		a.Versions = make([]string, 0, n)
		for range n {
			a.Versions = append(a.Versions, str())
		}
	}
	if c.bad || left < 0 {
		return bulwark.Affected{}, corrupt("row")
	}
	return a, nil
}

// str gives an interned string; c turns bad when ref is not one.
func (s *Segment) str(c *cur, ref uint64) string {
	d := from(s.strings, ref)
	n := d.num()
	b := d.run(n)
	if d.bad || n > MaxString {
		c.bad = true
	}
	if len(b) == 1 && b[0] == '0' {
		return "0" // by far the most frequent one
	}
	return string(b)
}

// Lookup gives the advisories that have an id as their own or as an alias.
func (s *Segment) Lookup(id string) ([]uint32, error) {
	b, ok, err := s.ids.find(id)
	if err != nil || !ok {
		return nil, err
	}
	var out []uint32
	c, ord := cur{b: b}, uint64(0)
	for len(c.b) > 0 {
		ord += c.num()
		if c.bad || ord >= uint64(s.count) {
			return nil, corrupt("ids")
		}
		out = append(out, uint32(ord))
	}
	return out, nil
}

// A Detail is what an advisory says of one of its packages beside versions.
type Detail struct {
	Name     string           `json:"n"`
	Release  string           `json:"r,omitempty"`
	Severity bulwark.Severity `json:"s,omitempty"`
	CVSS     string           `json:"c,omitempty"`
	// Symbols are those of Affected. Under another name, y, older databases have
	// them, which left out packages that are affected as a whole.
	Symbols []string `json:"f,omitempty"`
	Systems []string `json:"g,omitempty"` // those of Affected; older databases have none
}

// A Record is the cold part of an advisory. Affected is empty.
type Record struct {
	bulwark.Advisory
	Packages []Detail `json:"pkgs,omitempty"`
}

// coldEntry is the size of an entry of the cold index: u32 first ordinal, u32
// stored size, u32 plain size, u64 offset in the cold part.
const coldEntry = 20

var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxRecord+coldBlock), zstd.WithDecodeAllCapLimit(true))
})

// Advisory reads the cold part of an advisory.
func (s *Segment) Advisory(ord uint32) (Record, error) {
	b, err := s.record(ord)
	if err != nil {
		return Record{}, err
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("cold record: %w: %w", err, ErrCorrupt)
	}
	return r, nil
}

// record gives the encoded cold part of an advisory, which nobody changes.
func (s *Segment) record(ord uint32) ([]byte, error) {
	n := len(s.coldIndex) / coldEntry
	first := func(i int) uint32 { return binary.LittleEndian.Uint32(s.coldIndex[i*coldEntry:]) }
	i := sort.Search(n, func(i int) bool { return first(i) > ord }) - 1
	if i < 0 || int64(ord) >= int64(s.count) {
		return nil, corrupt("cold index")
	}
	text, err := s.open(i)
	if err != nil {
		return nil, err
	}
	c := cur{b: text}
	for range ord - first(i) {
		c.run(c.num())
		if c.bad {
			return nil, corrupt("cold block")
		}
	}
	b := c.run(c.num())
	if c.bad {
		return nil, corrupt("cold block")
	}
	return b, nil
}

// open gives the plain text of a cold block, which nobody changes.
func (s *Segment) open(i int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.blocks[i]; ok {
		return b, nil
	}
	b, err := s.load(i)
	if err != nil {
		return nil, err
	}
	if len(s.recent) == cacheBlocks {
		delete(s.blocks, s.recent[0])
		s.recent = append(s.recent[:0], s.recent[1:]...)
	}
	s.blocks[i], s.recent = b, append(s.recent, i)
	return b, nil
}

func (s *Segment) load(i int) ([]byte, error) {
	e := s.coldIndex[i*coldEntry:]
	stored, plain := uint64(binary.LittleEndian.Uint32(e[4:])), binary.LittleEndian.Uint32(e[8:])
	off := binary.LittleEndian.Uint64(e[12:])
	if off > uint64(len(s.cold)) || stored > uint64(len(s.cold))-off || plain > maxRecord+coldBlock {
		return nil, corrupt("cold index")
	}
	d, err := decoder()
	if err != nil {
		return nil, fmt.Errorf("cold block: %w", err)
	}
	out, err := d.DecodeAll(s.cold[off:off+stored], make([]byte, 0, plain))
	if err != nil {
		return nil, fmt.Errorf("cold block: %w: %w", err, ErrCorrupt)
	}
	if uint64(len(out)) != uint64(plain) {
		return nil, corrupt("cold block")
	}
	return out, nil
}
