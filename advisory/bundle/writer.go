// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/signing"
)

// A Writer makes the next generation of a database. There is one at a time for
// each database, over all processes. It is not safe for concurrent use.
type Writer struct {
	Current *Generation        // nil when there is none, or none that can be used
	Signer  ed25519.PrivateKey // signs what is published; nil is the database's own key

	dir    string
	tmp    string
	unlock func() error
}

// lockWait is the time between two attempts to get the lock.
const lockWait = 50 * time.Millisecond

// NewWriter waits until no other process writes the database, or ctx is done. The
// directory is made when it is not there. The caller closes the writer.
func NewWriter(ctx context.Context, dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("lock database in %q: %w", dir, err)
	}
	w := &Writer{dir: dir, unlock: unlock}
	// What an interrupted writer has left.
	left, _ := filepath.Glob(filepath.Join(dir, "tmp-*"))
	for _, p := range left {
		_ = os.RemoveAll(p)
	}
	if w.tmp, err = os.MkdirTemp(dir, "tmp-"); err != nil {
		return nil, errors.Join(err, unlock())
	}
	if g, err := Current(dir); err == nil {
		w.Current = g
	}
	return w, nil
}

// Close gives up what was not published, and the lock.
func (w *Writer) Close() error {
	return errors.Join(os.RemoveAll(w.tmp), w.unlock())
}

// Add writes a file of the next generation.
func (w *Writer) Add(name string, content io.WriterTo) (File, error) {
	f, err := os.CreateTemp(w.tmp, "new-")
	if err != nil {
		return File{}, err
	}
	h := sha256.New()
	n, err := content.WriteTo(io.MultiWriter(f, h))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return File{}, fmt.Errorf("write %q: %w", name, err)
	}
	if n > maxFile {
		return File{}, fmt.Errorf("write %q: %d bytes: %w", name, n, bulwark.ErrTooLarge)
	}
	out := File{Name: name, Digest: bulwark.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), Size: n}
	if err := os.Chmod(f.Name(), 0o444); err != nil {
		return File{}, err
	}
	return out, os.Rename(f.Name(), filepath.Join(w.tmp, out.path()))
}

// Keep takes a file over from the current generation.
func (w *Writer) Keep(f *File) error {
	if w.Current == nil {
		return fmt.Errorf("keep %q: %w", f.Name, bulwark.ErrNotFound)
	}
	from, to := filepath.Join(w.Current.dir, f.path()), filepath.Join(w.tmp, f.path())
	err := os.Link(from, to)
	if err == nil || errors.Is(err, os.ErrExist) {
		return nil
	}
	// A file system without hard links.
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Sync(), dst.Close())
}

