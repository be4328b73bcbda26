// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/bulwark-sec/bulwark"
)

// Layout opens an image of the OCI layout in a directory
// (https://github.com/opencontainers/image-spec/blob/main/image-layout.md). ref is
// the directory, alone or with ":tag" or "@digest" behind it. Layers open as
// *os.File. A directory that is no layout is [bulwark.ErrUnsupported], a layout
// of several images without a tag [bulwark.ErrUsage].
func (o *Opener) Layout(ctx context.Context, ref string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	want, err := parsePlatform(opt.Platform)
	if err != nil {
		return nil, err
	}
	dir, sel := splitPath(ref, true)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open layout %q: %w", dir, notFound(err))
	}
	t, err := layoutTree(ctx, &dirStore{root}, sel, want)
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("open layout %q: %w", dir, err)
	}
	t.Artifact.Name = ref
	t.Artifact.Source = "oci-layout"
	t.Close = once(root.Close)
	return t, nil
}

// splitPath parts "path:tag" and "path@digest" at the place where path is what
// exists: a directory or else a file. Both may contain colons.
func splitPath(ref string, dir bool) (path, sel string) {
	is := func(p string) bool {
		fi, err := os.Stat(p)
		return err == nil && fi.IsDir() == dir
	}
	if is(ref) {
		return ref, ""
	}
	for i := len(ref) - 1; i > 0; i-- {
		if (ref[i] == ':' || ref[i] == '@') && is(ref[:i]) {
			if ref[i] == '@' {
				return ref[:i], ref[i:]
			}
			return ref[:i], ref[i+1:]
		}
	}
	return ref, ""
}

// notFound makes a missing file [bulwark.ErrNotFound] and drops the operation's
// name and path, which the caller tells.
func notFound(err error) error {
	var pe *fs.PathError
	if errors.Is(err, fs.ErrNotExist) {
		return bulwark.ErrNotFound
	}
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// A layoutStore is a store with the files of a layout.
type layoutStore interface {
	store
	// file reads a small file by name; a missing one is [bulwark.ErrNotFound].
	file(name string, limit int64) ([]byte, error)
}

// layoutTree opens the image that sel names in a layout.
func layoutTree(ctx context.Context, s layoutStore, sel string, want *platform) (*bulwark.Tree, error) {
	b, err := s.file("index.json", maxManifest)
	if errors.Is(err, bulwark.ErrNotFound) {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("no index.json, so no OCI layout: %w", bulwark.ErrUnsupported),
			Next: "use bulwark scan fs for an unpacked root file system",
		}
	}
	if err != nil {
		return nil, err
	}
	var version struct {
		V string `json:"imageLayoutVersion"`
	}
	if v, err := s.file("oci-layout", 1<<16); err == nil {
		if json.Unmarshal(v, &version) != nil || version.V != "" && !strings.HasPrefix(version.V, "1.") {
			return nil, fmt.Errorf("layout of version %q: %w", version.V, bulwark.ErrUnsupported)
		}
	}
	idx, err := parseManifest(b, typeIndex)
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	ds, err := selectEntries(idx.Manifests, sel)
	if err != nil {
		return nil, err
	}
	r := &resolver{store: s, want: want}
	im, err := func() (*image, error) {
		if len(ds) == 1 {
			return r.resolve(ctx, ds[0], nil)
		}
		return r.pick(ctx, ds, 0)
	}()
	if err != nil {
		return nil, err
	}
	t, err := r.tree(ctx, im)
	if err != nil {
		return nil, err
	}
	if err := allThere(ctx, s, t); err != nil {
		return nil, err
	}
	for _, d := range ds {
		t.Artifact.Image.RepoTags = append(t.Artifact.Image.RepoTags, tagged(d)...)
	}
	slices.Sort(t.Artifact.Image.RepoTags)
	t.Artifact.Image.RepoTags = slices.Compact(t.Artifact.Image.RepoTags)
	return t, nil
}

