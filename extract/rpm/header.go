// SPDX-License-Identifier: Apache-2.0

package rpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// The tags of a package header that are read
// (https://github.com/rpm-software-management/rpm/blob/master/docs/manual/tags.md).
const (
	tagName            = 1000
	tagVersion         = 1001
	tagRelease         = 1002
	tagEpoch           = 1003
	tagVendor          = 1011
	tagLicense         = 1014
	tagArch            = 1022
	tagOldFileNames    = 1027
	tagFileModes       = 1030
	tagSourceRPM       = 1044
	tagDirIndexes      = 1116
	tagBaseNames       = 1117
	tagDirNames        = 1118
	tagModularityLabel = 5096
)

// The types of header data.
const (
	typeInt16       = 3
	typeInt32       = 4
	typeString      = 6
	typeStringArray = 8
	typeI18NString  = 9
)

const (
	// rpm's own limits (HEADER_TAGS_MAX and HEADER_DATA_MAX in lib/header.c).
	maxTags = 0xffff
	maxData = 256 << 20
	// A path longer than Linux accepts is no file.
	maxPath = 4096
	// Paths of one package, in bytes for each byte of its header. A header
	// has at least 80 bytes about each file besides its names, which is more
	// than a path usually has.
	maxPathFactor = 8

	modeType = 0o170000
	modeDir  = 0o040000
)

var errHeader = errors.New("malformed package header")

// A header is what an rpm database keeps of one package: index entries of 16
// bytes that point into data, all numbers big-endian
// (https://rpm-software-management.github.io/rpm/manual/format_header.html).
type header struct {
	entries map[uint32]entry
	data    []byte
}

type entry struct {
	kind   uint32
	offset uint32
	count  uint32
}

// parseHeader reads the index of a header without the leading magic, as
// databases store it. It keeps blob.
func parseHeader(blob []byte) (header, error) {
	if len(blob) < 8 {
		return header{}, fmt.Errorf("%d bytes: %w", len(blob), errHeader)
	}
	tags, size := binary.BigEndian.Uint32(blob), binary.BigEndian.Uint32(blob[4:])
	if tags > maxTags || size > maxData || 8+16*uint64(tags)+uint64(size) > uint64(len(blob)) {
		return header{}, fmt.Errorf("%d tags and %d bytes of data in %d bytes: %w", tags, size, len(blob), errHeader)
	}
	h := header{entries: make(map[uint32]entry, 16), data: blob[8+16*tags:][:size]}
	for i := range tags {
		e := blob[8+16*i:]
		tag := binary.BigEndian.Uint32(e)
		switch tag {
		case tagName, tagVersion, tagRelease, tagEpoch, tagVendor, tagLicense, tagArch, tagOldFileNames,
			tagFileModes, tagSourceRPM, tagDirIndexes, tagBaseNames, tagDirNames, tagModularityLabel:
			// Entries behind the immutable region were added at installation
			// and replace those within: the last one counts.
			h.entries[tag] = entry{
				kind:   binary.BigEndian.Uint32(e[4:]),
				offset: binary.BigEndian.Uint32(e[8:]),
				count:  binary.BigEndian.Uint32(e[12:]),
			}
		}
	}
	return h, nil
}

// text gives a string, or the first of several; "" when there is none.
func (h header) text(tag uint32) string {
	e, ok := h.entries[tag]
	if !ok || e.count == 0 || e.offset >= uint32(len(h.data)) {
		return ""
	}
	switch e.kind {
	case typeString, typeStringArray, typeI18NString:
		s, _, found := bytes.Cut(h.data[e.offset:], []byte{0})
		if found {
			return string(s)
		}
	}
	return ""
}

// texts gives an array of strings, which share the header's memory.
func (h header) texts(tag uint32) ([][]byte, error) {
	e, ok := h.entries[tag]
	if !ok {
		return nil, nil
	}
	// Each string has at least its end mark.
	if e.kind != typeStringArray || e.offset > uint32(len(h.data)) || e.count > uint32(len(h.data))-e.offset {
		return nil, fmt.Errorf("tag %d: %w", tag, errHeader)
	}
	out := make([][]byte, 0, e.count)
	rest := h.data[e.offset:]
	for range e.count {
		s, after, found := bytes.Cut(rest, []byte{0})
		if !found {
			return nil, fmt.Errorf("tag %d: %w", tag, errHeader)
		}
		out, rest = append(out, s), after
	}
	return out, nil
}

