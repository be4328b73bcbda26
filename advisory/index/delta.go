// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/maphash"

	"github.com/bulwark-sec/bulwark"
)

// A delta is what makes one segment of another: the ids that went, and the
// advisories that came or changed, whole. It is a run of unsigned varints and
// strings with their length before them:
//
//	magic, ecosystem, count, ids that went,
//	count, then for each: record, count, then for each row: name, body
const (
	deltaMagic = "BWKDLT\x00\x01"
	// maxChanges bounds the advisories that one delta names; the largest public
	// ecosystem has a quarter of a million.
	maxChanges = 4 << 20
)

// A Change is what became of one advisory from one segment to another.
type Change struct {
	ID       string
	Old, New *Entry // nil: it was not there
}

// An Entry is one advisory with everything that a segment says of it.
type Entry struct {
	Record
	Affected []bulwark.Affected // with ecosystem, release and name; sorted by name
}

// Changes calls yield for every advisory that two segments of one ecosystem do
// not agree about, in the order of ids, until it gives false.
func Changes(old, next *Segment, yield func(Change) bool) error {
	diff, err := compare(old, next)
	if err != nil {
		return err
	}
	entry := func(s *Segment, ord int, rows map[int][]place) (*Entry, error) {
		if ord < 0 {
			return nil, nil
		}
		rec, err := s.Advisory(uint32(ord))
		if err != nil {
			return nil, err
		}
		e := &Entry{Record: rec}
		for _, p := range rows[ord] {
			release, a, err := s.at(p.at)
			if err != nil {
				return nil, err
			}
			a.Name, a.Ecosystem = p.name, s.ecosystem
			if release != "" {
				a.Ecosystem += ":" + release
			}
			e.Affected = append(e.Affected, a)
		}
		return e, nil
	}
	for _, d := range diff.list {
		c := Change{ID: d.id}
		if c.Old, err = entry(old, d.old, diff.oldRows); err != nil {
			return err
		}
		if c.New, err = entry(next, d.next, diff.nextRows); err != nil {
			return err
		}
		if !yield(c) {
			return nil
		}
	}
	return nil
}

