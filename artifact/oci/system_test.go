// SPDX-License-Identifier: Apache-2.0

//go:build linux

package oci_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/oci"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// system skips a test that needs real engines unless it was asked for, and
// where a program that it needs is missing.
func system(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("BULWARK_SYSTEM") != "1" {
		t.Skip("needs real engines and root; set BULWARK_SYSTEM=1")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s: %v", p, err)
		}
	}
}

// run runs a program to its end.
func run(t *testing.T, environ []string, program string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Env = append(os.Environ(), environ...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}

// start runs a daemon until the test ends, and waits until ready says so.
func start(t *testing.T, environ []string, ready func() bool, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, args...)
	c.Env = append(os.Environ(), environ...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			c.Process.Kill()
			<-done
		}
		log.Close()
	})
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !ready(); <-tick.C {
		ended := false
		select {
		case <-done:
			ended, done = true, make(chan error, 1)
			close(done)
		default:
		}
		if ended || time.Now().After(deadline) {
			b, _ := os.ReadFile(log.Name())
			t.Fatalf("%s is not ready:\n%s", program, b)
		}
	}
}

func answers(network, address string) func() bool {
	return func() bool {
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}
}

// state gives a directory for a daemon. Sockets have short paths, and daemons
// leave mounts that the test's own directory must not fail on.
func state(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bwsys")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Logf("left behind: %v", err)
		}
	})
	return dir
}

// verifyAll reads every layer and checks that the content is the image's,
// compressed as it may be.
func verifyAll(t *testing.T, tree *bulwark.Tree, err error, img v1.Image, source string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if tree.Artifact.Source != source || tree.Artifact.Platform != "linux/amd64" || !tree.Artifact.ID.Valid() {
		t.Errorf("artifact %+v", tree.Artifact)
	}
	c, _ := img.ConfigFile()
	if len(tree.Layers) != len(c.RootFS.DiffIDs) || len(tree.Gaps) != 0 {
		t.Fatalf("%d layers, gaps %v", len(tree.Layers), tree.Gaps)
	}
	for i, b := range tree.Layers {
		if b.DiffID != bulwark.Digest(c.RootFS.DiffIDs[i].String()) {
			t.Errorf("layer %d: %s", i, b.DiffID)
		}
		if err := readBlob(t.Context(), b); err != nil {
			t.Errorf("layer %d: %v", i, err)
		}
	}
	if got := tree.Layers[1].CreatedBy; got != "COPY app" {
		t.Errorf("instruction %q", got)
	}
}

func systemOpener(t *testing.T, pairs ...string) *oci.Opener {
	t.Helper()
	o := opener(t)
	o.Env = env(pairs...)
	return o
}

func TestSystemDocker(t *testing.T) {
	system(t, "dockerd", "docker", "containerd")
	dir := state(t)
	img := testImage(t, "linux/amd64")
	sock := filepath.Join(dir, "sock")
	conf := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(conf, encode(object{
		"data-root": dir + "/data", "exec-root": dir + "/exec", "pidfile": dir + "/pid",
		"hosts": []string{"unix://" + sock}, "bridge": "none", "iptables": false,
	}), 0o600); err != nil {
		t.Fatal(err)
	}
	host := "DOCKER_HOST=unix://" + sock
	start(t, nil, func() bool {
		c := exec.Command("docker", "version")
		c.Env = append(os.Environ(), host)
		return c.Run() == nil
	}, "dockerd", "--config-file", conf)
	run(t, []string{host}, "docker", "load", "-i", write(t, saved(t, img, "bulwark/app:1")))
	o := systemOpener(t, "DOCKER_HOST", "unix://"+sock, "CONTAINERD_ADDRESS", "/none", "CONTAINER_HOST", "unix:///none")
	c, _ := img.ConfigName()
	for _, ref := range []string{"bulwark/app:1", c.String(), c.Hex[:12]} {
		tree, err := o.Docker(t.Context(), ref, bulwark.OpenOptions{})
		verifyAll(t, tree, err, img, "docker")
	}
	tree, err := o.Open(t.Context(), "bulwark/app:1", nil, bulwark.OpenOptions{})
	verifyAll(t, tree, err, img, "docker")
	_, err = o.Docker(t.Context(), "bulwark/other:1", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound)
	// What docker save writes is an archive that opens.
	out := filepath.Join(t.TempDir(), "saved.tar")
	run(t, []string{host}, "docker", "save", "-o", out, "bulwark/app:1")
	tree, err = o.Archive(t.Context(), out+":bulwark/app:1", bulwark.OpenOptions{})
	verifyAll(t, tree, err, img, "docker-archive")
}

func TestSystemContainerd(t *testing.T) {
	system(t, "containerd", "ctr")
	dir := state(t)
	img := testImage(t, "linux/amd64")
	sock := filepath.Join(dir, "sock")
	conf := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n", dir+"/lib", dir+"/run", sock), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, nil, func() bool { return exec.Command("ctr", "-a", sock, "version").Run() == nil }, "containerd", "-c", conf)
	archive := write(t, packDir(t, writeLayout(t, map[string]v1.Image{"docker.io/bulwark/app:1": img}, nil)))
	for _, ns := range []string{"k8s.io", "mine"} {
		run(t, nil, "ctr", "-a", sock, "-n", ns, "images", "import", "--no-unpack", archive)
	}
	o := systemOpener(t, "CONTAINERD_ADDRESS", sock)
	tree, err := o.Containerd(t.Context(), "bulwark/app:1", bulwark.OpenOptions{})
	verifyAll(t, tree, err, img, "containerd")
	_, err = o.Containerd(t.Context(), "bulwark/app:2", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound)
	o = systemOpener(t, "CONTAINERD_ADDRESS", "unix://"+sock, "CONTAINERD_NAMESPACE", "mine")
	tree, err = o.Containerd(t.Context(), "docker.io/bulwark/app:1", bulwark.OpenOptions{})
	verifyAll(t, tree, err, img, "containerd")
	o = systemOpener(t, "CONTAINERD_ADDRESS", sock, "CONTAINERD_NAMESPACE", "other")
	_, err = o.Containerd(t.Context(), "bulwark/app:1", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound)
}

