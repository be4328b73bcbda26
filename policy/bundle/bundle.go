// SPDX-License-Identifier: Apache-2.0

// Package bundle carries a set of policy documents in one signed file, named by
// its content.
//
// The file is a zstd-compressed tar: manifest.json, manifest.sig unless nobody
// signed, then the documents below policies/, in the order of their names.
// The manifest has the digest of the set and of each file; the signature is one
// of the manifest. Every byte of the tar is covered: what is not exactly as
// [Write] writes it is refused. The package does not know what documents mean.
package bundle

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/signing"
)

// Schema is the version of the manifest. A reader refuses any other.
const Schema = "bulwark.bundle/v1"

// Limits of a bundle. A policy set of a thousand rules has some 500 KB.
const (
	MaxBytes = 16 << 20 // of all files together, plain
	MaxFiles = 1000
	maxName  = 200 // bytes of one name
)

// domain is what a signature is of, see [signing.Sign].
const domain = "bulwark policy bundle v1"

// Members of the tar.
const (
	manifestName  = "manifest.json"
	signatureName = "manifest.sig"
	folder        = "policies/"
)

// A File is one document, or several, as people wrote them.
type File struct {
	Name string // "prod/gate.yaml", with slashes
	Data []byte
}

// manifest is the JSON of manifest.json.
type manifest struct {
	Schema   string         `json:"schema"` // Schema
	Digest   bulwark.Digest `json:"digest"` // of the set, see Digest
	Files    []entry        `json:"files"`  // sorted by name
	KeyID    string         `json:"keyId,omitempty"`
	SignedAt time.Time      `json:"signedAt,omitzero"`
}

type entry struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // 64 hexadecimal digits
}

// relative gives the files by name, and the names as seen from the deepest folder
// that holds them all: a set is the same wherever it lies.
func relative(files []File) []File {
	out := slices.Clone(files)
	for i := range out {
		out[i].Name = path.Clean(filepath.ToSlash(out[i].Name))
	}
	order := func(a, b File) int { return cmp.Or(strings.Compare(a.Name, b.Name), bytes.Compare(a.Data, b.Data)) }
	slices.SortFunc(out, order)
	if len(out) > 0 {
		dir := path.Dir(out[0].Name)
		for i := range out {
			for dir != "." && !strings.HasPrefix(out[i].Name, strings.TrimSuffix(dir, "/")+"/") {
				if dir == "/" {
					dir = "." // some names are absolute and others are not
				} else {
					dir = path.Dir(dir)
				}
			}
		}
		if dir != "." {
			for i := range out {
				out[i].Name = strings.TrimPrefix(out[i].Name, strings.TrimSuffix(dir, "/")+"/")
			}
		}
	}
	slices.SortFunc(out, order)
	return out
}

// Digest names a set of files by its content: a SHA-256 of the names and the bytes
// of all files. The order of files and the folder they lie in do not count.
func Digest(files []File) bulwark.Digest { return digest(relative(files)) }

