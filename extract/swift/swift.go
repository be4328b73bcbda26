// SPDX-License-Identifier: Apache-2.0

// Package swift finds packages of Apple's platforms in lock files: those of the
// Swift package manager and pods of CocoaPods. It does not know a Package.swift
// or a Podfile, which are programs, nor what was linked into an application.
package swift

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name for Swift packages, which it knows by the address of
	// their repository. It knows no pods.
	ecosystem = "SwiftURL"
	// newest is the last version of Package.resolved that is known.
	newest = 3
	// maxLock bounds a lock file, bytes. Large applications have some hundred KiB.
	maxLock = 16 << 20
	// maxName bounds a name, version or address, bytes.
	maxName = 1024
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// fetched tells whether p lies where a package manager puts what it fetched. Lock
// files in there are those of the packages' makers.
func fetched(p string) bool {
	for _, dir := range []string{".build/", "SourcePackages/checkouts/", "Pods/"} {
		if i := strings.Index(p, dir); i == 0 || i > 0 && p[i-1] == '/' {
			return true
		}
	}
	return false
}

func printable(s string) bool {
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

// number gives s if it can be a version, "" if not.
func number(s string) string {
	if !printable(s) || s[0] < '0' || s[0] > '9' {
		return ""
	}
	return s
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// PackageResolved reads Package.resolved of the Swift package manager, versions 1
// to 3 of the format, as Xcode writes it, too. Its zero value is ready to use.
type PackageResolved struct{}

// Name gives "package-resolved".
func (PackageResolved) Name() string { return "package-resolved" }

// Wants tells whether p is a Package.resolved that is not one of a fetched
// package.
func (PackageResolved) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "Package.resolved" && st.Mode&fs.ModeType == 0 && !fetched(p)
}

// Extract gives the pinned packages by the host and path of their repository, or
// by scope and name if they come from a registry. One that is pinned to a branch
// or commit has an empty version. Packages of the same machine are left out. The
// file does not say what is needed for development only. A file of a newer version
// than 3 is read as if it were of version 3 and is [bulwark.ErrUnsupported].
func (e PackageResolved) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	var (
		r    = newReader(ctx, data)
		pkgs []bulwark.Package
		seen = map[string]bool{}
	)
	pins := func() error {
		return r.array(func() error {
			line := r.line()
			var p pin
			if err := r.value(&p); err != nil {
				return err
			}
			p.Where = bulwark.Location{Path: f.Path, Line: line}
			if pkg, ok := p.pkg(e.Name()); ok && !seen[pkg.PURL] {
				seen[pkg.PURL] = true
				pkgs = append(pkgs, pkg)
			}
			return nil
		})
	}
	version := 0
	err = r.object(func(key string) error {
		switch key {
		case "version":
			return r.value(&version)
		case "pins":
			return pins()
		case "object": // version 1
			return r.object(func(key string) error {
				if key == "pins" {
					return pins()
				}
				return r.skip()
			})
		}
		return r.skip()
	})
	if err == nil && version > newest {
		err = fmt.Errorf("version %d of the format: %w", version, bulwark.ErrUnsupported)
	}
	if err != nil {
		return pkgs, malformed(f, err)
	}
	return pkgs, nil
}

// A pin is one package of a Package.resolved.
type pin struct {
	Identity      string           `json:"identity"`
	Kind          string           `json:"kind"`
	Location      string           `json:"location"`
	RepositoryURL string           `json:"repositoryURL"` // version 1
	State         state            `json:"state"`
	Where         bulwark.Location `json:"-"`
}

type state struct {
	Version string `json:"version"`
}

// pkg gives the package that is pinned.
func (p pin) pkg(by string) (bulwark.Package, bool) {
	if p.Kind == "localSourceControl" || p.Kind == "fileSystem" {
		return bulwark.Package{}, false
	}
	name := repository(p.Location + p.RepositoryURL)
	dir, last := "", ""
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		dir, last = name[:i], name[i+1:]
	} else if scope, id, ok := strings.Cut(p.Identity, "."); ok && p.Kind == "registry" {
		dir, last, name = scope, id, p.Identity
	}
	if !printable(name) || dir == "" || last == "" {
		return bulwark.Package{}, false
	}
	ver := number(strings.TrimPrefix(p.State.Version, "v"))
	u := packageurl.PackageURL{Type: packageurl.TypeSwift, Namespace: dir, Name: last, Version: ver}
	return bulwark.Package{
		PURL: u.ToString(), Name: name, Version: ver, Ecosystem: ecosystem, Where: []bulwark.Location{p.Where}, By: by,
	}, true
}

// repository gives host and path of the address of a repository, without what
// names a user, a port or the kind of the repository: "github.com/apple/swift-nio"
// for https://github.com/apple/swift-nio.git and git@github.com:apple/swift-nio.
// It is "" for a path on the same machine.
func repository(address string) string {
	if len(address) > maxName {
		return ""
	}
	scheme, rest, ok := strings.Cut(address, "://")
	switch {
	case ok && scheme == "file":
		return ""
	case !ok: // user@host:path
		host, path, colon := strings.Cut(address, ":")
		if !colon || strings.Contains(host, "/") || len(host) < 2 {
			return ""
		}
		rest = host + "/" + strings.TrimLeft(path, "/")
	}
	host, path, _ := strings.Cut(rest, "/")
	host = host[strings.LastIndexByte(host, '@')+1:]
	host, _, _ = strings.Cut(host, ":")
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if host == "" || path == "" || strings.ContainsAny(path, "?#@\\") {
		return ""
	}
	return strings.ToLower(host) + "/" + path
}

// PodfileLock reads Podfile.lock of CocoaPods, which writes it by machine with
// one pod in each line. Its zero value is ready to use.
type PodfileLock struct{}

// Name gives "podfile-lock".
func (PodfileLock) Name() string { return "podfile-lock" }

// Language gives "yaml": lines that are not understood are passed over, and told
// when no tool wrote them.
func (PodfileLock) Language() string { return "yaml" }

// Wants tells whether p is a Podfile.lock, or the copy of it that an installation
// leaves in Pods, Manifest.lock.
func (PodfileLock) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 {
		return false
	}
	switch base(p) {
	case "Podfile.lock":
		return !fetched(p)
	case "Manifest.lock":
		return p == "Pods/Manifest.lock" || strings.HasSuffix(p, "/Pods/Manifest.lock")
	}
	return false
}

// Extract gives the locked pods, subspecs counted with the pod that they are a
// part of. Pods of the same repository are left out, but not those that another
// package manager brought. The file does not say what is needed for development
// only.
func (e PodfileLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	r := pods{path: f.Path, by: e.Name(), seen: map[string]bool{}, own: map[string]bool{}}
	rest := data
	for n := 1; len(rest) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return r.done(), ctx.Err()
		}
		var line []byte
		if line, rest, _ = bytes.Cut(rest, []byte{'\n'}); len(line) <= maxLine {
			r.line(strings.TrimRight(string(line), "\r "), n)
		}
	}
	if !r.known && len(bytes.TrimSpace(data)) > 0 {
		return r.done(), malformed(f, errLock)
	}
	return r.done(), ctx.Err()
}
