// SPDX-License-Identifier: Apache-2.0

// Package scalibr reads lock files of ecosystems that are rare in containers by
// the extractors of google/osv-scalibr: Conan, Elixir, Swift, R, Haskell, Bun
// and Julia. It knows how to hand a file to them and how to take what they
// say; formats that are met often, and all that is met in images, have readers
// of their own, because linking scalibr costs each process some 4 MB of code
// and 2 ms of start.
package scalibr

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/cpp/conanlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/elixir/mixlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/haskell/cabal"
	"github.com/google/osv-scalibr/extractor/filesystem/language/haskell/stacklock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/bunlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/julia/manifesttoml"
	"github.com/google/osv-scalibr/extractor/filesystem/language/r/renvlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/swift/packageresolved"
	"github.com/google/osv-scalibr/extractor/filesystem/osv"
	"github.com/google/osv-scalibr/log"
	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// maxFile bounds a lock file, bytes. The parsers build trees of what they
	// read, so the limit is lower than that of other readers.
	maxFile = 8 << 20
	// maxDepth bounds brackets in brackets. Some of the parsers call themselves
	// for each, and a stack that is used up cannot be recovered from.
	maxDepth = 256
	// maxName bounds a name or version, bytes.
	maxName = 512
)

// A Format is one kind of lock file. The zero Format wants nothing.
type Format struct {
	name, file string
	kind       string // type of the package URL
	ecosystem  string // OSV's name
	open       func() (filesystem.Extractor, error)
}

// Formats lists every kind.
func Formats() []Format {
	return []Format{
		{"bun-lock", "bun.lock", packageurl.TypeNPM, "npm", func() (filesystem.Extractor, error) { return bunlock.New(nil) }},
		{"cabal-freeze", "cabal.project.freeze", packageurl.TypeHackage, "Hackage", func() (filesystem.Extractor, error) { return &cabal.Extractor{}, nil }},
		{"conan-lock", "conan.lock", packageurl.TypeConan, "ConanCenter", func() (filesystem.Extractor, error) { return conanlock.New(nil) }},
		{"julia-manifest", "Manifest.toml", packageurl.TypeJulia, "Julia", func() (filesystem.Extractor, error) { return manifesttoml.New(nil) }},
		{"mix-lock", "mix.lock", packageurl.TypeHex, "Hex", func() (filesystem.Extractor, error) { return &mixlock.Extractor{}, nil }},
		{"renv-lock", "renv.lock", packageurl.TypeCran, "CRAN", func() (filesystem.Extractor, error) { return renvlock.New(nil) }},
		{"stack-lock", "stack.yaml.lock", packageurl.TypeHackage, "Hackage", func() (filesystem.Extractor, error) { return &stacklock.Extractor{}, nil }},
		{"swift-resolved", "Package.resolved", packageurl.TypeSwift, "SwiftURL", func() (filesystem.Extractor, error) { return &packageresolved.Extractor{}, nil }},
	}
}

// Name gives the format's name, "conan-lock" or the like.
func (t Format) Name() string { return t.name }

// Wants tells whether p is a lock file of the format.
func (t Format) Wants(p string, st bulwark.Stat) bool {
	if t.file == "" || st.Mode&fs.ModeType != 0 || !strings.HasSuffix(p, t.file) {
		return false
	}
	return (len(p) == len(t.file) || p[len(p)-len(t.file)-1] == '/') && !strings.Contains(p, "node_modules/")
}

// quiet silences scalibr's logger, which writes to standard error what is
// returned as an error anyway.
var quiet = sync.OnceFunc(func() { log.SetLogger(silent{}) })

type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Error(...any)          {}
func (silent) Warnf(string, ...any)  {}
func (silent) Warn(...any)           {}
func (silent) Infof(string, ...any)  {}
func (silent) Info(...any)           {}
func (silent) Debugf(string, ...any) {}
func (silent) Debug(...any)          {}

