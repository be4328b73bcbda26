// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// listen serves h at a unix socket. Paths of sockets are short, so that it is
// not in the test's own directory.
func listen(t testing.TB, h http.Handler, tune func(*http.Server)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	sock := filepath.Join(dir, "sock")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	if tune != nil {
		tune(s.Config)
	}
	s.Start()
	t.Cleanup(s.Close)
	return sock
}

// fakeEngine speaks the part of Docker's API that is used. podman writes ids
// without the algorithm and knows full names only.
func fakeEngine(t testing.TB, img v1.Image, podman bool) http.Handler {
	t.Helper()
	c, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	id, known := c.String(), []string{"app:1", "docker.io/library/app:1"}
	if podman {
		id, known = c.Hex, []string{"localhost/app:1"}
	}
	known = append(known, id, c.Hex[:12])
	archive := saved(t, img, known[0])
	mux := http.NewServeMux()
	for _, k := range known {
		mux.HandleFunc("GET /images/"+k+"/json", func(w http.ResponseWriter, _ *http.Request) {
			w.Write(encode(object{"Id": id, "RepoTags": []string{"app:1"}, "RepoDigests": []string{"app@" + c.String()}}))
		})
	}
	mux.HandleFunc("GET /images/"+c.String()+"/get", func(w http.ResponseWriter, _ *http.Request) { w.Write(archive) })
	mux.HandleFunc("GET /images/broken/json", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"message":"disk on fire"}`)
	})
	mux.HandleFunc("GET /images/liar/json", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"Id":"../../containers/create"}`)
	})
	mux.HandleFunc("GET /images/moved/json", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"No such image"}`)
	})
	return mux
}

func TestEngines(t *testing.T) {
	img := testImage(t, "linux/amd64")
	c, _ := img.ConfigName()
	docker := listen(t, fakeEngine(t, img, false), nil)
	podman := listen(t, fakeEngine(t, img, true), nil)
	o := opener(t)
	o.Env = env("DOCKER_HOST", "unix://"+docker, "CONTAINER_HOST", "unix://"+podman, "CONTAINERD_ADDRESS", "/none")
	for source, open := range map[string]func(string, bulwark.OpenOptions) (*bulwark.Tree, error){
		"docker": func(r string, opt bulwark.OpenOptions) (*bulwark.Tree, error) { return o.Docker(t.Context(), r, opt) },
		"podman": func(r string, opt bulwark.OpenOptions) (*bulwark.Tree, error) { return o.Podman(t.Context(), r, opt) },
	} {
		for _, ref := range []string{"app:1", c.Hex[:12]} {
			t.Run(source+strings.ReplaceAll(ref, ":", "-"), func(t *testing.T) {
				tree, err := open(ref, bulwark.OpenOptions{Offline: true})
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff([]string{"app@" + c.String()}, tree.Artifact.Image.RepoDigests); d != "" {
					t.Errorf("digests, -want +got:\n%s", d)
				}
				want := wantArtifact(t, img, ref, source, "linux/amd64")
				want.Image.SelfNamed = true // its own id does not pass for a registry's digest
				want.ID = want.Config
				layers := layersOf(tree)
				verify(t, tree, want, layers)
				for i, l := range layers {
					if l.Digest != l.DiffID || l.Blob == 0 || l.CreatedBy != wantLayers(t, img)[i].CreatedBy {
						t.Errorf("layer %d: %+v", i, l)
					}
				}
			})
		}
		_, err := open("other:1", bulwark.OpenOptions{})
		wantErr(t, err, bulwark.ErrNotFound, source+" has no such image")
		_, err = open("app:1", bulwark.OpenOptions{Platform: "linux/arm64"})
		wantErr(t, err, bulwark.ErrNotFound, "linux/amd64")
	}
	for ref, words := range map[string][]string{
		"broken": {"status 500", "disk on fire"}, "liar": {`id "sha256:../../containers/create"`}, "moved": {"status 302"},
		"../containers/json": {"wrong usage"}, "a?b": {"wrong usage"}, "a b": {"wrong usage"},
	} {
		_, err := o.Docker(t.Context(), ref, bulwark.OpenOptions{})
		wantErr(t, err, nil, words...)
		if errors.Is(err, bulwark.ErrNotFound) {
			t.Errorf("%q is told as not found", ref)
		}
	}
	// The order: Docker has it, so nobody else is asked.
	tree, err := o.Open(t.Context(), "app:1", nil, bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if tree.Artifact.Source != "docker" {
		t.Errorf("source %q", tree.Artifact.Source)
	}
	tree.Close()
}

func TestEngineAddresses(t *testing.T) {
	img := testImage(t, "linux/amd64")
	s := httptest.NewServer(fakeEngine(t, img, false))
	defer s.Close()
	at := strings.TrimPrefix(s.URL, "http://")
	for host, c := range map[string]struct {
		opt   bulwark.OpenOptions
		words []string
	}{
		"tcp://" + at:            {},
		s.URL:                    {bulwark.OpenOptions{Offline: true}, nil},
		"ssh://user@host":        {bulwark.OpenOptions{}, []string{"ssh://", "not supported"}},
		"tcp://192.0.2.1:1":      {bulwark.OpenOptions{Offline: true}, []string{"--offline"}},
		"unix:///nowhere":        {bulwark.OpenOptions{}, []string{"not running"}},
		"tcp://127.0.0.1:1":      {bulwark.OpenOptions{}, []string{"not running"}},
		"unix://\x7f":            {bulwark.OpenOptions{}, []string{"wrong usage"}},
		"unix://" + os.TempDir(): {bulwark.OpenOptions{}, []string{"not running"}},
	} {
		o := opener(t)
		o.Env = env("DOCKER_HOST", host)
		tree, err := o.Docker(t.Context(), "app:1", c.opt)
		if c.words == nil {
			if err != nil {
				t.Errorf("%q: %v", host, err)
				continue
			}
			tree.Close()
			continue
		}
		wantErr(t, err, nil, c.words...)
	}
}

// An export that breaks off, or that is larger than the limit, leaves nothing.
func TestEngineExport(t *testing.T) {
	img := testImage(t, "linux/amd64")
	good := fakeEngine(t, img, false)
	sock := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/get") {
			w.Write(saved(t, img)[:4096])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		good.ServeHTTP(w, r)
	}), nil)
	o := opener(t)
	o.Env = env("DOCKER_HOST", "unix://"+sock)
	_, err := o.Docker(t.Context(), "app:1", bulwark.OpenOptions{})
	wantErr(t, err, nil, "export of")
	o.Env = env("DOCKER_HOST", "unix://"+listen(t, good, nil))
	o.MaxSpill = 4096
	_, err = o.Docker(t.Context(), "app:1", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrTooLarge)
	if left, _ := os.ReadDir(o.TempDir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
