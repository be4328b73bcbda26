// SPDX-License-Identifier: Apache-2.0

package npm

import (
	"context"
	"io/fs"
	"net/url"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// YarnLock reads yarn.lock of yarn 1 and of yarn 2 and later ("berry"). The file
// does not say what is needed for development only. Its zero value is ready to
// use.
type YarnLock struct{}

// Name gives "yarn-lock".
func (YarnLock) Name() string { return "yarn-lock" }

// Wants tells whether p is a lock file of yarn outside of an installed tree.
func (YarnLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "yarn.lock" && st.Mode&fs.ModeType == 0 && !installed(p)
}

// Extract gives the packages that yarn would install. Packages of the same
// repository are left out.
func (e YarnLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	var (
		entry yarnEntry
		bad   bool
	)
	err = lines(ctx, data, func(line string, number int) {
		switch {
		case line == "" || line[0] == '#':
		case line[0] != ' ' && line[0] != '\t':
			entry.addTo(l)
			entry = yarnEntry{line: number}
			key, ok := strings.CutSuffix(line, ":")
			bad = bad || !ok
			entry.key = firstKey(key)
		case strings.HasPrefix(line, "  ") && len(line) > 2 && line[2] != ' ':
			key, value, _ := strings.Cut(line[2:], " ")
			value = strings.Trim(value, `"' `)
			switch strings.TrimSuffix(key, ":") {
			case "version":
				entry.version = value
			case "resolution":
				entry.resolution = value
			}
		}
	})
	entry.addTo(l)
	if err == nil && bad && len(l.pkgs) == 0 {
		err = errLock
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// A yarnEntry is one block of a yarn.lock.
type yarnEntry struct {
	key, version, resolution string
	line                     int
}

// firstKey gives the first of the requests that share a block.
func firstKey(s string) string {
	s, _, _ = strings.Cut(s, ", ")
	return strings.Trim(s, `"' `)
}

func (y yarnEntry) addTo(l *list) {
	spec := y.resolution
	if spec == "" {
		spec = y.key
	}
	name, rest := splitSpec(spec)
	// An alias is wanted under its real name: "alias@npm:real@^1".
	if real, ok := strings.CutPrefix(rest, "npm:"); ok {
		if n, r := splitSpec(real); r != "" && y.resolution == "" {
			name, rest = n, r
		}
	}
	if inner, ok := strings.CutPrefix(rest, "patch:"); ok {
		inner, _, _ = strings.Cut(inner, "#")
		if plain, err := url.PathUnescape(inner); err == nil {
			if n, r := splitSpec(plain); r != "" && !strings.HasPrefix(r, "workspace:") {
				name = n
			}
		}
	}
	for _, own := range []string{"workspace:", "link:", "portal:", "file:"} {
		if strings.HasPrefix(rest, own) {
			return
		}
	}
	if name == "" || name == "__metadata" || y.version == "" || y.version == "0.0.0-use.local" {
		return
	}
	l.add(name, y.version, y.line, false)
}

// splitSpec cuts "@scope/name@rest" into name and rest.
func splitSpec(s string) (name, rest string) {
	if s == "" {
		return "", ""
	}
	if i := strings.IndexByte(s[1:], '@'); i >= 0 {
		return s[:i+1], s[i+2:]
	}
	return s, ""
}
