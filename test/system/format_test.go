// SPDX-License-Identifier: Apache-2.0

package system

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

// TestSystemFormat adds a format to a copy of the tree as a person would: three
// files, and one line in the list of extractors, with its import. The format then
// has the kit, a place in the table of the documentation and in every scan.
func TestSystemFormat(t *testing.T) {
	if os.Getenv("BULWARK_SYSTEM") == "" {
		t.Skip("builds the program anew: run make test-system")
	}
	tree := filepath.Join(t.TempDir(), "tree")
	at := func(cmd *exec.Cmd) string {
		t.Helper()
		cmd.Dir, cmd.Env = tree, append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
		return string(out)
	}
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "clone", "--quiet", "--depth=1", "file://"+top, tree).CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	files := 0
	leaf := os.DirFS(filepath.Join("testdata", "format"))
	if err := errors.Join(os.CopyFS(filepath.Join(tree, "extract"), leaf), fs.WalkDir(leaf, ".", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	})); err != nil {
		t.Fatal(err)
	}
	if files != 3 {
		t.Errorf("%d files, want 3", files)
	}
	list := filepath.Join(tree, "extract", "list.go")
	b, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("\t\tactions.Workflow{},\n"), []byte("\t\tactions.Workflow{},\n\t\tasdf.ToolVersions{},\n"), 1)
	b = bytes.Replace(b, []byte("extract/apk\"\n"), []byte("extract/apk\"\n\t\"github.com/bulwark-sec/bulwark/extract/asdf\"\n"), 1)
	if err := os.WriteFile(list, b, 0o644); err != nil {
		t.Fatal(err)
	}

	at(exec.Command("go", "vet", "./extract/asdf", "./extract"))
	at(exec.Command("go", "generate", "./extract"))
	at(exec.Command("go", "test", "./extract/asdf", "./extract", "."))
	if table := at(exec.Command("git", "diff", "--unified=0", "docs/ecosystems.md")); !strings.Contains(table, "+| asdf | `asdf-tool-versions` |") {
		t.Errorf("the table: %s", table)
	}
	changed := strings.Fields(at(exec.Command("git", "diff", "--numstat", "extract")))
	if len(changed) != 3 || changed[0] != "2" || changed[1] != "0" {
		t.Errorf("changed: %v, want one file with two lines more: the entry and its import", changed)
	}

	at(exec.Command("go", "build", "-trimpath", "-o", "bulwark", "./cmd/bulwark"))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".tool-versions"), []byte("ruby 3.3.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var r bulwark.Report
	if err := json.Unmarshal(run(t, filepath.Join(tree, "bulwark"), "scan", "fs", dir, "--cache", t.TempDir(), "--allow-starter", "--exit-zero", "-f", "json"), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Inventory.Packages) != 1 || r.Inventory.Packages[0].PURL != "pkg:asdf/ruby@3.3.0" {
		t.Errorf("found %+v", r.Inventory.Packages)
	}
}
