// SPDX-License-Identifier: Apache-2.0

package zipfs_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
	"github.com/bulwark-sec/bulwark/internal/zipfs"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An entry of an archive that a test makes.
type entry struct {
	name, content string
	mode          fs.FileMode
}

func pack(t testing.TB, list ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, e := range list {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		f, err := w.CreateHeader(h)
		check(t, err)
		_, err = io.WriteString(f, e.content)
		check(t, err)
	}
	check(t, w.Close())
	return buf.Bytes()
}

// walk gives one line for each entry, the faults, and the error.
func walk(b []byte, lim limit.Limits) (lines, faults []string, err error) {
	_, err = zipfs.Walk(context.Background(), bytes.NewReader(b), int64(len(b)), lim, func(e *tarfs.Entry, r io.Reader) error {
		line := fmt.Sprintf("%d %s %d", e.Type, e.Path, e.Size)
		if e.Link != "" {
			line += " -> " + e.Link
		}
		if r != nil {
			n, err := io.Copy(io.Discard, r)
			if err != nil {
				line += " " + err.Error()
			} else if n != e.Size {
				line += fmt.Sprintf(" read %d", n)
			}
		}
		lines = append(lines, line)
		return nil
	}, func(f tarfs.Fault) { faults = append(faults, f.Path+": "+f.Detail) })
	return lines, faults, err
}

func TestWalk(t *testing.T) {
	b := pack(t,
		entry{"dir/", "", 0}, entry{"dir/a.txt", "hello", 0o644}, entry{`win\b.txt`, "1", 0},
		entry{"link", "dir/a.txt", fs.ModeSymlink | 0o777}, entry{"pipe", "", fs.ModeNamedPipe | 0o600},
		entry{"../../etc/passwd", "x", 0}, entry{"/abs", "x", 0}, entry{"a/../b", "x", 0},
		entry{"c/.wh.d", "x", 0}, entry{"nul\x00", "x", 0}, entry{"\xff", "x", 0}, entry{"far", strings.Repeat("x", 5000), fs.ModeSymlink | 0o777},
	)
	lines, faults, err := walk(b, limit.Limits{})
	check(t, err)
	want := []string{
		"2 dir 0", "1 dir/a.txt 5", "1 win/b.txt 1", "3 link 0 -> dir/a.txt", "7 pipe 0", "1 abs 1", "1 b 1", `1 \xff 1`,
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
	wantFaults := []string{
		"../../etc/passwd: the entry was left out: path leaves the root",
		"c/.wh.d: the entry was left out: its name means a removed file in a layer of an image",
		`nul\0: the entry was left out: path holds NUL`,
		"far: the entry was left out: a link with a target of more than 4,096 bytes",
	}
	if d := cmp.Diff(wantFaults, faults); d != "" {
		t.Errorf("faults (-want +got):\n%s", d)
	}
}

func TestWalkHostile(t *testing.T) {
	good := pack(t, entry{"a", strings.Repeat("a", 1000), 0}, entry{"b", "b", 0})
	patched := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		return b
	}
	dir := bytes.Index(good, []byte("PK\x01\x02"))
	end := bytes.LastIndex(good, []byte("PK\x05\x06"))
	for _, tc := range []struct {
		name  string
		b     []byte
		lim   limit.Limits
		err   error  // of the walk
		fault string // part of the first fault
	}{
		{"empty", nil, limit.Limits{}, zip.ErrFormat, ""},
		{"no-zip", []byte(strings.Repeat("no zip ", 100)), limit.Limits{}, zip.ErrFormat, ""},
		{"many-entries", good, limit.Limits{Entries: 1}, limit.ErrExceeded, ""},
		{"claims-entries", patched(func(b []byte) { binary.LittleEndian.PutUint16(b[end+10:], 60000) }), limit.Limits{Entries: 100}, limit.ErrExceeded, ""},
		{"claims-directory", patched(func(b []byte) { binary.LittleEndian.PutUint32(b[end+12:], 1<<30) }), limit.Limits{}, limit.ErrExceeded, ""},
		{"encrypted", patched(func(b []byte) { b[dir+8] |= 1 }), limit.Limits{}, nil, "it is encrypted"},
		{"method", patched(func(b []byte) { b[dir+10] = 99 }), limit.Limits{}, nil, "compression method 99"},
		{"too-large", patched(func(b []byte) { binary.LittleEndian.PutUint32(b[dir+20:], 1<<30) }), limit.Limits{}, nil, "it is larger than the archive"},
		{"bytes", good, limit.Limits{Bytes: 500}, nil, "more than 500 bytes in one archive"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, faults, err := walk(tc.b, tc.lim)
			if !errors.Is(err, tc.err) || (tc.err == nil && err != nil) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
			if tc.fault != "" && (len(faults) == 0 || !strings.Contains(faults[0], tc.fault)) {
				t.Errorf("faults %q, want %q", faults, tc.fault)
			}
		})
	}
}

