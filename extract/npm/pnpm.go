// SPDX-License-Identifier: Apache-2.0

package npm

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

var errLock = errors.New("not a lock file of this kind")

// PnpmLock reads pnpm-lock.yaml of the versions 5 to 9. Pnpm writes it by
// machine with one key in each line, which is what is understood; any other
// YAML gives nothing. Its zero value is ready to use.
type PnpmLock struct{}

// Name gives "pnpm-lock".
func (PnpmLock) Name() string { return "pnpm-lock" }

// Language gives "yaml": lines that are not understood are passed over, and told
// when no tool wrote them.
func (PnpmLock) Language() string { return "yaml" }

// Wants tells whether p is a lock file of pnpm outside of an installed tree.
func (PnpmLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "pnpm-lock.yaml" && st.Mode&fs.ModeType == 0 && !installed(p)
}

// Extract gives the packages that pnpm would install. From version 9 on, the
// file does not say what is needed for development only; it is worked out from
// what the projects ask for.
func (e PnpmLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	r := pnpm{edges: map[string][]string{}}
	err = lines(ctx, data, r.line)
	needed := r.needed()
	l := newList(f, e.Name())
	for _, p := range r.packages {
		name, version := p.split()
		if name == "" || version == "" {
			continue
		}
		dev := p.dev
		if needed != nil {
			dev = !needed[bare(p.key)]
		}
		l.add(name, version, p.line, dev)
	}
	if err == nil && !r.lock {
		err = errLock
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// A pnpmPackage is one entry of the packages section.
type pnpmPackage struct {
	key, name, version string
	line               int
	dev                bool
}

// A pnpm reads a lock file line by line. Path holds the keys that lead to the
// current line, two spaces each.
type pnpm struct {
	lock     bool // a version was seen
	path     [maxPath]string
	packages []pnpmPackage
	roots    []string            // what the projects need, "name@version(peers)"
	devRoots bool                // some project needs something for development
	edges    map[string][]string // by snapshot
}

// maxPath is the depth to which keys are told apart: importers, project, kind,
// name, version.
const maxPath = 6

// line takes one line.
func (r *pnpm) line(line string, number int) {
	text := strings.TrimLeft(line, " ")
	indent := len(line) - len(text)
	if text == "" || text[0] == '#' || text == "---" || indent/2 >= maxPath {
		return
	}
	// A key of more than 1,024 characters is written "? key", its first value
	// ": value" in the next line.
	if rest, ok := strings.CutPrefix(text, "? "); ok {
		text = rest + ":"
	} else if rest, ok := strings.CutPrefix(text, ": "); ok {
		text = rest
		indent += 2
		if indent/2 >= maxPath {
			return
		}
	}
	key, value, ok := splitKey(text)
	if !ok {
		return
	}
	depth := indent / 2
	r.path[depth] = key
	if depth == 0 {
		r.lock = r.lock || key == "lockfileVersion"
		return
	}
	switch r.path[0] {
	case "packages":
		r.inPackages(depth, key, value, number)
	case "importers":
		r.inImporters(depth, key, value)
	case "snapshots":
		if depth == 1 {
			if _, ok := r.edges[key]; !ok {
				r.edges[key] = nil
			}
		} else if depth == 3 && (r.path[2] == "dependencies" || r.path[2] == "optionalDependencies") {
			r.edges[r.path[1]] = append(r.edges[r.path[1]], join(key, value))
		}
	}
}

func (r *pnpm) inPackages(depth int, key, value string, number int) {
	if depth == 1 {
		r.packages = append(r.packages, pnpmPackage{key: key, line: number})
		return
	}
	if depth != 2 || len(r.packages) == 0 {
		return
	}
	p := &r.packages[len(r.packages)-1]
	switch key {
	case "name":
		p.name = value
	case "version":
		p.version = value
	case "dev":
		p.dev = value == "true"
	}
}

func (r *pnpm) inImporters(depth int, key, value string) {
	// A project's list has "name: {specifier, version}" since version 6; older
	// files carry the dev flag and need no graph.
	if depth != 4 || key != "version" {
		return
	}
	switch r.path[2] {
	case "dependencies", "optionalDependencies":
		r.roots = append(r.roots, join(r.path[3], value))
	case "devDependencies":
		r.devRoots = true
	}
}

// needed gives the packages, without peers, that are reached from what the
// projects need outside of development; nil when the file has no graph.
func (r *pnpm) needed() map[string]bool {
	if len(r.edges) == 0 || len(r.roots) == 0 && !r.devRoots {
		return nil
	}
	needed := make(map[string]bool, len(r.edges))
	seen := make(map[string]bool, len(r.edges))
	for todo := r.roots; len(todo) > 0; {
		key := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[key] {
			continue
		}
		seen[key] = true
		needed[bare(key)] = true
		todo = append(todo, r.edges[key]...)
	}
	return needed
}

// join makes the key of a snapshot from a name and what is said to be its
// version: "1.2.3(peer@1)", or "real@1.2.3" for an alias.
func join(name, version string) string {
	if n, rest := splitSpec(bare(version)); rest != "" && n != "" {
		return version
	}
	return name + "@" + version
}

// bare cuts the peers off a key.
func bare(key string) string {
	key, _, _ = strings.Cut(key, "(")
	return key
}

// splitKey cuts "'key': value". Nothing but mappings has keys.
func splitKey(s string) (key, value string, ok bool) {
	if s == "" {
		return "", "", false
	}
	if s[0] == '\'' || s[0] == '"' {
		end := strings.IndexByte(s[1:], s[0])
		if end < 0 || len(s) < end+3 || s[end+2] != ':' {
			return "", "", false
		}
		key, value = s[1:end+1], s[end+3:]
	} else {
		if s[0] == '-' || s[0] == '{' || s[0] == '[' {
			return "", "", false
		}
		if i := strings.Index(s, ": "); i >= 0 {
			key, value = s[:i], s[i+1:]
		} else if key, ok = strings.CutSuffix(s, ":"); !ok {
			return "", "", false
		}
	}
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && (value[0] == '\'' || value[0] == '"') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	return key, value, true
}

// split gives the name and version of a package. Where they are written beside
// the key, as for those that come from a repository or URL, they win.
func (p pnpmPackage) split() (name, version string) {
	key := bare(p.key)
	switch {
	case strings.HasPrefix(key, "file:") || strings.HasPrefix(key, "link:") || strings.Contains(key, "@file:") || strings.Contains(key, "@link:"):
		return "", "" // of the same repository
	case !strings.Contains(key, "://"):
		// "/name/1.2.3_peer@1" to version 5, "/name@1.2.3" in 6 to 8, "name@1.2.3"
		// from 9 on. A host may stand before the first slash in all but the last.
		if i := strings.IndexByte(key, '/'); i >= 0 && key[0] != '@' && !strings.Contains(key[:i], "@") {
			key = key[i+1:]
		}
		if name, version = splitOld(key); name == "" || version == "" || version[0] < '0' || version[0] > '9' || strings.ContainsRune(name[1:], '@') {
			name, version = splitSpec(key)
			version, _, _ = strings.Cut(version, "_")
		}
	default:
		name, _ = splitSpec(key)
	}
	if p.name != "" {
		name = p.name
	}
	if p.version != "" {
		version = p.version
	}
	if version == "" || version[0] < '0' || version[0] > '9' || name == "" {
		return "", ""
	}
	return name, version
}

// splitOld cuts a key of version 5.
func splitOld(key string) (name, version string) {
	scope := ""
	if strings.HasPrefix(key, "@") {
		s, rest, ok := strings.Cut(key, "/")
		if !ok {
			return "", ""
		}
		scope, key = s+"/", rest
	}
	name, version, _ = strings.Cut(key, "/")
	version, _, _ = strings.Cut(version, "_")
	version, _, _ = strings.Cut(version, "/")
	return scope + name, version
}
