// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"
)

// built is when the images of stories were built: never now.
var built = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// buildImage builds an image of folders, one layer each, oldest first:
//
//	image PLACE [-config FILE] [-tar] [-by INSTRUCTION] DIR… [-set INSTRUCTION] [-platform OS/ARCH DIR…]… [-attestation]
//
// PLACE is layout:DIR[:TAG], docker:FILE, oci:FILE, both compressed if they end
// in .gz or .zst, or registry:NAME in the story's registry. The configuration's file has
// the members of an OCI image configuration's "config". With -tar, layers are
// not compressed. -by says what made the next layer, -set is a step
// of the history without one. With platforms an index is made; -attestation puts the
// manifest of an attestation into it. $LAYER1 … and $MANIFEST get the digests.
func buildImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: image PLACE [-config FILE] [-tar] DIR… [-platform OS/ARCH DIR…]… [-attestation]")
	}
	b := &imageBuilder{ts: ts}
	b.parse(args[1:])
	scheme, place, _ := strings.Cut(args[0], ":")
	switch scheme {
	case "layout":
		dir, tag, _ := strings.Cut(place, ":")
		b.layout(ts.MkAbs(dir), tag)
	case "oci":
		dir, err := os.MkdirTemp(ts.Getenv("TMPDIR"), "layout")
		ts.Check(err)
		b.layout(dir, "")
		b.write(place, func(w io.Writer) error {
			t, err := tarOf(dir)
			if err == nil {
				_, err = w.Write(t)
			}
			return err
		})
		ts.Check(os.RemoveAll(dir))
	case "docker":
		ref, err := name.NewTag("story.example/saved:1")
		ts.Check(err)
		b.write(place, func(w io.Writer) error { return tarball.Write(ref, b.variants[0].image(b), w) })
	case "registry":
		r := storyOf(ts).registry
		if r == nil {
			ts.Fatalf("image %s: no registry was started", args[0])
		}
		b.push(r, place)
	default:
		ts.Fatalf("image: unknown place %q", args[0])
	}
}

// A variant is the image for one platform.
type variant struct {
	platform string
	layers   []string
	by       map[int]string // instructions by index in layers
	set      map[int]string // steps before a layer
}

type imageBuilder struct {
	ts          *testscript.TestScript
	config      v1.Config
	plain       bool
	attestation bool
	index       bool
	variants    []variant
	layerCount  int
}

func (b *imageBuilder) parse(args []string) {
	cur := variant{platform: "linux/" + runtime.GOARCH}
	for i := 0; i < len(args); i++ {
		value := func() string {
			if i++; i >= len(args) {
				b.ts.Fatalf("image: %s wants a value", args[i-1])
			}
			return args[i]
		}
		switch args[i] {
		case "-config":
			b.ts.Check(json.Unmarshal([]byte(b.ts.ReadFile(value())), &b.config))
		case "-by":
			if cur.by == nil {
				cur.by = map[int]string{}
			}
			cur.by[len(cur.layers)] = value()
		case "-set":
			if cur.set == nil {
				cur.set = map[int]string{}
			}
			cur.set[len(cur.layers)] = value()
		case "-tar":
			b.plain = true
		case "-attestation":
			b.attestation, b.index = true, true
		case "-platform":
			if b.index {
				b.variants = append(b.variants, cur)
			}
			cur, b.index = variant{platform: value()}, true
		default:
			cur.layers = append(cur.layers, b.ts.MkAbs(args[i]))
		}
	}
	b.variants = append(b.variants, cur)
}

func (v variant) parts() (string, string, string) {
	p := append(strings.Split(v.platform, "/"), "", "")
	return p[0], p[1], p[2]
}

func (v variant) image(b *imageBuilder) v1.Image {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var adds []mutate.Addendum
	step := func(i int) {
		if v.set[i] != "" {
			adds = append(adds, mutate.Addendum{History: v1.History{Created: v1.Time{Time: built}, CreatedBy: v.set[i], EmptyLayer: true}})
		}
	}
	for i, dir := range v.layers {
		step(i)
		layer := b.layer(dir)
		by := v.by[i]
		if by == "" {
			by = "COPY " + filepath.Base(dir) + " / # buildkit"
		}
		d, err := layer.Digest()
		b.ts.Check(err)
		b.layerCount++
		b.ts.Setenv(fmt.Sprint("LAYER", b.layerCount), d.String())
		adds = append(adds, mutate.Addendum{Layer: layer, History: v1.History{
			Created: v1.Time{Time: built}, CreatedBy: by,
		}})
	}
	step(len(v.layers))
	img, err := mutate.Append(img, adds...)
	b.ts.Check(err)
	file, err := img.ConfigFile()
	b.ts.Check(err)
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Variant = v.parts()
	file.Created, file.Config = v1.Time{Time: built}, b.config
	img, err = mutate.ConfigFile(img, file)
	b.ts.Check(err)
	d, err := img.Digest()
	b.ts.Check(err)
	b.ts.Setenv("MANIFEST", d.String())
	return img
}

