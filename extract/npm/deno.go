// SPDX-License-Identifier: Apache-2.0

package npm

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

// newestDeno is the last version of deno.lock that is known.
const newestDeno = 5

// DenoLock reads deno.lock of Deno (https://docs.deno.com/runtime/fundamentals/modules/),
// versions 2 to 5 of the format: packages of npm and of JSR. Modules that a
// program imports by URL are not packages and not told. Its zero value is ready to
// use.
type DenoLock struct{}

// Name gives "deno-lock".
func (DenoLock) Name() string { return "deno-lock" }

// Wants tells whether p is a deno.lock outside of an installed tree.
func (DenoLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "deno.lock" && st.Mode&fs.ModeType == 0 && !installed(p)
}

// Extract gives the locked packages. Those of JSR belong to no ecosystem of OSV
// and have a generic package URL, since the specification has no type for them.
// The file does not say what is needed for development only. A file of a newer
// version than 5 is read as if it were of version 5 and is
// [bulwark.ErrUnsupported].
func (e DenoLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	s := newScanner(ctx, data)
	l := newList(f, e.Name())
	var version string
	err = s.object(func(key string, _ int) (err error) {
		switch {
		case key == "version":
			version, err = s.text()
			return err
		case key == "npm" && s.peek() == '{':
			return s.object(func(key string, pos int) error {
				if key == "packages" && s.peek() == '{' { // version 2
					return s.deno(l, "npm")
				}
				return s.denoPackage(l, "npm", key, pos)
			})
		case key == "jsr" && s.peek() == '{':
			return s.deno(l, key)
		case key == "packages" && s.peek() == '{': // version 3
			return s.object(func(key string, _ int) error {
				if (key == "npm" || key == "jsr") && s.peek() == '{' {
					return s.deno(l, key)
				}
				return s.skip()
			})
		}
		return s.skip()
	})
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && newer(version, newestDeno) {
		err = fmt.Errorf("version %.20q of the format: %w", version, bulwark.ErrUnsupported)
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// newer tells whether a version is a number above the newest known one, which has
// one digit.
func newer(version string, newest byte) bool {
	if version == "" || strings.Trim(version, "0123456789") != "" {
		return false
	}
	version = strings.TrimLeft(version, "0")
	return len(version) > 1 || len(version) == 1 && version[0] > '0'+newest
}

// deno reads packages of one registry by "name@version".
func (s *scanner) deno(l *list, registry string) error {
	return s.object(func(key string, pos int) error { return s.denoPackage(l, registry, key, pos) })
}

func (s *scanner) denoPackage(l *list, registry, key string, pos int) error {
	name, version := splitSpec(key)
	version, _, _ = strings.Cut(version, "_") // its peers follow
	switch {
	case name == "" || version == "" || version[0] < '0' || version[0] > '9' || s.peek() != '{':
	case registry == "npm":
		l.add(name, version, s.lineOf(pos), false)
	default:
		l.addJSR(name, version, s.lineOf(pos))
	}
	return s.skip()
}

// addJSR takes a package of JSR, which are all named "@scope/name".
func (l *list) addJSR(name, version string, line int) {
	scope, short, ok := strings.Cut(name, "/")
	if !ok || !plausible(name, version) || l.index["jsr\x00"+name+"\x00"+version] > 0 {
		return
	}
	u := packageurl.PackageURL{
		Type: packageurl.TypeGeneric, Namespace: "jsr/" + scope, Name: short, Version: version,
	}
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version,
		Where: []bulwark.Location{{Path: l.path, Line: line}}, By: l.by,
	})
	l.index["jsr\x00"+name+"\x00"+version] = len(l.pkgs)
}