// Publish signs the manifest with this database's own key, which is made at the
// first use, and makes the generation the current one. Every file that the
// manifest names must have been added or kept.
func (w *Writer) Publish(m Manifest) (*Generation, error) {
	m.Format = Format
	slices.SortFunc(m.Feeds, func(a, b Feed) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(m.Files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	manifest, err := json.MarshalIndent(&m, "", " ")
	if err != nil {
		return nil, err
	}
	key, err := w.signer()
	if err != nil {
		return nil, err
	}
	sig, err := signing.Sign(key, databaseDomain, string(digestOf(manifest)))
	if err != nil {
		return nil, err
	}
	return w.publish(manifest, sig)
}

// Resigned gives the current generation under the signature of the writer's
// signer, with another time of expiry unless that is zero. It is not published
// here: it is to be sent elsewhere.
func (w *Writer) Resigned(expires time.Time) (*Generation, error) {
	if w.Current == nil {
		return nil, fmt.Errorf("sign database: %w", bulwark.ErrNotFound)
	}
	key, err := w.signer()
	if err != nil {
		return nil, err
	}
	manifest := w.Current.manifest
	if !expires.IsZero() {
		m := w.Current.Manifest
		m.Expires = expires.UTC().Truncate(time.Second)
		if manifest, err = json.MarshalIndent(&m, "", " "); err != nil {
			return nil, err
		}
	}
	sig, err := signing.Sign(key, databaseDomain, string(digestOf(manifest)))
	if err != nil {
		return nil, err
	}
	g, err := verify(manifest, sig, func(ed25519.PublicKey) error { return nil })
	if err != nil {
		return nil, err
	}
	g.dir = w.Current.dir
	return g, nil
}

// Adopt makes a generation that was signed elsewhere the current one, and its key
// one that this database trusts. Every file must have been added or kept.
func (w *Writer) Adopt(g *Generation) (*Generation, error) { return w.publish(g.manifest, g.sig) }

// publish makes a manifest with its signature the current generation.
func (w *Writer) publish(manifest, sig []byte) (*Generation, error) {
	g, err := verify(manifest, sig, func(k ed25519.PublicKey) error { return w.trust(k) })
	if err != nil {
		return nil, err
	}
	for i := range g.Files {
		st, err := os.Stat(filepath.Join(w.tmp, g.Files[i].path()))
		if err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
		if st.Size() != g.Files[i].Size {
			return nil, fmt.Errorf("publish %q: %w", g.Files[i].Name, bulwark.ErrDigest)
		}
	}
	if err := writeFile(filepath.Join(w.tmp, manifestName), manifest, 0o444); err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(w.tmp, signatureName), sig, 0o444); err != nil {
		return nil, err
	}
	name := "gen-" + g.ID.Hex()[:16]
	g.dir = filepath.Join(w.dir, name)
	if w.Current == nil || w.Current.ID != g.ID {
		if err := os.RemoveAll(g.dir); err != nil { // of an interrupted writer
			return nil, err
		}
		if err := os.Rename(w.tmp, g.dir); err != nil {
			return nil, err
		}
		if err := os.Chmod(g.dir, 0o755); err != nil {
			return nil, err
		}
		if w.Current != nil {
			if err := writeFile(filepath.Join(w.dir, "PREVIOUS"), []byte(filepath.Base(w.Current.dir)+"\n"), 0o644); err != nil {
				return nil, err
			}
		}
		// The pointer is replaced in one step: a reader sees the old or the new one.
		next := filepath.Join(w.dir, "tmp-CURRENT")
		if err := writeFile(next, []byte(name+"\n"), 0o644); err != nil {
			return nil, err
		}
		if err := os.Rename(next, filepath.Join(w.dir, "CURRENT")); err != nil {
			return nil, err
		}
		syncDir(w.dir)
	}
	previous, _ := readFile(filepath.Join(w.dir, "PREVIOUS"), 100)
	old, _ := filepath.Glob(filepath.Join(w.dir, "gen-*"))
	for _, p := range old {
		if base := filepath.Base(p); p != g.dir && base != strings.TrimSpace(string(previous)) && generationName.MatchString(base) {
			_ = os.RemoveAll(p) // readers that have it open keep it
		}
	}
	w.Current = g
	return g, nil
}

func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync() // not every file system can
		_ = d.Close()
	}
}

func (w *Writer) signer() (ed25519.PrivateKey, error) {
	if w.Signer != nil {
		return w.Signer, nil
	}
	return w.key()
}

// key gives the key that signs here.
func (w *Writer) key() (ed25519.PrivateKey, error) {
	name := filepath.Join(w.dir, "key")
	b, err := readFile(name, 4096)
	if err == nil {
		if len(b) != ed25519.SeedSize {
			return nil, &bulwark.Hint{Err: fmt.Errorf("signing key %q: %w", name, bulwark.ErrUnsupported), Next: "remove it, a new one is made"}
		}
		return ed25519.NewKeyFromSeed(b), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), writeFile(name, seed, 0o600)
}

// trust adds a key to those whose generations are accepted.
func (w *Writer) trust(k ed25519.PublicKey) error {
	if trusted(w.dir, k) == nil {
		return nil
	}
	name := filepath.Join(w.dir, "trusted")
	b, err := readFile(name, 1<<20)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if s := string(b); s != "" && !strings.HasSuffix(s, "\n") {
		b = append(b, '\n')
	}
	return writeFile(name, append(b, PublicKey(k)+"\n"...), 0o644)
}

// writeFile replaces a file in one step.
func writeFile(name string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), "tmp-")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), name)
}
