// SPDX-License-Identifier: Apache-2.0

package tarfs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// archive writes headers, with as much content as each has Size.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("%q: %v", h.Name, err)
		}
		if h.Typeflag == tar.TypeReg {
			w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
		}
	}
	w.Close()
	return b.Bytes()
}

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// walk lists what a stream shows, one line an entry, faults behind.
func walk(t testing.TB, r io.Reader, lim limit.Limits) (lines []string, s tarfs.Stats, err error) {
	t.Helper()
	s, err = tarfs.Walk(context.Background(), r, lim, func(e *tarfs.Entry, content io.Reader) error {
		names := map[tarfs.Type]string{tarfs.Regular: "file", tarfs.Dir: "dir", tarfs.Symlink: "symlink", tarfs.Hardlink: "link", tarfs.Whiteout: "whiteout", tarfs.Opaque: "opaque", tarfs.Special: "special"}
		line := names[e.Type] + " " + e.Path
		if e.Link != "" {
			line += " -> " + e.Link
		}
		if content != nil {
			n, _ := io.Copy(io.Discard, content)
			line += fmt.Sprint(" ", n)
		}
		lines = append(lines, line)
		return nil
	}, func(f tarfs.Fault) {
		end := ""
		if f.Ends {
			end = " (end)"
		}
		lines = append(lines, "FAULT "+f.Path+end)
	})
	return lines, s, err
}

func TestEntries(t *testing.T) {
	b := archive(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir},
		tar.Header{Name: "./etc/", Typeflag: tar.TypeDir},
		tar.Header{Name: "etc/passwd", Size: 5},
		tar.Header{Name: "/abs/./x//y", Size: 1},
		tar.Header{Name: "a/b/../c", Size: 1},
		tar.Header{Name: "../escape", Size: 3},
		tar.Header{Name: "a/../../escape", Size: 3},
		tar.Header{Name: "bin/sh", Typeflag: tar.TypeSymlink, Linkname: "../../../etc/shadow"},
		tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
		tar.Header{Name: "hard2", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"},
		tar.Header{Name: "dev/null", Typeflag: tar.TypeChar},
		tar.Header{Name: "fifo", Typeflag: tar.TypeFifo},
		tar.Header{Name: "etc/.wh.gone"},
		tar.Header{Name: "etc/.wh..wh..opq"},
		tar.Header{Name: "etc/.wh..wh.plnk"},
		tar.Header{Name: "etc/.wh."},
		tar.Header{Name: "etc/.wh..."},
		tar.Header{Name: "bad\xffname", Size: 1},
	)
	want := []string{
		"dir .", "dir etc", "file etc/passwd 5", "file abs/x/y 1", "file a/c 1",
		"FAULT ../escape", "FAULT a/../../escape",
		"symlink bin/sh -> ../../../etc/shadow", "link hard -> etc/passwd", "FAULT hard2",
		"special dev/null", "special fifo",
		"whiteout etc/gone", "opaque etc", "FAULT etc/.wh.", "FAULT etc/.wh...",
		`file bad\xffname 1`,
	}
	sum := fmt.Sprintf("sha256:%x", sha256.Sum256(b))
	enc, _ := zstd.NewWriter(nil)
	for name, blob := range map[string][]byte{"tar": b, "gzip": zipped(t, b), "zstd": enc.EncodeAll(b, nil)} {
		got, s, err := walk(t, iotest.HalfReader(bytes.NewReader(blob)), limit.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", name, d)
		}
		want := sum
		if name == "tar" {
			want = ""
		}
		if s.DiffID != want || !s.Whole || s.Format != name || s.Blob != int64(len(blob)) || s.Size != int64(len(b)) {
			t.Errorf("%s: %+v, want %s over %d bytes of %d", name, s, sum, len(b), len(blob))
		}
	}
}

func TestLimits(t *testing.T) {
	many := make([]tar.Header, 50)
	for i := range many {
		many[i] = tar.Header{Name: fmt.Sprint("f", i), Size: 1}
	}
	for name, tc := range map[string]struct {
		blob []byte
		lim  limit.Limits
		want string
	}{
		"entries":    {archive(t, many...), limit.Limits{Entries: 3}, "FAULT  (end)"},
		"bytes":      {zipped(t, archive(t, tar.Header{Name: "big", Size: 1 << 20})), limit.Limits{Bytes: 1 << 10}, "FAULT  (end)"},
		"name":       {archive(t, tar.Header{Name: strings.Repeat("n/", 3000) + "x", Size: 1}), limit.Limits{}, "FAULT " + strings.Repeat("n/", 100) + "…"},
		"truncated":  {archive(t, tar.Header{Name: "f", Size: 5000})[:3000], limit.Limits{}, "FAULT  (end)"},
		"cut gzip":   {zipped(t, archive(t, many...))[:200], limit.Limits{}, "FAULT  (end)"},
		"xz":         {[]byte("\xfd7zXZ\x00garbage"), limit.Limits{}, "FAULT  (end)"},
		"noise":      {bytes.Repeat([]byte("noise"), 1000), limit.Limits{}, "FAULT  (end)"},
		"empty gzip": {[]byte{0x1f, 0x8b}, limit.Limits{}, "FAULT  (end)"},
	} {
		got, s, err := walk(t, bytes.NewReader(tc.blob), tc.lim)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(got) == 0 || got[len(got)-1] != tc.want {
			t.Errorf("%s: got %q, want it to end with %q", name, got, tc.want)
		}
		if s.Blob != int64(len(tc.blob)) {
			t.Errorf("%s: %d of %d bytes were read: the blob's digest would be wrong", name, s.Blob, len(tc.blob))
		}
	}
}