// numbers gives the bytes of an array of integers of width bytes.
func (h header) numbers(tag, kind uint32, width uint64) ([]byte, error) {
	e, ok := h.entries[tag]
	if !ok {
		return nil, nil
	}
	end := uint64(e.offset) + width*uint64(e.count)
	if e.kind != kind || end > uint64(len(h.data)) {
		return nil, fmt.Errorf("tag %d: %w", tag, errHeader)
	}
	return h.data[e.offset:end], nil
}

// epoch gives the epoch, "" for none or zero.
func (h header) epoch() string {
	b, err := h.numbers(tagEpoch, typeInt32, 4)
	if err != nil || len(b) < 4 || binary.BigEndian.Uint32(b) == 0 {
		return ""
	}
	return fmt.Sprint(binary.BigEndian.Uint32(b))
}

// files gives the paths that the package owns, less directories: those belong
// to many. The strings are parts of one.
func (h header) files() ([]string, error) {
	bases, err := h.texts(tagBaseNames)
	if err != nil {
		return nil, err
	}
	dirs, err := h.texts(tagDirNames)
	if err != nil {
		return nil, err
	}
	indexes, err := h.numbers(tagDirIndexes, typeInt32, 4)
	if err != nil {
		return nil, err
	}
	if len(bases) == 0 { // rpm 3 and before kept whole paths
		if bases, err = h.texts(tagOldFileNames); err != nil {
			return nil, err
		}
		dirs, indexes = [][]byte{nil}, make([]byte, 4*len(bases))
	}
	modes, err := h.numbers(tagFileModes, typeInt16, 2)
	if err != nil {
		return nil, err
	}
	if len(indexes) != 4*len(bases) {
		return nil, fmt.Errorf("%d names, %d directories: %w", len(bases), len(indexes)/4, errHeader)
	}
	var (
		b    strings.Builder
		ends = make([]int, 0, len(bases))
		room = maxPathFactor*len(h.data) + maxPath
	)
	for i, base := range bases {
		if 2*i+2 <= len(modes) && binary.BigEndian.Uint16(modes[2*i:])&modeType == modeDir {
			continue
		}
		n := binary.BigEndian.Uint32(indexes[4*i:])
		if n >= uint32(len(dirs)) {
			return nil, fmt.Errorf("directory %d of %d: %w", n, len(dirs), errHeader)
		}
		size := len(dirs[n]) + len(base)
		if size > maxPath {
			continue
		}
		if room -= size; room < 0 {
			return nil, fmt.Errorf("paths of more than %d bytes: %w", maxPathFactor*len(h.data), errHeader)
		}
		b.Write(dirs[n])
		b.Write(base)
		ends = append(ends, b.Len())
	}
	if len(ends) == 0 {
		return nil, nil
	}
	all, start := b.String(), 0
	files := make([]string, 0, len(ends))
	for _, end := range ends {
		p := all[start:end]
		start = end
		files = appendPath(files, p)
	}
	return files, nil
}

// appendPath adds the relative clean form of p. On systems where /bin, /lib and
// /sbin are links into /usr, a package may own a file by its old path; it is
// added by both.
func appendPath(files []string, p string) []string {
	if len(p) < 2 || p[0] != '/' {
		return files
	}
	p = p[1:]
	if p = path.Clean(p); p == "." || p == ".." || strings.HasPrefix(p, "../") || p[0] == '/' {
		return files
	}
	if !utf8.ValidString(p) {
		return files // a name that the walk writes in another way
	}
	files = append(files, p)
	if first, _, _ := strings.Cut(p, "/"); first != p {
		switch first {
		case "bin", "sbin", "lib", "lib32", "lib64", "libx32":
			files = append(files, "usr/"+p)
		}
	}
	return files
}
