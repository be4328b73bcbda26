// SPDX-License-Identifier: Apache-2.0

//go:build unix

package diskcache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/diskcache"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(c *diskcache.Cache, key, content string) error {
	return c.Put(key, func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	})
}

// get gives the content of an entry; "" and false when there is none.
func get(t testing.TB, c *diskcache.Cache, key string) (string, bool) {
	t.Helper()
	f, err := c.Get(key)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	check(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	check(t, err)
	return string(b), true
}

// files lists the files in a folder, entries as "entry".
func files(t testing.TB, dir string) []string {
	t.Helper()
	out := []string{}
	check(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if len(d.Name()) == 64 {
			out = append(out, "entry")
		} else {
			out = append(out, d.Name())
		}
		return nil
	}))
	return out
}

// age makes the entry of a key look as if it was used that long ago.
func age(t testing.TB, dir, key string, d time.Duration) {
	t.Helper()
	at := time.Now().Add(-d)
	check(t, os.Chtimes(name(t, dir, key), at, at))
}

func TestPutGet(t *testing.T) {
	dir := t.TempDir() + "/made/when/needed"
	c := diskcache.Open(dir, 0)
	if _, ok := get(t, c, "a"); ok {
		t.Error("an empty cache has an entry")
	}
	if i, err := c.Info(t.Context()); err != nil || i != (diskcache.Info{Dir: dir}) {
		t.Errorf("empty: %+v, %v", i, err)
	}
	check(t, c.Trim(t.Context()))
	check(t, c.Clear())
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made the folder: %v", err)
	}

	// Keys are names of nothing: separators and what climbs are as good as any.
	keys := []string{"", ".", "..", "/", "a/b", "a//b", "a/../b", "../../x", "a\x00b", "a\x00", "A", "a", "\xff", strings.Repeat("k", 10_000), ".new-1", "v1"}
	for _, k := range keys {
		check(t, put(c, k, "content of "+k))
	}
	for _, k := range keys {
		if got, _ := get(t, c, k); got != "content of "+k {
			t.Errorf("%.20q holds %.40q", k, got)
		}
	}
	if n := len(files(t, dir)); n != len(keys) {
		t.Errorf("%d files", n)
	}

	check(t, put(c, "a", "new"))
	if got, _ := get(t, c, "a"); got != "new" {
		t.Errorf("after a second Put: %q", got)
	}
	c.Drop("a")
	c.Drop("a")
	if _, ok := get(t, c, "a"); ok {
		t.Error("a dropped entry is there")
	}
	check(t, put(c, "empty", ""))
	if got, ok := get(t, c, "empty"); got != "" || !ok {
		t.Errorf("an empty entry: %q, %v", got, ok)
	}
	if info, err := os.Stat(filepath.Join(dir, "v1")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}

	check(t, c.Clear())
	diff(t, "files after Clear", []string{}, files(t, dir))
}

