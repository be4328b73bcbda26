// SPDX-License-Identifier: Apache-2.0

// Package limit holds the bounds within which hostile input is read. It knows
// numbers and their reasons; it does not know what is read.
package limit

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrExceeded is wrapped by every error that a limit causes.
var ErrExceeded = errors.New("limit exceeded")

// Limits bound the reading of one artifact. A zero field means the default.
type Limits struct {
	Entries int           // tar entries in one stream
	Bytes   int64         // uncompressed bytes of one stream
	Ratio   int64         // uncompressed bytes for each compressed byte, judged beyond RatioFrom
	Name    int           // bytes in one path
	File    int64         // bytes of one file that is looked into
	Memory  int64         // bytes of one file that are held in memory; larger ones are spilled
	Kept    int64         // bytes of package databases kept from one stream
	Results int           // packages, findings and gaps reported from one stream
	Wall    time.Duration // time for one file's parser
}

// RatioFrom is the output, in bytes, from which on the compression ratio is
// judged: small files of zeros are common and harmless.
const RatioFrom = 256 << 20

// Default gives the limits that hold when nothing else is said. Real images
// stay far below: the largest public ones have some 400,000 entries and 20 GiB.
func Default() Limits {
	return Limits{
		Entries: 2_000_000,
		Bytes:   32 << 30,
		Ratio:   200,
		Name:    4096, // PATH_MAX
		File:    1 << 30,
		Memory:  4 << 20,
		Kept:    1 << 30,
		Results: 500_000,
		Wall:    60 * time.Second,
	}
}

// Or gives l with the zero fields filled from d.
func (l Limits) Or(d Limits) Limits {
	pick := func(v *int64, w int64) {
		if *v == 0 {
			*v = w
		}
	}
	if l.Entries == 0 {
		l.Entries = d.Entries
	}
	if l.Name == 0 {
		l.Name = d.Name
	}
	if l.Results == 0 {
		l.Results = d.Results
	}
	if l.Wall == 0 {
		l.Wall = d.Wall
	}
	pick(&l.Bytes, d.Bytes)
	pick(&l.Ratio, d.Ratio)
	pick(&l.File, d.File)
	pick(&l.Memory, d.Memory)
	pick(&l.Kept, d.Kept)
	return l
}

// A Reader passes on at most n bytes and then errs with ErrExceeded, unlike
// [io.LimitReader], which pretends that the input has ended.
type Reader struct {
	r    io.Reader
	left int64
	what string
	over bool
}

// NewReader gives a Reader over r that errs after n bytes; what names the
// limit in the error.
func NewReader(r io.Reader, n int64, what string) *Reader { return &Reader{r: r, left: n, what: what} }

func (l *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if l.over { // also after the input has ended
		return 0, fmt.Errorf("%s: %w", l.what, ErrExceeded)
	}
	if l.left <= 0 {
		// The input may end exactly at the limit.
		var one [1]byte
		n, err := l.r.Read(one[:])
		if n == 0 {
			return 0, err
		}
		l.over = true
		return 0, fmt.Errorf("%s: %w", l.what, ErrExceeded)
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}
