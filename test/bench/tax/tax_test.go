// SPDX-License-Identifier: Apache-2.0

// Package tax_test scans an image with the parsing sandbox or without it, so
// that the two can be compared. It is a test program, which may stand above the
// scanner as otherwise only the command does: the benchmark builds it and calls
// it as tax sandboxed|unsafe TARGET.
package tax_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/scan"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == scan.ChildArg:
		lean()
		os.Exit(scan.Child(context.Background(), os.Stdin, os.Stdout))
	case len(os.Args) == 3 && (os.Args[1] == "sandboxed" || os.Args[1] == "unsafe"):
		unsafe := os.Args[1] == "unsafe"
		if unsafe {
			lean() // the parser collects as often as in the child
		}
		r, err := run(context.Background(), os.Args[2], unsafe)
		if err != nil {
			fmt.Fprintln(os.Stderr, "tax:", err)
			os.Exit(1)
		}
		fmt.Println("packages", len(r.Inventory.Packages))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// lean is what the command's parsing child does with its heap.
func lean() { debug.SetGCPercent(30) }

func run(ctx context.Context, target string, unsafe bool) (*bulwark.Report, error) {
	s := &scan.Scanner{Secrets: true, Config: true, InProcessUnsafe: unsafe}
	return s.Run(ctx, target)
}

// TestSame shows that the two sides of the comparison do the same work.
func TestSame(t *testing.T) {
	dir := t.TempDir()
	lock := `{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0"},"node_modules/lodash":{"version":"4.17.20"}}}`
	if err := os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte(lock), 0o644); err != nil {
		t.Fatal(err)
	}
	var packages [2][]bulwark.Package
	for i, unsafe := range []bool{false, true} {
		r, err := run(t.Context(), dir, unsafe)
		if err != nil {
			t.Fatal(err)
		}
		packages[i] = r.Inventory.Packages
	}
	if len(packages[0]) == 0 {
		t.Fatal("no packages")
	}
	if d := cmp.Diff(packages[0], packages[1]); d != "" {
		t.Error(d)
	}
}
