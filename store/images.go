// SPDX-License-Identifier: Apache-2.0

// Package store keeps what was learnt, beyond one scan. It knows images: which
// were seen under which names, by the chain of their layers, so that an image that
// is built on another one can be told whose it is. And it knows the last reports,
// whole, to look something up in them or to judge them again. It does not know
// where images come from, what is wrong with them, or how anything is judged.
package store

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/whole"
)

// An Image is one image that was seen, under one name.
type Image struct {
	Name     string           `json:"name"`               // with tag: "docker.io/library/debian:12"; never empty
	Digest   bulwark.Digest   `json:"digest,omitempty"`   // of its manifest; "" is unknown
	Platform string           `json:"platform,omitempty"` // "linux/amd64"
	Layers   []bulwark.Digest `json:"layers"`             // diff IDs, oldest first; never empty
	Created  time.Time        `json:"created,omitzero"`   // when the image says it was built
	Seen     time.Time        `json:"seen,omitzero"`      // last
	Declared bool             `json:"declared,omitempty"` // somebody said that it is a base image
	Steps    int              `json:"steps,omitempty"`    // entries of its history
	History  bulwark.Digest   `json:"history,omitempty"`  // of the instructions, see Steps
	Settled  bool             `json:"settled,omitempty"`  // its history ends with a setting, as that of a base image does
	Pulled   bool             `json:"pulled,omitempty"`   // its digest came from a registry under this name, and not from whoever gave it the name
	Made     string           `json:"made,omitempty"`     // what made its inventory: the set of parsers; "" is unknown
}

// Chain gives the chain ID of the image's last layer.
func (i *Image) Chain() bulwark.Digest {
	layers := make([]bulwark.Layer, len(i.Layers))
	for k, d := range i.Layers {
		layers[k].DiffID = d
	}
	chain := bulwark.Chain(layers)
	if len(chain) == 0 || len(chain) < len(layers) {
		return ""
	}
	return chain[len(chain)-1]
}

// Steps gives the digest of the first n instructions of a history: images that
// are built on another one begin with all of its instructions, also with those
// that make no layer.
func Steps(history []bulwark.History, n int) bulwark.Digest {
	h := sha256.New()
	for _, s := range history[:min(n, len(history))] {
		fmt.Fprintf(h, "%t %q\n", s.Empty, s.CreatedBy)
	}
	return bulwark.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// Repository gives the name without its tag or digest.
func Repository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name
}

// Tag gives the tag of a name, "" when there is none.
func Tag(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return strings.TrimPrefix(name[len(Repository(name)):], ":")
}

// Images is a folder of images, bounded in number and bytes: the least recently
// seen go first, and those that were declared base images stay. A nil Images
// holds nothing and keeps nothing. It is safe for use by several goroutines and
// processes: every file is written whole or not at all, and belongs to one name
// or one chain.
//
//	chains/CHAIN/NAME.json       an Image; its time is that of Image.Seen
//	chains/CHAIN/inventory.zst   what is in it
//	repositories/REPO/CHAIN-NAME empty
//	declared/CHAIN-NAME          empty
type Images struct {
	dir string
	max Bounds
}

// Bounds on what is believed of a file.
const (
	maxImage     = 1 << 20
	maxInventory = 64 << 20
	maxNames     = 1000 // names of one chain, images of one repository
	maxLayers    = 1000
)

const inventoryFile = "inventory.zst"

// OpenImages opens a folder of images, which need not be there yet. Zero bounds
// are the default ones.
func OpenImages(dir string, max Bounds) *Images {
	return &Images{dir: dir, max: Bounds{cmp.Or(max.Images, defaultImages), cmp.Or(max.Bytes, defaultBytes)}}
}

func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

func (s *Images) chainDir(chain bulwark.Digest) string {
	return filepath.Join(s.dir, "chains", short(string(chain)))
}