// TestOverlap shows that entries that share their bytes end the walk: so a small
// archive would become as large as anybody wishes
// (https://www.bamsoftware.com/hacks/zipbomb/).
func TestOverlap(t *testing.T) {
	var packed bytes.Buffer
	fw, err := flate.NewWriter(&packed, 9)
	check(t, err)
	_, err = io.WriteString(fw, strings.Repeat("0", 1<<16))
	check(t, errors.Join(err, fw.Close()))
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateRaw(&zip.FileHeader{Name: "0", Method: zip.Deflate, CompressedSize64: uint64(packed.Len()), UncompressedSize64: 1 << 16})
	check(t, err)
	_, err = f.Write(packed.Bytes())
	check(t, errors.Join(err, w.Close()))
	all := b.Bytes()
	dir := bytes.Index(all, []byte("PK\x01\x02"))
	end := bytes.LastIndex(all, []byte("PK\x05\x06"))
	record := bytes.Clone(all[dir:end])
	const times = 200
	out := bytes.Clone(all[:dir])
	for range times {
		out = append(out, record...)
	}
	tail := bytes.Clone(all[end:])
	binary.LittleEndian.PutUint16(tail[8:], times)
	binary.LittleEndian.PutUint16(tail[10:], times)
	binary.LittleEndian.PutUint32(tail[12:], uint32(times*len(record)))
	lines, faults, err := walk(append(out, tail...), limit.Limits{})
	check(t, err)
	if len(lines) >= times || len(faults) != 1 || !strings.Contains(faults[0], "overlap") {
		t.Errorf("%d entries, faults %q", len(lines), faults)
	}
}

func TestTruncated(t *testing.T) {
	b := pack(t, entry{"a", strings.Repeat("a", 1000), 0}, entry{"b/c", "c", 0})
	for n := range b {
		if _, _, err := walk(b[:n], limit.Limits{}); err == nil {
			t.Errorf("%d of %d bytes are an archive", n, len(b))
		}
		flipped := bytes.Clone(b)
		flipped[n] ^= 0xff
		walk(flipped, limit.Limits{})
	}
}

func TestCancel(t *testing.T) {
	b := pack(t, entry{"a", "a", 0})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := zipfs.Walk(ctx, bytes.NewReader(b), int64(len(b)), limit.Limits{}, func(*tarfs.Entry, io.Reader) error { return nil }, func(tarfs.Fault) {})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestNames(t *testing.T) {
	b := pack(t, entry{"a", "a", 0}, entry{"b/c", "c", 0})
	if d := cmp.Diff([]string{"a", "b/c"}, zipfs.Names(bytes.NewReader(b), int64(len(b)), 10)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := zipfs.Names(bytes.NewReader(b), int64(len(b)), 1); got != nil {
		t.Errorf("more than were asked for: %q", got)
	}
	if got := zipfs.Names(bytes.NewReader(nil), 0, 10); got != nil {
		t.Errorf("names in nothing: %q", got)
	}
}

func FuzzWalk(f *testing.F) {
	f.Add(pack(f, entry{"a", strings.Repeat("a", 100), 0}, entry{"b/", "", 0}, entry{"l", "a", fs.ModeSymlink | 0o777}))
	f.Add(pack(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		lim := limit.Limits{Entries: 1000, Bytes: 1 << 20}
		_, err := zipfs.Walk(t.Context(), bytes.NewReader(b), int64(len(b)), lim, func(e *tarfs.Entry, r io.Reader) error {
			if p, err := tarfs.Clean(e.Path, 4096); err != nil || p != e.Path && e.Path != "." {
				t.Errorf("path %q: %q, %v", e.Path, p, err)
			}
			if r != nil {
				if n, _ := io.Copy(io.Discard, r); n > 2<<20 {
					t.Errorf("%d bytes", n)
				}
			}
			return nil
		}, func(tarfs.Fault) {})
		if err == nil && len(b) < 22 {
			t.Error("an archive of less than its last record")
		}
	})
}
