// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/disk"
	"github.com/bulwark-sec/bulwark/internal/gitpack"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/tarfs"
	"github.com/bulwark-sec/bulwark/internal/zipfs"
)

// A source is what one layer is read from: a stream of tar, or a file that is
// read at random.
type source struct {
	r     io.Reader
	whole *os.File
	form  bulwark.Form
	at    string
	key   string
}

type (
	visitor = func(*tarfs.Entry, io.Reader) error
	walker  = func(ctx context.Context, ra io.ReaderAt, size int64, lim limit.Limits, visit visitor, fault func(tarfs.Fault)) (tarfs.Stats, error)
)

// walk shows every entry of the source.
func (s source) walk(ctx context.Context, lim limit.Limits, visit visitor, fault func(tarfs.Fault)) (stats tarfs.Stats, err error) {
	if s.at != "" {
		visit, fault = below(s.at, visit), faultBelow(s.at, fault)
	}
	if s.form == "" {
		return tarfs.Walk(ctx, s.r, lim, visit, fault)
	}
	if s.whole == nil {
		return stats, errors.New("parse: no file to read")
	}
	var walk walker
	switch s.form {
	case bulwark.FormZip:
		walk = zipfs.Walk
	case bulwark.FormDisk:
		walk = disk.Walk
	case bulwark.FormGit:
		walk = gitpack.Walk(s.key)
	default:
		return stats, fmt.Errorf("parse: form %q: %w", s.form, bulwark.ErrUnsupported)
	}
	info, err := s.whole.Stat()
	if err != nil {
		return stats, fmt.Errorf("parse: %w", err)
	}
	w := walked{sum: sha256.New(), visit: visit}
	// A library that gives up ends the walk, not the child.
	if err := safely(ctx, func(ctx context.Context) (err error) {
		stats, err = walk(ctx, s.whole, info.Size(), lim, w.see, fault)
		return err
	}); err != nil {
		if ctx.Err() != nil {
			return stats, ctx.Err()
		}
		fault(tarfs.Fault{Err: err, Detail: "reading stopped: " + err.Error(), Ends: true})
		stats.Whole = false
	}
	stats.Size, stats.Blob = w.read, info.Size()
	stats.Format = string(s.form)
	stats.DiffID = "sha256:" + hex.EncodeToString(w.sum.Sum(nil))
	return stats, nil
}

// walked hashes what is seen of a file that is read at random: names, modes,
// sizes, and the content that somebody read.
type walked struct {
	sum   hash.Hash
	visit visitor
	read  int64
}

func (w *walked) see(e *tarfs.Entry, content io.Reader) error {
	fmt.Fprintf(w.sum, "%d %o %d %q %q\n", e.Type, e.Mode, e.Size, e.Path, e.Link)
	if content != nil {
		content = &seen{walked: w, r: content}
	}
	return w.visit(e, content)
}

type seen struct {
	*walked
	r io.Reader
}

func (s *seen) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	s.walked.read += int64(n)
	return n, err
}

// below moves what is seen into a directory.
func below(dir string, visit visitor) visitor {
	return func(e *tarfs.Entry, content io.Reader) error {
		e.Path = path.Join(dir, e.Path)
		if e.Type == tarfs.Hardlink {
			e.Link = path.Join(dir, e.Link)
		}
		return visit(e, content)
	}
}

func faultBelow(dir string, fault func(tarfs.Fault)) func(tarfs.Fault) {
	return func(f tarfs.Fault) {
		if f.Path != "" {
			f.Path = path.Join(dir, f.Path)
		}
		fault(f)
	}
}
