// SPDX-License-Identifier: Apache-2.0

// Package dir opens what lies on a file system – a directory, an unpacked root
// file system, a source repository's work tree, the host itself – as one tar
// stream that is made while the tree is walked. Only files that somebody wants
// are in it, and links that stand where such a file would. Links are never
// followed. It does not know what the files mean.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Dir opens a directory or an unpacked root file system. The kernel's own file
// systems, mounted in it, are left out and told.
func Dir(_ context.Context, root string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	t, w, err := open(root, bulwark.KindDir, "directory", o)
	if err != nil {
		return nil, err
	}
	w.leave = kernelMounts(root)
	return t, nil
}

// Repo opens a git work tree: the directory without its object store, with the
// commit it stands on. A directory without .git is [bulwark.ErrNotFound].
func Repo(_ context.Context, root string, o bulwark.OpenOptions) (*bulwark.Tree, error) {
	commit, err := head(root)
	if err != nil {
		return nil, &bulwark.Hint{Err: fmt.Errorf("open repository %q: %w", root, err), Next: "use bulwark scan fs for a directory that is not a git work tree"}
	}
	t, w, err := open(root, bulwark.KindRepo, "git", o)
	if err != nil {
		return nil, err
	}
	w.leave = kernelMounts(root)
	w.skip = func(rel string) string {
		if path.Base(rel) == ".git" {
			return "git's own files"
		}
		return ""
	}
	t.Artifact.Commit = commit
	t.Past = func() (*bulwark.Past, error) { return past(root, commit) }
	return t, nil
}

// IsRepo tells whether root is a git work tree.
func IsRepo(root string) bool {
	_, err := os.Lstat(filepath.Join(root, ".git"))
	return err == nil
}

// open prepares the walk of root. Nothing below root has been read yet.
func open(root string, kind bulwark.Kind, source string, o bulwark.OpenOptions) (*bulwark.Tree, *walk, error) {
	w := &walk{o: o}
	for _, pattern := range o.SkipDirs {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, nil, fmt.Errorf("skip-dirs %q: %w: %w", pattern, err, bulwark.ErrUsage)
		}
		w.skips = append(w.skips, strings.Trim(path.Clean(pattern), "/"))
	}
	r, err := openRoot(root)
	if errors.Is(err, fs.ErrNotExist) {
		err = bulwark.ErrNotFound
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open %q: %w", root, cause(err))
	}
	w.root = r
	name := root
	if abs, err := filepath.Abs(root); err == nil && root == "." {
		name = filepath.Base(abs)
	}
	return &bulwark.Tree{
		Artifact: bulwark.Artifact{Kind: kind, Name: name, Source: source},
		Layers:   []bulwark.Blob{{Open: w.open, Gaps: w.gaps}},
		Close:    w.close,
	}, w, nil
}

// cause gives what the system said, without the operation and the path, which
// the caller tells.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
