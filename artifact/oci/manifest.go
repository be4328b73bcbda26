// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// Limits of what describes an image. Registries refuse manifests of more than
// 4 MiB themselves; overlay file systems stop at 500 layers, Docker at 127.
const (
	maxManifest = 4 << 20
	maxConfig   = 8 << 20
	maxLayers   = 1000
	maxIndex    = 1000   // entries of one index
	maxDepth    = 2      // indexes inside each other
	maxFetches  = 32     // nested indexes and manifests that one choice may read
	maxItems    = 10_000 // of any other list or table in these documents
)

// Media types, from https://github.com/opencontainers/image-spec/blob/main/media-types.md
// and https://github.com/distribution/distribution/blob/main/docs/content/spec/manifest-v2-2.md
const (
	typeIndex        = "application/vnd.oci.image.index.v1+json"
	typeManifest     = "application/vnd.oci.image.manifest.v1+json"
	typeConfig       = "application/vnd.oci.image.config.v1+json"
	typeDockerList   = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeDockerImage  = "application/vnd.docker.distribution.manifest.v2+json"
	typeDockerConfig = "application/vnd.docker.container.image.v1+json"
	typeSchema1      = "application/vnd.docker.distribution.manifest.v1+json"
	typeSchema1JWS   = "application/vnd.docker.distribution.manifest.v1+prettyjws"
)

func isIndexType(t string) bool    { return t == typeIndex || t == typeDockerList }
func isManifestType(t string) bool { return t == typeManifest || t == typeDockerImage }
func isConfigType(t string) bool   { return t == typeConfig || t == typeDockerConfig }
func isSchema1Type(t string) bool  { return t == typeSchema1 || t == typeSchema1JWS }

// layerType tells whether a layer of media type t is a tar stream that can be
// read, and whether it is one that its maker does not want in registries.
func layerType(t string) (readable, foreign bool) {
	for _, base := range []string{
		"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar",
	} {
		rest, ok := strings.CutPrefix(t, base)
		if !ok {
			continue
		}
		switch rest {
		case "", "+gzip", ".gzip", "+zstd", ".zstd":
			return true, strings.Contains(base, "nondistributable") || strings.Contains(base, "foreign")
		}
	}
	return false, false
}

// A list is a JSON array that is refused above maxItems before it takes memory:
// "[{},{},…" grows a hundredfold when it is decoded.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("not a list")
	}
	*l = list[T]{} // an empty list is not a missing one
	for d.More() {
		if len(*l) == maxItems {
			return fmt.Errorf("list of more than %d: %w", maxItems, bulwark.ErrTooLarge)
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		*l = append(*l, v)
	}
	return nil
}

// A table is a JSON object, with the limit of a list.
type table[T any] map[string]T

func (t *table[T]) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return errors.New("not an object")
	}
	m := table[T]{}
	for d.More() {
		if len(m) == maxItems {
			return fmt.Errorf("object of more than %d: %w", maxItems, bulwark.ErrTooLarge)
		}
		k, err := d.Token()
		if err != nil {
			return err
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		m[k.(string)] = v // a key of an object is always a string
	}
	*t = m
	return nil
}

// words is a list of strings that old builders wrote as one string.
type words []string

func (w *words) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		*w = words{s}
		return err
	}
	return (*list[string])(w).UnmarshalJSON(b)
}

// A stamp is a time that may be missing or wrong, which is no reason to refuse
// an image.
type stamp struct{ time.Time }

func (t *stamp) UnmarshalJSON(b []byte) error {
	if v, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(b)); err == nil && v.Year() > 1 {
		t.Time = v.UTC()
	}
	return nil
}

// A descriptor points to a blob
// (https://github.com/opencontainers/image-spec/blob/main/descriptor.md).
type descriptor struct {
	MediaType    string         `json:"mediaType"`
	Digest       bulwark.Digest `json:"digest"`
	Size         int64          `json:"size"`
	URLs         list[string]   `json:"urls"`
	Annotations  table[string]  `json:"annotations"`
	Platform     *platform      `json:"platform"`
	ArtifactType string         `json:"artifactType"`
}

// A manifest is an image manifest or an index; the two are told apart by what
// they hold.
type manifest struct {
	SchemaVersion int              `json:"schemaVersion"`
	MediaType     string           `json:"mediaType"`
	ArtifactType  string           `json:"artifactType"`
	Config        *descriptor      `json:"config"`
	Layers        list[descriptor] `json:"layers"`
	Manifests     list[descriptor] `json:"manifests"`
	FSLayers      json.RawMessage  `json:"fsLayers"`
}

func (m *manifest) index() bool { return m.Manifests != nil }

