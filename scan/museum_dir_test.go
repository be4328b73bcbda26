// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scan_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/scan"
)

// directoryExhibits are directories and work trees that are not what they seem,
// or change while they are read.
func directoryExhibits() []exhibit {
	tree := func(fill func(r *room, dir string)) func(*room) string {
		return func(r *room) string {
			r.put("tree/"+npmPath("good"), []byte(npmBody("good", "1.0.0")))
			fill(r, r.path("tree"))
			return r.path("tree")
		}
	}
	repo := func(fill func(r *room, git string)) func(*room) string {
		return tree(func(r *room, dir string) {
			r.put("tree/.git/HEAD", []byte("ref: refs/heads/main\n"))
			fill(r, dir+"/.git")
		})
	}
	return []exhibit{
		{name: "directory-with-links-in-a-circle", make: tree(func(r *room, dir string) {
			must(os.Symlink(".", dir+"/self"))
			must(os.Symlink("b", dir+"/a"))
			must(os.Symlink("a", dir+"/b"))
			must(os.Symlink("../..", dir+"/app/up"))
			must(os.Symlink(r.canary, dir+"/out"))
			must(os.Symlink("../../../canary/node_modules", dir+"/node_modules"))
			must(os.MkdirAll(dir+"/lib/node_modules/x", 0o700))
			must(os.Symlink(r.canary+"/node_modules/escaped/package.json", dir+"/lib/node_modules/x/package.json"))
		}), packages: []string{"good 1.0.0"}},
		{name: "directory-with-pipes-and-sockets", make: tree(func(_ *room, dir string) {
			for i := range 10 {
				d := fmt.Sprintf("%s/node_modules/p%d", dir, i)
				must(os.MkdirAll(d, 0o700))
				must(syscall.Mkfifo(d+"/package.json", 0o600))
			}
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			must(err)
			defer syscall.Close(fd)
			at, err := os.Getwd() // a socket's path is short
			must(err)
			must(os.Chdir(dir))
			err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: "yarn.lock"})
			must(os.Chdir(at))
			must(err)
		}), packages: []string{"good 1.0.0"}},
		{name: "directory-300-deep", make: tree(func(r *room, _ string) {
			r.put("tree/"+strings.Repeat("d/", 300)+"node_modules/deep/package.json", []byte(npmBody("deep", "1.0.0")))
		}), packages: []string{"deep 1.0.0", "good 1.0.0"}},
		{name: "directory-deeper-than-a-path-may-be", make: tree(func(_ *room, dir string) {
			root, err := os.OpenRoot(dir)
			must(err)
			for range 30 {
				name := strings.Repeat("n", 200)
				must(root.Mkdir(name, 0o700))
				next, err := root.OpenRoot(name)
				must(err)
				must(root.Close())
				root = next
			}
			defer root.Close()
			must(root.MkdirAll("node_modules/far", 0o700))
			must(root.WriteFile("node_modules/far/package.json", []byte(npmBody("far", "1.0.0")), 0o600))
		}), gap: gap{kind: bulwark.GapLimit, detail: "path of", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "directory-with-bad-names", make: tree(func(r *room, _ string) {
			r.put("tree/\xff/node_modules/p/package.json", []byte(npmBody("first", "1.0.0")))
			r.put("tree/\xfe/node_modules/p/package.json", []byte(npmBody("second", "1.0.0")))
			r.put("tree/\x1b[2J\u202e\n/node_modules/p/package.json", []byte(npmBody("third", "1.0.0")))
		}), gap: gap{kind: bulwark.GapUnreadable, hides: true}, or: []string{"first 1.0.0", "good 1.0.0", "second 1.0.0", "third 1.0.0"}, holds: "third 1.0.0"},
		{name: "directory-that-cannot-be-read", make: tree(func(r *room, dir string) {
			r.put("tree/closed/node_modules/p/package.json", []byte(npmBody("p", "1.0.0")))
			must(os.Chmod(dir+"/closed", 0))
		}), scan: withoutOverride, gap: gap{kind: bulwark.GapUnreadable, path: "closed", detail: "permission denied", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "database-that-cannot-be-read", make: tree(func(r *room, dir string) {
			r.put("tree/"+status, []byte(hello))
			must(os.Chmod(dir+"/"+status, 0))
		}), scan: withoutOverride, gap: gap{kind: bulwark.GapUnreadable, path: status, detail: "permission denied", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "directory-with-a-file-of-exbibytes", make: tree(func(r *room, dir string) {
			p := r.put("tree/node_modules/huge/package.json", []byte(npmBody("huge", "1.0.0")))
			must(os.Truncate(p, 1<<42))
		}), limits: limit.Limits{Bytes: 256 << 20}, within: 30 * time.Second,
			gap: gap{kind: bulwark.GapLimit, path: "node_modules/huge/package.json", hides: true}, packages: []string{"good 1.0.0"}},
		{name: "directory-with-files-that-swap-with-pipes", make: tree(func(r *room, dir string) {
			for i := range 400 {
				r.put(fmt.Sprintf("tree/%s.d/p%d", status, i), []byte(stanzas(fmt.Sprintf("p%d 1.0", i))))
			}
		}), scan: swapping(func(r *room, i int) {
			p, pipe, file := fmt.Sprintf("%s/%s.d/p%d", r.path("tree"), status, i%400), r.path("pipe"), r.path("file")
			if i/400%2 == 0 {
				if syscall.Mkfifo(pipe, 0o600) == nil {
					_ = os.Rename(pipe, p)
				}
			} else {
				_ = os.WriteFile(file, []byte(stanzas("swapped 1.0")), 0o600)
				_ = os.Rename(file, p)
			}
		}), free: unblock, holds: "good 1.0.0"},
		{name: "directory-with-files-that-swap-with-links-outside", make: tree(func(r *room, dir string) {
			for i := range 200 {
				r.put(fmt.Sprintf("tree/node_modules/p%d/package.json", i), []byte(npmBody(fmt.Sprint("p", i), "1.0.0")))
			}
		}), scan: swapping(func(r *room, i int) {
			p := fmt.Sprintf("%s/node_modules/p%d/package.json", r.path("tree"), i%200)
			if os.Symlink(r.canary+"/node_modules/escaped/package.json", r.path("link")) == nil {
				_ = os.Rename(r.path("link"), p)
				_ = os.WriteFile(r.path("file"), []byte(npmBody("swapped", "1.0.0")), 0o600)
				_ = os.Rename(r.path("file"), p)
			}
		}), holds: "good 1.0.0"},
		{name: "directory-with-files-that-grow-and-shrink", make: tree(func(r *room, dir string) {
			for i := range 50 {
				r.put(fmt.Sprintf("tree/node_modules/p%d/package.json", i), []byte(npmBody(fmt.Sprint("p", i), "1.0.0")+strings.Repeat(" ", 1<<20)))
			}
		}), scan: swapping(func(r *room, i int) {
			p := fmt.Sprintf("%s/node_modules/p%d/package.json", r.path("tree"), i%50)
			_ = os.Truncate(p, 10)
			_ = os.Truncate(p, 3<<20)
		}), holds: "good 1.0.0"},
		{name: "directory-that-vanishes", make: tree(func(r *room, dir string) {
			for i := range 200 {
				r.put(fmt.Sprintf("tree/z/%d/node_modules/p/package.json", i), []byte(npmBody("p", "1.0.0")))
			}
		}), scan: swapping(func(r *room, i int) { _ = os.RemoveAll(fmt.Sprintf("%s/z/%d", r.path("tree"), 199-i%200)) }), holds: "good 1.0.0"},

		// Work trees.
		{name: "repository-whose-HEAD-is-a-pipe", make: repo(func(_ *room, git string) {
			must(os.Remove(git + "/HEAD"))
			must(syscall.Mkfifo(git+"/HEAD", 0o600))
		}), free: unblock, refused: "repository"},
		{name: "repository-whose-HEAD-is-a-link-to-the-outside", make: repo(func(r *room, git string) {
			must(os.Remove(git + "/HEAD"))
			must(os.Symlink(r.canary+"/secret", git+"/HEAD"))
		}), refused: "repository"},
		{name: "repository-whose-branch-is-a-link-to-the-outside", make: repo(func(r *room, git string) {
			must(os.MkdirAll(git+"/refs/heads", 0o700))
			must(os.Symlink(r.canary+"/secret", git+"/refs/heads/main"))
		}), refused: "repository"},
		{name: "repository-that-is-elsewhere", make: tree(func(r *room, _ string) {
			r.put("elsewhere/HEAD", []byte("root:"+secretOfCanary))
			r.put("tree/.git", []byte("gitdir: ../elsewhere"))
		}), refused: "repository"},
		{name: "repository-whose-HEAD-climbs", make: repo(func(r *room, git string) {
			must(os.WriteFile(git+"/HEAD", []byte("ref: refs/../../../../canary/secret"), 0o600))
		}), refused: "HEAD names"},
		{name: "repository-with-hundred-MB-of-references", make: repo(func(r *room, _ string) {
			p := r.put("tree/.git/packed-refs", []byte(strings.Repeat("x", 1<<20)))
			must(os.Truncate(p, 1<<42))
		}), gap: gap{kind: bulwark.GapSkipped, path: ".git"}, packages: []string{"good 1.0.0"}},
	}
}

// unblock lets go whoever waits for a writer of a pipe below the exhibit.
func unblock(r *room) {
	_ = filepath.WalkDir(r.dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeNamedPipe != 0 {
			if fd, err := syscall.Open(p, syscall.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
				time.AfterFunc(time.Second, func() { syscall.Close(fd) })
			}
		}
		return nil
	})
}

