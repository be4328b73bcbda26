// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
)

// A Builder collects the advisories of one ecosystem and writes its segment.
// The bytes depend on what was added, not on the order. It is not safe for
// concurrent use.
type Builder struct {
	ecosystem string
	records   []built
	size      int                     // bytes of the texts of records
	wrote     struct{ rows, hot int } // by the last WriteTo
	byID      map[string]int          // into records
	names     intern
	bodies    intern
	rows      []row
}

// built is an advisory that is ready to be written.
type built struct {
	id       string
	aliases  []string
	text     []byte // encoded Record
	replaced bool
}

// row is an affected package: 12 bytes, because there are millions.
type row struct{ name, body, record uint32 }

// intern numbers strings.
type intern struct {
	num map[string]uint32
	str []string
}

func (in *intern) of(s string) uint32 {
	if n, ok := in.num[s]; ok {
		return n
	}
	if in.num == nil {
		in.num = map[string]uint32{}
	}
	n := uint32(len(in.str))
	s = strings.Clone(s)
	in.num[s] = n
	in.str = append(in.str, s)
	return n
}

// NewBuilder gives a Builder for an ecosystem, named without release.
func NewBuilder(ecosystem string) (*Builder, error) {
	if ecosystem == "" || len(ecosystem) > hdrNames-hdrEcosystem || strings.Contains(ecosystem, "\x00") {
		return nil, fmt.Errorf("ecosystem %q: %w", ecosystem, bulwark.ErrUsage)
	}
	return &Builder{ecosystem: ecosystem, byID: map[string]int{}}, nil
}

// Len gives the number of advisories that were added.
func (b *Builder) Len() int { return len(b.byID) }

// Rows gives the number of affected packages that the last WriteTo wrote.
func (b *Builder) Rows() int { return b.wrote.rows }

// Hot gives the size of the hot part that the last WriteTo wrote, in bytes.
func (b *Builder) Hot() int64 { return int64(b.wrote.hot) }

// Add takes an advisory. Affected packages of other ecosystems are left out; the
// part of Ecosystem behind the first colon is the release. Names are taken as
// they are. An advisory that was added before is replaced. It is
// [bulwark.ErrTooLarge] for what the format cannot hold.
func (b *Builder) Add(a bulwark.Advisory) error {
	affected := a.Affected
	a.Affected = nil
	rec := Record{Advisory: a}
	if a.ID == "" || len(a.ID) > MaxString {
		return fmt.Errorf("advisory id of %d bytes: %w", len(a.ID), bulwark.ErrTooLarge)
	}
	type pair struct{ name, body string }
	var pairs []pair
	var buf []byte
	symbols := map[string]bool{} // names that some row has symbols for: then a row without says something, too
	for i := range affected {
		if len(affected[i].Symbols) > 0 {
			symbols[affected[i].Name] = true
		}
	}
	for i := range affected {
		f := &affected[i]
		base, release, _ := strings.Cut(f.Ecosystem, ":")
		if base != b.ecosystem {
			continue
		}
		if f.Name == "" || len(f.Name) > MaxString || len(release) > MaxString || len(f.Module) > MaxString {
			return fmt.Errorf("advisory %q: name or release: %w", a.ID, bulwark.ErrTooLarge)
		}
		var err error
		if buf, err = appendBody(buf[:0], release, f); err != nil {
			return fmt.Errorf("advisory %q: %w", a.ID, err)
		}
		pairs = append(pairs, pair{f.Name, string(buf)})
		if f.Severity != 0 || f.CVSS != "" || symbols[f.Name] {
			rec.Packages = append(rec.Packages, Detail{f.Name, release, f.Severity, f.CVSS, f.Symbols, f.Systems})
		}
	}
	slices.SortFunc(rec.Packages, func(x, y Detail) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Release, y.Release), cmp.Compare(x.Severity, y.Severity),
			cmp.Compare(x.CVSS, y.CVSS), slices.Compare(x.Symbols, y.Symbols), slices.Compare(x.Systems, y.Systems))
	})
	rec.Packages = slices.CompactFunc(rec.Packages, func(x, y Detail) bool {
		return x.Name == y.Name && x.Release == y.Release && x.Severity == y.Severity && x.CVSS == y.CVSS && slices.Equal(x.Symbols, y.Symbols) && slices.Equal(x.Systems, y.Systems)
	})
	text, err := json.Marshal(&rec)
	if err != nil {
		return fmt.Errorf("advisory %q: %w", a.ID, err)
	}
	if len(text) > maxRecord {
		return fmt.Errorf("advisory %q: %d bytes: %w", a.ID, len(text), bulwark.ErrTooLarge)
	}
	if b.size+len(text) > maxText || len(b.rows)+len(pairs) > maxRows {
		return fmt.Errorf("advisory %q: too much for one ecosystem: %w", a.ID, bulwark.ErrTooLarge)
	}
	n := b.record(a.ID, a.Aliases, text)
	for _, p := range pairs {
		b.rows = append(b.rows, row{b.names.of(p.name), b.bodies.of(p.body), n})
	}
	return nil
}

