// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

// inventory judges what was read.
func (b *bill) inventory() bulwark.Inventory {
	inv := bulwark.Inventory{OS: b.os, Layers: b.layers, Gaps: b.gaps}
	index := map[string]int{}
	for i := range b.items {
		it := &b.items[i]
		p, ok := b.pkg(it)
		if !ok {
			if it.counts && !b.described[it.id] {
				b.nameless++
			}
			continue
		}
		if j, ok := index[p.Key()]; ok {
			have := &inv.Packages[j]
			have.Where = append(have.Where, p.Where...)
			have.Dev = have.Dev && p.Dev
			continue
		}
		index[p.Key()] = len(inv.Packages)
		inv.Packages = append(inv.Packages, p)
	}
	return inv
}

// pkg makes a package of an item; ok is false when it has no usable package URL.
func (b *bill) pkg(it *item) (p bulwark.Package, ok bool) {
	if len(it.purl) > 4*maxText {
		return p, false
	}
	u, err := packageurl.FromString(it.purl)
	if err != nil || clean(u.Name) == "" || clean(u.Namespace) != u.Namespace || clean(u.Version) != u.Version {
		return p, false
	}
	p = bulwark.Package{
		PURL: u.ToString(), Version: u.Version, Vendor: it.vendor, Licenses: it.licenses, Dev: it.dev,
		Source: it.source, SourceVersion: it.sourceVersion, Module: it.module,
		Arch: clean(u.Qualifiers.Map()["arch"]), By: name,
	}
	if n := it.own; n != nil && n.Ecosystem != "" {
		// A bill of ours: nothing is guessed, and findings keep their subject.
		p.PURL = clean(it.purl)
		p.Name, p.Version, p.Ecosystem = it.name, it.version, n.Ecosystem
		p.Source, p.SourceVersion, p.Arch, p.Module, p.Owner = n.Source, n.SourceVersion, n.Arch, n.Module, n.Owner
	} else {
		b.guess(&p, u, it)
	}
	if n := it.own; n != nil {
		if n.By != "" {
			p.By = n.By
		}
		for _, w := range n.Where {
			if w.Path != "" {
				p.Where = append(p.Where, w)
			}
		}
	}
	if len(p.Where) == 0 {
		p.Where = []bulwark.Location{{Path: b.path}}
	}
	return p, p.Name != "" && strings.HasPrefix(p.PURL, "pkg:")
}

// guess works out what advisories call the package.
func (b *bill) guess(p *bulwark.Package, u packageurl.PackageURL, it *item) {
	q := u.Qualifiers.Map()
	p.Name = u.Name
	switch u.Type {
	case packageurl.TypeDebian, packageurl.TypeApk, packageurl.TypeRPM:
		p.Ecosystem = b.distribution(u, q["distro"])
		if e := q["epoch"]; e != "" && e != "0" && strings.Trim(e, "0123456789") == "" && !strings.Contains(p.Version, ":") {
			p.Version = e + ":" + p.Version
		}
		if s, v := upstream(u.Type, clean(q["upstream"])); p.Source == "" && s != "" {
			p.Source, p.SourceVersion = s, v
		}
		if p.SourceVersion == p.Version {
			p.SourceVersion = ""
		}
		if m := clean(q["rpmmod"]); p.Module == "" && m != "" {
			p.Module = m
		}
		return
	case packageurl.TypeMaven:
		p.Name = u.Namespace + ":" + u.Name
		p.Ecosystem = "Maven"
		return
	case packageurl.TypePyPi:
		p.Name = normal(u.Name)
		p.Ecosystem = "PyPI"
		return
	}
	p.Ecosystem = ecosystem(u.Type)
	if u.Namespace != "" {
		p.Name = u.Namespace + "/" + u.Name
	}
	if u.Type == packageurl.TypeGolang {
		if p.Name == "stdlib" {
			p.Version = strings.TrimPrefix(strings.TrimPrefix(p.Version, "go"), "v")
		}
		// Package URLs of Go are in lower case; the component's own name is not.
		for _, s := range []string{it.name, it.group + "/" + it.name} {
			if strings.EqualFold(s, p.Name) {
				p.Name = s
			}
		}
	}
}

// ecosystem gives OSV's name for a type of package URL; "" when it has none.
func ecosystem(kind string) string {
	switch kind {
	case packageurl.TypeGolang:
		return "Go"
	case packageurl.TypeNPM:
		return "npm"
	case packageurl.TypeGem:
		return "RubyGems"
	case packageurl.TypeCargo:
		return "crates.io"
	case packageurl.TypeNuget:
		return "NuGet"
	case packageurl.TypeComposer:
		return "Packagist"
	case packageurl.TypePub:
		return "Pub"
	case packageurl.TypeHex:
		return "Hex"
	case packageurl.TypeConan:
		return "ConanCenter"
	case packageurl.TypeCran:
		return "CRAN"
	case packageurl.TypeHackage:
		return "Hackage"
	case packageurl.TypeSwift:
		return "SwiftURL"
	case packageurl.TypeBitnami:
		return "Bitnami"
	case packageurl.TypeJulia:
		return "Julia"
	case packageurl.TypeOpam:
		return "opam"
	case "githubactions":
		return "GitHub Actions"
	}
	return ""
}

