// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Limits of an archive's directory. An image of a thousand layers in the oldest
// form has some 4,000 entries.
const (
	maxEntries = 20_000
	maxNames   = 16 << 20 // bytes of all names and link targets together
	maxLinks   = 40       // links that lead to one file
)

// Archive opens an image of a saved archive: what docker save, podman save,
// skopeo and buildx write, as docker-archive or OCI archive, plain or
// compressed with gzip or zstd, told apart by content. ref is the file, alone or
// with ":tag", ":repository:tag" or "@digest" behind it. Layers of a plain
// archive are read in place; a compressed one is unpacked once into a file
// without a name. A file that is no image archive is [bulwark.ErrUnsupported],
// an archive of several images without a name [bulwark.ErrUsage].
func (o *Opener) Archive(ctx context.Context, ref string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	want, err := parsePlatform(opt.Platform)
	if err != nil {
		return nil, err
	}
	file, sel := splitPath(ref, false)
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open archive %q: %w", file, notFound(err))
	}
	t, err := o.archiveFile(ctx, f, sel, want)
	if err != nil {
		return nil, fmt.Errorf("open archive %q: %w", file, err)
	}
	t.Artifact.Name = ref
	return t, nil
}

// archiveFile opens an archive in f and takes f over, also on error.
func (o *Opener) archiveFile(ctx context.Context, f *os.File, sel string, want *platform) (*bulwark.Tree, error) {
	plain, err := o.plain(ctx, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	a, err := readArchive(ctx, plain)
	if err != nil {
		plain.Close()
		return nil, err
	}
	t, err := a.tree(ctx, sel, want)
	if err != nil {
		plain.Close()
		return nil, err
	}
	t.Close = once(plain.Close)
	return t, nil
}

// An archive is the directory of a tar file: where each regular file begins.
type archive struct {
	f       *os.File
	entries map[string]entry
}

// An entry is a regular file, or a link to another name.
type entry struct {
	off, size int64
	link      string // clean name that it stands for
}

// position counts what a tar reader has consumed, to learn where contents lie.
type position struct {
	f   *os.File
	off int64
}

func (p *position) Read(b []byte) (int, error) {
	n, err := p.f.ReadAt(b, p.off)
	p.off += int64(n)
	return n, err
}

func (p *position) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += p.off
	case io.SeekEnd:
		fi, err := p.f.Stat()
		if err != nil {
			return 0, err
		}
		off += fi.Size()
	}
	if off < 0 {
		return 0, errors.New("seek before the start")
	}
	p.off = off
	return off, nil
}

// readArchive lists a plain archive. It reads headers only.
func readArchive(ctx context.Context, f *os.File) (*archive, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a := &archive{f: f, entries: map[string]entry{}}
	pos := &position{f: f}
	tr := tar.NewReader(pos)
	names := 0
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := tr.Next()
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			if n == 0 {
				return nil, notArchive("no tar file")
			}
			return nil, fmt.Errorf("archive entry %d: %w", n+1, err)
		}
		names += len(h.Name) + len(h.Linkname)
		if n >= maxEntries || names > maxNames {
			return nil, fmt.Errorf("archive of more than %d entries or %d bytes of names: %w", maxEntries, maxNames, bulwark.ErrTooLarge)
		}
		name, ok := local(h.Name)
		if !ok {
			continue // nothing can name it
		}
		e := entry{off: pos.off, size: h.Size}
		switch h.Typeflag {
		case tar.TypeReg:
			if sparse(h) {
				continue // the bytes do not lie in one piece
			}
			if e.off+e.size > fi.Size() || e.off+e.size < e.off {
				return nil, fmt.Errorf("archive entry %q: %w", h.Name, io.ErrUnexpectedEOF)
			}
		case tar.TypeLink:
			if e.link, ok = local(h.Linkname); !ok {
				continue
			}
		case tar.TypeSymlink:
			if path.IsAbs(h.Linkname) {
				continue
			}
			if e.link, ok = local(path.Join(path.Dir(name), h.Linkname)); !ok {
				continue
			}
		default:
			continue
		}
		a.entries[name] = e
	}
}

