// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/store"
)

func digest(n int) bulwark.Digest { return bulwark.Digest(fmt.Sprintf("sha256:%064x", n)) }

func image(name string, layers ...int) *store.Image {
	img := &store.Image{Name: name, Created: time.Date(2026, 1, len(layers), 0, 0, 0, 0, time.UTC)}
	for _, n := range layers {
		img.Layers = append(img.Layers, digest(n))
	}
	return img
}

func names(list []*store.Image) (out []string) {
	for _, img := range list {
		out = append(out, img.Name)
	}
	return out
}

func TestImages(t *testing.T) {
	s := store.OpenImages(filepath.Join(t.TempDir(), "images"), store.Bounds{})
	if got := s.Named(digest(1)); got != nil {
		t.Fatal(got)
	}
	inv := &bulwark.Inventory{OS: &bulwark.OS{ID: "debian"}, Packages: []bulwark.Package{{Name: "bash", Version: "5"}}}
	for _, img := range []*store.Image{image("r/debian:12", 1), image("r/debian:12.1", 1), image("r/debian:13", 2, 3), image("r/web:1", 1, 4)} {
		if err := s.Put(t.Context(), img, inv); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"r/debian:12", "r/debian:12.1"}, names(s.Named(image("", 1).Chain()))); d != "" {
		t.Error(d)
	}
	list, err := s.In(t.Context(), "r/debian")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"r/debian:13", "r/debian:12", "r/debian:12.1"}, names(list)); d != "" {
		t.Error(d)
	}
	got, err := s.Inventory(image("", 1, 4).Chain())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(inv, got); d != "" {
		t.Error(d)
	}
	if _, err := s.Inventory(digest(9)); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
	if err := s.Put(t.Context(), &store.Image{Name: "x"}, nil); err == nil {
		t.Error(err)
	}
}

// Nobody can make one chain answer for another by putting a file in its place.
func TestForeignFile(t *testing.T) {
	dir := t.TempDir()
	s := store.OpenImages(dir, store.Bounds{})
	if err := s.Put(t.Context(), image("r/a:1", 1), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), image("r/b:1", 2), nil); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "chains", "*", "*.json"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{b, b[:len(b)/2], nil, []byte("null"), []byte(`{"name":"x","layers":[]}`)} {
		if err := os.WriteFile(files[1], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := s.All(t.Context())
		if err != nil || len(list) != 1 {
			t.Errorf("%q: %v, %v", bad, names(list), err)
		}
	}
}

func TestImport(t *testing.T) {
	s := store.OpenImages(t.TempDir(), store.Bounds{})
	good := `{"name":"docker.io/library/debian:12","layers":["` + string(digest(1)) + `"]}`
	n, err := s.Import(t.Context(), strings.NewReader("# bases\n\n"+good+"\n"))
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if got := s.Named(digest(1)); len(got) != 1 || !got[0].Declared {
		t.Error(got)
	}
	// A scan of it takes nothing back, and neither does another import.
	seen := image("docker.io/library/debian:12", 1)
	seen.Steps, seen.History, seen.Settled = 2, digest(7), true
	if err := s.Put(t.Context(), seen, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(t.Context(), strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	if got := s.Named(digest(1)); len(got) != 1 || !got[0].Declared || got[0].History != digest(7) || !got[0].Settled {
		t.Errorf("%+v", got)
	}
	for text, want := range map[string]string{
		good + "\n{":                               "line 2",
		`{"name":"x","layer":[]}`:                  "unknown field",
		`{"name":"x","layers":["sha256:1"]}`:       "not a digest",
		`{"name":"x"}`:                             "no layers",
		`{"layers":["` + string(digest(1)) + `"]}`: "no name",
		strings.Repeat("x", 2<<20):                 "too long",
	} {
		if _, err := s.Import(t.Context(), strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

func TestTogether(t *testing.T) {
	s := store.OpenImages(t.TempDir(), store.Bounds{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 10 {
				if err := s.Put(t.Context(), image(fmt.Sprintf("r/x:%d", k), 1, i), &bulwark.Inventory{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list, err := s.In(t.Context(), "r/x")
	if err != nil || len(list) != 80 {
		t.Error(len(list), err)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string][2]string{
		"debian":               {"debian", ""},
		"debian:12":            {"debian", "12"},
		"localhost:5000/a/b":   {"localhost:5000/a/b", ""},
		"localhost:5000/a/b:1": {"localhost:5000/a/b", "1"},
		"r/a:1@sha256:0123":    {"r/a", "1"},
		"r/a@sha256:0123":      {"r/a", ""},
		"":                     {"", ""},
	} {
		if got := [2]string{store.Repository(name), store.Tag(name)}; got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(`{"name":"docker.io/library/debian:12","layers":["` + string(digest(1)) + `"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := store.OpenImages(t.TempDir(), store.Bounds{})
		n, _ := s.Import(t.Context(), strings.NewReader(string(b)))
		list, err := s.All(t.Context())
		if err != nil || len(list) > n {
			t.Fatal(n, len(list), err)
		}
	})
}
