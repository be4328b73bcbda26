// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// writeLayout makes a layout of images by tag, and of an index as "multi".
func writeLayout(t testing.TB, images map[string]v1.Image, multi v1.ImageIndex) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for tag, img := range images {
		var opts []layout.Option
		if tag != "" {
			opts = append(opts, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
		}
		if err := p.AppendImage(img, opts...); err != nil {
			t.Fatal(err)
		}
	}
	if multi != nil {
		if err := p.AppendIndex(multi, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "multi"})); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLayout(t *testing.T) {
	one, two := testImage(t, "linux/"+runtime.GOARCH), testImage(t, "linux/riscv64")
	dir := writeLayout(t, map[string]v1.Image{"1.0": one, "example.test/app:2.0": two}, testIndex(t, one, two))
	d, _ := two.Digest()
	for sel, c := range map[string]struct {
		platform string
		img      v1.Image
		as       string
	}{
		":1.0":                  {"", one, "linux/" + runtime.GOARCH},
		":2.0":                  {"", two, "linux/riscv64"},
		":example.test/app:2.0": {"linux/riscv64", two, "linux/riscv64"},
		"@" + d.String():        {"", two, "linux/riscv64"},
		":multi":                {"linux/riscv64", two, "linux/riscv64"},
	} {
		t.Run(strings.Trim(strings.NewReplacer(":", "-", "/", "-", "@", "-").Replace(sel), "-"), func(t *testing.T) {
			tree, err := opener(t).Layout(t.Context(), dir+sel, bulwark.OpenOptions{Platform: c.platform})
			if err != nil {
				t.Fatal(err)
			}
			rc, err := tree.Layers[0].Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := rc.(*os.File); !ok {
				t.Errorf("layer opens as %T", rc)
			}
			rc.Close()
			verify(t, tree, wantArtifact(t, c.img, dir+sel, "oci-layout", c.as), wantLayers(t, c.img))
		})
	}
	_, err := opener(t).Layout(t.Context(), dir, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUsage, "3 images", `"1.0" "example.test/app:2.0" "multi"`)
	_, err = opener(t).Layout(t.Context(), dir+":3", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, `names that are there: ["1.0"`)
	_, err = opener(t).Layout(t.Context(), dir+":1.0", bulwark.OpenOptions{Platform: "linux/mips"})
	wantErr(t, err, bulwark.ErrNotFound, "--platform", "linux/"+runtime.GOARCH)
	_, err = opener(t).Layout(t.Context(), t.TempDir(), bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUnsupported, "no index.json")
	_, err = opener(t).Layout(t.Context(), filepath.Join(dir, "none"), bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound)
}

