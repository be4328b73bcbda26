// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
)

// Export writes a generation to dst as one zstd-compressed tar: manifest,
// signature, then the files in the order of the manifest. The bytes depend on
// the generation alone.
func (g *Generation) Export(ctx context.Context, dst io.Writer) error {
	p, err := newPacker(dst, g.Built)
	if err != nil {
		return err
	}
	return p.generation(ctx, g)
}

// A packer writes a zstd-compressed tar whose bytes depend on its content alone.
type packer struct {
	zw *zstd.Encoder
	tw *tar.Writer
	at time.Time
}

func newPacker(dst io.Writer, at time.Time) (*packer, error) {
	zw, err := zstd.NewWriter(dst, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return &packer{zw, tar.NewWriter(zw), at}, nil
}

func (p *packer) put(name string, size int64, r io.Reader) error {
	err := p.tw.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o444, ModTime: p.at, Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	n, err := io.Copy(p.tw, io.LimitReader(r, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (p *packer) bytes(name string, b []byte) error {
	if err := p.put(name, int64(len(b)), bytes.NewReader(b)); err != nil {
		return fmt.Errorf("export %q: %w", name, err)
	}
	return nil
}

// generation writes a generation, and ends the tar.
func (p *packer) generation(ctx context.Context, g *Generation) error {
	if err := p.bytes(manifestName, g.manifest); err != nil {
		return err
	}
	if err := p.bytes(signatureName, g.sig); err != nil {
		return err
	}
	done := map[string]bool{}
	for i := range g.Files {
		f := &g.Files[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if done[f.path()] {
			continue // two names for the same bytes
		}
		done[f.path()] = true
		if err := g.verifyFile(f); err != nil {
			return err
		}
		if err := p.file(filepath.Join(g.dir, f.path()), f); err != nil {
			return fmt.Errorf("export %q: %w", f.Name, err)
		}
	}
	if err := p.tw.Close(); err != nil {
		return err
	}
	return p.zw.Close()
}

func (p *packer) file(name string, f *File) error {
	src, err := os.Open(name)
	if err != nil {
		return err
	}
	defer src.Close()
	return p.put(f.path(), f.Size, src)
}

// Exported tells whether a file begins like an exported generation.
func Exported(head []byte) bool {
	return len(head) >= 4 && string(head[:4]) == "\x28\xb5\x2f\xfd"
}

// Import makes an exported generation the current one. The bytes are hostile
// until the signature and every digest have been checked: only what the signed
// manifest names is written, under names of our own. With keys only a generation
// that one of them signed is taken.
func (w *Writer) Import(ctx context.Context, src io.Reader, keys []ed25519.PublicKey) (*Generation, error) {
	u, err := newUnpacker(src, "import")
	if err != nil {
		return nil, err
	}
	defer u.zr.Close()
	a := Acceptance{Keys: keys, Any: len(keys) == 0}
	g, err := u.generation(func(k ed25519.PublicKey) error { return a.key(w.dir, k) })
	if err != nil {
		return nil, err
	}
	if err := u.files(ctx, g, func(f *File, r io.Reader) (File, error) { return w.Add(f.Name, readerTo{r}) }); err != nil {
		return nil, err
	}
	return w.publish(g.manifest, g.sig)
}

// An unpacker reads what a packer wrote, or what somebody says that one did.
type unpacker struct {
	zr *zstd.Decoder
	tr *tar.Reader
	op string // for errors
}

func newUnpacker(src io.Reader, op string) (*unpacker, error) {
	zr, err := zstd.NewReader(bufio.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return &unpacker{zr, tar.NewReader(zr), op}, nil
}

// small reads the next member, which must have the name and be no larger.
func (u *unpacker) small(name string, limit int64) ([]byte, error) {
	h, err := u.tr.Next()
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", u.op, name, unexpected(err))
	}
	if h.Name != name || h.Typeflag != tar.TypeReg || h.Size > limit {
		err := fmt.Errorf("%s: %q of %d bytes where %q belongs: %w", u.op, h.Name, h.Size, name, bulwark.ErrUnsupported)
		switch {
		case h.Name == labelName && name == manifestName:
			err = &bulwark.Hint{Err: err, Next: "this is a bundle: run bulwark bundle apply"}
		case h.Name == manifestName && name == labelName:
			err = &bulwark.Hint{Err: err, Next: "this is an exported database: run bulwark db import"}
		}
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(u.tr, limit))
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", u.op, name, unexpected(err))
	}
	return b, nil
}

// generation reads the manifest and its signature.
func (u *unpacker) generation(accept func(ed25519.PublicKey) error) (*Generation, error) {
	manifest, err := u.small(manifestName, maxManifest)
	if err != nil {
		return nil, err
	}
	sig, err := u.small(signatureName, maxSignature)
	if err != nil {
		return nil, err
	}
	g, err := verify(manifest, sig, accept)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.op, err)
	}
	return g, nil
}

// files hands every file of the manifest to take once, which tells what it got.
func (u *unpacker) files(ctx context.Context, g *Generation, take func(*File, io.Reader) (File, error)) error {
	want := map[string]*File{}
	for i := range g.Files {
		want[g.Files[i].path()] = &g.Files[i]
	}
	for len(want) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := u.tr.Next()
		if err != nil {
			return fmt.Errorf("%s, %d files missing: %w", u.op, len(want), unexpected(err))
		}
		f, ok := want[h.Name]
		if !ok || h.Typeflag != tar.TypeReg || h.Size != f.Size {
			return fmt.Errorf("%s: %q of %d bytes is not in the manifest: %w", u.op, h.Name, h.Size, bulwark.ErrUnsupported)
		}
		delete(want, h.Name)
		got, err := take(f, cancelled{ctx, u.tr})
		if err != nil {
			return fmt.Errorf("%s: %w", u.op, unexpected(err))
		}
		if got.Digest != f.Digest || got.Size != f.Size {
			return fmt.Errorf("%s %q: %w", u.op, f.Name, bulwark.ErrDigest)
		}
	}
	return nil
}

// end makes sure that nothing follows and that nothing was cut off.
func (u *unpacker) end() error {
	h, err := u.tr.Next()
	if err == nil {
		return fmt.Errorf("%s: %q is not in the manifest: %w", u.op, h.Name, bulwark.ErrUnsupported)
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", u.op, unexpected(err))
	}
	n, err := io.Copy(io.Discard, io.LimitReader(u.zr, 1<<20))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", u.op, unexpected(err))
	case n > 0:
		return fmt.Errorf("%s: %d bytes or more behind the end: %w", u.op, n, bulwark.ErrUnsupported)
	}
	return nil
}

// cancelled ends a long copy when the context is done.
type cancelled struct {
	ctx context.Context //nolint:containedctx // it lives as long as one copy
	r   io.Reader
}

func (c cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

type readerTo struct{ r io.Reader }

func (r readerTo) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, r.r) }

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
