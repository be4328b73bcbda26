// SPDX-License-Identifier: Apache-2.0

package index

import (
	"encoding/binary"
	"math"
)

// perBlock is the number of keys that share a block. More keys are smaller and
// slower: a lookup reads half a block on average.
const perBlock = 16

// A table is a sorted map from strings to runs of bytes. Keys lie in blocks of
// perBlock, each key but the first written as what differs from the one before
// it; values lie behind each other in one section, in the order of the keys.
type table struct {
	index   []byte // start of each block, u32
	blocks  []byte
	payload []byte
	n       int // keys
}

func (t *table) check() error {
	if t.n < 0 || t.n > math.MaxInt32 || len(t.index) != 4*((t.n+perBlock-1)/perBlock) {
		return corrupt("key index")
	}
	return nil
}

// open gives a cursor behind the first key of a block, that key, and where its
// value starts.
func (t *table) open(block int) (c cur, head []byte, payload uint64) {
	c = from(t.blocks, uint64(binary.LittleEndian.Uint32(t.index[4*block:])))
	payload = c.num()
	head = c.run(c.num())
	return c, head, payload
}

// find gives the value of key; false when it is not there.
func (t *table) find(key string) ([]byte, bool, error) {
	lo, hi := 0, len(t.index)/4 // the block is before hi; blocks before lo start at or before key
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		c, head, _ := t.open(mid)
		if c.bad {
			return nil, false, corrupt("key block")
		}
		if string(head) <= key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return nil, false, nil
	}
	block := lo - 1
	c, head, at := t.open(block)
	var room [256]byte
	k := append(room[:0], head...)
	for i := block * perBlock; ; {
		size := c.num()
		if c.bad {
			return nil, false, corrupt("key block")
		}
		if string(k) == key {
			if at > uint64(len(t.payload)) || size > uint64(len(t.payload))-at {
				return nil, false, corrupt("value")
			}
			return t.payload[at : at+size], true, nil
		}
		if i++; i%perBlock == 0 || i >= t.n || string(k) > key {
			return nil, false, nil
		}
		at += size // may wrap round on a damaged file; the check above bears it
		shared := c.num()
		rest := c.run(c.num())
		if c.bad || shared > uint64(len(k)) || len(k)+len(rest) > 2*MaxString {
			return nil, false, corrupt("key block")
		}
		k = append(k[:shared], rest...)
	}
}

// all calls yield for every key in order until it gives false. The value and
// the key are valid during the call.
func (t *table) all(yield func(key, value []byte) bool) error {
	var k []byte
	for block := range len(t.index) / 4 {
		c, head, at := t.open(block)
		if c.bad {
			return corrupt("key block")
		}
		k = append(k[:0], head...)
		for i := block * perBlock; ; {
			size := c.num()
			if c.bad || at > uint64(len(t.payload)) || size > uint64(len(t.payload))-at {
				return corrupt("value")
			}
			if !yield(k, t.payload[at:at+size]) {
				return nil
			}
			if i++; i%perBlock == 0 || i >= t.n {
				break
			}
			at += size
			shared := c.num()
			rest := c.run(c.num())
			if c.bad || shared > uint64(len(k)) || len(k)+len(rest) > 2*MaxString {
				return corrupt("key block")
			}
			k = append(k[:shared], rest...)
		}
	}
	return nil
}

// A tableWriter makes a table from keys in rising order.
type tableWriter struct {
	index, blocks, payload []byte
	n                      int
	last                   string
}

func (w *tableWriter) add(key string, value []byte) {
	if w.n%perBlock == 0 {
		w.index = binary.LittleEndian.AppendUint32(w.index, uint32(len(w.blocks)))
		w.blocks = binary.AppendUvarint(w.blocks, uint64(len(w.payload)))
		w.blocks = binary.AppendUvarint(w.blocks, uint64(len(key)))
		w.blocks = append(w.blocks, key...)
	} else {
		shared := 0
		for shared < len(key) && shared < len(w.last) && key[shared] == w.last[shared] {
			shared++
		}
		w.blocks = binary.AppendUvarint(w.blocks, uint64(shared))
		w.blocks = binary.AppendUvarint(w.blocks, uint64(len(key)-shared))
		w.blocks = append(w.blocks, key[shared:]...)
	}
	w.blocks = binary.AppendUvarint(w.blocks, uint64(len(value)))
	w.payload = append(w.payload, value...)
	w.last = key
	w.n++
}
