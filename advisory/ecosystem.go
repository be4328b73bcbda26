// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A naming says by which of its names advisories know a package.
type naming int

const (
	byName   naming = iota // languages: by the name of the package
	bySource               // by the source package that it was built from
	byBinary               // rpm: by the name of the package
	byBoth                 // rpm: feeds differ, or mix both
)

// namingOf says how the OSV data of an ecosystem, given without release, names
// packages. Everything that is not a distribution goes by name.
func namingOf(base string) naming {
	switch base {
	case "Alpaquita", "Alpine", "BellSoft Hardened Containers", "Chainguard", "CleanStart", "Debian",
		"Docker Hardened Images", "Echo", "MinimOS", "Ubuntu", "Wolfi":
		return bySource
	case "AlmaLinux", "Red Hat":
		return byBinary
	case "Amazon Linux", "Azure Linux", "Fedora", "Mageia", "openEuler", "openSUSE", "Oracle Linux", "Photon OS",
		"Rocky Linux", "SUSE", "TuxCare":
		return byBoth
	}
	return byName
}

// split parts an ecosystem from its release: "Alpine:v3.20" is "Alpine", "v3.20".
func split(ecosystem string) (base, release string) {
	base, release, _ = strings.Cut(ecosystem, ":")
	return base, release
}

// canonicalName spells a package name the one way that its ecosystem takes all
// its spellings for.
func canonicalName(base, name string) string {
	switch base {
	case "PyPI": // https://packaging.python.org/en/latest/specifications/name-normalization/
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") == "" {
			return name
		}
		var b strings.Builder
		b.Grow(len(name))
		dash := false
		for i := range len(name) {
			c := name[i]
			if c == '-' || c == '_' || c == '.' {
				dash = true
				continue
			}
			if dash {
				b.WriteByte('-')
				dash = false
			}
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			b.WriteByte(c)
		}
		if dash {
			b.WriteByte('-')
		}
		return b.String()
	case "Packagist", "NuGet", "Hex", "Pub", "Bitnami", "GitHub Actions", "ConanCenter", "VSCode", "SwiftURL":
		name = strings.ToLower(name)
		if base == "SwiftURL" { // a repository, with or without scheme and suffix
			name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
			name = strings.TrimSuffix(name, ".git")
		}
		return name
	}
	return name
}

// canonical spells the package names of an advisory.
func canonical(a *bulwark.Advisory) {
	for i := range a.Affected {
		base, _ := split(a.Affected[i].Ecosystem)
		a.Affected[i].Name = canonicalName(base, a.Affected[i].Name)
	}
}

// sameRelease tells whether a row about release row is about a package of
// release have. "" in a row stands for every release.
func sameRelease(base, have, row string) bool {
	if row == "" || have == row {
		return true
	}
	if have == "" {
		return false
	}
	switch base {
	case "Ubuntu":
		return strings.TrimSuffix(have, ":LTS") == strings.TrimSuffix(row, ":LTS")
	case "Debian", "AlmaLinux", "Rocky Linux", "Mageia", "Oracle Linux":
		h, _, _ := strings.Cut(have, ".")
		r, _, _ := strings.Cut(row, ".")
		return h == r
	case "Alpine", "Alpaquita":
		return minor(have) == minor(row)
	case "Red Hat":
		hp, hv := product(have)
		rp, rv := product(row)
		return hp == rp && hv == rv
	}
	return strings.EqualFold(strings.TrimSuffix(have, ".0"), strings.TrimSuffix(row, ".0"))
}

// minor gives the branch of a release: "v3.20" for "3.20.1".
func minor(release string) string {
	release = strings.TrimPrefix(release, "v")
	parts := strings.SplitN(release, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// product takes a Red Hat product apart, which OSV writes like a CPE:
// "enterprise_linux:9::baseos" is "enterprise_linux" and "9". Red Hat Enterprise
// Linux itself is told by major version, other products by the version they have.
func product(release string) (name, version string) {
	name, version, ok := strings.Cut(release, ":")
	if !ok {
		name, version = "enterprise_linux", release
	}
	version, _, _ = strings.Cut(version, ":")
	if name == "enterprise_linux" {
		version, _, _ = strings.Cut(version, ".")
	}
	return name, version
}

// sameModule tells whether a row about builds of a module is about p. A row
// without one is about packages that belong to none.
func sameModule(row string, p *bulwark.Package) bool {
	modular := p.Module != "" || strings.Contains(p.Version, ".module+el") || strings.Contains(p.Version, ".module_el")
	if row == "" || !modular {
		return row == "" && !modular
	}
	if row == "*" || p.Module == "" {
		return true // one of them does not say which module
	}
	have := strings.SplitN(p.Module, ":", 3) // name:stream:version:context:arch
	for m := range strings.SplitSeq(row, ",") {
		name, stream, _ := strings.Cut(m, ":")
		if name == have[0] && (len(have) == 1 || stream == have[1]) {
			return true
		}
	}
	return false
}

// hashing is a SHA-256 in the making.
type hashing struct{ hash.Hash }

func sha() hashing { return hashing{sha256.New()} }

func (h hashing) digest() bulwark.Digest {
	return bulwark.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}
