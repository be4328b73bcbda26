// SPDX-License-Identifier: Apache-2.0

// Package funcset keeps which functions a Go program consists of, in one and a
// half bytes for each: enough to answer later whether one of the functions that
// an advisory names was linked in. It knows how the Go linker spells names; it
// does not know where they are read from, nor what is wrong with a function.
//
// A set never says that a function is missing when it is there. It says that one
// is there when it is not once in a thousand times.
package funcset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"strings"
)

const (
	// version is the first byte of a set.
	version = 1
	// lowBits is how much of a hash is kept beside its place among the others: a
	// question is answered wrongly once in 2^lowBits times.
	lowBits = 10
	// Most is how many names one set holds. The program of a large cluster tool
	// has 100,000.
	Most = 1 << 19
	// maxName bounds a name, bytes; longer ones are left out. No advisory names
	// them.
	maxName = 4096
	// maxReplaced bounds the modules that are replaced, and maxNames the names of
	// one package. Programs that replace a hundred exist.
	maxReplaced = 1000
	maxNames    = 4
)

// A Builder collects names. Its zero value is ready to use.
type Builder struct {
	// Main is the import path of the program's own package, which the linker
	// calls "main"; "" when it is not known.
	Main string
	// Replaced are modules whose code another one's stands for: its functions
	// bear the name of the first and are added under that of the second, too.
	Replaced [][2]string
	// Full says that names were left out, because there were more than [Most]:
	// the set would say of functions that they are missing.
	Full bool

	sums    []uint64
	path    []byte   // of the last name, as the linker spells it
	states  []uint64 // of the hash behind path and a dot, under each of its names
	scratch []byte
}

// Add takes a name as the linker spells it, "example.org/a%2eb.(*T[...]).M". What
// no advisory names is left out: closures, wrappers, and what the compiler adds.
// It is called for each of 100,000 names, and looks at most of their bytes once.
func (b *Builder) Add(name []byte) {
	if len(name) > maxName {
		return
	}
	if bytes.IndexByte(name, '[') >= 0 {
		b.scratch = plain(b.scratch[:0], name)
		name = b.scratch
	}
	if len(b.sums)+2*maxNames > Most {
		b.Full = true
		return
	}
	// Names of one package mostly follow each other.
	if n := len(b.path); n > 0 && len(name) > n && name[n] == '.' && string(name[:n]) == string(b.path) {
		h, ok, slash := symbol(b.states[0], name[n+1:])
		if !slash {
			if ok {
				b.put(h, name[n+1:])
			}
			return
		}
	}
	last := bytes.LastIndexByte(name, '/') + 1
	dot := bytes.IndexByte(name[last:], '.')
	if dot < 0 {
		return
	}
	dot += last
	path := name[:dot]
	if len(path) == 0 || bytes.IndexByte(path, ':') >= 0 {
		return // "type:.eq.", "go:buildid"
	}
	if _, ok, _ := symbol(0, name[dot+1:]); !ok {
		return
	}
	b.enter(path)
	h, _, _ := symbol(b.states[0], name[dot+1:])
	b.put(h, name[dot+1:])
}

// enter makes path the one that names are added to.
func (b *Builder) enter(path []byte) {
	b.path = append(b.path[:0], path...)
	spelt := b.spell(path)
	b.states = append(b.states[:0], start(spelt))
	for _, r := range b.Replaced[:min(len(b.Replaced), maxReplaced)] {
		if rest, ok := strings.CutPrefix(spelt, r[0]); ok && (rest == "" || rest[0] == '/') && len(b.states) < maxNames {
			b.states = append(b.states, start(r[1]+rest))
		}
	}
	for _, state := range b.states {
		b.sums = append(b.sums, finish(more(state, "*")))
	}
}

// put notes a symbol, which has the hash h under the first name of its package.
func (b *Builder) put(h uint64, name []byte) {
	b.sums = append(b.sums, finish(h))
	for _, state := range b.states[1:] {
		h, _, _ := symbol(state, name)
		b.sums = append(b.sums, finish(h))
	}
}

