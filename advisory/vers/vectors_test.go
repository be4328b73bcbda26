// SPDX-License-Identifier: Apache-2.0

package vers_test

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark/advisory/vers"
)

// vectorFiles are the published vectors of osv-scalibr and the ecosystems whose
// rules they test. The authors' own test allows no exception, nor does ours.
var vectorFiles = []struct {
	file       string
	ecosystems []string
}{
	{"alpine-versions.txt", []string{"Alpine:v3.20", "Wolfi"}},
	{"alpine-versions-generated.txt", []string{"Alpine"}},
	{"cran-versions.txt", []string{"CRAN", "Bioconductor"}},
	{"cran-versions-generated.txt", []string{"CRAN"}},
	{"debian-versions.txt", []string{"Debian:12", "Ubuntu:24.04:LTS"}},
	{"debian-versions-generated.txt", []string{"Debian"}},
	{"hackage-versions.txt", []string{"Hackage", "GHC"}},
	{"maven-versions.txt", []string{"Maven"}},
	{"maven-versions-generated.txt", []string{"Maven"}},
	{"nuget-versions.txt", []string{"NuGet"}},
	{"packagist-versions.txt", []string{"Packagist"}},
	{"packagist-versions-generated.txt", []string{"Packagist"}},
	{"pub-versions.txt", []string{"Pub"}},
	{"pypi-versions.txt", []string{"PyPI"}},
	{"pypi-versions-generated.txt", []string{"PyPI"}},
	{"redhat-versions.txt", []string{"Red Hat", "AlmaLinux:9", "openSUSE"}},
	{"rubygems-versions.txt", []string{"RubyGems"}},
	{"rubygems-versions-generated.txt", []string{"RubyGems"}},
	{"semver-versions.txt", []string{"npm", "Go", "crates.io", "Hex"}},
}

// reference is the folder of the module that publishes the vectors.
const reference = "github.com/google/osv-scalibr@v0.5.3"

type vector struct{ a, op, b string }

// readVectors reads the vectors of one file from the module cache, and skips
// the test when the module is not there.
func readVectors(t *testing.T, file string) []vector {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skipf("there is no go command: %v", err)
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(out)), reference, "semantic", "testdata", file))
	if err != nil {
		if os.Getenv("BULWARK_SYSTEM") != "" {
			t.Fatal(err)
		}
		t.Skip("the module cache has no " + reference + "; go mod download github.com/google/osv-scalibr@v0.5.3 brings it")
	}
	defer f.Close()
	var vs []vector
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "// ") {
			continue
		}
		p := strings.Split(line, " ")
		if len(p) != 3 || len(p[1]) != 1 || !strings.Contains("<=>", p[1]) {
			t.Fatalf("%s: unknown line %q", file, line)
		}
		vs = append(vs, vector{p[0], p[1], p[2]})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return vs
}

func TestPublishedVectors(t *testing.T) {
	all, passed := 0, 0
	for _, vf := range vectorFiles {
		t.Run(vf.file, func(t *testing.T) {
			vs := readVectors(t, vf.file)
			for _, ecosystem := range vf.ecosystems {
				n := 0
				for _, v := range vs {
					want := strings.Index("<=>", v.op) - 1
					ab, err1 := vers.Compare(ecosystem, v.a, v.b)
					ba, err2 := vers.Compare(ecosystem, v.b, v.a)
					if err1 != nil || err2 != nil || ab != want || ba != -want {
						t.Errorf("%s: %s %s %s: got %d and %d (%v, %v)", ecosystem, v.a, v.op, v.b, ab, ba, err1, err2)
						continue
					}
					n++
				}
				t.Logf("%s by %s: %d of %d passed", vf.file, vers.Scheme(ecosystem), n, len(vs))
				if ecosystem == vf.ecosystems[0] {
					all, passed = all+len(vs), passed+n
				}
			}
		})
	}
	t.Logf("all files: %d of %d passed", passed, all)
}

// TestVectorsAreAnOrder takes random triples of all versions in the vectors,
// and asks that each scheme orders them.
func TestVectorsAreAnOrder(t *testing.T) {
	const rounds = 20_000
	for _, vf := range vectorFiles {
		t.Run(vf.file, func(t *testing.T) {
			var versions []string
			for _, v := range readVectors(t, vf.file) {
				for _, s := range [...]string{v.a, v.b} {
					// In PHP, "#" equals both any number and none: no order.
					if vf.ecosystems[0] != "Packagist" || !strings.Contains(s, "#") {
						versions = append(versions, s)
					}
				}
			}
			cycle := regexp.MustCompile(`0\.[a-zA-Z]`)
			rnd := rand.New(rand.NewPCG(1, 2))
			// Half of the triples are neighbours, which are alike more often.
			for i := range rounds {
				var p [3]string
				at := rnd.IntN(len(versions))
				for j := range p {
					p[j] = versions[rnd.IntN(len(versions))]
					if i%2 == 0 {
						p[j] = versions[min(at+rnd.IntN(12), len(versions)-1)]
					}
				}
				// The published rules of Maven have one circle: 1.0.RC < 1.0 <
				// 1.0-1 < 1.0.RC, where a zero before a dot is not dropped.
				if all := strings.Join(p[:], " "); vf.ecosystems[0] == "Maven" && cycle.MatchString(all) && strings.Contains(all, "-") {
					continue
				}
				checkOrder(t, vf.ecosystems[0], p[0], p[1], p[2])
			}
		})
	}
}

// checkOrder asks for reflexivity, antisymmetry and transitivity. Versions that
// the rules cannot read are left out, but must be so on either side.
func checkOrder(t *testing.T, ecosystem, a, b, c string) {
	t.Helper()
	compare := func(a, b string) (int, bool) {
		ab, err := vers.Compare(ecosystem, a, b)
		ba, err2 := vers.Compare(ecosystem, b, a)
		if (err == nil) != (err2 == nil) || err == nil && ab != -ba || ab < -1 || ab > 1 {
			t.Errorf("%s: %.200q and %.200q: %d and %d (%v, %v)", ecosystem, a, b, ab, ba, err, err2)
		}
		return ab, err == nil
	}
	aa, aok := compare(a, a)
	_, bok := compare(b, b)
	_, cok := compare(c, c)
	if aok && aa != 0 {
		t.Errorf("%s: %.200q is not equal to itself", ecosystem, a)
	}
	ab, ok := compare(a, b)
	if ok != (aok && bok) {
		t.Errorf("%s: %.200q and %.200q: readable alone %t, %t, together %t", ecosystem, a, b, aok, bok, ok)
	}
	if !aok || !bok || !cok {
		return
	}
	bc, _ := compare(b, c)
	ac, _ := compare(a, c)
	// Where a ≤ b ≤ c, a is as c is from the further of the two.
	for _, sign := range [...]int{1, -1} {
		if x, y := ab*sign, bc*sign; x <= 0 && y <= 0 && ac*sign != min(x, y) {
			t.Errorf("%s: no order: %.200q %d %.200q %d %.200q, but %d", ecosystem, a, ab, b, bc, c, ac)
			return
		}
	}
}
