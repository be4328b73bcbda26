// SPDX-License-Identifier: Apache-2.0

// Package osrelease recognises the distribution of a root file system. It knows
// the files in which distributions name themselves, how the OSV schema spells
// their releases, and when their support ended. It does not know packages.
package osrelease

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// The files that name a distribution. The first two have the form of
// os-release(5); the others are older and are asked when those are missing or
// say too little.
const (
	etcOSRelease    = "etc/os-release"
	usrOSRelease    = "usr/lib/os-release"
	alpineRelease   = "etc/alpine-release"
	debianVersion   = "etc/debian_version"
	redhatRelease   = "etc/redhat-release"
	systemRelease   = "etc/system-release"
	lsbRelease      = "etc/lsb-release"
	maxFile         = 64 << 10 // bytes; real ones have less than one thousand
	maxField        = 256      // bytes of one value
	unmatchedDetail = "the OSV database has no advisories for it: its packages are listed, but their vulnerabilities are not known"
	unreadDetail    = "the OSV database has no advisories for it, and its own packages are not listed: "
)

// Wants tells whether Detect reads the file at path.
func Wants(path string, _ bulwark.Stat) bool {
	switch path {
	case etcOSRelease, usrOSRelease, alpineRelease, debianVersion, redhatRelease, systemRelease, lsbRelease:
		return true
	}
	return false
}

// Detect gives the distribution of the root file system fsys; nil when nothing
// names one, which is normal for an image with a single program in it. A
// distribution that no advisories cover, or only in part, is given with a gap
// that says so, and without an ecosystem when OSV has no name for it
// (https://ossf.github.io/osv-schema/#defined-ecosystems).
func Detect(fsys fs.FS) (*bulwark.OS, []bulwark.Gap) {
	var d detection
	var f fields
	for _, path := range []string{etcOSRelease, usrOSRelease} {
		text, ok := d.read(fsys, path)
		if !ok {
			continue
		}
		if f = parse(text); f["ID"] != "" {
			d.path = path
			break
		}
		d.gap(bulwark.GapMalformed, path, "no ID in it")
	}
	if f["ID"] == "" {
		if f = d.older(fsys); f == nil {
			return nil, d.gaps
		}
	}
	os := &bulwark.OS{
		ID: strings.ToLower(f["ID"]), Version: f["VERSION_ID"], Like: f["ID_LIKE"],
		Codename: f["VERSION_CODENAME"], Name: f["PRETTY_NAME"],
	}
	if os.Name == "" {
		os.Name = strings.TrimSpace(f["NAME"] + " " + f["VERSION"])
	}
	if os.Version == "" {
		d.version(fsys, os)
	}
	eco, partly := ecosystem(os, f)
	os.Ecosystem = eco
	switch {
	case partly != "":
		d.gap(bulwark.GapUnsupported, d.path, partly)
	case eco == "" && unread(os.ID) != "":
		d.gap(bulwark.GapUnsupported, d.path, fmt.Sprintf("distribution %q: %s%s", strings.TrimSpace(os.ID+" "+os.Version), unreadDetail, unread(os.ID)))
		d.gaps[len(d.gaps)-1].Hides = true
	case eco == "":
		d.gap(bulwark.GapUnsupported, d.path, fmt.Sprintf("distribution %q: %s", strings.TrimSpace(os.ID+" "+os.Version), unmatchedDetail))
	}
	return os, d.gaps
}

// unread says why the packages of a distribution are not listed; "" for those
// whose database is read, and for unknown ones.
func unread(id string) string {
	for _, u := range [...]struct{ id, why string }{
		{"buildroot", "it keeps no list of them"},
		{"clear-linux-os", "the manifests of swupd are not read"},
		{"crux", "the database of pkgutils is not read"},
		{"guix", "the store of Guix is not read"},
		{"kiss", "the database of kiss is not read"},
		{"slackware", "the database of pkgtools is not read"},
		{"solus", "the database of eopkg is not read"},
		{"void", "the database of xbps is not read"},
	} {
		if u.id == id {
			return u.why
		}
	}
	return ""
}

type detection struct {
	path string // the file that named the distribution
	gaps []bulwark.Gap
}

func (d *detection) gap(kind, path, detail string) {
	d.gaps = append(d.gaps, bulwark.Gap{Kind: kind, Path: path, Detail: detail})
}

