// SPDX-License-Identifier: Apache-2.0

// Package gomod finds the modules that a go.mod requires. Since Go 1.17 that is
// all that the build may need. It does not know which of them end up in a
// program (see gobinary), nor what older modules need of their dependencies.
package gomod

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"
	"golang.org/x/mod/modfile" // the go command's own reader

	"github.com/bulwark-sec/bulwark"
)

const (
	// name appears in reports and never changes.
	name = "gomod"
	// maxFile bounds a go.mod, bytes. The largest known ones have 60 KiB.
	maxFile = 2 << 20
	// maxName bounds module paths and versions, bytes.
	maxName = 1024
)

// An Extractor reads go.mod files. Its zero value is ready to use.
type Extractor struct{}

// Name gives "gomod".
func (Extractor) Name() string { return name }

// Wants tells whether p is a go.mod outside of directories that the go command
// passes over: vendored code, test data and the module cache.
func (Extractor) Wants(p string, st bulwark.Stat) bool {
	if !strings.HasSuffix(p, "go.mod") || st.Mode&fs.ModeType != 0 {
		return false
	}
	if len(p) > len("go.mod") && p[len(p)-len("go.mod")-1] != '/' {
		return false
	}
	for _, dir := range []string{"vendor/", "testdata/"} {
		if strings.HasPrefix(p, dir) || strings.Contains(p, "/"+dir) {
			return false
		}
	}
	return !strings.Contains(p, "/pkg/mod/") && !strings.HasPrefix(p, "pkg/mod/")
}

// Extract gives the required modules, with replacements applied. One that is
// replaced by a directory is left out if the directory is in the repository,
// where it has a go.mod of its own; elsewhere it has an empty version. The go
// directive is the oldest Go that will do, not what is used, so the standard
// library is not given.
func (e Extractor) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	m, err := modfile.ParseLax(f.Path, data, nil)
	if err != nil {
		// Its text repeats the path and may repeat the content.
		return nil, fmt.Errorf("parse %q: %w", f.Path, first(err))
	}
	replaced := map[string]*modfile.Replace{}
	full, err := modfile.Parse(f.Path, data, func(_, version string) (string, error) { return version, nil })
	if err == nil { // lax reading passes over replacements
		for _, r := range full.Replace {
			replaced[r.Old.Path+"@"+r.Old.Version] = r
		}
	}
	var pkgs []bulwark.Package
	seen := map[string]bool{}
	for _, req := range m.Require {
		if err := ctx.Err(); err != nil {
			return pkgs, err
		}
		path, version := req.Mod.Path, req.Mod.Version
		r := replaced[path+"@"+version]
		if r == nil {
			r = replaced[path+"@"]
		}
		switch {
		case r == nil:
		case r.New.Version != "":
			path, version = r.New.Path, r.New.Version
		case strings.HasPrefix(r.New.Path, "../"):
			version = ""
		default:
			continue
		}
		if !plausible(path) || version != "" && !plausible(version) || seen[path+"@"+version] {
			continue
		}
		seen[path+"@"+version] = true
		line := 0
		if req.Syntax != nil {
			line = req.Syntax.Start.Line
		}
		pkgs = append(pkgs, bulwark.Package{
			PURL: purl(path, version), Name: path, Version: version, Ecosystem: "Go",
			Where: []bulwark.Location{{Path: f.Path, Line: line}}, By: name,
		})
	}
	return pkgs, nil
}

// first gives the first of several errors, cut to a length that can be shown.
func first(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%.300s", text)
}

// plausible tells whether s can be a module path or a version.
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

// purl gives the package URL of a module. The type's rules ask for lower case
// (https://github.com/package-url/purl-spec, type golang).
func purl(module, version string) string {
	dir, base := "", module
	if i := strings.LastIndexByte(strings.TrimRight(module, "/"), '/'); i >= 0 {
		dir, base = module[:i], module[i+1:]
	}
	u := packageurl.PackageURL{
		Type: packageurl.TypeGolang, Namespace: strings.ToLower(dir), Name: strings.ToLower(base), Version: version,
	}
	return u.ToString()
}
