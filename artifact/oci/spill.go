// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bulwark-sec/bulwark"
	"github.com/klauspost/compress/gzip" // a fifth less work than the standard library's
	"github.com/klauspost/compress/zstd"
)

// Limits of unpacking. Images of nothing but zeros reach any ratio and are
// small; what is larger and denser than this is a bomb.
const (
	maxRatio  = 200
	ratioFrom = 64 << 20  // bytes unpacked, from which on the ratio counts
	maxWindow = 128 << 20 // bytes that a zstd frame may look back, zstd's own --long
)

// compression tells by its first bytes how a file is compressed; "" is not at
// all, as far as is known here.
func compression(head []byte) string {
	for _, m := range []struct{ magic, name string }{
		{"\x1f\x8b", "gzip"},
		{"\x28\xb5\x2f\xfd", "zstd"},
		{"\xfd7zXZ\x00", "xz"},
		{"BZh", "bzip2"},
		{"\x04\x22\x4d\x18", "lz4"},
	} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.name
		}
	}
	// Skippable frames come first in what eStargz-like tools write.
	if len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte("\x2a\x4d\x18")) {
		return "zstd"
	}
	return ""
}

// plain gives f itself when it is not compressed, or else a file with what it
// unpacks to. f is closed in that case.
func (o *Opener) plain(ctx context.Context, f *os.File) (*os.File, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file: %w", bulwark.ErrUnsupported)
	}
	var head [6]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	in := &counted{r: f}
	var r io.Reader
	switch kind := compression(head[:n]); kind {
	case "":
		return f, nil
	case "gzip":
		z, err := gzip.NewReader(bufio.NewReaderSize(in, 1<<18))
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		defer z.Close()
		r = z
	case "zstd":
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow*2))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		defer z.Close()
		r = z
	default:
		return nil, &bulwark.Hint{
			Err:  fmt.Errorf("archive compressed with %s: %w", kind, bulwark.ErrUnsupported),
			Next: "decompress it, or compress it with gzip or zstd",
		}
	}
	out, err := o.spill(ctx, r, in)
	if err != nil {
		return nil, err
	}
	f.Close()
	return out, nil
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// spill copies r into a file that has no name, within the limits of size and,
// if in counts what r is made of, of ratio.
func (o *Opener) spill(ctx context.Context, r io.Reader, in *counted) (*os.File, error) {
	f, err := os.CreateTemp(o.TempDir, "bulwark-image-*")
	if err != nil {
		return nil, fmt.Errorf("spill file: %w", err)
	}
	// Without a name nothing is left behind, however the program ends.
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("spill file: %w", err)
	}
	if err := o.copySpill(ctx, f, r, in); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (o *Opener) copySpill(ctx context.Context, f *os.File, r io.Reader, in *counted) error {
	limit := o.maxSpill()
	buf := make([]byte, 1<<20)
	for total := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buf)
		if total += int64(n); total > limit {
			return fmt.Errorf("unpacked archive of more than %d bytes: %w", limit, bulwark.ErrTooLarge)
		}
		if in != nil && total > ratioFrom && total/maxRatio > in.n {
			return fmt.Errorf("archive unpacks to more than %d times its size: %w", maxRatio, bulwark.ErrTooLarge)
		}
		if _, werr := f.Write(buf[:n]); werr != nil {
			return &bulwark.Hint{
				Err:  fmt.Errorf("spill file: %w", werr),
				Next: "point TMPDIR to a disk with room for the whole image",
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack archive: %w", err)
		}
	}
}
