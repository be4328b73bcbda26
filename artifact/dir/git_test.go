// SPDX-License-Identifier: Apache-2.0

//go:build unix

package dir_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/dir"
)

// TestHead opens the work trees in testdata/git. The comment of each file says
// "commit ID" or "error TEXT", "link NAME TARGET" and "pipe NAME" for what a text
// cannot hold; the work tree is "tree".
func TestHead(t *testing.T) {
	files, err := filepath.Glob("testdata/git/*.txtar")
	check(t, err)
	if len(files) < 20 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			check(t, err)
			base := t.TempDir()
			put(t, base+"/tree/file", "1")
			put(t, base+"/outside", "password0123456789password")
			for _, f := range a.Files {
				put(t, filepath.Join(base, f.Name), strings.ReplaceAll(string(f.Data), "$BASE", base))
			}
			want, fault := "", ""
			for line := range strings.Lines(string(a.Comment)) {
				f := strings.Fields(line)
				switch {
				case len(f) == 0 || f[0] == "#":
				case f[0] == "commit" && len(f) == 2:
					want = f[1]
				case f[0] == "none":
				case f[0] == "error":
					fault = strings.TrimSpace(strings.TrimPrefix(line, "error"))
				case f[0] == "link":
					check(t, os.MkdirAll(filepath.Dir(filepath.Join(base, f[1])), 0o755))
					check(t, os.Symlink(strings.ReplaceAll(f[2], "$BASE", base), filepath.Join(base, f[1])))
				case f[0] == "pipe":
					check(t, os.MkdirAll(filepath.Dir(filepath.Join(base, f[1])), 0o755))
					check(t, syscall.Mkfifo(filepath.Join(base, f[1]), 0o644))
				case f[0] == "dir":
					check(t, os.MkdirAll(filepath.Join(base, f[1]), 0o755))
				default:
					t.Fatalf("line %q", line)
				}
			}
			tree, err := dir.Repo(t.Context(), base+"/tree", bulwark.OpenOptions{})
			if fault != "" {
				if err == nil {
					t.Fatalf("commit %q, want the error %q", tree.Artifact.Commit, fault)
				}
				diff(t, "error", `open repository "BASE/tree": `+fault+"; use bulwark scan fs for a directory that is not a git work tree", strings.ReplaceAll(err.Error(), base, "BASE"))
				if strings.Contains(err.Error(), "password") {
					t.Error("the error tells what is outside")
				}
				return
			}
			check(t, err)
			defer tree.Close()
			diff(t, "commit", want, tree.Artifact.Commit)
		})
	}
}

func TestRepo(t *testing.T) {
	root := unpack(t, `
-- .git/HEAD --
ref: refs/heads/main
-- .git/objects/x --
-- .gitignore --
-- a/.git --
gitdir: ../.git/modules/a
-- a/b/.git/HEAD --
-- a/git --
`)
	tree, err := dir.Repo(t.Context(), root, bulwark.OpenOptions{})
	check(t, err)
	defer tree.Close()
	diff(t, "names", []string{".gitignore", "a/.git", "a/git"}, names(t, read(t, tree)))
	diff(t, "gaps", []bulwark.Gap{
		{Kind: bulwark.GapSkipped, Path: ".git", Detail: "left out: git's own files"},
		{Kind: bulwark.GapSkipped, Path: "a/b/.git", Detail: "left out: git's own files"},
	}, tree.Layers[0].Gaps())
	diff(t, "artifact", bulwark.Artifact{Kind: bulwark.KindRepo, Name: root, Source: "git"}, tree.Artifact)

	if !dir.IsRepo(root) || !dir.IsRepo(root+"/a") || dir.IsRepo(root+"/a/git") || dir.IsRepo(root+"/none") {
		t.Error("IsRepo")
	}
	if _, err := dir.Repo(t.Context(), root+"/.git", bulwark.OpenOptions{}); !errors.Is(err, bulwark.ErrNotFound) {
		t.Errorf("no work tree: %v", err)
	}
}

func FuzzHead(f *testing.F) {
	const id = "0123456789abcdef0123456789abcdef01234567"
	for _, s := range []string{id, "ref: refs/heads/main", "ref: refs/../../HEAD", "ref:", "ref: refs/heads/\x00", strings.Repeat("a", 5000), "ref: refs/heads/" + strings.Repeat("b/", 2000)} {
		f.Add(s, "gitdir: .git2", id+" refs/heads/main\n", "..")
	}
	f.Fuzz(func(t *testing.T, head, gitdir, packed, common string) {
		root := t.TempDir()
		put(t, root+"/git/HEAD", head)
		put(t, root+"/git/packed-refs", packed)
		put(t, root+"/git/refs/heads/main", head)
		put(t, root+"/git/commondir", common)
		put(t, root+"/.git", gitdir)
		for _, link := range []string{gitdir, "gitdir: git"} {
			check(t, os.WriteFile(root+"/.git", []byte(link), 0o644))
			tree, err := dir.Repo(t.Context(), root, bulwark.OpenOptions{})
			if err != nil {
				continue
			}
			if c := tree.Artifact.Commit; c != "" && (len(c) != 40 && len(c) != 64 || strings.Trim(c, "0123456789abcdef") != "") {
				t.Errorf("commit %q", c)
			}
			check(t, tree.Close())
		}
	})
}