func (s *Images) markOf(img *Image, chain bulwark.Digest) string {
	return filepath.Join(s.dir, "repositories", short(Repository(img.Name)), short(string(chain))+"-"+short(img.Name))
}

func (s *Images) declaredMark(img *Image, chain bulwark.Digest) string {
	return filepath.Join(s.dir, "declared", short(string(chain))+"-"+short(img.Name))
}

// seenAgain is the time within which it is not written that an image was seen
// once more.
const seenAgain = 24 * time.Hour

// Put keeps an image and, if it is not nil, what is in it. What was declared once
// stays so, and so does that it was pulled. Nothing is written when nothing
// changed. After it wrote, it removes what the bounds leave no room for.
func (s *Images) Put(ctx context.Context, img *Image, inv *bulwark.Inventory) error {
	if s == nil {
		return nil
	}
	chain := img.Chain()
	if chain == "" || img.Name == "" || len(img.Layers) > maxLayers {
		return fmt.Errorf("keep image %q: it has no name or no layers", img.Name)
	}
	wrote, err := s.put(ctx, img, chain, inv)
	if err == nil && wrote {
		_, err = s.Trim(ctx)
	}
	if err != nil {
		return fmt.Errorf("keep image %q: %w", img.Name, err)
	}
	return nil
}

func (s *Images) put(ctx context.Context, img *Image, chain bulwark.Digest, inv *bulwark.Inventory) (wrote bool, err error) {
	dir := s.chainDir(chain)
	file, content := filepath.Join(dir, short(img.Name)+".json"), filepath.Join(dir, inventoryFile)
	kept := *img
	old, err := read(file)
	if err == nil {
		kept.Declared, kept.Pulled = kept.Declared || old.Declared, kept.Pulled || old.Pulled
		if kept.History == "" { // a list does not know what a scan saw
			kept.Steps, kept.History, kept.Settled = old.Steps, old.History, old.Settled
		}
		if inv == nil {
			kept.Made = old.Made
		}
		if kept.Seen.Before(old.Seen) {
			kept.Seen = old.Seen
		}
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return false, err
	}
	put := func(name string, fill func(io.Writer) error) {
		if err != nil {
			return
		}
		wrote = true
		// Another process may be clearing the folder, and with it what is written.
		if err = whole.Write(name, func(w io.Writer) error { return fill(writer{ctx, w}) }); errors.Is(err, whole.ErrGone) {
			err = nil
		}
	}
	// The inventory is first: an image that says what made it has it.
	if inv != nil && (kept.Made == "" || old == nil || old.Made != kept.Made || !exists(content)) {
		put(content, func(w io.Writer) error { return writeInventory(w, inv) })
	}
	if !kept.since(old, seenAgain) {
		put(file, func(w io.Writer) error { _, err := w.Write(b); return err })
		if err == nil && !kept.Seen.IsZero() {
			_ = os.Chtimes(file, kept.Seen, kept.Seen) // for eviction; who may write may do this
		}
	}
	marks := []string{s.markOf(img, chain)}
	if kept.Declared {
		marks = append(marks, s.declaredMark(img, chain))
	}
	for _, m := range marks {
		if !exists(m) {
			put(m, func(io.Writer) error { return nil })
		}
	}
	return wrote, err
}

// since tells whether old says what i says, but for having been seen less than d
// before.
func (i Image) since(old *Image, d time.Duration) bool {
	if old == nil || i.Seen.Sub(old.Seen) >= d {
		return false
	}
	same := *old
	same.Seen = i.Seen
	a, aerr := json.Marshal(i)
	b, berr := json.Marshal(same)
	return aerr == nil && berr == nil && bytes.Equal(a, b)
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// A writer stops when its context is done.
type writer struct {
	ctx context.Context // of the one call of Put that made it
	w   io.Writer
}

func (w writer) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

func writeInventory(w io.Writer, inv *bulwark.Inventory) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(z).Encode(bulwark.Inventory{OS: inv.OS, Packages: inv.Packages}), z.Close())
}

