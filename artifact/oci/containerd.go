// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/bulwark-sec/bulwark"
	"google.golang.org/protobuf/encoding/protowire"
)

// The services of https://github.com/containerd/containerd/tree/main/api/services
// that are used.
const (
	callImage = "containerd.services.images.v1.Images/Get"
	callInfo  = "containerd.services.content.v1.Content/Info"
	callRead  = "containerd.services.content.v1.Content/Read"
)

// Containerd opens the image ref from containerd's content store, in the
// namespace of CONTAINERD_NAMESPACE or else in default, k8s.io (the kubelet's)
// or moby (Docker's). Layers stream from containerd. An image that containerd
// does not have, one whose layers it has thrown away after unpacking, and a
// containerd that does not run, are [bulwark.ErrNotFound].
func (o *Opener) Containerd(ctx context.Context, ref string, opt bulwark.OpenOptions) (*bulwark.Tree, error) {
	want, err := parsePlatform(opt.Platform)
	if err != nil {
		return nil, err
	}
	socket := strings.TrimPrefix(o.env("CONTAINERD_ADDRESS"), "unix://")
	if socket == "" {
		sockets := []string{"/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/docker/containerd/containerd.sock"}
		i := slices.IndexFunc(sockets, isSocket)
		if i < 0 {
			return nil, absent("containerd", "start containerd, or set CONTAINERD_ADDRESS")
		}
		socket = sockets[i]
	}
	namespaces := []string{"default", "k8s.io", "moby"}
	if n := o.env("CONTAINERD_NAMESPACE"); n != "" {
		namespaces = []string{n}
	}
	client, idle := newGRPC(socket)
	t, err := containerdTree(ctx, client, namespaces, ref, want)
	if err != nil {
		idle()
		return nil, err
	}
	t.Artifact.Name = ref
	t.Artifact.Source = "containerd"
	t.Close = once(func() error { idle(); return nil })
	return t, nil
}

func containerdTree(ctx context.Context, client *http.Client, namespaces []string, ref string, want *platform) (*bulwark.Tree, error) {
	for _, ns := range namespaces {
		s := &contentStore{client: client, header: map[string]string{"containerd-namespace": ns}}
		for _, n := range localNames(ref) {
			d, err := s.image(ctx, n)
			if errors.Is(err, bulwark.ErrNotFound) && !errors.Is(err, errAbsent) {
				continue
			}
			if err != nil {
				return nil, err
			}
			r := &resolver{store: s, want: want}
			im, err := r.resolve(ctx, d, nil)
			if err != nil {
				return nil, fmt.Errorf("containerd: %w", err)
			}
			t, err := r.tree(ctx, im)
			if err != nil {
				return nil, fmt.Errorf("containerd: %w", err)
			}
			if err := allThere(ctx, s, t); err != nil {
				return nil, &bulwark.Hint{
					Err:  fmt.Errorf("containerd: %w", err),
					Next: "containerd is set to discard layers after unpacking; use --from registry",
				}
			}
			if strings.Contains(n, "@") {
				t.Artifact.Image.RepoDigests = []string{n}
			} else {
				t.Artifact.Image.RepoTags = []string{n}
			}
			return t, nil
		}
	}
	return nil, fmt.Errorf("containerd has no such image in the namespaces %q: %w", namespaces, bulwark.ErrNotFound)
}

// A contentStore is containerd's, in one namespace.
type contentStore struct {
	client *http.Client
	header map[string]string
}

func stringField(n protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), s)
}

func (s *contentStore) call(ctx context.Context, method string, message []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	b, err := one(ctx, s.client, method, s.header, message)
	if err != nil {
		return nil, explainContainerd(err)
	}
	return b, nil
}

// image gives the descriptor that a name points to.
func (s *contentStore) image(ctx context.Context, name string) (descriptor, error) {
	b, err := s.call(ctx, callImage, stringField(1, name))
	for _, n := range []protowire.Number{1, 3} { // image, and its target
		if err == nil {
			b, err = field(b, n)
		}
	}
	var d descriptor
	if err == nil {
		err = fields(b, func(n protowire.Number, v []byte, number uint64) {
			switch {
			case n == 1 && v != nil:
				d.MediaType = string(v)
			case n == 2 && v != nil:
				d.Digest = bulwark.Digest(v)
			case n == 3:
				d.Size = int64(number)
			}
		})
	}
	return d, err
}

func (s *contentStore) has(ctx context.Context, d descriptor) error {
	_, err := s.call(ctx, callInfo, stringField(1, string(d.Digest)))
	return err
}

func (s *contentStore) open(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	if !d.Digest.Valid() {
		return nil, fmt.Errorf("digest %q: not sha256 or sha512", d.Digest)
	}
	ctx, cancel := context.WithCancel(ctx)
	c, err := newCall(ctx, s.client, callRead, s.header, stringField(1, string(d.Digest)))
	if err != nil {
		cancel()
		return nil, explainContainerd(err)
	}
	return &content{call: c, cancel: cancel, left: d.Size}, nil
}

// content is a stream of chunks as a reader.
type content struct {
	call   *call
	cancel context.CancelFunc
	chunk  []byte
	left   int64 // bytes that must still come
}

func (c *content) Read(p []byte) (int, error) {
	for len(c.chunk) == 0 {
		m, err := c.call.next()
		if errors.Is(err, io.EOF) && c.left > 0 {
			err = io.ErrUnexpectedEOF
		}
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, explainContainerd(err)
		}
		if c.chunk, err = field(m, 2); err != nil {
			return 0, explainContainerd(err)
		}
		if c.left -= int64(len(c.chunk)); c.left < 0 {
			c.chunk = nil
			return 0, fmt.Errorf("containerd: blob is longer than announced: %w", bulwark.ErrDigest)
		}
	}
	n := copy(p, c.chunk)
	c.chunk = c.chunk[n:]
	return n, nil
}

func (c *content) Close() error {
	c.cancel()
	return c.call.close()
}

func explainContainerd(err error) error {
	var ge *grpcError
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return absent("containerd", "start it, or check CONTAINERD_ADDRESS")
	case errors.Is(err, fs.ErrPermission), errors.As(err, &ge) && ge.code == codePermissionDenied:
		return &bulwark.Hint{Err: errors.New("containerd: permission denied"), Next: "run as root, or as a user who may use its socket"}
	}
	return fmt.Errorf("containerd: %w", err)
}
