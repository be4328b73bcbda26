// SPDX-License-Identifier: Apache-2.0

package homebrew_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/homebrew"
)

func load(t testing.TB) (files []txtar.File, want string) {
	t.Helper()
	a, err := txtar.ParseFile("testdata/homebrew.txtar")
	if err != nil {
		t.Fatal(err)
	}
	last := len(a.Files) - 1
	return a.Files[:last], string(a.Files[last].Data)
}

func TestExtract(t *testing.T) {
	files, want := load(t)
	var got strings.Builder
	for _, file := range files {
		f := bulwark.MemoryFile(file.Name, 0o644, file.Data)
		if !(homebrew.Extractor{}).Wants(f.Path, f.Stat) {
			t.Errorf("does not want %q", f.Path)
		}
		pkgs, err := homebrew.Extractor{}.Extract(t.Context(), f)
		if err != nil {
			t.Errorf("%s: %v", f.Path, err)
		}
		for _, p := range pkgs {
			fmt.Fprintf(&got, "%s\n\tpurl %s\n", strings.TrimSpace(p.Name+" "+p.Version+" "+p.Arch), p.PURL)
			if p.Vendor != "" {
				fmt.Fprintf(&got, "\tvendor %s\n", p.Vendor)
			}
			if p.Where[0].Path != f.Path || p.Ecosystem != "" {
				t.Errorf("%+v", p)
			}
		}
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWants(t *testing.T) {
	for _, path := range []string{
		"INSTALL_RECEIPT.json", "Cellar/a/INSTALL_RECEIPT.json", "opt/homebrew/cellar/a/1/INSTALL_RECEIPT.json",
		"opt/homebrew/Cellar/a/1/.brew/a.rb", "opt/homebrew/Cellar/a/1/2/INSTALL_RECEIPT.json", "Cellar/a/.x/INSTALL_RECEIPT.json",
		"Caskroom/a/1/Casks/a.json", "Caskroom/a/.metadata/1/2/Casks/b.json", "Caskroom/a/metadata/1/2/Casks/a.json", "Casks/a.rb",
	} {
		if (homebrew.Extractor{}).Wants(path, bulwark.Stat{Mode: 0o644}) {
			t.Errorf("wants %q", path)
		}
	}
}

// TestDamage shows that the keg tells what is installed when the receipt is
// damaged, and that a cask without version is an error.
func TestDamage(t *testing.T) {
	pkgs, err := homebrew.Extractor{}.Extract(t.Context(), bulwark.MemoryFile("Cellar/a/1/INSTALL_RECEIPT.json", 0o644, []byte(`{"arch":`)))
	if len(pkgs) != 1 || pkgs[0].PURL != "pkg:brew/a@1" || err == nil {
		t.Errorf("%+v, %v", pkgs, err)
	}
	pkgs, err = homebrew.Extractor{}.Extract(t.Context(), bulwark.MemoryFile("Caskroom/a/.metadata/INSTALL_RECEIPT.json", 0o644, []byte(`{}`)))
	if len(pkgs) > 0 || err == nil {
		t.Errorf("%+v, %v", pkgs, err)
	}
	_, err = homebrew.Extractor{}.Extract(t.Context(), bulwark.MemoryFile("Cellar/a/1/INSTALL_RECEIPT.json", 0o644, make([]byte, 5<<20)))
	if !errors.Is(err, bulwark.ErrTooLarge) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = (homebrew.Extractor{}).Extract(ctx, bulwark.MemoryFile("Cellar/a/1/INSTALL_RECEIPT.json", 0o644, []byte("{}"))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestKit(t *testing.T) {
	files, _ := load(t)
	seeds := map[string][]byte{}
	for _, f := range files[:4] {
		seeds[f.Name] = f.Data
	}
	extracttest.Extractor(t, homebrew.Extractor{}, seeds)
}

func FuzzExtract(f *testing.F) {
	files, _ := load(f)
	for _, file := range files {
		f.Add(file.Name, file.Data)
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		file := bulwark.MemoryFile(path, 0o644, data)
		if !(homebrew.Extractor{}).Wants(path, file.Stat) {
			return
		}
		pkgs, err := homebrew.Extractor{}.Extract(t.Context(), file)
		if len(pkgs) == 0 && err == nil {
			t.Error("neither package nor error")
		}
		for _, p := range pkgs {
			if p.Name == "" || p.Version == "" || !strings.HasPrefix(p.PURL, "pkg:brew/") {
				t.Errorf("%+v", p)
			}
		}
	})
}
