// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bytes"
	"crypto/sha1" // the sum by which Maven's repositories name their files; nothing is protected by it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxLine bounds a line of a table of coordinates, bytes.
	maxLine = 3*maxName + 64
	// sumSize is a SHA-1 in hexadecimal digits.
	sumSize = 2 * sha1.Size
)

// Coordinates are a table that tells Maven's coordinate of an archive by its
// SHA-1, for the many that carry no coordinate themselves. It is a text file of
// lines, sorted by byte value as by "LC_ALL=C sort":
//
//	356a192b7913b04c54574d18c28d46e6395428ab org.example:library:1.2.3
//
// Forty hexadecimal digits in small letters, a space, group:artifact:version, a
// newline. The first of several lines with one sum counts. A table is never read
// whole: each question takes some forty short reads. It is safe for concurrent
// use when its reader is. Its zero value knows nothing.
type Coordinates struct {
	r    io.ReaderAt
	size int64
}

// NewCoordinates gives the table in the size bytes of r, which it reads as long
// as it is used. It is an error if the table does not begin with a line of one.
func NewCoordinates(r io.ReaderAt, size int64) (Coordinates, error) {
	c := Coordinates{r, size}
	if size == 0 {
		return c, nil
	}
	if _, _, err := c.line(0); err != nil {
		return Coordinates{}, fmt.Errorf("table of coordinates: %w", err)
	}
	return c, nil
}

// errTable is met in tables that are no tables, or not sorted.
var errTable = errors.New("no line of a sum and a coordinate")

// line gives the sum and the coordinate of the line that begins at off.
func (c Coordinates) line(off int64) (sum, coordinate []byte, err error) {
	b := make([]byte, min(maxLine, c.size-off))
	if n, err := c.r.ReadAt(b, off); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, nil, err
	}
	b, _, ended := bytes.Cut(b, []byte("\n"))
	if !ended && off+int64(len(b)) < c.size || len(b) < sumSize+2 || b[sumSize] != ' ' {
		return nil, nil, fmt.Errorf("at byte %d: %w", off, errTable)
	}
	if !isSum(b[:sumSize]) {
		return nil, nil, fmt.Errorf("at byte %d: %w", off, errTable)
	}
	return b[:sumSize], bytes.TrimSuffix(b[sumSize+1:], []byte("\r")), nil
}

// next gives where the first line begins that does so at off or later.
func (c Coordinates) next(off int64) (int64, error) {
	if off == 0 {
		return 0, nil
	}
	b := make([]byte, min(maxLine, c.size-off+1))
	if n, err := c.r.ReadAt(b, off-1); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if off-1+int64(len(b)) < c.size {
			return 0, fmt.Errorf("at byte %d: %w", off, errTable)
		}
		return c.size, nil
	}
	return off + int64(i), nil
}

// find gives the coordinate of a SHA-1. It is [bulwark.ErrNotFound] when the
// table does not know the sum.
func (c Coordinates) find(sum [sha1.Size]byte) (gav, error) {
	want := []byte(hex.EncodeToString(sum[:]))
	// The first line whose sum is not less begins in [low, high].
	low, high := int64(0), c.size
	for low < high {
		mid := low + (high-low)/2
		at, err := c.next(mid)
		if err != nil {
			return gav{}, err
		}
		if at >= high {
			high = mid
			continue
		}
		got, _, err := c.line(at)
		if err != nil {
			return gav{}, err
		}
		if bytes.Compare(got, want) < 0 {
			low = at + 1
		} else {
			high = mid
		}
	}
	at, err := c.next(low)
	if err != nil || at >= c.size {
		return gav{}, errors.Join(err, bulwark.ErrNotFound)
	}
	got, coordinate, err := c.line(at)
	if err != nil {
		return gav{}, err
	}
	if !bytes.Equal(got, want) {
		return gav{}, bulwark.ErrNotFound
	}
	group, rest, _ := strings.Cut(string(coordinate), ":")
	artifact, version, _ := strings.Cut(rest, ":")
	g := gav{group, artifact, version}
	if g.version == "" || !g.plausible() {
		return gav{}, fmt.Errorf("coordinate %q: %w", coordinate, errTable)
	}
	return g, nil
}

// of gives the coordinate of an archive, by the sum of all its bytes.
func (c Coordinates) of(done func() error, r io.ReaderAt, size int64) (gav, error) {
	if c.size == 0 {
		return gav{}, bulwark.ErrNotFound
	}
	h := sha1.New()
	for off := int64(0); off < size; {
		if err := done(); err != nil {
			return gav{}, err
		}
		n, err := io.Copy(h, io.NewSectionReader(r, off, min(1<<20, size-off)))
		if err != nil {
			return gav{}, err
		}
		if n == 0 {
			return gav{}, io.ErrUnexpectedEOF
		}
		off += n
	}
	return c.find([sha1.Size]byte(h.Sum(nil)))
}
