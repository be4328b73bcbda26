// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// emulate runs $@ where programs for arm64 are run by qemu: the kernel is told of
// it inside a user namespace of its own, so that nothing outside changes.
const emulate = `mount -t binfmt_misc none /proc/sys/fs/binfmt_misc &&
printf '%s' ':aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$QEMU"':F' >/proc/sys/fs/binfmt_misc/register &&
exec "$@"`

// TestSystemARM64 builds the program for Linux on arm64 and lets it say its
// version and scan a tree. The emulator has neither Landlock nor seccomp, which
// must be told, and the answer must be the same.
func TestSystemARM64(t *testing.T) {
	if os.Getenv("BULWARK_SYSTEM") != "1" {
		t.Skip("needs qemu-aarch64: run by make test-system")
	}
	qemu, err := exec.LookPath("qemu-aarch64")
	if err != nil {
		t.Skip("qemu-aarch64 is not installed: package qemu-user")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "bulwark-arm64")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "../../cmd/bulwark")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, qemu, program, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "bulwark") {
		t.Fatalf("%v\n%s", err, out)
	}
	write(t, filepath.Join(dir, "tree/etc/os-release"), "ID=debian\nVERSION_ID=\"12\"\n")
	write(t, filepath.Join(dir, "tree/var/lib/dpkg/status"), "Package: bash\nStatus: install ok installed\nVersion: 5.2.15-2+b7\nArchitecture: arm64\nMaintainer: A <a@example.test>\n\n")
	write(t, filepath.Join(dir, "tree/srv/package-lock.json"), `{"lockfileVersion": 3, "packages": {"node_modules/ms": {"version": "2.0.0"}}}`)
	args := []string{"-Urm", "sh", "-c", emulate, "sh", program, "scan", "fs", filepath.Join(dir, "tree"), "--allow-starter", "--exit-zero", "-f", "json"}
	scan := exec.CommandContext(ctx, "unshare", args...)
	scan.Env = append(os.Environ(), "QEMU="+qemu, "HOME="+dir, "XDG_CACHE_HOME="+dir)
	var stderr strings.Builder
	scan.Stderr = &stderr
	out, err = scan.Output()
	if strings.Contains(stderr.String(), "binfmt_misc") {
		t.Skipf("this kernel gives a user namespace no binfmt_misc: %s", stderr.String())
	}
	if err != nil {
		t.Fatalf("%v\n%s%s", err, stderr.String(), out)
	}
	var r struct {
		Inventory struct {
			Packages []struct{ PURL string }
			Gaps     []struct{ Kind, Detail string }
		}
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, p := range r.Inventory.Packages {
		found[p.PURL] = true
	}
	for _, want := range []string{"pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=arm64&distro=debian-12", "pkg:npm/ms@2.0.0"} {
		if !found[want] {
			t.Errorf("no %s in %v", want, found)
		}
	}
	told := false
	for _, g := range r.Inventory.Gaps {
		told = told || g.Kind == "sandbox"
	}
	if !told {
		t.Error("nobody was told that the sandbox is not whole")
	}
}