// selectEntries gives the entries of a layout's index that sel names: "@digest",
// a tag, a full name, or "" for the only image.
func selectEntries(all []descriptor, sel string) ([]descriptor, error) {
	var ds []descriptor
	var names []string
	for _, d := range all {
		if d.MediaType == "" {
			d.MediaType = typeManifest
		}
		if !isManifestType(d.MediaType) && !isIndexType(d.MediaType) && !isSchema1Type(d.MediaType) {
			continue
		}
		if d.Platform != nil && d.Platform.unknown() || d.ArtifactType != "" && !isConfigType(d.ArtifactType) {
			continue
		}
		names = append(names, tagged(d)...)
		if sel == "" || sel == "@"+string(d.Digest) || slices.ContainsFunc(tagged(d), func(n string) bool { return selects(sel, n) }) {
			ds = append(ds, d)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 30 {
		names = append(names[:30], "…")
	}
	switch {
	case len(ds) == 0 && sel == "":
		return nil, fmt.Errorf("index without images: %w", bulwark.ErrNotFound)
	case len(ds) == 0:
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("image %q: %w", sel, bulwark.ErrNotFound),
			Next: fmt.Sprintf("names that are there: %q", names),
		}
	case len(ds) > 1 && !oneImage(ds):
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("%d images: %w", len(ds), bulwark.ErrUsage),
			Next: fmt.Sprintf("name one of them behind the path, as in path:tag or path@digest: %q", names),
		}
	}
	return ds, nil
}

// oneImage tells whether entries are one image for several platforms, or one
// image listed under several names.
func oneImage(ds []descriptor) bool {
	same, platforms := true, true
	seen := map[platform]bool{}
	for _, d := range ds {
		same = same && d.Digest == ds[0].Digest
		platforms = platforms && d.Platform != nil && !seen[*d.Platform]
		if d.Platform != nil {
			seen[*d.Platform] = true
		}
	}
	return same || platforms
}

// selects tells whether the words behind a path mean the image called name,
// which is a tag or a full name.
func selects(sel, name string) bool {
	if sel == name {
		return true
	}
	_, isFull := cutTag(name)
	tag, selFull := cutTag(sel)
	if isFull && !selFull {
		if own, _ := cutTag(name); own == tag {
			return true
		}
	}
	return isFull && sameName(sel, name)
}

// cutTag gives the tag of a full name, or the whole as a tag when it is none.
func cutTag(s string) (tag string, full bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.Contains(s[i:], "/") {
		return s, strings.Contains(s, "/")
	}
	return s[i+1:], true
}

// A dirStore reads a layout that is a directory.
type dirStore struct{ root *os.Root }

// blobPath is where a layout keeps a blob. Only a digest that is one gets a path.
func blobPath(d bulwark.Digest) (string, error) {
	if !d.Valid() {
		return "", fmt.Errorf("digest %q: not sha256 or sha512", d)
	}
	alg, hex, _ := strings.Cut(string(d), ":")
	return "blobs/" + alg + "/" + hex, nil
}

func (s *dirStore) open(_ context.Context, d descriptor) (io.ReadCloser, error) {
	p, err := blobPath(d.Digest)
	if err != nil {
		return nil, err
	}
	f, err := openRegular(s.root, p)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, notFound(err))
	}
	if fi, err := f.Stat(); err != nil || fi.Size() != d.Size {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("blob %s: not of the %d bytes announced: %w", d.Digest, d.Size, bulwark.ErrDigest))
	}
	return f, nil
}

// openRegular opens a regular file and gives the system's error. The flag keeps
// a named pipe from blocking.
func openRegular(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, errors.New("not a regular file"))
	}
	return f, nil
}

func (s *dirStore) has(_ context.Context, d descriptor) error {
	p, err := blobPath(d.Digest)
	if err != nil {
		return err
	}
	_, err = s.root.Stat(p)
	if err != nil {
		err = notFound(err)
	}
	return err
}

func (s *dirStore) file(name string, limit int64) ([]byte, error) {
	f, err := openRegular(s.root, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, notFound(err))
	}
	defer f.Close()
	b, err := readAll(f, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}
