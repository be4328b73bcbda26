// SPDX-License-Identifier: Apache-2.0

// Package artifact opens whatever can be inspected: container images wherever
// they lie, directories, source repositories, the host, packages of serverless
// functions, disks of virtual machines, and bills of materials.
// It knows how to reach bytes; it does not know what they mean, and it neither
// unpacks nor verifies them.
package artifact

import (
	"context"
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/artifact/dir"
	"github.com/bulwark-sec/bulwark/artifact/git"
	"github.com/bulwark-sec/bulwark/artifact/oci"
	"github.com/bulwark-sec/bulwark/artifact/packed"
)

// Options say how targets are opened. The zero Options guess what a target is
// and ask every source.
type Options struct {
	bulwark.OpenOptions
	Kind   bulwark.Kind // "" guesses
	From   []string     // sources of images by name, in order; empty is oci.Sources
	Images oci.Opener
	Git    git.Fetcher
}

// A scheme is one way to open a target. Guess asks them in order; the first
// that fits wins.
type scheme struct {
	name string
	kind bulwark.Kind
	fits func(p *place) bool
	open func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error)
}

// schemes lists every way to open a target. A new one is added here.
var schemes = []scheme{
	{"oci-layout", bulwark.KindImage,
		func(p *place) bool { return p.layout },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return o.Images.Layout(ctx, target, o.OpenOptions)
		}},
	{"git-remote", bulwark.KindRepo,
		func(p *place) bool { return p.kind == nothing && git.IsRemote(p.target) },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return o.Git.Open(ctx, target, o.OpenOptions)
		}},
	{"git", bulwark.KindRepo,
		func(p *place) bool { return p.kind == folder && dir.IsRepo(p.target) },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return dir.Repo(ctx, target, o.OpenOptions)
		}},
	{"directory", bulwark.KindDir,
		func(p *place) bool { return p.kind == folder },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return dir.Dir(ctx, target, o.OpenOptions)
		}},
	{"sbom", bulwark.KindSBOM,
		func(p *place) bool { return p.kind == file && isBill(p.head) },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return dir.File(ctx, target, bulwark.KindSBOM, "sbom", o.OpenOptions)
		}},
	{"function", bulwark.KindFunction,
		func(p *place) bool { return p.kind == file && isZip(p.head) && packed.IsFunction(p.target) },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return packed.Function(ctx, target, o.OpenOptions)
		}},
	{"unpacked-function", bulwark.KindFunction,
		func(*place) bool { return false }, // never guessed
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			t, err := dir.Dir(ctx, target, o.OpenOptions)
			if err != nil {
				return nil, err
			}
			t.Artifact.Kind = bulwark.KindFunction
			return packed.WithLayers(t, o.OpenOptions)
		}},
	{"packed", bulwark.KindDir,
		func(p *place) bool { return p.kind == file && isZip(p.head) },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return packed.Dir(ctx, target, o.OpenOptions)
		}},
	{"disk", bulwark.KindVM,
		func(p *place) bool { return p.kind == file && isDisk(p.head) },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return packed.Disk(ctx, target)
		}},
	{"archive", bulwark.KindImage,
		func(p *place) bool { return p.kind == file || p.archive },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return o.Images.Archive(ctx, target, o.OpenOptions)
		}},
	{"host", bulwark.KindHost,
		func(*place) bool { return false }, // never guessed
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			if target == "" {
				target = "/"
			}
			return dir.Host(ctx, target, o.OpenOptions)
		}},
	{"image", bulwark.KindImage,
		func(p *place) bool { return p.kind == nothing },
		func(ctx context.Context, target string, o *Options) (*bulwark.Tree, error) {
			return o.Images.Open(ctx, target, o.From, o.OpenOptions)
		}},
}

// said tells whether a target is opened by a scheme of the kind that was asked
// for, which it need not fit when it is guessed at.
func (s *scheme) said(p *place) bool {
	switch s.name {
	case "host", "git": // their openers say best what is wrong
		return true
	case "sbom":
		return p.kind == file
	case "function":
		return p.kind == file && (isZip(p.head) || compressed(p.head))
	case "disk":
		return p.kind == file
	case "unpacked-function":
		return p.kind == folder && !p.layout
	case "packed":
		return p.kind == file && (isZip(p.head) || isArchive(p.head) || compressed(p.head))
	case "archive":
		// A program that is called like its image lies next to it often.
		return p.archive || p.kind == file && !(bare(p.target) && !isArchive(p.head))
	case "image":
		return !pathLike(p.target)
	}
	return s.fits(p)
}

// Guess tells what kind of artifact target is, without opening it. The error is
// [bulwark.ErrNotFound] for a path that does not exist.
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
	p, err := look(target)
	if err != nil {
		return nil, err
	}
	if o.Kind == bulwark.KindFunction && (p.layout || p.archive || p.kind == nothing && !pathLike(target) || p.kind == file && isTar(p.head)) {
		images := *o
		images.Kind = bulwark.KindImage
		o = &images
	}
	remote := p.kind == nothing && git.IsRemote(target)
	if p.kind == nothing && !remote && !p.layout && !p.archive && target != "" && (pathLike(target) || o.Kind != "" && o.Kind != bulwark.KindImage) {
		return nil, &bulwark.Hint{Err: fmt.Errorf("open %q: %w", target, bulwark.ErrNotFound), Next: "check the path"}
	}
	for i := range schemes {
		s := &schemes[i]
		if o.Kind == "" && s.fits(p) || o.Kind == s.kind && s.said(p) {
			return s, nil
		}
	}
	return nil, misfit(p, o.Kind)
}

// misfit says why nothing opens a target.
func misfit(p *place, kind bulwark.Kind) error {
	const guess = "leave out the kind to have it guessed"
	what, next := "neither a file nor a directory", "name a directory, a file, or an image"
	switch {
	case kind == bulwark.KindImage && p.kind == folder:
		what, next = "a directory that is no OCI layout", "use bulwark scan fs for an unpacked root file system"
	case kind == bulwark.KindDir && p.kind == file:
		what, next = "a file, not a directory", guess
	case kind == bulwark.KindFunction && p.kind == file:
		what, next = "neither a zip nor a tar archive", "name the deployment package, its directory, or an image"
	case kind == bulwark.KindVM && p.kind == folder:
		what, next = "a directory, not a disk", "use bulwark scan fs for a disk that is mounted"
	case kind == bulwark.KindSBOM && p.kind == folder:
		what, next = "a directory, not a file", guess
	}
	return &bulwark.Hint{Err: fmt.Errorf("open %q: %s: %w", p.target, what, bulwark.ErrUnsupported), Next: next}
}

// pathLike tells a path from the name of an image.
func pathLike(target string) bool {
	return strings.HasPrefix(target, "/") || strings.HasPrefix(target, ".") || strings.HasSuffix(target, "/")
}

// bare tells a word that is the name of a file and of an image equally well.
func bare(target string) bool { return !strings.ContainsAny(target, "./") }
