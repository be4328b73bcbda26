// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
)

// CarryOptions say what goes into a bundle: one signed file for where there is no
// network. Dir, Key and Now are needed.
type CarryOptions struct {
	Dir      string             // of the database
	Key      ed25519.PrivateKey // that signs
	ValidFor time.Duration      // after which nobody takes it any more; 0 leaves that open
	Now      time.Time
	Tool     string            // that makes it, with its version
	Versions map[string]string // of rules and of the starter set, by name
	Note     string
}

// A Carried says what is in a bundle.
type Carried struct {
	Status
	Label bundle.Label
	Newer bool // than the database at hand, or there is none
}

// Carry writes a bundle of the current database to dst.
func Carry(ctx context.Context, dst io.Writer, o CarryOptions) (Carried, error) {
	if o.Dir == "" || o.Key == nil || o.Now.IsZero() {
		return Carried{}, fmt.Errorf("create bundle: directory, key and time are needed: %w", bulwark.ErrUsage)
	}
	if _, err := current(o.Dir); err != nil {
		return Carried{}, fmt.Errorf("create bundle: %w", err)
	}
	w, err := bundle.NewWriter(ctx, o.Dir)
	if err != nil {
		return Carried{}, fmt.Errorf("create bundle: %w", err)
	}
	w.Signer = o.Key
	l := bundle.Label{Created: o.Now.UTC().Truncate(time.Second), Tool: o.Tool, Versions: o.Versions, Note: o.Note}
	if o.ValidFor > 0 {
		l.Expires = l.Created.Add(o.ValidFor)
	}
	g, err := w.Carry(ctx, dst, l)
	if err := errors.Join(err, w.Close()); err != nil {
		return Carried{}, fmt.Errorf("create bundle: %w", err)
	}
	l.Format, l.Database = bundle.LabelFormat, g.ID
	return Carried{Status: status(g, nil), Label: l, Newer: true}, nil
}

// ApplyOptions say which bundles are taken. Dir and Now are needed.
type ApplyOptions struct {
	Dir        string        // of the database
	Keys       []string      // public keys that may have signed; empty is those that the database trusts
	MaxAge     time.Duration // since a feed was last asked; 0 is any
	AllowOlder bool          // than the current database, and than its own date
	Now        time.Time
}

func (o *ApplyOptions) acceptance() (bundle.Acceptance, error) {
	if o.Dir == "" || o.Now.IsZero() {
		return bundle.Acceptance{}, fmt.Errorf("directory and time are needed: %w", bulwark.ErrUsage)
	}
	keys, err := bundle.ParseKeys(o.Keys)
	return bundle.Acceptance{Keys: keys, MaxAge: o.MaxAge, AllowOlder: o.AllowOlder, Now: o.Now}, err
}

// VerifyBundle reads a whole bundle and writes nothing. The error is what [Apply]
// would refuse it for.
func VerifyBundle(ctx context.Context, name string, o ApplyOptions) (Carried, error) {
	c, err := carried(name, o, func(src io.Reader, a bundle.Acceptance) (*bundle.Label, *bundle.Generation, *bundle.Manifest, error) {
		var now *bundle.Manifest
		if g, err := bundle.Current(o.Dir); err == nil {
			now = &g.Manifest
		}
		l, g, err := bundle.VerifyCarried(ctx, src, a, o.Dir, now)
		return l, g, now, err
	})
	if err != nil {
		return Carried{}, fmt.Errorf("verify bundle %q: %w", name, err)
	}
	return c, nil
}

// Apply makes the database of a bundle the current one. Everything is checked
// before; until then the one that there is stays.
func Apply(ctx context.Context, name string, o ApplyOptions) (Carried, error) {
	c, err := carried(name, o, func(src io.Reader, a bundle.Acceptance) (*bundle.Label, *bundle.Generation, *bundle.Manifest, error) {
		w, err := bundle.NewWriter(ctx, o.Dir)
		if err != nil {
			return nil, nil, nil, err
		}
		var was *bundle.Manifest
		if w.Current != nil {
			m := w.Current.Manifest
			was = &m
		}
		l, g, err := w.Apply(ctx, src, a)
		return l, g, was, errors.Join(err, w.Close())
	})
	if err != nil {
		return Carried{}, fmt.Errorf("apply bundle %q: %w", name, err)
	}
	return c, nil
}

func carried(name string, o ApplyOptions, read func(io.Reader, bundle.Acceptance) (*bundle.Label, *bundle.Generation, *bundle.Manifest, error)) (Carried, error) {
	a, err := o.acceptance()
	if err != nil {
		return Carried{}, err
	}
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return Carried{}, bulwark.ErrNotFound
	}
	if err != nil {
		return Carried{}, err
	}
	defer f.Close()
	br := bufio.NewReader(f)
	if head, _ := br.Peek(4); !bundle.Exported(head) {
		return Carried{}, &bulwark.Hint{Err: fmt.Errorf("not a bundle: %w", bulwark.ErrUnsupported), Next: "give a file made by bulwark bundle create"}
	}
	l, g, was, err := read(br, a)
	if err != nil {
		return Carried{}, err
	}
	return Carried{Status: status(g, nil), Label: *l, Newer: was == nil || g.Built.After(was.Built)}, nil
}
