// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"context"
	"os"
	"path"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// stores are the folders in which container engines and system tools keep
// images, containers and older states. What is in them is not installed on the
// host.
var stores = map[string]string{
	"var/lib/docker":               "Docker's store; use bulwark scan image",
	"var/lib/containerd":           "containerd's store; use bulwark scan image",
	"var/lib/containers":           "podman's and CRI-O's store; use bulwark scan image",
	"var/lib/buildkit":             "BuildKit's store",
	"var/lib/kubelet":              "volumes of pods",
	"var/lib/rancher":              "the store of k3s and RKE2; use bulwark scan image",
	"var/lib/k0s":                  "the store of k0s; use bulwark scan image",
	"var/lib/lxc":                  "containers of LXC",
	"var/lib/lxd":                  "containers of LXD",
	"var/lib/incus":                "containers of Incus",
	"var/lib/machines":             "containers of systemd-nspawn",
	"var/lib/snapd/snaps":          "packed snaps",
	"var/lib/flatpak/repo/objects": "packed flatpaks",
	"var/snap/docker":              "Docker's store; use bulwark scan image",
	"var/snap/lxd":                 "containers of LXD",
	"var/snap/microk8s":            "the store of MicroK8s; use bulwark scan image",
	"sysroot/ostree":               "deployments of OSTree; the one that runs is read at the root",
	"ostree":                       "deployments of OSTree; the one that runs is read at the root",
	".snapshots":                   "snapshots",
	"home/.snapshots":              "snapshots",
	"timeshift/snapshots":          "snapshots",
	"lost+found":                   "recovered fragments",
}

// userStores are the folders, below a home, that hold what is not installed: the
// images of rootless engines, and what package managers fetched for builds.
var userStores = map[string]string{
	".local/share/containers": "a user's container store; use bulwark scan image",
	".local/share/docker":     "a user's container store; use bulwark scan image",
	".local/share/containerd": "a user's container store; use bulwark scan image",
	".local/share/nerdctl":    "a user's container store; use bulwark scan image",
	"go/pkg/mod":              "Go's module cache",
	".cache":                  "a user's caches",
	".npm/_cacache":           "npm's cache",
	".m2/repository":          "Maven's cache",
	".gradle/caches":          "Gradle's cache",
	".cargo/registry":         "Cargo's cache",
	".nuget/packages":         "NuGet's cache",
}

// store says what a folder of the host is that is left out; "" when it is none.
func store(rel string) string {
	if why, ok := stores[rel]; ok {
		return why
	}
	// Asked of every directory: look at the last name first.
	switch path.Base(rel) {
	case "containers", "docker", "containerd", "nerdctl", "mod", ".cache", "_cacache", "repository", "caches", "registry", "packages":
	default:
		return ""
	}
	for s, why := range userStores {
		if home, ok := strings.CutSuffix(rel, s); ok && (home == "" || strings.HasSuffix(home, "/")) {
			return why
		}
	}
	return ""
}

// Host opens the machine that the program runs on, from its root directory: "/",
// or where a container has the host's. It stays on local file systems and tells
// each store and type of mount that it leaves out.
func Host(_ context.Context, root string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	t, w, err := open(root, bulwark.KindHost, "host", o)
	if err != nil {
		return nil, err
	}
	w.skip = store
	abs, err := place(root)
	var list []mount
	if err == nil {
		list, err = mountsOf()
	}
	if err == nil {
		w.leave = foreign(list, abs, func(rel string) bool { return store(rel) != "" })
	} else {
		t.Gaps = append(t.Gaps, bulwark.Gap{Kind: bulwark.GapUnreadable, Path: "proc/self/mountinfo", Detail: "the list of mounts cannot be read: only known pseudo file systems are left out"})
		w.leave = map[string]omission{"proc": {kind: "proc", kernel: true}, "sys": {kind: "sysfs", kernel: true}, "dev": {kind: "devtmpfs", kernel: true}, "run": {kind: "tmpfs"}}
	}
	if name, err := os.Hostname(); err == nil && abs == "/" {
		t.Artifact.Name = name
	}
	return t, nil
}
