// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
)

func filled(n int, c byte) []byte { return bytes.Repeat([]byte{c}, n) }

// someFiles are digests of all forms.
func someFiles() []bulwark.FileHash {
	return []bulwark.FileHash{
		{Path: "usr/bin/a", Size: 1, SHA256: filled(32, 1)},
		{Path: "usr/bin/ab", Size: 1 << 40, SHA256: filled(32, 2), SHA1: filled(20, 3), MD5: filled(16, 4)},
		{Path: "usr/lib/big.so", Size: 5 << 20},
		{Path: "", Size: 0, MD5: filled(16, 5)},
		{Path: "a.zip!/" + strings.Repeat("é", 4000), Size: math.MaxInt64, SHA256: filled(32, 6)},
		{Path: "a.zip", Size: 3, SHA1: filled(20, 7)},
	}
}

func written(files []bulwark.FileHash) []byte {
	var b []byte
	before := ""
	for i := range files {
		b = appendFile(b, before, &files[i])
		before = files[i].Path
	}
	return b
}

func read(b []byte) (out []bulwark.FileHash, err error) {
	err = eachFile(b, func(h *bulwark.FileHash) error {
		out = append(out, *h)
		return nil
	})
	return out, err
}

func TestFiles(t *testing.T) {
	want := someFiles()
	b := written(want)
	got, err := read(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	whole := map[int]bool{}
	for i := range want {
		whole[len(written(want[:i]))] = true
	}
	for n := range b {
		if _, err := read(b[:n]); (err == nil) != whole[n] {
			t.Fatalf("cut after %d bytes of %d: %v", n, len(b), err)
		}
	}
	for i := range b {
		for _, x := range []byte{0, 0x7f, 0xff} {
			c := bytes.Clone(b)
			c[i] = x
			read(c) //nolint:errcheck // any answer will do
		}
	}
	stop := errors.New("stop")
	if err := eachFile(b, func(*bulwark.FileHash) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	for name, b := range map[string][]byte{
		"more_in_common_than_there_is": {1, 0, 0, 0},
		"longer_than_it_is":            {0, 200, 1, 'a'},
		"long_number":                  filled(20, 0xff),
		"another_digest":               {0, 0, 0, 8},
		"path_too_long":                append([]byte{0, 0x81, 0x80, 1}, filled(maxPath+40, 'a')...),
		"size_too_large":               {0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0},
	} {
		if _, err := read(b); !errors.Is(err, errFiles) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A few bytes for each of very many, or very long, paths.
	long := appendFile(nil, "", &bulwark.FileHash{Path: strings.Repeat("a", maxPath)})
	for name, b := range map[string][]byte{
		"many": bytes.Repeat([]byte{0, 0, 0, 0}, maxFiles+1),
		"long": append(long, bytes.Repeat([]byte{0x80, 0x80, 1, 0, 0, 0}, 100_000)...),
	} {
		if err := eachFile(b, func(*bulwark.FileHash) error { return nil }); !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFiles reads any bytes as digests, and what was read is written and read again.
func FuzzFiles(f *testing.F) {
	f.Add(written(someFiles()))
	f.Add([]byte{0, 1, 'a', 1, 0, 1, 0, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		first, _ := read(b)
		second, err := read(written(first))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Error(diff)
		}
	})
}
