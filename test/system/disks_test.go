// SPDX-License-Identifier: Apache-2.0

package system

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bulwark-sec/bulwark/internal/disk"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
)

// TestSystemDisks makes disks of a tree by the tools of their file systems, with
// every size of block that they know, and reads back what was put in.
func TestSystemDisks(t *testing.T) {
	if os.Getenv("BULWARK_SYSTEM") == "" {
		t.Skip("BULWARK_SYSTEM is not set: make test-system runs it")
	}
	for _, tool := range []string{"mke2fs", "mkfs.xfs", "qemu-img"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for i := range 3000 {
		write(t, fmt.Sprintf("%s/usr/many/a-file-with-a-rather-long-name-%d", root, i), fmt.Sprint(i))
	}
	write(t, root+"/etc/large", strings.Repeat("0123456789abcdef", 400_000))
	write(t, root+"/etc/os-release", "ID=debian\n")
	deep := root
	for range 60 {
		deep += "/d"
	}
	write(t, deep+"/end", "end")
	want := listed(t, root)

	proto := filepath.Join(dir, "proto")
	var b strings.Builder
	b.WriteString("/dummy\n0 0\nd--755 0 0\n")
	prototype(t, &b, root)
	b.WriteString("$\n")
	if err := os.WriteFile(proto, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v: %s", name, args, err, out)
		}
	}
	for name, args := range map[string][]string{
		"ext2":      {"-t", "ext2", "-b", "1024"},
		"ext3":      {"-t", "ext3", "-b", "4096"},
		"ext4-1k":   {"-t", "ext4", "-b", "1024"},
		"ext4-4k":   {"-t", "ext4", "-b", "4096"},
		"ext4-32":   {"-t", "ext4", "-O", "^64bit,^metadata_csum"},
		"xfs":       nil,
		"xfs-1k":    {"-b", "size=1024"},
		"xfs-dir":   {"-n", "size=8192"},
		"xfs-inode": {"-i", "size=1024"},
		"xfs-v4":    {"-m", "crc=0", "-n", "ftype=0"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "disk")
			if strings.HasPrefix(name, "ext") {
				run("mke2fs", append(args, "-q", "-F", "-d", root, file, "64M")...)
			} else {
				run("truncate", "-s", "400M", file)
				run("mkfs.xfs", append(args, "-q", "-f", "-p", proto, file)...)
			}
			for _, form := range [][]string{nil, {"-O", "qcow2"}, {"-c", "-O", "qcow2"}, {"-c", "-O", "qcow2", "-o", "compression_type=zstd"}} {
				at := file
				if form != nil {
					at = file + ".qcow2"
					run("qemu-img", append(append([]string{"convert"}, form...), file, at)...)
				}
				if d := cmp.Diff(want, walked(t, at)); d != "" {
					t.Errorf("%q (-want +got):\n%s", form, d)
				}
			}
		})
	}
}

// prototype writes a directory in the form that mkfs.xfs copies from.
func prototype(t *testing.T, b *strings.Builder, dir string) {
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		full := filepath.Join(dir, e.Name())
		if e.IsDir() {
			fmt.Fprintf(b, "%s d--755 0 0\n", e.Name())
			prototype(t, b, full)
			b.WriteString("$\n")
		} else {
			fmt.Fprintf(b, "%s ---644 0 0 %s\n", e.Name(), full)
		}
	}
}

// listed gives the files of a directory with their digests.
func listed(t *testing.T, root string) (out []string) {
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		out = append(out, fmt.Sprintf("%s %x", strings.TrimPrefix(p, root+"/"), sha256.Sum256(b)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// walked gives the same of a disk.
func walked(t *testing.T, name string) (out []string) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	_, err = disk.Walk(t.Context(), f, info.Size(), limit.Limits{}, func(e *tarfs.Entry, r io.Reader) error {
		if e.Type != tarfs.Regular {
			return nil
		}
		h := sha256.New()
		_, err := io.Copy(h, r)
		out = append(out, fmt.Sprintf("%s %x", e.Path, h.Sum(nil)))
		return err
	}, func(f tarfs.Fault) { t.Errorf("%s: %s", f.Path, f.Detail) })
	if err != nil {
		t.Error(err)
	}
	slices.Sort(out)
	return out
}
