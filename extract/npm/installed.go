// SPDX-License-Identifier: Apache-2.0

package npm

import (
	"context"
	"fmt"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// maxManifest bounds a package.json, bytes. The largest seen have 300 KiB.
const maxManifest = 4 << 20

// Installed finds packages that lie in node_modules, and those that a
// distribution has put into its own directory for JavaScript. Its zero value is
// ready to use.
type Installed struct{}

// Name gives "npm-installed".
func (Installed) Name() string { return "npm-installed" }

// Wants tells whether p is a package.json of an installed tree.
func (Installed) Wants(p string, st bulwark.Stat) bool {
	if !strings.HasSuffix(p, "package.json") || base(p) != "package.json" || st.Mode&fs.ModeType != 0 {
		return false
	}
	return installed(p) || distribution(p)
}

// distribution tells whether p lies where Debian and its relatives install
// JavaScript packages.
func distribution(p string) bool {
	for _, dir := range []string{"usr/share/nodejs/", "usr/lib/nodejs/"} {
		if i := strings.Index(p, dir); i == 0 || i > 0 && p[i-1] == '/' {
			return true
		}
	}
	return strings.HasPrefix(p, "usr/lib/") && strings.Contains(p, "/nodejs/") // usr/lib/x86_64-linux-gnu/nodejs
}

// Extract gives the package, or none when the file has no name or no version:
// many packages have a package.json in sub-directories that only says how the
// files in there are to be loaded. Below the package's own directory, a
// package.json in a directory of tests or examples is not taken for software
// either, nor one that calls itself private.
func (e Installed) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxManifest)
	if err != nil {
		return nil, err
	}
	s := newScanner(ctx, data)
	s.long = overlong
	if s.peek() == 0 && ctx.Err() == nil {
		return nil, nil // empty, as in some packages' tests
	}
	var (
		m       manifest
		nameAt  int
		private bool
	)
	err = s.object(func(key string, pos int) (err error) {
		switch key {
		case "name":
			nameAt = pos
			m.name, err = s.text()
		case "version":
			m.version, err = s.text()
		case "private":
			private, err = s.truth()
		case "license", "licenses":
			m.licenses, err = licenses(s, m.licenses, 0)
		default:
			err = s.skip()
		}
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	sub := below(f.Path)
	m.version = strings.TrimSpace(m.version)
	if err == nil && (private && sub != "" || examples(sub)) || m.name == "" || m.version == "" {
		if err != nil && sub == "" {
			return nil, malformed(f, err)
		}
		return nil, ctx.Err()
	}
	if len(m.name) > maxName || len(m.version) > maxName || m.name == overlong || m.version == overlong {
		return nil, fmt.Errorf("npm package %q: a name or version of more than %d bytes: %w", f.Path, maxName, bulwark.ErrTooLarge)
	}
	l := newList(f, e.Name())
	l.add(m.name, m.version, s.lineOf(nameAt), false)
	for i := range l.pkgs {
		l.pkgs[i].Licenses = m.licenses
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// overlong stands for a string that is too long to be kept; no name is like it.
const overlong = "\x00"

type manifest struct {
	name, version string
	licenses      []string
}

// licenses reads what a package.json says about licences, in today's form, a
// string, or the older ones: an object with a type, or an array of either.
func licenses(s *scanner, have []string, depth int) ([]string, error) {
	if depth > 2 {
		return have, s.skip()
	}
	var err error
	switch s.peek() {
	case '"':
		var text string
		if text, err = s.text(); text != "" && len(text) <= maxName && len(have) < 16 {
			have = append(have, text)
		}
	case '{':
		err = s.object(func(key string, _ int) (err error) {
			if key != "type" {
				return s.skip()
			}
			have, err = licenses(s, have, depth+1)
			return err
		})
	case '[':
		err = s.array(func() (err error) {
			have, err = licenses(s, have, depth+1)
			return err
		})
	default:
		err = s.skip()
	}
	return have, err
}

// below gives the directory of p inside of its package: "" for the package.json
// of the package itself.
func below(p string) string {
	dir := strings.TrimSuffix(p, "package.json")
	i := strings.LastIndex(dir, "node_modules/")
	if i >= 0 {
		dir = dir[i+len("node_modules/"):]
	} else if i = strings.LastIndex(dir, "nodejs/"); i >= 0 {
		dir = dir[i+len("nodejs/"):]
	}
	_, rest, _ := strings.Cut(dir, "/")
	if strings.HasPrefix(dir, "@") {
		_, rest, _ = strings.Cut(rest, "/")
	}
	return rest
}

// examples tells whether one of the elements of a directory names things that
// are not run.
func examples(dir string) bool {
	for elem := range strings.SplitSeq(dir, "/") {
		switch elem {
		case "test", "tests", "__tests__", "fixture", "fixtures", "__fixtures__", "example", "examples", "template", "templates", "demo":
			return true
		}
	}
	return false
}
