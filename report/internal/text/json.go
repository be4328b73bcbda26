// SPDX-License-Identifier: Apache-2.0

package text

import (
	"bufio"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// A JSONWriter passes JSON on and writes characters that are not [Safe] in the
// escaped form \uXXXX, which means the same to a reader and nothing to a
// terminal. Such characters occur in JSON only within strings. Close it to get
// the last bytes out; the writer below stays open.
type JSONWriter struct {
	w    *bufio.Writer
	held [utf8.UTFMax]byte // the begin of a character whose end has not come yet
	n    int
	err  error // of Value
}

// NewJSONWriter gives a JSONWriter on w.
func NewJSONWriter(w io.Writer) *JSONWriter { return &JSONWriter{w: bufio.NewWriterSize(w, 64<<10)} }

// Write takes the next bytes of a JSON text.
func (j *JSONWriter) Write(p []byte) (int, error) {
	total := len(p)
	for j.n > 0 && len(p) > 0 {
		j.held[j.n] = p[0]
		j.n, p = j.n+1, p[1:]
		if utf8.FullRune(j.held[:j.n]) {
			j.rest()
		}
	}
	start := 0
	for i := 0; i < len(p); {
		if p[i] < 0x7f {
			i++
			continue
		}
		if !utf8.FullRune(p[i:]) {
			j.w.Write(p[start:i])
			j.n = copy(j.held[:], p[i:])
			return total, nil
		}
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError || Safe(r) {
			i += n
			continue
		}
		j.w.Write(p[start:i])
		j.escape(r)
		i += n
		start = i
	}
	_, err := j.w.Write(p[start:]) // bufio keeps the first error
	return total, err
}

// Raw writes a piece of JSON as it is. An error comes out of Close.
func (j *JSONWriter) Raw(s string) { io.WriteString(j, s) }

// Value writes v as indented JSON whose further lines begin with indent. An
// error comes out of Close.
func (j *JSONWriter) Value(indent string, v any) {
	b, err := json.MarshalIndent(v, indent, "  ")
	if err != nil && j.err == nil {
		j.err = err
	}
	j.Write(b)
}

// Close writes what is left and gives the first error of all.
func (j *JSONWriter) Close() error {
	j.rest()
	if err := j.w.Flush(); err != nil {
		return err
	}
	return j.err
}

func (j *JSONWriter) rest() {
	for b := j.held[:j.n]; len(b) > 0; {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError || Safe(r) {
			j.w.Write(b[:n])
		} else {
			j.escape(r)
		}
		b = b[n:]
	}
	j.n = 0
}

func (j *JSONWriter) escape(r rune) {
	if r >= 0x10000 {
		r -= 0x10000
		j.w.WriteString(`\u` + hex(uint32(0xd800+(r>>10)), 4))
		r = 0xdc00 + r&0x3ff
	}
	j.w.WriteString(`\u` + hex(uint32(r), 4))
}
