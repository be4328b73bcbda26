// SPDX-License-Identifier: Apache-2.0

package gitlog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zlib" // unfolding is most of the work
)

// Bounds on what a hostile repository can make a reader do.
const (
	maxObject = 16 << 20  // bytes of one object; larger lock files do not exist
	maxDelta  = 250       // objects in one chain of deltas; git makes 50
	maxCache  = 32 << 20  // bytes of objects that are remembered
	maxPacks  = 2000      // packs that are opened
	maxIndex  = 100 << 20 // objects in one pack
)

var (
	// ErrDamaged says that an object is not what git's formats ask for.
	ErrDamaged = errors.New("damaged git object")
	errMissing = errors.New("no such git object")
)

func damaged(what string) error { return fmt.Errorf("%s: %w", what, ErrDamaged) }

// The types of objects in a pack (gitformat-pack(5)).
const (
	typeCommit   = 1
	typeTree     = 2
	typeBlob     = 3
	typeTag      = 4
	typeOffDelta = 6
	typeRefDelta = 7
)

// An object is a type and its content.
type object struct {
	kind int
	data []byte
}

// A pack is a packfile and its index, version 2.
type pack struct {
	index, data *os.File
	size        int64 // of data
	n           int64 // objects
	fan         [256]uint32
}

// objects reads loose objects and packs. It is not safe for concurrent use.
type objects struct {
	open   func(id string) (io.ReadCloser, error) // loose ones
	width  int                                    // bytes of a hash: 20, or 32
	packs  []*pack
	young  map[key]object // used lately
	old    map[key]object // used before that
	filled int            // bytes of young
	read   int64          // bytes inflated so far
	z      io.ReadCloser  // nil before the first use
	br     *bufio.Reader
}

// A key names an object by its id, or by its place in a pack.
type key struct {
	id   string
	pack *pack
	off  int64
}

// openObjects reads the heads of the packs' indexes. A pack that is none is left out:
// its objects are missing, and that is told where one is asked for.
func openObjects(f Files, width int) *objects {
	o := &objects{open: f.Loose, width: width, young: map[key]object{}, br: bufio.NewReader(nil)}
	for p := range slices.Chunk(f.Packs, 2) {
		if len(p) < 2 || len(o.packs) == maxPacks {
			break
		}
		if p, err := openPack(p[0], p[1], width); err == nil {
			o.packs = append(o.packs, p)
		}
	}
	return o
}

const fanAt, hashesAt = 8, 8 + 256*4

