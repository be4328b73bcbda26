// SPDX-License-Identifier: Apache-2.0

package swift

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A reader walks over the objects and arrays of a JSON text, so that no more of
// it is built than one element.
type reader struct {
	done     func() error
	d        *json.Decoder
	data     []byte
	at, seen int // lines before at
}

func newReader(ctx context.Context, data []byte) *reader {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	return &reader{done: ctx.Err, d: json.NewDecoder(bytes.NewReader(data)), data: data}
}

// line gives the line of the next value, from 1.
func (r *reader) line() int {
	next := int(r.d.InputOffset())
	for next < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[next]) >= 0 {
		next++
	}
	if next > r.at {
		r.seen += bytes.Count(r.data[r.at:next], []byte{'\n'})
		r.at = next
	}
	return r.seen + 1
}

// object calls member with each key of the next value, which must be an object.
// Member must read the value.
func (r *reader) object(member func(key string) error) error {
	return r.walk('{', func() error {
		key, err := r.d.Token()
		if err != nil {
			return err
		}
		return member(fmt.Sprint(key))
	})
}

// array calls element at each element of the next value, which must be an array.
func (r *reader) array(element func() error) error { return r.walk('[', element) }

func (r *reader) walk(open json.Delim, each func() error) error {
	t, err := r.d.Token()
	if err != nil {
		return noEnd(err)
	}
	if t != open {
		return fmt.Errorf("%.40q where %v is expected", fmt.Sprint(t), open)
	}
	for r.d.More() {
		if err := r.done(); err != nil {
			return err
		}
		if err := each(); err != nil {
			return noEnd(err)
		}
	}
	_, err = r.d.Token()
	return noEnd(err)
}

// value reads the next value. Parts that have another type than v's stay empty.
func (r *reader) value(v any) error {
	err := r.d.Decode(v)
	if other := (*json.UnmarshalTypeError)(nil); errors.As(err, &other) {
		return nil
	}
	return err
}

// skip passes the next value.
func (r *reader) skip() error { return r.d.Decode(&nothing{}) }

// nothing is a value that is not kept.
type nothing struct{}

func (*nothing) UnmarshalJSON([]byte) error { return nil }

// noEnd makes the end of the file an error where more must follow.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
