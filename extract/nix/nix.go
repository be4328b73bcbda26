// SPDX-License-Identifier: Apache-2.0

// Package nix finds the packages of a Nix store, whose paths are named after
// them: by the store's own database where there is one, and by the files in the
// store where there is none, as in most images that Nix builds. The OSV database
// has no ecosystem for them. It knows how store paths are named
// (https://nix.dev/manual/nix/latest/store/store-path); it does not know
// derivations, which of the store paths are in use, or the language packages in
// them.
package nix

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	store = "nix/store/"
	// Characters of the digest that a store path begins with: 160 bits, five in
	// each.
	hashLen = 32
	// Bytes of the name of a store path, which Nix itself does not let be longer.
	maxName = 211
)

// outputs are the names of the parts that nixpkgs splits packages into. A store
// path of another part than "out" ends with its name.
var outputs = [...]string{
	"bin", "lib", "dev", "man", "doc", "devdoc", "info", "devman", "debug", "static", "data", "dist", "out", "env",
	"tools", "py", "python", "modules", "terminfo", "getent", "libgcc", "lib32", "locale", "share", "server", "daemon",
	"plugins", "scripts", "examples", "test", "tests", "installedTests", "xz", "zstd", "nc", "kmod", "mount", "login", "swap",
}

// files are the endings of what is a single file in the store: sources, patches,
// scripts and settings, which no package is.
var files = [...]string{
	".drv", ".patch", ".diff", ".tar", ".tgz", ".tbz2", ".txz", ".zip", ".gz", ".bz2", ".xz", ".zst", ".lz", ".lzma",
	".whl", ".gem", ".crate", ".jar", ".deb", ".rpm", ".iso", ".img", ".sh", ".conf", ".json", ".nix", ".lock", ".service",
	".socket", ".timer", ".mount", ".target", ".rules", ".pem", ".asc", ".sig", ".txt", ".xml", ".toml", ".yaml", ".chroot",
}

// cutHash gives the name in the last element of a store path,
// "digest-name". It allocates nothing.
func cutHash(s string) (name string, ok bool) {
	if len(s) < hashLen+2 || s[hashLen] != '-' || len(s) > hashLen+1+maxName {
		return "", false
	}
	for i := range hashLen {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'z' && c != 'e' && c != 'o' && c != 'u' && c != 't': // which Nix leaves out
		default:
			return "", false
		}
	}
	name = s[hashLen+1:]
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '+', c == '-', c == '.', c == '_', c == '?', c == '=':
		default:
			return "", false
		}
	}
	return name, true
}

// split takes the name of a derivation apart as Nix does: the version begins
// behind the first dash that no letter follows. Only what has a number for a
// version is a package. It allocates nothing.
func split(s string) (name, version string, ok bool) {
	for i := 1; i+1 < len(s); i++ {
		c := s[i+1]
		if s[i] != '-' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			continue
		}
		return s[:i], s[i+1:], c >= '0' && c <= '9'
	}
	return "", "", false
}

// parse gives name and version of the package that a store path with this name
// belongs to. It allocates nothing.
func parse(s string) (name, version string, ok bool) {
	for _, end := range files {
		if strings.HasSuffix(s, end) {
			return "", "", false
		}
	}
	name, version, ok = split(s)
	if !ok {
		return "", "", false
	}
	if i := strings.LastIndexByte(version, '-'); i > 0 {
		for _, o := range outputs {
			if version[i+1:] == o {
				version = version[:i]
				break
			}
		}
	}
	return name, version, true
}

// noun gives the package of a store path, "nix/store/digest-name".
func noun(by, path, name, version string) bulwark.Package {
	u := packageurl.PackageURL{Type: packageurl.TypeNix, Name: name, Version: version}
	return bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Where: []bulwark.Location{{Path: path}}, By: by,
	}
}
