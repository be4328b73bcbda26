// SPDX-License-Identifier: Apache-2.0

package whole_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/whole"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

// there gives the names and the content of the files in a folder.
func there(t *testing.T, dir string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(b)
	}
	return out
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	name := filepath.Join(dir, "f")
	for _, s := range []string{"one", "two"} {
		if err := whole.Write(name, text(s)); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]string{"f": s}, there(t, dir)); d != "" {
			t.Error(d)
		}
	}
}

// Whatever goes wrong, what was there stays, and nothing else does.
func TestBroken(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	if err := whole.Write(name, text("old")); err != nil {
		t.Fatal(err)
	}
	own := errors.New("own")
	if err := whole.Write(name, func(w io.Writer) error { return errors.Join(text("new")(w), own) }); !errors.Is(err, own) {
		t.Error(err)
	}
	if d := cmp.Diff(map[string]string{"f": "old"}, there(t, dir)); d != "" {
		t.Error(d)
	}
	t.Run("panic", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
			if d := cmp.Diff(map[string]string{"f": "old"}, there(t, dir)); d != "" {
				t.Error(d)
			}
		}()
		_ = whole.Write(name, func(io.Writer) error { panic("fill") })
	})
	t.Run("folder-is-a-file", func(t *testing.T) {
		if err := whole.Write(filepath.Join(name, "g"), text("new")); err == nil {
			t.Error("no error")
		}
	})
}

func TestGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	err := whole.Write(filepath.Join(dir, "f"), func(io.Writer) error { return os.RemoveAll(dir) })
	if !errors.Is(err, whole.ErrGone) {
		t.Error(err)
	}
}

func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	err := whole.Write(filepath.Join(dir, "f"), func(io.Writer) error {
		for name := range there(t, dir) {
			if !whole.Unfinished(name) {
				t.Errorf("%q counts as finished", name)
			}
		}
		return nil
	})
	if err != nil || whole.Unfinished("f") {
		t.Error(err)
	}
	if now := time.Now(); whole.Abandoned(now) || !whole.Abandoned(now.Add(-2*time.Hour)) {
		t.Error("an hour is not an hour")
	}
}
