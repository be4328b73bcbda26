// SPDX-License-Identifier: Apache-2.0

// Package dir opens what lies on a file system – a directory, an unpacked root
// file system, a source repository's work tree, the host itself – as one tar
// stream that is made while the tree is walked. Only files that somebody wants
// are in it. It does not know what the files mean.
package dir

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// maxGaps bounds how many unreadable files are told one by one; the rest are
// counted.
const maxGaps = 200

// Dir opens a directory or an unpacked root file system.
func Dir(_ context.Context, root string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	t, _, err := open(root, bulwark.KindDir, "directory", o, nil)
	return t, err
}

// Repo opens a git work tree: the directory without its object store, with the
// commit it stands on. A directory without .git is [bulwark.ErrNotFound].
func Repo(_ context.Context, root string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	commit, err := head(root)
	if err != nil {
		return nil, &bulwark.Hint{Err: fmt.Errorf("open repository %q: %w", root, err), Next: "use bulwark scan fs for a directory that is not a git work tree"}
	}
	t, _, err := open(root, bulwark.KindRepo, "git", o, func(rel string) string {
		if path.Base(rel) == ".git" {
			return "git's own files"
		}
		return ""
	})
	if err != nil {
		return nil, err
	}
	t.Artifact.Commit = commit
	return t, nil
}

// IsRepo tells whether root is a git work tree.
func IsRepo(root string) bool {
	_, err := os.Lstat(filepath.Join(root, ".git"))
	return err == nil
}

func open(root string, kind bulwark.Kind, source string, o bulwark.OpenOptions, skip func(rel string) string) (*bulwark.Tree, *walk, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, nil, fmt.Errorf("open %q: %w", root, err)
	}
	for _, pattern := range o.SkipDirs {
		if _, err := path.Match(pattern, ""); err != nil {
			r.Close()
			return nil, nil, fmt.Errorf("skip-dirs %q: %w", pattern, err)
		}
	}
	name := root
	if abs, err := filepath.Abs(root); err == nil && root == "." {
		name = filepath.Base(abs)
	}
	w := &walk{root: r, o: o, skip: skip}
	return &bulwark.Tree{
		Artifact: bulwark.Artifact{Kind: kind, Name: name, Source: source},
		Layers:   []bulwark.Blob{{Open: w.open, Gaps: w.told}},
		Close:    r.Close,
	}, w, nil
}

// A walk makes one tar stream of a tree.
type walk struct {
	root *os.Root
	o    bulwark.OpenOptions
	only string                  // the one file to read; "" is all
	skip func(rel string) string // why a directory is left out; "" when it is not

	mu     sync.Mutex
	gaps   []bulwark.Gap
	unread int
	cut    bool
}

func (w *walk) told() []bulwark.Gap {
	w.mu.Lock()
	defer w.mu.Unlock()
	gaps := slices.Clone(w.gaps)
	if more := w.unread - maxGaps; more > 0 {
		gaps = append(gaps, bulwark.Gap{Kind: bulwark.GapUnreadable, Detail: fmt.Sprintf("%d more files and directories could not be read", more), Hides: w.cut})
	}
	return gaps
}

func (w *walk) gap(g bulwark.Gap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if g.Kind == bulwark.GapUnreadable {
		if w.unread++; w.unread > maxGaps {
			w.cut = w.cut || g.Hides
			return
		}
	}
	w.gaps = append(w.gaps, g)
}

// stream is the reading end; Close waits until the walk has let go.
type stream struct {
	*io.PipeReader
	done chan struct{}
}

func (s stream) Close() error {
	s.PipeReader.CloseWithError(io.ErrClosedPipe)
	<-s.done
	return nil
}

func (w *walk) open(ctx context.Context) (io.ReadCloser, error) {
	w.mu.Lock()
	w.gaps, w.unread, w.cut = nil, 0, false
	w.mu.Unlock()
	pr, pw := io.Pipe()
	s := stream{pr, make(chan struct{})}
	go func() {
		defer close(s.done)
		pw.CloseWithError(w.write(ctx, pw))
	}()
	return s, nil
}

