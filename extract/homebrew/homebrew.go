// SPDX-License-Identifier: Apache-2.0

// Package homebrew finds what Homebrew has installed on macOS and Linux:
// formulae, by the receipt in each keg of the Cellar, and casks, by the metadata
// in the Caskroom (https://docs.brew.sh/Formula-Cookbook#homebrew-terminology).
// The OSV database has no ecosystem for them. It does not know formulae that are
// not installed, nor licences, which only the formulae, programs, have.
package homebrew

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	name = "homebrew"

	receiptFile = "INSTALL_RECEIPT.json"

	// Bytes of a receipt; those with many dependencies and changed files have some
	// hundred thousand.
	maxReceipt = 4 << 20
	maxName    = 256 // bytes of a name or version
)

// An Extractor reads receipts of Homebrew. The zero Extractor is ready.
type Extractor struct{}

// Name gives "homebrew".
func (Extractor) Name() string { return name }

// Wants takes receipts, and the copy that is kept of each installed cask.
func (Extractor) Wants(path string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 {
		return false
	}
	_, ok := parse(path)
	return ok
}

// A keg is what the path of a file says of what is installed.
type keg struct {
	name, version string // version is "" where the receipt has it
	cask, receipt bool
}

// parse reads ".../Cellar/NAME/VERSION/INSTALL_RECEIPT.json",
// ".../Caskroom/NAME/.metadata/INSTALL_RECEIPT.json" and
// ".../Caskroom/NAME/.metadata/VERSION/TIME/Casks/NAME.json" or NAME.rb. It
// allocates nothing.
func parse(path string) (keg, bool) {
	dir, base := cut(path)
	if base == receiptFile {
		rest, version := cut(dir)
		rest, name := cut(rest)
		if _, cellar := cut(rest); cellar == "Cellar" && plausible(name) && plausible(version) {
			return keg{name: name, version: version, receipt: true}, true
		}
		if _, room := cut(rest); room == "Caskroom" && version == ".metadata" && plausible(name) {
			return keg{name: name, cask: true, receipt: true}, true
		}
		return keg{}, false
	}
	if !strings.HasSuffix(base, ".json") && !strings.HasSuffix(base, ".rb") {
		return keg{}, false
	}
	dir, casks := cut(dir)
	if casks != "Casks" {
		return keg{}, false
	}
	dir, _ = cut(dir) // time
	dir, version := cut(dir)
	dir, metadata := cut(dir)
	dir, name := cut(dir)
	_, room := cut(dir)
	ok := metadata == ".metadata" && room == "Caskroom" && plausible(name) && plausible(version) &&
		isCopy(base, name)
	return keg{name: name, version: version, cask: true}, ok
}

// isCopy tells whether a file is the copy of a cask; some releases of Homebrew
// called it NAME.internal.json.
func isCopy(base, name string) bool {
	rest, ok := strings.CutPrefix(base, name)
	return ok && (rest == ".json" || rest == ".rb" || rest == ".internal.json")
}

// cut splits the last element off a path.
func cut(path string) (dir, last string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// plausible tells whether s can be a name or a version.
func plausible(s string) bool {
	if s == "" || len(s) > maxName || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '/' {
			return false
		}
	}
	return true
}

// Extract gives what the file was left behind by: one formula or cask.
func (Extractor) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k, ok := parse(f.Path)
	if !ok {
		return nil, nil
	}
	data, err := f.Bytes(maxReceipt)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("parse %q: empty", f.Path)
	}
	var r struct {
		Arch   string `json:"arch"`
		Source struct {
			Tap     string `json:"tap"`
			Version string `json:"version"` // of casks
		} `json:"source"`
	}
	if k.receipt {
		// The directory says what it is; what the receipt adds may be damaged.
		err = json.Unmarshal(data, &r)
	}
	if k.version == "" {
		k.version = r.Source.Version
	}
	if !plausible(k.version) {
		if err == nil {
			err = fmt.Errorf("version %q is none", k.version[:min(len(k.version), maxName)])
		}
		return nil, fmt.Errorf("parse %q: %w", f.Path, err)
	}
	p := bulwark.Package{
		Name: k.name, Version: k.version, Where: []bulwark.Location{{Path: f.Path}}, By: name,
	}
	q := map[string]string{}
	if plausible(r.Arch) {
		p.Arch = r.Arch
	}
	if k.cask {
		// Both files of one cask give one package, and the copy does not say what
		// the receipt does.
		p.Arch = ""
		q["type"] = "cask"
	}
	if p.Arch != "" {
		q["arch"] = p.Arch
	}
	if t := r.Source.Tap; t != "homebrew/core" && t != "homebrew/cask" && tap(t) {
		if p.Vendor = t; !k.cask {
			q["tap"] = t
		}
	}
	p.PURL = packageurl.NewPackageURL(packageurl.TypeBrew, "", p.Name, p.Version, packageurl.QualifiersFromMap(q), "").ToString()
	if err != nil {
		err = fmt.Errorf("parse %q: %w", f.Path, err)
	}
	return []bulwark.Package{p}, err
}

// tap tells whether s names a tap, "user/repository".
func tap(s string) bool {
	user, repository, ok := strings.Cut(s, "/")
	return ok && plausible(user) && plausible(repository)
}
