// SPDX-License-Identifier: Apache-2.0

//go:build unix

package dir_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/dir"
)

// big is a size that no buffer between the walk and its reader holds: when the
// first bytes of such a file have been read, the file is open and not read on.
const big = 8 << 20

// TestChange changes a tree when the first bytes of "a" have been read, and then
// reads on.
func TestChange(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, root string)
		a      string // the beginning of what follows the first MiB of a
		want   []string
		gaps   []bulwark.Gap
	}{
		{"nothing", func(*testing.T, string) {}, "aaa", []string{"a", "b", "c/d"}, nil},
		{"shrinks", func(t *testing.T, root string) { check(t, os.Truncate(root+"/a", 3)) },
			"", []string{"a", "b", "c/d"},
			[]bulwark.Gap{{Kind: bulwark.GapUnreadable, Path: "a", Detail: "it shrank while it was read"}}},
		{"grows", func(t *testing.T, root string) {
			f, err := os.OpenFile(root+"/a", os.O_WRONLY|os.O_APPEND, 0)
			check(t, err)
			_, err = f.WriteString("more")
			check(t, errors.Join(err, f.Close()))
		}, "aaa", []string{"a", "b", "c/d"}, nil},
		{"goes", func(t *testing.T, root string) { check(t, os.Remove(root+"/a")) }, "aaa", []string{"a", "b", "c/d"}, nil},
		{"next-goes", func(t *testing.T, root string) { check(t, os.Remove(root+"/b")) }, "aaa", []string{"a", "c/d"}, nil},
		{"next-is-a-pipe", func(t *testing.T, root string) {
			check(t, os.Remove(root+"/b"))
			check(t, syscall.Mkfifo(root+"/b", 0o644))
		}, "aaa", []string{"a", "c/d"}, nil},
		{"next-is-a-link-out", func(t *testing.T, root string) {
			check(t, os.Remove(root+"/b"))
			check(t, os.Symlink("/etc/passwd", root+"/b"))
		}, "aaa", []string{"a", "c/d"}, nil},
		{"directory-goes", func(t *testing.T, root string) { check(t, os.RemoveAll(root+"/c")) }, "aaa", []string{"a", "b"}, nil},
		{"directory-is-a-pipe", func(t *testing.T, root string) {
			check(t, os.RemoveAll(root+"/c"))
			check(t, syscall.Mkfifo(root+"/c", 0o644))
		}, "aaa", []string{"a", "b"}, []bulwark.Gap{{Kind: bulwark.GapUnreadable, Path: "c", Detail: "not a directory", Hides: true}}},
		{"directory-is-a-link-out", func(t *testing.T, root string) {
			check(t, os.RemoveAll(root+"/c"))
			check(t, os.Symlink("/etc", root+"/c"))
		}, "aaa", []string{"a", "b"}, []bulwark.Gap{{Kind: bulwark.GapUnreadable, Path: "c", Detail: "not a directory", Hides: true}}},
		{"root-moves", func(t *testing.T, root string) { check(t, os.Rename(root, root+".moved")) }, "aaa", []string{"a", "b", "c/d"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := t.TempDir() + "/root"
			put(t, root+"/a", strings.Repeat("a", big))
			put(t, root+"/b", "b")
			put(t, root+"/c/d", "d")
			tree := openDir(t, root, bulwark.OpenOptions{})
			r := stream(t, tree)
			defer r.Close()
			first := make([]byte, 1<<20)
			_, err := io.ReadFull(r, first)
			check(t, err)
			tc.change(t, root)
			rest, err := io.ReadAll(r)
			check(t, err)
			b := append(first, rest...)
			diff(t, "names", tc.want, names(t, b))
			a := content(t, b)["a"]
			if len(a) != big {
				t.Errorf("a has %d bytes", len(a))
			}
			if tail := strings.TrimRight(a[big-3:], "\x00"); tail != tc.a {
				t.Errorf("a ends in %q, want %q", tail, tc.a)
			}
			diff(t, "gaps", tc.gaps, tree.Layers[0].Gaps())
		})
	}
}