// Delta gives the delta that makes the segment next of the segment old, and how
// many advisories it touches. The bytes depend on the segments alone.
func Delta(old, next *Segment) (delta []byte, touched int, err error) {
	diff, err := compare(old, next)
	if err != nil {
		return nil, 0, err
	}
	var gone, came []byte
	var nGone, nCame uint64
	var body []byte
	for _, d := range diff.list {
		if d.next < 0 {
			gone = appendString(gone, d.id)
			nGone++
			continue
		}
		text, err := next.record(uint32(d.next))
		if err != nil {
			return nil, 0, err
		}
		came = appendString(came, string(text))
		rows := diff.nextRows[d.next]
		came = binary.AppendUvarint(came, uint64(len(rows)))
		for _, p := range rows {
			release, a, err := next.at(p.at)
			if err != nil {
				return nil, 0, err
			}
			if body, err = appendBody(body[:0], release, &a); err != nil {
				return nil, 0, err
			}
			came = appendString(came, p.name)
			came = appendString(came, string(body))
		}
		nCame++
	}
	delta = appendString([]byte(deltaMagic), next.ecosystem)
	delta = append(binary.AppendUvarint(delta, nGone), gone...)
	delta = append(binary.AppendUvarint(delta, nCame), came...)
	return delta, len(diff.list), nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Apply gives a builder of what deltas make of the segment old, the oldest delta
// first. Nothing in a delta is believed but its form: whoever applies one
// compares the digest of what the builder writes.
func Apply(old *Segment, deltas ...[]byte) (*Builder, error) {
	b, err := NewBuilder(old.ecosystem)
	if err != nil {
		return nil, err
	}
	last := map[string]*arrival{} // nil: it went
	for _, d := range deltas {
		if err := readDelta(d, old.ecosystem, last); err != nil {
			return nil, err
		}
	}
	err = b.AddAll(old, func(id string) bool {
		_, ok := last[id]
		return ok
	})
	if err != nil {
		return nil, err
	}
	for id, a := range last {
		if a == nil {
			continue
		}
		if b.size+len(a.text) > maxText || len(b.rows)+len(a.rows) > maxRows {
			return nil, fmt.Errorf("delta, advisory %q: too much for one ecosystem: %w", id, bulwark.ErrTooLarge)
		}
		n := b.record(id, a.aliases, a.text)
		for _, r := range a.rows {
			b.rows = append(b.rows, row{b.names.of(r.name), b.bodies.of(r.body), n})
		}
	}
	return b, nil
}

// An arrival is an advisory that a delta brings.
type arrival struct {
	aliases []string
	text    []byte
	rows    []struct{ name, body string }
}

// readDelta reads a delta into what is known of each id.
func readDelta(b []byte, ecosystem string, last map[string]*arrival) error {
	rest, ok := bytes.CutPrefix(b, []byte(deltaMagic))
	if !ok {
		return corrupt("delta header")
	}
	c := cur{b: rest}
	if got := string(c.run(c.num())); c.bad || got != ecosystem {
		return fmt.Errorf("delta of %.40q for %q: %w", got, ecosystem, ErrCorrupt)
	}
	n := c.num()
	if n > maxChanges || n > uint64(len(c.b)) {
		return corrupt("delta")
	}
	for range n {
		id := string(c.run(c.num()))
		if c.bad || id == "" || len(id) > MaxString {
			return corrupt("delta, id")
		}
		last[id] = nil
	}
	n = c.num()
	if n > maxChanges || n > uint64(len(c.b)) {
		return corrupt("delta")
	}
	for range n {
		if err := readArrival(&c, last); err != nil {
			return err
		}
	}
	if c.bad || len(c.b) > 0 {
		return corrupt("delta, end")
	}
	return nil
}

func readArrival(c *cur, last map[string]*arrival) error {
	a := &arrival{text: c.run(c.num())}
	if c.bad || len(a.text) > maxRecord {
		return corrupt("delta, record")
	}
	var rec Record
	if err := json.Unmarshal(a.text, &rec); err != nil {
		return fmt.Errorf("delta, record: %w: %w", err, ErrCorrupt)
	}
	if rec.ID == "" || len(rec.ID) > MaxString {
		return corrupt("delta, id")
	}
	a.aliases = rec.Aliases
	n := c.num()
	if n > maxRows || n > uint64(len(c.b)) {
		return corrupt("delta, rows")
	}
	for range n {
		name := string(c.run(c.num()))
		body := c.run(c.num())
		if c.bad || name == "" || len(name) > MaxString {
			return corrupt("delta, row")
		}
		release, f, err := parseBody(body)
		if err != nil {
			return err
		}
		again, err := appendBody(nil, release, &f)
		if err != nil || !bytes.Equal(again, body) {
			return corrupt("delta, row")
		}
		a.rows = append(a.rows, struct{ name, body string }{name, string(body)})
	}
	last[rec.ID] = a
	return nil
}

// parseBody reads what appendBody wrote, and bears anything else.
func parseBody(b []byte) (release string, a bulwark.Affected, err error) {
	if len(b) > 2*maxRow {
		return "", a, corrupt("row")
	}
	c := cur{b: b}
	n := c.num()
	if n > uint64(len(c.b)) { // a range takes three bytes at least
		return "", a, corrupt("row")
	}
	str := func() string { return string(c.run(c.num())) }
	release, a.Module = str(), str()
	for range n {
		if c.bad {
			break
		}
		a.Ranges = append(a.Ranges, bulwark.Range{Introduced: str(), Fixed: str(), LastAffected: str()})
	}
	for len(c.b) > 0 {
		a.Versions = append(a.Versions, str())
	}
	if c.bad {
		return "", bulwark.Affected{}, corrupt("row")
	}
	return release, a, nil
}

// place is where a row of a name lies.
type place struct {
	name string
	at   uint64
}

// difference is what two segments do not agree about.
type difference struct {
	list []struct {
		id        string
		old, next int // ordinals; -1: it was not there
	}
	oldRows, nextRows map[int][]place // of the ordinals of list
}

func compare(old, next *Segment) (*difference, error) {
	if old.ecosystem != next.ecosystem {
		return nil, fmt.Errorf("segments of %q and %q: %w", old.ecosystem, next.ecosystem, bulwark.ErrUsage)
	}
	seed := maphash.MakeSeed()
	oldSums, err := old.rowSums(seed)
	if err != nil {
		return nil, err
	}
	nextSums, err := next.rowSums(seed)
	if err != nil {
		return nil, err
	}
	d := &difference{oldRows: map[int][]place{}, nextRows: map[int][]place{}}
	i, j := 0, 0
	for i < old.count || j < next.count {
		a, idA, err := old.head(i)
		if err != nil {
			return nil, err
		}
		b, idB, err := next.head(j)
		if err != nil {
			return nil, err
		}
		which := cmp.Compare(idA, idB)
		switch { // an id is not empty, so "" stands behind the last one
		case idA == "":
			which = 1
		case idB == "":
			which = -1
		}
		id, x, y := idA, i, j
		switch {
		case which < 0:
			y = -1
			i++
		case which > 0:
			id, x = idB, -1
			j++
		default:
			i++
			j++
			if bytes.Equal(a, b) && oldSums[x] == nextSums[y] {
				continue
			}
		}
		d.list = append(d.list, struct {
			id        string
			old, next int
		}{id, x, y})
		if x >= 0 {
			d.oldRows[x] = nil
		}
		if y >= 0 {
			d.nextRows[y] = nil
		}
	}
	if err := old.collect(d.oldRows); err != nil {
		return nil, err
	}
	return d, next.collect(d.nextRows)
}

// head gives the encoded record and the id of an ordinal; "" behind the last.
func (s *Segment) head(ord int) ([]byte, string, error) {
	if ord >= s.count {
		return nil, "", nil
	}
	text, err := s.record(uint32(ord))
	if err != nil {
		return nil, "", err
	}
	// A record begins with its id; the whole need not be parsed.
	if rest, ok := bytes.CutPrefix(text, []byte(`{"id":"`)); ok {
		if end := bytes.IndexAny(rest, `"\`); end > 0 && rest[end] == '"' {
			return text, string(rest[:end]), nil
		}
	}
	var v struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(text, &v); err != nil || v.ID == "" {
		return nil, "", corrupt("cold record")
	}
	return text, v.ID, nil
}

// everyRow calls yield for each row, by name, then by ordinal.
func (s *Segment) everyRow(yield func(name []byte, ord int, at uint64) error) error {
	var bad error
	err := s.names.all(func(key, value []byte) bool {
		r := Rows{seg: s, c: cur{b: value}}
		for r.Next() {
			if bad = yield(key, int(r.Ordinal()), r.at); bad != nil {
				return false
			}
		}
		bad = r.err
		return bad == nil
	})
	return cmp.Or(bad, err)
}

// rowSums gives for each ordinal a hash of its rows.
func (s *Segment) rowSums(seed maphash.Seed) ([]uint64, error) {
	sums := make([]uint64, s.count)
	bodies := map[uint64]uint64{} // rows share bodies
	var buf []byte
	err := s.everyRow(func(name []byte, ord int, at uint64) error {
		sum, ok := bodies[at]
		if !ok {
			release, a, err := s.at(at)
			if err != nil {
				return err
			}
			if buf, err = appendBody(buf[:0], release, &a); err != nil {
				return err
			}
			sum = maphash.Bytes(seed, buf)
			bodies[at] = sum
		}
		var mix [24]byte
		binary.LittleEndian.PutUint64(mix[:], sums[ord])
		binary.LittleEndian.PutUint64(mix[8:], maphash.Bytes(seed, name))
		binary.LittleEndian.PutUint64(mix[16:], sum)
		sums[ord] = maphash.Bytes(seed, mix[:])
		return nil
	})
	return sums, err
}

// collect fills in the rows of the ordinals that are keys of m.
func (s *Segment) collect(m map[int][]place) error {
	if len(m) == 0 {
		return nil
	}
	var last string
	return s.everyRow(func(name []byte, ord int, at uint64) error {
		if list, ok := m[ord]; ok {
			if last != string(name) {
				last = string(name)
			}
			m[ord] = append(list, place{last, at})
		}
		return nil
	})
}

// at decodes the row body that lies at an offset.
func (s *Segment) at(off uint64) (release string, a bulwark.Affected, err error) {
	r := Rows{seg: s, at: off}
	if release = r.Release(); r.err != nil {
		return "", a, r.err
	}
	a, err = s.body(off)
	return release, a, err
}

// A scores delta holds numbers by CVE: the keys that went, then those that came
// or changed, rising, each as what it is more than the one before it. New numbers
// are written as differences to the old ones, zero for a key that came.
const scoresDeltaMagic = "BWKDNM\x00\x01"

// DeltaScores gives the delta that makes the scores next of the scores old, and
// how many CVEs it touches.
func DeltaScores(old, next *Scores) (delta []byte, touched int) {
	var gone, came []byte
	var nGone, nCame uint64
	var lastGone, lastCame uint32
	i, j := 0, 0
	for i < old.Len() || j < next.Len() {
		a, b := old.entry(i), next.entry(j)
		switch {
		case j >= next.Len() || i < old.Len() && a[0] < b[0]:
			gone = binary.AppendUvarint(gone, uint64(a[0]-lastGone))
			lastGone = a[0]
			nGone++
			i++
			continue
		case i >= old.Len() || b[0] < a[0]:
			a = [3]uint32{}
			j++
		default:
			i++
			j++
			if a == b {
				continue
			}
		}
		came = binary.AppendUvarint(came, uint64(b[0]-lastCame))
		came = binary.AppendVarint(came, int64(b[1])-int64(a[1]))
		came = binary.AppendVarint(came, int64(b[2])-int64(a[2]))
		lastCame = b[0]
		nCame++
	}
	delta = binary.AppendUvarint([]byte(scoresDeltaMagic), nGone)
	delta = append(delta, gone...)
	delta = binary.AppendUvarint(delta, nCame)
	return append(delta, came...), int(nGone + nCame)
}

// entry gives key and numbers of the i-th entry; zeros behind the last.
func (s *Scores) entry(i int) (e [3]uint32) {
	if i < s.Len() {
		for k := range e {
			e[k] = binary.LittleEndian.Uint32(s.data[i*scoresEntry+4*k:])
		}
	}
	return e
}

// ApplyScores gives a builder of what deltas make of the scores old, the oldest
// delta first.
func ApplyScores(old *Scores, deltas ...[]byte) (*ScoresBuilder, error) {
	b := &ScoresBuilder{m: make(map[uint32][2]uint32, old.Len())}
	for i := range old.Len() {
		e := old.entry(i)
		b.m[e[0]] = [2]uint32{e[1], e[2]}
	}
	for _, d := range deltas {
		rest, ok := bytes.CutPrefix(d, []byte(scoresDeltaMagic))
		if !ok {
			return nil, corrupt("delta header")
		}
		c := cur{b: rest}
		key := uint64(0)
		step := func() bool {
			key += c.num()
			return !c.bad && key <= 1<<32-1
		}
		for range c.count() {
			if !step() {
				return nil, corrupt("delta")
			}
			delete(b.m, uint32(key))
		}
		key = 0
		for range c.count() {
			if !step() {
				return nil, corrupt("delta")
			}
			was := b.m[uint32(key)]
			x, y := int64(was[0])+c.signed(), int64(was[1])+c.signed()
			if c.bad || x < 0 || y < 0 || x > 1<<32-1 || y > 1<<32-1 {
				return nil, corrupt("delta")
			}
			b.m[uint32(key)] = [2]uint32{uint32(x), uint32(y)}
		}
		if c.bad || len(c.b) > 0 {
			return nil, corrupt("delta, end")
		}
	}
	return b, nil
}

// ScoreChanges calls yield for each CVE whose numbers are not the same in two
// scores, either of which may be nil, in rising order; was and is tell whether it
// has numbers in the one and in the other.
func ScoreChanges(old, next *Scores, yield func(cve string, was, is bool)) {
	none := &Scores{}
	if old == nil {
		old = none
	}
	if next == nil {
		next = none
	}
	i, j := 0, 0
	for i < old.Len() || j < next.Len() {
		a, b := old.entry(i), next.entry(j)
		switch {
		case j >= next.Len() || i < old.Len() && a[0] < b[0]:
			yield(cveText(a[0]), true, false)
			i++
		case i >= old.Len() || b[0] < a[0]:
			yield(cveText(b[0]), false, true)
			j++
		default:
			if a != b {
				yield(cveText(a[0]), true, true)
			}
			i++
			j++
		}
	}
}

// cveText writes what CVE packed.
func cveText(key uint32) string { return fmt.Sprintf("CVE-%d-%04d", 1990+key>>25, key&(1<<25-1)) }

// count reads how many things follow; each takes a byte at least.
func (c *cur) count() uint64 {
	n := c.num()
	if n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return 0
	}
	return n
}

func (c *cur) signed() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 || v > 1<<32 || v < -(1<<32) {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}
