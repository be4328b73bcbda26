// SPDX-License-Identifier: Apache-2.0

package rpm_test

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
)

// TestTruth compares what is read from real databases with what go-rpmdb, an
// independent reader, reads from them. The databases are too large to keep here;
// they are test data of modules, and taken from the module cache if it has them.
func TestTruth(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skipf("no module cache: %v", err)
	}
	cache := strings.TrimSpace(string(out))
	f, err := os.Open(filepath.Join("testdata", "truth.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		var path, lineSum, fileSum string
		var lines, files int
		if _, err := fmt.Sscan(s.Text(), &path, &lines, &lineSum, &files, &fileSum); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		db, err := os.Open(filepath.Join(cache, filepath.FromSlash(path)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		found++
		t.Run(strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
			defer db.Close()
			pkgs, gaps := extract(t, single{rpmdb + "Packages", db}, nil)
			for _, g := range gaps {
				t.Errorf("gap %+v", g)
			}
			gotLines, gotFiles := describe(pkgs)
			compare(t, "packages", lines, lineSum, gotLines)
			compare(t, "files", files, fileSum, gotFiles)
		})
	}
	if found == 0 {
		t.Skip("the module cache has none of the databases; go mod download github.com/knqyf263/go-rpmdb@v0.1.1 brings them")
	}
}

func compare(t *testing.T, what string, want int, wantSum string, got []string) {
	t.Helper()
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(got, "\n"))))
	if len(got) != want || sum != wantSum {
		t.Errorf("%d %s with sum %s, want %d with %s", len(got), what, sum, want, wantSum)
	}
}

func describe(pkgs []bulwark.Package) (lines, files []string) {
	for _, p := range pkgs {
		lines = append(lines, strings.Join([]string{
			p.Name, p.Version, p.Arch, p.Source, p.SourceVersion, strings.Join(p.Licenses, " "), p.Vendor, p.Module,
		}, "|"))
		for i := 0; i < len(p.Files); i++ {
			files = append(files, p.Name+" "+p.Files[i])
			if i+1 < len(p.Files) && p.Files[i+1] == "usr/"+p.Files[i] {
				i++ // the second name of one file
			}
		}
	}
	slices.Sort(lines)
	slices.Sort(files)
	return lines, files
}

// single is a file system with one file.
type single struct {
	path string
	file *os.File
}

func (s single) Open(name string) (fs.File, error) {
	if name != s.path {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return s.file, nil
}
