// SPDX-License-Identifier: Apache-2.0

package extracttest_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
)

// words is an extractor that takes every line of a file for a package.
type words struct{}

func (words) Name() string { return "words" }

func (words) Wants(path string, _ bulwark.Stat) bool { return path == "words.txt" }

func (words) WantsHead(_ string, head []byte) bool { return len(head) > 0 }

func (w words) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	b, err := f.Bytes(1 << 20)
	if err != nil {
		return nil, err
	}
	return lines(ctx, w.Name(), f.Path, b), nil
}

func lines(ctx context.Context, by, path string, b []byte) []bulwark.Package {
	var pkgs []bulwark.Package
	for line := range bytes.Lines(b) {
		name := string(bytes.TrimSpace(line))
		if ctx.Err() != nil || len(pkgs) == 1000 {
			break
		}
		if name != "" {
			pkgs = append(pkgs, bulwark.Package{PURL: "pkg:generic/word", Name: name, By: by, Where: []bulwark.Location{{Path: path}}})
		}
	}
	return pkgs
}

type wordbase struct{}

func (wordbase) Name() string { return "wordbase" }

func (wordbase) Wants(path string, _ bulwark.Stat) bool { return path == "words.txt" }

func (w wordbase) Extract(ctx context.Context, fsys fs.FS, _ *bulwark.OS, _ func(string) bool) ([]bulwark.Package, []bulwark.Gap, error) {
	b, err := fs.ReadFile(fsys, "words.txt")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, []bulwark.Gap{{Kind: bulwark.GapUnreadable, Path: "words.txt", Hides: true}}, nil
	}
	return lines(ctx, w.Name(), "words.txt", b), nil, nil
}

func TestKitAcceptsGoodExtractor(t *testing.T) {
	extracttest.Extractor(t, words{}, map[string][]byte{"words.txt": []byte("one\ntwo\n")})
}

func TestKitAcceptsGoodDatabase(t *testing.T) {
	extracttest.Database(t, wordbase{}, nil, map[string][]byte{"words.txt": []byte("one\ntwo\n")})
}
