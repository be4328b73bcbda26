// SPDX-License-Identifier: Apache-2.0

package dpkg

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/bulwark-sec/bulwark"
)

// maxValue is how much of one line is kept, in bytes. The fields that are read
// are short; descriptions, which are not read, may be of any length.
const maxValue = 4096

var errStanza = errors.New("malformed stanza")

// A stanza is what is kept of one entry (deb-control(5), dpkg's status file).
type stanza struct {
	name, status, version, source, arch, maintainer string
}

// field gives where the value of a field is kept; nil for a field that is not
// read. Names of fields do not heed case.
func (s *stanza) field(key []byte) *string {
	for _, f := range [...]struct {
		name string
		to   *string
	}{
		{"package", &s.name},
		{"status", &s.status},
		{"version", &s.version},
		{"source", &s.source},
		{"architecture", &s.arch},
		{"maintainer", &s.maintainer},
	} {
		if len(f.name) == len(key) && bytes.EqualFold(key, []byte(f.name)) {
			return f.to
		}
	}
	return nil
}

// stanzas gives the entries of a status file, which are separated by empty
// lines. An error stands beside the entry that it damaged, and reading goes on
// with the next one; only a failing read ends it.
func stanzas(r io.Reader) iter.Seq2[stanza, error] {
	return func(yield func(stanza, error) bool) {
		var (
			s     stanza
			bad   error
			begun bool
			b     = bufio.NewReaderSize(r, 64<<10)
			give  = func() bool {
				if !begun {
					return true
				}
				t, err := s, bad
				s, bad, begun = stanza{}, nil, false
				return yield(t, err)
			}
		)
		for no := 1; ; no++ {
			line, err := readLine(b)
			if len(line) > 0 || err == nil {
				text := bytes.TrimRight(line, "\r\n")
				if len(bytes.TrimSpace(text)) == 0 {
					if !give() {
						return
					}
				} else {
					begun = true
					if e := s.line(text); e != nil && bad == nil {
						bad = fmt.Errorf("line %d: %w", no, e)
					}
				}
			}
			if err != nil {
				if !give() {
					return
				}
				if !errors.Is(err, io.EOF) {
					yield(stanza{}, err)
				}
				return
			}
		}
	}
}

// line takes one line of a stanza over.
func (s *stanza) line(text []byte) error {
	if text[0] == ' ' || text[0] == '\t' || text[0] == '#' {
		return nil // continuation of a field, of those that are not read
	}
	key, value, ok := bytes.Cut(text, []byte(":"))
	if !ok || len(key) == 0 {
		return fmt.Errorf("%q: %w", text[:min(len(text), 60)], errStanza)
	}
	to := s.field(bytes.TrimSpace(key))
	if to == nil {
		return nil
	}
	if len(text) >= maxValue {
		return fmt.Errorf("field %q of more than %d bytes: %w", key, maxValue, bulwark.ErrTooLarge)
	}
	if *to != "" {
		return fmt.Errorf("field %q twice: %w", key, errStanza)
	}
	*to = string(bytes.TrimSpace(value))
	return nil
}

// readLine gives the next line, of a long one the beginning. The line is valid
// until the next call.
func readLine(b *bufio.Reader) ([]byte, error) {
	line, err := b.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	kept := bytes.Clone(line[:maxValue])
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = b.ReadSlice('\n')
	}
	return kept, err
}