// TestSwap changes a file between the look at it and its opening: Wants is asked
// just then.
func TestSwap(t *testing.T) {
	for name, change := range map[string]func(p string) error{
		"goes":        func(string) error { return nil },
		"pipe":        func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"link-out":    func(p string) error { return os.Symlink("/etc/passwd", p) },
		"link-inside": func(p string) error { return os.Symlink("z", p) },
		"directory":   func(p string) error { return os.Mkdir(p, 0o755) },
		"larger":      func(p string) error { return os.WriteFile(p, make([]byte, 1<<20), 0o600) },
		"too-large":   func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Truncate(p, 1<<40)) },
	} {
		t.Run(name, func(t *testing.T) {
			root := unpack(t, "-- a --\n1\n-- z --\nz\n")
			tree := openDir(t, root, bulwark.OpenOptions{Wants: func(p string, _ bulwark.Stat) bool {
				if p == "a" {
					check(t, errors.Join(os.Remove(root+"/a"), change(root+"/a")))
				}
				return true
			}})
			want := []string{"0 0644 2 z"}
			if name == "larger" { // what was opened counts
				want = []string{"0 0600 1048576 a", "0 0644 2 z"}
			}
			diff(t, "entries", want, listing(t, read(t, tree)))
			gaps := tree.Layers[0].Gaps()
			switch name {
			case "link-out", "link-inside", "too-large":
				if len(gaps) != 1 || gaps[0].Path != "a" {
					t.Errorf("gaps %+v", gaps)
				}
			default:
				diff(t, "gaps", []bulwark.Gap(nil), gaps)
			}
		})
	}
}

// walks counts the goroutines that walk.
func walks() int {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	return strings.Count(string(b), "dir.(*run).write(")
}

func TestClose(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/a", strings.Repeat("a", big))
	for i := range 100 {
		put(t, fmt.Sprintf("%s/b%d", root, i), "b")
	}
	asked := 0
	tree := openDir(t, root, bulwark.OpenOptions{Wants: func(string, bulwark.Stat) bool { asked++; return true }})
	for range 3 {
		r := stream(t, tree)
		_, err := io.ReadFull(r, make([]byte, 1000))
		check(t, err)
		check(t, r.Close())
		check(t, r.Close()) // again does nothing
		if n := walks(); n != 0 {
			t.Fatalf("%d walks go on", n)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil {
			t.Error("a closed stream can be read")
		}
	}
	// Nobody reads, so nothing after the first file is looked at.
	if asked != 3 {
		t.Errorf("%d files were asked about", asked)
	}
	// After streams that broke off, a whole one.
	if n := len(names(t, read(t, tree))); n != 101 {
		t.Errorf("%d entries", n)
	}
	if n := walks(); n != 0 {
		t.Errorf("%d walks go on", n)
	}
}

// TestCloseOfTree shows that a stream that nobody closes ends with its tree.
func TestCloseOfTree(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/a", strings.Repeat("a", big))
	tree, err := dir.Dir(t.Context(), root, bulwark.OpenOptions{})
	check(t, err)
	r := stream(t, tree)
	_, err = io.ReadFull(r, make([]byte, 1000))
	check(t, err)
	check(t, tree.Close())
	check(t, tree.Close())
	if n := walks(); n != 0 {
		t.Fatalf("%d walks go on", n)
	}
	if _, err := io.ReadAll(r); err == nil {
		t.Error("the stream ended as if it were whole")
	}
	if _, err := tree.Layers[0].Open(t.Context()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("open after close: %v", err)
	}
	diff(t, "gaps", []bulwark.Gap(nil), tree.Layers[0].Gaps())
}

func TestCancel(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/a", strings.Repeat("a", big))
	put(t, root+"/b", "b")
	tree := openDir(t, root, bulwark.OpenOptions{})

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := tree.Layers[0].Open(ctx)
	check(t, err)
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read after cancel: %v", err)
	}
	check(t, r.Close())

	ctx, cancel = context.WithCancel(t.Context())
	r, err = tree.Layers[0].Open(ctx)
	check(t, err)
	_, err = io.ReadFull(r, make([]byte, 1000))
	check(t, err)
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read after cancel: %v", err)
	}
	check(t, r.Close())

	// The walk itself ends, also when nothing is written.
	ctx, cancel = context.WithCancel(t.Context())
	asked := 0
	tree = openDir(t, root, bulwark.OpenOptions{Wants: func(string, bulwark.Stat) bool {
		asked++
		cancel()
		return false
	}})
	r, err = tree.Layers[0].Open(ctx)
	check(t, err)
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read after cancel: %v", err)
	}
	check(t, r.Close())
	if asked != 1 {
		t.Errorf("%d files were asked about", asked)
	}
}

// TestTogether reads several streams at once; each is whole.
func TestTogether(t *testing.T) {
	root := t.TempDir()
	for i := range 50 {
		put(t, fmt.Sprintf("%s/%d/file", root, i), strings.Repeat("x", 100*i))
	}
	tree := openDir(t, root, bulwark.OpenOptions{SkipDirs: []string{"1"}})
	want := hash(read(t, tree))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r, err := tree.Layers[0].Open(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			b, err := io.ReadAll(r)
			if err != nil || hash(b) != want {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	}
	wg.Wait()
	if n := len(tree.Layers[0].Gaps()); n != 1 {
		t.Errorf("%d gaps", n)
	}
}