// normal gives the normalised form of a Python name
// (https://peps.python.org/pep-0503/#normalized-names).
func normal(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == '-' || r == '_' || r == '.' }), "-")
}

// upstream reads the qualifier by which Syft names a source package: "name",
// "name@version", or for rpm "name-version-release.src.rpm".
func upstream(kind, s string) (source, version string) {
	if kind == packageurl.TypeRPM {
		s, ok := strings.CutSuffix(s, ".src.rpm")
		if !ok {
			return "", ""
		}
		release := strings.LastIndexByte(s, '-')
		if release <= 0 {
			return "", ""
		}
		v := strings.LastIndexByte(s[:release], '-')
		if v <= 0 {
			return "", ""
		}
		return s[:v], s[v+1:]
	}
	source, version, _ = strings.Cut(s, "@")
	return source, version
}

// distribution gives the ecosystem with release of an operating system's
// package: by the qualifier, "debian-12" or "3.18.4", or else by the bill's own
// operating system.
func (b *bill) distribution(u packageurl.PackageURL, distro string) string {
	id, version := "", ""
	if i := strings.LastIndexByte(distro, '-'); i > 0 {
		id, version = distro[:i], distro[i+1:]
	} else if distro != "" && distro[0] >= '0' && distro[0] <= '9' {
		id, version = u.Namespace, distro
	} else if distro != "" {
		id, version = u.Namespace, codename(distro)
		if version == "" {
			id = distro // "wolfi"
		}
	}
	if e := release(strings.ToLower(id), version); e != "" {
		return e
	}
	if b.os != nil && b.os.Ecosystem != "" && (id == "" || id == b.os.ID || u.Namespace == b.os.ID) {
		return b.os.Ecosystem
	}
	return release(strings.ToLower(u.Namespace), "")
}

// codename gives the version of a Debian or Ubuntu release.
func codename(name string) string {
	for _, r := range [...]struct{ name, version string }{
		{"buster", "10"}, {"bullseye", "11"}, {"bookworm", "12"}, {"trixie", "13"}, {"forky", "14"}, {"duke", "15"},
		{"bionic", "18.04"}, {"focal", "20.04"}, {"jammy", "22.04"}, {"noble", "24.04"}, {"resolute", "26.04"},
	} {
		if r.name == name {
			return r.version
		}
	}
	return ""
}

// release gives the OSV ecosystem of a distribution, spelt as in the records
// that OSV.dev exports; "" when there is none or the version does not tell.
func release(id, version string) string {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	with := func(name, version string) string {
		if version == "" {
			return ""
		}
		return name + ":" + version
	}
	switch id {
	case "wolfi":
		return "Wolfi"
	case "chainguard":
		return "Chainguard"
	case "minimos":
		return "MinimOS"
	case "echo":
		return "Echo"
	case "debian":
		return with("Debian", major)
	case "ubuntu":
		if major == "" || minor == "" {
			return ""
		}
		if minor == "04" && (major[len(major)-1]-'0')%2 == 0 {
			return "Ubuntu:" + major + ".04:LTS"
		}
		return "Ubuntu:" + major + "." + minor
	case "alpine":
		if version == "edge" {
			return "Alpine:edge"
		}
		if major == "" || minor == "" {
			return ""
		}
		return "Alpine:v" + strings.TrimPrefix(major, "v") + "." + minor
	case "alpaquita":
		return with("Alpaquita", version)
	case "almalinux":
		return with("AlmaLinux", major)
	case "rocky", "rockylinux":
		return with("Rocky Linux", major)
	case "azurelinux", "mariner", "cbl-mariner":
		return with("Azure Linux", major)
	case "photon":
		return with("Photon OS", version)
	case "mageia":
		return with("Mageia", major)
	case "opensuse-leap", "opensuse.leap":
		return with("openSUSE", strings.TrimSpace("Leap "+version))
	case "opensuse-tumbleweed", "opensuse.tumbleweed":
		return "openSUSE:Tumbleweed"
	case "sles", "suse linux enterprise server":
		if major == "" {
			return ""
		}
		if minor != "" && minor != "0" {
			return "SUSE:Linux Enterprise Server " + major + " SP" + minor
		}
		return "SUSE:Linux Enterprise Server " + major
	case "rhel", "redhat":
		if major == "" || len(major) == 1 && major < "8" {
			return ""
		}
		return "Red Hat:enterprise_linux:" + major + "::baseos"
	}
	return ""
}
