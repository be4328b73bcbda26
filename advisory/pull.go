// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory/bundle"
	"github.com/bulwark-sec/bulwark/advisory/index"
)

// PullOptions say where a published database is taken from, and which ones are
// taken. Dir, From and Now are needed.
type PullOptions struct {
	Dir  string   // of the database
	From []string // oci://, https:// or a folder; the first one that works counts

	Keys       []string      // public keys that may have signed; empty is those that the database trusts
	MaxAge     time.Duration // since the publisher last asked a feed; 0 is any
	AllowOlder bool          // than the current one, and than its own date
	Now        time.Time

	Client   *http.Client  // nil is one with the system's proxy settings
	Registry Opener        // of what is behind oci://
	Log      *slog.Logger  // nil is silent
	Progress func(Fetched) // called after each blob, one call at a time; nil is not
}

// Fetched tells where a pull stands: how many of the blobs that are wanted are
// there, and the bytes that came.
type Fetched struct {
	Blobs, Of int
	Bytes     int64
}

// Pulled says what a pull did.
type Pulled struct {
	Status
	From      string // the one of PullOptions.From that it came from
	Unchanged bool   // it is the current database already
	Moved     int64  // bytes that came, the index among them
	Whole     int64  // bytes that the whole database would have been
	Deltas    int    // files that were made from older ones
	Refused   int    // deltas that did not give what the manifest names, so that the file was fetched
}

// pullFolder holds blobs while they come, below the folder of the database. What
// an interrupted pull left there is used by the next one.
const pullFolder = "pull"

// pullers fetch blobs at the same time.
const pullers = 4

// maxDelta bounds a delta when it is unpacked, in bytes. A larger one is not
// worth to have.
const maxDelta = 256 << 20

// Pull makes a published database the current one. Only what the database at hand
// does not have is fetched: changes where the publisher has them, else files.
// The database that there is stays until everything was checked. When no address
// works the error tells why for each.
func Pull(ctx context.Context, o PullOptions) (Pulled, error) { return pull(ctx, o, false) }

