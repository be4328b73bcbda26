// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// metadataTime is how long one manifest or configuration may take: a source
// that sends a byte a second must not hold a scan for ever.
const metadataTime = 2 * time.Minute

// A store holds the blobs of images by digest. It checks nothing that the
// caller of its methods can check.
type store interface {
	// open streams the blob that d points to.
	open(ctx context.Context, d descriptor) (io.ReadCloser, error)
	// has tells whether the blob is there: nil, or why not.
	has(ctx context.Context, d descriptor) error
}

// fetch reads the small blob that d points to and checks its size and digest.
func fetch(ctx context.Context, s store, d descriptor, limit int64) ([]byte, error) {
	switch {
	case !d.Digest.Valid():
		return nil, fmt.Errorf("digest %q: not sha256 or sha512", d.Digest)
	case d.Size > limit:
		return nil, fmt.Errorf("read %s: %d bytes, limit %d: %w", d.Digest, d.Size, limit, bulwark.ErrTooLarge)
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	rc, err := s.open(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	b, err := readAll(rc, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.Digest, err)
	}
	if int64(len(b)) != d.Size {
		return nil, fmt.Errorf("read %s: %d bytes where %d were announced: %w", d.Digest, len(b), d.Size, bulwark.ErrDigest)
	}
	if got := digestOf(b, d.Digest); got != d.Digest {
		return nil, fmt.Errorf("read %s: its digest is %s: %w", d.Digest, got, bulwark.ErrDigest)
	}
	return b, nil
}

// readAll reads r to its end, which must come within limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("more than %d bytes: %w", limit, bulwark.ErrTooLarge)
	}
	return b, err
}

// A resolver goes from a descriptor to the manifest of one image.
type resolver struct {
	store   store
	want    *platform
	fetches int
}

// A candidate is one image manifest that an index offers.
type candidate struct {
	descriptor
	platform platform
}

// An image is one image manifest, and the platform for which an index offers it.
type image struct {
	desc     descriptor
	manifest *manifest
	offered  platform
}

// resolve follows d, whose bytes may be given, to the image for the platform.
func (r *resolver) resolve(ctx context.Context, d descriptor, raw []byte) (*image, error) {
	m, err := r.load(ctx, d, raw)
	if err != nil {
		return nil, err
	}
	if !m.index() {
		return &image{desc: d, manifest: m}, nil
	}
	return r.pick(ctx, m.Manifests, 1)
}

func (r *resolver) load(ctx context.Context, d descriptor, raw []byte) (*manifest, error) {
	if raw == nil {
		if r.fetches++; r.fetches > maxFetches {
			return nil, fmt.Errorf("index of more than %d indexes: %w", maxFetches, bulwark.ErrTooLarge)
		}
		var err error
		if raw, err = fetch(ctx, r.store, d, maxManifest); err != nil {
			return nil, fmt.Errorf("manifest: %w", err)
		}
	}
	m, err := parseManifest(raw, d.MediaType)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	return m, nil
}

// pick chooses among the entries of an index that stands depth indexes deep.
func (r *resolver) pick(ctx context.Context, ds []descriptor, depth int) (*image, error) {
	cs, other, err := r.candidates(ctx, ds, depth)
	if err != nil {
		return nil, err
	}
	if len(cs) == 0 {
		if other != "" {
			return nil, fmt.Errorf("index without images, but with %q: %w", other, bulwark.ErrUnsupported)
		}
		return nil, fmt.Errorf("index without images: %w", bulwark.ErrNotFound)
	}
	if len(cs) == 1 && cs[0].platform == (platform{}) {
		return r.image(ctx, cs[0])
	}
	// Entries may leave their platform to the configuration.
	ps := make([]platform, len(cs))
	for i := range cs {
		if cs[i].platform == (platform{}) {
			if cs[i].platform, err = r.platformOf(ctx, cs[i]); err != nil {
				return nil, err
			}
		}
		ps[i] = cs[i].platform
	}
	i, err := choose(ps, r.want)
	if err != nil {
		return nil, err
	}
	return r.image(ctx, cs[i])
}

