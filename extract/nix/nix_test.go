// SPDX-License-Identifier: Apache-2.0

package nix_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/nix"
)

const (
	databaseFile = "nix/var/nix/db/db.sqlite"
	hash         = "9d24ccl5p9cyjhws8lcvg8hspczrq8y3"
)

// database gives the database that testdata/nix.txtar tells of.
func database(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "db.sqlite.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

func section(t testing.TB, name string) string {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", "nix.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	t.Fatalf("no section %q", name)
	return ""
}

func describe(pkgs []bulwark.Package, gaps []bulwark.Gap) string {
	var b strings.Builder
	for _, p := range pkgs {
		fmt.Fprintf(&b, "%s %s\n\tpurl %s\n", p.Name, p.Version, p.PURL)
		for _, l := range p.Where {
			fmt.Fprintf(&b, "\tat %s\n", l.Path)
		}
	}
	for _, g := range gaps {
		fmt.Fprintf(&b, "gap %s %s hides=%t\n", g.Kind, g.Path, g.Hides)
	}
	return b.String()
}

func TestDatabase(t *testing.T) {
	fsys := fstest.MapFS{databaseFile: &fstest.MapFile{Data: database(t)}}
	pkgs, gaps, err := nix.Database{}.Extract(t.Context(), fsys, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(section(t, "database"), describe(pkgs, gaps)); diff != "" {
		t.Error(diff)
	}
}

func TestDatabaseDamage(t *testing.T) {
	whole := database(t)
	for name, tc := range map[string]struct {
		data []byte
		kind string
	}{
		"no-database": {[]byte("no database at all, but long enough"), bulwark.GapMalformed},
		"no-table":    {bytes.ReplaceAll(whole, []byte("ValidPaths"), []byte("ValidPathz")), bulwark.GapMalformed},
		"foreign":     {bytes.ReplaceAll(whole, []byte("/nix/store/3k3x"), []byte("/nix/store/3e3x")), bulwark.GapMalformed}, // no digest
		"cut":         {whole[:4096], bulwark.GapMalformed},
	} {
		fsys := fstest.MapFS{databaseFile: &fstest.MapFile{Data: tc.data}}
		_, gaps, err := nix.Database{}.Extract(t.Context(), fsys, nil, nil)
		if err != nil || len(gaps) == 0 || gaps[0].Kind != tc.kind || !gaps[0].Hides {
			t.Errorf("%s: %+v, %v", name, gaps, err)
		}
	}
}

// TestStore asks for every path of a store and compares what stands for which
// package.
func TestStore(t *testing.T) {
	var e nix.Store
	var got strings.Builder
	for line := range strings.Lines(section(t, "store")) {
		path := strings.TrimSpace(line)
		f := bulwark.MemoryFile(path, 0o444, bytes.Repeat([]byte("x"), 100))
		if !e.Wants(path, f.Stat) {
			fmt.Fprintf(&got, "- %s\n", strings.TrimPrefix(path, "nix/store/"+hash))
			continue
		}
		pkgs, err := e.Extract(t.Context(), f)
		if err != nil || len(pkgs) != 1 || pkgs[0].Where[0].Path != strings.Join(strings.Split(path, "/")[:3], "/") {
			t.Fatalf("%s: %+v, %v", path, pkgs, err)
		}
		fmt.Fprintf(&got, "%s %s\n", pkgs[0].Name, pkgs[0].Version)
	}
	if diff := cmp.Diff(section(t, "stands"), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestStoreSizes(t *testing.T) {
	const path = "nix/store/" + hash + "-hello-2.12/bin/hello"
	for _, tc := range []struct {
		st   bulwark.Stat
		want bool
	}{
		{bulwark.Stat{Size: 0, Mode: 0o444}, false},
		{bulwark.Stat{Size: 63, Mode: 0o444}, false},
		{bulwark.Stat{Size: 64, Mode: 0o444}, true},
		{bulwark.Stat{Size: 2 << 20, Mode: 0o444}, false},
		{bulwark.Stat{Size: 2 << 20, Mode: 0o555}, true},
		{bulwark.Stat{Size: 65 << 20, Mode: 0o555}, false},
		{bulwark.Stat{Size: 64, Mode: os.ModeSymlink | 0o777}, false},
	} {
		if got := (nix.Store{}).Wants(path, tc.st); got != tc.want {
			t.Errorf("%+v: %t", tc.st, got)
		}
	}
}

// TestAgree shows that both find a package under one key, at one place.
func TestAgree(t *testing.T) {
	fsys := fstest.MapFS{databaseFile: &fstest.MapFile{Data: database(t)}}
	pkgs, _, err := nix.Database{}.Extract(t.Context(), fsys, nil, nil)
	if err != nil || len(pkgs) == 0 {
		t.Fatal(pkgs, err)
	}
	for _, p := range pkgs {
		for _, l := range p.Where {
			found, err := nix.Store{}.Extract(t.Context(), bulwark.MemoryFile(l.Path+"/bin/x", 0o555, []byte("x")))
			if err == nil && len(found) == 1 && found[0].Key() == p.Key() && found[0].PURL == p.PURL && slices.Contains(p.Where, found[0].Where[0]) {
				continue
			}
			t.Errorf("%s: %+v, %v; want %s", l.Path, found, err, p.PURL)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fsys := fstest.MapFS{databaseFile: &fstest.MapFile{Data: database(t)}}
	if _, _, err := (nix.Database{}).Extract(ctx, fsys, nil, nil); err == nil {
		t.Error("no error")
	}
}

func TestDatabaseKit(t *testing.T) {
	extracttest.Database(t, nix.Database{}, nil, map[string][]byte{databaseFile: database(t)})
}

func TestStoreKit(t *testing.T) {
	extracttest.Extractor(t, nix.Store{}, map[string][]byte{
		"nix/store/" + hash + "-perl5.38.2-DBI-1.643/bin/dbiprof": []byte(strings.Repeat("#!/bin/sh\n", 10)),
	})
}

func FuzzDatabase(f *testing.F) {
	f.Add(database(f), []byte{})
	f.Fuzz(func(t *testing.T, db, wal []byte) {
		fsys := fstest.MapFS{databaseFile: &fstest.MapFile{Data: db}, databaseFile + "-wal": &fstest.MapFile{Data: wal}}
		_, _, _ = nix.Database{}.Extract(t.Context(), fsys, nil, nil)
	})
}

func FuzzStore(f *testing.F) {
	for line := range strings.Lines(section(f, "store")) {
		f.Add(strings.TrimSpace(line))
	}
	f.Fuzz(func(t *testing.T, path string) {
		file := bulwark.MemoryFile(path, 0o444, bytes.Repeat([]byte("x"), 100))
		if !(nix.Store{}).Wants(path, file.Stat) {
			return
		}
		pkgs, err := nix.Store{}.Extract(t.Context(), file)
		if err != nil || len(pkgs) != 1 || pkgs[0].Name == "" || pkgs[0].Version == "" {
			t.Errorf("wanted %q, and found %v, %v", path, pkgs, err)
		}
	})
}
