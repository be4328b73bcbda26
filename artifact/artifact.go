// SPDX-License-Identifier: Apache-2.0

// Package artifact opens whatever can be inspected: container images wherever
// they lie, directories, source repositories, the host, and bills of materials.
// It knows how to reach bytes; it does not know what they mean, and it neither
// unpacks nor verifies them.
package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/dir"
	"github.com/bulwark-sec/bulwark/artifact/oci"
)

// Options say how targets are opened. The zero Options guess what a target is
// and ask every source.
type Options struct {
	bulwark.OpenOptions
	Kind   bulwark.Kind // "" guesses
	From   []string     // sources of images by name, in order; empty is oci.Sources
	Images oci.Opener
}

// A scheme is one way to open a target. Guess asks them in order; the first
// that fits wins.
type scheme struct {
	name string
	kind bulwark.Kind
	// fits tells whether target is of this scheme; info is nil when target names
	// nothing on the file system, and head holds the first bytes of a file.
	fits func(target string, info fs.FileInfo, head []byte) bool
	open func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error)
}

// schemes lists every way to open a target. A new one is added here.
var schemes = []scheme{
	{"oci-layout", bulwark.KindImage,
		func(target string, info fs.FileInfo, _ []byte) bool {
			if info == nil { // "dir:tag" and "dir@digest"
				info, target = layoutDir(target)
			}
			return info != nil && info.IsDir() && exists(target, "oci-layout")
		},
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return o.Images.Layout(ctx, target, o.OpenOptions)
		}},
	{"git", bulwark.KindRepo,
		func(target string, info fs.FileInfo, _ []byte) bool {
			return info != nil && info.IsDir() && dir.IsRepo(target)
		},
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return dir.Repo(ctx, target, o.OpenOptions)
		}},
	{"directory", bulwark.KindDir,
		func(_ string, info fs.FileInfo, _ []byte) bool { return info != nil && info.IsDir() },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return dir.Dir(ctx, target, o.OpenOptions)
		}},
	{"sbom", bulwark.KindSBOM,
		func(_ string, info fs.FileInfo, head []byte) bool {
			head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
			return info != nil && len(head) > 0 && head[0] == '{'
		},
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return dir.File(ctx, target, bulwark.KindSBOM, "sbom", o.OpenOptions)
		}},
	{"archive", bulwark.KindImage,
		func(_ string, info fs.FileInfo, _ []byte) bool { return info != nil && info.Mode().IsRegular() },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return o.Images.Archive(ctx, target, o.OpenOptions)
		}},
	{"host", bulwark.KindHost,
		func(string, fs.FileInfo, []byte) bool { return false }, // never guessed
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			if target == "" {
				target = "/"
			}
			return dir.Host(ctx, target, o.OpenOptions)
		}},
	{"image", bulwark.KindImage,
		func(_ string, info fs.FileInfo, _ []byte) bool { return info == nil },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return o.Images.Open(ctx, target, o.From, o.OpenOptions)
		}},
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// layoutDir finds the directory in "dir:tag" or "dir@digest".
func layoutDir(target string) (fs.FileInfo, string) {
	d, _, ok := strings.Cut(target, "@")
	if !ok {
		i := strings.LastIndexByte(target, ':')
		if i < 0 {
			return nil, ""
		}
		d = target[:i]
	}
	info, err := os.Stat(d)
	if err != nil {
		return nil, ""
	}
	return info, d
}

// Guess tells what kind of artifact target is, without opening it.
func Guess(target string, o Options) (bulwark.Kind, error) {
	s, err := find(target, &o)
	if err != nil {
		return "", err
	}
	return s.kind, nil
}

// Open opens target. The error is [bulwark.ErrNotFound] when there is no such
// thing, [bulwark.ErrUnsupported] when it cannot be read.
func Open(ctx context.Context, target string, o Options) (*bulwark.Tree, error) {
	s, err := find(target, &o)
	if err != nil {
		return nil, err
	}
	t, err := s.open(ctx, target, &o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", s.name, err)
	}
	return t, nil
}

func find(target string, o *Options) (*scheme, error) {
	if target == "" && o.Kind != bulwark.KindHost {
		return nil, fmt.Errorf("no target: %w", bulwark.ErrUsage)
	}
	info, head, err := look(target)
	if err != nil {
		return nil, err
	}
	// A path that does not exist is no image: "./" and "/" begin no image name.
	if info == nil && (o.Kind == bulwark.KindDir || o.Kind == bulwark.KindRepo || o.Kind == bulwark.KindSBOM || strings.HasPrefix(target, "/") || strings.HasPrefix(target, ".")) && !isLayout(target) {
		return nil, &bulwark.Hint{Err: fmt.Errorf("open %q: %w", target, bulwark.ErrNotFound), Next: "check the path"}
	}
	for i := range schemes {
		s := &schemes[i]
		switch {
		case o.Kind == "":
			if s.fits(target, info, head) {
				return s, nil
			}
		case s.kind == o.Kind:
			// A kind that was said is taken: a host or directory fits by being named.
			if s.fits(target, info, head) || o.Kind == bulwark.KindHost || o.Kind == bulwark.KindSBOM && info != nil && info.Mode().IsRegular() || o.Kind == bulwark.KindRepo {
				return s, nil
			}
		}
	}
	return nil, &bulwark.Hint{
		Err:  fmt.Errorf("open %q as %s: %w", target, o.Kind, bulwark.ErrUnsupported),
		Next: "leave out the kind to have it guessed",
	}
}

func isLayout(target string) bool {
	_, d := layoutDir(target)
	return d != "" && exists(d, "oci-layout")
}

// look gives what the file system knows of target; nil when it knows nothing.
func look(target string) (fs.FileInfo, []byte, error) {
	if target == "" {
		return nil, nil, nil
	}
	info, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*fs.PathError)) && !errors.Is(err, fs.ErrPermission) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open %q: %w", target, errors.Unwrap(err))
	}
	if !info.Mode().IsRegular() {
		return info, nil, nil
	}
	f, err := os.Open(target)
	if err != nil {
		return nil, nil, fmt.Errorf("open %q: %w", target, errors.Unwrap(err))
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, nil, fmt.Errorf("open %q: %w", target, err)
	}
	return info, head[:n], nil
}
