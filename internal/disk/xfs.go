// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"fmt"

	"github.com/bulwark-sec/bulwark/internal/limit"
)

// xfs is a file system of XFS, version 4 or 5
// (https://mirrors.edge.kernel.org/pub/linux/utils/fs/xfs/docs/xfs_filesystem_structure.pdf).
type xfs struct {
	d         *blocks
	block     int64
	dirBlock  int64
	agBlocks  int64
	agCount   uint64
	agBits    uint // of a block's number in its allocation group
	inoBits   uint // of an inode's number in its block
	inodeSize int64
	rootID    uint64
	v5        bool
	ftype     bool // directories say what an entry is
}

// Features of version 5 that are known.
const xfsKnown = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x40 | 0x80 // ftype, sparse inodes, meta UUID, big time, many extents, exchange range, parent pointers

func openXFS(d *blocks, sb []byte) (*xfs, error) {
	if len(sb) < 512 {
		return nil, malformed("superblock")
	}
	x := &xfs{
		d: d, block: int64(be.Uint32(sb[4:])), agBlocks: int64(be.Uint32(sb[84:])), agCount: uint64(be.Uint32(sb[88:])),
		agBits: uint(sb[124]), inoBits: uint(sb[123]), inodeSize: int64(be.Uint16(sb[104:])), rootID: be.Uint64(sb[56:]),
	}
	x.dirBlock = x.block << min(sb[192], 16)
	switch version := be.Uint16(sb[100:]) & 0xf; version {
	case 4:
		x.ftype = be.Uint32(sb[200:])&0x200 != 0
	case 5:
		x.v5 = true
		incompat := be.Uint32(sb[216:])
		x.ftype = incompat&1 != 0
		if more := incompat &^ xfsKnown; more != 0 {
			return nil, fmt.Errorf("features %#x are not known: %w", more, errors.ErrUnsupported)
		}
	default:
		return nil, fmt.Errorf("version %d: %w", version, errors.ErrUnsupported)
	}
	if x.block < 512 || x.block > 64<<10 || x.block&(x.block-1) != 0 || x.inodeSize < 256 || x.inodeSize > x.block || x.inodeSize > 2048 ||
		x.agBits > 32 || x.inoBits > 16 || x.agBlocks == 0 || x.dirBlock > 64<<10 {
		return nil, malformed("superblock")
	}
	return x, nil
}

func (x *xfs) root() uint64    { return x.rootID }
func (x *xfs) device() *blocks { return x.d }

// where gives the place of a block on the device, bytes.
func (x *xfs) where(block uint64) (int64, error) {
	ag, in := block>>x.agBits, int64(block&(1<<x.agBits-1))
	if ag >= x.agCount || in >= x.agBlocks {
		return 0, malformed("a block outside of the file system")
	}
	return (int64(ag)*x.agBlocks + in) * x.block, nil
}

func (x *xfs) stat(id uint64) (*inode, error) {
	at, err := x.where(id >> x.inoBits)
	if err != nil {
		return nil, err
	}
	raw, err := x.d.small(int(x.inodeSize), at+int64(id&(1<<x.inoBits-1))*x.inodeSize)
	if err != nil {
		return nil, err
	}
	n := &inode{id: id, mode: be.Uint16(raw[2:]), size: int64(be.Uint64(raw[56:])), raw: raw}
	if string(raw[:2]) != "IN" || n.size < 0 || n.mode == 0 || raw[4] > 3 {
		return nil, malformed("inode")
	}
	return n, nil
}

// The forms of the part of an inode that holds its content.
const (
	forkLocal   = 1
	forkExtents = 2
	forkTree    = 3
)

// fork gives the part of an inode that holds its content or leads to it.
func (x *xfs) fork(n *inode) []byte {
	core := 100
	if n.raw[4] == 3 {
		core = 176
	}
	b := n.raw[core:]
	if off := int(n.raw[82]) * 8; off > 0 && off < len(b) {
		b = b[:off]
	}
	return b
}

func (x *xfs) runs(n *inode) ([]run, error) {
	b := x.fork(n)
	var out []run
	switch n.raw[5] {
	case forkExtents:
		count := uint64(be.Uint32(n.raw[76:]))
		const manyExtents = 1 << 4
		if n.raw[4] == 3 && be.Uint64(n.raw[120:])&manyExtents != 0 {
			count = be.Uint64(n.raw[24:])
		}
		if count > uint64(len(b)/16) {
			return nil, malformed("list of extents")
		}
		err := x.extents(&out, b[:16*count])
		return out, sorted(out, err)
	case forkTree:
		if len(b) < 4 {
			return nil, malformed("tree of extents")
		}
		level, n := int(be.Uint16(b)), int(be.Uint16(b[2:]))
		most := (len(b) - 4) / 16
		if n > most || level < 1 || level > 9 {
			return nil, malformed("tree of extents")
		}
		budget := maxRuns
		for i := range n {
			if err := x.node(&out, be.Uint64(b[4+8*most+8*i:]), level-1, &budget); err != nil {
				return nil, err
			}
		}
		return out, sorted(out, nil)
	}
	return nil, fmt.Errorf("content of the form %d is not read: %w", n.raw[5], errors.ErrUnsupported)
}

