// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/signing"
)

// A carried file is an exported generation with a label before it, both signed by
// the key of whoever answers for it: bundle.json, bundle.sig, then the members of
// an exported generation, in one zstd-compressed tar. The label names the digest
// of the manifest, the manifest the digests of all else.
const (
	labelName    = "bundle.json"
	labelSigName = "bundle.sig"
	maxLabel     = 1 << 20
	maxVersions  = 1000
)

// LabelFormat is the version of the label. A reader refuses any other.
const LabelFormat = 1

// A Label says what a carried file is.
type Label struct {
	Format   int               `json:"format"` // LabelFormat
	Created  time.Time         `json:"created"`
	Expires  time.Time         `json:"expires,omitzero"` // zero is never
	Database bulwark.Digest    `json:"database"`         // of the manifest
	Tool     string            `json:"tool,omitempty"`   // that made it
	Versions map[string]string `json:"versions,omitempty"`
	Note     string            `json:"note,omitempty"` // by who made it
}

// Carry writes a generation with a label to dst. Both are signed with the
// writer's signer; Format and Database of the label are filled in.
func (w *Writer) Carry(ctx context.Context, dst io.Writer, l Label) (*Generation, error) {
	g, err := w.Resigned(time.Time{})
	if err != nil {
		return nil, err
	}
	key, err := w.signer()
	if err != nil {
		return nil, err
	}
	l.Format, l.Database = LabelFormat, g.ID
	label, err := json.MarshalIndent(&l, "", " ")
	if err != nil {
		return nil, err
	}
	sig, err := signing.Sign(key, labelDomain, string(digestOf(label)))
	if err != nil {
		return nil, err
	}
	p, err := newPacker(dst, l.Created)
	if err != nil {
		return nil, err
	}
	if err := p.bytes(labelName, label); err != nil {
		return nil, err
	}
	if err := p.bytes(labelSigName, sig); err != nil {
		return nil, err
	}
	return g, p.generation(ctx, g)
}

// open reads the label and the manifest, and judges them.
func (u *unpacker) open(dir string, a *Acceptance, current *Manifest) (*Label, *Generation, error) {
	text, err := u.small(labelName, maxLabel)
	if err != nil {
		return nil, nil, err
	}
	sig, err := u.small(labelSigName, maxSignature)
	if err != nil {
		return nil, nil, err
	}
	key, err := signing.Verify(sig, labelDomain, string(digestOf(text)))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: signature of the label: %w: %w", u.op, err, bulwark.ErrDigest)
	}
	if err := a.key(dir, key); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", u.op, err)
	}
	var l Label
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, nil, fmt.Errorf("%s: label: %w: %w", u.op, err, bulwark.ErrUnsupported)
	}
	if l.Format != LabelFormat {
		return nil, nil, &bulwark.Hint{Err: fmt.Errorf("%s: bundle format %d: %w", u.op, l.Format, bulwark.ErrUnsupported), Next: "update bulwark"}
	}
	if len(l.Versions) > maxVersions {
		return nil, nil, fmt.Errorf("%s: label of %d versions: %w", u.op, len(l.Versions), bulwark.ErrTooLarge)
	}
	if !a.AllowOlder && !l.Expires.IsZero() && a.Now.After(l.Expires) {
		return nil, nil, &bulwark.Hint{
			Err:  fmt.Errorf("%s: bundle was good until %s: %w", u.op, l.Expires.UTC().Format("2006-01-02 15:04 UTC"), ErrOld),
			Next: "bring a newer one; --allow-older takes it nevertheless",
		}
	}
	g, err := u.generation(func(k ed25519.PublicKey) error {
		if !k.Equal(key) {
			return fmt.Errorf("label and database are signed by two keys: %w", bulwark.ErrDigest)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if g.ID != l.Database {
		return nil, nil, fmt.Errorf("%s: manifest %s, label names %s: %w", u.op, g.ID.Short(), l.Database.Short(), bulwark.ErrDigest)
	}
	if err := a.Fresh(&g.Manifest, current); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", u.op, err)
	}
	return &l, g, nil
}

// Carried tells whether a file is a carried one, and not an exported generation.
// It reads the head of src.
func Carried(src io.Reader) (bool, error) {
	u, err := newUnpacker(src, "read")
	if err != nil {
		return false, err
	}
	defer u.zr.Close()
	h, err := u.tr.Next()
	if err != nil || h.Name != labelName && h.Name != manifestName {
		return false, &bulwark.Hint{
			Err:  fmt.Errorf("neither bundle nor exported database: %w", bulwark.ErrUnsupported),
			Next: "give a file made by bulwark bundle create or bulwark db export",
		}
	}
	return h.Name == labelName, nil
}

// VerifyCarried reads a whole carried file and writes nothing. The signature, the
// age and every digest are checked, and that nothing is missing or follows. dir
// is the database whose trusted keys count when the acceptance names none, "" for
// none; current, which may be nil, must not be newer.
func VerifyCarried(ctx context.Context, src io.Reader, a Acceptance, dir string, current *Manifest) (*Label, *Generation, error) {
	u, err := newUnpacker(src, "bundle")
	if err != nil {
		return nil, nil, err
	}
	defer u.zr.Close()
	l, g, err := u.open(dir, &a, current)
	if err != nil {
		return nil, nil, err
	}
	err = u.files(ctx, g, func(f *File, r io.Reader) (File, error) {
		h := sha256.New()
		n, err := io.Copy(h, r)
		return File{Digest: bulwark.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), Size: n}, err
	})
	if err != nil {
		return nil, nil, err
	}
	return l, g, u.end()
}

// Apply makes what a carried file holds the current generation. Until the last
// byte was checked, the one that there is stays.
func (w *Writer) Apply(ctx context.Context, src io.Reader, a Acceptance) (*Label, *Generation, error) {
	u, err := newUnpacker(src, "bundle")
	if err != nil {
		return nil, nil, err
	}
	defer u.zr.Close()
	var current *Manifest
	if w.Current != nil {
		current = &w.Current.Manifest
	}
	l, g, err := u.open(w.dir, &a, current)
	if err != nil {
		return nil, nil, err
	}
	if err := u.files(ctx, g, func(f *File, r io.Reader) (File, error) { return w.Add(f.Name, readerTo{r}) }); err != nil {
		return nil, nil, err
	}
	if err := u.end(); err != nil {
		return nil, nil, err
	}
	g, err = w.Adopt(g)
	return l, g, err
}