func (r *resolver) image(ctx context.Context, c candidate) (*image, error) {
	m, err := r.load(ctx, c.descriptor, nil)
	if err != nil {
		return nil, err
	}
	if m.index() {
		return nil, fmt.Errorf("%s: parse manifest: an index where an image was announced", c.Digest)
	}
	return &image{desc: c.descriptor, manifest: m, offered: c.platform}, nil
}

func (r *resolver) platformOf(ctx context.Context, c candidate) (platform, error) {
	m, err := r.load(ctx, c.descriptor, nil)
	if err != nil {
		return platform{}, err
	}
	if m.index() || m.checkImage() != nil {
		return platform{OS: "unknown"}, nil
	}
	cfg, err := readConfig(ctx, r.store, m)
	if err != nil {
		return platform{}, err
	}
	return cfg.platform, nil
}

// candidates lists the images of an index and of those inside it, without
// attestations, signatures and other things that are attached to images. other
// is the type of something that was left out.
func (r *resolver) candidates(ctx context.Context, ds []descriptor, depth int) (cs []candidate, other string, err error) {
	for _, d := range ds {
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		if !d.Digest.Valid() || d.Size < 0 {
			return nil, "", fmt.Errorf("parse index: entry with digest %q and size %d", d.Digest, d.Size)
		}
		if d.Annotations["vnd.docker.reference.type"] != "" || d.Platform != nil && d.Platform.unknown() {
			other = "attestations"
			continue
		}
		if d.ArtifactType != "" && !isConfigType(d.ArtifactType) {
			other = d.ArtifactType
			continue
		}
		if d.MediaType == "" {
			d.MediaType = typeManifest
		}
		switch {
		case isManifestType(d.MediaType) || isSchema1Type(d.MediaType):
			c := candidate{descriptor: d}
			if d.Platform != nil {
				c.platform = *d.Platform
			}
			cs = append(cs, c)
		case isIndexType(d.MediaType):
			if depth >= maxDepth {
				return nil, "", fmt.Errorf("indexes inside each other, more than %d: %w", maxDepth, bulwark.ErrTooLarge)
			}
			m, err := r.load(ctx, d, nil)
			if err != nil {
				return nil, "", err
			}
			inner, o, err := r.candidates(ctx, m.Manifests, depth+1)
			if err != nil {
				return nil, "", err
			}
			cs = append(cs, inner...)
			if o != "" {
				other = o
			}
		default:
			other = d.MediaType
		}
		if len(cs) > maxIndex {
			return nil, "", fmt.Errorf("index of more than %d images: %w", maxIndex, bulwark.ErrTooLarge)
		}
	}
	return cs, other, nil
}

func readConfig(ctx context.Context, s store, m *manifest) (*config, error) {
	b, err := fetch(ctx, s, *m.Config, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("image configuration: %w", err)
	}
	return parseConfig(b, len(m.Layers))
}