// spell gives an import path as people write it. The linker escapes what is
// special in the last element.
func (b *Builder) spell(path []byte) string {
	if string(path) == "main" && b.Main != "" {
		return b.Main
	}
	if bytes.IndexByte(path, '%') < 0 {
		return string(path)
	}
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if hi, lo := digit(path[i+1]), digit(path[i+2]); hi >= 0 && lo >= 0 {
				out.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		out.WriteByte(path[i])
	}
	return out.String()
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// plain appends name without what stands in brackets, the types that a generic
// function or type was made for.
func plain(dst, name []byte) []byte {
	depth := 0
	for _, c := range name {
		switch {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth == 0:
			dst = append(dst, c)
		}
	}
	return dst
}

// symbol takes the name of a function, "F", or of a method, "T.M" or "(*T).M",
// into a hash, the latter as "T.M". It is not ok for anything else, and slash says
// that there was one, so that it is no symbol but a part of a path.
func symbol(h uint64, s []byte) (sum uint64, ok, slash bool) {
	if n := len(s); n > 5 && s[n-1] == '0' && string(s[n-5:]) == ".abi0" {
		s = s[:n-5]
	}
	i, pointer := 0, false
	if len(s) > 3 && s[0] == '(' && s[1] == '*' {
		i, pointer = 2, true
	}
	for begin := i; i < len(s); i++ {
		c := s[i]
		if ordinary(c) {
			h = (h ^ uint64(c)) * prime
			continue
		}
		if c == '/' {
			return 0, false, true
		}
		if pointer && c == ')' && i > begin && i+1 < len(s) && s[i+1] == '.' {
			i, c = i+1, '.'
		}
		if c != '.' || i == begin || i+1 == len(s) {
			return 0, false, bytes.IndexByte(s[i:], '/') >= 0
		}
		return method(h, s[begin:i], s[i+1:])
	}
	return h, len(s) > 0 && !pointer, false
}

// method takes the second part of a symbol into a hash.
func method(h uint64, of, s []byte) (sum uint64, ok, slash bool) {
	if string(of) == "init" && number(s) {
		return h, true, false // each "init" of a package is numbered
	}
	h = more(h, ".")
	for i, c := range s {
		if !ordinary(c) {
			return 0, false, bytes.IndexByte(s[i:], '/') >= 0
		}
		h = (h ^ uint64(c)) * prime
	}
	return h, !closure(s), false
}

// ordinary tells whether c may be in the name of a function or type.
func ordinary(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80 || c == '%'
}

// closure tells whether s is a name that the compiler gives to a function inside
// of another.
func closure[S ~string | ~[]byte](s S) bool {
	for _, prefix := range []string{"func", "gowrap", "deferwrap"} {
		if len(s) > len(prefix) && string(s[:len(prefix)]) == prefix && number(s[len(prefix):]) {
			return true
		}
	}
	return number(s)
}

func number[S ~string | ~[]byte](s S) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0
}

// The hash is FNV-1a (https://datatracker.ietf.org/doc/html/draft-eastlake-fnv),
// with the last step of MurmurHash3, so that its high bits depend on all of the
// text.
const (
	basis = 14695981039346656037
	prime = 1099511628211
)

func start(path string) uint64 { return more(more(basis, path), ".") }

func more(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h
}

