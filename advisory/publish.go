// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
	"github.com/bulwark-sec/bulwark/advisory/index"
)

// PublishOptions say what is published, where to, and under which signature. Dir,
// To and Now are needed.
type PublishOptions struct {
	Dir      string             // of the database
	To       string             // oci:// or a folder
	Key      ed25519.PrivateKey // nil is the database's own key
	ValidFor time.Duration      // after which nobody takes it any more; 0 leaves that open
	Replace  bool               // also what is newer, or signed by another key
	Now      time.Time

	Registry Opener       // of what is behind oci://
	Log      *slog.Logger // nil is silent
}

// Published says what a publication did.
type Published struct {
	ID        bulwark.Digest // of the manifest
	Key       string         // that it is signed by
	Wrote     int64          // bytes of new blobs and of the index
	Whole     int64          // bytes that somebody without a database fetches
	Step      int64          // bytes that somebody with the publication before fetches
	Deltas    int            // files that changed and can be made from those before
	Unchanged int            // files that did not change
}

// maxFromSteps is the part of a file, as a divisor, that the deltas that lead to
// it may be. Beyond that the oldest ones are left out.
const maxFromSteps = 2

// Publish puts the current database of a folder where others can [Pull] it. What
// is there already is not written again; readers are not disturbed.
func Publish(ctx context.Context, o PublishOptions) (Published, error) {
	if o.Dir == "" || o.To == "" || o.Now.IsZero() {
		return Published{}, fmt.Errorf("publish advisories: directory, address and time are needed: %w", bulwark.ErrUsage)
	}
	p := &publisher{PublishOptions: o, log: o.Log, blobs: map[bulwark.Digest]int64{}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if p.target, err = openTarget(ctx, o.To, o.Registry); err != nil {
		return Published{}, fmt.Errorf("publish advisories: %w", err)
	}
	w, err := bundle.NewWriter(ctx, o.Dir)
	if err != nil {
		return Published{}, fmt.Errorf("publish advisories: %w", err)
	}
	w.Signer = o.Key
	err = p.run(ctx, w)
	if err := errors.Join(err, w.Close()); err != nil {
		return Published{}, fmt.Errorf("publish advisories to %s: %w", o.To, err)
	}
	return p.out, nil
}

type publisher struct {
	PublishOptions
	log    *slog.Logger
	target Target
	before *bundle.Publication // nil when there is none
	old    *bundle.Generation
	blobs  map[bulwark.Digest]int64
	out    Published
}

func (p *publisher) run(ctx context.Context, w *bundle.Writer) error {
	if w.Current == nil {
		_, err := current(p.Dir)
		return err
	}
	expires := time.Time{}
	if p.ValidFor > 0 {
		expires = p.Now.Add(p.ValidFor)
	}
	g, err := w.Resigned(expires)
	if err != nil {
		return err
	}
	p.out.ID, p.out.Key = g.ID, bundle.PublicKey(g.Key)
	if err := p.previous(ctx, g); err != nil {
		return err
	}
	var files []bundle.Source
	for i := range g.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := p.file(ctx, g, &g.Files[i])
		if err != nil {
			return fmt.Errorf("file %q: %w", g.Files[i].Name, err)
		}
		files = append(files, s)
	}
	text, err := g.Publish(files)
	if err != nil {
		return err
	}
	if len(text) > bundle.MaxIndex {
		return fmt.Errorf("index of %d bytes: %w", len(text), bulwark.ErrTooLarge)
	}
	if err := p.target.Commit(ctx, text, p.blobs); err != nil {
		return err
	}
	n := int64(len(text))
	p.out.Wrote, p.out.Whole, p.out.Step = p.out.Wrote+n, p.out.Whole+n, p.out.Step+n
	p.log.InfoContext(ctx, "advisories published", "to", p.To, "id", g.ID.Short(), "wrote", p.out.Wrote)
	return nil
}

