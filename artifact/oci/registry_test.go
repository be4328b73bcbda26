// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func registryHandler() http.Handler {
	return registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
}

// serve starts a registry, wrapped, and gives its host.
func serve(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	h := registryHandler()
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// push writes an image or index by a road that needs no credentials.
func push(t *testing.T, h http.Handler, repo string, what remote.Taggable) {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	ref, err := name.ParseReference(strings.TrimPrefix(s.URL, "http://") + "/" + repo)
	if err != nil {
		t.Fatal(err)
	}
	switch w := what.(type) {
	case v1.Image:
		err = remote.Write(ref, w)
	case v1.ImageIndex:
		err = remote.WriteIndex(ref, w)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// serveImage starts a registry that holds what at repo.
func serveImage(t *testing.T, repo string, what remote.Taggable, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	return serve(t, func(h http.Handler) http.Handler {
		push(t, h, repo, what)
		if wrap != nil {
			return wrap(h)
		}
		return h
	})
}

func TestRegistryImage(t *testing.T) {
	img := testImage(t, "linux/amd64")
	host := serveImage(t, "lib/app:1", img, nil)
	tree, err := opener(t).Registry(t.Context(), host+"/lib/app:1", bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := img.Digest()
	if got, want := tree.Artifact.Image.RepoDigests, []string{host + "/lib/app@" + d.String()}; !cmp.Equal(got, want) {
		t.Errorf("digests %q, want %q", got, want)
	}
	if got, want := tree.Artifact.Image.RepoTags, []string{host + "/lib/app:1"}; !cmp.Equal(got, want) {
		t.Errorf("tags %q, want %q", got, want)
	}
	verify(t, tree, wantArtifact(t, img, host+"/lib/app:1", "registry", "linux/amd64"), wantLayers(t, img))

	byDigest := host + "/lib/app@" + d.String()
	tree, err = opener(t).Registry(t.Context(), byDigest, bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, tree, wantArtifact(t, img, byDigest, "registry", "linux/amd64"), wantLayers(t, img))
}

// testIndex gives an index of two platforms with an attestation for each, as
// buildx writes them.
func testIndex(t testing.TB, images ...v1.Image) v1.ImageIndex {
	t.Helper()
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range images {
		c, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		d, _ := img.Digest()
		att, err := mutate.Config(mutate.MediaType(empty.Image, types.OCIManifestSchema1), v1.Config{Labels: map[string]string{"for": d.String()}})
		if err != nil {
			t.Fatal(err)
		}
		idx = mutate.AppendManifests(idx,
			mutate.IndexAddendum{Add: att, Descriptor: v1.Descriptor{
				Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
				Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": d.String()},
			}},
			mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: c.Platform()}},
		)
	}
	return idx
}

func TestRegistryPlatforms(t *testing.T) {
	amd, arm, v7 := testImage(t, "linux/amd64"), testImage(t, "linux/arm64/v8"), testImage(t, "linux/arm/v7")
	host := serveImage(t, "multi:1", testIndex(t, arm, v7, amd), nil)
	for platform, want := range map[string]struct {
		img v1.Image
		as  string
	}{
		"linux/amd64":    {amd, "linux/amd64"},
		"linux/x86_64":   {amd, "linux/amd64"},
		"linux/arm64":    {arm, "linux/arm64"},
		"linux/arm64/v8": {arm, "linux/arm64"},
		"linux/arm":      {v7, "linux/arm/v7"},
	} {
		t.Run(strings.ReplaceAll(platform, "/", "-"), func(t *testing.T) {
			tree, err := opener(t).Registry(t.Context(), host+"/multi:1", bulwark.OpenOptions{Platform: platform})
			if err != nil {
				t.Fatal(err)
			}
			verify(t, tree, wantArtifact(t, want.img, host+"/multi:1", "registry", want.as), wantLayers(t, want.img))
		})
	}
	_, err := opener(t).Registry(t.Context(), host+"/multi:1", bulwark.OpenOptions{Platform: "windows/amd64"})
	wantErr(t, err, bulwark.ErrNotFound, `"windows/amd64"`, `"linux/amd64" "linux/arm/v7" "linux/arm64/v8"`, "--platform")
	if strings.Contains(err.Error(), "unknown") {
		t.Errorf("attestations are offered: %v", err)
	}
	_, err = opener(t).Registry(t.Context(), host+"/multi:1", bulwark.OpenOptions{Platform: "linux"})
	wantErr(t, err, bulwark.ErrUsage, "os/arch")
}

// An image that exists for one platform only is opened unless another was asked for.
func TestRegistryOnlyPlatform(t *testing.T) {
	img := testImage(t, "linux/s390x")
	host := serveImage(t, "a:1", img, nil)
	host2 := serveImage(t, "a:1", testIndex(t, img), nil)
	for _, h := range []string{host, host2} {
		tree, err := opener(t).Registry(t.Context(), h+"/a:1", bulwark.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		tree.Close()
		_, err = opener(t).Registry(t.Context(), h+"/a:1", bulwark.OpenOptions{Platform: "linux/amd64"})
		wantErr(t, err, bulwark.ErrNotFound, "linux/s390x")
	}
}

func TestRegistryMissing(t *testing.T) {
	host := serveImage(t, "lib/app:1.20", testImage(t, "linux/amd64"), nil)
	_, err := opener(t).Registry(t.Context(), host+"/lib/app:1.2", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, `tags like it: ["1.20"]`)
	_, err = opener(t).Registry(t.Context(), host+"/lib/apq:1.20", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, "spelling")
	_, err = opener(t).Registry(t.Context(), host+"/Lib/App:1", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUsage, "lower case")
	_, err = opener(t).Registry(t.Context(), host+"/lib/app:1.20", bulwark.OpenOptions{Offline: true})
	wantErr(t, err, nil, "--offline")
	_, err = opener(t).Registry(t.Context(), "127.0.0.1:1/x:1", bulwark.OpenOptions{})
	wantErr(t, err, nil, "check that the registry runs")
}

func TestRegistryRetries(t *testing.T) {
	img := testImage(t, "linux/amd64")
	for name, c := range map[string]struct {
		fails int32
		after string
		ok    bool
	}{
		"twice":         {2, "", true},
		"always":        {1 << 30, "", false},
		"asksForNoWait": {2, "0", true},
		"asksForTooBig": {2, "3600", false},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			host := serveImage(t, "app:1", img, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if strings.Contains(r.URL.Path, "/manifests/") && n.Add(1) <= c.fails {
						if c.after != "" {
							w.Header().Set("Retry-After", c.after)
						}
						w.WriteHeader(http.StatusTooManyRequests)
						return
					}
					h.ServeHTTP(w, r)
				})
			})
			tree, err := opener(t).Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
			if c.ok {
				if err != nil {
					t.Fatal(err)
				}
				tree.Close()
				return
			}
			wantErr(t, err, nil, "status 429", "log in")
			if n.Load() > 3 {
				t.Errorf("%d tries", n.Load())
			}
		})
	}
}

