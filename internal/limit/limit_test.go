// SPDX-License-Identifier: Apache-2.0

package limit_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/limit"
)

var errBroken = errors.New("broken")

// TestReader reads input of every length around a limit with buffers of several
// sizes, from readers that behave in every way that io.Reader allows.
func TestReader(t *testing.T) {
	sources := map[string]func(io.Reader) io.Reader{
		"plain":     func(r io.Reader) io.Reader { return r },
		"one-byte":  iotest.OneByteReader,
		"half":      iotest.HalfReader,
		"data-err":  iotest.DataErrReader,
		"now-and-0": func(r io.Reader) io.Reader { return &stutter{r: r} },
	}
	for name, source := range sources {
		for _, size := range []int{0, 1, 2, 9, 10, 11, 12, 1000} {
			for _, most := range []int64{-1, 0, 1, 2, 10, 11, 1 << 40} {
				for _, buf := range []int{1, 3, 10, 11, 4096} {
					input := strings.Repeat("x", size)
					r := limit.NewReader(source(strings.NewReader(input)), most, "bytes of test")
					var got bytes.Buffer
					n, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{r}, make([]byte, buf))
					if int64(size) <= max(most, 0) {
						if err != nil || n != int64(size) {
							t.Errorf("%s, %d of at most %d, buffer %d: %d bytes, %v", name, size, most, buf, n, err)
						}
						continue
					}
					if !errors.Is(err, limit.ErrExceeded) || n != max(most, 0) || got.String() != input[:n] {
						t.Errorf("%s, %d of at most %d, buffer %d: %d bytes, %v", name, size, most, buf, n, err)
					}
					if err != nil && err.Error() != "bytes of test: limit exceeded" {
						t.Errorf("error %q", err)
					}
					// It stays so: who asks again must not take it for the end.
					for range 3 {
						if n, err := r.Read(make([]byte, 5)); n != 0 || !errors.Is(err, limit.ErrExceeded) {
							t.Errorf("%s, %d of at most %d, after the limit: %d bytes, %v", name, size, most, n, err)
						}
					}
				}
			}
		}
	}
}

// stutter gives nothing on every other call, which io.Reader allows.
type stutter struct {
	r   io.Reader
	odd bool
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.odd = !s.odd; s.odd {
		return 0, nil
	}
	return s.r.Read(p)
}

func TestReaderErrors(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("0123456789"), iotest.ErrReader(errBroken))
	for _, tc := range []struct {
		name string
		r    io.Reader
		most int64
		n    int
		want error
	}{
		{"below", broken, 20, 10, errBroken},
		{"at-once", iotest.ErrReader(errBroken), 0, 0, errBroken},
		{"at-the-limit", io.MultiReader(strings.NewReader("0123456789"), iotest.ErrReader(errBroken)), 10, 10, errBroken},
		{"beyond", io.MultiReader(strings.NewReader("0123456789"), iotest.ErrReader(errBroken)), 9, 9, limit.ErrExceeded},
		{"with-data", iotest.DataErrReader(io.MultiReader(strings.NewReader("01234"), iotest.ErrReader(errBroken))), 5, 5, errBroken},
		{"ends-with-the-limit", iotest.DataErrReader(strings.NewReader("01234")), 5, 5, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := io.ReadAll(limit.NewReader(tc.r, tc.most, "x"))
			if len(b) != tc.n || !errors.Is(err, tc.want) {
				t.Errorf("%d bytes, %v; want %d, %v", len(b), err, tc.n, tc.want)
			}
		})
	}
	// Nothing asked for is nothing read, also beyond the limit.
	r := limit.NewReader(strings.NewReader("x"), 0, "x")
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := iotest.TestReader(limit.NewReader(strings.NewReader("hello"), 5, "x"), []byte("hello")); err != nil {
		t.Error(err)
	}
}

// TestReaderReads shows that no more is taken from the source than may be passed
// on, but for the one byte that tells the end.
func TestReaderReads(t *testing.T) {
	src := strings.NewReader(strings.Repeat("x", 100))
	if _, err := io.ReadAll(limit.NewReader(src, 10, "x")); !errors.Is(err, limit.ErrExceeded) {
		t.Error(err)
	}
	if src.Len() != 89 {
		t.Errorf("%d bytes were read", 100-src.Len())
	}
}

func TestOr(t *testing.T) {
	d := limit.Default()
	if diff := cmp.Diff(d, limit.Limits{}.Or(d)); diff != "" {
		t.Errorf("zero limits (-want +got):\n%s", diff)
	}
	// Each field that is said stays, each other is the default's; none is forgotten.
	for i := range reflect.TypeFor[limit.Limits]().NumField() {
		var l limit.Limits
		want := d
		reflect.ValueOf(&l).Elem().Field(i).SetInt(7)
		reflect.ValueOf(&want).Elem().Field(i).SetInt(7)
		if diff := cmp.Diff(want, l.Or(d)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if reflect.ValueOf(d).Field(i).Int() <= 0 {
			t.Errorf("%s has no default", reflect.TypeFor[limit.Limits]().Field(i).Name)
		}
	}
}