// node reads a block of the tree of extents and what lies below it.
func (x *xfs) node(out *[]run, block uint64, level int, budget *int) error {
	at, err := x.where(block)
	if err != nil {
		return err
	}
	if *budget--; *budget < 0 || len(*out) > maxRuns {
		return fmt.Errorf("a file in more than %d pieces: %w", maxRuns, limit.ErrExceeded)
	}
	b := make([]byte, x.block)
	if err := x.d.read(b, at); err != nil {
		return err
	}
	magic, head := "BMAP", 24
	if x.v5 {
		magic, head = "BMA3", 72
	}
	n := int(be.Uint16(b[6:]))
	most := (len(b) - head) / 16
	if string(b[:4]) != magic || int(be.Uint16(b[4:])) != level || n > most {
		return malformed("tree of extents")
	}
	if level == 0 {
		return x.extents(out, b[head:head+16*n])
	}
	for i := range n {
		if err := x.node(out, be.Uint64(b[head+8*most+8*i:]), level-1, budget); err != nil {
			return err
		}
	}
	return nil
}

// extents reads packed records: a flag, 54 bits of place in the file, 52 bits of
// block, 21 bits of length.
func (x *xfs) extents(out *[]run, b []byte) error {
	for ; len(b) >= 16; b = b[16:] {
		hi, lo := be.Uint64(b), be.Uint64(b[8:])
		off, length := int64(hi>>9&(1<<54-1)), int64(lo&(1<<21-1))
		at, err := x.where(hi&(1<<9-1)<<43 | lo>>21)
		if err != nil {
			return err
		}
		if off > 1<<46 {
			return malformed("extent")
		}
		if hi>>63 != 0 { // room that was never written to
			at = -1
		}
		*out = append(*out, run{off * x.block, length * x.block, at})
	}
	return nil
}

func (x *xfs) link(n *inode) (string, error) {
	if n.size > maxLink {
		return "", fmt.Errorf("a link of %d bytes: %w", n.size, limit.ErrExceeded)
	}
	if n.raw[5] == forkLocal {
		b := x.fork(n)
		if n.size > int64(len(b)) {
			return "", malformed("link")
		}
		return string(b[:n.size]), nil
	}
	list, err := x.runs(n)
	if err != nil {
		return "", err
	}
	var out []byte
	for _, r := range list {
		if r.where < 0 || r.length > 64<<10 {
			return "", malformed("link")
		}
		b := make([]byte, r.length)
		if err := x.d.read(b, r.where); err != nil {
			return "", err
		}
		if x.v5 { // every block begins with a head of its own
			for ; int64(len(b)) >= x.block; b = b[x.block:] {
				out = append(out, b[56:x.block]...)
			}
		} else {
			out = append(out, b...)
		}
	}
	if int64(len(out)) < n.size {
		return "", malformed("link")
	}
	return string(out[:n.size]), nil
}

func (x *xfs) list(ctx context.Context, n *inode) ([]name, error) {
	if n.raw[5] == forkLocal {
		return x.short(n)
	}
	list, err := x.runs(n)
	if err != nil {
		return nil, err
	}
	var out []name
	read := int64(0)
	for _, r := range list {
		// Beyond 32 GiB lie the indexes of a directory.
		if r.at >= 32<<30 || r.where < 0 {
			continue
		}
		if read += r.length; read > maxDir {
			return out, fmt.Errorf("a directory of more than %d bytes: %w", maxDir, limit.ErrExceeded)
		}
		b := make([]byte, r.length)
		if err := x.d.read(b, r.where); err != nil {
			return out, err
		}
		for ; len(b) > 0; b = b[min(int64(len(b)), x.dirBlock):] {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if int64(len(b)) < x.dirBlock {
				return out, fmt.Errorf("a directory whose blocks lie apart is not read: %w", errors.ErrUnsupported)
			}
			if out, err = x.data(out, b[:x.dirBlock]); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// short reads a directory that lies in its inode.
func (x *xfs) short(n *inode) (out []name, err error) {
	b := x.fork(n)
	if n.size > int64(len(b)) || n.size < 6 {
		return nil, malformed("directory")
	}
	b = b[:n.size]
	count, width := int(b[0]), 4
	if b[1] > 0 {
		width = 8
	}
	if len(b) < 2+width {
		return nil, malformed("directory")
	}
	b = b[2+width:]
	kind := 0
	if x.ftype {
		kind = 1
	}
	for range count {
		if len(b) < 3 {
			return out, malformed("directory")
		}
		size := int(b[0])
		if len(b) < 3+size+kind+width {
			return out, malformed("directory")
		}
		id := b[3+size+kind:]
		e := name{name: string(b[3 : 3+size])}
		if width == 8 {
			e.id = be.Uint64(id)
		} else {
			e.id = uint64(be.Uint32(id))
		}
		out = append(out, e)
		b = id[width:]
	}
	return out, nil
}

// data reads one block of a directory's entries.
func (x *xfs) data(out []name, b []byte) ([]name, error) {
	head, end := 16, len(b)
	if x.v5 {
		head = 64
	}
	switch string(b[:4]) {
	case "XD2B", "XDB3": // with its index at the end
		n := int64(be.Uint32(b[len(b)-8:]))
		if n*8+8 > int64(len(b)-head) {
			return out, malformed("directory")
		}
		end = len(b) - 8 - int(n)*8
	case "XD2D", "XDD3":
	default:
		return out, malformed("directory")
	}
	kind := 0
	if x.ftype {
		kind = 1
	}
	for off := head; off+8 <= end; {
		if be.Uint16(b[off:]) == 0xffff {
			length := int(be.Uint16(b[off+2:]))
			if length < 8 || length > end-off {
				return out, malformed("directory")
			}
			off += length
			continue
		}
		if off+11 > end {
			return out, malformed("directory")
		}
		size := int(b[off+8])
		length := (8 + 1 + size + kind + 2 + 7) &^ 7
		if length > end-off {
			return out, malformed("directory")
		}
		if s := string(b[off+9 : off+9+size]); s != "." && s != ".." {
			out = append(out, name{s, be.Uint64(b[off:])})
		}
		off += length
	}
	return out, nil
}
