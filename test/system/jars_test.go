// SPDX-License-Identifier: Apache-2.0

package system

import (
	"crypto/sha1" // names Java archives
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSystemJars takes an archive that says nothing about itself from Debian's
// package of it, which Ant built, gives it another name, and finds it by its
// SHA-1.
func TestSystemJars(t *testing.T) {
	if os.Getenv("BULWARK_SYSTEM") == "" {
		t.Skip("fetches a package: run make test-system")
	}
	program, dir := os.Getenv("BULWARK"), t.TempDir()
	fetch := exec.Command("apt-get", "download", "libaopalliance-java")
	fetch.Dir = dir
	if out, err := fetch.CombinedOutput(); err != nil {
		t.Fatalf("apt-get download: %v\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatal(debs, err)
	}
	run(t, "dpkg-deb", "-x", debs[0], filepath.Join(dir, "deb"))
	jar, err := os.ReadFile(filepath.Join(dir, "deb/usr/share/java/aopalliance-1.0.jar"))
	if err != nil {
		t.Fatal(err)
	}
	root, list, index := filepath.Join(dir, "root"), filepath.Join(dir, "list.csv"), filepath.Join(dir, "jars.idx")
	for name, b := range map[string][]byte{
		filepath.Join(root, "srv/app/lib.jar"): jar,
		list:                                   fmt.Appendf(nil, "sha1,group,artifact,version\n%x,aopalliance,aopalliance,1.0\n", sha1.Sum(jar)),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	jars := func(args ...string) (out []string) {
		for _, p := range scan(t, program, append([]string{"fs", root, "--allow-starter", "--secrets", "off"}, args...)...).Inventory.Packages {
			if p.By == "jar" {
				out = append(out, p.PURL)
			}
		}
		return out
	}
	if got := jars(); len(got) > 0 {
		t.Errorf("without a table it is %q", got)
	}
	t.Logf("%s", strings.TrimSpace(string(run(t, program, "db", "import-jars", list, "--index", index))))
	if got, want := jars("--jar-index", index), []string{"pkg:maven/aopalliance/aopalliance@1.0"}; !slices.Equal(got, want) {
		t.Errorf("with a table it is %q", got)
	}
}