// TestBomb feeds a stream that would give 5 GiB of zeros: it is read on only
// until the ratio is known.
// TestRest reads what streams say of bytes that they leave out.
func TestRest(t *testing.T) {
	for text, want := range map[string]int64{"5": 5, "9223372036854775804": 9223372036854775804, "9223372036854775805": 0, "0": 0, "-1": 0, "x": 0, "18446744073709551616": 0} {
		b := archive(t, tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 3, PAXRecords: map[string]string{tarfs.RestRecord: text}}, tar.Header{Name: "b", Typeflag: tar.TypeReg, Size: 3})
		got := map[string]int64{}
		_, err := tarfs.Walk(t.Context(), bytes.NewReader(b), limit.Default(), func(e *tarfs.Entry, _ io.Reader) error {
			if e.Size != 3 {
				t.Errorf("%s: %d bytes", e.Path, e.Size)
			}
			got[e.Path] = e.Rest
			return nil
		}, func(f tarfs.Fault) { t.Errorf("%+v", f) })
		if err != nil || got["a"] != want || got["b"] != 0 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("short: inflates half a GiB")
	}
	pr, pw := io.Pipe()
	go func() {
		z, _ := zstd.NewWriter(pw, zstd.WithEncoderConcurrency(1))
		w := tar.NewWriter(z)
		w.WriteHeader(&tar.Header{Name: "zeros", Size: 5 << 30, Mode: 0o644})
		zeros := make([]byte, 1<<20)
		for range 400 {
			if _, err := w.Write(zeros); err != nil {
				break
			}
		}
		z.Close()
		pw.Close()
	}()
	var faults []tarfs.Fault
	s, err := tarfs.Walk(t.Context(), pr, limit.Limits{}, func(*tarfs.Entry, io.Reader) error { return nil }, func(f tarfs.Fault) { faults = append(faults, f) })
	if err != nil || len(faults) == 0 || !errors.Is(faults[len(faults)-1].Err, limit.ErrExceeded) {
		t.Fatalf("%v, %v", err, faults)
	}
	if s.DiffID != "" || s.Whole {
		t.Error("a stream that was not read to its end has a diff ID")
	}
}

func TestSourceErrorIsNoFault(t *testing.T) {
	boom := errors.New("boom")
	b := archive(t, tar.Header{Name: "f", Size: 100_000})
	for _, cut := range []int{0, 1, 300, 600, 50_000} {
		_, _, err := walk(t, io.MultiReader(bytes.NewReader(b[:cut]), iotest.ErrReader(boom)), limit.Limits{})
		if !errors.Is(err, boom) {
			t.Errorf("cut at %d: %v", cut, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := archive(t, tar.Header{Name: "a", Size: 1}, tar.Header{Name: "b", Size: 1 << 20})
	_, err := tarfs.Walk(ctx, bytes.NewReader(b), limit.Limits{}, func(*tarfs.Entry, io.Reader) error { cancel(); return nil }, func(tarfs.Fault) {})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzWalk(f *testing.F) {
	b := archive(f, tar.Header{Name: "etc/passwd", Size: 5}, tar.Header{Name: "x/.wh.y"}, tar.Header{Name: "l", Typeflag: tar.TypeLink, Linkname: "etc/passwd"})
	f.Add(b)
	f.Add(zipped(f, b))
	f.Fuzz(func(t *testing.T, b []byte) {
		lim := limit.Limits{Bytes: 8 << 20, Entries: 1000}
		_, s, err := walk(t, bytes.NewReader(b), lim)
		if err != nil {
			t.Fatalf("bytes in memory cannot fail: %v", err)
		}
		if s.Blob != int64(len(b)) {
			t.Fatalf("%d of %d bytes read", s.Blob, len(b))
		}
	})
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "/", "a//b/./c", "a/..", "\x00", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := tarfs.Clean(s, 4096)
		if err != nil {
			return
		}
		if p == "" || p[0] == '/' || p == ".." || strings.HasPrefix(p, "../") || strings.Contains(p, "/../") || strings.Contains(p, "//") {
			t.Fatalf("%q became %q", s, p)
		}
		if q, err := tarfs.Clean(p, 1<<20); err != nil || q != p {
			t.Fatalf("%q is not stable: %q, %v", p, q, err)
		}
	})
}