func diff(t testing.TB, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestNil(t *testing.T) {
	var c *diskcache.Cache
	check(t, put(c, "a", "b"))
	if _, err := c.Get("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get: %v", err)
	}
	c.Drop("a")
	check(t, c.Trim(t.Context()))
	check(t, c.Clear())
	if i, err := c.Info(t.Context()); err != nil || i != (diskcache.Info{}) {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestBrokenPut shows that nothing is kept of what was not written to its end.
func TestBrokenPut(t *testing.T) {
	dir := t.TempDir()
	c := diskcache.Open(dir, 100)
	check(t, put(c, "a", "old"))
	broken := errors.New("broken")
	if err := c.Put("a", func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		_ = c.Put("a", func(w io.Writer) error { panic("broken") })
	}()
	// Larger than the whole cache: it would drive out everything else.
	check(t, put(c, "large", strings.Repeat("x", 101)))
	check(t, put(c, "fits", strings.Repeat("x", 100)))
	if got, _ := get(t, c, "a"); got != "old" {
		t.Errorf("the old entry is %q", got)
	}
	diff(t, "files", []string{"entry", "entry"}, files(t, dir))
}

// TestUnseen shows that an entry is not seen while it is written, and that a
// reader of the old one reads on.
func TestUnseen(t *testing.T) {
	c := diskcache.Open(t.TempDir(), 0)
	check(t, c.Put("a", func(w io.Writer) error {
		_, err := io.WriteString(w, "first")
		if _, ok := get(t, c, "a"); ok {
			t.Error("an unfinished entry is seen")
		}
		i, ierr := c.Info(t.Context())
		if i.Entries != 0 || ierr != nil {
			t.Errorf("an unfinished entry counts: %+v, %v", i, ierr)
		}
		return errors.Join(err, c.Trim(t.Context()))
	}))
	f, err := c.Get("a")
	check(t, err)
	defer f.Close()
	check(t, put(c, "a", "second"))
	if b, err := io.ReadAll(f); string(b) != "first" || err != nil {
		t.Errorf("the reader of the old entry got %q, %v", b, err)
	}
	g, err := c.Get("a")
	check(t, err)
	defer g.Close()
	check(t, c.Clear())
	if b, err := io.ReadAll(g); string(b) != "second" || err != nil {
		t.Errorf("the reader of a cleared entry got %q, %v", b, err)
	}
}

// TestClearWhilePut clears while an entry is written: it goes with the others.
func TestClearWhilePut(t *testing.T) {
	dir := t.TempDir()
	c := diskcache.Open(dir, 0)
	check(t, c.Put("a", func(w io.Writer) error {
		_, err := io.WriteString(w, "x")
		return errors.Join(err, c.Clear())
	}))
	if _, ok := get(t, c, "a"); ok {
		t.Error("the entry is there")
	}
	diff(t, "files", []string{}, files(t, dir))
	// What a killed Clear left goes with the next.
	check(t, os.MkdirAll(dir+"/.old-1/v1/aa", 0o700))
	check(t, os.WriteFile(dir+"/.old-1/v1/aa/x", []byte("x"), 0o600))
	check(t, os.WriteFile(dir+"/other", []byte("x"), 0o600))
	old := time.Now().Add(-2 * time.Hour)
	check(t, os.Chtimes(dir+"/.old-1", old, old))
	check(t, c.Clear())
	diff(t, "files", []string{"other"}, files(t, dir))
}

func TestTrim(t *testing.T) {
	dir := t.TempDir()
	c := diskcache.Open(dir, 100)
	// Ten of ten bytes each, the first the oldest; the second is used again.
	for i := range 10 {
		k := fmt.Sprint(i)
		check(t, put(c, k, strings.Repeat(k, 10)))
		age(t, dir, k, time.Duration(20-i)*time.Minute)
	}
	check(t, c.Trim(t.Context()))
	there := func() string {
		out := ""
		for i := range 12 {
			k := fmt.Sprint(i)
			if _, err := os.Stat(name(t, dir, k)); err == nil {
				out += k + " "
			}
		}
		return out
	}
	diff(t, "at the bound", "0 1 2 3 4 5 6 7 8 9 ", there())
	get(t, c, "1")
	check(t, put(c, "10", strings.Repeat("x", 10)))
	i, err := c.Info(t.Context())
	check(t, err)
	if i.Entries != 11 || i.Bytes != 110 || i.Max != 100 || time.Since(i.Oldest) < 19*time.Minute {
		t.Errorf("%+v", i)
	}
	check(t, c.Trim(t.Context()))
	// Down to nine tenths: the two that were used least recently are gone.
	diff(t, "after Trim", "1 3 4 5 6 7 8 9 10 ", there())

	// Without a bound nothing goes.
	check(t, diskcache.Open(dir, 0).Trim(t.Context()))
	diff(t, "without a bound", "1 3 4 5 6 7 8 9 10 ", there())

	// A bound that nothing fits in.
	check(t, diskcache.Open(dir, 1).Trim(t.Context()))
	diff(t, "tiny bound", "", there())
}

// name gives the path of an entry, which it need not have. Looking for it in
// another folder does not count as use.
func name(t testing.TB, dir, key string) string {
	t.Helper()
	var pe *fs.PathError
	_, err := diskcache.Open(dir+"/none", 0).Get(key)
	if !errors.As(err, &pe) {
		t.Fatalf("an entry in no folder: %v", err)
	}
	return strings.Replace(pe.Path, "/none/", "/", 1)
}

func TestAbandoned(t *testing.T) {
	dir := t.TempDir()
	c := diskcache.Open(dir, 100)
	check(t, put(c, "a", "x"))
	for n, old := range map[string]time.Duration{".new-1": 2 * time.Hour, ".new-2": time.Minute} {
		p := filepath.Join(dir, "v1", "aa", n)
		check(t, os.MkdirAll(filepath.Dir(p), 0o700))
		check(t, os.WriteFile(p, make([]byte, 1000), 0o600))
		at := time.Now().Add(-old)
		check(t, os.Chtimes(p, at, at))
	}
	check(t, c.Trim(t.Context()))
	got := files(t, dir)
	slices.Sort(got)
	diff(t, "files", []string{".new-2", "entry"}, got)
}

func TestCancelled(t *testing.T) {
	c := diskcache.Open(t.TempDir(), 1)
	check(t, put(c, "a", "x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Trim(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Trim: %v", err)
	}
	if _, err := c.Info(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Info: %v", err)
	}
}

// again runs the named test of this program in another process. With nobody, it
// has no rights of its own.
func again(t *testing.T, nobody bool, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	if nobody && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}}
		cmd.Dir = "/"
	}
	cmd.Env = append([]string{"TMPDIR=/tmp"}, env...)
	return cmd
}

