// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Limits of a publication.
const (
	// MaxIndex bounds the text of a publication, in bytes.
	MaxIndex = 32 << 20
	// MaxSteps bounds the deltas that lead to one file. A reader that is further
	// behind fetches the file.
	MaxSteps = 16
	// maxBlob bounds a blob: zstd makes what cannot be compressed a little larger.
	maxBlob = maxFile + 1<<20
)

// A Publication is the index of a published database: a signed generation, and
// for each of its files the blobs that it can be had from. Only the manifest is
// signed; that suffices, because whatever blobs give is compared with the digest
// that the manifest names.
type Publication struct {
	Format    int      `json:"format"`    // Format
	Manifest  string   `json:"manifest"`  // the very bytes that are signed
	Signature string   `json:"signature"` // as in manifest.sig
	Files     []Source `json:"files"`     // one for each file of the manifest
}

// A Source tells how a file can be had: whole, or from an older one by steps.
type Source struct {
	Name   string         `json:"name"`
	Digest bulwark.Digest `json:"digest"` // of the file
	Whole  Blob           `json:"whole"`  // the file, compressed with zstd
	Steps  []Step         `json:"steps,omitempty"`
}

// A Step is a delta, compressed with zstd, that makes the next file of a chain of
// the one that From names. The last step makes the Source's own file.
type Step struct {
	From bulwark.Digest `json:"from"`
	Blob
}

// A Blob is a run of bytes that is named by its digest.
type Blob struct {
	Digest bulwark.Digest `json:"digest"`
	Size   int64          `json:"size"` // bytes
}

// Publish gives the index of a generation.
func (g *Generation) Publish(files []Source) ([]byte, error) {
	return json.Marshal(&Publication{Format: Format, Manifest: string(g.manifest), Signature: string(g.sig), Files: files})
}

// ParsePublication reads an index. The signature is checked, accept judges its
// key; then the form of everything is checked, so that each file of the
// generation has one source, and every size is bounded.
func ParsePublication(b []byte, accept func(ed25519.PublicKey) error) (*Publication, *Generation, error) {
	if len(b) > MaxIndex {
		return nil, nil, fmt.Errorf("index of %d bytes: %w", len(b), bulwark.ErrTooLarge)
	}
	var p Publication
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, nil, fmt.Errorf("index: %w: %w", err, bulwark.ErrUnsupported)
	}
	if p.Format != Format {
		return nil, nil, &bulwark.Hint{Err: fmt.Errorf("index of format %d: %w", p.Format, bulwark.ErrUnsupported), Next: "update bulwark"}
	}
	g, err := verify([]byte(p.Manifest), []byte(p.Signature), accept)
	if err != nil {
		return nil, nil, err
	}
	if len(p.Files) != len(g.Files) {
		return nil, nil, fmt.Errorf("index names %d files, manifest %d: %w", len(p.Files), len(g.Files), bulwark.ErrUnsupported)
	}
	for i := range p.Files {
		s, f := &p.Files[i], &g.Files[i]
		if s.Name != f.Name || s.Digest != f.Digest || len(s.Steps) > MaxSteps || !s.Whole.valid() {
			return nil, nil, fmt.Errorf("index, file %q: %w", s.Name, bulwark.ErrUnsupported)
		}
		for _, st := range s.Steps {
			if !st.valid() || !sha256Digest(st.From) {
				return nil, nil, fmt.Errorf("index, step of %q: %w", s.Name, bulwark.ErrUnsupported)
			}
		}
	}
	return &p, g, nil
}

func (b *Blob) valid() bool { return sha256Digest(b.Digest) && b.Size > 0 && b.Size <= maxBlob }

func sha256Digest(d bulwark.Digest) bool {
	return d.Valid() && strings.HasPrefix(string(d), "sha256:")
}

// Source gives the source of a file; nil when there is none.
func (p *Publication) Source(name string) *Source {
	for i := range p.Files {
		if p.Files[i].Name == name {
			return &p.Files[i]
		}
	}
	return nil
}

// Blobs gives every blob that the index names, by digest.
func (p *Publication) Blobs() map[bulwark.Digest]int64 {
	out := map[bulwark.Digest]int64{}
	for i := range p.Files {
		out[p.Files[i].Whole.Digest] = p.Files[i].Whole.Size
		for _, s := range p.Files[i].Steps {
			out[s.Digest] = s.Size
		}
	}
	return out
}

// From gives the steps that lead from a file that is at hand; nil when there are
// none, or when they are more bytes than the whole.
func (s *Source) From(have bulwark.Digest) []Step {
	for i := range s.Steps {
		if s.Steps[i].From != have {
			continue
		}
		sum := int64(0)
		for _, st := range s.Steps[i:] {
			sum += st.Size
		}
		if sum < s.Whole.Size {
			return s.Steps[i:]
		}
	}
	return nil
}
