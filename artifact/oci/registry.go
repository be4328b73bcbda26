// SPDX-License-Identifier: Apache-2.0

package oci

import (
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
	"github.com/google/go-containerregistry/pkg/authn" // Docker's and podman's credentials
	"github.com/google/go-containerregistry/pkg/name"  // the names of images
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Registry opens the image ref from the registry that its name tells, by the
// protocol of https://github.com/opencontainers/distribution-spec. Errors:
// [bulwark.ErrNotFound] for an image or platform that is not there,
// [bulwark.ErrUnsupported] for what is no image or of an old form,
// [bulwark.ErrDigest] and [bulwark.ErrTooLarge] for a registry that lies.
func (o *Opener) Registry(ctx context.Context, ref string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	if opt.Offline {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("registry: the network is off: %w", bulwark.ErrUsage),
			Next: "leave out --offline, or scan an image that is on this machine",
		}
	}
	want, err := parsePlatform(opt.Platform)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(ref, "sha256:") || len(ref) == 64 && imageID(ref) {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("registry: image id %q: %w", ref, bulwark.ErrNotFound),
			Next: "ids are known to engines only; give a registry a repository",
		}
	}
	r, err := parseName(ref, opt.PlainHTTP)
	if err != nil {
		return nil, err
	}
	rg, err := o.connect(ctx, r.Context(), opt)
	if err != nil {
		return nil, err
	}
	t, err := rg.tree(ctx, r, want)
	if err != nil {
		rg.idle()
		return nil, err
	}
	t.Artifact.Name = ref
	t.Artifact.Source = "registry"
	t.Close = once(func() error { rg.idle(); return nil })
	return t, nil
}

// A registry is one repository in a registry, with the way to speak to it.
type registry struct {
	o       *Opener
	repo    name.Repository
	base    *url.URL // of the repository: https://host/v2/name
	client  *http.Client
	idle    func()
	keyFail error // why no credentials were found
}

func (o *Opener) connect(ctx context.Context, repo name.Repository, opt bulwark.OpenOptions) (*registry, error) {
	tr, err := o.newTransport(opt.CAFile)
	if err != nil {
		return nil, err
	}
	host := repo.RegistryStr()
	rg := &registry{o: o, repo: repo, idle: tr.CloseIdleConnections}
	keys := o.Keychain
	if keys == nil {
		keys = authn.DefaultKeychain
	}
	auth, err := authn.Resolve(ctx, keys, repo)
	if err != nil {
		// A broken credential helper is no reason to refuse public images.
		auth, rg.keyFail = authn.Anonymous, err
	}
	g := &guard{
		inner: tr, host: host, plain: opt.PlainHTTP || loopback(host),
		tokenHosts: o.TokenHosts, agent: o.userAgent(),
	}
	rt, err := transport.NewWithContext(ctx, repo.Registry, auth, &retrier{g, o.backoff()}, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		tr.CloseIdleConnections()
		return nil, rg.explain(err)
	}
	rg.client = &http.Client{Transport: rt, CheckRedirect: redirect}
	// The transport changes the scheme to the one that answered.
	rg.base = &url.URL{Scheme: repo.Scheme(), Host: host, Path: "/v2/" + repo.RepositoryStr()}
	return rg, nil
}

// host gives the registry's name as people know it.
func (rg *registry) host() string {
	host, _, _ := strings.Cut(engineName(rg.repo), "/")
	return host
}

func (rg *registry) tree(ctx context.Context, r name.Reference, want *platform) (*bulwark.Tree, error) {
	d, raw, err := rg.root(ctx, r)
	if err != nil {
		return nil, err
	}
	res := &resolver{store: rg, want: want}
	im, err := res.resolve(ctx, d, raw)
	if err != nil {
		return nil, err
	}
	t, err := res.tree(ctx, im)
	if err != nil {
		return nil, err
	}
	full := engineName(rg.repo)
	t.Artifact.Image.RepoDigests = []string{full + "@" + string(d.Digest)}
	if tag, ok := r.(name.Tag); ok {
		t.Artifact.Image.RepoTags = []string{full + ":" + tag.TagStr()}
	}
	return t, nil
}

// root fetches what the name points to. A tag's digest is nowhere announced in
// a way that can be trusted; it is computed.
func (rg *registry) root(ctx context.Context, r name.Reference) (descriptor, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	resp, err := rg.get(ctx, "manifests", r.Identifier(), 0)
	if err != nil {
		if errors.Is(err, bulwark.ErrNotFound) {
			err = rg.missing(ctx, r)
		}
		return descriptor{}, nil, err
	}
	defer resp.Body.Close()
	b, err := readAll(resp.Body, maxManifest)
	if err != nil {
		return descriptor{}, nil, fmt.Errorf("manifest: %w", rg.explain(err))
	}
	d := descriptor{MediaType: resp.Header.Get("Content-Type"), Size: int64(len(b))}
	if dg, ok := r.(name.Digest); ok {
		d.Digest = bulwark.Digest(dg.DigestStr())
		if !d.Digest.Valid() {
			return descriptor{}, nil, fmt.Errorf("digest %q: %w", d.Digest, bulwark.ErrUsage)
		}
	}
	if got := digestOf(b, d.Digest); d.Digest != "" && got != d.Digest {
		return descriptor{}, nil, fmt.Errorf("manifest %s: its digest is %s: %w", d.Digest, got, bulwark.ErrDigest)
	}
	d.Digest = digestOf(b, d.Digest)
	return d, b, nil
}