// Extract gives the locked packages, sorted by name and version. What comes
// from a repository and not from the ecosystem's registry has an empty version
// where the file tells none.
func (t Format) Extract(ctx context.Context, f *bulwark.File) (pkgs []bulwark.Package, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if t.open == nil {
		return nil, fmt.Errorf("zero format: %w", bulwark.ErrUnsupported)
	}
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	if d := depth(data); d > maxDepth {
		return nil, fmt.Errorf("parse %q: nested %d deep, limit %d: %w", f.Path, d, maxDepth, bulwark.ErrTooLarge)
	}
	// The parsers are others' code and meet hostile bytes.
	defer func() {
		if v := recover(); v != nil {
			pkgs, err = nil, fmt.Errorf("parse %q: the parser broke: %.200v", f.Path, v)
		}
	}()
	quiet()
	e, err := t.open()
	if err != nil {
		return nil, fmt.Errorf("open extractor %q: %w", t.name, err)
	}
	one := single{path: f.Path, data: data}
	inv, err := e.Extract(ctx, &filesystem.ScanInput{FS: one, Path: f.Path, Info: one, Reader: bytes.NewReader(data)})
	if err != nil {
		err = fmt.Errorf("parse %q: %w", f.Path, shown(err))
	}
	seen := map[string]bool{}
	for i, p := range inv.Packages {
		if i%1024 == 0 && ctx.Err() != nil {
			return pkgs, ctx.Err()
		}
		q, ok := t.pkg(p, f.Path)
		if !ok || seen[q.Key()] {
			continue
		}
		seen[q.Key()] = true
		pkgs = append(pkgs, q)
	}
	slices.SortFunc(pkgs, func(a, b bulwark.Package) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return pkgs, err
}

// shown cuts an error, which may repeat the content, to what can be shown.
func shown(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%.200q", text)
}

// pkg turns scalibr's package into ours.
func (t Format) pkg(p *extractor.Package, file string) (bulwark.Package, bool) {
	if p == nil || !plausible(p.Name) || p.Version != "" && !plausible(p.Version) {
		return bulwark.Package{}, false
	}
	dev := false
	if m, ok := p.Metadata.(*osv.DepGroupMetadata); ok && m != nil {
		dev = slices.Contains(m.DepGroupVals, "dev")
	}
	u := packageurl.PackageURL{Type: t.kind, Name: p.Name, Version: p.Version}
	if i := strings.LastIndexByte(p.Name, '/'); i > 0 {
		u.Namespace, u.Name = p.Name[:i], p.Name[i+1:]
	}
	if u.Name == "" {
		return bulwark.Package{}, false
	}
	if t.kind == packageurl.TypeHex {
		u.Namespace, u.Name = strings.ToLower(u.Namespace), strings.ToLower(u.Name)
	}
	line := 0
	if d := p.Location.Descriptor; d != nil && d.File != nil {
		line = max(0, d.File.LineNumber)
	}
	return bulwark.Package{
		PURL: u.ToString(), Name: p.Name, Version: p.Version, Ecosystem: t.ecosystem,
		Where: []bulwark.Location{{Path: file, Line: line}}, By: t.name, Dev: dev,
	}, true
}

// plausible tells whether s can be a name or a version.
func plausible(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// depth gives how deep brackets are nested at most, those in strings included.
func depth(data []byte) int {
	deep, most := 0, 0
	for _, c := range data {
		switch c {
		case '[', '{', '(':
			deep++
			most = max(most, deep)
		case ']', '}', ')':
			deep = max(0, deep-1)
		}
	}
	return most
}

// single is a file system with one file in it, which is its own description.
type single struct {
	path string
	data []byte
}

func (s single) Open(p string) (fs.File, error) {
	if p != s.path {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	return opened{s, bytes.NewReader(s.data)}, nil
}

func (s single) Stat(p string) (fs.FileInfo, error) {
	if p != s.path {
		return nil, &fs.PathError{Op: "stat", Path: p, Err: fs.ErrNotExist}
	}
	return s, nil
}

func (s single) ReadDir(p string) ([]fs.DirEntry, error) {
	return nil, &fs.PathError{Op: "readdir", Path: p, Err: fs.ErrNotExist}
}

// Name gives the last element of the path.
func (s single) Name() string { return path.Base(s.path) }

// Size gives the length of the content, bytes.
func (s single) Size() int64        { return int64(len(s.data)) }
func (s single) Mode() fs.FileMode  { return 0o444 }
func (s single) ModTime() time.Time { return time.Time{} }
func (s single) IsDir() bool        { return false }
func (s single) Sys() any           { return nil }

type opened struct {
	single
	io.Reader
}

func (o opened) Stat() (fs.FileInfo, error) { return o.single, nil }
func (o opened) Close() error               { return nil }
