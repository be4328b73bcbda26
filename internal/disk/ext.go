// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"context"
	"errors"
	"fmt"

	"github.com/bulwark-sec/bulwark/internal/limit"
)

// ext is a file system of the family of ext2, ext3 and ext4
// (https://docs.kernel.org/filesystems/ext4/).
type ext struct {
	d         *blocks
	block     int64
	inodes    uint32
	perGroup  uint32
	inodeSize int64
	desc      int64 // bytes of one group descriptor
	table     int64 // where they lie
	wide      bool  // block numbers of 64 bits
}

// Features without which a file system must not be read.
const (
	extFiletype = 0x2
	extRecover  = 0x4
	extMetaBG   = 0x10
	extExtents  = 0x40
	ext64       = 0x80
	extMMP      = 0x100
	extFlexBG   = 0x200
	extEAInode  = 0x400
	extDirData  = 0x1000
	extCsumSeed = 0x2000
	extLargeDir = 0x4000
	extInline   = 0x8000
	extEncrypt  = 0x10000
	extCasefold = 0x20000
	extKnown    = extFiletype | extRecover | extExtents | ext64 | extMMP | extFlexBG | extEAInode | extCsumSeed | extLargeDir | extInline | extEncrypt | extCasefold
)

func openExt(d *blocks, sb []byte) (*ext, string, error) {
	incompat := le.Uint32(sb[0x60:])
	if more := incompat &^ extKnown; more != 0 {
		return nil, "", fmt.Errorf("features %#x are not known: %w", more, errors.ErrUnsupported)
	}
	shift := le.Uint32(sb[0x18:])
	if shift > 6 {
		return nil, "", malformed("block size")
	}
	e := &ext{d: d, block: 1024 << shift, inodes: le.Uint32(sb), perGroup: le.Uint32(sb[0x28:]), inodeSize: 128, desc: 32}
	if le.Uint32(sb[0x4c:]) > 0 {
		e.inodeSize = int64(le.Uint16(sb[0x58:]))
	}
	if e.wide = incompat&ext64 != 0; e.wide {
		e.desc = int64(le.Uint16(sb[0xfe:]))
	}
	if e.perGroup == 0 || e.inodeSize < 128 || e.inodeSize > e.block || e.desc < 32 || e.desc > 1024 || e.wide && e.desc < 64 {
		return nil, "", malformed("superblock")
	}
	e.table = (int64(le.Uint32(sb[0x14:])) + 1) * e.block
	note := ""
	if incompat&extRecover != 0 {
		note = "it was not unmounted: what only its journal holds was not read"
	}
	return e, note, nil
}

func (e *ext) root() uint64    { return 2 }
func (e *ext) device() *blocks { return e.d }

func (e *ext) stat(id uint64) (*inode, error) {
	if id == 0 || id > uint64(e.inodes) {
		return nil, malformed("an inode that there is not")
	}
	group, index := int64(id-1)/int64(e.perGroup), int64(id-1)%int64(e.perGroup)
	g, err := e.d.small(int(e.desc), e.table+group*e.desc)
	if err != nil {
		return nil, err
	}
	table := uint64(le.Uint32(g[8:]))
	if e.wide {
		table |= uint64(le.Uint32(g[0x28:])) << 32
	}
	at, err := e.where(table)
	if err != nil {
		return nil, err
	}
	raw, err := e.d.small(int(e.inodeSize), at+index*e.inodeSize)
	if err != nil {
		return nil, err
	}
	n := &inode{id: id, mode: le.Uint16(raw), size: int64(le.Uint32(raw[4:])), raw: raw}
	if n.mode&typeMask == typeFile || n.mode&typeMask == typeDir {
		n.size |= int64(le.Uint32(raw[0x6c:])) << 32
	}
	if n.size < 0 || n.mode == 0 {
		return nil, malformed("inode")
	}
	return n, nil
}

// where gives the place of a block on the device, bytes.
func (e *ext) where(block uint64) (int64, error) {
	if block > uint64(e.d.size/e.block) {
		return 0, malformed("a block outside of the file system")
	}
	return int64(block) * e.block, nil
}

// Flags of inodes.
const (
	flagEncrypted = 0x800
	flagExtents   = 0x80000
	flagInline    = 0x10000000
)

func (e *ext) flags(n *inode) uint32 { return le.Uint32(n.raw[0x20:]) }
func (e *ext) body(n *inode) []byte  { return n.raw[0x28 : 0x28+60] }

func (e *ext) link(n *inode) (string, error) {
	if n.size < 60 && e.flags(n)&(flagExtents|flagEncrypted) == 0 {
		return string(e.body(n)[:n.size]), nil
	}
	b, err := whole(e, n, maxLink)
	return string(b), err
}

