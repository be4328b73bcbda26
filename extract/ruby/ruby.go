// SPDX-License-Identifier: Apache-2.0

// Package ruby finds Ruby gems: installed ones by the specifications that
// RubyGems keeps of them, and locked ones in Bundler's lock files. It does not
// know a Gemfile or a gem's source specification, which are programs.
package ruby

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name.
	ecosystem = "RubyGems"
	// maxLock bounds a lock file, bytes, and maxSpec a specification; the largest
	// known ones, with a list of all files, have some hundred KiB.
	maxLock = 16 << 20
	maxSpec = 4 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
	// maxLine bounds a line that is looked into, bytes.
	maxLine = 64 << 10
	// checkEvery says how often a loop over input asks whether it should go on.
	checkEvery = 1024
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// plausible tells whether a name and a version can be those of a gem.
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || version == "" || len(version) > maxName || version[0] < '0' || version[0] > '9' {
		return false
	}
	for _, s := range []string{name, version} {
		for i := range len(s) {
			switch c := s[i]; {
			case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.':
			default:
				return false
			}
		}
	}
	return true
}

func gem(by, path, name, version string, line int, licenses []string) bulwark.Package {
	u := packageurl.PackageURL{Type: packageurl.TypeGem, Name: name, Version: version}
	return bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Ecosystem: ecosystem, Licenses: licenses,
		Where: []bulwark.Location{{Path: path, Line: line}}, By: by,
	}
}

// lines calls yield with each line of data and its number, without its end. It
// stops when ctx is done.
func lines(ctx context.Context, data []byte, yield func(line string, number int)) error {
	for n := 1; len(data) > 0; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, rest, _ := bytes.Cut(data, []byte{'\n'})
		if data = rest; len(line) <= maxLine {
			yield(string(bytes.TrimSuffix(line, []byte{'\r'})), n)
		}
	}
	return ctx.Err()
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// GemfileLock reads Gemfile.lock and gems.locked of Bundler. The files do not say
// what is needed for development only. Its zero value is ready to use.
type GemfileLock struct{}

// Name gives "gemfile-lock".
func (GemfileLock) Name() string { return "gemfile-lock" }

// Wants tells whether p is a lock file of Bundler.
func (GemfileLock) Wants(p string, st bulwark.Stat) bool {
	b := base(p)
	return (b == "Gemfile.lock" || b == "gems.locked") && st.Mode&fs.ModeType == 0
}

// Extract gives the locked gems. Gems of the same repository are left out. The
// platform that a gem was built for is not part of its version.
func (e GemfileLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	var (
		pkgs    []bulwark.Package
		section string
		known   bool
		seen    = map[string]bool{}
	)
	err = lines(ctx, data, func(line string, number int) {
		if line != "" && line[0] != ' ' {
			section = line
			switch section {
			case "GEM", "GIT", "PATH", "PLATFORMS", "DEPENDENCIES", "BUNDLED WITH", "PLUGIN SOURCE":
				known = true
			}
			return
		}
		// Four spaces: a gem. Six: what it needs, which has an entry of its own.
		text, ok := strings.CutPrefix(line, "    ")
		if !ok || text == "" || text[0] == ' ' || section != "GEM" && section != "GIT" && section != "PLUGIN SOURCE" {
			return
		}
		name, version, ok := strings.Cut(text, " (")
		version, closed := strings.CutSuffix(version, ")")
		version, _, _ = strings.Cut(version, "-") // 1.13.0-x86_64-linux
		if !ok || !closed || !plausible(name, version) || seen[name+" "+version] {
			return
		}
		seen[name+" "+version] = true
		pkgs = append(pkgs, gem(e.Name(), f.Path, name, version, number, nil))
	})
	if err == nil && !known && len(bytes.TrimSpace(data)) > 0 {
		err = errors.New("not a lock file of this kind")
	}
	if err != nil {
		return pkgs, malformed(f, err)
	}
	return pkgs, nil
}

// Installed finds the specifications of installed gems. RubyGems writes them
// itself, with literal values, so that no Ruby is needed to read them. Its zero
// value is ready to use.
type Installed struct{}

// Name gives "gem-installed".
func (Installed) Name() string { return "gem-installed" }

// Wants tells whether p is the specification of an installed gem.
func (Installed) Wants(p string, st bulwark.Stat) bool {
	return strings.HasSuffix(p, ".gemspec") && st.Mode&fs.ModeType == 0 &&
		(strings.Contains(p, "/specifications/") || strings.HasPrefix(p, "specifications/"))
}

// assignment finds what a specification says of itself:
// s.version = "1.0".freeze, or Gem::Version.new("1.0").
var assignment = regexp.MustCompile(`^\s*\w+\.(name|version|licenses?)\s*=\s*(?:Gem::Version\.new\s*\(?\s*)?(.{0,512})`)

// literal finds the strings in a value.
var literal = regexp.MustCompile(`["']([^"'\\]{1,256})["']`)

// Extract gives the gem. What the file does not say in a literal is taken from
// its name, which RubyGems makes of name, version and platform.
func (e Installed) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxSpec)
	if err != nil {
		return nil, err
	}
	var (
		name, version string
		licenses      []string
		at            int
	)
	err = lines(ctx, data, func(line string, number int) {
		// A cheap look before the expensive one.
		if !strings.Contains(line, ".name") && !strings.Contains(line, ".version") && !strings.Contains(line, ".license") {
			return
		}
		m := assignment.FindStringSubmatch(line)
		if m == nil {
			return
		}
		values := literal.FindAllStringSubmatch(m[2], 8)
		if len(values) == 0 {
			return
		}
		switch m[1] {
		case "name":
			if name == "" {
				name, at = values[0][1], number
			}
		case "version":
			if version == "" {
				version = values[0][1]
			}
		default:
			for _, v := range values {
				licenses = append(licenses, v[1])
			}
			licenses = licenses[:min(len(licenses), 8)]
		}
	})
	if err != nil {
		return nil, malformed(f, err)
	}
	fileName, fileVersion := splitFile(strings.TrimSuffix(base(f.Path), ".gemspec"))
	if name == "" || version == "" {
		name, version = fileName, fileVersion
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	if !plausible(name, version) {
		return nil, malformed(f, errors.New("neither name nor version"))
	}
	return []bulwark.Package{gem(e.Name(), f.Path, name, version, at, licenses)}, nil
}

// splitFile cuts "name-1.2.3-platform".
func splitFile(stem string) (name, version string) {
	for i := 1; i+1 < len(stem); i++ {
		if stem[i] == '-' && stem[i+1] >= '0' && stem[i+1] <= '9' {
			version, _, _ = strings.Cut(stem[i+1:], "-")
			if strings.Contains(version, ".") {
				return stem[:i], version
			}
		}
	}
	return "", ""
}
