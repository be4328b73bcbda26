// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
)

// wasted gives the bytes of layer i's files that later layers hide: files that
// are replaced or deleted, and trees that go with their directory. What is hidden
// both ways is counted once as far as can be told; the sum is never more than the
// layer has.
func (s *stack) wasted(i int) int64 {
	rec := s.records[i]
	var sum int64
	gone := make(map[int]bool)
	for _, later := range s.records[i+1:] {
		shared(rec.marks, later.marks, func(at int) {
			if n, tree := rec.marks[at].size(); !tree && !gone[at] && n > 0 {
				gone[at] = true
				sum += n
			}
		})
		hide := func(p string, whole bool) {
			l := lineageOf(p)
			if at, ok := rec.find(l.tree); ok {
				for ; at < len(rec.marks) && rec.marks[at].hash() == l.tree; at++ {
					if n, tree := rec.marks[at].size(); tree && !gone[at] {
						gone[at] = true
						sum += n
					}
				}
			}
			if !whole || len(l.hashes) == 0 {
				return
			}
			if at, ok := rec.find(l.hashes[0]); ok && !gone[at] {
				n, _ := rec.marks[at].size()
				gone[at] = true
				sum += n
			}
		}
		for _, p := range later.Whiteouts {
			hide(p, true)
		}
		for _, p := range later.Opaques {
			hide(p, false)
		}
	}
	return min(sum, rec.Size)
}

// shared tells the index in a of each path that b has, too. Both are sorted.
func shared(a, b []mark, at func(int)) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch bytes.Compare(a[i][:len(pathHash{})], b[j][:len(pathHash{})]) {
		case -1:
			i++
		case 1:
			j++
		default:
			at(i)
			i++
		}
	}
}
