// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/store"
)

// day is when an image of these tests was seen.
func day(n int) time.Time { return time.Date(2026, 5, n, 12, 0, 0, 0, time.UTC) }

// large gives an inventory that takes some kilobytes, compressed.
func large(kb int) *bulwark.Inventory {
	r := rand.New(rand.NewPCG(1, 2))
	inv := &bulwark.Inventory{}
	for range kb * 20 {
		inv.Packages = append(inv.Packages, bulwark.Package{Name: fmt.Sprintf("%016x%016x%016x%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())})
	}
	return inv
}

func all(t *testing.T, s *store.Images) []string {
	t.Helper()
	list, err := s.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := names(list)
	for i, img := range list {
		if _, err := s.Inventory(img.Chain()); err == nil {
			out[i] += " with inventory"
		}
	}
	return slices.Sorted(slices.Values(out))
}

func TestBounds(t *testing.T) {
	for _, tc := range []struct {
		name string
		max  store.Bounds
		kb   int
		want []string
	}{
		{"room-for-all", store.Bounds{}, 1, []string{"r/a:1 with inventory", "r/a:2 with inventory", "r/a:3 with inventory", "r/a:4 with inventory", "r/base:1 with inventory"}},
		{"number", store.Bounds{Images: 2}, 1, []string{"r/a:3 with inventory", "r/a:4 with inventory", "r/base:1 with inventory"}},
		{"bytes", store.Bounds{Bytes: 300 << 10}, 100, []string{"r/a:3 with inventory", "r/a:4 with inventory", "r/base:1 with inventory"}},
		{"not-even-bases-inventories", store.Bounds{Bytes: 1}, 1, []string{"r/base:1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := store.OpenImages(t.TempDir(), tc.max)
			base := image("r/base:1", 9)
			base.Declared, base.Seen = true, day(1)
			list := []*store.Image{base}
			for n := 1; n <= 4; n++ {
				img := image(fmt.Sprintf("r/a:%d", n), 9, n)
				img.Seen = day(1 + n)
				list = append(list, img)
			}
			for _, img := range list {
				inv := large(tc.kb)
				if img == base {
					inv = large(1)
				}
				if err := s.Put(t.Context(), img, inv); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(tc.want, all(t, s)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			held, err := s.Held(t.Context())
			if err != nil || held.Images != len(tc.want) || held.Declared != 1 {
				t.Errorf("%+v, %v", held, err)
			}
			in, err := s.In(t.Context(), "r/a")
			if err != nil || len(in) != len(tc.want)-1 {
				t.Errorf("of the repository: %v, %v", names(in), err)
			}
		})
	}
}

// A name of a chain that goes leaves what the chain's other names need.
func TestSharedChain(t *testing.T) {
	s := store.OpenImages(t.TempDir(), store.Bounds{Images: 1})
	for n, name := range []string{"r/a:1", "r/a:2"} {
		img := image(name, 1)
		img.Seen = day(1 + n)
		if err := s.Put(t.Context(), img, large(1)); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"r/a:2 with inventory"}, all(t, s)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// files gives what is known of the files below a folder.
func files(t *testing.T, dir string) map[string]fs.FileInfo {
	t.Helper()
	out := map[string]fs.FileInfo{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out[strings.TrimPrefix(path, dir)] = info
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// written counts the files that are not the ones that they were.
func written(before, after map[string]fs.FileInfo) (n int) {
	for name, info := range after {
		if old := before[name]; old == nil || !os.SameFile(old, info) || !old.ModTime().Equal(info.ModTime()) {
			n++
		}
	}
	return n
}

func TestUnchanged(t *testing.T) {
	dir := t.TempDir()
	s := store.OpenImages(dir, store.Bounds{})
	img := image("r/a:1", 1, 2)
	img.Seen, img.Made = day(1), "parsers 1"
	put := func() {
		t.Helper()
		if err := s.Put(t.Context(), img, large(1)); err != nil {
			t.Fatal(err)
		}
	}
	put()
	first := files(t, dir)
	if len(first) != 3 {
		t.Fatal(first)
	}
	img.Seen = img.Seen.Add(time.Hour)
	put()
	if n := written(first, files(t, dir)); n != 0 {
		t.Errorf("%d files were written again within a day", n)
	}
	for _, tc := range []struct {
		name   string
		change func()
		files  int
	}{
		{"seen-on-another-day", func() { img.Seen = day(3) }, 1},
		{"other-parsers", func() { img.Made = "parsers 2" }, 2},
		{"inventory-lost", func() { check(t, os.Remove(inventoryOf(t, dir))) }, 1},
		{"pulled", func() { img.Pulled = true }, 1},
	} {
		before := files(t, dir)
		tc.change()
		put()
		after := files(t, dir)
		if n := written(before, after); n != tc.files || len(after) != 3 {
			t.Errorf("%s: %d of %d files were written, want %d of 3", tc.name, n, len(after), tc.files)
		}
	}
	// What was learnt once is not unlearnt by a load under the same name.
	img.Pulled, img.Seen = false, day(9)
	put()
	if got := s.Named(img.Chain()); len(got) != 1 || !got[0].Pulled || !got[0].Seen.Equal(day(9)) {
		t.Errorf("%+v", got)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func inventoryOf(t *testing.T, dir string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "chains", "*", "inventory.zst"))
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	return list[0]
}

func TestCancelledPut(t *testing.T) {
	dir := t.TempDir()
	s := store.OpenImages(dir, store.Bounds{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, image("r/a:1", 1), large(1)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Error(left)
	}
}

func TestClear(t *testing.T) {
	dir := t.TempDir()
	s := store.OpenImages(dir, store.Bounds{})
	check(t, s.Clear(t.Context(), false)) // of nothing
	base := image("r/base:1", 1)
	base.Declared = true
	check(t, s.Put(t.Context(), base, large(1)))
	check(t, s.Put(t.Context(), image("r/a:1", 1, 2), large(1)))
	// What is no image of ours goes, too; what is being written stays.
	other := filepath.Dir(inventoryOf(t, dir))
	check(t, os.WriteFile(filepath.Join(other, "ffff.json"), []byte("{"), 0o600))
	check(t, os.WriteFile(filepath.Join(other, ".new-1"), nil, 0o600))
	check(t, s.Clear(t.Context(), false))
	if d := cmp.Diff([]string{"r/base:1"}, all(t, s)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	check(t, s.Clear(t.Context(), true))
	if left := files(t, dir); len(left) != 0 {
		t.Error(left)
	}
}

// A nil Images keeps nothing and has nothing.
func TestNothing(t *testing.T) {
	var s *store.Images
	check(t, s.Put(t.Context(), image("r/a:1", 1), nil))
	check(t, s.Clear(t.Context(), true))
	n, err := s.Trim(t.Context())
	held, herr := s.Held(t.Context())
	if n != 0 || err != nil || herr != nil || held != (store.Held{}) {
		t.Error(n, err, held, herr)
	}
}
