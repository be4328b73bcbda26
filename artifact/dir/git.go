// SPDX-License-Identifier: Apache-2.0

package dir

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// refLimit bounds the reading of HEAD and of a reference, in bytes.
const refLimit = 4 << 10

// head gives the commit that a work tree stands on, "" for a repository without
// commits. It reads HEAD, a loose reference or packed-refs as gitrepository-layout(5)
// describes them, and nothing that could run a program.
func head(root string) (string, error) {
	git := filepath.Join(root, ".git")
	info, err := os.Lstat(git)
	if err != nil {
		return "", fmt.Errorf("no .git: %w", bulwark.ErrNotFound)
	}
	if info.Mode().IsRegular() { // a linked work tree or a submodule
		line, err := small(git)
		if err != nil {
			return "", err
		}
		dir, ok := strings.CutPrefix(line, "gitdir: ")
		if !ok {
			return "", errors.New(".git is a file without gitdir")
		}
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
		git = dir
	}
	line, err := small(filepath.Join(git, "HEAD"))
	if err != nil {
		return "", err
	}
	ref, symbolic := strings.CutPrefix(line, "ref: ")
	if !symbolic {
		return commit(line)
	}
	if !strings.HasPrefix(ref, "refs/") || path.Clean(ref) != ref {
		return "", fmt.Errorf("HEAD names %q", ref)
	}
	common := git
	if line, err := small(filepath.Join(git, "commondir")); err == nil {
		if common = line; !filepath.IsAbs(line) {
			common = filepath.Join(git, line)
		}
	}
	if line, err := small(filepath.Join(common, filepath.FromSlash(ref))); err == nil {
		return commit(line)
	}
	f, err := os.Open(filepath.Join(common, "packed-refs"))
	if err != nil {
		return "", nil
	}
	defer f.Close()
	for sc := bufio.NewScanner(io.LimitReader(f, 64<<20)); sc.Scan(); {
		if id, name, ok := strings.Cut(sc.Text(), " "); ok && name == ref {
			return commit(id)
		}
	}
	return "", nil
}

func commit(s string) (string, error) {
	if (len(s) != 40 && len(s) != 64) || strings.Trim(s, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%q is no commit", s)
	}
	return s, nil
}

// small reads the first line of a small file.
func small(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, refLimit))
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line), err
}
