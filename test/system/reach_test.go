// SPDX-License-Identifier: Apache-2.0

package system

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
)

// TestSystemReach builds the program in reach and compares what is said of the
// modules in it with what govulncheck 1.1.4 said of the same program and the same
// data (reach.txt, by "govulncheck -mode=binary" on the program with its symbol
// table; without one it takes every function for linked in). A later record
// of the database is no difference.
func TestSystemReach(t *testing.T) {
	if os.Getenv("BULWARK_SYSTEM") == "" {
		t.Skip("builds a program of modules that are fetched: run make test-system")
	}
	program := os.Getenv("BULWARK")
	src, dir, cache := data(t), t.TempDir(), t.TempDir()
	for _, flags := range []string{"-ldflags=", "-ldflags=-s -w"} {
		cmd := exec.Command("go", "build", "-trimpath", flags, "-o", filepath.Join(dir, "reach"), ".")
		cmd.Dir, cmd.Env = "reach", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		run(t, program, "db", "import", src, "--ecosystem", "Go", "--cache", cache)
		var r bulwark.Report
		if err := json.Unmarshal(run(t, program, "scan", "fs", dir, "--cache", cache, "--secrets", "off", "--exit-zero", "-f", "json"), &r); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, f := range r.Findings {
			if strings.HasPrefix(f.Subject, "pkg:golang/stdlib@") {
				continue
			}
			if (f.Reach == bulwark.ReachNotLinked) == f.Status.Open() {
				t.Errorf("%s in %s: %s, and %+v", f.Rule, f.Subject, f.Reach, f.Status)
			}
			for _, id := range append(r.Advisories[f.Rule].Aliases, f.Rule) {
				if strings.HasPrefix(id, "GO-") && got[id] != bulwark.ReachLinked {
					got[id] = f.Reach
				}
			}
		}
		b, err := os.ReadFile("reach.txt")
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for line := range strings.Lines(string(b)) {
			id, reach, _ := strings.Cut(strings.TrimSpace(line), " ")
			want[id] = reach
		}
		maps.DeleteFunc(got, func(id, _ string) bool { return want[id] == "" })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", flags, diff)
		}
		t.Logf("%q: %d vulnerabilities agree, %d of them linked in", flags, len(want), len(slices.DeleteFunc(slices.Collect(maps.Values(want)), func(s string) bool { return s != bulwark.ReachLinked })))
	}
}
