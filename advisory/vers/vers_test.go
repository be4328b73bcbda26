// SPDX-License-Identifier: Apache-2.0

package vers_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/vers"
)

// A table is one file of testdata: blocks of ranks of equal versions, and the
// versions that cannot be read.
type table struct {
	ecosystem  string
	blocks     [][][]string
	unreadable []string
}

// readTable reads a file of testdata; the first of them, dpkg.txt, explains the
// format.
func readTable(t testing.TB, path string) table {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	repeat := regexp.MustCompile(`\{([^*}]+)\*([0-9]+)\}`)
	text := repeat.ReplaceAllStringFunc(string(data), func(s string) string {
		m := repeat.FindStringSubmatch(s)
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return s // the explanation of the format
		}
		return strings.Repeat(m[1], n)
	})
	var tab table
	block := [][]string(nil)
	for line := range strings.Lines(text + "\n") {
		line = strings.TrimSuffix(line, "\n")
		ecosystem, isEcosystem := strings.CutPrefix(line, "# ecosystem: ")
		bad, isBad := strings.CutPrefix(line, "! ")
		switch {
		case isEcosystem:
			tab.ecosystem = ecosystem
		case isBad:
			tab.unreadable = append(tab.unreadable, bad)
		case line == "" && block != nil:
			tab.blocks, block = append(tab.blocks, block), nil
		case line != "" && !strings.HasPrefix(line, "# "):
			block = append(block, strings.Split(line, " = "))
		}
	}
	if tab.ecosystem == "" || len(tab.blocks) == 0 {
		t.Fatalf("%s: no ecosystem or no versions", path)
	}
	return tab
}

func tables(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	return paths
}

func TestTables(t *testing.T) {
	for _, path := range tables(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			tab := readTable(t, path)
			for _, block := range tab.blocks {
				checkBlock(t, tab.ecosystem, block)
			}
			for _, v := range append(tab.unreadable, "", " \t") {
				for _, p := range [][2]string{{v, v}, {v, "1"}, {"1", v}} {
					if c, err := vers.Compare(tab.ecosystem, p[0], p[1]); err == nil || errors.Is(err, bulwark.ErrUnsupported) || c != 0 {
						t.Errorf("Compare(%q, %.80q, %.80q) = %d, %v, want an error", tab.ecosystem, p[0], p[1], c, err)
					}
				}
			}
		})
	}
}

// checkBlock compares every version of a block with every other one.
func checkBlock(t *testing.T, ecosystem string, block [][]string) {
	t.Helper()
	for i, as := range block {
		for j, bs := range block {
			for _, a := range as {
				for _, b := range bs {
					got, err := vers.Compare(ecosystem, a, b)
					if want := cmp.Compare(i, j); err != nil || got != want {
						t.Errorf("Compare(%q, %.80q, %.80q) = %d, %v, want %d", ecosystem, a, b, got, err, want)
					}
				}
			}
		}
	}
}