// Inventory gives what is in the image with a chain. [bulwark.ErrNotFound] says
// that it was never scanned.
func (s *Images) Inventory(chain bulwark.Digest) (*bulwark.Inventory, error) {
	if s == nil {
		return nil, bulwark.ErrNotFound
	}
	f, err := os.Open(filepath.Join(s.chainDir(chain), inventoryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("inventory of %s: %w", chain.Short(), bulwark.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var inv bulwark.Inventory
	if err := json.NewDecoder(io.LimitReader(z, maxInventory)).Decode(&inv); err != nil {
		return nil, fmt.Errorf("inventory of %s: %w", chain.Short(), err)
	}
	return &inv, nil
}

// read gives the image in a file, and an error when it is not of that chain.
func read(name string) (*Image, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var img Image
	if err := json.NewDecoder(io.LimitReader(f, maxImage)).Decode(&img); err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	chain := img.Chain()
	if chain == "" || img.Name == "" || filepath.Base(filepath.Dir(name)) != short(string(chain)) {
		return nil, fmt.Errorf("read %q: it is not what its name says: %w", name, bulwark.ErrDigest)
	}
	return &img, nil
}

// Named gives the images with a chain, under all their names, by name. Files
// that cannot be read are left out.
func (s *Images) Named(chain bulwark.Digest) []*Image {
	if s == nil || chain == "" {
		return nil
	}
	list, err := filepath.Glob(filepath.Join(s.chainDir(chain), "*.json"))
	if err != nil {
		return nil
	}
	var out []*Image
	for _, name := range list[:min(len(list), maxNames)] {
		if img, err := read(name); err == nil {
			out = append(out, img)
		}
	}
	slices.SortFunc(out, func(a, b *Image) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// In gives the images of a repository, the newest first.
func (s *Images) In(ctx context.Context, repository string) ([]*Image, error) {
	if s == nil {
		return nil, nil
	}
	list, err := os.ReadDir(filepath.Join(s.dir, "repositories", short(repository)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []*Image
	for _, e := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		chain, name, ok := strings.Cut(e.Name(), "-")
		if !ok || strings.HasPrefix(e.Name(), ".") || len(out) == maxNames {
			continue
		}
		img, err := read(filepath.Join(s.dir, "chains", chain, name+".json"))
		if err == nil && Repository(img.Name) == repository {
			out = append(out, img)
		}
	}
	slices.SortFunc(out, func(a, b *Image) int {
		return cmp.Or(b.Created.Compare(a.Created), b.Seen.Compare(a.Seen), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// All gives every image, in no order that means anything.
func (s *Images) All(ctx context.Context) ([]*Image, error) {
	if s == nil {
		return nil, nil
	}
	list, err := filepath.Glob(filepath.Join(s.dir, "chains", "*", "*.json"))
	if err != nil {
		return nil, err
	}
	var out []*Image
	for _, name := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if img, err := read(name); err == nil {
			out = append(out, img)
		}
	}
	return out, nil
}

// maxLine bounds one line of an imported list, bytes.
const maxLine = 1 << 20

// Import takes in a list of base images, one JSON [Image] a line, and gives how
// many it took. They count as declared. Any line that is not one is an error that
// says which; lines before it were taken.
func (s *Images) Import(ctx context.Context, r io.Reader) (int, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	n := 0
	for line := 1; sc.Scan(); line++ {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		text := strings.TrimSpace(sc.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		var img Image
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&img); err != nil {
			return n, fmt.Errorf("line %d: %w", line, err)
		}
		for _, d := range img.Layers {
			if !d.Valid() {
				return n, fmt.Errorf("line %d: layer %q is not a digest", line, d)
			}
		}
		img.Declared = true
		if err := s.Put(ctx, &img, nil); err != nil {
			return n, fmt.Errorf("line %d: %w", line, err)
		}
		n++
	}
	return n, sc.Err()
}
