// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/bulwark-sec/bulwark"
)

const (
	refLimit    = 4 << 10  // bytes of HEAD or of a reference that are read
	packedLimit = 64 << 20 // bytes of packed-refs that are read: a million references
	maxRefs     = 5        // references that name references, as git itself has it
)

// A gitDir is git's folder of a work tree. A linked work tree has one of its own
// and shares the references with the others. Links that lead out of a folder are
// errors, and so is what is no regular file: a repository is hostile.
type gitDir struct{ own, shared *os.Root }

func (g gitDir) close() {
	g.own.Close()
	g.shared.Close()
}

// head gives the commit that a work tree stands on, "" for a repository without
// commits. It reads HEAD, a loose reference or packed-refs as gitrepository-layout(5)
// describes them, and nothing that could run a program. Errors do not repeat
// what was read: .git may name any folder.
func head(root string) (string, error) {
	g, err := openGit(root)
	if err != nil {
		return "", err
	}
	defer g.close()
	line, err := small(g.own, "HEAD")
	if err != nil {
		return "", fmt.Errorf("read HEAD: %w", cause(err))
	}
	for range maxRefs {
		ref, symbolic := strings.CutPrefix(line, "ref:")
		if !symbolic {
			return commit(line)
		}
		if ref = strings.TrimSpace(ref); !strings.HasPrefix(ref, "refs/") || path.Clean(ref) != ref {
			return "", errors.New("HEAD names no reference")
		}
		line, err = small(g.shared, ref)
		if errors.Is(err, fs.ErrNotExist) {
			// A reference of this work tree alone, during a bisection say.
			line, err = small(g.own, ref)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, errFolder), errors.Is(err, syscall.ENOTDIR):
			return packed(g.shared, ref)
		case err != nil:
			return "", fmt.Errorf("read reference: %w", cause(err))
		}
	}
	return "", errors.New("HEAD names references in a circle")
}

func openGit(root string) (g gitDir, err error) {
	git := filepath.Join(root, ".git")
	info, err := os.Lstat(git)
	if err != nil {
		return g, fmt.Errorf("no .git: %w", bulwark.ErrNotFound)
	}
	if info.Mode().IsRegular() { // a linked work tree or a submodule
		r, err := os.OpenRoot(root)
		if err != nil {
			return g, cause(err)
		}
		defer r.Close()
		line, err := small(r, ".git")
		if err != nil {
			return g, fmt.Errorf("read .git: %w", cause(err))
		}
		dir, ok := strings.CutPrefix(line, "gitdir:")
		if !ok {
			return g, errors.New(".git is a file without gitdir")
		}
		git = absolute(root, strings.TrimSpace(dir))
	}
	if g.own, err = folderRoot(git); err != nil {
		return g, fmt.Errorf("open git's folder: %w", cause(err))
	}
	shared := git
	if line, err := small(g.own, "commondir"); err == nil {
		shared = absolute(git, line)
	}
	if g.shared, err = folderRoot(shared); err != nil {
		g.own.Close()
		return g, fmt.Errorf("open git's common folder: %w", cause(err))
	}
	return g, nil
}

func absolute(base, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(base, filepath.FromSlash(name))
}

// folderRoot opens a directory; os.OpenRoot alone would wait for a pipe.
func folderRoot(name string) (*os.Root, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, errors.New("not a directory")
	}
	return os.OpenRoot(name)
}

// packed looks a reference up in packed-refs.
func packed(r *os.Root, ref string) (string, error) {
	f, err := regular(r, "packed-refs")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // no commits yet
	}
	if err != nil {
		return "", fmt.Errorf("read packed-refs: %w", cause(err))
	}
	defer f.Close()
	for sc := bufio.NewScanner(io.LimitReader(f, packedLimit)); sc.Scan(); {
		if id, name, ok := strings.Cut(sc.Text(), " "); ok && name == ref {
			return commit(id)
		}
	}
	return "", nil
}

func commit(s string) (string, error) {
	if (len(s) != 40 && len(s) != 64) || strings.Trim(s, "0123456789abcdef") != "" {
		return "", errors.New("HEAD leads to no commit")
	}
	return s, nil
}

// small reads the first line of a small file.
func small(r *os.Root, name string) (string, error) {
	f, err := regular(r, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, refLimit))
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line), err
}

// errFolder says that a directory stands where a file should: "refs/heads/a" when
// only "refs/heads/a/b" is loose.
var errFolder = errors.New("is a directory")

// regular opens a regular file and does not wait for the other end of a pipe.
func regular(r *os.Root, name string) (*os.File, error) {
	f, err := r.OpenFile(filepath.FromSlash(name), os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = errFolder
	case !info.Mode().IsRegular():
		err = errors.New("not a regular file")
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}