func TestScheme(t *testing.T) {
	got := map[string]string{}
	want := map[string]string{
		"": "", ":": "", "GIT": "", "Android": "", "OSS-Fuzz": "", "debian": "", "Root": "", "Root:": "",
		"Root:Root:Alpine": "", "TuxCare": "", "Docker Hardened Images": "", "Root:GIT": "",
		"Debian": "dpkg", "Debian:12": "dpkg", "Ubuntu:Pro:18.04:LTS": "dpkg", "Echo": "dpkg", "Root:Debian:12": "dpkg",
		"AlmaLinux:9": "rpm", "Rocky Linux:8": "rpm", "Red Hat:enterprise_linux:9::baseos": "rpm", "SUSE:x": "rpm",
		"openSUSE:Leap 15.6": "rpm", "Mageia:9": "rpm", "openEuler:22.03": "rpm", "Photon OS:5.0": "rpm", "Azure Linux:3": "rpm",
		"Amazon Linux:2023": "rpm", "Oracle Linux:9": "rpm", "Fedora:40": "rpm", "TuxCare:Red Hat:8": "rpm",
		"Alpine": "apk", "Alpine:v3.20": "apk", "Alpaquita:23": "apk", "Wolfi": "apk", "Chainguard": "apk", "MinimOS": "apk",
		"BellSoft Hardened Containers:25": "apk", "CleanStart": "apk", "Docker Hardened Images:Alpine:3.23": "apk",
		"npm": "semver", "Go": "semver", "crates.io": "semver", "Hex": "semver", "SwiftURL": "semver", "Bitnami": "semver",
		"GitHub Actions": "semver", "Julia": "semver", "VSCode:x": "semver", "Kubernetes": "semver", "Linux": "semver",
		"PyPI": "pep440", "Root:PyPI": "pep440", "Maven": "maven", "Maven:https://repo.example/": "maven", "RubyGems": "gem",
		"Packagist": "composer", "NuGet": "nuget", "Hackage": "pvp", "GHC": "pvp", "CRAN": "cran", "Bioconductor": "cran",
		"Pub": "pub", "ConanCenter": "conan", "opam": "opam", "Bulwark": "product",
	}
	for ecosystem := range want {
		got[ecosystem] = vers.Scheme(ecosystem)
		_, err := vers.Compare(ecosystem, "1", "1")
		if unsupported := errors.Is(err, bulwark.ErrUnsupported); unsupported != (want[ecosystem] == "") {
			t.Errorf("Compare(%q): %v", ecosystem, err)
		}
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("Scheme (-want +got):\n%s", d)
	}
}

// TestZero: the word of OSV for the beginning is a version in every scheme, and
// not after the first releases.
func TestZero(t *testing.T) {
	for _, path := range tables(t) {
		ecosystem := readTable(t, path).ecosystem
		for _, p := range []struct {
			a, b string
			want int
		}{{"0", "0", 0}, {"0", "0.0.1", -1}, {"1", "0", 1}, {" 0", "0\n", 0}} {
			if got, err := vers.Compare(ecosystem, p.a, p.b); err != nil || got != p.want {
				t.Errorf("Compare(%q, %q, %q) = %d, %v, want %d", ecosystem, p.a, p.b, got, err, p.want)
			}
		}
	}
}

// TestErrorIsShort: a hostile version is quoted and cut in the error.
func TestErrorIsShort(t *testing.T) {
	_, err := vers.Compare("npm", strings.Repeat("\x1b[2J", 1<<16), "1")
	if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %.600v", err)
	}
}

// TestTruncated compares every prefix of every version with its neighbour.
func TestTruncated(t *testing.T) {
	for _, path := range tables(t) {
		tab := readTable(t, path)
		for _, block := range tab.blocks {
			for _, rank := range block {
				for _, v := range rank {
					for n := range min(len(v), 200) {
						checkPair(t, tab.ecosystem, v[:n], v[:n+1])
					}
				}
			}
		}
	}
}

// TestLongVersions compares versions of 32 KiB. With quadratic time in any of
// them the test would take minutes.
func TestLongVersions(t *testing.T) {
	const size = 1 << 15
	for _, path := range tables(t) {
		ecosystem := readTable(t, path).ecosystem
		for _, unit := range []string{"0", "9", "1.", "0.", "-", ".", "a", "A1", "~", "^", "_p", "_", ".0.a", "-0", "-1", "0-final", "+", "é", "#"} {
			long := "1" + strings.Repeat(unit, size/len(unit))
			for _, b := range []string{long, long + "1", long + "-1", "1.0", "1" + strings.Repeat("0.", size/2), "1" + strings.Repeat(".0", size/2) + ".a"} {
				checkPair(t, ecosystem, long, b)
			}
		}
	}
}

