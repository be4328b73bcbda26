// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/bulwark-sec/bulwark"
)

// Export writes a generation to dst as one zstd-compressed tar: manifest,
// signature, then the files in the order of the manifest. The bytes depend on
// the generation alone.
func (g *Generation) Export(ctx context.Context, dst io.Writer) error {
	zw, err := zstd.NewWriter(dst, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	tw := tar.NewWriter(zw)
	put := func(name string, size int64, r io.Reader) error {
		if err := tw.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o444, ModTime: g.Built, Format: tar.FormatPAX}); err != nil {
			return err
		}
		n, err := io.Copy(tw, io.LimitReader(r, size))
		if err == nil && n < size {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	write := func(name string) error {
		f, err := os.Open(filepath.Join(g.dir, name))
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		return put(name, st.Size(), f)
	}
	for _, name := range []string{"manifest.json", "manifest.sig"} {
		if err := write(name); err != nil {
			return fmt.Errorf("export %q: %w", name, err)
		}
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
		if err := write(f.path()); err != nil {
			return fmt.Errorf("export %q: %w", f.Name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	return zw.Close()
}

// Exported tells whether a file begins like an exported generation.
func Exported(head []byte) bool {
	return len(head) >= 4 && string(head[:4]) == "\x28\xb5\x2f\xfd"
}

// Import makes an exported generation the current one. The bytes are hostile
// until the signature and every digest have been checked: only what the signed
// manifest names is written, under names of our own. With a key only a
// generation that it signed is taken.
func (w *Writer) Import(ctx context.Context, src io.Reader, key ed25519.PublicKey) (*Generation, error) {
	zr, err := zstd.NewReader(bufio.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	defer zr.Close()
	tr := tar.NewReader(zr)
	small := func(name string, limit int64) ([]byte, error) {
		h, err := tr.Next()
		if err != nil {
			return nil, fmt.Errorf("import %q: %w", name, unexpected(err))
		}
		if h.Name != name || h.Typeflag != tar.TypeReg || h.Size > limit {
			return nil, fmt.Errorf("import: %q where %q belongs: %w", h.Name, name, bulwark.ErrUnsupported)
		}
		b, err := io.ReadAll(io.LimitReader(tr, limit))
		if err != nil {
			return nil, fmt.Errorf("import %q: %w", name, unexpected(err))
		}
		return b, nil
	}
	manifest, err := small("manifest.json", maxManifest)
	if err != nil {
		return nil, err
	}
	sig, err := small("manifest.sig", 4096)
	if err != nil {
		return nil, err
	}
	g, err := verify(manifest, sig, func(k ed25519.PublicKey) error {
		if key != nil && !key.Equal(k) {
			return fmt.Errorf("import: signed by %s, wanted %s: %w", PublicKey(k), PublicKey(key), bulwark.ErrDigest)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	want := map[string]*File{}
	for i := range g.Files {
		want[g.Files[i].path()] = &g.Files[i]
	}
	for len(want) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := tr.Next()
		if err != nil {
			return nil, fmt.Errorf("import, %d files missing: %w", len(want), unexpected(err))
		}
		f, ok := want[h.Name]
		if !ok || h.Typeflag != tar.TypeReg || h.Size != f.Size {
			return nil, fmt.Errorf("import: %q of %d bytes is not in the manifest: %w", h.Name, h.Size, bulwark.ErrUnsupported)
		}
		delete(want, h.Name)
		got, err := w.Add(f.Name, readerTo{tr})
		if err != nil {
			return nil, fmt.Errorf("import: %w", unexpected(err))
		}
		if got.Digest != f.Digest || got.Size != f.Size {
			return nil, fmt.Errorf("import %q: %w", f.Name, bulwark.ErrDigest)
		}
	}
	return w.publish(manifest, sig)
}

type readerTo struct{ r io.Reader }

func (r readerTo) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, r.r) }

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
