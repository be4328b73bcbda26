// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/klauspost/compress/gzip"
)

// podman, buildah and CRI-O keep images unpacked, with what is missing to make
// the very same tar streams of the files again
// (https://github.com/containers/storage/blob/main/docs/containers-storage.conf.5.md,
// https://github.com/vbatts/tar-split). The layout of the store:
//
//	<driver>-images/images.json                 names, digests, top layer
//	<driver>-images/<id>/<key>                  manifest and configuration
//	<driver>-layers/layers.json                 parents and digests
//	<driver>-layers/<id>.tar-split.gz           headers and order of the files
//	overlay/<id>/diff, vfs/dir/<id>             the files
const (
	maxStoreList = 64 << 20 // bytes of images.json or layers.json
	maxStoreItem = 100_000  // images or layers in one store
	maxSplitLine = 32 << 20 // bytes of one line of tar-split
)

// storeRoots lists where podman's store may be, the user's own first.
func (o *Opener) storeRoots() []string {
	var roots []string
	conf := o.env("CONTAINERS_STORAGE_CONF")
	if conf != "" {
		if r := graphRoot(conf); r != "" {
			return []string{r}
		}
	}
	if home := o.env("HOME"); home != "" && os.Geteuid() != 0 {
		if r := graphRoot(filepath.Join(home, ".config/containers/storage.conf")); r != "" {
			roots = append(roots, r)
		}
		data := o.env("XDG_DATA_HOME")
		if data == "" {
			data = filepath.Join(home, ".local/share")
		}
		roots = append(roots, filepath.Join(data, "containers/storage"))
	}
	if r := graphRoot("/etc/containers/storage.conf"); r != "" {
		roots = append(roots, r)
	}
	return append(roots, "/var/lib/containers/storage")
}

// graphRoot gives the root that a storage.conf sets; "" if it sets none.
func graphRoot(conf string) string {
	f, err := os.Open(conf)
	if err != nil {
		return ""
	}
	defer f.Close()
	s := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for s.Scan() {
		k, v, ok := strings.Cut(s.Text(), "=")
		if ok && strings.TrimSpace(k) == "graphroot" {
			v, _, _ = strings.Cut(v, "#")
			return strings.Trim(strings.TrimSpace(v), `"'`)
		}
	}
	return ""
}

// podmanStore opens an image of podman's store on disk.
func (o *Opener) podmanStore(ctx context.Context, ref string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	want, err := parsePlatform(opt.Platform)
	if err != nil {
		return nil, err
	}
	var denied error
	found := false
	for _, dir := range o.storeRoots() {
		for _, driver := range []string{"overlay", "vfs"} {
			root, err := os.OpenRoot(dir)
			if err != nil {
				if errors.Is(err, os.ErrPermission) {
					denied = err
				}
				continue
			}
			s := &imageStore{root: root, driver: driver}
			t, err := s.tree(ctx, ref, want)
			switch {
			case err == nil:
				t.Artifact.Name = ref
				t.Artifact.Source = "podman"
				t.Close = once(root.Close)
				return t, nil
			case errors.Is(err, errNoStore):
			case errors.Is(err, errNotStored):
				found = true
			case errors.Is(err, os.ErrPermission):
				denied = err
			default:
				root.Close()
				return nil, fmt.Errorf("podman: %w", err)
			}
			root.Close()
		}
	}
	switch {
	case found:
		return nil, fmt.Errorf("podman has no such image: %w", bulwark.ErrNotFound)
	case denied != nil:
		return nil, &bulwark.Hint{
			Err:  errors.New("podman: its store: permission denied"),
			Next: "run as the user who owns it, start podman.socket, or scan what podman save writes",
		}
	}
	return nil, absent("podman", "run podman here, start podman.socket or set CONTAINER_HOST")
}

var (
	errNoStore   = errors.New("no store")
	errNotStored = errors.New("not in the store")
)

// A storedImage is an entry of images.json.
type storedImage struct {
	ID     string
	Digest string
	Names  []string
	Layer  string
}

// A storedLayer is an entry of layers.json.
type storedLayer struct {
	ID       string
	Parent   string
	Diff     bulwark.Digest `json:"diff-digest"`
	DiffSize int64          `json:"diff-size"`
}

// An imageStore is a store of one driver.
type imageStore struct {
	root   *os.Root
	driver string
}