// checkPair asks for what holds for any two strings.
func checkPair(t *testing.T, ecosystem, a, b string) {
	t.Helper()
	ab, err := vers.Compare(ecosystem, a, b)
	ba, err2 := vers.Compare(ecosystem, b, a)
	if (err == nil) != (err2 == nil) || ab != -ba || ab < -1 || ab > 1 || err != nil && ab != 0 {
		t.Errorf("%s: %.80q and %.80q: %d and %d (%v, %v)", ecosystem, a, b, ab, ba, err, err2)
	}
}

func TestNoAllocation(t *testing.T) {
	for _, p := range pairs {
		if n := testing.AllocsPerRun(100, func() { _, _ = vers.Compare(p.ecosystem, p.a, p.b) }); n != 0 {
			t.Errorf("%s: %.0f allocations, want none", p.ecosystem, n)
		}
	}
}

func FuzzCompare(f *testing.F) {
	var ecosystems []string
	for _, path := range tables(f) {
		tab := readTable(f, path)
		ecosystems = append(ecosystems, tab.ecosystem)
		for _, block := range tab.blocks {
			for i := range block {
				a, b, c := block[max(0, i-1)][0], block[i][0], block[min(i+1, len(block)-1)][0]
				if len(a)+len(b)+len(c) < 200 {
					f.Add(a, b, c)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, ecosystem := range ecosystems {
			if ecosystem == "Maven" || ecosystem == "Packagist" && strings.Contains(a+b+c, "#") {
				// The circles that the package comment names.
				checkPair(t, ecosystem, a, b)
				checkPair(t, ecosystem, b, c)
				checkPair(t, ecosystem, a, a)
				continue
			}
			checkOrder(t, ecosystem, a, b, c)
		}
	})
}

// pairs are versions as matching meets them: an installed one and a fix.
var pairs = []struct{ ecosystem, a, b string }{
	{"Debian:12", "1.1.1n-0+deb11u3", "1.1.1n-0+deb11u4"},
	{"Red Hat", "1:3.0.7-16.el9_2", "1:3.0.7-18.el9_2"},
	{"Alpine:v3.20", "3.1.4-r5", "3.1.4-r6"},
	{"npm", "4.17.20-beta.1", "4.17.20-beta.2"},
	{"Bitnami", "1.25.3-1", "1.25.3-2"},
	{"NuGet", "13.0.1-Beta1", "13.0.1-beta2"},
	{"Pub", "1.2.3+1", "1.2.3+2"},
	{"ConanCenter", "1.1.1t", "1.1.1w"},
	{"PyPI", "2.31.0.post1", "2.31.0.post2"},
	{"Maven", "2.9.10.Final", "2.9.10.1"},
	{"RubyGems", "7.0.4.3", "7.0.4.rc1"},
	{"Packagist", "v5.4.0-BETA1", "5.4.0"},
	{"Hackage", "0.11.3.0", "0.11.3.1"},
	{"CRAN", "1.0-12", "1.0.13"},
	{"opam", "4.14.1~rc1", "4.14.1"},
}

func BenchmarkCompare(b *testing.B) {
	for _, p := range pairs {
		b.Run(fmt.Sprintf("%s=%s", vers.Scheme(p.ecosystem), strings.ReplaceAll(p.ecosystem, " ", "")), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c, err := vers.Compare(p.ecosystem, p.a, p.b); err != nil || c == 0 {
					b.Fatal(c, err)
				}
			}
		})
	}
}

// BenchmarkLongNumbers shows linear time: ns per byte should not grow.
func BenchmarkLongNumbers(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 15, 1 << 20} {
		x, y := strings.Repeat("9", n), strings.Repeat("9", n-1)+"8"
		for _, p := range pairs {
			b.Run(fmt.Sprintf("%s=%s/%d", vers.Scheme(p.ecosystem), strings.ReplaceAll(p.ecosystem, " ", ""), n), func(b *testing.B) {
				b.SetBytes(int64(2 * n))
				for b.Loop() {
					_, _ = vers.Compare(p.ecosystem, x, y)
				}
			})
		}
	}
}