// TestForeignFolder shows that what another user left in a cache does no harm.
func TestForeignFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		out, err := again(t, true).CombinedOutput()
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || !bytes.Contains(out, []byte("--- ")) {
			t.Skipf("needs to run as nobody: %v\n%s", err, out)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	c := diskcache.Open(dir, 15)
	for i := range 5 {
		check(t, put(c, fmt.Sprint(i), "0123456789"))
		age(t, dir, fmt.Sprint(i), time.Duration(10-i)*time.Minute)
	}
	closed, fixed := filepath.Dir(name(t, dir, "0")), filepath.Dir(name(t, dir, "1"))
	check(t, os.Chmod(closed, 0))
	check(t, os.Chmod(fixed, 0o500))
	defer os.Chmod(closed, 0o700)
	defer os.Chmod(fixed, 0o700)
	i, err := c.Info(t.Context())
	check(t, err)
	if i.Entries != 4 {
		t.Errorf("%+v", i)
	}
	check(t, c.Trim(t.Context()))
	if i, err = c.Info(t.Context()); err != nil || i.Entries != 1 {
		t.Errorf("after Trim: %+v, %v", i, err)
	}
	if _, err := c.Get("0"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Get: %v", err)
	}
	if got, ok := get(t, c, "1"); !ok || got != "0123456789" {
		t.Errorf("Get: %q, %v", got, ok)
	}
	for _, k := range []string{"0", "1"} {
		if err := put(c, k, "new"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Put: %v", err)
		}
	}
	check(t, os.Chmod(closed, 0o700))
	check(t, os.Chmod(fixed, 0o700))

	// A folder that cannot be written to at all can be read.
	check(t, os.Chmod(filepath.Join(dir, "v1"), 0o500))
	check(t, os.Chmod(dir, 0o500))
	defer os.Chmod(filepath.Join(dir, "v1"), 0o700)
	defer os.Chmod(dir, 0o700)
	if _, ok := get(t, c, "1"); !ok {
		t.Error("a read-only cache has nothing")
	}
	if err := c.Clear(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Clear: %v", err)
	}
	if err := put(diskcache.Open(dir+"/sub", 0), "a", "x"); !errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(err.Error(), "write cache: ") {
		t.Errorf("Put: %v", err)
	}

	// A file where the folder should be.
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	c = diskcache.Open(file, 1)
	if err := put(c, "a", "x"); err == nil {
		t.Error("Put into a file")
	}
	if _, err := c.Get("a"); err == nil {
		t.Error("Get from a file")
	}
}

