// SPDX-License-Identifier: Apache-2.0

package disk

import (
	"errors"
	"fmt"
	"io"
)

// A partition is a piece of a disk.
type partition struct {
	number int // from 1; 0 is the whole disk
	start  int64
	size   int64
}

func (p partition) name() string {
	if p.number == 0 {
		return "(disk)"
	}
	return fmt.Sprintf("(partition %d)", p.number)
}

const (
	sector   = 512
	maxParts = 256
)

// errHarmless says that a partition holds no packages.
var errHarmless = errors.New("no packages lie there")

// open finds out which file system lies on the partition.
func (p partition) open(ra io.ReaderAt) (*volume, error) {
	d := newBlocks(ra, p.start, p.size)
	head := make([]byte, min(p.size, 70<<10))
	if err := d.read(head, 0); err != nil {
		return nil, err
	}
	at := func(off int, magic string) bool {
		return off+len(magic) <= len(head) && string(head[off:off+len(magic)]) == magic
	}
	unsupported := func(what, next string) error {
		return fmt.Errorf("%s is not read; %s: %w", what, next, errors.ErrUnsupported)
	}
	switch {
	case at(1024+0x38, "\x53\xef"):
		e, note, err := openExt(d, head[1024:])
		if err != nil {
			return nil, fmt.Errorf("ext4: %w", err)
		}
		return &volume{p, e, note}, nil
	case at(0, "XFSB"):
		x, err := openXFS(d, head)
		if err != nil {
			return nil, fmt.Errorf("xfs: %w", err)
		}
		return &volume{partition: p, fs: x}, nil
	case at(0, "LUKS\xba\xbe"):
		return nil, unsupported("LUKS encryption", "scan the machine itself by bulwark scan host")
	case at(512, "LABELONE"):
		return nil, unsupported("a volume group of LVM", "activate it and scan the mounted directory by bulwark scan fs")
	case at(0x10040, "_BHRfS_M"):
		return nil, unsupported("btrfs", "mount it and scan the directory by bulwark scan fs")
	case at(3, "NTFS    "):
		return nil, unsupported("NTFS", "mount it and scan the directory by bulwark scan fs")
	case at(0x52, "FAT32   "), at(0x36, "FAT16   "), at(0x36, "FAT12   "):
		return nil, fmt.Errorf("a FAT file system, as boot loaders have: %w", errHarmless)
	case at(4086, "SWAPSPACE2"), at(4086, "SWAP-SPACE"):
		return nil, fmt.Errorf("swap space: %w", errHarmless)
	case empty(head) && p.size <= 16<<20: // of a BIOS boot loader, or alignment
		return nil, fmt.Errorf("nothing: %w", errHarmless)
	}
	return nil, unsupported("a file system that is not known", "mount it and scan the directory by bulwark scan fs")
}

func empty(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// partitions lists those of a disk: its table's, or the whole disk when a file
// system begins at its start.
func partitions(ra io.ReaderAt, size int64) ([]partition, error) {
	head := make([]byte, min(size, 8192))
	if n, err := ra.ReadAt(head, 0); n < len(head) {
		return nil, fmt.Errorf("read disk: %w", err)
	}
	all := partition{size: size}
	if len(head) >= 2048 && string(head[1024+0x38:1024+0x3a]) == "\x53\xef" || len(head) > 4 && string(head[:4]) == "XFSB" {
		return []partition{all}, nil
	}
	if len(head) < sector || head[510] != 0x55 || head[511] != 0xaa {
		if _, err := all.open(ra); errors.Is(err, errors.ErrUnsupported) && len(head) == 8192 {
			return nil, err
		}
		return nil, nil
	}
	for _, unit := range []int64{512, 4096} {
		if int64(len(head)) >= unit+92 && string(head[unit:unit+8]) == "EFI PART" {
			return gpt(ra, size, unit, head[unit:])
		}
	}
	return mbr(ra, size, head)
}

// gpt reads the table of the UEFI specification, section 5.3
// (https://uefi.org/specs/UEFI/2.10/05_GUID_Partition_Table_Format.html).
func gpt(ra io.ReaderAt, size, unit int64, h []byte) (out []partition, err error) {
	table, n, each := le.Uint64(h[72:]), le.Uint32(h[80:]), int64(le.Uint32(h[84:]))
	if n > maxParts || each < 128 || each > 4096 || table > uint64(size/unit) {
		return nil, fmt.Errorf("read GPT: %d partitions of %d bytes: %w", n, each, errFormat)
	}
	b := make([]byte, int64(n)*each)
	if m, err := ra.ReadAt(b, int64(table)*unit); m < len(b) {
		return nil, fmt.Errorf("read GPT: %w", err)
	}
	for i := range int64(n) {
		e := b[i*each:]
		if empty(e[:16]) {
			continue
		}
		first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
		if first > last || last >= uint64(size/unit) {
			return nil, fmt.Errorf("read GPT: partition %d lies outside of the disk: %w", i+1, errFormat)
		}
		out = append(out, partition{int(i) + 1, int64(first) * unit, int64(last-first+1) * unit})
	}
	return out, nil
}

// mbr reads the table of the first sector, with logical partitions.
func mbr(ra io.ReaderAt, size int64, head []byte) (out []partition, err error) {
	extended := int64(0)
	add := func(number int, e []byte, base int64) error {
		start, n := base+int64(le.Uint32(e[8:]))*sector, int64(le.Uint32(e[12:]))*sector
		if n == 0 {
			return nil
		}
		if start >= size || n > size-start {
			return fmt.Errorf("read partition table: partition %d lies outside of the disk: %w", number, errFormat)
		}
		out = append(out, partition{number, start, n})
		return nil
	}
	for i := range 4 {
		e := head[446+16*i:]
		switch e[4] {
		case 0, 0xee:
		case 0x05, 0x0f, 0x85:
			extended = int64(le.Uint32(e[8:])) * sector
		default:
			if err := add(i+1, e, 0); err != nil {
				return nil, err
			}
		}
	}
	at := extended
	for number := 5; at > 0 && number < maxParts; number++ {
		b := make([]byte, sector)
		if n, err := ra.ReadAt(b, at); n < len(b) {
			return nil, fmt.Errorf("read partition table: %w", err)
		}
		if b[510] != 0x55 || b[511] != 0xaa {
			break
		}
		if b[446+4] != 0 {
			if err := add(number, b[446:], at); err != nil {
				return nil, err
			}
		}
		next := int64(le.Uint32(b[462+8:])) * sector
		if b[462+4] == 0 || next == 0 || extended+next <= at {
			break
		}
		at = extended + next
	}
	return out, nil
}
