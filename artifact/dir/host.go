// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// local lists the file systems that hold a machine's own installed software.
// Every other mount is left out: pseudo file systems have no files, network and
// FUSE mounts belong to somebody else, and squashfs, erofs and overlay mounts are
// images, which are scanned as such.
var local = map[string]bool{
	"ext2": true, "ext3": true, "ext4": true, "xfs": true, "btrfs": true, "zfs": true,
	"f2fs": true, "bcachefs": true, "jfs": true, "reiserfs": true, "vfat": true,
}

// stores are the folders in which container engines keep images and containers.
// What is in them is not installed on the host.
var stores = map[string]string{
	"var/lib/docker":               "Docker's store; use bulwark scan image",
	"var/lib/containerd":           "containerd's store; use bulwark scan image",
	"var/lib/containers":           "podman's and CRI-O's store; use bulwark scan image",
	"var/lib/kubelet":              "volumes of pods",
	"var/lib/rancher":              "the store of k3s and RKE2; use bulwark scan image",
	"var/lib/lxc":                  "containers of LXC",
	"var/lib/lxd":                  "containers of LXD",
	"var/lib/incus":                "containers of Incus",
	"var/lib/machines":             "containers of systemd-nspawn",
	"var/lib/snapd/snaps":          "packed snaps",
	"var/lib/flatpak/repo/objects": "packed flatpaks",
	"lost+found":                   "recovered fragments",
}

// userStore is where rootless engines keep their images, below a home.
const userStore = ".local/share/containers"

// Host opens the machine that the program runs on, from its root directory. It
// stays on local file systems and tells each mount and store that it leaves out.
func Host(_ context.Context, root string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	mounts, err := foreign(root)
	var gaps []bulwark.Gap
	if err != nil {
		gaps = append(gaps, bulwark.Gap{Kind: bulwark.GapUnreadable, Path: "proc/self/mountinfo", Detail: "the list of mounts cannot be read: only known pseudo file systems are left out"})
		mounts = map[string]string{"proc": "proc", "sys": "sysfs", "dev": "devtmpfs", "run": "tmpfs"}
	}
	t, _, err := open(root, bulwark.KindHost, "host", o, func(rel string) string {
		if kind, ok := mounts[rel]; ok {
			return "a mount of type " + kind
		}
		if why, ok := stores[rel]; ok {
			return why
		}
		if strings.HasSuffix(rel, userStore) {
			return "a user's container store; use bulwark scan image"
		}
		return ""
	})
	if err != nil {
		return nil, err
	}
	t.Gaps = append(t.Gaps, gaps...)
	if name, err := os.Hostname(); err == nil && root == "/" {
		t.Artifact.Name = name
	}
	return t, nil
}

// foreign gives the mount points below root that are not local, relative to it,
// with their file system types, from /proc/self/mountinfo as proc(5) describes it.
func foreign(root string) (map[string]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return mounts(f, root)
}

func mounts(r io.Reader, root string) (map[string]string, error) {
	out := map[string]string{}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		sep := -1
		for i, f := range fields {
			if f == "-" {
				sep = i
				break
			}
		}
		if sep < 6 || sep+1 >= len(fields) {
			return nil, errors.New("mountinfo: line without separator")
		}
		point, kind := unescape(fields[4]), fields[sep+1]
		rel := strings.TrimPrefix(strings.TrimPrefix(path.Clean(point), path.Clean(root)), "/")
		if rel == "" || !strings.HasPrefix(point, path.Clean(root)) {
			continue
		}
		if !local[kind] {
			out[rel] = kind
		} else {
			delete(out, rel) // mounted over
		}
	}
	return out, sc.Err()
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
