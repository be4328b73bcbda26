// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"
)

// The fuzz tests stand inside the package: what they feed is checked by digest
// or framed before it is parsed, and noise would not come through.

const zeroDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// memory is a store of blobs that all have the right digest.
type memory map[bulwark.Digest][]byte

func (m memory) open(_ context.Context, d descriptor) (io.ReadCloser, error) {
	b, ok := m[d.Digest]
	if !ok {
		return nil, bulwark.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (m memory) has(ctx context.Context, d descriptor) error {
	_, err := m.open(ctx, d)
	return err
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"`+typeManifest+`","digest":"`+zeroDigest+`","size":0,"platform":{"os":"linux","architecture":"amd64"}}]}`), []byte(`{}`), typeIndex, "")
	f.Add([]byte(`{"schemaVersion":2,"config":{"mediaType":"`+typeConfig+`","digest":"`+zeroDigest+`","size":0},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"`+zeroDigest+`","size":1,"urls":["http://x"]}]}`),
		[]byte(`{"created":"2026-01-01T00:00:00Z","os":"linux","config":{"Cmd":"a","Env":["A=b"],"Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":["`+zeroDigest+`"]},"history":[{"empty_layer":true}]}`), typeManifest, "linux/amd64")
	f.Add([]byte(`{"schemaVersion":1,"fsLayers":[]}`), []byte(`null`), typeSchema1JWS, "a/b/c")
	f.Fuzz(func(t *testing.T, raw, cfg []byte, announced, want string) {
		m, err := parseManifest(raw, announced)
		if err != nil {
			return
		}
		p, err := parsePlatform(want)
		if err != nil {
			return
		}
		s := memory{digestOf(raw, ""): raw, digestOf(cfg, ""): cfg}
		if m.Config != nil {
			m.Config.Digest, m.Config.Size = digestOf(cfg, ""), int64(len(cfg))
		}
		r := &resolver{store: s, want: p}
		im := &image{desc: descriptor{Digest: digestOf(raw, "")}, manifest: m}
		if m.index() {
			if _, err := selectEntries(m.Manifests, want); err == nil {
				_, _ = r.pick(t.Context(), m.Manifests, 1)
			}
			return
		}
		tree, err := r.tree(t.Context(), im)
		if err != nil {
			return
		}
		if len(tree.Layers)+len(tree.Gaps) < len(m.Layers) {
			t.Errorf("%d layers of %d, %d gaps", len(tree.Layers), len(m.Layers), len(tree.Gaps))
		}
		for _, b := range tree.Layers {
			if !b.DiffID.Valid() || !b.Digest.Valid() || b.Blob < 0 {
				t.Errorf("layer %+v", b.Layer)
			}
		}
	})
}

func FuzzArchive(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range [][2]string{
		{"manifest.json", `[{"Config":"c","Layers":["l"],"RepoTags":["a:1"]}]`},
		{"c", `{"rootfs":{"type":"layers","diff_ids":["` + zeroDigest + `"]}}`},
		{"l", "layer"},
		{"index.json", `{"manifests":[]}`},
	} {
		_ = w.WriteHeader(&tar.Header{Name: e[0], Size: int64(len(e[1])), Mode: 0o600})
		_, _ = io.WriteString(w, e[1])
	}
	_ = w.WriteHeader(&tar.Header{Name: "s", Linkname: "l", Typeflag: tar.TypeSymlink})
	_ = w.Close()
	f.Add(b.Bytes(), "")
	f.Add(b.Bytes()[:1536], "a:1")
	f.Add(bytes.Replace(b.Bytes(), []byte("index.json"), []byte("indez.json"), 1), "a:1")
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	_, _ = g.Write(b.Bytes())
	_ = g.Close()
	f.Add(z.Bytes(), "@"+zeroDigest)
	f.Add([]byte("\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00"), "")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, sel string) {
		o := &Opener{TempDir: dir, MaxSpill: 1 << 20}
		name := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := o.archiveFile(t.Context(), file, sel, nil)
		if err != nil {
			return
		}
		defer tree.Close()
		for _, l := range tree.Layers {
			rc, err := l.Open(t.Context())
			if err != nil {
				continue
			}
			if n, err := io.Copy(io.Discard, rc); err != nil || n != l.Blob {
				t.Errorf("layer of %d bytes gave %d: %v", l.Blob, n, err)
			}
			rc.Close()
		}
	})
}

func FuzzTarSplit(f *testing.F) {
	f.Add([]byte(`{"type":2,"payload":"YWJj","position":0}` + "\n" + `{"type":1,"name":"a/b","size":3,"payload":"AAAA"}` + "\n"))
	f.Add([]byte(`{"type":1,"name_raw":"Li4v","size":9}`))
	f.Add([]byte(`{"type":1,"name":"../../etc/passwd","size":3}`))
	dir := f.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "in/a"), 0o700); err != nil {
		f.Fatal(err)
	}
	for name, content := range map[string]string{"in/a/b": "abc", "secret": "SECRET"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		root, err := os.OpenRoot(filepath.Join(dir, "in"))
		if err != nil {
			t.Fatal(err)
		}
		a := &assembly{check: t.Context().Err, files: root, lines: bufio.NewReader(bytes.NewReader(b)), close: root.Close}
		defer a.Close()
		out, err := io.ReadAll(io.LimitReader(a, 1<<20))
		if strings.Contains(string(out), "SECRET") && !bytes.Contains(b, []byte("U0VDUkVU")) {
			t.Errorf("read outside the layer: %v", err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte("x")))
	f.Add([]byte{0x0b, 0x0b, 0x0c})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		err := fields(b, func(_ protowire.Number, v []byte, _ uint64) { total += len(v) })
		if total > len(b) {
			t.Errorf("%d bytes of fields in %d", total, len(b))
		}
		if _, ferr := field(b, 1); (err == nil) != (ferr == nil) {
			t.Errorf("%v and %v", err, ferr)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"a", "a:1", "../a", "localhost/x@" + zeroDigest, "[::1]:5000/x", "..:80/x", "A/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseName(s, false)
		if err != nil {
			if !errors.Is(err, bulwark.ErrUsage) {
				t.Errorf("%v", err)
			}
			return
		}
		if strings.Contains(r.Context().Name(), "..") {
			t.Errorf("%q gives %q", s, r.Context().Name())
		}
		for _, n := range localNames(s) {
			if strings.Contains(n, "..") {
				t.Errorf("%q is kept as %q", s, n)
			}
		}
		_, _ = splitPath(filepath.Join(t.TempDir(), s), true)
	})
}