func (s *imageStore) tree(ctx context.Context, ref string, want *platform) (*bulwark.Tree, error) {
	im, err := s.find(ref)
	if err != nil {
		return nil, err
	}
	raw, err := s.read(s.driver+"-images/"+im.ID+"/manifest", maxManifest)
	if err != nil {
		return nil, fmt.Errorf("manifest of %q: %w", im.ID, err)
	}
	m, err := parseManifest(raw, "")
	if err != nil {
		return nil, err
	}
	if m.index() {
		return nil, fmt.Errorf("manifest of %q: an index: %w", im.ID, bulwark.ErrUnsupported)
	}
	if err := m.checkImage(); err != nil {
		return nil, err
	}
	b, err := s.read(s.driver+"-images/"+im.ID+"/"+dataName(string(m.Config.Digest)), maxConfig)
	if err != nil {
		return nil, fmt.Errorf("configuration of %q: %w", im.ID, err)
	}
	if got := digestOf(b, m.Config.Digest); got != m.Config.Digest {
		return nil, fmt.Errorf("configuration %s: its digest is %s: %w", m.Config.Digest, got, bulwark.ErrDigest)
	}
	cfg, err := parseConfig(b, len(m.Layers))
	if err != nil {
		return nil, err
	}
	if want != nil && cfg.platform != (platform{}) && !cfg.fits(*want) {
		return nil, noPlatform(*want, []platform{cfg.platform})
	}
	chain, err := s.chain(ctx, im.Layer)
	if err != nil {
		return nil, err
	}
	t := newTree(cfg, cfg.platform)
	t.Artifact.ID, t.Artifact.Config = digestOf(raw, ""), m.Config.Digest
	for _, n := range im.Names {
		if strings.Contains(n, "@") {
			t.Artifact.Image.RepoDigests = append(t.Artifact.Image.RepoDigests, n)
		} else {
			t.Artifact.Image.RepoTags = append(t.Artifact.Image.RepoTags, n)
		}
	}
	by := cfg.createdBy()
	// Layers that are empty share one stored layer or have none, so the chain is
	// matched by digest and not by place.
	for i, diff := range cfg.RootFS.DiffIDs {
		j := slices.IndexFunc(chain, func(l storedLayer) bool { return l.Diff == diff })
		if j < 0 {
			return nil, fmt.Errorf("layer %s of image %q: %w", diff, im.ID, bulwark.ErrNotFound)
		}
		l := chain[j]
		t.Layers = append(t.Layers, bulwark.Blob{
			Layer: bulwark.Layer{DiffID: diff, Digest: diff, Blob: max(0, l.DiffSize), CreatedBy: by[i]},
			Open:  func(ctx context.Context) (io.ReadCloser, error) { return s.open(ctx, l.ID) },
		})
	}
	return t, nil
}