// previous reads what is published already, and refuses to replace what is newer
// or another's.
func (p *publisher) previous(ctx context.Context, g *bundle.Generation) error {
	text, err := p.target.Index(ctx)
	if errors.Is(err, bulwark.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	pub, old, err := bundle.ParsePublication(text, anyKey)
	switch {
	case err != nil && p.Replace:
		return nil // whatever it is
	case err != nil:
		return &bulwark.Hint{Err: fmt.Errorf("what is published there: %w", err), Next: "pass --replace to write over it"}
	case !old.Key.Equal(g.Key) && !p.Replace:
		return &bulwark.Hint{
			Err:  fmt.Errorf("what is published there is signed by %s, this by %s: %w", bundle.PublicKey(old.Key), bundle.PublicKey(g.Key), bulwark.ErrDigest),
			Next: "sign with the same --signing-key, or pass --replace and tell the readers the new key",
		}
	case g.Built.Before(old.Built) && !p.Replace:
		return &bulwark.Hint{
			Err:  fmt.Errorf("what is published there was built at %s, this at %s: %w", old.Built.UTC().Format(time.RFC3339), g.Built.UTC().Format(time.RFC3339), bundle.ErrOld),
			Next: "update the database first, or pass --replace; readers then need --allow-older",
		}
	}
	p.before, p.old = pub, old
	return nil
}

// file puts one file where it is missing, and says how it can be had.
func (p *publisher) file(ctx context.Context, g *bundle.Generation, f *bundle.File) (bundle.Source, error) {
	var was *bundle.Source
	if p.before != nil {
		was = p.before.Source(f.Name)
	}
	if was != nil && was.Digest == f.Digest {
		there, err := p.there(ctx, was)
		if err != nil {
			return bundle.Source{}, err
		}
		if there {
			p.out.Unchanged++
			p.count(was)
			return *was, nil
		}
		was = nil // somebody cleaned up too much there
	}
	plain, release, err := g.Map(f)
	if err != nil {
		return bundle.Source{}, err
	}
	defer release()
	h := sha()
	h.Write(plain)
	if h.digest() != f.Digest {
		return bundle.Source{}, &bulwark.Hint{Err: bulwark.ErrDigest, Next: "run bulwark db verify, then bulwark db update --full"}
	}
	s := bundle.Source{Name: f.Name, Digest: f.Digest}
	b, err := packed(plain)
	if err != nil {
		return s, err
	}
	if s.Whole, err = p.put(ctx, b); err != nil {
		return s, err
	}
	if was != nil {
		if s.Steps, err = p.steps(ctx, f, was, plain, s.Whole.Size); err != nil {
			if ctx.Err() != nil {
				return s, err
			}
			p.log.WarnContext(ctx, "delta not made", "file", f.Name, "error", err)
		}
	}
	p.count(&s)
	if n := len(s.Steps); n > 0 {
		p.out.Deltas++
		p.out.Step += s.Steps[n-1].Size
	} else {
		p.out.Step += s.Whole.Size
	}
	return s, nil
}

// there tells whether every blob of a source is where it is said to be.
func (p *publisher) there(ctx context.Context, s *bundle.Source) (bool, error) {
	blobs := []bundle.Blob{s.Whole}
	for _, st := range s.Steps {
		blobs = append(blobs, st.Blob)
	}
	for _, b := range blobs {
		if ok, err := p.target.Has(ctx, b.Digest, b.Size); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (p *publisher) count(s *bundle.Source) {
	if _, ok := p.blobs[s.Whole.Digest]; !ok {
		p.out.Whole += s.Whole.Size
	}
	p.blobs[s.Whole.Digest] = s.Whole.Size
	for _, st := range s.Steps {
		p.blobs[st.Digest] = st.Size
	}
}

// put writes bytes as a blob, unless that is there.
func (p *publisher) put(ctx context.Context, b []byte) (bundle.Blob, error) {
	h := sha()
	h.Write(b)
	blob := bundle.Blob{Digest: h.digest(), Size: int64(len(b))}
	there, err := p.target.Has(ctx, blob.Digest, blob.Size)
	if err != nil || there {
		return blob, err
	}
	p.out.Wrote += blob.Size
	return blob, p.target.Put(ctx, blob.Digest, blob.Size, func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b)), nil
	})
}

// steps gives the deltas that lead to a file: those of before, and a new one from
// the file of before. A delta that does not give the very bytes of the file here
// is not published.
func (p *publisher) steps(ctx context.Context, f *bundle.File, was *bundle.Source, plain []byte, whole int64) ([]bundle.Step, error) {
	size := p.old.File(f.Name).Size
	body, _, err := p.target.Open(ctx, was.Whole.Digest, was.Whole.Size, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	zr, err := unpacked(io.LimitReader(body, was.Whole.Size))
	if err != nil {
		return nil, err
	}
	defer zr.Close()
	old, h := bytes.Buffer{}, sha()
	if _, err := (&bounded{ctx, zr, size}).WriteTo(io.MultiWriter(&old, h)); err != nil {
		return nil, err
	}
	if h.digest() != was.Digest {
		return nil, fmt.Errorf("file of before: %w", bulwark.ErrDigest)
	}
	d, err := delta(f.Name, old.Bytes(), plain)
	if err != nil || len(d) > maxDelta {
		return nil, err
	}
	content, err := applied(f.Name, old.Bytes(), [][]byte{d})
	if err != nil {
		return nil, err
	}
	h = sha()
	if _, err := content.WriteTo(h); err != nil {
		return nil, err
	}
	if h.digest() != f.Digest {
		return nil, fmt.Errorf("what the delta gives: %w", bulwark.ErrDigest)
	}
	b, err := packed(d)
	if err != nil || int64(len(b)) > whole/maxFromSteps {
		return nil, err
	}
	blob, err := p.put(ctx, b)
	if err != nil {
		return nil, err
	}
	steps := append(was.Steps[:len(was.Steps):len(was.Steps)], bundle.Step{From: was.Digest, Blob: blob})
	sum := int64(0)
	for i := len(steps) - 1; i >= 0; i-- {
		if sum += steps[i].Size; sum > whole/maxFromSteps || len(steps)-i > bundle.MaxSteps {
			return steps[i+1:], nil
		}
	}
	return steps, nil
}

// delta gives what makes a file of an older one.
func delta(name string, old, next []byte) ([]byte, error) {
	if !strings.HasPrefix(name, "osv/") {
		a, err := index.OpenScores(old)
		if err != nil {
			return nil, err
		}
		b, err := index.OpenScores(next)
		if err != nil {
			return nil, err
		}
		d, _ := index.DeltaScores(a, b)
		return d, nil
	}
	a, err := index.Open(old)
	if err != nil {
		return nil, err
	}
	b, err := index.Open(next)
	if err != nil {
		return nil, err
	}
	d, _, err := index.Delta(a, b)
	return d, err
}
