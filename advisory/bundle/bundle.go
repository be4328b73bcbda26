// SPDX-License-Identifier: Apache-2.0

// Package bundle keeps the advisory database on disk: immutable generations of
// files named by their digest, each with a signed manifest, and a pointer to the
// current one.
//
//	CURRENT                    the name of the current generation
//	trusted                    public keys whose generations are accepted
//	key                        private key that signs what is built here
//	lock                       held by the one writer
//	PREVIOUS                   the name of the one before it, which is kept
//	gen-0123456789abcdef/      a generation, named by the digest of its manifest
//	  manifest.json            what is in it, and how fresh
//	  manifest.sig             who says so
//	  sha256-….seg             the files that the manifest names
//
// Readers need no lock: a generation never changes, and CURRENT is replaced by
// renaming. The package does not know what the files mean.
package bundle

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/signing"
)

// Format is the version of the manifest and of the files that it names. A
// reader refuses any other.
const Format = 1

// Limits of a generation.
const (
	maxManifest  = 16 << 20
	maxSignature = 4096
	maxFiles     = 1000
	maxFile      = 2 << 30 // bytes
	maxTotal     = 8 << 30 // bytes
)

// Names of the files of a generation, on disk and in an exported file.
const (
	manifestName  = "manifest.json"
	signatureName = "manifest.sig"
)

// A Manifest says what a generation holds.
type Manifest struct {
	Format  int       `json:"format"` // Format
	Built   time.Time `json:"built"`
	Expires time.Time `json:"expires,omitzero"` // zero is never
	Feeds   []Feed    `json:"feeds"`            // sorted by name
	Files   []File    `json:"files"`            // sorted by name
	Builder string    `json:"builder,omitempty"`
}

// A Feed is one source of a generation, and how fresh it is.
type Feed struct {
	bulwark.Feed
	Mark string `json:"mark,omitempty"` // what the source gave to ask for changes with
	Bad  int    `json:"bad,omitempty"`  // records that could not be read
}

// A File is one file of a generation.
type File struct {
	Name       string         `json:"name"` // "osv/Debian", "kev", "epss"
	Digest     bulwark.Digest `json:"digest"`
	Size       int64          `json:"size"` // bytes
	Advisories int            `json:"advisories,omitempty"`
	Rows       int            `json:"rows,omitempty"` // affected packages
	Hot        int64          `json:"hot,omitempty"`  // bytes that matching looks at
}

// path gives the name of the file on disk.
func (f *File) path() string { return "sha256-" + f.Digest.Hex() + ".seg" }

// File gives a file by its name; nil when there is none.
func (m *Manifest) File(name string) *File {
	for i := range m.Files {
		if m.Files[i].Name == name {
			return &m.Files[i]
		}
	}
	return nil
}

// Feed gives a feed by its name; nil when there is none.
func (m *Manifest) Feed(name string) *Feed {
	for i := range m.Feeds {
		if m.Feeds[i].Name == name {
			return &m.Feeds[i]
		}
	}
	return nil
}

// Asked gives the time at which a feed was last asked with success, or else the
// time of the build. A build of which every feed failed is as old as the last
// one that did not.
func (m *Manifest) Asked() time.Time {
	newest := time.Time{}
	for i := range m.Feeds {
		if m.Feeds[i].Fetched.After(newest) {
			newest = m.Feeds[i].Fetched
		}
	}
	if newest.IsZero() || newest.After(m.Built) {
		return m.Built
	}
	return newest
}

// What signatures are of, see [signing.Sign].
const (
	databaseDomain = "bulwark advisory database v1"
	labelDomain    = "bulwark bundle v1"
)

func digestOf(b []byte) bulwark.Digest {
	sum := sha256.Sum256(b)
	return bulwark.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// A Generation is one state of the database. It is safe for concurrent use.
type Generation struct {
	Manifest
	ID  bulwark.Digest    // of the manifest
	Key ed25519.PublicKey // that signed it
	dir string

	manifest, sig []byte
}

var generationName = regexp.MustCompile(`^gen-[0-9a-f]{16}$`)

// Current opens the current generation of a database: the signature and the form
// of its manifest are checked, the files are not. It is [bulwark.ErrNotFound]
// when there is none.
func Current(dir string) (*Generation, error) {
	var last string
	for {
		b, err := readFile(filepath.Join(dir, "CURRENT"), 100)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("database in %q: %w", dir, bulwark.ErrNotFound)
		}
		if err != nil {
			return nil, fmt.Errorf("database in %q: %w", dir, err)
		}
		name := strings.TrimSpace(string(b))
		if !generationName.MatchString(name) {
			return nil, fmt.Errorf("database in %q: current generation %q: %w", dir, name, bulwark.ErrUnsupported)
		}
		g, err := openGeneration(filepath.Join(dir, name), func(k ed25519.PublicKey) error { return trusted(dir, k) })
		if errors.Is(err, os.ErrNotExist) && name != last {
			last = name // a writer has just replaced it
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("database in %q: %w", dir, err)
		}
		return g, nil
	}
}

