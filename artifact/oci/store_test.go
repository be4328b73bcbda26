// SPDX-License-Identifier: Apache-2.0

//go:build unix

package oci_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// split parts a tar stream into files below dir and the lines of tar-split.
func split(t testing.TB, stream []byte, dir string) []byte {
	t.Helper()
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	line := func(v object) {
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	r := bytes.NewReader(stream)
	tr := tar.NewReader(r)
	last := 0
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		at := len(stream) - r.Len()
		line(object{"type": 2, "payload": stream[last:at], "position": 0})
		e := object{"type": 1, "name": h.Name, "size": h.Size, "payload": []byte("checksum")}
		if h.Typeflag != tar.TypeReg {
			e = object{"type": 1, "name": h.Name, "payload": nil}
		}
		line(e)
		if h.Typeflag == tar.TypeReg {
			f := filepath.Join(dir, h.Name)
			if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f, stream[at:at+int(h.Size)], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		last = at + int(h.Size)
	}
	line(object{"type": 2, "payload": stream[last:]})
	return lines.Bytes()
}

// writeStore makes podman's store of one image.
func writeStore(t testing.TB, driver string, img v1.Image, names ...string) string {
	t.Helper()
	root := t.TempDir()
	put := func(name string, b []byte) {
		f := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := img.RawManifest()
	id := strings.TrimPrefix(sum(cfg), "sha256:")
	ls, _ := img.Layers()
	var layers []object
	parent := ""
	for i, l := range ls {
		rc, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		stream, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		lid := strings.Repeat(string(rune('a'+i)), 64)
		dir := filepath.Join(root, "overlay", lid, "diff")
		if driver == "vfs" {
			dir = filepath.Join(root, "vfs/dir", lid)
		}
		put(driver+"-layers/"+lid+".tar-split.gz", gzipped(t, split(t, stream, dir)))
		lay := object{"id": lid, "diff-digest": sum(stream), "diff-size": len(stream)}
		if parent != "" {
			lay["parent"] = parent
		}
		layers = append(layers, lay)
		parent = lid
	}
	put(driver+"-layers/layers.json", encode(layers))
	put(driver+"-images/images.json", encode([]object{{"id": id, "digest": sum(raw), "names": names, "layer": parent}}))
	put(driver+"-images/"+id+"/manifest", raw)
	put(driver+"-images/"+id+"/="+base64.StdEncoding.EncodeToString([]byte(sum(cfg))), cfg)
	return root
}

// storeOpener reads the store at root and no other.
func storeOpener(t *testing.T, root string) func(name string) string {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "storage.conf")
	if err := os.WriteFile(conf, []byte("[storage]\ndriver = \"overlay\"\n# graphroot = \"/wrong\"\ngraphroot = \""+root+"\" # here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return env("CONTAINERS_STORAGE_CONF", conf)
}

func skipWithPodman(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/run/podman/podman.sock"); err == nil {
		t.Skip("podman's service runs here and is asked before its store")
	}
}

func TestPodmanStore(t *testing.T) {
	skipWithPodman(t)
	img := testImage(t, "linux/amd64")
	d, _ := img.Digest()
	c, _ := img.ConfigName()
	for _, driver := range []string{"overlay", "vfs"} {
		root := writeStore(t, driver, img, "docker.io/library/app:1", "example.test/x/app:2", "example.test/x/app@"+d.String())
		for _, ref := range []string{"app:1", "example.test/x/app:2", "example.test/x/app@" + d.String(), "app@" + d.String(), c.Hex[:12], c.String()} {
			t.Run(driver+strings.NewReplacer("/", "-", ":", "-").Replace(ref), func(t *testing.T) {
				o := opener(t)
				o.Env = storeOpener(t, root)
				tree, err := o.Podman(t.Context(), ref, bulwark.OpenOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff([]string{"docker.io/library/app:1", "example.test/x/app:2"}, tree.Artifact.Image.RepoTags); d != "" {
					t.Errorf("tags, -want +got:\n%s", d)
				}
				layers := layersOf(tree)
				verify(t, tree, wantArtifact(t, img, ref, "podman", "linux/amd64"), layers)
				for i, l := range layers {
					if w := wantLayers(t, img)[i]; l.Digest != w.DiffID || l.DiffID != w.DiffID || l.CreatedBy != w.CreatedBy {
						t.Errorf("layer %d: %+v", i, l)
					}
				}
			})
		}
		o := opener(t)
		o.Env = storeOpener(t, root)
		_, err := o.Podman(t.Context(), "app:3", bulwark.OpenOptions{})
		wantErr(t, err, bulwark.ErrNotFound, "podman has no such image")
		_, err = o.Podman(t.Context(), "app:1", bulwark.OpenOptions{Platform: "linux/arm64"})
		wantErr(t, err, bulwark.ErrNotFound, "linux/amd64")
	}
	o := opener(t)
	o.Env = storeOpener(t, t.TempDir())
	_, err := o.Podman(t.Context(), "app:1", bulwark.OpenOptions{})
	wantErr(t, err, bulwark.ErrNotFound, "podman is not running here")
}

// A store is trusted little: names in it cannot lead out of it.
func TestPodmanStoreHostile(t *testing.T) {
	skipWithPodman(t)
	img := testImage(t, "linux/amd64")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	top := strings.Repeat("b", 64)
	putSplit := func(root string, lines string) error {
		return os.WriteFile(filepath.Join(root, "overlay-layers", top+".tar-split.gz"), gzipped(t, []byte(lines)), 0o600)
	}
	replace := func(root, name, old, by string) error {
		f := filepath.Join(root, name)
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		return os.WriteFile(f, bytes.ReplaceAll(b, []byte(old), []byte(by)), 0o600)
	}
	for name, c := range map[string]struct {
		spoil func(root string) error
		late  bool // found when the layer is read
		kind  error
		words []string
	}{
		"imageID": {func(r string) error {
			return os.WriteFile(filepath.Join(r, "overlay-images/images.json"), []byte(`[{"id":"../../x","names":["docker.io/library/app:1"]}]`), 0o600)
		}, false, nil, []string{`id "../../x"`}},
		"layerID": {func(r string) error { return replace(r, "overlay-layers/layers.json", top, "../"+top[3:]) }, false, nil, []string{`id "../`}},
		"layerLoop": {func(r string) error {
			return replace(r, "overlay-layers/layers.json", strings.Repeat("a", 64)+`"}`, "")
		}, false, nil, nil},
		"parentItself": {func(r string) error {
			return replace(r, "overlay-layers/layers.json", `"parent":"`+strings.Repeat("a", 64), `"parent":"`+top)
		}, false, bulwark.ErrTooLarge, nil},
		"layerGone": {func(r string) error {
			return replace(r, "overlay-layers/layers.json", `"diff-digest":"sha256:`, `"diff-digest":"sha256:0`)
		}, false, bulwark.ErrNotFound, nil},
		"noList": {func(r string) error {
			return os.WriteFile(filepath.Join(r, "overlay-images/images.json"), []byte(`{}`), 0o600)
		}, false, nil, []string{"not a list"}},
		"manifestGone": {func(r string) error {
			ms, _ := filepath.Glob(filepath.Join(r, "overlay-images/*/manifest"))
			return os.Remove(ms[0])
		}, false, nil, []string{"manifest of"}},
		"configChanged": {func(r string) error {
			ms, _ := filepath.Glob(filepath.Join(r, "overlay-images/*/=*"))
			return flip(ms[0])
		}, false, bulwark.ErrDigest, nil},
		"fileOutside": {func(r string) error {
			return putSplit(r, `{"type":1,"name":"../../../../../../../..`+secret+`","size":6}`)
		}, true, nil, []string{"escapes"}},
		"linkOutside": {func(r string) error {
			if err := os.Symlink(secret, filepath.Join(r, "overlay", top, "diff/l")); err != nil {
				return err
			}
			return putSplit(r, `{"type":1,"name":"l","size":6}`)
		}, true, nil, []string{"escapes"}},
		"fileAbsolute": {func(r string) error { return putSplit(r, `{"type":1,"name":"`+secret+`","size":6}`) }, true, bulwark.ErrNotFound, nil},
		"fileShort":    {func(r string) error { return putSplit(r, `{"type":1,"name":"app","size":9000000}`) }, true, io.ErrUnexpectedEOF, nil},
		"fileIsFolder": {func(r string) error { return putSplit(r, `{"type":1,"name":"./","size":6}`) }, true, nil, []string{"not a regular file"}},
		"otherType":    {func(r string) error { return putSplit(r, `{"type":7}`) }, true, bulwark.ErrUnsupported, nil},
		"noJSON":       {func(r string) error { return putSplit(r, `noise`) }, true, nil, []string{"tar-split"}},
		"longLine":     {func(r string) error { return putSplit(r, strings.Repeat(" ", 33<<20)) }, true, bulwark.ErrTooLarge, nil},
		"splitMissing": {func(r string) error { return os.Remove(filepath.Join(r, "overlay-layers", top+".tar-split.gz")) }, true, bulwark.ErrNotFound, nil},
		"splitCut":     {func(r string) error { return os.Truncate(filepath.Join(r, "overlay-layers", top+".tar-split.gz"), 40) }, true, io.ErrUnexpectedEOF, nil},
		"filesMissing": {func(r string) error { return os.RemoveAll(filepath.Join(r, "overlay", top)) }, true, bulwark.ErrNotFound, nil},
		"fileContent":  {func(r string) error { return flip(filepath.Join(r, "overlay", top, "diff/app")) }, true, bulwark.ErrDigest, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := writeStore(t, "overlay", img, "docker.io/library/app:1")
			if err := c.spoil(root); err != nil {
				t.Fatal(err)
			}
			o := opener(t)
			o.Env = storeOpener(t, root)
			tree, err := o.Podman(t.Context(), "app:1", bulwark.OpenOptions{})
			if c.late && err == nil {
				defer tree.Close()
				err = readBlob(t.Context(), tree.Layers[1])
			}
			wantErr(t, err, c.kind, c.words...)
		})
	}
}