// swapping scans while change runs over and over.
func swapping(change func(r *room, i int)) func(context.Context, scan.Scanner, *room, string) (*bulwark.Report, error) {
	return func(ctx context.Context, s scan.Scanner, r *room, target string) (*bulwark.Report, error) {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					change(r, i)
				}
			}
		})
		defer func() {
			close(stop)
			wg.Wait()
		}()
		return s.Run(ctx, target)
	}
}

// withoutOverride scans without the right of root to read everything, on all
// threads of this process.
func withoutOverride(ctx context.Context, s scan.Scanner, _ *room, target string) (*bulwark.Report, error) {
	if os.Geteuid() != 0 {
		return s.Run(ctx, target)
	}
	header := struct {
		version uint32
		pid     int32
	}{0x20080522, 0}
	type sets [3]uint32 // effective, permitted, inheritable
	var have [2]sets
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&have)), 0); errno != 0 {
		return nil, errors.Join(errSkip, errno)
	}
	const override, search = 1 << 1, 1 << 2 // CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
	less := have
	less[0][0] &^= override | search
	set := func(c *[2]sets) error {
		_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(c)), 0)
		if errno != 0 {
			return errors.Join(errSkip, errno)
		}
		return nil
	}
	if err := set(&less); err != nil {
		return nil, err
	}
	defer func() { must(set(&have)) }()
	return s.Run(ctx, target)
}