func digest(files []File) bulwark.Digest {
	h := sha256.New()
	h.Write([]byte("bulwark policy set v1\n"))
	number := func(n int) { h.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	number(len(files))
	for i := range files {
		number(len(files[i].Name))
		h.Write([]byte(files[i].Name))
		number(len(files[i].Data))
		h.Write(files[i].Data)
	}
	return bulwark.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// check says what bars files from being a set. Names are hostile. What is wrong with
// them is the error wrong, what is too much [bulwark.ErrTooLarge].
func check(files []File, wrong error) error {
	if len(files) == 0 {
		return &bulwark.Hint{Err: fmt.Errorf("no policy files: %w", wrong), Next: "name files with policy documents"}
	}
	if len(files) > MaxFiles {
		return fmt.Errorf("%d policy files, at most %d: %w", len(files), MaxFiles, bulwark.ErrTooLarge)
	}
	names, total := map[string]bool{}, 0
	for i := range files {
		name := files[i].Name
		switch {
		case !fs.ValidPath(name) || name == "." || !plain(name):
			return fmt.Errorf("policy file %q: the name is not a clean relative path: %w", name[:min(len(name), maxName)], wrong)
		case len(name) > maxName:
			return fmt.Errorf("policy file %q…: the name has more than %d bytes: %w", name[:maxName], maxName, bulwark.ErrTooLarge)
		case names[name]:
			return fmt.Errorf("policy file %q is there twice: %w", name, wrong)
		}
		names[name] = true
		if total += len(files[i].Data); total > MaxBytes {
			return fmt.Errorf("policy files have more than %d bytes together: %w", MaxBytes, bulwark.ErrTooLarge)
		}
	}
	for name := range names {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if names[dir] {
				return fmt.Errorf("policy file %q is a folder, too: %w", dir, wrong)
			}
		}
	}
	return nil
}

// plain tells whether a name has only characters that mean the same everywhere and
// do nothing to a terminal.
func plain(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return r == '\\' || r == utf8.RuneError || !unicode.IsPrint(r)
	})
}

// Write writes a bundle that key signs, and gives the digest of its set, which is
// [Digest] of the files. The bytes are the same for the same input and release.
// Names that are not clean, no files, and no key are [bulwark.ErrUsage], too much
// is [bulwark.ErrTooLarge]. Times are kept in seconds.
func Write(w io.Writer, files []File, key ed25519.PrivateKey, signedAt time.Time) (bulwark.Digest, error) {
	if len(key) != ed25519.PrivateKeySize || signedAt.IsZero() {
		return "", &bulwark.Hint{Err: fmt.Errorf("write policy bundle: no key to sign with, or no time: %w", bulwark.ErrUsage), Next: "make a key with bulwark key new"}
	}
	return write(w, files, key, signedAt.UTC().Truncate(time.Second))
}

// WriteUnsigned writes a bundle that nobody answers for; [Read] refuses it.
func WriteUnsigned(w io.Writer, files []File) (bulwark.Digest, error) {
	return write(w, files, nil, time.Time{})
}

func write(w io.Writer, files []File, key ed25519.PrivateKey, signedAt time.Time) (bulwark.Digest, error) {
	files = relative(files)
	if err := check(files, bulwark.ErrUsage); err != nil {
		return "", fmt.Errorf("write policy bundle: %w", err)
	}
	m := manifest{Schema: Schema, Digest: digest(files), SignedAt: signedAt}
	for i := range files {
		sum := sha256.Sum256(files[i].Data)
		m.Files = append(m.Files, entry{files[i].Name, int64(len(files[i].Data)), hex.EncodeToString(sum[:])})
	}
	if key != nil {
		m.KeyID = signing.ID(signing.Public(key))
	}
	text, err := json.MarshalIndent(&m, "", " ")
	if err != nil {
		return "", err
	}
	var sig []byte
	if key != nil {
		if sig, err = signing.Sign(key, domain, digestOf(text)); err != nil {
			return "", err
		}
	}
	plain, err := pack(text, sig, files)
	if err != nil {
		return "", fmt.Errorf("write policy bundle: %w", err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return "", err
	}
	packed := z.EncodeAll(plain, nil)
	if err := z.Close(); err != nil {
		return "", err
	}
	if _, err := w.Write(packed); err != nil {
		return "", fmt.Errorf("write policy bundle: %w", err)
	}
	return m.Digest, nil
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// pack gives the one tar that there is of a manifest, a signature and files. A
// nil signature is none.
func pack(manifest, sig []byte, files []File) ([]byte, error) {
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	put := func(name string, data []byte) error {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o444, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err := t.Write(data)
		return err
	}
	if err := put(manifestName, manifest); err != nil {
		return nil, err
	}
	if sig != nil {
		if err := put(signatureName, sig); err != nil {
			return nil, err
		}
	}
	for i := range files {
		if err := put(folder+files[i].Name, files[i].Data); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
