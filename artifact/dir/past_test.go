// SPDX-License-Identifier: Apache-2.0

package dir_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/dir"
)

// worktree makes a work tree of the files named, and opens its history.
func worktree(t *testing.T, files map[string]string) (*bulwark.Past, error) {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := dir.Repo(t.Context(), root, bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	h, err := tree.Past()
	if err == nil {
		t.Cleanup(h.Close)
	}
	return h, err
}

// contentOf gives what a file holds, or what is wrong with it.
func contentOf(f io.ReadCloser, err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	if err != nil {
		return "refused"
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Git's files are opened as they are, and nothing else: names that lead out are
// refused.
func TestPast(t *testing.T) {
	id := strings.Repeat("ab", 20)
	h, err := worktree(t, map[string]string{
		".git/HEAD":                       id + "\n",
		".git/config":                     "secret",
		".git/shallow":                    id + "\n",
		".git/objects/ab/" + id[2:]:       "loose",
		".git/objects/pack/pack-1.idx":    "index 1",
		".git/objects/pack/pack-1.pack":   "pack 1",
		".git/objects/pack/pack-2.idx":    "no pack",
		".git/objects/pack/pack-3.pack":   "no index",
		".git/objects/pack/pack-4.idx":    "index 4",
		".git/objects/pack/pack-4.pack":   "pack 4",
		".git/objects/pack/pack-5.idx/in": "a folder",
		"sub/lock":                        "requests==2.19.0\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"head": h.Head, "shallow": contentOf(h.Shallow, nil)}
	for _, f := range h.Packs {
		got["packs"] += contentOf(f, nil) + "\n"
	}
	for _, name := range []string{id, strings.Repeat("cd", 20), "../../config", id[:2] + "/../../" + strings.Repeat("a", 33), strings.ToUpper(id), ""} {
		got["loose "+name] = contentOf(h.Loose(name))
	}
	for _, name := range []string{"sub/lock", "sub", "gone", "../lock", "/etc/passwd", ""} {
		got["file "+name] = contentOf(h.File(name))
	}
	want := map[string]string{
		"head": id, "shallow": id + "\n",
		"packs":       "index 1\npack 1\nindex 4\npack 4\n",
		"loose " + id: "loose", "loose " + strings.Repeat("cd", 20): "none",
		"loose ../../config": "refused", "loose " + id[:2] + "/../../" + strings.Repeat("a", 33): "refused",
		"loose " + strings.ToUpper(id): "refused", "loose ": "refused",
		"file sub/lock": "requests==2.19.0\n", "file sub": "refused", "file gone": "none",
		"file ../lock": "refused", "file /etc/passwd": "refused", "file ": "refused",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// Before the first commit there is a work tree and no history.
func TestPastUnborn(t *testing.T) {
	h, err := worktree(t, map[string]string{".git/HEAD": "ref: refs/heads/main\n", "lock": "requests==2.19.0\n"})
	if err != nil {
		t.Fatal(err)
	}
	if h.Head != "" || h.Packs != nil || h.Shallow != nil || contentOf(h.File("lock")) != "requests==2.19.0\n" {
		t.Errorf("%+v", h)
	}
}

// An object folder that cannot be listed is told.
func TestPastUnreadable(t *testing.T) {
	h, err := worktree(t, map[string]string{".git/HEAD": strings.Repeat("a", 40), ".git/objects/pack": "a file"})
	if err == nil {
		t.Errorf("%+v", h)
	}
}
