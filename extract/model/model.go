// SPDX-License-Identifier: Apache-2.0

// Package model finds models of machine learning as components: GGUF files,
// safetensors files, files that are Python pickles, and what the hub's client and
// authors leave beside them. It knows names, licences and formats. It does not
// read weights, does not judge what a pickle would run, and names no model for
// certain unless a file or its place does.
package model

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxName bounds a name, bytes; maxValue bounds any other string that is kept.
	maxName  = 256
	maxValue = 4096
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// parent takes the last element off a path.
func parent(p string) (dir, name string) {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return "", p
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// regular tells whether a file is one.
func regular(st bulwark.Stat) bool { return st.Mode&fs.ModeType == 0 }

// clean gives s if it can be shown as a name, else "".
func clean(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxName || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return s
}

// A repo is a model's repository on the hub.
type repo struct {
	owner, name string // the oldest models have no owner
	revision    string // a commit, "" when it is not known
}

// full gives the name as the hub writes it.
func (r repo) full() string {
	if r.owner == "" {
		return r.name
	}
	return r.owner + "/" + r.name
}

// cached finds the repository in a path of the hub client's cache,
// models--OWNER--NAME/snapshots/REVISION/… and …/blobs/…:
// https://huggingface.co/docs/huggingface_hub/guides/manage-cache
func cached(p string) (r repo, inside string, ok bool) {
	i := strings.LastIndex(p, "models--")
	if i < 0 || i > 0 && p[i-1] != '/' {
		return repo{}, "", false
	}
	folder, inside, ok := strings.Cut(p[i+len("models--"):], "/")
	if !ok {
		return repo{}, "", false
	}
	r.owner, r.name, ok = strings.Cut(folder, "--")
	if !ok {
		r.owner, r.name = "", folder
	}
	if !isRepo(r.name) || r.owner != "" && !isRepo(r.owner) {
		return repo{}, "", false
	}
	if rest, ok := strings.CutPrefix(inside, "snapshots/"); ok {
		if rev, _, ok := strings.Cut(rest, "/"); ok && isCommit(rev) {
			r.revision = rev
		}
	}
	return r, inside, true
}

// isRepo tells whether s can be an owner or a name on the hub.
func isRepo(s string) bool {
	if s == "" || len(s) > 96 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.':
		default:
			return false
		}
	}
	return true
}

// isCommit tells whether s is the full name of a commit.
func isCommit(s string) bool { return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == "" }

// place names a model by where its file lies: the repository in a cache, else
// the file, or its directory if every model's file is called so.
func place(p string) (r repo, name string) {
	if r, _, ok := cached(p); ok {
		return r, r.full()
	}
	dir, file := parent(p)
	stem := file
	if i := strings.LastIndexByte(file, '.'); i > 0 {
		stem = file[:i]
	}
	stem = unsharded(stem)
	if ordinary(stem) {
		for range 3 {
			var last string
			if dir, last = parent(dir); isPart(last) || isModule(last) {
				continue
			}
			if last = clean(last); last != "" && !ordinary(last) {
				return repo{}, last
			}
			break
		}
	}
	return repo{}, clean(stem)
}

// unsharded takes the number of a part off: "model-00001-of-00003", or
// "consolidated.00".
func unsharded(stem string) string {
	const number = "0123456789"
	if i := strings.LastIndex(stem, "-of-"); i > 0 && strings.Trim(stem[i+4:], number) == "" {
		if j := strings.LastIndexByte(stem[:i], '-'); j > 0 && strings.Trim(stem[j+1:i], number) == "" {
			return stem[:j]
		}
	}
	if i := strings.LastIndexByte(stem, '.'); i > 0 && len(stem)-i == 3 && strings.Trim(stem[i+1:], number) == "" {
		return stem[:i]
	}
	return stem
}

// ordinary tells whether a name says nothing about which model it is.
func ordinary(s string) bool {
	switch strings.ToLower(s) {
	case "model", "models", "pytorch_model", "diffusion_pytorch_model", "adapter_model", "tf_model", "ggml-model",
		"open_clip_pytorch_model", "consolidated", "weights", "weight", "checkpoint", "checkpoints", "ckpt", "best", "last",
		"final", "latest", "readme", "config", "data", "snapshots", "blobs", "training_args", "optimizer", "scheduler", "unnamed":
		return true
	}
	return isPart(s)
}

