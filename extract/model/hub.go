// SPDX-License-Identifier: Apache-2.0

package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxCard bounds a model's card, bytes, and maxFront its front matter, which
	// may hold results of many tests.
	maxCard  = 4 << 20
	maxFront = 512 << 10
	// maxConfig bounds a configuration, bytes. Those with many labels have 1 MiB.
	maxConfig = 4 << 20
	// maxRef bounds the file of a reference, bytes: it holds one commit.
	maxRef = 1 << 10
)

// Ref finds models in the cache of the hub's client by the references that it
// keeps, models--OWNER--NAME/refs/main, which tell the revision. Its zero value
// is ready to use.
type Ref struct{}

// Name gives "huggingface-ref".
func (Ref) Name() string { return "huggingface-ref" }

// Wants tells whether p is a reference in the cache.
func (Ref) Wants(p string, st bulwark.Stat) bool {
	if !regular(st) || !strings.Contains(p, "models--") {
		return false
	}
	_, inside, ok := cached(p)
	return ok && strings.HasPrefix(inside, "refs/")
}

// Extract gives the model and its revision.
func (e Ref) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxRef)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, _, ok := cached(f.Path)
	r.revision = string(bytes.TrimSpace(data))
	if !ok || r.revision == "" {
		return nil, nil
	}
	if !isCommit(r.revision) {
		return nil, malformed(f, errors.New("not the name of a commit"))
	}
	return []bulwark.Package{component(e.Name(), f.Path, r, r.full(), r.revision, nil, nil)}, nil
}

// near tells whether a file with a common name lies where models do.
func near(p string) bool {
	dir, _ := parent(p)
	for _, word := range []string{"model", "hugg", "checkpoint", "weights", "llm"} {
		if strings.Contains(dir, word) {
			return true
		}
	}
	return false
}

// Config finds models by the configuration that Transformers keeps beside the
// weights. It tells of models whose weights lie elsewhere or are in a form that is
// not read. Its zero value is ready to use.
type Config struct{}

// Name gives "model-config".
func (Config) Name() string { return "model-config" }

// Wants tells whether p can be the configuration of a model.
func (Config) Wants(p string, st bulwark.Stat) bool {
	return regular(st) && (p == "config.json" || strings.HasSuffix(p, "/config.json")) && near(p)
}

// WantsHead tells whether a file can be such a configuration.
func (Config) WantsHead(_ string, head []byte) bool {
	return bytes.Contains(head, []byte(`"model_type"`)) || bytes.Contains(head, []byte(`"architectures"`)) || len(head) >= headSize
}

// Extract gives the model, named by where it lies.
func (e Config) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxConfig)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var c struct {
		Kind          json.RawMessage `json:"model_type"`
		Architectures json.RawMessage `json:"architectures"`
		Version       json.RawMessage `json:"transformers_version"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, malformed(f, err)
	}
	var kind string
	if json.Unmarshal(c.Kind, &kind) != nil || kind == "" || c.Architectures == nil && c.Version == nil {
		return nil, nil
	}
	return e.at(f.Path), nil
}

// at gives the model of a directory, or nothing if the directory has no name.
func (e Config) at(p string) []bulwark.Package {
	r, name := place(p)
	if name == "" || r.name == "" && ordinary(name) {
		return nil
	}
	return []bulwark.Package{component(e.Name(), p, r, name, "", nil, nil)}
}

// Card reads the front matter of a model's card, which tells its licence:
// https://huggingface.co/docs/hub/model-cards. Its zero value is ready to use.
type Card struct{}

// Name gives "model-card".
func (Card) Name() string { return "model-card" }

// Wants tells whether p can be a card.
func (Card) Wants(p string, st bulwark.Stat) bool {
	if !regular(st) {
		return false
	}
	if p == "README.md" || strings.HasSuffix(p, "/README.md") {
		return near(p)
	}
	return strings.Contains(p, "models--") && isBlob(p)
}

// WantsHead tells whether a file begins with front matter.
func (Card) WantsHead(_ string, head []byte) bool {
	return bytes.HasPrefix(head, []byte("---\n")) || bytes.HasPrefix(head, []byte("---\r\n"))
}

// Extract gives the model. A card must name a library, a task or a base model:
// data sets have cards, too.
func (e Card) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxCard)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !e.WantsHead(f.Path, data) {
		return nil, nil
	}
	_, front, _ := bytes.Cut(data, []byte{'\n'})
	end := bytes.Index(front, []byte("\n---"))
	if end < 0 {
		return nil, nil // a line, and no front matter
	}
	if end > maxFront {
		return nil, malformed(f, bulwark.ErrTooLarge)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(front[:end], &doc); err != nil {
		return nil, malformed(f, err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil
	}
	var (
		is     bool
		fields = doc.Content[0].Content
		ids    []string
		other  string
	)
	for i := 0; i+1 < len(fields); i += 2 {
		switch v := fields[i+1]; fields[i].Value {
		case "library_name", "pipeline_tag", "base_model":
			is = true
		case "license":
			ids = append(ids, license(v.Value)...)
			for _, c := range v.Content[:min(len(v.Content), 8)] {
				ids = append(ids, license(c.Value)...)
			}
		case "license_name":
			other = v.Value
		}
	}
	r, name := place(f.Path)
	if !is || name == "" || r.name == "" && ordinary(name) {
		return nil, nil
	}
	if ids == nil {
		ids = license(other)
	}
	return []bulwark.Package{component(e.Name(), f.Path, r, name, "", nil, ids)}, nil
}
