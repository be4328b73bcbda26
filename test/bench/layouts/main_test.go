// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProduce reads a layout back: digests hold, its size is near what was asked
// for, and copies have their prefix.
func TestProduce(t *testing.T) {
	root, out := t.TempDir(), filepath.Join(t.TempDir(), "x.oci")
	for _, name := range []string{"etc/os-release", "usr/a", "usr/b", "usr/c", "var/lib/dpkg/status"} {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, bytes.Repeat([]byte(name), 4000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, total, err := list(root)
	if err != nil {
		t.Fatal(err)
	}
	size := 5*total + total/2
	if err := produce(root, out, size); err != nil {
		t.Fatal(err)
	}
	blob := func(digest string) []byte {
		b, err := os.ReadFile(filepath.Join(out, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:")))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); "sha256:"+hex.EncodeToString(sum[:]) != digest {
			t.Errorf("blob %s has another digest", digest)
		}
		return b
	}
	var index struct{ Manifests []descriptor }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	b, err := os.ReadFile(filepath.Join(out, "index.json"))
	if err := errors.Join(err, json.Unmarshal(b, &index)); err != nil {
		t.Fatal(err)
	}
	err = json.Unmarshal(blob(index.Manifests[0].Digest), &manifest)
	if err := errors.Join(err, json.Unmarshal(blob(manifest.Config.Digest), &config)); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Layers) != layers || len(config.RootFS.DiffIDs) != layers {
		t.Fatalf("%d layers, %d diff IDs", len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	seen, all := map[string]bool{}, int64(0)
	for i, l := range manifest.Layers {
		z, err := gzip.NewReader(bytes.NewReader(blob(l.Digest)))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); "sha256:"+hex.EncodeToString(sum[:]) != config.RootFS.DiffIDs[i] {
			t.Errorf("layer %d has another diff ID", i)
		}
		all += int64(len(content))
		for r := tar.NewReader(bytes.NewReader(content)); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if seen[h.Name] {
				t.Errorf("%q is there twice", h.Name)
			}
			seen[h.Name] = true
		}
	}
	if d := all - size; d < -size/5 || d > size/5 {
		t.Errorf("%d bytes, want about %d", all, size)
	}
	for _, name := range []string{"etc/os-release", "usr/b", "dir-4/usr/c", "dir-5/var/lib/dpkg/status"} {
		if !seen[name] {
			t.Errorf("%q is not there", name)
		}
	}
}
