// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The kinds of what is kept in a registry that is no image, by
// https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage.
const (
	typeEmpty = "application/vnd.oci.empty.v1+json"
	emptyText = "{}"
)

// ArtifactTypes are the media types of an artifact of blobs.
type ArtifactTypes struct {
	Artifact string // of the whole
	Index    string // of the first layer, which names the others
	Blob     string // of the other layers
}

// A Repository keeps an artifact under one name in a registry: an index, which is
// its first layer, and the blobs that the index speaks of. It is safe for
// concurrent use.
type Repository struct {
	rg    *registry
	ref   name.Reference
	types ArtifactTypes
}

// Repository connects to the repository of ref. With write the registry is asked
// for the right to push. The caller calls Close.
func (o *Opener) Repository(ctx context.Context, ref string, types ArtifactTypes, write bool, opt bulwark.OpenOptions) (*Repository, error) {
	if opt.Offline {
		return nil, &bulwark.Hint{Err: fmt.Errorf("registry: the network is off: %w", bulwark.ErrUsage), Next: "leave out --offline, or give a folder"}
	}
	r, err := parseName(ref, opt.PlainHTTP)
	if err != nil {
		return nil, err
	}
	rg, err := o.connect(ctx, r.Context(), opt)
	if err != nil {
		return nil, err
	}
	if write {
		if err := o.mayPush(ctx, rg, opt); err != nil {
			rg.idle()
			return nil, err
		}
	}
	return &Repository{rg, r, types}, nil
}

// mayPush replaces the registry's client with one that may write.
func (o *Opener) mayPush(ctx context.Context, rg *registry, opt bulwark.OpenOptions) error {
	tr, err := o.newTransport(opt.CAFile)
	if err != nil {
		return err
	}
	keys := o.Keychain
	if keys == nil {
		keys = authn.DefaultKeychain
	}
	auth, err := authn.Resolve(ctx, keys, rg.repo)
	if err != nil {
		auth = authn.Anonymous // connect noted why
	}
	host := rg.repo.RegistryStr()
	g := &guard{inner: tr, host: host, plain: opt.PlainHTTP || loopback(host), tokenHosts: o.TokenHosts, agent: o.userAgent()}
	rt, err := transport.NewWithContext(ctx, rg.repo.Registry, auth, &retrier{g, o.backoff()}, []string{rg.repo.Scope(transport.PushScope)})
	if err != nil {
		tr.CloseIdleConnections()
		return rg.explain(err)
	}
	idle := rg.idle
	rg.client = &http.Client{Transport: rt, CheckRedirect: redirect}
	rg.idle = func() { idle(); tr.CloseIdleConnections() }
	return nil
}

// Close gives up the connections.
func (r *Repository) Close() error {
	r.rg.idle()
	return nil
}

// artifactManifest is what is read and written of an image manifest.
type artifactManifest struct {
	SchemaVersion int                `json:"schemaVersion"`
	MediaType     string             `json:"mediaType"`
	ArtifactType  string             `json:"artifactType,omitempty"`
	Config        artifactPart       `json:"config"`
	Layers        list[artifactPart] `json:"layers"`
}

type artifactPart struct {
	MediaType string         `json:"mediaType"`
	Digest    bulwark.Digest `json:"digest"`
	Size      int64          `json:"size"`
	Data      []byte         `json:"data,omitempty"`
}

// Index gives the first layer of the artifact. It is [bulwark.ErrNotFound] when
// nothing has the name, and [bulwark.ErrUnsupported] when something else has it.
func (r *Repository) Index(ctx context.Context) ([]byte, error) {
	_, raw, err := r.rg.root(ctx, r.ref)
	if err != nil {
		return nil, err
	}
	var m artifactManifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w: %w", err, bulwark.ErrUnsupported)
	}
	if m.ArtifactType != r.types.Artifact || len(m.Layers) == 0 || m.Layers[0].MediaType != r.types.Index {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("%q is %q and not %s: %w", r.ref.Name(), cmp.Or(m.ArtifactType, m.Config.MediaType, m.MediaType), r.types.Artifact, bulwark.ErrUnsupported),
			Next: "check the name: this one has something else",
		}
	}
	d := m.Layers[0]
	if d.Size < 0 || d.Size > maxConfig {
		return nil, fmt.Errorf("index of %d bytes: %w", d.Size, bulwark.ErrTooLarge)
	}
	body, _, err := r.Open(ctx, d.Digest, d.Size, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := readAll(body, d.Size)
	if err != nil {
		return nil, fmt.Errorf("index: %w", r.rg.explain(err))
	}
	if got := digestOf(b, d.Digest); got != d.Digest {
		return nil, fmt.Errorf("index %s: its digest is %s: %w", d.Digest, got, bulwark.ErrDigest)
	}
	return b, nil
}