func (b *Builder) record(id string, aliases []string, text []byte) uint32 {
	if old, ok := b.byID[id]; ok {
		b.records[old] = built{replaced: true}
	}
	n := len(b.records)
	b.size += len(text)
	b.byID[id] = n
	b.records = append(b.records, built{id: id, aliases: aliases, text: text})
	return uint32(n)
}

// AddAll takes every advisory of a segment but those that skip names.
func (b *Builder) AddAll(s *Segment, skip func(id string) bool) error {
	if s.ecosystem != b.ecosystem {
		return fmt.Errorf("segment of %q into %q: %w", s.ecosystem, b.ecosystem, bulwark.ErrUsage)
	}
	num := make([]uint32, s.count)
	const skipped = math.MaxUint32
	for ord := range s.count {
		text, err := s.record(uint32(ord))
		if err != nil {
			return err
		}
		var head struct {
			ID      string   `json:"id"`
			Aliases []string `json:"aliases"`
		}
		if err := json.Unmarshal(text, &head); err != nil {
			return fmt.Errorf("cold record: %w: %w", err, ErrCorrupt)
		}
		if skip(head.ID) {
			num[ord] = skipped
			continue
		}
		num[ord] = b.record(head.ID, head.Aliases, bytes.Clone(text)) // not the whole block
	}
	var bad error
	var buf []byte
	err := s.names.all(func(key, value []byte) bool {
		name := uint32(math.MaxUint32)
		for r := (Rows{seg: s, c: cur{b: value}}); ; {
			if !r.Next() {
				bad = r.err
				return bad == nil
			}
			if num[r.Ordinal()] == skipped {
				continue
			}
			release := r.Release()
			a, err := r.Affected()
			if err != nil {
				bad = err
				return false
			}
			if buf, bad = appendBody(buf[:0], release, &a); bad != nil {
				return false
			}
			if name == math.MaxUint32 {
				name = b.names.of(string(key))
			}
			b.rows = append(b.rows, row{name, b.bodies.of(string(buf)), num[r.Ordinal()]})
		}
	})
	return cmp.Or(err, bad)
}