func TestSystemPodman(t *testing.T) {
	system(t, "podman")
	img := testImage(t, "linux/amd64")
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			dir := state(t)
			root := []string{"--root", dir + "/root", "--runroot", dir + "/run", "--storage-driver", driver}
			podman := func(args ...string) []string { return append(root[:len(root):len(root)], args...) }
			t.Cleanup(func() {
				c := exec.Command("podman", podman("rmi", "-fa")...)
				if out, err := c.CombinedOutput(); err != nil {
					t.Logf("clean up: %v: %s", err, out)
				}
				syscall.Unmount(dir+"/root/overlay", syscall.MNT_DETACH)
			})
			run(t, nil, "podman", podman("load", "-i", write(t, packDir(t, writeLayout(t, map[string]v1.Image{"docker.io/bulwark/app:1": img}, nil))))...)

			conf := filepath.Join(dir, "storage.conf")
			if err := os.WriteFile(conf, fmt.Appendf(nil, "[storage]\ndriver = %q\ngraphroot = %q\n", driver, dir+"/root"), 0o600); err != nil {
				t.Fatal(err)
			}
			skipWithPodman(t)
			o := systemOpener(t, "CONTAINERS_STORAGE_CONF", conf)
			tree, err := o.Podman(t.Context(), "bulwark/app:1", bulwark.OpenOptions{})
			verifyAll(t, tree, err, img, "podman")
			_, err = o.Podman(t.Context(), "bulwark/app:2", bulwark.OpenOptions{})
			wantErr(t, err, bulwark.ErrNotFound, "no such image")

			sock := filepath.Join(dir, "sock")
			start(t, nil, answers("unix", sock), "podman", podman("system", "service", "--time=0", "unix://"+sock)...)
			o = systemOpener(t, "CONTAINER_HOST", "unix://"+sock)
			c, _ := img.ConfigName()
			for _, ref := range []string{"bulwark/app:1", c.Hex[:12]} {
				tree, err = o.Podman(t.Context(), ref, bulwark.OpenOptions{})
				verifyAll(t, tree, err, img, "podman")
			}
			_, err = o.Podman(t.Context(), "bulwark/app:2", bulwark.OpenOptions{})
			wantErr(t, err, bulwark.ErrNotFound, "no such image")

			for _, format := range []string{"oci-archive", "docker-archive"} {
				out := filepath.Join(t.TempDir(), "saved.tar")
				run(t, nil, "podman", podman("save", "-q", "--format", format, "-o", out, "bulwark/app:1")...)
				tree, err = o.Archive(t.Context(), out, bulwark.OpenOptions{})
				verifyAll(t, tree, err, img, format)
			}
			out := filepath.Join(t.TempDir(), "dir")
			run(t, nil, "podman", podman("save", "-q", "--format", "oci-dir", "-o", out, "bulwark/app:1")...)
			tree, err = o.Layout(t.Context(), out, bulwark.OpenOptions{})
			verifyAll(t, tree, err, img, "oci-layout")
		})
	}
}

func TestSystemRegistry(t *testing.T) {
	system(t, "docker-registry", "htpasswd", "openssl")
	dir := state(t)
	img := testImage(t, "linux/amd64")
	out, err := exec.Command("htpasswd", "-Bbn", "alice", "secret").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/htpasswd", out, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
		"-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", dir+"/key.pem", "-out", dir+"/cert.pem")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	conf := fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %[1]s/data}}
http: {addr: %[2]s, secret: x, tls: {certificate: %[1]s/cert.pem, key: %[1]s/key.pem}}
auth: {htpasswd: {realm: r, path: %[1]s/htpasswd}}
`, dir, addr)
	if err := os.WriteFile(dir+"/config.yml", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, nil, answers("tcp", addr), "docker-registry", "serve", dir+"/config.yml")

	opt := bulwark.OpenOptions{CAFile: dir + "/cert.pem"}
	ref, err := name.ParseReference(addr + "/bulwark/app:1")
	if err != nil {
		t.Fatal(err)
	}
	tr := remote.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the push is not what is tested
	if err := remote.Write(ref, img, remote.WithAuth(&authn.Basic{Username: "alice", Password: "secret"}), remote.WithTransport(tr)); err != nil {
		t.Fatal(err)
	}
	o := systemOpener(t)
	_, err = o.Registry(t.Context(), addr+"/bulwark/app:1", bulwark.OpenOptions{})
	wantErr(t, err, nil, "--ca-file")
	_, err = o.Registry(t.Context(), addr+"/bulwark/app:1", opt)
	wantErr(t, err, nil, "docker login")
	o.Keychain = keys{"alice", "secret"}
	tree, err := o.Registry(t.Context(), addr+"/bulwark/app:1", opt)
	verifyAll(t, tree, err, img, "registry")
	_, err = o.Registry(t.Context(), addr+"/bulwark/app:2", opt)
	wantErr(t, err, bulwark.ErrNotFound, `tags like it: ["1"]`)
	_, err = o.Registry(t.Context(), strings.Replace(addr, "127.0.0.1", "localhost", 1)+"/bulwark/none:2", opt)
	wantErr(t, err, bulwark.ErrNotFound)
}
