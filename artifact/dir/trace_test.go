// SPDX-License-Identifier: Apache-2.0

package dir_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/dir"
)

// unborn makes a repository before its first commit, with one file.
func unborn(t *testing.T, name, text string) *bulwark.Tree {
	t.Helper()
	root := t.TempDir()
	for path, content := range map[string]string{".git/HEAD": "ref: refs/heads/main\n", name: text} {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := dir.Repo(t.Context(), root, bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// What the work tree has and no commit is not committed yet. What is no file in it,
// or too large, is not asked about.
func TestTraceUnborn(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		found      bool
	}{
		{"named", "requests==2.19.0\n", true},
		{"not-named", "flask==2.19.0\n", false},
		{"too-large", "requests==2.19.0\n" + strings.Repeat("x", 17<<20), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tree := unborn(t, "sub/lock", tc.text)
			asked := bulwark.Trace{Path: "sub/lock", Name: "requests", Version: "2.19.0"}
			outside := asked
			outside.Path = "../lock"
			got, gaps, err := tree.Trace(t.Context(), []bulwark.Trace{asked, outside}, time.Second)
			if err != nil || gaps != nil {
				t.Fatal(gaps, err)
			}
			want := []*bulwark.Change{nil, nil}
			if tc.found {
				want[0] = &bulwark.Change{}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// A repository whose objects are not there says so.
func TestTraceGaps(t *testing.T) {
	tree := unborn(t, "lock", "requests==2.19.0\n")
	root := tree.Artifact.Name
	if err := os.WriteFile(filepath.Join(root, ".git/HEAD"), []byte(strings.Repeat("a", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := dir.Repo(t.Context(), root, bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	asked := []bulwark.Trace{{Path: "lock", Name: "requests", Version: "2.19.0"}}
	got, gaps, err := tree.Trace(t.Context(), asked, time.Second)
	if err != nil || got[0] != nil || len(gaps) != 1 || !strings.Contains(gaps[0].Detail, "no such git object") || gaps[0].Hides {
		t.Errorf("%v, %+v, %v", got, gaps, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := tree.Trace(ctx, asked, time.Second); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