// sparse tells whether an entry is stored with holes.
func sparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// local gives the clean form of a name that stays inside the archive.
func local(name string) (string, bool) {
	if name == "" || path.IsAbs(name) || strings.ContainsRune(name, 0) {
		return "", false
	}
	name = path.Clean(name)
	return name, name != "." && name != ".." && !strings.HasPrefix(name, "../")
}

func notArchive(what string) error {
	return &bulwark.Hint{
		Err:  fmt.Errorf("%s, so no image archive: %w", what, bulwark.ErrUnsupported),
		Next: "make one with docker save, podman save or skopeo copy; unpack a root file system and use bulwark scan fs",
	}
}

// find gives the content of a name, through links.
func (a *archive) find(name string) (*io.SectionReader, error) {
	name, ok := local(name)
	for range maxLinks {
		var e entry
		if ok {
			e, ok = a.entries[name]
		}
		if !ok {
			return nil, bulwark.ErrNotFound
		}
		if e.link == "" {
			return io.NewSectionReader(a.f, e.off, e.size), nil
		}
		name = e.link
	}
	return nil, fmt.Errorf("more than %d links: %w", maxLinks, bulwark.ErrTooLarge)
}

// A section is a part of an archive as a stream. It implements [io.ReaderAt].
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

func (a *archive) open(_ context.Context, d descriptor) (io.ReadCloser, error) {
	p, err := blobPath(d.Digest)
	if err != nil {
		return nil, err
	}
	s, err := a.find(p)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	if s.Size() != d.Size {
		return nil, fmt.Errorf("blob %s: %d bytes where %d were announced: %w", d.Digest, s.Size(), d.Size, bulwark.ErrDigest)
	}
	return section{s}, nil
}

func (a *archive) has(_ context.Context, d descriptor) error {
	p, err := blobPath(d.Digest)
	if err == nil {
		_, err = a.find(p)
	}
	return err
}

func (a *archive) file(name string, limit int64) ([]byte, error) {
	s, err := a.find(name)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	b, err := readAll(s, limit)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return b, nil
}

// tree opens an image of the archive. Archives of Docker 25 and later are both
// an OCI layout and a docker-archive: the layout tells more.
func (a *archive) tree(ctx context.Context, sel string, want *platform) (*bulwark.Tree, error) {
	saved, err := a.savedImages()
	if err != nil {
		return nil, err
	}
	if _, err := a.find("index.json"); err != nil {
		if saved == nil {
			if _, err := a.find("repositories"); err == nil {
				return nil, &bulwark.Hint{
					Err:  fmt.Errorf("archive of Docker 1.9 or older: %w", bulwark.ErrUnsupported),
					Next: "load it into a current engine and save it again",
				}
			}
			return nil, notArchive("neither manifest.json nor index.json in it")
		}
		return a.savedTree(ctx, saved, sel, want)
	}
	t, err := layoutTree(ctx, a, sel, want)
	if err != nil {
		return nil, err
	}
	t.Artifact.Source = "oci-archive"
	if saved == nil {
		return t, nil
	}
	t.Artifact.Source = "docker-archive"
	// An engine may load what manifest.json says. If that is another image, this
	// answer is not about what will run.
	i := slices.IndexFunc(saved, func(s savedImage) bool {
		return strings.Contains(path.Base(s.Config), t.Artifact.Config.Hex())
	})
	switch {
	case i >= 0:
		tags := append(t.Artifact.Image.RepoTags, saved[i].RepoTags...)
		slices.Sort(tags)
		t.Artifact.Image.RepoTags = slices.Compact(tags)
	case want == nil:
		t.Gaps = append(t.Gaps, bulwark.Gap{
			Kind: bulwark.GapMalformed, Path: "manifest.json", Hides: true,
			Detail: "manifest.json tells of another image than index.json, which was followed",
		})
	}
	return t, nil
}

// A savedImage is an entry of a docker-archive's manifest.json
// (https://github.com/moby/docker-image-spec/blob/main/spec.md).
type savedImage struct {
	Config   string
	RepoTags list[string]
	Layers   list[string]
}