// read gives the text of a file; ok is false when there is none.
func (d *detection) read(fsys fs.FS, path string) (text string, ok bool) {
	f, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	if err == nil {
		defer f.Close() //nolint:errcheck // only read from
		if st, e := f.Stat(); e == nil && !st.Mode().IsRegular() {
			return "", false
		}
		var b []byte
		b, err = io.ReadAll(io.LimitReader(f, maxFile+1))
		if err == nil && len(b) <= maxFile {
			return string(b), true
		}
	}
	if err != nil {
		d.gap(bulwark.GapUnreadable, path, err.Error())
	} else {
		d.gap(bulwark.GapLimit, path, fmt.Sprintf("more than %d bytes", maxFile))
	}
	return "", false
}

// fields are the assignments of an os-release file.
type fields map[string]string

// parse reads lines of the form NAME=value as a shell does, which is what
// os-release(5) asks for.
func parse(text string) fields {
	f := fields{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || key == "" || key[0] == '#' {
			continue
		}
		switch key {
		case "ID", "ID_LIKE", "NAME", "PRETTY_NAME", "VERSION", "VERSION_ID", "VERSION_CODENAME", "CPE_NAME",
			"DISTRIB_ID", "DISTRIB_RELEASE", "DISTRIB_CODENAME", "DISTRIB_DESCRIPTION":
			f[key] = unquote(value)
		}
	}
	return f
}

// unquote takes shell quotes off and drops what does not belong into a name.
func unquote(s string) string {
	switch {
	case len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'':
		s = s[1 : len(s)-1]
	case len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"':
		s = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`").Replace(s[1 : len(s)-1])
	}
	return clean(s)
}

// clean drops control characters and shortens what is too long to be a name.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), maxField)], ""))
	return strings.TrimSpace(s)
}

// older asks the files that distributions had before os-release.
func (d *detection) older(fsys fs.FS) fields {
	if text, ok := d.read(fsys, alpineRelease); ok {
		d.path = alpineRelease
		return fields{"ID": "alpine", "VERSION_ID": clean(text), "PRETTY_NAME": "Alpine Linux " + clean(text)}
	}
	// Before debian_version: Ubuntu has that too, with Debian's version in it.
	if text, ok := d.read(fsys, lsbRelease); ok {
		f := parse(text)
		if id := strings.ToLower(f["DISTRIB_ID"]); id == "ubuntu" || id == "debian" {
			d.path = lsbRelease
			return fields{
				"ID": id, "VERSION_ID": f["DISTRIB_RELEASE"], "VERSION_CODENAME": f["DISTRIB_CODENAME"],
				"PRETTY_NAME": f["DISTRIB_DESCRIPTION"],
			}
		}
	}
	for _, path := range []string{redhatRelease, systemRelease} {
		if text, ok := d.read(fsys, path); ok {
			if f := sentence(clean(text)); f != nil {
				d.path = path
				return f
			}
		}
	}
	if text, ok := d.read(fsys, debianVersion); ok {
		d.path = debianVersion
		f := fields{"ID": "debian", "PRETTY_NAME": "Debian GNU/Linux " + clean(text)}
		if v := clean(text); v != "" && v[0] >= '0' && v[0] <= '9' {
			f["VERSION_ID"] = major(v)
		}
		return f
	}
	return nil
}

// sentence reads "CentOS Linux release 7.9.2009 (Core)".
func sentence(s string) fields {
	name, rest, ok := strings.Cut(s, " release ")
	if !ok {
		return nil
	}
	version, _, _ := strings.Cut(rest, " ")
	for _, known := range [...]struct{ prefix, id string }{
		{"Red Hat Enterprise Linux", "rhel"},
		{"CentOS", "centos"},
		{"Fedora", "fedora"},
		{"AlmaLinux", "almalinux"},
		{"Rocky Linux", "rocky"},
		{"Oracle Linux", "ol"},
		{"Amazon Linux", "amzn"},
		{"Scientific Linux", "scientific"},
	} {
		if strings.HasPrefix(name, known.prefix) {
			return fields{"ID": known.id, "VERSION_ID": version, "PRETTY_NAME": s}
		}
	}
	return nil
}

// version looks for what an os-release without VERSION_ID leaves open.
func (d *detection) version(fsys fs.FS, os *bulwark.OS) {
	switch os.ID {
	case "alpine":
		if text, ok := d.read(fsys, alpineRelease); ok {
			os.Version = clean(text)
		}
	case "debian":
		// Testing and unstable have no version but "forky/sid".
		if text, ok := d.read(fsys, debianVersion); ok && os.Codename == "" {
			os.Codename, _, _ = strings.Cut(clean(text), "/")
		}
	}
}

// major gives the part of a version before its first dot.
func major(v string) string {
	m, _, _ := strings.Cut(v, ".")
	return m
}
