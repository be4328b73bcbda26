// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/oci"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// opener gives an Opener that sees nothing of the machine it runs on.
func opener(t *testing.T) *oci.Opener {
	t.Helper()
	return &oci.Opener{
		Keychain: authn.NewMultiKeychain(),
		TempDir:  t.TempDir(),
		Backoff:  time.Millisecond,
		Env:      func(string) string { return "" },
	}
}

// env gives an environment of the pairs.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

var created = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// tarOf gives a tar file of names and contents.
func tarOf(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: pairs[i], Size: int64(len(pairs[i+1])), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// testImage gives an image of two layers for a platform, with a history.
func testImage(t testing.TB, platform string) v1.Image {
	t.Helper()
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		Architecture: p.Architecture, OS: p.OS, Variant: p.Variant, Created: v1.Time{Time: created},
		Config: v1.Config{
			User: "1000", Env: []string{"A=b"}, Entrypoint: []string{"/app"}, Cmd: []string{"serve"}, WorkingDir: "/w",
			ExposedPorts: map[string]struct{}{"8080/tcp": {}, "443/tcp": {}},
			Volumes:      map[string]struct{}{"/data": {}},
			Labels:       map[string]string{"k": "v"},
			Healthcheck:  &v1.HealthConfig{Test: []string{"CMD", "true"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	layer := func(b []byte) v1.Layer {
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	img, err = mutate.Append(img,
		mutate.Addendum{Layer: layer(tarOf(t, "etc/os-release", "ID=test\n", "arch", platform)), History: v1.History{CreatedBy: "ADD base"}},
		mutate.Addendum{History: v1.History{CreatedBy: "ENV A=b", EmptyLayer: true}},
		mutate.Addendum{Layer: layer(tarOf(t, "app", strings.Repeat("x", 100_000))), History: v1.History{CreatedBy: "COPY app"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// wantArtifact is what a tree of testImage holds.
func wantArtifact(t testing.TB, img v1.Image, name, source, platform string) bulwark.Artifact {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return bulwark.Artifact{
		ID: bulwark.Digest(d.String()), Kind: bulwark.KindImage, Name: name, Source: source,
		Config: bulwark.Digest(m.Config.Digest.String()), Platform: platform, Created: created,
		Image: &bulwark.Image{
			User: "1000", Env: []string{"A=b"}, Entrypoint: []string{"/app"}, Cmd: []string{"serve"}, WorkingDir: "/w",
			Ports: []string{"443/tcp", "8080/tcp"}, Volumes: []string{"/data"}, Labels: map[string]string{"k": "v"},
			Healthcheck: []string{"CMD", "true"},
			History: []bulwark.History{
				{CreatedBy: "ADD base"}, {CreatedBy: "ENV A=b", Empty: true}, {CreatedBy: "COPY app"},
			},
		},
	}
}

// wantLayers gives the layers of an image as a registry or layout stores them.
func wantLayers(t testing.TB, img v1.Image) []bulwark.Layer {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	by := []string{"ADD base", "COPY app"}
	var ls []bulwark.Layer
	for i, l := range m.Layers {
		ls = append(ls, bulwark.Layer{
			DiffID: bulwark.Digest(c.RootFS.DiffIDs[i].String()), Digest: bulwark.Digest(l.Digest.String()),
			Blob: l.Size, CreatedBy: by[i],
		})
	}
	return ls
}

// verify compares a tree with what is wanted and reads every layer twice. It
// closes the tree.
func verify(t *testing.T, tree *bulwark.Tree, want bulwark.Artifact, layers []bulwark.Layer) {
	t.Helper()
	got := tree.Artifact
	// Names differ from source to source and are compared where they matter.
	im := *got.Image
	im.RepoTags, im.RepoDigests = nil, nil
	got.Image = &im
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("artifact, -want +got:\n%s", d)
	}
	if d := cmp.Diff(layers, layersOf(tree)); d != "" {
		t.Errorf("layers, -want +got:\n%s", d)
	}
	for i, b := range tree.Layers {
		for range 2 {
			if err := readBlob(t.Context(), b); err != nil {
				t.Errorf("layer %d: %v", i, err)
			}
		}
	}
	if err := tree.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := tree.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

func layersOf(tree *bulwark.Tree) []bulwark.Layer {
	var ls []bulwark.Layer
	for _, b := range tree.Layers {
		ls = append(ls, b.Layer)
	}
	return ls
}

// readBlob reads a blob to its end and checks length and digest.
func readBlob(ctx context.Context, b bulwark.Blob) error {
	rc, err := b.Open(ctx)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(h, rc)
	err = errors.Join(err, rc.Close())
	if err != nil {
		return err
	}
	if n != b.Blob {
		return errors.New("length")
	}
	if got := "sha256:" + hex.EncodeToString(h.Sum(nil)); b.Digest != "" && got != string(b.Digest) {
		return bulwark.ErrDigest
	}
	return nil
}

// wantErr checks an error's kind and that its text holds every word.
func wantErr(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("error is not %v: %v", kind, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("no %q in error: %v", w, err)
		}
	}
}

func blobName(d v1.Hash) string { return path.Join("blobs", d.Algorithm, d.Hex) }
