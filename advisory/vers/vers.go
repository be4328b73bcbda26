// SPDX-License-Identifier: Apache-2.0

// Package vers orders version strings by the rules of each package ecosystem.
// It does not know advisories or packages.
//
// The orders are those of the package managers themselves, written down from
// their documents. They run in time linear in the length of the versions,
// however long a number is, and nearly all without allocation. They are total,
// but for circles that are in the rules themselves: in Maven 1.0.RC is before
// 1.0, 1.0 before 1.0-1, and 1.0-1 before 1.0.RC; in PHP "#" equals any number.
package vers

import (
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A scheme is one way to order versions. The zero scheme orders nothing.
type scheme uint8

const (
	schemeNone scheme = iota
	schemeDpkg
	schemeOpam
	schemeRPM
	schemeAPK
	schemeSemver
	schemeBitnami
	schemePub
	schemeNuGet
	schemeConan
	schemePEP440
	schemeMaven
	schemeGem
	schemeComposer
	schemePVP
	schemeCRAN
	schemeProduct
)

// Compare orders two versions by the rules of an OSV ecosystem, with or
// without its release ("Debian:12", "npm"): -1 when a is before b, zero when
// they are equal, 1 when a is after b. White space around a version does not
// count. It is [bulwark.ErrUnsupported] for an ecosystem without rules here,
// and another error for a version that the rules cannot read: an empty one, a
// branch name or commit where a number is due, a Debian epoch that is no
// number. "0", the OSV word for "from the beginning", is read as a version
// like any other. Compare is safe for concurrent use.
//
// The ecosystems are those of https://ossf.github.io/osv-schema/ and the
// distributions that it does not list but that share a scheme with one it does.
func Compare(ecosystem, a, b string) (int, error) {
	s := schemeOf(ecosystem)
	if s == schemeNone {
		return 0, fmt.Errorf("compare versions of ecosystem %.80q: %w", ecosystem, bulwark.ErrUnsupported)
	}
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	if a == "" || b == "" {
		return 0, unreadable(s, "", "it is empty")
	}
	switch s {
	case schemeDpkg:
		return compareDpkg(a, b)
	case schemeOpam:
		return compareDpkgPart(a, b), nil
	case schemeRPM:
		return compareRPM(a, b), nil
	case schemeAPK:
		return compareAPK(a, b)
	case schemeSemver, schemeBitnami, schemePub, schemeNuGet:
		return compareSemver(s, a, b)
	case schemeConan:
		return compareConan(a, b), nil
	case schemePEP440:
		return comparePEP440(a, b), nil
	case schemeMaven:
		return compareMaven(a, b)
	case schemeGem:
		return compareGem(a, b)
	case schemeComposer:
		return compareComposer(a, b)
	case schemeProduct:
		return compareProduct(a, b)
	default: // schemePVP, schemeCRAN
		return compareDotted(s, a, b)
	}
}

// Scheme names the rules that [Compare] uses for an OSV ecosystem, with or
// without its release: "dpkg", "rpm", "apk", "semver", "pep440", "maven",
// "gem", "composer", "nuget", "pvp", "cran", "pub", "conan", "opam" or "product";
// "" for an ecosystem without rules here. Bitnami is "semver", although there a
// number after a hyphen counts rebuilds of a release.
func Scheme(ecosystem string) string { return schemeOf(ecosystem).String() }

// String gives the public name of the scheme.
func (s scheme) String() string {
	switch s {
	case schemeDpkg:
		return "dpkg"
	case schemeOpam:
		return "opam"
	case schemeRPM:
		return "rpm"
	case schemeAPK:
		return "apk"
	case schemeSemver, schemeBitnami:
		return "semver"
	case schemePub:
		return "pub"
	case schemeNuGet:
		return "nuget"
	case schemeConan:
		return "conan"
	case schemePEP440:
		return "pep440"
	case schemeMaven:
		return "maven"
	case schemeGem:
		return "gem"
	case schemeComposer:
		return "composer"
	case schemePVP:
		return "pvp"
	case schemeCRAN:
		return "cran"
	case schemeProduct:
		return "product"
	default:
		return ""
	}
}

// schemeOf finds the scheme of an ecosystem. A vendor that rebuilds packages of
// other ecosystems names the inner one after its own ("TuxCare:Alpine:v3.16").
func schemeOf(ecosystem string) scheme {
	name, rest, _ := strings.Cut(ecosystem, ":")
	switch name {
	case "Docker Hardened Images", "Root", "TuxCare":
		name, _, _ = strings.Cut(rest, ":")
	}
	switch name {
	case "Debian", "Echo", "Ubuntu":
		return schemeDpkg
	case "opam":
		return schemeOpam
	case "AlmaLinux", "Amazon", "Amazon Linux", "Azure Linux", "CBL-Mariner", "CentOS", "Fedora",
		"Mageia", "Oracle", "Oracle Linux", "Photon OS", "Red Hat", "Rocky Linux",
		"SUSE", "openEuler", "openSUSE":
		return schemeRPM
	case "Alpaquita", "Alpine", "BellSoft Hardened Containers", "Chainguard", "CleanStart", "MinimOS", "Wolfi":
		return schemeAPK
	case "GitHub Actions", "Go", "Hex", "Julia", "Kubernetes", "Linux", "SwiftURL", "VSCode", "crates.io", "npm":
		return schemeSemver
	case "Bitnami":
		return schemeBitnami
	case "Pub":
		return schemePub
	case "NuGet":
		return schemeNuGet
	case "ConanCenter":
		return schemeConan
	case "PyPI":
		return schemePEP440
	case "Maven":
		return schemeMaven
	case "RubyGems":
		return schemeGem
	case "Packagist":
		return schemeComposer
	case "GHC", "Hackage":
		return schemePVP
	case "Bioconductor", "CRAN":
		return schemeCRAN
	case Bulwark:
		return schemeProduct
	default:
		return schemeNone
	}
}

// unreadable is the error for a version that breaks the rules of its scheme.
// Only the start of the version is shown: it may be megabytes of digits.
func unreadable(s scheme, version, why string) error {
	return fmt.Errorf("read %s version %.80q: %s", s, version, why)
}