// pull is Pull; with anybody the database may be signed by any key.
func pull(ctx context.Context, o PullOptions, anybody bool) (Pulled, error) {
	if o.Dir == "" || o.Now.IsZero() || len(o.From) == 0 {
		return Pulled{}, fmt.Errorf("update advisories: directory, address and time are needed: %w", bulwark.ErrUsage)
	}
	keys, err := bundle.ParseKeys(o.Keys)
	if err != nil {
		return Pulled{}, fmt.Errorf("update advisories: %w", err)
	}
	p := &puller{PullOptions: o, log: o.Log, accept: bundle.Acceptance{Keys: keys, Any: anybody, Now: o.Now, MaxAge: o.MaxAge, AllowOlder: o.AllowOlder}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.client = newClient(o.Client, transport{logf: func(msg string, args ...any) { p.log.WarnContext(ctx, msg, args...) }})
	p.staging = filepath.Join(o.Dir, pullFolder)
	w, err := bundle.NewWriter(ctx, o.Dir)
	if err != nil {
		return Pulled{}, fmt.Errorf("update advisories: %w", err)
	}
	out, err := p.any(ctx, w)
	return out, errors.Join(err, w.Close())
}

type puller struct {
	PullOptions
	accept  bundle.Acceptance
	client  *http.Client
	log     *slog.Logger
	staging string
}

// any tries one address after the other.
func (p *puller) any(ctx context.Context, w *bundle.Writer) (Pulled, error) {
	var errs []error
	for _, address := range p.From {
		out, err := p.one(ctx, w, address)
		if err == nil {
			out.From = address
			p.log.InfoContext(ctx, "advisories pulled", "from", address, "id", out.ID.Short(), "moved", out.Moved, "whole", out.Whole)
			return out, os.RemoveAll(p.staging)
		}
		if ctx.Err() != nil {
			return Pulled{}, ctx.Err()
		}
		p.log.WarnContext(ctx, "mirror failed", "from", address, "error", err)
		errs = append(errs, fmt.Errorf("%s: %w", address, err))
	}
	if len(errs) == 1 {
		return Pulled{}, fmt.Errorf("update advisories from %w", errs[0])
	}
	return Pulled{}, fmt.Errorf("update advisories, none of %d addresses serves:\n  %w", len(errs), &several{errs})
}

// several is a list of errors, one on a line.
type several struct{ errs []error }

func (s *several) Error() string {
	var b strings.Builder
	for i, err := range s.errs {
		if i > 0 {
			b.WriteString("\n  ")
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

func (s *several) Unwrap() []error { return s.errs }

func (p *puller) one(ctx context.Context, w *bundle.Writer, address string) (Pulled, error) {
	place, err := openPlace(ctx, address, p.client, p.Registry)
	if err != nil {
		return Pulled{}, err
	}
	text, err := place.Index(ctx)
	if err != nil {
		if errors.Is(err, bulwark.ErrNotFound) {
			err = &bulwark.Hint{Err: err, Next: "check the address; bulwark db build --publish makes what belongs there"}
		}
		return Pulled{}, err
	}
	pub, g, err := bundle.ParsePublication(text, func(k ed25519.PublicKey) error { return w.Keyed(&p.accept, k) })
	if err != nil {
		return Pulled{}, err
	}
	out := Pulled{Moved: int64(len(text)), Whole: int64(len(text))}
	seen := map[bulwark.Digest]bool{}
	for i := range pub.Files {
		if b := pub.Files[i].Whole; !seen[b.Digest] {
			seen[b.Digest] = true
			out.Whole += b.Size
		}
	}
	var current *bundle.Manifest
	if w.Current != nil {
		current = &w.Current.Manifest
	}
	if err := p.accept.Fresh(&g.Manifest, current); err != nil {
		return Pulled{}, err
	}
	if w.Current != nil && w.Current.ID == g.ID {
		out.Status, out.Unchanged = status(w.Current, nil), true
		return out, nil
	}
	if err := os.MkdirAll(p.staging, 0o755); err != nil {
		return Pulled{}, err
	}
	if err := p.files(ctx, w, place, pub, g, &out); err != nil {
		return Pulled{}, err
	}
	if g, err = w.Adopt(g); err != nil {
		return Pulled{}, err
	}
	out.Status = status(g, nil)
	return out, nil
}

// files brings every file of a publication into the next generation.
func (p *puller) files(ctx context.Context, w *bundle.Writer, place Place, pub *bundle.Publication, g *bundle.Generation, out *Pulled) error {
	var todo []*bundle.Source
	var blobs []bundle.Blob
	routes := map[string][]bundle.Step{}
	have := map[bulwark.Digest]*bundle.File{}
	if w.Current != nil {
		for i := range w.Current.Files {
			have[w.Current.Files[i].Digest] = &w.Current.Files[i]
		}
	}
	for i := range pub.Files {
		s := &pub.Files[i]
		if f := have[s.Digest]; f != nil {
			if err := w.Keep(f); err == nil {
				continue
			}
		}
		todo = append(todo, s)
		if w.Current != nil {
			if f := w.Current.File(s.Name); f != nil {
				routes[s.Name] = s.From(f.Digest)
			}
		}
		for _, st := range routes[s.Name] {
			blobs = append(blobs, st.Blob)
		}
		if len(routes[s.Name]) == 0 {
			blobs = append(blobs, s.Whole)
		}
	}
	moved, err := p.fetchAll(ctx, place, blobs)
	out.Moved += moved
	if err != nil {
		return err
	}
	for _, s := range todo {
		if err := ctx.Err(); err != nil {
			return err
		}
		if steps := routes[s.Name]; len(steps) > 0 {
			err := p.step(ctx, w, s, steps)
			if err == nil {
				out.Deltas++
				continue
			}
			if ctx.Err() != nil {
				return err
			}
			// Another release of bulwark may compress differently; the whole file is
			// what the manifest names in any case.
			p.log.WarnContext(ctx, "delta not usable", "file", s.Name, "error", err)
			out.Refused++
			moved, err := p.fetchAll(ctx, place, []bundle.Blob{s.Whole})
			out.Moved += moved
			if err != nil {
				return err
			}
		}
		if err := p.whole(ctx, w, s, g.File(s.Name).Size); err != nil {
			return err
		}
	}
	return nil
}

// step makes a file of the one at hand and deltas.
func (p *puller) step(ctx context.Context, w *bundle.Writer, s *bundle.Source, steps []bundle.Step) error {
	var deltas [][]byte
	for _, st := range steps {
		b, err := p.plain(st.Blob, maxDelta)
		if err != nil {
			return fmt.Errorf("delta of %q: %w", s.Name, err)
		}
		deltas = append(deltas, b)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	old, release, err := w.Current.Map(w.Current.File(s.Name))
	if err != nil {
		return err
	}
	defer release()
	content, err := applied(s.Name, old, deltas)
	if err != nil {
		return fmt.Errorf("delta of %q: %w", s.Name, err)
	}
	got, err := w.Add(s.Name, content)
	if err != nil {
		return err
	}
	if got.Digest != s.Digest {
		return fmt.Errorf("delta of %q: %w", s.Name, bulwark.ErrDigest)
	}
	return nil
}

// applied gives what deltas make of an old file.
func applied(name string, old []byte, deltas [][]byte) (io.WriterTo, error) {
	if strings.HasPrefix(name, "osv/") {
		seg, err := index.Open(old)
		if err == nil {
			err = seg.Check()
		}
		if err != nil {
			return nil, err
		}
		return index.Apply(seg, deltas...)
	}
	sc, err := index.OpenScores(old)
	if err != nil {
		return nil, err
	}
	return index.ApplyScores(sc, deltas...)
}

// plain unpacks a staged blob.
func (p *puller) plain(b bundle.Blob, limit int64) ([]byte, error) {
	f, err := os.Open(p.staged(b))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	zr, err := unpacked(f)
	if err != nil {
		return nil, err
	}
	defer zr.Close()
	out, err := io.ReadAll(io.LimitReader(zr, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(out)) > limit {
		return nil, fmt.Errorf("blob %s: limit of %d bytes: %w", b.Digest.Short(), limit, bulwark.ErrTooLarge)
	}
	return out, nil
}

func unpacked(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
}

// whole unpacks a file into the next generation.
func (p *puller) whole(ctx context.Context, w *bundle.Writer, s *bundle.Source, size int64) error {
	f, err := os.Open(p.staged(s.Whole))
	if err != nil {
		return err
	}
	defer f.Close()
	zr, err := unpacked(f)
	if err != nil {
		return err
	}
	defer zr.Close()
	got, err := w.Add(s.Name, &bounded{ctx, zr, size})
	if err != nil {
		return err
	}
	if got.Digest != s.Digest {
		return fmt.Errorf("file %q: %w", s.Name, bulwark.ErrDigest)
	}
	return nil
}

// bounded copies at most n bytes, while the context lasts.
type bounded struct {
	ctx context.Context //nolint:containedctx // it lives as long as one copy
	r   io.Reader
	n   int64
}

func (b *bounded) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, io.LimitReader(b, b.n+1))
	if err == nil && n > b.n {
		err = fmt.Errorf("limit of %d bytes: %w", b.n, bulwark.ErrTooLarge)
	}
	return n, err
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

func (p *puller) staged(b bundle.Blob) string { return filepath.Join(p.staging, blobName(b.Digest)) }

// fetchAll brings blobs to the staging folder and tells how many bytes came.
func (p *puller) fetchAll(ctx context.Context, place Place, blobs []bundle.Blob) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var moved int64
	there := 0
	seen := map[bulwark.Digest]bool{}
	var todo []bundle.Blob
	for _, b := range blobs {
		if !seen[b.Digest] {
			seen[b.Digest] = true
			todo = append(todo, b)
		}
	}
	for n := range pullers {
		wg.Go(func() {
			for i := n; i < len(todo) && ctx.Err() == nil; i += pullers {
				got, err := p.fetch(ctx, place, todo[i])
				mu.Lock()
				moved += got
				if err == nil {
					there++
					if p.Progress != nil {
						p.Progress(Fetched{Blobs: there, Of: len(todo), Bytes: moved})
					}
				}
				mu.Unlock()
				if err != nil {
					cancel(err) // the first one is the cause
				}
			}
		})
	}
	wg.Wait()
	return moved, context.Cause(ctx)
}

// fetch brings one blob, and goes on where it, or an earlier pull, broke off.
func (p *puller) fetch(ctx context.Context, place Place, b bundle.Blob) (moved int64, err error) {
	name := p.staged(b)
	if st, err := os.Stat(name); err == nil && st.Size() == b.Size {
		return 0, nil // it has its name since it was checked
	}
	part, err := os.OpenFile(name+".part", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return 0, err
	}
	moved, err = p.complete(ctx, place, b, part)
	if err := errors.Join(err, part.Close()); err != nil {
		if errors.Is(err, bulwark.ErrDigest) || errors.Is(err, bulwark.ErrTooLarge) {
			_ = os.Remove(part.Name()) // nothing to go on from
		}
		return moved, fmt.Errorf("blob %s: %w", b.Digest.Short(), err)
	}
	return moved, os.Rename(part.Name(), name)
}

// complete fills part with what is missing of a blob, and checks it.
func (p *puller) complete(ctx context.Context, place Place, b bundle.Blob, part *os.File) (moved int64, err error) {
	earlier := false // bytes from an earlier attempt may be why a digest is wrong
	for try := 0; ; try++ {
		st, err := part.Stat()
		if err != nil {
			return moved, err
		}
		off := st.Size()
		if off >= b.Size {
			off = 0
		}
		earlier = earlier || off > 0
		n, err := p.piece(ctx, place, b, part, off)
		moved += n
		if err == nil {
			err = settled(part, b)
			if !earlier || !errors.Is(err, bulwark.ErrDigest) {
				return moved, err
			}
			earlier = false
			if err := part.Truncate(0); err != nil {
				return moved, err
			}
			continue
		}
		if ctx.Err() != nil || try >= attempts-1 || n == 0 || errors.Is(err, bulwark.ErrTooLarge) {
			return moved, err
		}
		p.log.WarnContext(ctx, "blob broke off", "blob", b.Digest.Short(), "at", off+n, "error", err)
	}
}

// piece writes a blob from byte off on to part. It tells how many bytes came.
func (p *puller) piece(ctx context.Context, place Place, b bundle.Blob, part *os.File, off int64) (int64, error) {
	body, at, err := place.Open(ctx, b.Digest, b.Size, off)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if at < 0 || at > off {
		return 0, fmt.Errorf("sent from byte %d on, asked from %d: %w", at, off, bulwark.ErrUnsupported)
	}
	if err := part.Truncate(at); err != nil {
		return 0, err
	}
	if _, err := part.Seek(at, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.Copy(part, io.LimitReader(body, b.Size-at+1))
	switch {
	case err != nil:
		return n, err
	case at+n > b.Size:
		return n, fmt.Errorf("more than the %d bytes of the index: %w", b.Size, bulwark.ErrTooLarge)
	case at+n < b.Size:
		return n, io.ErrUnexpectedEOF
	}
	return n, nil
}

// settled tells whether a part that is complete is right.
func settled(part *os.File, b bundle.Blob) error {
	if _, err := part.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha()
	if _, err := io.Copy(h, part); err != nil {
		return err
	}
	if h.digest() != b.Digest {
		return bulwark.ErrDigest
	}
	return nil
}

// packed compresses bytes with zstd, to the same bytes each time.
func packed(b []byte) ([]byte, error) {
	zw, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	return zw.EncodeAll(b, nil), zw.Close()
}

func anyKey(ed25519.PublicKey) error { return nil }
