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

// What lock files of many kinds say of a package is found, and not what they say
// of its neighbours. Before the first commit everything is not committed yet.
func TestMention(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		trace      bulwark.Trace
		found      bool
	}{
		{"package-lock", "\"node_modules/minimist\": {\n  \"version\": \"1.2.0\",\n", bulwark.Trace{Name: "minimist", Version: "1.2.0"}, true},
		{"package-lock-scoped", "\"node_modules/@babel/core\": {\n  \"version\": \"7.1.0\",\n", bulwark.Trace{Name: "@babel/core", Version: "7.1.0"}, true},
		{"part-of-a-scoped-name", "\"node_modules/@babel/core\": {\n  \"version\": \"7.1.0\",\n", bulwark.Trace{Name: "core", Version: "7.1.0"}, false},
		{"part-of-a-name", "\"node_modules/minimist-lite\": {\n  \"version\": \"1.2.0\",\n", bulwark.Trace{Name: "minimist", Version: "1.2.0"}, false},
		{"part-of-a-version", "minimist@^1:\n  version \"11.2.0\"\n", bulwark.Trace{Name: "minimist", Version: "1.2.0"}, false},
		{"start-of-a-version", "minimist@^1:\n  version \"1.2.0-beta\"\n", bulwark.Trace{Name: "minimist", Version: "1.2.0"}, false},
		{"version-of-a-neighbour", "minimist@^1:\n  version \"1.1\"\n  resolved \"x\"\n  integrity y\n\nother@^1:\n  version \"1.2.0\"\n", bulwark.Trace{Name: "minimist", Version: "1.2.0"}, false},
		{"yarn", "minimist@^1.2.0, minimist@~1:\n  version \"1.2.0\"\n", bulwark.Trace{Name: "minimist", Version: "1.2.0"}, true},
		{"pnpm", "  /minimist/1.2.0:\n", bulwark.Trace{Name: "minimist", Version: "1.2.0"}, true},
		{"cargo", "[[package]]\nname = \"time\"\nversion = \"0.1.42\"\n", bulwark.Trace{Name: "time", Version: "0.1.42"}, true},
		{"requirements", "requests==2.19.0 # why\n", bulwark.Trace{Name: "requests", Version: "2.19.0"}, true},
		{"gemfile", "    rails (5.2.0)\n", bulwark.Trace{Name: "rails", Version: "5.2.0"}, true},
		{"go", "\tgolang.org/x/net v0.1.0 // indirect\n", bulwark.Trace{Name: "golang.org/x/net", Version: "v0.1.0"}, true},
		{"go-without-v", "\tgolang.org/x/net v0.1.0\n", bulwark.Trace{Name: "golang.org/x/net", Version: "0.1.0"}, true},
		{"go-part-of-a-path", "\tgolang.org/x/net/html v0.1.0\n", bulwark.Trace{Name: "golang.org/x/net", Version: "v0.1.0"}, false},
		{"pom", "<groupId>org.a</groupId>\n<artifactId>log4j-core</artifactId>\n<version>2.14.1</version>\n", bulwark.Trace{Name: "org.a:log4j-core", Version: "2.14.1"}, true},
		{"version-elsewhere", "<artifactId>log4j-core</artifactId>\n<version>${v}</version>\n", bulwark.Trace{Name: "org.a:log4j-core", Version: "2.14.1"}, false},
		{"version-elsewhere-but-line", "<artifactId>log4j-core</artifactId>\n<version>${v}</version>\n", bulwark.Trace{Name: "org.a:log4j-core", Version: "2.14.1", Line: 1}, true},
		{"line", "a: 1\ntoken: abcdef\n", bulwark.Trace{Line: 2}, true},
		{"line-without-words", "{\n  }\n", bulwark.Trace{Line: 2}, false},
		{"line-beyond-the-end", "a: 1\n", bulwark.Trace{Line: 9}, false},
		{"nothing-asked", "a: 1\n", bulwark.Trace{}, false},
		{"empty", "", bulwark.Trace{Name: "a", Version: "1", Line: 1}, false},
		{"too-large", "requests==2.19.0\n" + strings.Repeat("x", 17<<20), bulwark.Trace{Name: "requests", Version: "2.19.0"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.trace.Path = "sub/lock"
			tree := unborn(t, "sub/lock", tc.text)
			outside := tc.trace
			outside.Path = "../lock"
			got, gaps, err := tree.Trace(t.Context(), []bulwark.Trace{tc.trace, outside}, time.Second)
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

func FuzzMention(f *testing.F) {
	f.Add("\"node_modules/minimist\": {\n  \"version\": \"1.2.0\",\n", "minimist", "1.2.0", 1)
	f.Fuzz(func(t *testing.T, text, name, version string, line int) {
		tree := unborn(t, "lock", text)
		if _, _, err := tree.Trace(t.Context(), []bulwark.Trace{{Path: "lock", Name: name, Version: version, Line: line}}, time.Second); err != nil {
			t.Error(err)
		}
	})
}
