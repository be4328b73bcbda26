// SPDX-License-Identifier: Apache-2.0

package model

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// maxHeader bounds the header of a safetensors file, bytes. The format allows
// 100 MB; the largest models have some MiB in each of their files.
const maxHeader = 32 << 20

// Safetensors reads the header of safetensors files:
// https://huggingface.co/docs/safetensors/index#format. Its zero value is ready
// to use.
type Safetensors struct{}

// Name gives "safetensors".
func (Safetensors) Name() string { return "safetensors" }

// Wants tells whether p is a safetensors file.
func (Safetensors) Wants(p string, st bulwark.Stat) bool {
	return strings.HasSuffix(p, ".safetensors") && regular(st)
}

// WantsHead tells whether a file begins with a length and an object.
func (Safetensors) WantsHead(_ string, head []byte) bool { return len(head) > 8 && head[8] == '{' }

// Prefix gives the length of the header, as the file tells it, as far as it is
// read.
func (Safetensors) Prefix(_ string, head []byte) int64 {
	if len(head) < 9 {
		return 9
	}
	return 8 + int64(min(max(binary.LittleEndian.Uint64(head), 1), maxHeader))
}

// Extract gives the model. The header names few; those that do follow the
// keys of https://github.com/Stability-AI/ModelSpec. Others are named by where
// they lie, all files of one model alike.
func (e Safetensors) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	var b [9]byte
	if n, err := f.ReadAt(b[:], 0); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, malformed(f, err)
	}
	n := binary.LittleEndian.Uint64(b[:8])
	if b[8] != '{' || n > uint64(max(f.Size-8, 0)) {
		return nil, malformed(f, fmt.Errorf("a header of %d bytes in a file of %d", n, f.Size))
	}
	if n > maxHeader {
		return nil, malformed(f, fmt.Errorf("a header of %d bytes, limit %d: %w", n, maxHeader, bulwark.ErrTooLarge))
	}
	meta, tensors, err := header(ctx, io.NewSectionReader(f, 8, int64(n)))
	if err == nil && tensors == 0 && meta == nil {
		err = errors.New("no tensors")
	}
	if err != nil {
		return nil, malformed(f, err)
	}
	repo, name := place(f.Path)
	details := map[string]string{"architecture": clean(meta["modelspec.architecture"])}
	for _, key := range []string{"modelspec.title", "ss_output_name"} {
		if t := clean(meta[key]); t != "" && repo.name == "" {
			name = t
			break
		}
	}
	if name == "" {
		name = "unnamed"
	}
	return []bulwark.Package{component(e.Name(), f.Path, repo, name, "", details, license(meta["modelspec.license"]))}, nil
}

// header reads the object of a header: what it says of the model, nil when it
// says nothing, and how many tensors it describes.
func header(ctx context.Context, r io.Reader) (meta map[string]string, tensors int, err error) {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, 0, errors.Join(errors.New("no object"), err)
	}
	for i := 0; d.More(); i++ {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		key, err := d.Token()
		if err != nil {
			return nil, 0, noEnd(err)
		}
		if key == "__metadata__" {
			if err := d.Decode(&meta); err != nil {
				return nil, 0, noEnd(err)
			}
			continue
		}
		var t struct {
			Kind string `json:"dtype"`
		}
		if err := d.Decode(&t); err != nil {
			return nil, 0, noEnd(err)
		}
		if t.Kind == "" || len(t.Kind) > 32 {
			return nil, 0, errors.New("a tensor without a kind")
		}
		tensors++
	}
	if _, err := d.Token(); err != nil {
		return nil, 0, noEnd(err)
	}
	return meta, tensors, nil
}

// noEnd makes the end of the file an error where more must follow.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