func TestLayoutSingle(t *testing.T) {
	img := testImage(t, "linux/amd64")
	dir := writeLayout(t, map[string]v1.Image{"": img}, nil)
	tree, err := opener(t).Layout(t.Context(), dir, bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if tree.Artifact.Image.RepoTags != nil {
		t.Errorf("tags %q", tree.Artifact.Image.RepoTags)
	}
	verify(t, tree, wantArtifact(t, img, dir, "oci-layout", "linux/amd64"), wantLayers(t, img))
}

// Several platforms right in index.json are one image; their configurations are
// asked where the index is silent.
func TestLayoutFlatIndex(t *testing.T) {
	one, two := testImage(t, "linux/amd64"), testImage(t, "linux/arm64")
	dir := filepath.Join(t.TempDir(), "layout")
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range []v1.Image{one, two} {
		c, _ := img.ConfigFile()
		if err := p.AppendImage(img, layout.WithPlatform(*c.Platform())); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := opener(t).Layout(t.Context(), dir, bulwark.OpenOptions{Platform: "linux/arm64"})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, tree, wantArtifact(t, two, dir, "oci-layout", "linux/arm64"), wantLayers(t, two))
	idx := filepath.Join(dir, "index.json")
	b, err := os.ReadFile(idx)
	if err != nil {
		t.Fatal(err)
	}
	b = []byte(strings.ReplaceAll(string(b), `"platform"`, `"x-platform"`))
	if err := os.WriteFile(idx, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = opener(t).Layout(t.Context(), dir, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUsage, "2 images")
	// Inside an index that was chosen they are candidates.
	size := int64(len(b))
	name := filepath.Join(dir, "blobs", strings.Replace(sum(b), ":", "/", 1))
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	outer := encode(object{"schemaVersion": 2, "manifests": []object{{"mediaType": indexType, "digest": sum(b), "size": size}}})
	if err := os.WriteFile(idx, outer, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err = opener(t).Layout(t.Context(), dir, bulwark.OpenOptions{Platform: "linux/arm64"})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, tree, wantArtifact(t, two, dir, "oci-layout", "linux/arm64"), wantLayers(t, two))
}

// A layout may lie about its files, and its files may be traps.
func TestLayoutHostile(t *testing.T) {
	img := testImage(t, "linux/amd64")
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(dir, layer, config string) error
		kind  error
		words []string
	}{
		"layerMissing":   {func(_, layer, _ string) error { return os.Remove(layer) }, bulwark.ErrNotFound, []string{"layer sha256:"}},
		"configChanged":  {func(_, _, config string) error { return flip(config) }, bulwark.ErrDigest, nil},
		"configOutside":  {func(_, _, config string) error { return relink(outside, config) }, nil, []string{"escapes"}},
		"configIsPipe":   {func(_, _, config string) error { os.Remove(config); return syscall.Mkfifo(config, 0o600) }, nil, []string{"not a regular file"}},
		"configIsFolder": {func(_, _, config string) error { os.Remove(config); return os.Mkdir(config, 0o700) }, nil, []string{"not a regular file"}},
		"indexTooLarge": {func(dir, _, _ string) error { return os.Truncate(filepath.Join(dir, "index.json"), 5<<20) },
			bulwark.ErrTooLarge, nil},
		"otherVersion": {func(dir, _, _ string) error {
			return os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"2.0.0"}`), 0o600)
		}, bulwark.ErrUnsupported, []string{`"2.0.0"`}},
		"digestIsPath": {func(dir, _, _ string) error {
			return os.WriteFile(filepath.Join(dir, "index.json"), encode(object{"schemaVersion": 2, "manifests": []object{
				{"mediaType": manifestType, "digest": "sha256:../../../" + outside, "size": 6},
			}}), 0o600)
		}, nil, []string{"not sha256"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeLayout(t, map[string]v1.Image{"": img}, nil)
			if err := c.spoil(dir, filepath.Join(dir, blobName(m.Layers[0].Digest)), filepath.Join(dir, blobName(m.Config.Digest))); err != nil {
				t.Fatal(err)
			}
			_, err := opener(t).Layout(t.Context(), dir, bulwark.OpenOptions{})
			wantErr(t, err, c.kind, c.words...)
		})
	}
	// Layers are judged when they are opened.
	dir := writeLayout(t, map[string]v1.Image{"": img}, nil)
	layer := filepath.Join(dir, blobName(m.Layers[0].Digest))
	tree, err := opener(t).Layout(t.Context(), dir, bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if err := os.Truncate(layer, 3); err != nil {
		t.Fatal(err)
	}
	wantErr(t, readBlob(t.Context(), tree.Layers[0]), bulwark.ErrDigest)
	if err := relink(outside, layer); err != nil {
		t.Fatal(err)
	}
	wantErr(t, readBlob(t.Context(), tree.Layers[0]), nil, "escapes")
}

func flip(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(file, b, 0o600)
}

func relink(target, name string) error {
	if err := os.Remove(name); err != nil {
		return err
	}
	return os.Symlink(target, name)
}

// A tag of a layout may be any of the words behind a path; the path may have
// colons of its own.
func TestLayoutNames(t *testing.T) {
	img := testImage(t, "linux/amd64")
	dir := writeLayout(t, map[string]v1.Image{"docker.io/library/app:latest": img}, nil)
	odd := filepath.Join(t.TempDir(), "a:b@c")
	if err := os.Rename(dir, odd); err != nil {
		t.Fatal(err)
	}
	for _, sel := range []string{"", ":latest", ":app", ":app:latest", ":docker.io/library/app:latest"} {
		tree, err := opener(t).Layout(t.Context(), odd+sel, bulwark.OpenOptions{})
		if err != nil {
			t.Errorf("%q: %v", sel, err)
			continue
		}
		if got, want := tree.Artifact.Image.RepoTags, []string{"docker.io/library/app:latest"}; !cmp.Equal(got, want) {
			t.Errorf("%q: tags %q", sel, got)
		}
		tree.Close()
	}
}