// accept lists what is understood, and what is told apart to give a good error.
func accept() string {
	return strings.Join([]string{
		typeIndex, typeDockerList, typeManifest, typeDockerImage, typeSchema1JWS + ";q=0.1", typeSchema1 + ";q=0.1",
	}, ", ")
}

// get asks for a manifest or blob from byte off on. The reply's status is 200,
// or 206 if off is not zero.
func (rg *registry) get(ctx context.Context, kind, id string, off int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rg.base.JoinPath(kind, id).String(), nil)
	if err != nil {
		return nil, err
	}
	if kind == "manifests" {
		req.Header.Set("Accept", accept())
	}
	if off > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(off, 10)+"-")
	}
	resp, err := rg.client.Do(req)
	if err != nil {
		return nil, rg.explain(err)
	}
	ok := []int{http.StatusOK}
	if off > 0 {
		ok = append(ok, http.StatusPartialContent)
	}
	if err := transport.CheckError(resp, ok...); err != nil {
		resp.Body.Close()
		return nil, rg.explain(err)
	}
	return resp, nil
}

// open streams a blob or manifest. A layer's stream resumes where it breaks.
func (rg *registry) open(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	if !d.Digest.Valid() {
		return nil, fmt.Errorf("digest %q: not sha256 or sha512", d.Digest)
	}
	if isManifestType(d.MediaType) || isIndexType(d.MediaType) || isSchema1Type(d.MediaType) {
		resp, err := rg.get(ctx, "manifests", string(d.Digest), 0)
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}
	from := func(off int64) (io.ReadCloser, error) { return rg.blob(ctx, d, off) }
	body, err := from(0)
	if err != nil {
		return nil, err
	}
	return &download{open: from, size: d.Size, body: body}, nil
}

func (rg *registry) blob(ctx context.Context, d descriptor, off int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(context.WithValue(ctx, blobKey{}, true))
	resp, err := rg.get(ctx, "blobs", string(d.Digest), off) //nolint:bodyclose // the reader made of it below closes it
	if err != nil {
		cancel()
		return nil, err
	}
	body := stall(resp.Body, rg.o.stall(), cancel)
	start := int64(0)
	if resp.StatusCode == http.StatusPartialContent {
		start = off
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(off, 10)+"-") {
			body.Close()
			return nil, fmt.Errorf("blob %s: asked for bytes from %d, got %q", d.Digest, off, resp.Header.Get("Content-Range"))
		}
	}
	if resp.ContentLength >= 0 && resp.ContentLength != d.Size-start {
		body.Close()
		return nil, fmt.Errorf("blob %s: %d bytes where %d were announced: %w", d.Digest, resp.ContentLength, d.Size-start, bulwark.ErrDigest)
	}
	if _, err := io.CopyN(io.Discard, body, off-start); err != nil {
		body.Close()
		return nil, err
	}
	return body, nil
}

func (rg *registry) has(ctx context.Context, d descriptor) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, rg.base.JoinPath("blobs", string(d.Digest)).String(), nil)
	if err != nil {
		return err
	}
	resp, err := rg.client.Do(req)
	if err != nil {
		return rg.explain(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("blob %s: status %d: %w", d.Digest, resp.StatusCode, bulwark.ErrNotFound)
	}
	return nil
}

// missing explains that a name is not there, with names that are like it.
func (rg *registry) missing(ctx context.Context, r name.Reference) error {
	err := fmt.Errorf("image %q in registry %q: %w", rg.repo.RepositoryStr()+sepID(r), rg.host(), bulwark.ErrNotFound)
	tags, terr := rg.tags(ctx)
	if terr != nil {
		return &bulwark.Hint{Err: err, Next: "check the spelling of the repository"}
	}
	if near := nearest(r.Identifier(), tags); len(near) > 0 {
		return &bulwark.Hint{Err: err, Next: fmt.Sprintf("tags like it: %q", near)}
	}
	return &bulwark.Hint{Err: err, Next: "the repository is there, check the tag or digest"}
}

func sepID(r name.Reference) string {
	if _, ok := r.(name.Digest); ok {
		return "@" + r.Identifier()
	}
	return ":" + r.Identifier()
}

func (rg *registry) tags(ctx context.Context) ([]string, error) {
	u := rg.base.JoinPath("tags", "list")
	u.RawQuery = "n=1000"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := rg.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, err
	}
	b, err := readAll(resp.Body, 1<<20)
	if err != nil {
		return nil, err
	}
	var v struct {
		Tags list[string] `json:"tags"`
	}
	err = json.Unmarshal(b, &v)
	return v.Tags, err
}

// nearest gives up to three of the names that are most like want, best first.
func nearest(want string, names []string) []string {
	type near struct {
		name string
		far  int
	}
	var ns []near
	for _, n := range names {
		if len(n) > 128 || len(want) > 128 {
			continue
		}
		if far := distance(want, n); far <= max(2, len(want)/2) {
			ns = append(ns, near{n, far})
		}
	}
	slices.SortFunc(ns, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name))
	})
	var out []string
	for _, n := range ns[:min(3, len(ns))] {
		out = append(out, n.name)
	}
	return out
}

// distance counts the bytes to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