// find gives the image that a person calls ref: by name, by id or its beginning,
// by digest.
func (s *imageStore) find(ref string) (*storedImage, error) {
	b, err := s.read(s.driver+"-images/images.json", maxStoreList)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoStore
	}
	if err != nil {
		return nil, err
	}
	id := strings.TrimPrefix(ref, "sha256:")
	names := localNames(ref)
	var byID, byName *storedImage
	err = each(b, func(im storedImage) error {
		if !storeID(im.ID) {
			return fmt.Errorf("images.json: id %q", im.ID)
		}
		if imageID(ref) && strings.HasPrefix(im.ID, id) {
			byID = &im
		}
		for _, n := range im.Names {
			repo, _, _ := strings.Cut(n, "@")
			if i := strings.LastIndexByte(repo, ':'); i > strings.LastIndexByte(repo, '/') {
				repo = repo[:i]
			}
			if slices.Contains(names, n) || im.Digest != "" && slices.Contains(names, repo+"@"+im.Digest) {
				byName = &im
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case byName != nil:
		return byName, nil
	case byID != nil:
		return byID, nil
	}
	return nil, errNotStored
}

// chain lists the layers below and with top.
func (s *imageStore) chain(ctx context.Context, top string) ([]storedLayer, error) {
	b, err := s.read(s.driver+"-layers/layers.json", maxStoreList)
	if err != nil {
		return nil, fmt.Errorf("layers.json: %w", err)
	}
	byID := map[string]storedLayer{}
	err = each(b, func(l storedLayer) error {
		if !storeID(l.ID) {
			return fmt.Errorf("layers.json: id %q", l.ID)
		}
		byID[l.ID] = l
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	var chain []storedLayer
	for id := top; id != ""; {
		l, ok := byID[id]
		if !ok {
			return nil, fmt.Errorf("layer %q: %w", id, bulwark.ErrNotFound)
		}
		if len(chain) == maxLayers {
			return nil, fmt.Errorf("image of more than %d layers: %w", maxLayers, bulwark.ErrTooLarge)
		}
		chain = append(chain, l)
		id = l.Parent
	}
	return chain, nil
}

// each visits the elements of a JSON array without holding them all.
func each[T any](b []byte, visit func(T) error) error {
	d := json.NewDecoder(bytes.NewReader(b))
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return errors.New("not a list")
	}
	for n := 0; d.More(); n++ {
		if n == maxStoreItem {
			return fmt.Errorf("list of more than %d: %w", maxStoreItem, bulwark.ErrTooLarge)
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		if err := visit(v); err != nil {
			return err
		}
	}
	return nil
}

// storeID tells whether s is an id, and so harmless in a path.
func storeID(s string) bool { return len(s) == 64 && hexadecimal(s) }

// dataName gives the file of an image's datum: plain for simple names, else in
// base64.
func dataName(key string) string {
	if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789.") == "" {
		return key
	}
	return "=" + base64.StdEncoding.EncodeToString([]byte(key))
}

func (s *imageStore) read(name string, limit int64) ([]byte, error) {
	f, err := openRegular(s.root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}

// open makes the tar stream of a layer again.
func (s *imageStore) open(ctx context.Context, id string) (io.ReadCloser, error) {
	split, err := openRegular(s.root, s.driver+"-layers/"+id+".tar-split.gz")
	if err != nil {
		return nil, fmt.Errorf("podman: layer %q: %w", id, notFound(err))
	}
	dir := "overlay/" + id + "/diff"
	if s.driver == "vfs" {
		dir = "vfs/dir/" + id
	}
	files, err := s.root.OpenRoot(dir)
	if err != nil {
		split.Close()
		return nil, fmt.Errorf("podman: layer %q: %w", id, notFound(err))
	}
	z, err := gzip.NewReader(bufio.NewReader(split))
	if err != nil {
		split.Close()
		files.Close()
		return nil, fmt.Errorf("podman: layer %q: %w", id, err)
	}
	return &assembly{
		check: ctx.Err, files: files, lines: bufio.NewReaderSize(z, 1<<16),
		close: once(z.Close, split.Close, files.Close),
	}, nil
}

// An assembly is a tar stream made of tar-split's lines and of files.
type assembly struct {
	check func() error
	files *os.Root
	lines *bufio.Reader
	close func() error

	raw  []byte   // bytes of the stream that come next
	file *os.File // then this file's
	left int64    // bytes of it
}

// A splitEntry is one line: a file of the stream, or bytes between files.
type splitEntry struct {
	Type    int    `json:"type"` // 1 is a file, 2 is bytes
	Name    string `json:"name"`
	NameRaw []byte `json:"name_raw"` // when the name is not UTF-8
	Size    int64  `json:"size"`
	Payload []byte `json:"payload"` // the bytes, or a checksum of the file
}

func (a *assembly) Read(p []byte) (int, error) {
	for {
		switch {
		case len(p) == 0:
			return 0, nil
		case len(a.raw) > 0:
			n := copy(p, a.raw)
			a.raw = a.raw[n:]
			return n, nil
		case a.left > 0:
			n, err := a.file.Read(p[:min(int64(len(p)), a.left)])
			if a.left -= int64(n); n > 0 {
				return n, nil
			}
			if err == nil {
				continue
			}
			return 0, fmt.Errorf("podman: file %q: %w", a.file.Name(), io.ErrUnexpectedEOF)
		}
		if err := a.next(); err != nil {
			return 0, err
		}
	}
}

// next reads one line.
func (a *assembly) next() error {
	if a.file != nil {
		a.file.Close()
		a.file = nil
	}
	if err := a.check(); err != nil {
		return err
	}
	line, err := readLine(a.lines, maxSplitLine)
	if err != nil {
		return err
	}
	var e splitEntry
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("podman: tar-split: %w", err)
	}
	switch {
	case e.Type == 2:
		a.raw = e.Payload
	case e.Type == 1 && e.Size > 0:
		name := e.Name
		if len(e.NameRaw) > 0 {
			name = string(e.NameRaw)
		}
		f, err := openRegular(a.files, filepath.Clean("./"+name))
		if err != nil {
			return fmt.Errorf("podman: file %q: %w", name, notFound(err))
		}
		a.file, a.left = f, e.Size
	case e.Type != 1:
		return fmt.Errorf("podman: tar-split line of type %d: %w", e.Type, bulwark.ErrUnsupported)
	}
	return nil
}

// Close ends the stream.
func (a *assembly) Close() error {
	if a.file != nil {
		a.file.Close()
		a.file = nil
	}
	return a.close()
}

// readLine reads a line of at most limit bytes; io.EOF when none is left.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > limit:
			return nil, fmt.Errorf("line of more than %d bytes: %w", limit, bulwark.ErrTooLarge)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
			return line, nil
		default:
			return nil, err
		}
	}
}
