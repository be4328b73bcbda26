// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"
)

// packDir gives a tar file of a directory.
func packDir(t testing.TB, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// saved gives what docker save of old writes: <id>/layer.tar, plain, and
// <config>.json, with the second layer as a link.
func saved(t testing.TB, img v1.Image, tags ...string) []byte {
	t.Helper()
	c, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	ls, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, content []byte) {
		h.Size, h.Mode = int64(len(content)), 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	var layers []string
	for i, l := range ls {
		rc, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		dir := fmt.Sprintf("layer%d", i)
		add(tar.Header{Name: dir + "/", Typeflag: tar.TypeDir}, nil)
		add(tar.Header{Name: dir + "/VERSION", Typeflag: tar.TypeReg}, []byte("1.0"))
		add(tar.Header{Name: dir + "/real.tar", Typeflag: tar.TypeReg}, content)
		if i == 0 {
			add(tar.Header{Name: dir + "/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "../" + dir + "/real.tar"}, nil)
		} else {
			add(tar.Header{Name: dir + "/layer.tar", Typeflag: tar.TypeLink, Linkname: dir + "/real.tar"}, nil)
		}
		layers = append(layers, dir+"/layer.tar")
	}
	id := strings.TrimPrefix(sum(c), "sha256:")
	add(tar.Header{Name: id + ".json", Typeflag: tar.TypeReg}, c)
	add(tar.Header{Name: "manifest.json", Typeflag: tar.TypeReg}, encode([]object{{"Config": id + ".json", "RepoTags": tags, "Layers": layers}}))
	add(tar.Header{Name: "repositories", Typeflag: tar.TypeReg}, []byte(`{}`))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

func write(t testing.TB, b []byte) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(f, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestArchive(t *testing.T) {
	img := testImage(t, "linux/amd64")
	dir := writeLayout(t, map[string]v1.Image{"1.0": img}, nil)
	var ggcr bytes.Buffer
	if err := tarball.Write(name.MustParseReference("example.test/app:1.0"), img, &ggcr); err != nil {
		t.Fatal(err)
	}
	// What modern docker save writes is both.
	m, _ := img.Manifest()
	both := filepath.Join(t.TempDir(), "both")
	if err := os.CopyFS(both, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(both, "manifest.json"), encode([]object{{
		"Config": blobName(m.Config.Digest), "RepoTags": []string{"app:1.0"},
		"Layers": []string{blobName(m.Layers[0].Digest), blobName(m.Layers[1].Digest)},
	}}), 0o600); err != nil {
		t.Fatal(err)
	}

	oci := wantArtifact(t, img, "", "oci-archive", "linux/amd64")
	hybrid := oci
	hybrid.Source = "docker-archive"
	docker := hybrid
	docker.ID = docker.Config
	layers := wantLayers(t, img)
	plain := wantLayers(t, img) // uncompressed, so diff id and digest are one
	ls, _ := img.Layers()
	for i, l := range ls {
		rc, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		n, _ := io.Copy(io.Discard, rc)
		plain[i].Blob, plain[i].Digest = n, plain[i].DiffID
	}
	unnamed := wantLayers(t, img) // compressed, and nothing tells the digest
	for i := range unnamed {
		unnamed[i].Digest = ""
	}

	for kind, c := range map[string]struct {
		tar    []byte
		want   bulwark.Artifact
		layers []bulwark.Layer
		tags   []string
	}{
		"oci":       {packDir(t, dir), oci, layers, []string{"1.0"}},
		"docker":    {saved(t, img, "app:1.0"), docker, plain, []string{"app:1.0"}},
		"dockerTwo": {ggcr.Bytes(), docker, unnamed, []string{"example.test/app:1.0"}},
		"both":      {packDir(t, both), hybrid, layers, []string{"1.0", "app:1.0"}},
	} {
		for as, b := range map[string][]byte{"plain": c.tar, "gzip": gzipped(t, c.tar), "zstd": zstded(t, c.tar)} {
			t.Run(kind+as, func(t *testing.T) {
				f := write(t, b)
				o := opener(t)
				for _, sel := range []string{"", ":1.0"} {
					tree, err := o.Archive(t.Context(), f+sel, bulwark.OpenOptions{})
					if err != nil {
						t.Fatal(err)
					}
					if d := cmp.Diff(c.tags, tree.Artifact.Image.RepoTags); d != "" {
						t.Errorf("tags, -want +got:\n%s", d)
					}
					if len(tree.Gaps) != 0 {
						t.Errorf("gaps %v", tree.Gaps)
					}
					rc, err := tree.Layers[0].Open(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if _, ok := rc.(io.ReaderAt); !ok {
						t.Errorf("layer opens as %T", rc)
					}
					rc.Close()
					want := c.want
					want.Name = f + sel
					verify(t, tree, want, c.layers)
					if _, err := tree.Layers[0].Open(t.Context()); err == nil {
						if err := readBlob(t.Context(), tree.Layers[0]); err == nil {
							t.Error("layer can be read after close")
						}
					}
				}
				left, err := os.ReadDir(o.TempDir)
				if err != nil || len(left) != 0 {
					t.Errorf("left in the temporary directory: %v, %v", left, err)
				}
				_, err = o.Archive(t.Context(), f+":2.0", bulwark.OpenOptions{})
				wantErr(t, err, bulwark.ErrNotFound, "names that are there")
				_, err = o.Archive(t.Context(), f, bulwark.OpenOptions{Platform: "linux/s390x"})
				wantErr(t, err, bulwark.ErrNotFound, "--platform")
			})
		}
	}
}

// An archive of several images needs a name.
func TestArchiveOfTwo(t *testing.T) {
	one, two := testImage(t, "linux/amd64"), testImage(t, "linux/arm64")
	var b bytes.Buffer
	if err := tarball.MultiRefWrite(map[name.Reference]v1.Image{
		name.MustParseReference("a.test/one:1"): one, name.MustParseReference("a.test/two:1"): two,
	}, &b); err != nil {
		t.Fatal(err)
	}
	f := write(t, b.Bytes())
	_, err := opener(t).Archive(t.Context(), f, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUsage, "2 images", "a.test/one:1")
	_, err = opener(t).Archive(t.Context(), f+":1", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUsage, "2 images")
	c, _ := two.ConfigName()
	for _, sel := range []string{":a.test/two:1", "@" + c.String()} {
		tree, err := opener(t).Archive(t.Context(), f+sel, bulwark.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if tree.Artifact.Platform != "linux/arm64" {
			t.Errorf("platform %q", tree.Artifact.Platform)
		}
		tree.Close()
	}
}

// An item is one entry of a tar file.
type item struct {
	tar.Header
	content string
}

func itemTar(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		i.Size, i.Mode = int64(len(i.content)), 0o644
		if err := w.WriteHeader(&i.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, i.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, content string) item {
	return item{tar.Header{Name: name, Typeflag: tar.TypeReg}, content}
}

func link(kind byte, name, target string) item {
	return item{tar.Header{Name: name, Typeflag: kind, Linkname: target}, ""}
}

func half(b []byte) []byte { return b[:len(b)/2] }

func TestArchiveHostile(t *testing.T) {
	img := testImage(t, "linux/amd64")
	good := saved(t, img)
	cfg := `{"rootfs":{"type":"layers","diff_ids":["` + sum(nil) + `"]}}`
	man := func(config, layer string) item {
		return file("manifest.json", string(encode([]object{{"Config": config, "Layers": []string{layer}}})))
	}
	many := make([]item, 50)
	for i := range many {
		many[i] = link(tar.TypeSymlink, fmt.Sprintf("l%d", i), fmt.Sprintf("l%d", i+1))
	}
	names := []item{}
	for i := range 20_001 {
		names = append(names, link(tar.TypeSymlink, fmt.Sprint(i), "x"))
	}
	for name, c := range map[string]struct {
		tar   []byte
		kind  error
		words []string
	}{
		"empty":            {nil, bulwark.ErrUnsupported, []string{"no image archive"}},
		"text":             {[]byte(strings.Repeat("this is no archive\n", 100)), bulwark.ErrUnsupported, []string{"no tar file"}},
		"rootfs":           {tarOf(t, "etc/passwd", "root"), bulwark.ErrUnsupported, []string{"neither manifest.json nor index.json", "bulwark scan fs"}},
		"veryOld":          {tarOf(t, "repositories", "{}", "abc/json", "{}"), bulwark.ErrUnsupported, []string{"Docker 1.9"}},
		"xz":               {[]byte("\xfd7zXZ\x00rest"), bulwark.ErrUnsupported, []string{"xz"}},
		"bzip2":            {[]byte("BZh91AY"), bulwark.ErrUnsupported, []string{"bzip2"}},
		"gzipNoise":        {append([]byte{0x1f, 0x8b}, "noise"...), nil, []string{"gzip"}},
		"gzipCut":          {half(gzipped(t, good)), io.ErrUnexpectedEOF, nil},
		"zstdCut":          {half(zstded(t, good)), io.ErrUnexpectedEOF, nil},
		"noImages":         {tarOf(t, "manifest.json", "[]"), bulwark.ErrNotFound, nil},
		"nullImages":       {tarOf(t, "manifest.json", "null"), bulwark.ErrNotFound, nil},
		"configMissing":    {itemTar(t, man("c.json", "l")), bulwark.ErrNotFound, []string{`"c.json"`}},
		"layerMissing":     {itemTar(t, man("c.json", "l"), file("c.json", cfg)), bulwark.ErrNotFound, []string{`layer "l"`}},
		"layerOutside":     {itemTar(t, man("c.json", "../../etc/passwd"), file("c.json", cfg), file("../../etc/passwd", "x")), bulwark.ErrNotFound, nil},
		"layerAbsolute":    {itemTar(t, man("c.json", "/etc/passwd"), file("c.json", cfg)), bulwark.ErrNotFound, nil},
		"linkOutside":      {itemTar(t, man("c.json", "l"), file("c.json", cfg), link(tar.TypeSymlink, "l", "../../../etc/passwd")), bulwark.ErrNotFound, nil},
		"linkAbsolute":     {itemTar(t, man("c.json", "l"), file("c.json", cfg), link(tar.TypeSymlink, "l", "/etc/passwd")), bulwark.ErrNotFound, nil},
		"hardLinkOutside":  {itemTar(t, man("c.json", "l"), file("c.json", cfg), link(tar.TypeLink, "l", "../x")), bulwark.ErrNotFound, nil},
		"linkToItself":     {itemTar(t, man("c.json", "l"), file("c.json", cfg), link(tar.TypeSymlink, "l", "l")), bulwark.ErrTooLarge, []string{"40 links"}},
		"linksInARow":      {itemTar(t, append(many, man("c.json", "l0"), file("c.json", cfg))...), bulwark.ErrTooLarge, nil},
		"layerIsDevice":    {itemTar(t, man("c.json", "l"), file("c.json", cfg), item{Header: tar.Header{Name: "l", Typeflag: tar.TypeChar}}), bulwark.ErrNotFound, nil},
		"manyEntries":      {itemTar(t, names...), bulwark.ErrTooLarge, []string{"20000 entries"}},
		"wrongConfigName":  {itemTar(t, man(strings.Repeat("0", 64)+".json", "l"), file(strings.Repeat("0", 64)+".json", cfg)), bulwark.ErrDigest, nil},
		"countMismatch":    {itemTar(t, man("c.json", "l"), file("c.json", `{"rootfs":{"type":"layers","diff_ids":[]}}`)), nil, []string{"tells of 0 layers"}},
		"layerCut":         {good[:len(good)/3], io.ErrUnexpectedEOF, nil},
		"manifestTooLarge": {tarOf(t, "manifest.json", strings.Repeat(" ", 5<<20)), bulwark.ErrTooLarge, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := opener(t)
			_, err := o.Archive(t.Context(), write(t, c.tar), bulwark.OpenOptions{})
			wantErr(t, err, c.kind, c.words...)
			if left, _ := os.ReadDir(o.TempDir); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A compressed archive unpacks within limits of size and ratio.
func TestArchiveBombs(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 300 {
		w.Write(zeros)
	}
	w.Close()
	f := write(t, b.Bytes())
	_, err := opener(t).Archive(t.Context(), f, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrTooLarge, "200 times its size")
	o := opener(t)
	o.MaxSpill = 1 << 20
	_, err = o.Archive(t.Context(), f, bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrTooLarge, "1048576 bytes")
}

// An archive that is two images at once is read as one and said to be the other.
func TestArchiveDisagrees(t *testing.T) {
	img, other := testImage(t, "linux/amd64"), testImage(t, "linux/arm64")
	dir := writeLayout(t, map[string]v1.Image{"1.0": img}, nil)
	m, _ := other.Manifest()
	if err := os.WriteFile(filepath.Join(dir, "manifest.json"), encode([]object{{"Config": blobName(m.Config.Digest), "Layers": []string{}}}), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := opener(t).Archive(t.Context(), write(t, packDir(t, dir)), bulwark.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if len(tree.Gaps) != 1 || !tree.Gaps[0].Hides || tree.Gaps[0].Kind != bulwark.GapMalformed {
		t.Errorf("gaps %v", tree.Gaps)
	}
}

func TestArchiveIsNoFile(t *testing.T) {
	_, err := opener(t).Archive(t.Context(), filepath.Join(t.TempDir(), "none.tar"), bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound)
	_, err = opener(t).Archive(t.Context(), t.TempDir(), bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrUnsupported, "not a regular file")
}

// Cut at every power of two and around, an archive is an error or opens; it never
// hangs or panics.
func TestArchiveTruncated(t *testing.T) {
	img := testImage(t, "linux/amd64")
	dir := writeLayout(t, map[string]v1.Image{"1.0": img}, nil)
	for name, b := range map[string][]byte{"docker": saved(t, img), "oci": packDir(t, dir), "gzip": gzipped(t, saved(t, img)), "zstd": zstded(t, packDir(t, dir))} {
		t.Run(name, func(t *testing.T) {
			for n := 1; n < len(b); n *= 2 {
				for _, cut := range []int{n - 1, n, n + 511} {
					if cut >= len(b) {
						continue
					}
					tree, err := opener(t).Archive(t.Context(), write(t, b[:cut]), bulwark.OpenOptions{})
					if err == nil {
						tree.Close()
					}
				}
			}
		})
	}
}