func (w *walk) write(ctx context.Context, out io.Writer) error {
	tw := tar.NewWriter(out)
	buf := make([]byte, 256<<10)
	if w.only != "" {
		info, err := w.root.Stat(w.only)
		if err != nil {
			return fmt.Errorf("open %q: %w", w.only, cause(err))
		}
		if err := w.file(tw, w.only, fs.FileInfoToDirEntry(info), buf); err != nil {
			return err
		}
		return tw.Close()
	}
	entries := 0
	err := fs.WalkDir(w.root.FS(), ".", func(rel string, d fs.DirEntry, err error) error {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if err != nil {
			if rel == "." {
				return fmt.Errorf("read directory: %w", cause(err))
			}
			w.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: cause(err).Error(), Hides: true})
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return w.enter(rel)
		}
		if entries++; w.o.MaxEntries > 0 && entries > w.o.MaxEntries {
			w.gap(bulwark.Gap{Kind: bulwark.GapLimit, Detail: fmt.Sprintf("the walk stopped after %d files", w.o.MaxEntries), Hides: true})
			return fs.SkipAll
		}
		return w.file(tw, rel, d, buf)
	})
	if err != nil {
		return err
	}
	return tw.Close()
}

func (w *walk) enter(rel string) error {
	if rel == "." {
		return nil
	}
	for _, pattern := range w.o.SkipDirs {
		pattern = strings.Trim(pattern, "/")
		if ok, _ := path.Match(pattern, rel); ok {
			w.gap(bulwark.Gap{Kind: bulwark.GapSkipped, Path: rel, Detail: "left out by skip-dirs"})
			return fs.SkipDir
		}
	}
	if w.skip != nil {
		if why := w.skip(rel); why != "" {
			w.gap(bulwark.Gap{Kind: bulwark.GapSkipped, Path: rel, Detail: "left out: " + why})
			return fs.SkipDir
		}
	}
	return nil
}

func (w *walk) file(tw *tar.Writer, rel string, d fs.DirEntry, buf []byte) error {
	if d.Type()&fs.ModeSymlink != 0 {
		return nil // its target is walked where it is
	}
	if !d.Type().IsRegular() {
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return nil // it has gone since the directory was read
	}
	st := bulwark.Stat{Size: info.Size(), Mode: info.Mode()}
	if w.o.Wants != nil && !w.o.Wants(rel, st) {
		return nil
	}
	f, err := w.root.Open(rel)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: cause(err).Error()})
		}
		return nil
	}
	defer f.Close()
	// The file that was opened is the one that counts: it may have been swapped.
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	// The time is left out: the stream's hash names the artifact by content.
	h := &tar.Header{Typeflag: tar.TypeReg, Name: rel, Size: info.Size(), Mode: mode(info.Mode()), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := tw.WriteHeader(h); err != nil {
		w.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: err.Error()})
		return nil
	}
	n, err := io.CopyBuffer(onlyWriter{tw}, io.LimitReader(f, info.Size()), buf)
	if n < info.Size() {
		// A file that shrank or broke off is padded, so that the stream goes on.
		detail := "it shrank while it was read"
		if err != nil && errors.As(err, new(*fs.PathError)) {
			detail = cause(err).Error()
		} else if err != nil {
			return err
		}
		w.gap(bulwark.Gap{Kind: bulwark.GapUnreadable, Path: rel, Detail: detail})
		clear(buf)
		for n < info.Size() {
			m, err := tw.Write(buf[:min(int64(len(buf)), info.Size()-n)])
			if err != nil {
				return err
			}
			n += int64(m)
		}
	}
	return nil
}

// onlyWriter hides ReadFrom, so that the given buffer is used.
type onlyWriter struct{ io.Writer }

func mode(m fs.FileMode) int64 {
	n := int64(m.Perm())
	if m&fs.ModeSetuid != 0 {
		n |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		n |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		n |= 0o1000
	}
	return n
}

func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