// cutter breaks every blob off after some bytes, and answers ranges or not.
func cutter(h http.Handler, ranges bool, cuts *atomic.Int32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/blobs/") || r.Method != http.MethodGet {
			h.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		whole := r.Clone(r.Context())
		whole.Header.Del("Range")
		h.ServeHTTP(rec, whole)
		b := rec.Body.Bytes()
		var off int
		if ranges {
			if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &off); n == 1 {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, len(b)-1, len(b)))
			}
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(b)-off))
		if off > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		if len(b) > 150 && cuts.Add(-1) >= 0 { // the configuration and layers, not what is tiny
			w.Write(b[off : off+(len(b)-off)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		w.Write(b[off:])
	})
}

func TestRegistryResumes(t *testing.T) {
	img := testImage(t, "linux/amd64")
	for _, ranges := range []bool{true, false} {
		t.Run(fmt.Sprint(ranges), func(t *testing.T) {
			var cuts atomic.Int32
			host := serveImage(t, "app:1", img, func(h http.Handler) http.Handler { return cutter(h, ranges, &cuts) })
			tree, err := opener(t).Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			cuts.Store(2)
			if err := readBlob(t.Context(), tree.Layers[1]); err != nil {
				t.Errorf("two cuts: %v", err)
			}
			cuts.Store(1 << 20)
			err = readBlob(t.Context(), tree.Layers[1])
			wantErr(t, err, io.ErrUnexpectedEOF, "broke off at byte")
			cuts.Store(0)
			if err := readBlob(t.Context(), tree.Layers[1]); err != nil {
				t.Errorf("opened again: %v", err)
			}
		})
	}
}

// A registry that stops sending is left, and so is one when the caller gives up.
func TestRegistryStall(t *testing.T) {
	img := testImage(t, "linux/amd64")
	release := make(chan struct{})
	var slow atomic.Bool
	host := serveImage(t, "app:1", img, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if slow.Load() && strings.Contains(r.URL.Path, "/blobs/") {
				w.Header().Set("Content-Type", "application/octet-stream")
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
				select {
				case <-release:
				case <-r.Context().Done():
				}
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	defer close(release)
	o := opener(t)
	o.Stall = 20 * time.Millisecond
	tree, err := o.Registry(t.Context(), host+"/app:1", bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	slow.Store(true)
	wantErr(t, readBlob(t.Context(), tree.Layers[0]), nil, "nothing received for 20ms")
	ctx, cancel := context.WithCancel(t.Context())
	rc, err := tree.Layers[0].Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, rc); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	rc.Close()
}

func TestOpenOrder(t *testing.T) {
	img := testImage(t, "linux/amd64")
	host := serveImage(t, "app:1", img, nil)
	o := opener(t)
	none := filepath.Join(t.TempDir(), "none.sock")
	o.Env = env("DOCKER_HOST", "unix://"+none, "CONTAINERD_ADDRESS", none, "CONTAINER_HOST", "unix://"+none)
	tree, err := o.Open(t.Context(), host+"/app:1", nil, bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if tree.Artifact.Source != "registry" {
		t.Errorf("source %q", tree.Artifact.Source)
	}
	tree.Close()
	_, err = o.Open(t.Context(), host+"/app:2", nil, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, "docker is not running here", "containerd is not running here", "podman is not running here", `tags like it: ["1"]`)
	_, err = o.Open(t.Context(), host+"/app:1", []string{"docker"}, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, "docker is not running here", "start it")
	_, err = o.Open(t.Context(), host+"/app:1", []string{"dockr"}, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUsage, "choose from docker, containerd, podman, registry")
	_, err = o.Open(t.Context(), "Bad Name", nil, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUsage)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = o.Open(ctx, host+"/app:1", nil, bulwark.OpenOptions{}); err == nil {
		t.Error("opened after cancel")
	}
	// A source that could not be asked may have the image.
	_, err = o.Open(t.Context(), host+"/app:2", nil, bulwark.OpenOptions{Offline: true})
	wantErr(t, err, nil, "--offline")
	if errors.Is(err, bulwark.ErrNotFound) {
		t.Error("offline is told as not found")
	}
}