// savedImages reads manifest.json; it gives nil if there is none.
func (a *archive) savedImages() ([]savedImage, error) {
	b, err := a.file("manifest.json", maxManifest)
	if errors.Is(err, bulwark.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var images list[savedImage]
	if err := json.Unmarshal(b, &images); err != nil {
		return nil, fmt.Errorf("parse manifest.json: %w", err)
	}
	if images == nil {
		images = list[savedImage]{}
	}
	return images, nil
}

// savedTree opens the image that sel names in manifest.json.
func (a *archive) savedTree(ctx context.Context, saved []savedImage, sel string, want *platform) (*bulwark.Tree, error) {
	im, err := selectSaved(saved, sel)
	if err != nil {
		return nil, err
	}
	if len(im.Layers) > maxLayers {
		return nil, fmt.Errorf("image of %d layers, limit %d: %w", len(im.Layers), maxLayers, bulwark.ErrTooLarge)
	}
	b, err := a.file(im.Config, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("image configuration %w", err)
	}
	cfg, err := parseConfig(b, len(im.Layers))
	if err != nil {
		return nil, err
	}
	id := digestOf(b, "")
	// The name is the digest: "<hex>.json", "sha256:<hex>" or "blobs/sha256/<hex>".
	named := strings.TrimPrefix(strings.TrimSuffix(path.Base(im.Config), ".json"), "sha256:")
	if len(named) == 64 && hexadecimal(named) && named != id.Hex() {
		return nil, fmt.Errorf("image configuration %q: its digest is %s: %w", im.Config, id, bulwark.ErrDigest)
	}
	if want != nil && cfg.platform != (platform{}) && !cfg.fits(*want) {
		return nil, noPlatform(*want, []platform{cfg.platform})
	}
	t := newTree(cfg, cfg.platform)
	t.Artifact.ID, t.Artifact.Config = id, id
	t.Artifact.Source = "docker-archive"
	t.Artifact.Image.RepoTags = im.RepoTags
	by := cfg.createdBy()
	for i, name := range im.Layers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := a.find(name)
		if err != nil {
			return nil, fmt.Errorf("layer %q: %w", name, err)
		}
		l := bulwark.Layer{DiffID: cfg.RootFS.DiffIDs[i], Blob: s.Size(), CreatedBy: by[i]}
		var head [6]byte
		n, err := s.ReadAt(head[:], 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("layer %q: %w", name, err)
		}
		if compression(head[:n]) == "" {
			l.Digest = l.DiffID // stored as it is
		}
		t.Layers = append(t.Layers, bulwark.Blob{
			Layer: l,
			Open: func(context.Context) (io.ReadCloser, error) {
				return section{io.NewSectionReader(s, 0, s.Size())}, nil
			},
		})
	}
	return t, nil
}

func selectSaved(saved []savedImage, sel string) (savedImage, error) {
	var hit []savedImage
	var names []string
	for _, im := range saved {
		names = append(names, im.RepoTags...)
		if sel == "" || slices.ContainsFunc(im.RepoTags, func(t string) bool { return selects(sel, t) }) ||
			len(sel) > 8 && sel[0] == '@' && strings.Contains(path.Base(im.Config), bulwark.Digest(sel[1:]).Hex()) {
			hit = append(hit, im)
		}
	}
	if len(names) > 30 {
		names = append(names[:30], "…")
	}
	switch {
	case len(hit) == 1:
		return hit[0], nil
	case len(saved) == 0:
		return savedImage{}, fmt.Errorf("archive without images: %w", bulwark.ErrNotFound)
	case len(hit) == 0:
		return savedImage{}, &bulwark.Hint{
			Err:  fmt.Errorf("image %q: %w", sel, bulwark.ErrNotFound),
			Next: fmt.Sprintf("names that are there: %q", names),
		}
	}
	return savedImage{}, &bulwark.Hint{
		Err:  fmt.Errorf("%d images: %w", len(hit), bulwark.ErrUsage),
		Next: fmt.Sprintf("name one of them behind the path, as in path:tag: %q", names),
	}
}
