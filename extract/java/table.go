// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// bucketBytes is about how much of a table is sorted at once.
const bucketBytes = 64 << 20

// Imported says what became of the lines that a table was made of.
type Imported struct {
	Archives int    // lines of the table
	Twice    int    // lines left out, because their sum was there already
	Bad      int    // lines left out, because they are none of a sum and a coordinate
	Sample   string // why the first bad one is none
}

// ImportCoordinates writes the table that [NewCoordinates] takes from lists of
// archives. A line of a list has a SHA-1 in hexadecimal digits, group, artifact
// and version, separated by commas, semicolons or tabs and with or without
// quotation marks; or is one of a table. A first line of titles is left out. It
// is read as often as is needed to sort it in little memory, so that a list of
// all of Maven Central takes some 100 MiB. The error is of reading or writing, or
// [bulwark.ErrNotFound] when no line is one of a table.
func ImportCoordinates(ctx context.Context, w io.Writer, lists ...*io.SectionReader) (Imported, error) {
	size := int64(0)
	for _, l := range lists {
		size += l.Size()
	}
	digits := 0 // of a sum that tell its bucket
	for n := size; n > bucketBytes && digits < 3; n /= 16 {
		digits++
	}
	var done Imported
	out := bufio.NewWriterSize(w, 256<<10)
	for bucket := range 1 << (4 * digits) {
		prefix := ""
		if digits > 0 {
			prefix = fmt.Sprintf("%0*x", digits, bucket)
		}
		var rows []string
		for _, l := range lists {
			part, err := done.read(ctx, l, prefix, bucket == 0)
			if err != nil {
				return done, err
			}
			rows = append(rows, part...)
		}
		// Of several lines with one sum the first stays the first.
		slices.SortStableFunc(rows, func(a, b string) int { return strings.Compare(a[:sumSize], b[:sumSize]) })
		for i, row := range rows {
			if i > 0 && rows[i-1][:sumSize] == row[:sumSize] {
				done.Twice++
				continue
			}
			done.Archives++
			if _, err := out.WriteString(row); err != nil {
				return done, err
			}
		}
	}
	if done.Archives == 0 {
		why := "it is empty"
		if done.Sample != "" {
			why = done.Sample
		}
		return done, fmt.Errorf("list of archives: %s: %w", why, bulwark.ErrNotFound)
	}
	return done, out.Flush()
}

// read gives the lines of a list whose sum has a prefix. Bad ones are counted
// the first time.
func (d *Imported) read(ctx context.Context, list *io.SectionReader, prefix string, first bool) (rows []string, err error) {
	r := bufio.NewReaderSize(io.NewSectionReader(list, 0, list.Size()), 256<<10)
	for n := 1; ; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		line, err := r.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		end := err != nil
		line = bytes.TrimSpace(line)
		if !first && !begins(line, prefix) {
			if end {
				return rows, nil
			}
			continue // most lines of most rounds
		}
		var sum []byte
		var g gav
		if !long {
			sum, g = row(line)
		}
		switch {
		case sum == nil && len(line) > 0 && n > 1 && first:
			if d.Bad++; d.Bad == 1 {
				d.Sample = fmt.Sprintf("line %d is none of a SHA-1, a group, an artifact and a version: %.80q", n, line)
			}
		case sum == nil && len(line) > 0 && first && d.Sample == "":
			d.Sample = fmt.Sprintf("line %d is none of a SHA-1, a group, an artifact and a version: %.80q", n, line)
		case sum != nil && bytes.HasPrefix(sum, []byte(prefix)):
			rows = append(rows, string(sum)+" "+g.group+":"+g.artifact+":"+g.version+"\n")
		}
		if end {
			return rows, nil
		}
	}
}

// begins tells whether a line's sum has a prefix, in digits of any case.
func begins(line []byte, prefix string) bool {
	line = bytes.TrimLeft(line, "\" ")
	return len(line) >= len(prefix) && bytes.EqualFold(line[:len(prefix)], []byte(prefix))
}

// row takes a line of a list apart; sum is nil when it is none.
func row(line []byte) (sum []byte, g gav) {
	if len(line) < sumSize+6 || len(line) > 2*maxLine {
		return nil, gav{}
	}
	var f []string
	if line[sumSize] == ' ' {
		f = append([]string{string(line[:sumSize])}, strings.Split(string(line[sumSize+1:]), ":")...)
	} else {
		f = strings.FieldsFunc(string(line), func(r rune) bool { return r == ',' || r == ';' || r == '\t' })
	}
	if len(f) < 4 {
		return nil, gav{}
	}
	for i := range f {
		f[i] = strings.Trim(f[i], "\" ")
	}
	sum = bytes.ToLower([]byte(f[0]))
	g = gav{f[1], f[2], f[3]}
	if !isSum(sum) || g.version == "" || !g.plausible() {
		return nil, gav{}
	}
	return sum, g
}

// isSum tells whether b is a SHA-1 in small hexadecimal digits.
func isSum(b []byte) bool {
	for _, d := range b {
		if (d < '0' || d > '9') && (d < 'a' || d > 'f') {
			return false
		}
	}
	return len(b) == sumSize
}

// CheckCoordinates reads a table to its end and gives an error that names the
// first line that is none, or not in order: questions would not find what is
// there.
func CheckCoordinates(ctx context.Context, r io.Reader) error {
	br := bufio.NewReaderSize(r, 256<<10)
	var before [sumSize]byte
	for n := 1; ; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, err := br.ReadSlice('\n')
		if len(line) == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if len(line) > maxLine || len(line) < sumSize+2 || !isSum(line[:sumSize]) || line[sumSize] != ' ' {
			return fmt.Errorf("table of coordinates: line %d: %w", n, errTable)
		}
		if bytes.Compare(before[:], line[:sumSize]) > 0 {
			return fmt.Errorf("table of coordinates: line %d is not in order", n)
		}
		copy(before[:], line)
	}
}
