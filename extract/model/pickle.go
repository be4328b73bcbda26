// SPDX-License-Identifier: Apache-2.0

package model

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// headSize is how much of a file tells its kind, bytes.
const headSize = 4096

// Pickle names models that are Python pickles, whose loading may run any code:
// checkpoints of PyTorch, in the form of an archive or the older one, and
// pickles that name a library of machine learning. The component's purl says
// "format=pickle". Its zero value is ready to use.
type Pickle struct{}

// Name gives "pickle-model".
func (Pickle) Name() string { return "pickle-model" }

// Wants tells whether p can be such a file by its name.
func (Pickle) Wants(p string, st bulwark.Stat) bool {
	if !regular(st) {
		return false
	}
	for _, suffix := range [...]string{".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib"} {
		if strings.HasSuffix(p, suffix) {
			return true
		}
	}
	return strings.Contains(p, "models--") && isBlob(p)
}

// WantsHead tells whether a file begins as a model in a pickle does.
func (Pickle) WantsHead(_ string, head []byte) bool {
	// The archive's first member is the pickle.
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) && len(head) > 30 {
		n := int(binary.LittleEndian.Uint16(head[26:]))
		return len(head) >= 30+n && bytes.HasSuffix(head[30:30+n], []byte("/data.pkl"))
	}
	// The older form begins with a pickled number, in binary or as text:
	// https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
	if first := head[:min(len(head), 32)]; bytes.Contains(first, []byte("\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19")) || bytes.HasPrefix(first, []byte("L119547037146038801333356L\n")) {
		return true
	}
	if len(head) < 3 || head[0] != 0x80 || head[1] < 2 || head[1] > 5 {
		return false
	}
	// Any pickle: test data of many packages are, too, so it must name a library.
	head = head[:min(len(head), headSize)]
	for _, lib := range []string{"sklearn", "torch", "xgboost", "lightgbm", "catboost", "keras", "tensorflow", "transformers", "fastai", "gensim", "spacy"} {
		if bytes.Contains(head, []byte(lib)) {
			return true
		}
	}
	return false
}

// Prefix gives what tells the kind of a file: nothing else of it is read.
func (Pickle) Prefix(string, []byte) int64 { return headSize }

// Extract gives the model.
func (e Pickle) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	head, err := start(f, headSize)
	if err != nil || !e.WantsHead(f.Path, head) {
		return nil, err
	}
	repo, name := place(f.Path)
	if name == "" {
		name = "unnamed"
	}
	return []bulwark.Package{component(e.Name(), f.Path, repo, name, "", map[string]string{formatKey: "pickle"}, nil)}, nil
}
