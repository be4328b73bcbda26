// SPDX-License-Identifier: Apache-2.0

package hex_test

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/hex"
)

type extractor = extracttest.Leaf

var extractors = []extractor{hex.MixLock{}, hex.RebarLock{}, hex.Application{}}

func TestFixtures(t *testing.T) {
	extracttest.Fixtures(t, extractors, func(path string, data []byte, e extractor, want string) {
		t.Run(path, func(t *testing.T) {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
			if diff := cmp.Diff(want, extracttest.Brief(pkgs, err)); diff != "" {
				t.Error(diff)
			}
			for _, p := range pkgs {
				if p.Ecosystem != "Hex" && !strings.HasPrefix(p.PURL, "pkg:otp/") || p.By != e.Name() {
					t.Errorf("%+v", p)
				}
			}
		})
	})
}

func TestKit(t *testing.T) { extracttest.Kit(t, extractors, 3) }

func TestTooLarge(t *testing.T) {
	for _, e := range extractors {
		_, err := e.Extract(t.Context(), bulwark.ReaderFile("x", 0, bytes.NewReader(nil), 1<<40))
		if !errors.Is(err, bulwark.ErrTooLarge) {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
}

func TestWants(t *testing.T) {
	for path, want := range map[string]string{
		"mix.lock":            "mix-lock",
		"a/mix.lock":          "mix-lock",
		"a/deps/b/mix.lock":   "",
		"_build/x/rebar.lock": "",
		"rebar.lock":          "rebar-lock",
		"lib/a-1/ebin/a.app":  "otp-application",
		"ebin/a.app":          "otp-application",
		"Safari.app":          "",
		"web/a.app":           "",
		"xmix.lock":           "",
	} {
		got := ""
		for _, e := range extractors {
			if e.Wants(path, bulwark.Stat{Size: 10, Mode: 0o644}) {
				got += e.Name()
			}
			if e.Wants(path, bulwark.Stat{Mode: fs.ModeDir | 0o755}) || e.Wants(path, bulwark.Stat{Mode: fs.ModeSymlink}) {
				t.Errorf("%s wants a directory or link %q", e.Name(), path)
			}
		}
		if got != want {
			t.Errorf("%q is wanted by %q, want %q", path, got, want)
		}
	}
}

// TestHostile reads files that are nested or repeated without end.
func TestHostile(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("{", 1<<20),
		`%{"a": ` + strings.Repeat("{", 1<<20) + strings.Repeat("}", 1<<20),
		`[{<<"a">>,{` + strings.Repeat("[{tag,", 1<<18),
		`{application, a, [{` + strings.Repeat("licenses, [", 1<<18),
		`%{"a": {:hex, :` + strings.Repeat("a", 1<<20) + `, "1.0"}}`,
		strings.Repeat("<<\"", 1<<19),
	} {
		for _, e := range extractors {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile("a", 0, []byte(text)))
			if len(pkgs) > 1 {
				t.Errorf("%s: %d packages in %.20q, %v", e.Name(), len(pkgs), text, err)
			}
		}
	}
}

func FuzzExtract(f *testing.F) {
	extracttest.Fixtures(f, extractors, func(_ string, data []byte, e extractor, _ string) {
		f.Add(slices.IndexFunc(extractors, func(x extractor) bool { return x.Name() == e.Name() }), data)
	})
	f.Fuzz(func(t *testing.T, n int, data []byte) {
		e := extractors[uint(n)%uint(len(extractors))]
		_, _ = e.Extract(t.Context(), bulwark.MemoryFile("a", 0o644, data))
	})
}
