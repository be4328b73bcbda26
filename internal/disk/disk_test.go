// SPDX-License-Identifier: Apache-2.0

package disk_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/disk"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// recorded gives a disk of testdata, which testdata/record made by real tools.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func walk(ctx context.Context, b []byte, lim limit.Limits) (lines, faults []string, err error) {
	_, err = disk.Walk(ctx, bytes.NewReader(b), int64(len(b)), lim, func(e *tarfs.Entry, r io.Reader) error {
		line := fmt.Sprintf("%s %s %d", e.Mode, e.Path, e.Size)
		if e.Link != "" {
			line += " -> " + e.Link[:min(len(e.Link), 70)]
		}
		if r != nil {
			c, err := io.ReadAll(r)
			switch {
			case err != nil:
				line += " " + err.Error()
			case int64(len(c)) != e.Size:
				line += fmt.Sprintf(" read %d", len(c))
			case len(c) < 40:
				line += " " + strings.TrimSpace(string(c))
			default:
				line += fmt.Sprintf(" sum %d", sum(c))
			}
		}
		lines = append(lines, line)
		return nil
	}, func(f tarfs.Fault) { faults = append(faults, f.Path+": "+f.Detail) })
	return lines, faults, err
}

func sum(b []byte) (n int) {
	for i, c := range b {
		n += (i%1000 + 1) * int(c)
	}
	return n
}

// disks are those of testdata; all hold the same files.
var disks = []string{"ext4", "ext2", "xfs.qcow2", "xfs4.qcow2", "ext4.qcow2", "gpt", "mbr"}

func TestWalk(t *testing.T) {
	text, err := os.ReadFile("testdata/want.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, name := range disks {
		t.Run(name, func(t *testing.T) {
			lines, faults, err := walk(t.Context(), recorded(t, name), limit.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			lines = slices.DeleteFunc(lines, func(l string) bool {
				return strings.Contains(l, "lost+found") || strings.Contains(l, "many/") || strings.Contains(l, " (partition")
			})
			slices.Sort(lines)
			if d := cmp.Diff(want, lines); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			faults = slices.DeleteFunc(faults, func(f string) bool { return strings.Contains(f, "no packages lie there") })
			if len(faults) > 0 {
				t.Errorf("faults %q", faults)
			}
		})
	}
}

// TestMany shows that a directory of many blocks is read whole.
func TestMany(t *testing.T) {
	for _, name := range disks {
		lines, _, err := walk(t.Context(), recorded(t, name), limit.Limits{})
		n := 0
		for _, l := range lines {
			if strings.Contains(l, "many/") {
				n++
			}
		}
		if n != 300 || err != nil {
			t.Errorf("%s: %d of 300 files, %v", name, n, err)
		}
	}
}

func TestHostile(t *testing.T) {
	good := recorded(t, "ext4")
	patched := func(b []byte, change func([]byte)) []byte {
		b = bytes.Clone(b)
		change(b)
		return b
	}
	for _, tc := range []struct {
		name       string
		b          []byte
		lim        limit.Limits
		err, fault string
	}{
		{"empty", nil, limit.Limits{}, "no partition table and no file system", ""},
		{"zeros", make([]byte, 1<<20), limit.Limits{}, "", ""},
		{"text", bytes.Repeat([]byte("not a disk "), 10_000), limit.Limits{}, "not known", ""},
		{"entries", good, limit.Limits{Entries: 5}, "", "reading stopped after 5 entries"},
		{"bytes", good, limit.Limits{Bytes: 100}, "", "more than 100 bytes were read"},
		{"feature", patched(good, func(b []byte) { b[1024+0x62] |= 0x80 }), limit.Limits{}, "", "features 0x800000 are not known"},
		{"journal", patched(good, func(b []byte) { b[1024+0x60] |= 4 }), limit.Limits{}, "", "what only its journal holds was not read"},
		{"block-size", patched(good, func(b []byte) { b[1024+0x18] = 9 }), limit.Limits{}, "", "block size: malformed"},
		{"lvm", func() []byte { b := make([]byte, 1<<20); copy(b[512:], "LABELONE"); return b }(), limit.Limits{}, "LVM is not read", ""},
		{"backing", patched(recorded(t, "ext4.qcow2"), func(b []byte) { b[15] = 1 }), limit.Limits{}, "a disk on top of another", ""},
		{"qcow2-l1", patched(recorded(t, "ext4.qcow2"), func(b []byte) { binary.BigEndian.PutUint32(b[36:], 1<<30) }), limit.Limits{}, "malformed", ""},
		{"gpt-count", patched(recorded(t, "gpt"), func(b []byte) { binary.LittleEndian.PutUint32(b[512+80:], 1<<30) }), limit.Limits{}, "malformed", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, faults, err := walk(t.Context(), tc.b, tc.lim)
			if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if !strings.Contains(strings.Join(faults, "\n"), tc.fault) {
				t.Errorf("faults %q, want %q", faults, tc.fault)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := walk(ctx, good, limit.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestDamaged shows that no cut and no flipped byte of what is not content does
// more than leave something out.
func TestDamaged(t *testing.T) {
	for _, name := range disks {
		b := recorded(t, name)
		lim := limit.Limits{Entries: 2000, Bytes: 64 << 20}
		for n := 1; n < len(b); n *= 2 {
			walk(t.Context(), b[:n], lim)
		}
		tried := 0
		for off := 0; off < len(b) && tried < 150; off += 1 + off/64 {
			if b[off] == 0 {
				continue
			}
			tried++
			old := b[off]
			b[off] ^= 0xa5
			walk(t.Context(), b, lim)
			b[off] = old
		}
	}
}

func FuzzWalk(f *testing.F) {
	for _, name := range disks {
		b := recorded(f, name)
		f.Add(b[:min(len(b), 256<<10)])
	}
	f.Fuzz(func(t *testing.T, b []byte) { walk(t.Context(), b, limit.Limits{Entries: 500, Bytes: 8 << 20}) })
}