// appendBody writes a row's body in a form that orders and compares rows: the
// release first, strings in full.
func appendBody(b []byte, release string, a *bulwark.Affected) ([]byte, error) {
	str := func(s string) error {
		if len(s) > MaxString {
			return fmt.Errorf("version of %d bytes: %w", len(s), bulwark.ErrTooLarge)
		}
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
		return nil
	}
	list := []string{release, a.Module}
	for _, r := range a.Ranges {
		list = append(list, r.Introduced, r.Fixed, r.LastAffected)
	}
	size := 16 * (len(list) + len(a.Versions))
	for _, s := range list[1:] {
		size += len(s)
	}
	for _, s := range a.Versions {
		size += len(s)
	}
	if size > maxRow {
		return nil, fmt.Errorf("versions of %d bytes: %w", size, bulwark.ErrTooLarge)
	}
	b = binary.AppendUvarint(b, uint64(len(a.Ranges)))
	for _, s := range append(list, a.Versions...) {
		if err := str(s); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// splitBody reads what appendBody wrote.
func splitBody(body string) (release string, a bulwark.Affected) {
	c := cur{b: []byte(body)}
	n := c.num()
	str := func() string { return string(c.run(c.num())) }
	release, a.Module = str(), str()
	for range n {
		a.Ranges = append(a.Ranges, bulwark.Range{Introduced: str(), Fixed: str(), LastAffected: str()})
	}
	for len(c.b) > 0 {
		a.Versions = append(a.Versions, str())
	}
	return release, a
}

// WriteTo writes the segment.
func (b *Builder) WriteTo(w io.Writer) (int64, error) {
	// Ordinals follow the ids.
	order := make([]uint32, 0, len(b.byID))
	for i := range b.records {
		if !b.records[i].replaced {
			order = append(order, uint32(i))
		}
	}
	slices.SortFunc(order, func(x, y uint32) int { return cmp.Compare(b.records[x].id, b.records[y].id) })
	const gone = math.MaxUint32
	ordinal := make([]uint32, len(b.records))
	for i := range ordinal {
		ordinal[i] = gone
	}
	for ord, i := range order {
		ordinal[i] = uint32(ord)
	}
	rows := slices.DeleteFunc(b.rows, func(r row) bool { return ordinal[r.record] == gone })
	b.rows = rows
	slices.SortFunc(rows, func(x, y row) int {
		if x.name != y.name {
			return cmp.Compare(b.names.str[x.name], b.names.str[y.name])
		}
		if x.record != y.record {
			return cmp.Compare(ordinal[x.record], ordinal[y.record])
		}
		if x.body == y.body {
			return 0
		}
		return cmp.Compare(b.bodies.str[x.body], b.bodies.str[y.body])
	})
	rows = slices.Compact(rows)

	e := encoder{releases: map[string]uint64{}, refs: map[string]uint64{}, at: make([]uint64, len(b.bodies.str))}
	releases := map[string]bool{}
	for _, r := range rows {
		rel, _ := splitRelease(b.bodies.str[r.body])
		releases[rel] = true
	}
	sorted := slices.Sorted(mapKeys(releases))
	if len(sorted) > maxReleases {
		return 0, fmt.Errorf("%d releases: %w", len(sorted), bulwark.ErrTooLarge)
	}
	rels := binary.AppendUvarint(nil, uint64(len(sorted)))
	for i, rel := range sorted {
		e.releases[rel] = uint64(i)
		rels = binary.AppendUvarint(rels, uint64(len(rel)))
		rels = append(rels, rel...)
	}
	e.ref("0") // gets reference 0
	var names tableWriter
	var payload []byte
	for i := 0; i < len(rows); {
		name := rows[i].name
		payload = payload[:0]
		last := uint32(0)
		for ; i < len(rows) && rows[i].name == name; i++ {
			ord := ordinal[rows[i].record]
			payload = binary.AppendUvarint(payload, uint64(ord-last))
			payload = binary.AppendUvarint(payload, e.body(rows[i].body, b.bodies.str))
			last = ord
		}
		names.add(b.names.str[name], payload)
	}
	ids := b.idTable(order)
	coldIndex, cold, err := b.coldBlocks(order)
	if err != nil {
		return 0, err
	}

	parts := [sections][]byte{
		secReleases: rels, secStrings: e.strings, secBodies: e.bodies,
		secNameIndex: names.index, secNameBlocks: names.blocks, secRows: names.payload,
		secIDIndex: ids.index, secIDBlocks: ids.blocks, secOrdinals: ids.payload,
		secColdIndex: coldIndex, secCold: cold,
	}
	head := make([]byte, headerSize)
	copy(head, segmentMagic)
	copy(head[hdrEcosystem:hdrNames], b.ecosystem)
	binary.LittleEndian.PutUint32(head[hdrNames:], uint32(names.n))
	binary.LittleEndian.PutUint32(head[hdrRows:], uint32(len(rows)))
	binary.LittleEndian.PutUint32(head[hdrAdvisories:], uint32(len(order)))
	binary.LittleEndian.PutUint32(head[hdrIDs:], uint32(ids.n))
	off := uint64(headerSize)
	for i, p := range parts {
		if i != secCold && len(p) > math.MaxUint32 {
			return 0, fmt.Errorf("segment section of %d bytes: %w", len(p), bulwark.ErrTooLarge)
		}
		if i == secCold {
			b.wrote.rows, b.wrote.hot = len(rows), int(off)
		}
		binary.LittleEndian.PutUint64(head[hdrSections+8*i:], off)
		off += uint64(len(p))
	}
	binary.LittleEndian.PutUint64(head[hdrSections+8*sections:], off)
	crc := crc32.Update(0, castagnoli, head[:crcAt])
	for _, p := range parts[:secCold] {
		crc = crc32.Update(crc, castagnoli, p)
	}
	binary.LittleEndian.PutUint32(head[crcAt:], crc)
	total := int64(0)
	for _, p := range append([][]byte{head}, parts[:]...) {
		n, err := w.Write(p)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Bytes gives the segment.
func (b *Builder) Bytes() ([]byte, error) {
	var buf bytes.Buffer
	_, err := b.WriteTo(&buf)
	return buf.Bytes(), err
}

func splitRelease(body string) (string, bool) {
	c := cur{b: []byte(body[:min(len(body), MaxString+16)])}
	c.num()
	return string(c.run(c.num())), !c.bad
}

func mapKeys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// An encoder writes bodies with references instead of strings.
type encoder struct {
	releases map[string]uint64
	refs     map[string]uint64
	strings  []byte
	bodies   []byte
	at       []uint64 // 1 + where a body lies; 0 is not written yet
}

func (e *encoder) ref(s string) uint64 {
	if r, ok := e.refs[s]; ok {
		return r
	}
	r := uint64(len(e.strings))
	e.refs[s] = r
	e.strings = binary.AppendUvarint(e.strings, uint64(len(s)))
	e.strings = append(e.strings, s...)
	return r
}

func (e *encoder) body(n uint32, all []string) uint64 {
	if e.at[n] != 0 {
		return e.at[n] - 1
	}
	at := uint64(len(e.bodies))
	e.at[n] = at + 1
	release, a := splitBody(all[n])
	e.bodies = binary.AppendUvarint(e.bodies, e.releases[release])
	flags := uint64(len(a.Ranges)) << bodyShift
	if a.Module != "" {
		flags |= bodyModule
	}
	if len(a.Versions) > 0 {
		flags |= bodyVersions
	}
	e.bodies = binary.AppendUvarint(e.bodies, flags)
	if a.Module != "" {
		e.bodies = binary.AppendUvarint(e.bodies, e.ref(a.Module))
	}
	for _, r := range a.Ranges {
		v := e.ref(r.Introduced) << rangeShift
		if r.Fixed != "" {
			v |= rangeFixed
		}
		if r.LastAffected != "" {
			v |= rangeLast
		}
		e.bodies = binary.AppendUvarint(e.bodies, v)
		if r.Fixed != "" {
			e.bodies = binary.AppendUvarint(e.bodies, e.ref(r.Fixed))
		}
		if r.LastAffected != "" {
			e.bodies = binary.AppendUvarint(e.bodies, e.ref(r.LastAffected))
		}
	}
	if len(a.Versions) > 0 {
		e.bodies = binary.AppendUvarint(e.bodies, uint64(len(a.Versions)))
		for _, v := range a.Versions {
			e.bodies = binary.AppendUvarint(e.bodies, e.ref(v))
		}
	}
	return at
}

// idTable maps own ids and aliases to ordinals.
func (b *Builder) idTable(order []uint32) tableWriter {
	type entry struct {
		id  string
		ord uint32
	}
	var all []entry
	for ord, i := range order {
		all = append(all, entry{b.records[i].id, uint32(ord)})
		for _, a := range b.records[i].aliases {
			if a != "" && len(a) <= MaxString {
				all = append(all, entry{a, uint32(ord)})
			}
		}
	}
	slices.SortFunc(all, func(x, y entry) int { return cmp.Or(cmp.Compare(x.id, y.id), cmp.Compare(x.ord, y.ord)) })
	all = slices.Compact(all)
	var t tableWriter
	var payload []byte
	for i := 0; i < len(all); {
		id, last := all[i].id, uint32(0)
		payload = payload[:0]
		for ; i < len(all) && all[i].id == id; i++ {
			payload = binary.AppendUvarint(payload, uint64(all[i].ord-last))
			last = all[i].ord
		}
		t.add(id, payload)
	}
	return t
}

// coldBlocks compresses the records in order.
func (b *Builder) coldBlocks(order []uint32) (index, cold []byte, err error) {
	level := zstd.SpeedBetterCompression
	if len(order) < 1000 {
		level = zstd.SpeedFastest // not worth the tables of a better one
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true),
		zstd.WithEncoderLevel(level), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, nil, err
	}
	var block []byte
	first := 0
	flush := func(next int) {
		if len(block) == 0 {
			return
		}
		off := len(cold)
		cold = enc.EncodeAll(block, cold)
		index = binary.LittleEndian.AppendUint32(index, uint32(first))
		index = binary.LittleEndian.AppendUint32(index, uint32(len(cold)-off))
		index = binary.LittleEndian.AppendUint32(index, uint32(len(block)))
		index = binary.LittleEndian.AppendUint64(index, uint64(off))
		block, first = block[:0], next
	}
	for ord, i := range order {
		text := b.records[i].text
		if len(block) > 0 && len(block)+len(text) > coldBlock {
			flush(ord)
		}
		block = binary.AppendUvarint(block, uint64(len(text)))
		block = append(block, text...)
	}
	flush(0)
	return index, cold, enc.Close()
}
