// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/oci"
	"github.com/google/go-cmp/cmp"
)

var things = oci.ArtifactTypes{Artifact: "application/vnd.test.thing.v1", Index: "application/vnd.test.index.v1+json", Blob: "application/vnd.test.blob.v1"}

// repository connects to a repository and closes the connection at the end.
func repository(t *testing.T, ref string, write bool) *oci.Repository {
	t.Helper()
	r, err := opener(t).Repository(t.Context(), ref, things, write, bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func opened(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

func TestRepository(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	host := serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked[r.Method]++
			mu.Unlock()
			h.ServeHTTP(w, r)
		})
	})
	ctx, ref := t.Context(), host+"/data/base:1"
	w := repository(t, ref, true)
	if _, err := w.Index(ctx); !errors.Is(err, bulwark.ErrNotFound) {
		t.Errorf("before the first commit: %v", err)
	}
	content := bytes.Repeat([]byte("0123456789"), 1000)
	d, size := bulwark.Digest(sum(content)), int64(len(content))
	if ok, err := w.Has(ctx, d, size); ok || err != nil {
		t.Error(ok, err)
	}
	if err := w.Put(ctx, d, size, opened(content)); err != nil {
		t.Fatal(err)
	}
	if ok, err := w.Has(ctx, d, size); !ok || err != nil {
		t.Error(ok, err)
	}
	index := []byte(`{"what":"index"}`)
	if err := w.Commit(ctx, index, map[bulwark.Digest]int64{d: size}); err != nil {
		t.Fatal(err)
	}

	r := repository(t, ref, false)
	got, err := r.Index(ctx)
	if err != nil || !bytes.Equal(got, index) {
		t.Fatalf("%q, %v", got, err)
	}
	for _, off := range []int64{0, 1, 5000, size - 1} {
		body, at, err := r.Open(ctx, d, size, off)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(body)
		body.Close()
		if err != nil || at != off || !bytes.Equal(b, content[off:]) {
			t.Errorf("from %d: %d bytes from %d, %v", off, len(b), at, err)
		}
	}
	if _, _, err := r.Open(ctx, bulwark.Digest(sum([]byte("nothing"))), 7, 0); !errors.Is(err, bulwark.ErrNotFound) {
		t.Error(err)
	}
	for _, bad := range []bulwark.Digest{"", "../../x", "sha256:abc"} {
		if _, _, err := r.Open(ctx, bad, 7, 0); !errors.Is(err, bulwark.ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// The manifest is what other tools expect of an artifact.
	resp, err := http.Get("http://" + host + "/v2/data/base/manifests/1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	delete(m, "layers")
	want := map[string]any{"schemaVersion": 2.0, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": things.Artifact,
		"config": map[string]any{"mediaType": "application/vnd.oci.empty.v1+json", "size": 2.0, "data": "e30=", "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
	// What is there is not sent again.
	mu.Lock()
	asked["PATCH"] = 0
	mu.Unlock()
	if err := w.Commit(ctx, index, map[bulwark.Digest]int64{d: size}); err != nil {
		t.Fatal(err)
	}
	if asked["PATCH"] != 0 {
		t.Errorf("%d blobs were sent again", asked["PATCH"])
	}
}

func TestRepositoryRefuses(t *testing.T) {
	img := testImage(t, "linux/amd64")
	host := serveImage(t, "lib/app:1", img, nil)
	_, err := repository(t, host+"/lib/app:1", false).Index(t.Context())
	wantErr(t, err, bulwark.ErrUnsupported, "check the name")
	_, err = repository(t, host+"/lib/app:2", false).Index(t.Context())
	wantErr(t, err, bulwark.ErrNotFound, "")
	_, err = opener(t).Repository(t.Context(), "UPPER/x", things, false, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUsage, "lower case")
	_, err = opener(t).Repository(t.Context(), host+"/x", things, false, bulwark.OpenOptions{Offline: true})
	wantErr(t, err, bulwark.ErrUsage, "--offline")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := opener(t).Repository(ctx, host+"/x", things, true, bulwark.OpenOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	// Reading is allowed, writing is not.
	host = serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	w := repository(t, host+"/data/base:1", true)
	err = w.Put(t.Context(), bulwark.Digest(sum([]byte("x"))), 1, opened([]byte("x")))
	wantErr(t, err, nil, "may push")
}

// TestRepositoryHostile serves manifests and blobs that must not be taken.
func TestRepositoryHostile(t *testing.T) {
	index := `{"what":"index"}`
	manifest := func(size int, digest string, layer string) string {
		return string(encode(object{"schemaVersion": 2, "artifactType": things.Artifact, "config": object{},
			"layers": []object{{"mediaType": layer, "size": size, "digest": digest}}}))
	}
	good := sum([]byte(index))
	for name, c := range map[string]struct{ manifest, blob string }{
		"not-json":        {"{", index},
		"other-layer":     {manifest(len(index), good, "x/y"), index},
		"no-layer":        {`{"schemaVersion":2,"artifactType":"` + things.Artifact + `"}`, index},
		"other-bytes":     {manifest(len(index), good, things.Index), strings.ToUpper(index)},
		"longer":          {manifest(len(index), good, things.Index), index + " "},
		"shorter":         {manifest(len(index), good, things.Index), index[1:]},
		"huge":            {manifest(1<<40, good, things.Index), index},
		"negative":        {manifest(-1, good, things.Index), index},
		"digest-is-path":  {manifest(len(index), "../../../x", things.Index), index},
		"digest-is-empty": {manifest(len(index), "", things.Index), index},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.Contains(r.URL.Path, "/manifests/"):
					w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
					_, _ = io.WriteString(w, c.manifest)
				case strings.Contains(r.URL.Path, "/blobs/"):
					_, _ = io.WriteString(w, c.blob)
				}
			}))
			t.Cleanup(s.Close)
			b, err := repository(t, strings.TrimPrefix(s.URL, "http://")+"/data/base:1", false).Index(t.Context())
			if err == nil {
				t.Errorf("taken: %q", b)
			}
		})
	}
}