func (b *imageBuilder) layer(dir string) v1.Layer {
	t, err := tarOf(dir)
	b.ts.Check(err)
	if b.plain {
		return static.NewLayer(t, types.OCIUncompressedLayer)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(t)), nil }, tarball.WithMediaType(types.OCILayer))
	b.ts.Check(err)
	return layer
}

// manifests makes the index of all variants and the attestation.
func (b *imageBuilder) manifests() v1.ImageIndex {
	ix := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, v := range b.variants {
		img := v.image(b)
		osName, arch, vari := v.parts()
		ix = mutate.AppendManifests(ix, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: osName, Architecture: arch, Variant: vari}}})
		if b.attestation {
			d, err := img.Digest()
			b.ts.Check(err)
			ix = mutate.AppendManifests(ix, b.attest(d.String()))
		}
	}
	return ix
}

// attest makes what BuildKit puts beside an image: a manifest for a platform
// that is none, with a statement for a layer.
func (b *imageBuilder) attest(of string) mutate.IndexAddendum {
	statement := static.NewLayer([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://slsa.dev/provenance/v0.2"}`), "application/vnd.in-toto+json")
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{Layer: statement})
	b.ts.Check(err)
	file, err := img.ConfigFile()
	b.ts.Check(err)
	file = file.DeepCopy()
	file.OS, file.Architecture = "unknown", "unknown"
	img, err = mutate.ConfigFile(img, file)
	b.ts.Check(err)
	return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
		Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of},
	}}
}

func (b *imageBuilder) layout(dir, tag string) {
	p, err := layout.FromPath(dir)
	if err != nil {
		p, err = layout.Write(dir, empty.Index)
		b.ts.Check(err)
	}
	var opts []layout.Option
	if tag != "" {
		opts = append(opts, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
	}
	if b.index {
		b.ts.Check(p.AppendIndex(b.manifests(), opts...))
		return
	}
	b.ts.Check(p.AppendImage(b.variants[0].image(b), opts...))
}

func (b *imageBuilder) push(r *storyRegistry, repo string) {
	ref, err := name.ParseReference(r.host+"/"+repo, name.Insecure)
	b.ts.Check(err)
	opts := []remote.Option{remote.WithTransport(r.client.Transport), remote.WithAuth(&authn.Basic{Username: r.user, Password: r.password})}
	if r.user == "" {
		opts[1] = remote.WithAuth(authn.Anonymous)
	}
	if b.index {
		b.ts.Check(remote.WriteIndex(ref, b.manifests(), opts...))
	} else {
		b.ts.Check(remote.Write(ref, b.variants[0].image(b), opts...))
	}
	r.forget()
}

// write writes a file, compressed as its name says.
func (b *imageBuilder) write(file string, write func(io.Writer) error) {
	var buf bytes.Buffer
	b.ts.Check(write(&buf))
	out := buf.Bytes()
	var z bytes.Buffer
	var w io.WriteCloser
	switch filepath.Ext(file) {
	case ".gz":
		w = gzip.NewWriter(&z)
	case ".zst":
		e, err := zstd.NewWriter(&z)
		b.ts.Check(err)
		w = e
	}
	if w != nil {
		_, err := w.Write(out)
		b.ts.Check(err)
		b.ts.Check(w.Close())
		out = z.Bytes()
	}
	b.ts.Check(os.WriteFile(b.ts.MkAbs(file), out, 0o644))
}

// tarOf writes a folder as a tar with nothing of this machine in it.
func tarOf(dir string) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: filepath.ToSlash(rel), ModTime: built, Mode: int64(info.Mode().Perm()), Format: tar.FormatPAX}
		var data []byte
		switch {
		case d.IsDir():
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		case d.Type()&fs.ModeSymlink != 0:
			h.Typeflag = tar.TypeSymlink
			if h.Linkname, err = os.Readlink(path); err != nil {
				return err
			}
		default:
			if data, err = os.ReadFile(path); err != nil {
				return err
			}
			h.Typeflag, h.Size = tar.TypeReg, int64(len(data))
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err != nil {
		return nil, err
	}
	return buf.Bytes(), w.Close()
}
