// SPDX-License-Identifier: Apache-2.0

package npm

import (
	"context"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// PackageLock reads package-lock.json and npm-shrinkwrap.json of versions 1 to
// 3 (https://docs.npmjs.com/cli/configuring-npm/package-lock-json). Its zero
// value is ready to use.
type PackageLock struct{}

// Name gives "package-lock".
func (PackageLock) Name() string { return "package-lock" }

// Wants tells whether p is a lock file of npm outside of an installed tree.
func (PackageLock) Wants(p string, st bulwark.Stat) bool {
	b := base(p)
	return (b == "package-lock.json" || b == "npm-shrinkwrap.json") && st.Mode&fs.ModeType == 0 && !installed(p)
}

// Extract gives the packages that npm would install. Packages of the same
// repository are left out. What comes from a git repository or a URL has an
// empty version where the file tells none.
func (e PackageLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	s := newScanner(ctx, data)
	var packages, tree *list
	err = s.object(func(key string, _ int) error {
		// Version 2 says everything twice. The form of version 3, which is the
		// truth, comes first when npm writes it.
		switch {
		case key == "packages" && s.peek() == '{':
			packages = newList(f, e.Name())
			return s.packages(packages)
		case key == "dependencies" && s.peek() == '{' && packages == nil:
			tree = newList(f, e.Name())
			return s.tree(tree, 0)
		}
		return s.skip()
	})
	if err == nil {
		err = ctx.Err()
	}
	var pkgs []bulwark.Package
	switch {
	case packages != nil:
		pkgs = packages.pkgs
	case tree != nil:
		pkgs = tree.pkgs
	}
	if err != nil {
		return pkgs, malformed(f, err)
	}
	return pkgs, nil
}

// packages reads the flat list of versions 2 and 3, keyed by directory.
func (s *scanner) packages(l *list) error {
	return s.object(func(dir string, pos int) error {
		var (
			name, version, resolved string
			dev, link               bool
		)
		if s.peek() != '{' {
			return s.skip()
		}
		err := s.object(func(key string, _ int) (err error) {
			switch key {
			case "name":
				name, err = s.text()
			case "version":
				version, err = s.text()
			case "resolved":
				resolved, err = s.text()
			case "dev":
				dev, err = s.truth()
			case "link":
				link, err = s.truth()
			default:
				err = s.skip()
			}
			return err
		})
		if err != nil {
			return err
		}
		i := strings.LastIndex(dir, "node_modules/")
		if i < 0 || link {
			return nil // the project itself, or a part of it
		}
		if name == "" {
			name = dir[i+len("node_modules/"):]
		}
		if version == "" {
			version = versionOfURL(resolved)
		}
		l.add(name, version, s.lineOf(pos), dev)
		return nil
	})
}

// tree reads the nested form of version 1.
func (s *scanner) tree(l *list, depth int) error {
	if depth > maxDepth {
		return s.errorf("dependencies nested too deeply")
	}
	return s.object(func(name string, pos int) error {
		if s.peek() != '{' {
			return s.skip()
		}
		var (
			version string
			dev     bool
			line    = s.lineOf(pos)
		)
		// Inner packages come after their parent's version in the file, but they
		// may come before its flags. The order of the result is that of the
		// version keys.
		err := s.object(func(key string, _ int) (err error) {
			switch {
			case key == "version":
				version, err = s.text()
			case key == "dev":
				dev, err = s.truth()
			case key == "dependencies" && s.peek() == '{':
				err = s.tree(l, depth+1)
			default:
				err = s.skip()
			}
			return err
		})
		if err != nil {
			return err
		}
		if real, ok := strings.CutPrefix(version, "npm:"); ok { // an alias
			if at := strings.LastIndexByte(real, '@'); at > 0 {
				name, version = real[:at], real[at+1:]
			}
		}
		if strings.HasPrefix(version, "file:") {
			return nil
		}
		if strings.ContainsRune(version, ':') || strings.ContainsRune(version, '/') {
			version = versionOfURL(version)
		}
		l.add(name, version, line, dev)
		return nil
	})
}

// versionOfURL gives the version in the name of a registry's archive,
// ".../name-1.2.3.tgz", and "" for all other URLs.
func versionOfURL(u string) string {
	file, ok := strings.CutSuffix(base(u), ".tgz")
	if !ok {
		return ""
	}
	for i := 0; i+1 < len(file); i++ {
		if file[i] == '-' && file[i+1] >= '0' && file[i+1] <= '9' && strings.Count(file[i:], ".") >= 2 {
			return file[i+1:]
		}
	}
	return ""
}