// isPart tells whether a folder is one of those that the parts of a model lie in.
func isPart(s string) bool {
	switch s {
	case "onnx", "unet", "vae", "text_encoder", "text_encoder_2", "text_encoder_3", "transformer", "transformer_2", "tokenizer",
		"tokenizer_2", "tokenizer_3", "classifier", "encoder", "decoder", "image_encoder", "safety_checker", "feature_extractor",
		"controlnet", "prior", "vqvae", "movq", "vocoder", "openvino":
		return true
	}
	return false
}

// isModule tells whether a folder is a numbered one of Sentence Transformers:
// "0_Transformer", "2_Dense".
func isModule(s string) bool {
	return len(s) > 2 && s[0] >= '0' && s[0] <= '9' && s[1] == '_' && s[2] >= 'A' && s[2] <= 'Z'
}

// component gives the package. Models have no ecosystem of OSV. Those whose
// repository is known have a purl of the hub, without details, so that all files
// of one revision are one component; others have their name and the details
// that tell them apart.
func component(by, path string, r repo, name, version string, details map[string]string, licenses []string) bulwark.Package {
	u := packageurl.PackageURL{Type: packageurl.TypeGeneric, Name: name, Version: version}
	if r.name != "" {
		u = packageurl.PackageURL{Type: packageurl.TypeHuggingface, Namespace: r.owner, Name: r.name, Version: r.revision}
		name, version = r.full(), r.revision
		if details[formatKey] != "pickle" {
			details = nil
		}
	}
	for _, k := range []string{"architecture", formatKey, "quantization"} {
		if details[k] != "" {
			u.Qualifiers = append(u.Qualifiers, packageurl.Qualifier{Key: k, Value: details[k]})
		}
	}
	return bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Licenses: licenses,
		Where: []bulwark.Location{{Path: path}}, By: by,
	}
}

// formatKey is the qualifier that names a risky format.
const formatKey = "format"

// license gives the licences that authors declare, in the hub's short names, as
// SPDX identifiers where there is one:
// https://huggingface.co/docs/hub/repositories-licenses
func license(declared string) []string {
	declared = clean(declared)
	switch id := strings.ToLower(declared); id {
	case "", "unknown", "other", "none":
		return nil
	case "mit":
		return []string{"MIT"}
	case "apache-2.0", "apache 2.0", "apache2", "apache license 2.0":
		return []string{"Apache-2.0"}
	case "gpl-2.0":
		return []string{"GPL-2.0-only"}
	case "gpl-3.0":
		return []string{"GPL-3.0-only"}
	case "agpl-3.0":
		return []string{"AGPL-3.0-only"}
	case "lgpl-3.0":
		return []string{"LGPL-3.0-only"}
	case "lgpl-2.1":
		return []string{"LGPL-2.1-only"}
	case "bsd-2-clause":
		return []string{"BSD-2-Clause"}
	case "bsd-3-clause":
		return []string{"BSD-3-Clause"}
	case "bsd-3-clause-clear":
		return []string{"BSD-3-Clause-Clear"}
	case "bsl-1.0", "isc", "wtfpl", "mpl-2.0", "epl-2.0", "epl-1.0", "afl-3.0", "ecl-2.0", "eupl-1.1", "eupl-1.2", "osl-3.0", "ofl-1.1", "ms-pl", "ncsa", "zlib", "unlicense", "postgresql":
		switch id {
		case "unlicense":
			return []string{"Unlicense"}
		case "zlib":
			return []string{"Zlib"}
		case "postgresql":
			return []string{"PostgreSQL"}
		}
		return []string{strings.ToUpper(id)}
	}
	if id := strings.ToUpper(declared); strings.HasPrefix(id, "CC-BY-") || strings.HasPrefix(id, "CC0-") || id == "PDDL" {
		return []string{id}
	}
	return []string{declared}
}

// start reads up to n bytes from the beginning of a file.
func start(f *bulwark.File, n int64) ([]byte, error) {
	b := make([]byte, min(max(f.Size, 0), n))
	if got, err := f.ReadAt(b, 0); got < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %q: %w", f.Path, err)
	}
	return b, nil
}
