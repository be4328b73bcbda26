// SPDX-License-Identifier: Apache-2.0

//go:build unix

package dir_test

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/dir"
)

func TestHost(t *testing.T) {
	root := unpack(t, `
-- etc/os-release --
-- home/a/.local/share/containers/storage/x --
-- home/a/.local/share/containersx/x --
-- opt/var/lib/docker/x --
-- var/lib/docker/x --
-- var/lib/docker2/x --
-- var/lib/kubelet/pods/x --
`)
	tree, err := dir.Host(t.Context(), root, bulwark.OpenOptions{SkipDirs: []string{"opt/*"}})
	check(t, err)
	defer tree.Close()
	diff(t, "names", []string{"etc/os-release", "home/a/.local/share/containersx/x", "var/lib/docker2/x"}, names(t, read(t, tree)))
	diff(t, "gaps", []bulwark.Gap{
		{Kind: bulwark.GapSkipped, Path: "home/a/.local/share/containers", Detail: "left out: a user's container store; use bulwark scan image"},
		{Kind: bulwark.GapSkipped, Path: "opt/var", Detail: "left out by skip-dirs"},
		{Kind: bulwark.GapSkipped, Path: "var/lib/docker", Detail: "left out: Docker's store; use bulwark scan image"},
		{Kind: bulwark.GapSkipped, Path: "var/lib/kubelet", Detail: "left out: volumes of pods"},
	}, tree.Layers[0].Gaps())
	diff(t, "artifact", bulwark.Artifact{Kind: bulwark.KindHost, Name: root, Source: "host"}, tree.Artifact)

	if _, err := dir.Host(t.Context(), root+"/none", bulwark.OpenOptions{}); !errors.Is(err, bulwark.ErrNotFound) {
		t.Errorf("no root: %v", err)
	}
}

// TestHostRoot walks the directories next to this machine's root, and the places
// of the kernel's file systems.
func TestHostRoot(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kernel's file systems are Linux's")
	}
	for name, open := range map[string]func() (*bulwark.Tree, error){
		"host": func() (*bulwark.Tree, error) {
			return dir.Host(t.Context(), "/", bulwark.OpenOptions{MaxEntries: 50, Wants: nobody})
		},
		"directory": func() (*bulwark.Tree, error) {
			return dir.Dir(t.Context(), "/", bulwark.OpenOptions{SkipDirs: []string{"[^ps]*", "s[^y]*"}, Wants: nobody})
		},
	} {
		t.Run(name, func(t *testing.T) {
			tree, err := open()
			check(t, err)
			defer tree.Close()
			if host, err := os.Hostname(); err == nil && name == "host" && tree.Artifact.Name != host {
				t.Errorf("the host is called %q", tree.Artifact.Name)
			}
			read(t, tree)
			if name == "host" {
				return
			}
			for _, g := range tree.Layers[0].Gaps() {
				if strings.Contains(g.Detail, `"proc"`) && g.Kind == bulwark.GapSkipped {
					return
				}
			}
			if _, err := os.Stat("/proc/self/mountinfo"); err == nil {
				t.Errorf("/proc is not left out: %+v", tree.Layers[0].Gaps())
			}
		})
	}
}

func nobody(string, bulwark.Stat) bool { return false }

// TestRelativeRoot shows that mounts are found from a root that is named in
// another way than the table has it.
func TestRelativeRoot(t *testing.T) {
	if _, err := os.Stat("/proc/self/mountinfo"); err != nil {
		t.Skip(err)
	}
	link := t.TempDir() + "/link"
	check(t, os.Symlink("/", link))
	t.Chdir("/")
	for _, root := range []string{".", link, "proc/../."} {
		tree, err := dir.Dir(t.Context(), root, bulwark.OpenOptions{SkipDirs: []string{"[^p]*"}, Wants: nobody})
		check(t, err)
		read(t, tree)
		found := false
		for _, g := range tree.Layers[0].Gaps() {
			found = found || strings.Contains(g.Detail, `"proc"`)
		}
		if !found {
			t.Errorf("%s: %+v", root, tree.Layers[0].Gaps())
		}
		check(t, tree.Close())
	}
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWalk walks what BULWARK_BENCH_ROOT names, else /usr:
// "look" wants nothing, "read" every file of at most 64 KiB.
func BenchmarkWalk(b *testing.B) {
	root := os.Getenv("BULWARK_BENCH_ROOT")
	if root == "" {
		root = "/usr"
	}
	for name, most := range map[string]int64{"look": -1, "read": 64 << 10} {
		b.Run(name, func(b *testing.B) {
			files, begin := 0, processorTime()
			tree, err := dir.Host(b.Context(), root, bulwark.OpenOptions{Wants: func(_ string, st bulwark.Stat) bool {
				files++
				return st.Size <= most
			}})
			check(b, err)
			defer tree.Close()
			for b.Loop() {
				r := stream(b, tree)
				_, err := io.Copy(io.Discard, r)
				check(b, errors.Join(err, r.Close()))
			}
			used := processorTime() - begin
			b.ReportMetric(float64(files)/float64(b.N), "files/op")
			b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(files)/used.Seconds(), "files/cpu-s")
		})
	}
}