// parseManifest reads an image manifest or an index that was announced as media
// type announced, which may be "".
func parseManifest(b []byte, announced string) (*manifest, error) {
	if t, _, err := mime.ParseMediaType(announced); err == nil {
		announced = t
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("parse manifest: %w", err)
	}
	t := m.MediaType
	if t == "" && (isIndexType(announced) || isManifestType(announced) || isSchema1Type(announced)) {
		t = announced
	}
	if isSchema1Type(t) || m.SchemaVersion == 1 || m.FSLayers != nil {
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("manifest of Docker schema 1: %w", bulwark.ErrUnsupported),
			Next: "push the image again with a current tool, which writes schema 2",
		}
	}
	// A document that can be read both ways is one thing to us and another to
	// the engine that runs it (CVE-2021-41190).
	if m.Manifests != nil && (m.Layers != nil || m.Config != nil) {
		return nil, errors.New("parse manifest: both an index and an image")
	}
	switch {
	case isIndexType(t) && m.Manifests == nil, isManifestType(t) && m.Manifests != nil:
		return nil, fmt.Errorf("parse manifest: not what media type %q says", t)
	case isIndexType(announced) && isManifestType(t), isManifestType(announced) && isIndexType(t):
		return nil, fmt.Errorf("parse manifest: announced as %q, says %q", announced, t)
	case t != "" && !isIndexType(t) && !isManifestType(t):
		return nil, fmt.Errorf("manifest of media type %q: %w", t, bulwark.ErrUnsupported)
	case m.Manifests == nil && m.Config == nil:
		return nil, fmt.Errorf("manifest without images and without configuration: %w", bulwark.ErrUnsupported)
	}
	if len(m.Manifests) > maxIndex {
		return nil, fmt.Errorf("index of %d manifests, limit %d: %w", len(m.Manifests), maxIndex, bulwark.ErrTooLarge)
	}
	if len(m.Layers) > maxLayers {
		return nil, fmt.Errorf("image of %d layers, limit %d: %w", len(m.Layers), maxLayers, bulwark.ErrTooLarge)
	}
	return &m, nil
}

// checkImage tells whether the image manifest m is one of a container image.
func (m *manifest) checkImage() error {
	if !isConfigType(m.Config.MediaType) {
		t := m.ArtifactType
		if t == "" {
			t = m.Config.MediaType
		}
		return &bulwark.Hint{
			Err:  fmt.Errorf("artifact of type %q: %w", t, bulwark.ErrUnsupported),
			Next: "name a container image; this is something else that a registry holds",
		}
	}
	for i, l := range m.Layers {
		if !l.Digest.Valid() || l.Size < 0 {
			return fmt.Errorf("parse manifest: layer %d has digest %q and size %d", i, l.Digest, l.Size)
		}
	}
	return nil
}

// digestOf gives the digest of b with the algorithm of like; SHA-256 if like is
// the zero Digest.
func digestOf(b []byte, like bulwark.Digest) bulwark.Digest {
	if strings.HasPrefix(string(like), "sha512:") {
		sum := sha512.Sum512(b)
		return bulwark.Digest("sha512:" + hex.EncodeToString(sum[:]))
	}
	sum := sha256.Sum256(b)
	return bulwark.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// A config is an image configuration
// (https://github.com/opencontainers/image-spec/blob/main/config.md).
type config struct {
	platform
	Created stamp `json:"created"`
	Config  struct {
		User         string
		Env          words
		Entrypoint   words
		Cmd          words
		WorkingDir   string
		ExposedPorts table[json.RawMessage]
		Volumes      table[json.RawMessage]
		Labels       table[string]
		Healthcheck  *struct{ Test words }
	} `json:"config"`
	RootFS struct {
		Type    string               `json:"type"`
		DiffIDs list[bulwark.Digest] `json:"diff_ids"`
	} `json:"rootfs"`
	History list[struct {
		Created   stamp  `json:"created"`
		CreatedBy string `json:"created_by"`
		Comment   string `json:"comment"`
		Empty     bool   `json:"empty_layer"`
	}] `json:"history"`
}

// parseConfig reads the configuration of an image of n layers.
func parseConfig(b []byte, n int) (*config, error) {
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("parse image configuration: %w", err)
	}
	if c.RootFS.Type != "layers" && c.RootFS.Type != "" {
		return nil, fmt.Errorf("image with a root file system of type %q: %w", c.RootFS.Type, bulwark.ErrUnsupported)
	}
	if len(c.RootFS.DiffIDs) != n {
		return nil, fmt.Errorf("parse image configuration: it tells of %d layers, the manifest of %d", len(c.RootFS.DiffIDs), n)
	}
	for i, d := range c.RootFS.DiffIDs {
		if !d.Valid() {
			return nil, fmt.Errorf("parse image configuration: layer %d has diff id %q", i, d)
		}
	}
	return &c, nil
}
