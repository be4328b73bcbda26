// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// A pathHash stands for a path in the record of a layer: eight bytes of SHA-256
// keep a layer's paths small. Two of a million paths are taken for one with a
// chance of 1 to 37 million; whoever made them collide on purpose could as well
// leave a file out of the image.
type pathHash [8]byte

// A chain is the hash of a path: of its parent's chain and its last element, so
// that a deep path costs no more than a flat one. The zero chain is the root.
type chain [sha256.Size]byte

func (c chain) child(name string) chain {
	return sha256.Sum256(append(append(make([]byte, 0, 256), c[:]...), name...))
}

func (c chain) short() (h pathHash) {
	copy(h[:], c[:])
	return h
}

// asDir is what a directory has in place of short: a lower file of that name is
// covered, and what lies in a lower directory of that name is not.
func (c chain) asDir() pathHash {
	c[0] ^= 0xff
	return c.short()
}

// A mark stands for one path in the record of a layer: its pathHash, then its
// size in units of 64 bytes, rounded up, as 32 bits of which the highest says
// that it is the size of all that lies below a directory.
type mark [12]byte

const (
	markUnit = 64
	markTree = 1 << 31
)

func newMark(h pathHash, size int64, tree bool) (m mark) {
	n := uint32(min((max(size, 0)+markUnit-1)/markUnit, markTree-1))
	if tree {
		n |= markTree
	}
	copy(m[:], h[:])
	binary.LittleEndian.PutUint32(m[8:], n)
	return m
}

func (m mark) hash() pathHash { return pathHash(m[:8]) }

// size gives bytes, and whether they are those of a whole tree.
func (m mark) size() (n int64, tree bool) {
	v := binary.LittleEndian.Uint32(m[8:])
	return int64(v&^markTree) * markUnit, v&markTree != 0
}

// asTree is what a directory's whole content has in place of short.
func (c chain) asTree() pathHash {
	c[1] ^= 0xff
	return c.short()
}

// folders is the directories down to the last entry's: entries of one directory
// mostly follow each other, and the chain of its path is made once. It counts
// the bytes below each; a directory that is come back to is counted in parts.
type folders struct {
	dir   string // of the last entry; "" is the root
	open  []folder
	leave func(chain, int64) // told of each directory that is left
}

type folder struct {
	end   int // of its path in folders.dir
	chain chain
	bytes int64
}

// maxOpen bounds the directories that are remembered; deeper ones count for the
// last of them.
const maxOpen = 256

// of gives the chain of path p, which brings size bytes.
func (f *folders) of(p string, size int64) chain {
	if p == "." {
		return chain{}
	}
	dir, name := "", p
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		dir, name = p[:i], p[i+1:]
	}
	if dir != f.dir {
		f.enter(dir)
	}
	c := chain{}
	if n := len(f.open); n > 0 {
		c = f.open[n-1].chain
		f.open[n-1].bytes += size
		if rest := dir[f.open[n-1].end:]; rest != "" {
			for part := range strings.SplitSeq(rest[1:], "/") {
				c = c.child(part)
			}
		}
	}
	return c.child(name)
}

func (f *folders) enter(dir string) {
	for n := len(f.open); n > 0; n = len(f.open) {
		end := f.open[n-1].end
		if len(dir) >= end && dir[:end] == f.dir[:end] && (len(dir) == end || dir[end] == '/') {
			break
		}
		f.pop()
	}
	f.dir = dir
	at, c := 0, chain{}
	if n := len(f.open); n > 0 {
		at, c = f.open[n-1].end+1, f.open[n-1].chain
	}
	for at < len(dir) && len(f.open) < maxOpen {
		end := len(dir)
		if i := strings.IndexByte(dir[at:], '/'); i >= 0 {
			end = at + i
		}
		c = c.child(dir[at:end])
		f.open = append(f.open, folder{end: end, chain: c})
		at = end + 1
	}
}

// pop leaves the innermost directory.
func (f *folders) pop() {
	n := len(f.open) - 1
	last := f.open[n]
	f.open = f.open[:n]
	if n > 0 {
		f.open[n-1].bytes += last.bytes
	}
	if last.bytes > 0 {
		f.leave(last.chain, last.bytes)
	}
}

// close leaves all directories.
func (f *folders) close() {
	for len(f.open) > 0 {
		f.pop()
	}
	f.dir = ""
}

// mark notes one path for the record.
func (p *parser) mark(m mark) {
	if p.marks = append(p.marks, m[:]...); len(p.marks) >= markBlock {
		p.flushMarks()
	}
}

func (p *parser) flushMarks() {
	if len(p.marks) > 0 {
		p.emit(&answer{Marks: p.marks})
		p.marks = p.marks[:0]
	}
}