// sealed gives content that tells whether it is whole.
func sealed(key string, n int) string {
	body := strings.Repeat(key+" ", n)
	return fmt.Sprintf("%08x%s", crc32.ChecksumIEEE([]byte(body)), body)
}

func whole(s string) bool {
	return len(s) >= 8 && fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(s[8:]))) == s[:8]
}

// hammer puts, gets, drops, trims and sometimes clears.
func hammer(t *testing.T, dir string, seed int, rounds int) {
	c := diskcache.Open(dir, 64<<10)
	for i := range rounds {
		n := (i*7919 + seed*104729) % 1000
		key := fmt.Sprint("key ", n%40)
		switch n % 10 {
		case 0:
			if err := c.Trim(t.Context()); err != nil {
				t.Errorf("Trim: %v", err)
			}
		case 1:
			if _, err := c.Info(t.Context()); err != nil {
				t.Errorf("Info: %v", err)
			}
		case 2:
			c.Drop(key)
		case 3, 4, 5:
			if n == 333 {
				if err := c.Clear(); err != nil {
					t.Errorf("Clear: %v", err)
				}
			}
			if err := put(c, key, sealed(key, 1+n)); err != nil {
				t.Errorf("Put: %v", err)
			}
		default:
			f, err := c.Get(key)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				t.Errorf("Get: %v", err)
				continue
			}
			b, err := io.ReadAll(f)
			f.Close()
			if err != nil || !whole(string(b)) || !strings.HasPrefix(string(b[8:]), key+" ") {
				t.Errorf("%s holds %.60q, %v", key, b, err)
			}
		}
	}
}

// TestTogether has goroutines of two processes use one folder.
func TestTogether(t *testing.T) {
	dir := os.Getenv("DISKCACHE_TEST_DIR")
	child := dir != ""
	var other *exec.Cmd
	var out bytes.Buffer
	if !child {
		dir = t.TempDir()
		other = again(t, false, "DISKCACHE_TEST_DIR="+dir)
		other.Stdout, other.Stderr = &out, &out
		if err := other.Start(); err != nil {
			t.Skipf("needs a second process: %v", err)
		}
	}
	var wg sync.WaitGroup
	for g := range 8 {
		if child {
			g += 8
		}
		wg.Go(func() { hammer(t, dir, g, 300) })
	}
	wg.Wait()
	if child {
		return
	}
	if err := other.Wait(); err != nil {
		t.Errorf("the other process: %v\n%s", err, &out)
	}
	// Nothing half is left, and the bound holds after the last Trim.
	c := diskcache.Open(dir, 64<<10)
	check(t, c.Trim(t.Context()))
	i, err := c.Info(t.Context())
	check(t, err)
	if i.Bytes > 64<<10 {
		t.Errorf("%+v", i)
	}
	for _, f := range files(t, dir) {
		if f != "entry" {
			t.Errorf("%s is left", f)
		}
	}
}

// TestKilled kills a process that writes: nothing of its entry is seen.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("DISKCACHE_TEST_DIR"); dir != "" {
		_ = diskcache.Open(dir, 0).Put("a", func(w io.Writer) error {
			_, _ = io.WriteString(w, "half")
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		})
		return
	}
	dir := t.TempDir()
	c := diskcache.Open(dir, 0)
	check(t, put(c, "a", "old"))
	var exit *exec.ExitError
	if err := again(t, false, "DISKCACHE_TEST_DIR="+dir).Run(); !errors.As(err, &exit) {
		t.Skipf("needs a second process: %v", err)
	}
	if got, _ := get(t, c, "a"); got != "old" {
		t.Errorf("the entry is %q", got)
	}
	i, err := c.Info(t.Context())
	check(t, err)
	if i.Entries != 1 || i.Bytes != 3 {
		t.Errorf("%+v", i)
	}
	if n := len(files(t, dir)); n != 2 {
		t.Errorf("%d files: the killed writer's should be there", n)
	}
}