// Open gives a blob of size bytes from byte off on; at is 0 when the registry
// sends it from the start nevertheless. The bytes are not checked.
func (r *Repository) Open(ctx context.Context, d bulwark.Digest, size, off int64) (body io.ReadCloser, at int64, err error) {
	if !d.Valid() || off < 0 || off > size {
		return nil, 0, fmt.Errorf("blob %q from byte %d of %d on: %w", d, off, size, bulwark.ErrUsage)
	}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, blobKey{}, true))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.rg.base.JoinPath("blobs", string(d)).String(), nil)
	if err != nil {
		cancel()
		return nil, 0, err
	}
	if off > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(off, 10)+"-"+strconv.FormatInt(size-1, 10))
	}
	resp, err := r.rg.client.Do(req)
	if err != nil {
		cancel()
		return nil, 0, r.rg.explain(err)
	}
	if off > 0 && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		resp.Body.Close()
		cancel()
		return r.Open(ctx, d, size, 0)
	}
	if err := transport.CheckError(resp, http.StatusOK, http.StatusPartialContent); err != nil {
		resp.Body.Close()
		cancel()
		return nil, 0, r.rg.explain(err)
	}
	if resp.StatusCode == http.StatusPartialContent {
		if at = off; !strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(off, 10)+"-") {
			resp.Body.Close()
			cancel()
			return nil, 0, fmt.Errorf("blob %s: asked for bytes from %d on, got %.80q: %w", d, off, resp.Header.Get("Content-Range"), bulwark.ErrDigest)
		}
	}
	return stall(resp.Body, r.rg.o.stall(), cancel), at, nil
}

// Has tells whether the repository has a blob.
func (r *Repository) Has(ctx context.Context, d bulwark.Digest, size int64) (bool, error) {
	err := r.rg.has(ctx, descriptor{Digest: d, Size: size})
	if errors.Is(err, bulwark.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Put uploads a blob. It may call open more than once.
func (r *Repository) Put(ctx context.Context, d bulwark.Digest, size int64, open func() (io.ReadCloser, error)) error {
	h, err := v1.NewHash(string(d))
	if err != nil {
		return fmt.Errorf("blob %q: %w", d, bulwark.ErrUsage)
	}
	l := &layerOf{h, size, open, types.MediaType(r.types.Blob)}
	if err := remote.WriteLayer(r.rg.repo, l, r.options(ctx)...); err != nil {
		return fmt.Errorf("upload %s: %w", d, r.refused(err))
	}
	return nil
}

func (r *Repository) options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithTransport(r.rg.client.Transport)}
}

// refused says what to do when a registry does not let one write.
func (r *Repository) refused(err error) error {
	var status *transport.Error
	if errors.As(err, &status) && (status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden) {
		return &bulwark.Hint{
			Err:  fmt.Errorf("registry %q: status %d", r.rg.host(), status.StatusCode),
			Next: fmt.Sprintf("log in as somebody who may push to %q: docker login %s or podman login %[2]s", r.rg.repo.RepositoryStr(), r.rg.host()),
		}
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // the address may carry a signature
	}
	return r.rg.explain(err)
}

// Commit makes an artifact of index and blobs and gives it the name. The blobs
// have been put.
func (r *Repository) Commit(ctx context.Context, index []byte, blobs map[bulwark.Digest]int64) error {
	m := artifactManifest{
		SchemaVersion: 2, MediaType: typeManifest, ArtifactType: r.types.Artifact,
		Config: artifactPart{MediaType: typeEmpty, Digest: digestOf([]byte(emptyText), ""), Size: int64(len(emptyText)), Data: []byte(emptyText)},
		Layers: list[artifactPart]{{MediaType: r.types.Index, Digest: digestOf(index, ""), Size: int64(len(index))}},
	}
	for _, part := range []struct {
		artifactPart
		content []byte
	}{{m.Config, []byte(emptyText)}, {m.Layers[0], index}} {
		err := r.Put(ctx, part.Digest, part.Size, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(part.content)), nil })
		if err != nil {
			return err
		}
	}
	for d, size := range blobs {
		m.Layers = append(m.Layers, artifactPart{MediaType: r.types.Blob, Digest: d, Size: size})
	}
	slices.SortFunc(m.Layers[1:], func(a, b artifactPart) int { return cmp.Compare(a.Digest, b.Digest) })
	raw, err := json.Marshal(&m)
	if err != nil {
		return err
	}
	if int64(len(raw)) > maxManifest {
		return fmt.Errorf("manifest of %d bytes: %w", len(raw), bulwark.ErrTooLarge)
	}
	if err := remote.Put(r.ref, rawManifest(raw), r.options(ctx)...); err != nil {
		return fmt.Errorf("write manifest: %w", r.refused(err))
	}
	return nil
}

// rawManifest is a manifest as the registry client takes it.
type rawManifest []byte

func (m rawManifest) RawManifest() ([]byte, error)        { return m, nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return typeManifest, nil }

// layerOf is a blob as the registry client takes it.
type layerOf struct {
	digest v1.Hash
	size   int64
	open   func() (io.ReadCloser, error)
	kind   types.MediaType
}

func (l *layerOf) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l *layerOf) DiffID() (v1.Hash, error)             { return l.digest, nil }
func (l *layerOf) Compressed() (io.ReadCloser, error)   { return l.open() }
func (l *layerOf) Uncompressed() (io.ReadCloser, error) { return l.open() }
func (l *layerOf) Size() (int64, error)                 { return l.size, nil }
func (l *layerOf) MediaType() (types.MediaType, error)  { return l.kind, nil }