// tree makes the Tree of an image whose blobs are in s. The caller sets the
// Artifact's Name and Source, its tags, and Close.
func (r *resolver) tree(ctx context.Context, im *image) (*bulwark.Tree, error) {
	m := im.manifest
	if err := m.checkImage(); err != nil {
		return nil, err
	}
	cfg, err := readConfig(ctx, r.store, m)
	if err != nil {
		return nil, err
	}
	p := im.offered
	if p == (platform{}) {
		p = cfg.platform
		if r.want != nil && p != (platform{}) && !p.fits(*r.want) {
			return nil, noPlatform(*r.want, []platform{p})
		}
	}
	t := newTree(cfg, p)
	t.Artifact.ID = im.desc.Digest
	t.Artifact.Config = m.Config.Digest
	by := cfg.createdBy()
	for i, d := range m.Layers {
		diff := cfg.RootFS.DiffIDs[i]
		readable, foreign := layerType(d.MediaType)
		if !readable {
			t.Gaps = append(t.Gaps, bulwark.Gap{
				Kind: bulwark.GapUnsupported, Layer: diff, Hides: true,
				Detail: fmt.Sprintf("layer %d is of media type %q", i+1, d.MediaType),
			})
			continue
		}
		if foreign || len(d.URLs) > 0 {
			// A manifest can name any address; following it would make the scanner
			// a proxy into its own network.
			if err := r.store.has(ctx, d); err != nil {
				if ctx.Err() != nil {
					return nil, err
				}
				t.Gaps = append(t.Gaps, bulwark.Gap{
					Kind: bulwark.GapSkipped, Layer: diff, Hides: true,
					Detail: fmt.Sprintf("layer %d is kept elsewhere, and addresses in manifests are not followed", i+1),
				})
				continue
			}
		}
		t.Layers = append(t.Layers, bulwark.Blob{
			Layer: bulwark.Layer{DiffID: diff, Digest: d.Digest, Blob: d.Size, CreatedBy: by[i]},
			Open:  func(ctx context.Context) (io.ReadCloser, error) { return r.store.open(ctx, d) },
		})
	}
	if len(t.Layers) == 0 && len(m.Layers) > 0 {
		return nil, fmt.Errorf("image of which no layer can be read: %s: %w", t.Gaps[0].Detail, bulwark.ErrUnsupported)
	}
	return t, nil
}

// allThere asks s for every layer of t, so that an incomplete image is told
// before anything is read.
func allThere(ctx context.Context, s store, t *bulwark.Tree) error {
	for _, b := range t.Layers {
		if err := s.has(ctx, descriptor{Digest: b.Digest, Size: b.Blob}); err != nil {
			return fmt.Errorf("layer %s: %w", b.Digest, err)
		}
	}
	return nil
}

// newTree makes a Tree without layers of what a configuration says.
func newTree(c *config, p platform) *bulwark.Tree {
	im := &bulwark.Image{
		User:       c.Config.User,
		Env:        c.Config.Env,
		Entrypoint: c.Config.Entrypoint,
		Cmd:        c.Config.Cmd,
		WorkingDir: c.Config.WorkingDir,
		Ports:      slices.Sorted(maps.Keys(c.Config.ExposedPorts)),
		Volumes:    slices.Sorted(maps.Keys(c.Config.Volumes)),
		Labels:     c.Config.Labels,
	}
	if h := c.Config.Healthcheck; h != nil {
		im.Healthcheck = h.Test
	}
	for _, h := range c.History {
		im.History = append(im.History, bulwark.History{
			Created: h.Created.Time, CreatedBy: h.CreatedBy, Comment: h.Comment, Empty: h.Empty,
		})
	}
	return &bulwark.Tree{
		Artifact: bulwark.Artifact{
			Kind:     bulwark.KindImage,
			Platform: p.normal().String(),
			Created:  c.Created.Time,
			Image:    im,
		},
		Close: func() error { return nil },
	}
}

// createdBy gives the instruction of each layer. Where the history does not tell
// of as many layers as there are, nobody knows which step made which, and all
// are "".
func (c *config) createdBy() []string {
	by := make([]string, 0, len(c.RootFS.DiffIDs))
	for _, h := range c.History {
		if !h.Empty {
			by = append(by, h.CreatedBy)
		}
	}
	if len(by) != len(c.RootFS.DiffIDs) {
		return make([]string, len(c.RootFS.DiffIDs))
	}
	return by
}

// once makes closing twice harmless.
func once(closers ...func() error) func() error {
	return sync.OnceValue(func() error {
		var errs []error
		for _, c := range closers {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	})
}

// tagged gives the annotations by which a layout names an image: its tag, and
// the full name that Docker and containerd add.
func tagged(d descriptor) []string {
	var names []string
	for _, k := range []string{"io.containerd.image.name", "org.opencontainers.image.ref.name"} {
		if n := strings.TrimSpace(d.Annotations[k]); n != "" {
			names = append(names, n)
		}
	}
	return names
}