func (e *ext) list(ctx context.Context, n *inode) (out []name, err error) {
	if e.flags(n)&flagInline != 0 {
		return nil, fmt.Errorf("a directory inside of its inode is not read: %w", errors.ErrUnsupported)
	}
	b, err := whole(e, n, maxDir)
	if err != nil {
		return nil, err
	}
	for len(b) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		block := b[:min(int64(len(b)), e.block)]
		b = b[len(block):]
		for len(block) >= 8 {
			id, length, size := le.Uint32(block), int(le.Uint16(block[4:])), int(block[6])
			if length == 0 && e.block == 64<<10 {
				length = len(block)
			}
			if length < 8 || length > len(block) || 8+size > length && id != 0 {
				return out, malformed("directory")
			}
			if s := string(block[8:min(8+size, length)]); id != 0 && s != "." && s != ".." {
				out = append(out, name{s, uint64(id)})
			}
			block = block[length:]
		}
	}
	return out, nil
}

func (e *ext) runs(n *inode) ([]run, error) {
	flags := e.flags(n)
	switch {
	case flags&flagEncrypted != 0:
		return nil, fmt.Errorf("it is encrypted: %w", errors.ErrUnsupported)
	case flags&flagInline != 0:
		return nil, fmt.Errorf("content inside of an inode is not read: %w", errors.ErrUnsupported)
	case flags&flagExtents != 0:
		var out []run
		budget := maxRuns
		err := e.extents(&out, e.body(n), 5, &budget)
		return out, sorted(out, err)
	}
	var out []run
	blocks := (n.size + e.block - 1) / e.block
	body := e.body(n)
	at, budget := int64(0), maxRuns
	for i := range 15 {
		if err := e.indirect(&out, uint64(le.Uint32(body[4*i:])), max(0, i-11), &at, blocks, &budget); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sorted errs when pieces of a file lie over each other.
func sorted(list []run, err error) error {
	end := int64(0)
	for _, r := range list {
		if err == nil && (r.at < end || r.length <= 0 || r.at > 1<<62-r.length) {
			err = malformed("the pieces of a file overlap")
		}
		end = r.at + r.length
	}
	return err
}

// extents reads a node of the tree of extents and what lies below it.
func (e *ext) extents(out *[]run, b []byte, depth int, budget *int) error {
	if len(b) < 12 || le.Uint16(b) != 0xf30a {
		return malformed("tree of extents")
	}
	n, level := int(le.Uint16(b[2:])), int(le.Uint16(b[6:]))
	if level > depth || 12+12*n > len(b) {
		return malformed("tree of extents")
	}
	for i := range n {
		x := b[12+12*i:]
		if *budget--; *budget < 0 {
			return fmt.Errorf("a file in more than %d pieces: %w", maxRuns, limit.ErrExceeded)
		}
		if level > 0 {
			at, err := e.where(uint64(le.Uint32(x[4:])) | uint64(le.Uint16(x[8:]))<<32)
			if err != nil {
				return err
			}
			child := make([]byte, e.block)
			if err := e.d.read(child, at); err != nil {
				return err
			}
			if err := e.extents(out, child, level-1, budget); err != nil {
				return err
			}
			continue
		}
		length := int64(le.Uint16(x[4:]))
		at, err := e.where(uint64(le.Uint32(x[8:])) | uint64(le.Uint16(x[6:]))<<32)
		if err != nil {
			return err
		}
		if length > 1<<15 { // room that was never written to
			length, at = length-1<<15, -1
		}
		*out = append(*out, run{int64(le.Uint32(x)) * e.block, length * e.block, at})
	}
	return nil
}

// indirect reads a block number of the old form, and the blocks of numbers that
// it leads to.
func (e *ext) indirect(out *[]run, block uint64, level int, at *int64, blocks int64, budget *int) error {
	if *at >= blocks {
		return nil
	}
	if block == 0 { // a hole
		n := int64(1)
		for range level {
			n *= e.block / 4
		}
		*at += n
		return nil
	}
	where, err := e.where(block)
	if err != nil {
		return err
	}
	if *budget--; *budget < 0 {
		return fmt.Errorf("a file in more than %d pieces: %w", maxRuns, limit.ErrExceeded)
	}
	if level == 0 {
		last := len(*out) - 1
		if last >= 0 && (*out)[last].at+(*out)[last].length == *at*e.block && (*out)[last].where+(*out)[last].length == where {
			(*out)[last].length += e.block
		} else {
			*out = append(*out, run{*at * e.block, e.block, where})
		}
		*at++
		return nil
	}
	b := make([]byte, e.block)
	if err := e.d.read(b, where); err != nil {
		return err
	}
	for ; len(b) >= 4; b = b[4:] {
		if err := e.indirect(out, uint64(le.Uint32(b)), level-1, at, blocks, budget); err != nil {
			return err
		}
	}
	return nil
}
