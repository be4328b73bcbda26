// SPDX-License-Identifier: Apache-2.0

//go:build unix

package gitlog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bulwark-sec/bulwark/internal/gitlog"
)

// More packs than files may be open leave room for whoever reads the first ones.
func TestManyPacks(t *testing.T) {
	r := newRepo(t)
	tip, _ := history(r)
	r.pack()
	for i := range 200 {
		for _, end := range []string{".idx", ".pack"} {
			r.check(os.Link(filepath.Join(r.dir, "objects/pack/pack-1"+end), filepath.Join(r.dir, fmt.Sprintf("objects/pack/pack-1%03d%s", i, end))))
		}
	}
	root, err := os.OpenRoot(r.dir)
	r.check(err)
	defer root.Close()
	var was syscall.Rlimit
	r.check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	few := was
	few.Cur = 250
	r.check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few))
	files, err := gitlog.Open(root)
	var more []*os.File // what a reader may need
	for range 40 {
		if f, err := os.Open(r.dir); err == nil {
			more = append(more, f)
		}
	}
	r.check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was))
	for _, f := range more {
		f.Close()
	}
	r.check(err)
	defer files.Close()
	if n := len(files.Packs); n == 0 || n%2 != 0 || n > 202 || len(more) < 40 {
		t.Errorf("%d files of packs are open, and %d more", n, len(more))
	}
	got, err := gitlog.Trace(t.Context(), files, tip, questions(), gitlog.Bounds{})
	if err != nil || who(got) != answers {
		t.Errorf("%s, %v", who(got), err)
	}
}
