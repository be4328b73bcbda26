// SPDX-License-Identifier: Apache-2.0

// Package bdbtest writes small Berkeley DB hash files for tests. It knows just
// enough of the layout for package bdb to read it: no hashing, every pair in
// the next free place.
package bdbtest

import "encoding/binary"

// A Pair is one entry.
type Pair struct{ Key, Value []byte }

// Write gives a hash file with pages of pageSize bytes. Values of more than a
// quarter of a page go to overflow pages, as Berkeley DB does it.
func Write(order binary.ByteOrder, pageSize int, pairs []Pair) []byte {
	const header = 26
	file := make([]byte, pageSize)
	add := func(kind byte) (no uint32, page []byte) {
		no = uint32(len(file) / pageSize)
		file = append(file, make([]byte, pageSize)...)
		page = file[int(no)*pageSize:]
		order.PutUint32(page[8:], no)
		page[25] = kind
		return no, page
	}
	for len(pairs) > 0 {
		const hashPage, overflowPage = 13, 7
		no, _ := add(hashPage)
		end, entries := pageSize, 0
		put := func(item []byte) {
			page := file[int(no)*pageSize:]
			end -= len(item)
			copy(page[end:], item)
			order.PutUint16(page[header+2*entries:], uint16(end))
			entries++
			order.PutUint16(page[20:], uint16(entries))
			order.PutUint16(page[22:], uint16(end))
		}
		for len(pairs) > 0 {
			p := pairs[0]
			big := len(p.Value) > pageSize/4
			size := 1 + len(p.Key) + 1 + len(p.Value)
			if big {
				size = 1 + len(p.Key) + 12
			}
			if header+2*(entries+2) > end-size {
				break
			}
			pairs = pairs[1:]
			put(append([]byte{1}, p.Key...))
			if !big {
				put(append([]byte{1}, p.Value...))
				continue
			}
			ref := make([]byte, 12)
			ref[0] = 3
			order.PutUint32(ref[4:], uint32(len(file)/pageSize))
			order.PutUint32(ref[8:], uint32(len(p.Value)))
			put(ref)
			for v := p.Value; len(v) > 0; {
				next, page := add(overflowPage)
				n := copy(page[header:], v)
				v = v[n:]
				order.PutUint16(page[22:], uint16(n))
				if len(v) > 0 {
					order.PutUint32(page[16:], next+1)
				}
			}
		}
	}
	order.PutUint32(file[12:], 0x00061561)
	order.PutUint32(file[16:], 9)
	order.PutUint32(file[20:], uint32(pageSize))
	file[25] = 8
	order.PutUint32(file[32:], uint32(len(file)/pageSize-1))
	return file
}
