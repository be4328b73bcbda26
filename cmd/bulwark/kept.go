// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/bundle"
	"github.com/bulwark-sec/bulwark/store"
)

// packed gives the files of a set as one unsigned bundle, and nothing of one
// without files.
func packed(s *policy.Set) ([]byte, error) {
	if s == nil || len(s.Files()) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	_, err := bundle.WriteUnsigned(&b, portable(s.Files()))
	return b.Bytes(), err
}

// portable gives files names that a bundle may have: people name files by absolute
// paths, and by such that lead out of a folder.
func portable(files []bundle.File) []bundle.File {
	taken := map[string]bool{}
	var out []bundle.File
	for _, f := range files {
		name := path.Clean(filepath.ToSlash(f.Name))
		var parts []string
		for part := range strings.SplitSeq(name, "/") {
			if part == ".." {
				part = "up"
			}
			if part != "" {
				parts = append(parts, part)
			}
		}
		if name = strings.Join(parts, "/"); !fs.ValidPath(name) || name == "." || len(name) > 150 {
			name = "file.yaml"
		}
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%d-%s", n, name)
		}
		taken[name] = true
		out = append(out, bundle.File{Name: name, Data: f.Data})
	}
	return out
}

// keptSet gives the policies that judged a kept report; nil when none did, or none
// are kept.
func (p *program) keptSet(l place, h *store.Header) (*policy.Set, error) {
	if h.Set == "" {
		return nil, nil
	}
	b, err := p.reports(l).Set(h.Set)
	if errors.Is(err, bulwark.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bd, err := bundle.ReadUnsafe(bytes.NewReader(b), int64(len(b)), nil)
	if err != nil {
		return nil, fmt.Errorf("kept policies %s: %w", h.Set.Short(), err)
	}
	var sources []policy.Source
	for _, f := range bd.Files {
		sources = append(sources, policy.Source{Name: f.Name, Data: f.Data})
	}
	return policy.Load(sources)
}

// find gives the newest kept report that has a decision or a finding with the id;
// nil when there is none. What was passed over is told.
func (p *program) find(ctx context.Context, l place, id string) (*store.Kept, error) {
	k, skipped, err := p.reports(l).Find(ctx, id)
	for _, err := range skipped {
		fmt.Fprintf(p.stderr, "bulwark: passed over: %v\n", err)
	}
	if errors.Is(err, bulwark.ErrNotFound) {
		return nil, nil
	}
	return k, err
}
