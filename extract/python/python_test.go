// SPDX-License-Identifier: Apache-2.0

package python_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract/extracttest"
	"github.com/bulwark-sec/bulwark/extract/python"
)

type extractor = extracttest.Leaf

var extractors = []extractor{python.Installed{}, python.Requirements{}, python.PipfileLock{}, python.LockTOML{},
	python.CondaInstalled{}, python.CondaLock{}, python.CondaEnvironment{}}

func TestFixtures(t *testing.T) {
	extracttest.Fixtures(t, extractors, func(path string, data []byte, e extractor, want string) {
		t.Run(path, func(t *testing.T) {
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(path, 0o644, data))
			if diff := cmp.Diff(want, extracttest.Brief(pkgs, err)); diff != "" {
				t.Error(diff)
			}
			for _, p := range pkgs {
				if (p.Ecosystem == "PyPI") != strings.HasPrefix(p.PURL, "pkg:pypi/") || p.By != e.Name() {
					t.Errorf("%+v", p)
				}
			}
		})
	})
}

func TestKit(t *testing.T) { extracttest.Kit(t, extractors, 4) }

func TestTooLarge(t *testing.T) {
	for _, e := range extractors {
		_, err := e.Extract(t.Context(), bulwark.ReaderFile("x", 0, bytes.NewReader(nil), 1<<40))
		if err == nil {
			t.Errorf("%s: no error", e.Name())
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

// TestSystem compares with what Python itself says is installed.
func TestSystem(t *testing.T) {
	if os.Getenv("BULWARK_SYSTEM") == "" {
		t.Skip("looks at this machine; set BULWARK_SYSTEM=1")
	}
	tool, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	const script = "import importlib.metadata as m\n" +
		"for d in m.distributions():\n    print(d._path, d.metadata['Name'], d.version, sep='\\t')\n"
	out, err := exec.CommandContext(t.Context(), tool, "-I", "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		field := strings.Split(strings.TrimSpace(line), "\t")
		path := field[0]
		for _, file := range []string{"METADATA", "PKG-INFO", ""} {
			p := filepath.Join(path, file)
			data, err := os.ReadFile(p)
			if err != nil {
				continue
			}
			e := python.Installed{}
			if !e.Wants(p, bulwark.Stat{Size: int64(len(data)), Mode: 0o644}) {
				t.Errorf("%s is not wanted", p)
			}
			pkgs, err := e.Extract(t.Context(), bulwark.MemoryFile(p, 0o644, data))
			if err != nil || len(pkgs) != 1 || pkgs[0].Version != field[2] || !strings.EqualFold(strings.NewReplacer("_", "-", ".", "-").Replace(field[1]), pkgs[0].Name) {
				t.Errorf("%s: %v %v, want %v", p, pkgs, err, field)
			}
			n++
			break
		}
	}
	t.Logf("%d distributions", n)
}

func BenchmarkInstalled(b *testing.B) {
	text := "Metadata-Version: 2.1\nName: requests\nVersion: 2.28.1\nLicense: Apache 2.0\n" +
		strings.Repeat("Requires-Dist: charset-normalizer (<4,>=2)\n", 20) + "\n" + strings.Repeat("description\n", 2000)
	f := bulwark.MemoryFile("requests-2.28.1.dist-info/METADATA", 0o644, []byte(text))
	b.ReportAllocs()
	for b.Loop() {
		if pkgs, err := (python.Installed{}).Extract(b.Context(), f); err != nil || len(pkgs) != 1 {
			b.Fatal(pkgs, err)
		}
	}
}