func openPack(index, data *os.File, width int) (*pack, error) {
	info, err := index.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if info, err = data.Stat(); err != nil {
		return nil, err
	}
	p := &pack{index: index, data: data, size: info.Size()}
	var head [hashesAt]byte
	_, err = p.index.ReadAt(head[:], 0)
	if err == nil && string(head[:8]) != "\xfftOc\x00\x00\x00\x02" {
		err = damaged("index of a pack")
	}
	for i := range p.fan {
		p.fan[i] = binary.BigEndian.Uint32(head[fanAt+4*i:])
		if i > 0 && p.fan[i] < p.fan[i-1] {
			err = damaged("index of a pack")
		}
	}
	p.n = int64(p.fan[255])
	if err == nil && (p.n > maxIndex || size < hashesAt+p.n*int64(width+8)) {
		err = damaged("index of a pack")
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// find gives the offset of an object in the pack, -1 when it is not there.
func (p *pack) find(hash []byte) (int64, error) {
	lo, hi := int64(0), int64(p.fan[hash[0]])
	if hash[0] > 0 {
		lo = int64(p.fan[hash[0]-1])
	}
	w := int64(len(hash))
	buf := make([]byte, w)
	for lo < hi {
		mid := (lo + hi) / 2
		if _, err := p.index.ReadAt(buf, hashesAt+mid*w); err != nil {
			return -1, damaged("index of a pack")
		}
		switch c := bytes.Compare(hash, buf); {
		case c == 0:
			return p.offset(mid, w)
		case c < 0:
			hi = mid
		default:
			lo = mid + 1
		}
	}
	return -1, nil
}

func (p *pack) offset(i, width int64) (int64, error) {
	var b [8]byte
	if _, err := p.index.ReadAt(b[:4], hashesAt+p.n*(width+4)+4*i); err != nil {
		return -1, damaged("index of a pack")
	}
	off := binary.BigEndian.Uint32(b[:])
	if off>>31 == 0 {
		return int64(off), nil
	}
	if _, err := p.index.ReadAt(b[:], hashesAt+p.n*(width+8)+8*int64(off&^(1<<31))); err != nil {
		return -1, damaged("index of a pack")
	}
	long := binary.BigEndian.Uint64(b[:])
	if long > uint64(p.size) {
		return -1, damaged("index of a pack")
	}
	return int64(long), nil
}

// get reads an object by its name in hexadecimal digits. The caller does not
// change what it gets.
func (o *objects) get(id string) (object, error) {
	hash, err := hex.DecodeString(id)
	if err != nil || len(hash) != o.width {
		return object{}, damaged("object name")
	}
	if x, ok := o.known(key{id: id}); ok {
		return x, nil
	}
	x, err := o.packed(hash)
	if errors.Is(err, errMissing) {
		var lerr error
		if x, lerr = o.loose(id); !errors.Is(lerr, fs.ErrNotExist) {
			err = lerr
		}
	}
	if err != nil {
		return object{}, err
	}
	o.keep(key{id: id}, x)
	return x, nil
}

func (o *objects) known(k key) (object, bool) {
	if x, ok := o.young[k]; ok {
		return x, true
	}
	x, ok := o.old[k]
	if ok {
		o.keep(k, x)
	}
	return x, ok
}

func (o *objects) keep(k key, x object) {
	size := len(x.data) + 200
	if size > maxCache/4 {
		return
	}
	if o.filled += size; o.filled > maxCache/2 {
		o.old, o.young, o.filled = o.young, map[key]object{}, size
	}
	o.young[k] = x
}

// unzip makes the one decompressor read from r.
func (o *objects) unzip(r io.Reader) (io.Reader, error) {
	o.br.Reset(r)
	if z, ok := o.z.(zlib.Resetter); ok {
		return o.z, z.Reset(o.br, nil)
	}
	z, err := zlib.NewReader(o.br)
	if err != nil {
		return nil, err
	}
	o.z = z
	return z, nil
}

// loose reads an object that has a file of its own.
func (o *objects) loose(id string) (object, error) {
	f, err := o.open(id)
	if err != nil {
		return object{}, err
	}
	defer f.Close()
	z, err := o.unzip(f)
	if err != nil {
		return object{}, damaged("loose object")
	}
	br := bufio.NewReader(io.LimitReader(z, maxObject+64))
	head, err := br.ReadSlice(0)
	if err != nil {
		return object{}, damaged("loose object")
	}
	word, number, _ := strings.Cut(string(head[:len(head)-1]), " ")
	size, err := strconv.ParseInt(number, 10, 64)
	if err != nil || size < 0 || size > maxObject {
		return object{}, damaged("size of a loose object")
	}
	kind := slices.Index([]string{"", "commit", "tree", "blob", "tag"}, word)
	if kind < typeCommit {
		return object{}, damaged("type of a loose object")
	}
	b, err := io.ReadAll(io.LimitReader(br, size+1))
	o.read += int64(len(b))
	if err != nil || int64(len(b)) != size {
		return object{}, damaged("loose object")
	}
	return object{kind, b}, nil
}

func (o *objects) packed(hash []byte) (object, error) {
	for _, p := range o.packs {
		off, err := p.find(hash)
		if err != nil {
			return object{}, err
		}
		if off >= 0 {
			return o.unpack(p, off)
		}
	}
	return object{}, fmt.Errorf("%x: %w", hash, errMissing)
}

// unpack reads the object at an offset of a pack: the chain of its deltas, down to
// what is whole, and up again.
func (o *objects) unpack(p *pack, off int64) (object, error) {
	type step struct {
		off   int64
		delta []byte
	}
	var steps []step
	held := 0
	for {
		if len(steps) > maxDelta || held > 4*maxObject {
			return object{}, damaged("chain of deltas")
		}
		x, known := o.known(key{pack: p, off: off})
		if !known {
			kind, size, at, err := p.head(off)
			if err != nil {
				return object{}, err
			}
			next, at, err := o.base(p, kind, off, at)
			if err != nil {
				return object{}, err
			}
			b, err := o.inflate(p, at, size)
			if err != nil {
				return object{}, err
			}
			if next >= 0 {
				steps, held, off = append(steps, step{off, b}), held+len(b), next
				continue
			}
			x = object{kind, b}
			o.keep(key{pack: p, off: off}, x)
		}
		for _, d := range slices.Backward(steps) {
			b, err := patch(x.data, d.delta)
			if err != nil {
				return object{}, err
			}
			o.read += int64(len(b))
			x = object{x.kind, b}
			o.keep(key{pack: p, off: d.off}, x)
		}
		return x, nil
	}
}

// base gives where the base of a delta is, -1 for an object that is whole, and
// where the compressed bytes begin.
func (o *objects) base(p *pack, kind int, off, at int64) (next, begin int64, err error) {
	switch kind {
	case typeCommit, typeTree, typeBlob, typeTag:
		return -1, at, nil
	case typeOffDelta:
		back, n, err := p.back(at)
		if err != nil || back <= 0 || back >= off {
			return 0, 0, damaged("base of a delta")
		}
		return off - back, at + n, nil
	case typeRefDelta:
		hash := make([]byte, o.width)
		if _, err := p.data.ReadAt(hash, at); err != nil {
			return 0, 0, damaged("base of a delta")
		}
		next, err := p.find(hash)
		if err != nil || next < 0 || next == off { // packs on disk have it themselves
			return 0, 0, damaged("base of a delta")
		}
		return next, at + int64(o.width), nil
	}
	return 0, 0, damaged("type of a packed object")
}

// head reads an object's type and size, and gives where the rest begins.
func (p *pack) head(off int64) (kind int, size, at int64, err error) {
	var b [10]byte
	n, _ := p.data.ReadAt(b[:], off)
	if off < 12 || n < 1 {
		return 0, 0, 0, damaged("offset in a pack")
	}
	kind, size = int(b[0]>>4&7), int64(b[0]&15)
	i := 1
	for shift := 4; b[i-1]&0x80 != 0; shift += 7 {
		if i >= n || shift > 32 {
			return 0, 0, 0, damaged("size of a packed object")
		}
		size |= int64(b[i]&0x7f) << shift
		i++
	}
	if size > maxObject {
		return 0, 0, 0, fmt.Errorf("object of %d bytes, at most %d are read: %w", size, maxObject, ErrDamaged)
	}
	return kind, size, off + int64(i), nil
}

// back reads how far before a delta its base begins, and how long that number is.
func (p *pack) back(at int64) (back, length int64, err error) {
	var b [10]byte
	n, _ := p.data.ReadAt(b[:], at)
	for i := range n {
		if i > 0 {
			back++
		}
		back = back<<7 | int64(b[i]&0x7f)
		if back > 1<<50 {
			break
		}
		if b[i]&0x80 == 0 {
			return back, int64(i + 1), nil
		}
	}
	return 0, 0, damaged("base of a delta")
}

func (o *objects) inflate(p *pack, at, size int64) ([]byte, error) {
	z, err := o.unzip(io.NewSectionReader(p.data, at, max(0, p.size-at)))
	if err != nil {
		return nil, damaged("packed object")
	}
	var b bytes.Buffer
	b.Grow(int(min(size, 1<<20)) + bytes.MinRead)
	n, err := io.Copy(&b, io.LimitReader(z, size+1))
	o.read += n
	if err != nil || n != size {
		return nil, damaged("packed object")
	}
	return b.Bytes(), nil
}

// patch applies a delta: copies from base, and bytes of its own.
func patch(base, delta []byte) ([]byte, error) {
	from, n := binary.Uvarint(delta)
	if n <= 0 || from != uint64(len(base)) {
		return nil, damaged("delta")
	}
	delta = delta[n:]
	size, n := binary.Uvarint(delta)
	if n <= 0 || size > maxObject {
		return nil, damaged("delta")
	}
	delta = delta[n:]
	out := make([]byte, 0, min(size, 64<<10))
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			if op == 0 || int(op) > len(delta) {
				return nil, damaged("delta")
			}
			out, delta = append(out, delta[:op]...), delta[op:]
		} else {
			var v [7]byte // four of offset, three of length
			for i := range v {
				if op>>i&1 == 0 {
					continue
				}
				if len(delta) == 0 {
					return nil, damaged("delta")
				}
				v[i], delta = delta[0], delta[1:]
			}
			at := int64(binary.LittleEndian.Uint32(v[:4]))
			length := int64(v[4]) | int64(v[5])<<8 | int64(v[6])<<16
			if length == 0 {
				length = 0x10000
			}
			if at+length > int64(len(base)) {
				return nil, damaged("delta")
			}
			out = append(out, base[at:at+length]...)
		}
		if uint64(len(out)) > size {
			return nil, damaged("delta")
		}
	}
	if uint64(len(out)) != size {
		return nil, damaged("delta")
	}
	return out, nil
}
