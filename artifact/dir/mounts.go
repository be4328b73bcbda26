// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// local lists the file systems that hold a machine's own installed software.
// Every other mount is left out: pseudo file systems have no files, network and
// FUSE mounts belong to somebody else, squashfs and overlay mounts are images.
var local = []string{
	"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs", "reiserfs", "nilfs2",
	"ubifs", "jffs2", "ufs", "apfs", "hfs", "vfat", "exfat", "msdos",
}

// system lists the places whose mounts hold the machine's software whatever they
// are: read-only images, overlays of systemd-sysext, the network for a machine
// without a disk.
var system = []string{
	"bin", "etc", "gnu", "gnu/store", "lib", "lib32", "lib64", "nix", "nix/store", "sbin", "usr", "usr/local", "var", "var/lib",
}

// kernel lists the file systems that the kernel makes up.
var kernel = []string{
	"binder", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "cpuset", "debugfs", "devpts", "devtmpfs",
	"efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore", "resctrl", "rpc_pipefs", "securityfs",
	"selinuxfs", "smackfs", "sysfs", "tracefs",
}

// A mount is one line of mountinfo. Paths are written as in the stream.
type mount struct {
	id, parent string
	dev        string // "major:minor"
	root       string // the part of the file system that is mounted
	point      string
	kind       string
}

// An omission is a mount that is left out.
type omission struct {
	kind   string // of file system
	kernel bool   // which the kernel makes up
	of     string // for a bind mount, the relative path where its content is read
}

const (
	mountTable = "/proc/self/mountinfo"
	// The options of one overlay name up to some 500 layers.
	maxMountLine = 1 << 20
	// Twice the kernel's own limit on mounts of one namespace.
	maxMounts = 200_000
)

// readMounts reads mountinfo as proc(5) describes it. A line that does not follow
// it is left out.
func readMounts(r io.Reader) ([]mount, error) {
	var out []mount
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 64<<10), maxMountLine)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 8 {
			continue
		}
		sep := slices.Index(f[6:], "-") // optional fields stand before it
		if sep < 0 || 6+sep+1 >= len(f) {
			continue
		}
		m := mount{id: f[0], parent: f[1], dev: f[2], root: escape(unescape(f[3])), point: escape(unescape(f[4])), kind: escape(unescape(f[6+sep+1]))}
		if !strings.HasPrefix(m.point, "/") {
			continue
		}
		m.point = filepath.Clean(m.point)
		if out = append(out, m); len(out) == maxMounts {
			return nil, fmt.Errorf("mounts: %w", bulwark.ErrTooLarge)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("no mounts")
	}
	return out, nil
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] >= '0' && s[i+1] <= '3' && octal(s[i+2]) && octal(s[i+3]) {
			b = append(b, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func octal(c byte) bool { return c >= '0' && c <= '7' }

// below gives p relative to dir: "." when they are the same. Both are clean and
// absolute.
func below(p, dir string) (rel string, ok bool) {
	switch {
	case p == dir:
		return ".", true
	case dir == "/":
		return p[1:], true
	case strings.HasPrefix(p, dir) && p[len(dir)] == '/':
		return p[len(dir)+1:], true
	}
	return "", false
}

// A mountTree tells which mount is seen at a path.
type mountTree struct {
	list []mount
	on   map[[2]string]int // by the mount that carries it and its point
	ids  map[string]bool
}

func newMountTree(list []mount) *mountTree {
	t := &mountTree{list: list, on: make(map[[2]string]int, len(list)), ids: make(map[string]bool, len(list))}
	for _, m := range list {
		t.ids[m.id] = true
	}
	for i, m := range list {
		parent := m.parent
		if parent == m.id || !t.ids[parent] {
			parent = "" // it carries what the process sees
		}
		t.on[[2]string{parent, m.point}] = i
	}
	return t
}

// at gives the mount that is seen at p, -1 for none: a mount hides what was
// mounted before at the same place or below.
func (t *mountTree) at(p string) int {
	cur, id := -1, ""
	for end := 1; ; end++ {
		if end == len(p) || end > 1 && p[end] == '/' || end == 1 {
			prefix := p[:end]
			for hops := 0; hops <= len(t.list); hops++ {
				next, ok := t.on[[2]string{id, prefix}]
				if !ok || next == cur {
					break
				}
				cur, id = next, t.list[next].id
			}
		}
		if end >= len(p) {
			return cur
		}
	}
}

// foreign gives the mounts below root, an absolute path, that a walk of the
// host's own files leaves out, relative to root; stays says what is left out for
// other reasons.
func foreign(list []mount, root string, stays func(rel string) bool) map[string]omission {
	t := newMountTree(list)
	out := map[string]omission{}
	for i, m := range list {
		rel, ok := below(m.point, root)
		if !ok || rel == "." || t.at(m.point) != i || ours(rel, m.kind) {
			continue
		}
		out[rel] = omission{kind: m.kind, kernel: slices.Contains(kernel, m.kind) || kernelPlace(rel)}
	}
	lost := func(rel string) bool {
		for p := rel; ; {
			if _, ok := out[p]; ok || stays(p) {
				return true
			}
			i := strings.LastIndexByte(p, '/')
			if i < 0 {
				return false
			}
			p = p[:i]
		}
	}
	// A bind mount shows what is read already where the mount that came before
	// it shows the same. Only a place that is really walked counts.
	first := map[string][]int{} // by device
	for i, m := range list {
		rel, inside := below(m.point, root)
		if t.at(m.point) != i || inside && rel != "." && lost(rel) {
			continue
		}
		if inside && rel != "." {
			for _, j := range first[m.dev] {
				part, ok := below(m.root, list[j].root)
				if !ok {
					continue
				}
				place := filepath.Join(list[j].point, part)
				if at, ok := below(place, root); ok && t.at(place) == j && !lost(at) {
					out[rel] = omission{kind: m.kind, of: at}
					break
				}
			}
			if out[rel].of != "" {
				continue
			}
		}
		if len(first[m.dev]) < maxShown {
			first[m.dev] = append(first[m.dev], i)
		}
	}
	return out
}

// maxShown bounds how many mounts of one device a bind mount is compared with.
const maxShown = 16

// ours tells whether a mount holds the machine's own software.
func ours(rel, kind string) bool {
	switch {
	case slices.Contains(local, kind):
		return true
	case slices.Contains(kernel, kind):
		return false
	}
	return slices.Contains(system, rel) || rel == "opt" && kind == "overlay"
}

// kernelPlace tells the places of the kernel's file systems, for the tmpfs mounts
// in them.
func kernelPlace(rel string) bool {
	top, _, _ := strings.Cut(rel, "/")
	return top == "dev" || top == "proc" || top == "sys"
}

// mountsOf gives the mounts that this process sees.
func mountsOf() ([]mount, error) {
	f, err := os.Open(mountTable)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readMounts(f)
}

// place gives the absolute path of root as mounts are written here.
func place(root string) (string, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	abs, err = filepath.EvalSymlinks(abs)
	return escape(abs), err
}

// kernelMounts gives the kernel's own file systems below root, which no
// directory is meant to contain: reading them can wait for ever or have effects.
func kernelMounts(root string) map[string]omission {
	list, err := mountsOf()
	if err != nil {
		return nil
	}
	abs, err := place(root)
	if err != nil {
		return nil
	}
	out := foreign(list, abs, func(string) bool { return false })
	maps.DeleteFunc(out, func(_ string, m omission) bool { return !slices.Contains(kernel, m.kind) })
	return out
}
