// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"github.com/bulwark-sec/bulwark"
)

// maxWindow bounds how far back compressed data may refer, bytes. The kernel
// packs its modules with 1 or 2 MiB, zstd's highest usual level has 8 MiB.
const maxWindow = 8 << 20

// decompress gives a reader of what r unpacks to by a method, "gzip" or "zstd".
func decompress(r io.Reader, method string) (io.ReadCloser, error) {
	switch method {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		return z, nil
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("compressed with %q: %w", method, bulwark.ErrUnsupported)
}

// limited tells a window over the limit, of which each library has its own error.
func limited(err error) error {
	if errors.Is(err, xz.ErrMemlimit) || errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return fmt.Errorf("%w: %w", err, bulwark.ErrTooLarge)
	}
	return err
}

// A stream is a compressed file that is read as if it could be read anywhere:
// going back begins anew. It holds nothing of what it has passed.
type stream struct {
	file   *io.SectionReader
	method string
	z      io.ReadCloser
	at     int64
	xz     *xz.Reader // kept for its window when the stream begins anew
}

// ReadAt reads as [io.ReaderAt] does, up to maxUnpacked bytes into the stream.
func (s *stream) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > maxUnpacked {
		return 0, fmt.Errorf("more than %d bytes: %w", maxUnpacked, bulwark.ErrTooLarge)
	}
	if s.z == nil || off < s.at {
		s.close()
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	n, err := io.CopyN(io.Discard, s.z, off-s.at)
	if s.at += n; err != nil {
		return 0, err
	}
	m, err := io.ReadFull(s.z, p)
	s.at += int64(m)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return m, err
}

// tail gives the last bytes of the stream, at most n.
func (s *stream) tail(n int) ([]byte, error) {
	if _, err := s.ReadAt(nil, s.at); err != nil {
		return nil, err
	}
	b := make([]byte, 64<<10)
	kept := 0
	for {
		m, err := io.ReadFull(s.z, b[kept:])
		s.at += int64(m)
		data := b[:kept+m]
		data = data[max(0, len(data)-n):]
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return data, nil
		case err != nil:
			return nil, err
		case s.at > maxUnpacked:
			return nil, fmt.Errorf("more than %d bytes: %w", maxUnpacked, bulwark.ErrTooLarge)
		}
		kept = copy(b, data)
	}
}

func (s *stream) open() (err error) {
	if s.xz != nil {
		s.z = io.NopCloser(s.xz)
		return s.xz.Reset(s.file)
	}
	if s.method == "xz" {
		if s.xz, err = xz.NewReader(s.file, maxWindow); err == nil {
			s.z = io.NopCloser(s.xz)
		}
		return err
	}
	s.z, err = decompress(s.file, s.method)
	return err
}

func (s *stream) close() {
	if s.z != nil {
		s.z.Close() //nolint:errcheck,gosec // only read from
	}
	s.z, s.at = nil, 0
}