// Named opens the generation of a database that what names: "current",
// "previous", or the digits that the digest of its manifest begins with, eight at
// least. It is [bulwark.ErrNotFound] when there is none.
func Named(dir, what string) (*Generation, error) {
	if what == "current" {
		return Current(dir)
	}
	name := ""
	if what == "previous" {
		b, err := readFile(filepath.Join(dir, "PREVIOUS"), 100)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("database in %q: %w", dir, err)
		}
		name = strings.TrimSpace(string(b))
	} else if hex := strings.TrimPrefix(what, "sha256:"); len(hex) >= 8 && strings.Trim(hex, "0123456789abcdef") == "" {
		found, _ := filepath.Glob(filepath.Join(dir, "gen-"+hex[:min(16, len(hex))]+"*"))
		if len(found) == 1 {
			name = filepath.Base(found[0])
		}
	}
	if !generationName.MatchString(name) {
		err := fmt.Errorf("generation %q of the database in %q: %w", what, dir, bulwark.ErrNotFound)
		if what == "previous" {
			return nil, &bulwark.Hint{Err: err, Next: "there is one after the next update; name another database, a file or an address"}
		}
		return nil, err
	}
	g, err := openGeneration(filepath.Join(dir, name), func(k ed25519.PublicKey) error { return trusted(dir, k) })
	if errors.Is(err, os.ErrNotExist) {
		err = bulwark.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("generation %q of the database in %q: %w", what, dir, err)
	}
	return g, nil
}

func openGeneration(dir string, accept func(ed25519.PublicKey) error) (*Generation, error) {
	manifest, err := readFile(filepath.Join(dir, manifestName), maxManifest)
	if err != nil {
		return nil, err
	}
	sig, err := readFile(filepath.Join(dir, signatureName), maxSignature)
	if err != nil {
		return nil, err
	}
	g, err := verify(manifest, sig, accept)
	if err != nil {
		return nil, err
	}
	g.dir = dir
	return g, nil
}

// verify checks the signature of a manifest, and then its form.
func verify(manifest, sig []byte, accept func(ed25519.PublicKey) error) (*Generation, error) {
	id := digestOf(manifest)
	key, err := signing.Verify(sig, databaseDomain, string(id))
	if err != nil {
		return nil, fmt.Errorf("signature of manifest: %w: %w", err, bulwark.ErrDigest)
	}
	if err := accept(key); err != nil {
		return nil, err
	}
	g := &Generation{ID: id, Key: key, manifest: manifest, sig: sig}
	if err := json.Unmarshal(manifest, &g.Manifest); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if g.Format != Format {
		return nil, &bulwark.Hint{Err: fmt.Errorf("database format %d: %w", g.Format, bulwark.ErrUnsupported), Next: "run bulwark db update, or update bulwark"}
	}
	if len(g.Files) > maxFiles {
		return nil, fmt.Errorf("manifest names %d files: %w", len(g.Files), bulwark.ErrTooLarge)
	}
	total := int64(0)
	for i := range g.Files {
		f := &g.Files[i]
		if !f.Digest.Valid() || !strings.HasPrefix(string(f.Digest), "sha256:") || f.Size < 0 || f.Size > maxFile {
			return nil, fmt.Errorf("manifest, file %q: %w", f.Name, bulwark.ErrUnsupported)
		}
		if total += f.Size; total > maxTotal {
			return nil, fmt.Errorf("manifest names %d bytes: %w", total, bulwark.ErrTooLarge)
		}
	}
	return g, nil
}

// Map gives the bytes of a file, mapped into memory where the system can, and a
// function that releases them. The size is checked, the digest is not; see
// [Generation.Verify]. The file may be removed while it is mapped.
func (g *Generation) Map(f *File) ([]byte, func() error, error) {
	file, err := os.Open(filepath.Join(g.dir, f.path()))
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if st.Size() != f.Size || !st.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%q has %d bytes, manifest says %d: %w", f.Name, st.Size(), f.Size, bulwark.ErrDigest)
	}
	b, release, err := mapFile(file, f.Size)
	if err != nil {
		return nil, nil, fmt.Errorf("map %q: %w", f.Name, err)
	}
	return b, release, nil
}

// Verify reads every file and compares its digest.
func (g *Generation) Verify(ctx context.Context) error {
	for i := range g.Files {
		f := &g.Files[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := g.verifyFile(f); err != nil {
			return err
		}
	}
	return nil
}

func (g *Generation) verifyFile(f *File) error {
	file, err := os.Open(filepath.Join(g.dir, f.path()))
	if err != nil {
		return fmt.Errorf("verify %q: %w", f.Name, err)
	}
	defer file.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(file, f.Size+1))
	if err != nil {
		return fmt.Errorf("verify %q: %w", f.Name, err)
	}
	if n != f.Size || hex.EncodeToString(h.Sum(nil)) != f.Digest.Hex() {
		return fmt.Errorf("verify %q: %w", f.Name, bulwark.ErrDigest)
	}
	return nil
}

// PublicKey writes a key the way people pass it on: "ed25519:" and base64.
func PublicKey(k ed25519.PublicKey) string { return signing.Text(k) }

// ParsePublicKey reads what PublicKey wrote; anything else is [bulwark.ErrUsage].
func ParsePublicKey(s string) (ed25519.PublicKey, error) {
	k, err := signing.ParseText(s)
	if err != nil {
		return nil, fmt.Errorf("public key %w: %w", err, bulwark.ErrUsage)
	}
	return k, nil
}

// trusted tells whether the database accepts generations of a key.
func trusted(dir string, k ed25519.PublicKey) error {
	b, err := readFile(filepath.Join(dir, "trusted"), 1<<20)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for line := range bytes.Lines(b) {
		if strings.TrimSpace(string(line)) == PublicKey(k) {
			return nil
		}
	}
	return &bulwark.Hint{Err: fmt.Errorf("database is signed by %s, which is not trusted here: %w", PublicKey(k), bulwark.ErrDigest), Next: "import it again, or run bulwark db update"}
}

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %q: limit of %d bytes: %w", name, limit, bulwark.ErrTooLarge)
	}
	return b, nil
}
