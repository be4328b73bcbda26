// SPDX-License-Identifier: Apache-2.0

package packed_test

import (
	"archive/zip"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/packed"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put makes a zip archive with empty files of these names.
func put(t testing.TB, name string, entries ...string) {
	t.Helper()
	f, err := os.Create(name)
	check(t, err)
	w := zip.NewWriter(f)
	for _, e := range entries {
		_, err := w.Create(e)
		check(t, err)
	}
	check(t, errors.Join(w.Close(), f.Close()))
}

func TestIsFunction(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tc := range []struct {
		entries []string
		want    bool
	}{
		{[]string{"bootstrap"}, true},
		{[]string{"lambda_function.py", "x/y"}, true},
		{[]string{"host.json", "Greet/function.json"}, true},
		{[]string{"host.json"}, false},
		{[]string{"host.json", "a/b/function.json"}, false},
		{[]string{"index.js", "package.json"}, false}, // as any program of Node.js
		{[]string{"a/bootstrap"}, false},
		{nil, false},
	} {
		put(t, "f.zip", tc.entries...)
		if got := packed.IsFunction("f.zip"); got != tc.want {
			t.Errorf("%q: %v", tc.entries, got)
		}
	}
	if packed.IsFunction("none") || packed.IsFunction(".") {
		t.Error("what is no file is a function")
	}
}

func TestFunction(t *testing.T) {
	t.Chdir(t.TempDir())
	put(t, "f.zip", "a")
	put(t, "l.zip", "a")
	check(t, os.WriteFile("f.tar", []byte("tar"), 0o600))
	check(t, os.WriteFile("serverless.yml", []byte("a: b"), 0o600))
	check(t, os.Mkdir("sam.yaml", 0o700))
	tree, err := packed.Function(t.Context(), "f.zip", bulwark.OpenOptions{Layers: []string{"l.zip", "f.tar"}})
	check(t, err)
	var got []string
	for _, b := range tree.Layers {
		got = append(got, b.At+" "+string(b.Form))
	}
	if d := cmp.Diff([]string{"opt zip", "opt ", "var/task zip", "(beside) "}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(tree.Gaps) != 1 || tree.Gaps[0].Path != "(beside)/sam.yaml" {
		t.Errorf("gaps %+v", tree.Gaps)
	}
	check(t, tree.Close())

	for name, o := range map[string]bulwark.OpenOptions{
		"none.zip": {}, ".": {},
		"f.zip": {Layers: []string{"none.zip"}},
		"l.zip": {Layers: make([]string, 21)},
	} {
		if _, err := packed.Function(t.Context(), name, o); err == nil {
			t.Errorf("%s is opened", name)
		}
	}
}