func finish(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Set gives what was added, in the form that [Parse] takes. It is nil when
// nothing was added, or more than fits.
//
// Hashes are brought into the range from 0 to n·2^lowBits and sorted; their low
// bits follow each other, and their high bits are written in unary, as the
// distance to the one before (Elias and Fano).
func (b *Builder) Set() []byte {
	b.sums = slices.Compact(order(b.sums))
	n := uint64(len(b.sums))
	if n == 0 || n > Most || b.Full {
		return nil
	}
	out := binary.AppendUvarint([]byte{version}, n)
	low := len(out)
	high := low + lowSize(n)
	out = append(out, make([]byte, lowSize(n)+highSize(n))...)
	for i, sum := range b.sums {
		v := place(sum, n)
		put(out[low:high], uint64(i), v)
		bit := v>>lowBits + uint64(i)
		out[high+int(bit/8)] |= 1 << (bit % 8)
	}
	return out
}

// order sorts hashes. They are spread evenly, so that as many buckets as there
// are hold one each, about.
func order(sums []uint64) []uint64 {
	n := uint64(len(sums))
	ends := make([]uint32, n+1) // where each bucket ends; shifted by one while it fills
	bucket := func(sum uint64) uint64 { hi, _ := bits.Mul64(sum, n); return hi }
	for _, s := range sums {
		ends[bucket(s)+1]++
	}
	for i := range n {
		ends[i+1] += ends[i]
	}
	out := make([]uint64, n)
	for _, s := range sums {
		at := &ends[bucket(s)]
		out[*at] = s
		*at++
	}
	begin := uint32(0)
	for _, end := range ends[:n] {
		if end-begin > 1 {
			slices.Sort(out[begin:end])
		}
		begin = end
	}
	return out
}

func place(sum, n uint64) uint64 {
	v, _ := bits.Mul64(sum, n<<lowBits)
	return v
}

func lowSize(n uint64) int  { return int((n*lowBits+7)/8) + 1 } // one more, so that two bytes can always be read
func highSize(n uint64) int { return int((2*n + 7) / 8) }

// put writes the low bits of v as the i-th number.
func put(b []byte, i, v uint64) {
	at := i * lowBits
	x := uint16(v&(1<<lowBits-1)) << (at % 8) // at most 6+10 bits
	b[at/8] |= byte(x)
	b[at/8+1] |= byte(x >> 8)
}

func low(b []byte, i uint64) uint64 {
	at := i * lowBits
	return uint64(binary.LittleEndian.Uint16(b[at/8:])>>(at%8)) & (1<<lowBits - 1)
}

// A Set answers questions. Its zero value is empty. It is safe for concurrent
// use.
type Set struct {
	n         uint64
	low, high []byte
}

// ErrFormat is met in what is no set.
var ErrFormat = errors.New("no set of functions")

// Parse reads what [Builder.Set] wrote, and keeps it.
func Parse(b []byte) (Set, error) {
	if len(b) < 2 || b[0] != version {
		return Set{}, ErrFormat
	}
	n, used := binary.Uvarint(b[1:])
	if used <= 0 || n == 0 || n > Most {
		return Set{}, ErrFormat
	}
	b = b[1+used:]
	if len(b) != lowSize(n)+highSize(n) {
		return Set{}, ErrFormat
	}
	return Set{n, b[:lowSize(n)], b[lowSize(n):]}, nil
}

// Len gives how many functions and packages the set holds.
func (s Set) Len() int { return int(s.n) }

// Has tells whether the program contains a function, "example.org/a.b.F", a
// method, "example.org/a.b.T.M", or anything of a package, "example.org/a.b.*".
// It cannot be asked for what a set leaves out: ask tells.
func (s Set) Has(name string) (has, ask bool) {
	name, ask = canonical(name)
	if !ask {
		return false, false
	}
	return s.n > 0 && s.has(place(finish(more(basis, name)), s.n)), true
}

// canonical spells a name as sets do. What cannot be a name is not asked for: the
// answer would be that it is missing.
func canonical(name string) (string, bool) {
	if len(name) > maxName {
		return "", false
	}
	if strings.Contains(name, "[") {
		name = string(plain(nil, []byte(name)))
	}
	if before, rest, ok := strings.Cut(name, ".(*"); ok { // path.(*T).M
		of, method, ok := strings.Cut(rest, ").")
		if !ok || strings.Contains(of, "/") { // a type has no slash: what looks like one is a path
			return "", false
		}
		name = before + "." + of + "." + method
	}
	last := name[strings.LastIndexAny(name, "/.")+1:]
	rest := name[:len(name)-len(last)]
	if !strings.HasSuffix(rest, ".") || len(rest) == 1 || strings.ContainsAny(rest, " \t\r\n\x00:()*,;<>\"'") {
		return "", false
	}
	if last == "*" {
		return name, true
	}
	for i := range len(last) {
		if !ordinary(last[i]) {
			return "", false
		}
	}
	return name, last != "" && last != "abi0" && !closure(last)
}

// has tells whether v is among the numbers: those with its high bits follow
// behind as many zeros.
func (s Set) has(v uint64) bool {
	want, bit, end := v>>lowBits, uint64(0), uint64(len(s.high))*8
	for zeros := uint64(0); zeros < want; {
		if at := bit / 8; bit%8 == 0 && at+8 <= uint64(len(s.high)) {
			word := binary.LittleEndian.Uint64(s.high[at:])
			if z := uint64(64 - bits.OnesCount64(word)); zeros+z < want {
				zeros, bit = zeros+z, bit+64
				continue
			}
		}
		if bit >= end {
			return false
		}
		if s.high[bit/8]>>(bit%8)&1 == 0 {
			zeros++
		}
		bit++
	}
	for ; bit < end && s.high[bit/8]>>(bit%8)&1 == 1; bit++ {
		i := bit - want
		if i >= s.n {
			return false
		}
		if low(s.low, i) == v&(1<<lowBits-1) {
			return true
		}
	}
	return false
}
