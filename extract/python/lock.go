// SPDX-License-Identifier: Apache-2.0

package python

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// PipfileLock reads Pipfile.lock of Pipenv. Its zero value is ready to use.
type PipfileLock struct{}

// Name gives "pipfile-lock".
func (PipfileLock) Name() string { return "pipfile-lock" }

// Wants tells whether p is such a file.
func (PipfileLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "Pipfile.lock" && st.Mode&fs.ModeType == 0
}

// Extract gives the locked distributions; those outside of the section
// "default" are for development.
func (e PipfileLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	d := json.NewDecoder(bytes.NewReader(data))
	at, line := 0, 1
	err = members(ctx, d, func(section string) error {
		if section == "_meta" {
			return d.Decode(&json.RawMessage{})
		}
		return members(ctx, d, func(name string) error {
			if end := int(d.InputOffset()); end > at {
				line += bytes.Count(data[at:end], []byte{'\n'})
				at = end
			}
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				return err
			}
			var p struct {
				Version string `json:"version"`
				Path    string `json:"path"`
			}
			if json.Unmarshal(raw, &p) == nil && p.Path == "" {
				l.add(name, pinned(p.Version), line, section != "default")
			}
			return nil
		})
	})
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// members calls yield with each key of an object. Yield must read the value.
func members(ctx context.Context, d *json.Decoder, yield func(key string) error) error {
	t, err := d.Token()
	if err != nil {
		return noEnd(err)
	}
	if t != json.Delim('{') {
		return fmt.Errorf("%v where an object is expected", t)
	}
	for d.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		key, err := d.Token()
		if err != nil {
			return noEnd(err)
		}
		if err := yield(fmt.Sprint(key)); err != nil {
			return noEnd(err)
		}
	}
	_, err = d.Token()
	return noEnd(err)
}

// noEnd makes the end of the file an error where more must follow.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// LockTOML reads the lock files that are written as TOML: of Poetry, PDM and uv,
// and those of PEP 751 (https://peps.python.org/pep-0751/). The tools write them
// with one key in each line and one table for each package, which is what is
// understood. Its zero value is ready to use.
type LockTOML struct{}

// Name gives "python-lock".
func (LockTOML) Name() string { return "python-lock" }

// Language gives "toml": lines that are not understood are passed over, and told
// when no tool wrote them.
func (LockTOML) Language() string { return "toml" }

// Wants tells whether p is poetry.lock, pdm.lock, uv.lock, pylock.toml or
// pylock.NAME.toml.
func (LockTOML) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 {
		return false
	}
	switch b := base(p); b {
	case "poetry.lock", "pdm.lock", "uv.lock", "pylock.toml":
		return true
	default:
		return strings.HasPrefix(b, "pylock.") && strings.HasSuffix(b, ".toml")
	}
}

// Extract gives the locked distributions. The project itself and directories
// of the same repository are left out. What only groups other than the main one
// need is for development; uv does not write that, so it is worked out from the
// project's own entry.
func (t LockTOML) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	r := &tomlReader{}
	err = lines(ctx, data, r.line)
	needed := r.needed()
	l := newList(f, t.Name())
	for _, p := range r.packages {
		if p.own {
			continue
		}
		dev := p.dev
		if needed != nil {
			dev = !needed[normal(p.name)]
		}
		l.add(p.name, p.version, p.line, dev)
	}
	if err == nil && len(r.packages) == 0 && !r.known && len(data) > 0 {
		err = errors.New("not a lock file of this kind")
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// A tomlPackage is one [[package]] table.
type tomlPackage struct {
	name, version string
	line          int
	own           bool     // a part of the repository
	root          bool     // uv: a project
	dev           bool     // the file says so
	needs         []string // uv: dependencies, those of extras included
}

// A tomlReader reads a lock file line by line.
type tomlReader struct {
	packages []tomlPackage
	table    string // the table that the line is in
	key      string // the array that the line is in
	text     string // what ends the long string that the line is in
	known    bool   // something was understood
}

// line takes one line.
func (r *tomlReader) line(line string, number int) {
	if r.text != "" {
		if strings.Contains(line, r.text) {
			r.text = ""
		}
		return
	}
	line = strings.TrimSpace(line)
	switch {
	case line == "" || line[0] == '#':
		return
	case r.key != "" && line[0] == ']':
		r.key = ""
		return
	case r.key != "":
		r.element(line)
		return
	case strings.HasPrefix(line, "[["):
		r.table = strings.Trim(line, "[] ")
		if r.table == "package" || r.table == "packages" {
			r.packages = append(r.packages, tomlPackage{line: number})
			r.known = true
		}
		return
	case line[0] == '[':
		if r.table = strings.Trim(line, "[] "); r.table == "packages.directory" && len(r.packages) > 0 {
			r.packages[len(r.packages)-1].own = true // PEP 751
		}
		return
	}
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		return
	}
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	for _, quote := range []string{`"""`, "'''"} {
		if rest, ok := strings.CutPrefix(value, quote); ok && !strings.Contains(rest, quote) {
			r.text = quote
		}
	}
	if key == "lock-version" || key == "lock_version" || r.table == "" && key == "version" || r.table == "metadata" && key == "content-hash" {
		r.known = true
	}
	if strings.HasPrefix(value, "[") && !strings.HasSuffix(value, "]") {
		r.key = key
		return
	}
	if len(r.packages) == 0 || r.table != "package" && r.table != "packages" && !strings.HasPrefix(r.table, "package.") {
		return
	}
	r.pair(key, value)
}

// pair takes a key and a value of the current package.
func (r *tomlReader) pair(key, value string) {
	p := &r.packages[len(r.packages)-1]
	text := strings.Trim(value, `"'`)
	switch r.table {
	case "package", "packages":
		switch key {
		case "name":
			p.name = text
		case "version":
			p.version = text
		case "category":
			p.dev = text == "dev"
		case "groups":
			p.dev = !strings.Contains(value, `"main"`) && !strings.Contains(value, `"default"`) && strings.Contains(value, `"`)
		case "path": // PDM
			p.own = true
		case "directory": // PEP 751, in one line
			p.own = true
		case "source": // uv
			p.root = strings.Contains(value, "virtual =") || strings.Contains(value, "editable =")
			p.own = p.root || strings.Contains(value, "directory =") || strings.Contains(value, "path =")
		case "dependencies":
			for part := range strings.SplitSeq(value, "{") {
				r.need(p, part)
			}
		}
	case "package.source": // Poetry
		if key == "type" && (text == "directory" || text == "file") {
			p.own = true
		}
	case "package.optional-dependencies":
		for part := range strings.SplitSeq(value, "{") {
			r.need(p, part)
		}
	}
}

// element takes a line of an array that has several.
func (r *tomlReader) element(line string) {
	if len(r.packages) == 0 {
		return
	}
	p := &r.packages[len(r.packages)-1]
	if r.table == "package" && r.key == "dependencies" || r.table == "package.optional-dependencies" {
		r.need(p, line)
	}
}

// need notes the name in `{ name = "x", ... }`.
func (r *tomlReader) need(p *tomlPackage, line string) {
	_, rest, ok := strings.Cut(line, "name = \"")
	if !ok {
		return
	}
	if name, _, ok := strings.Cut(rest, `"`); ok {
		p.needs = append(p.needs, normal(name))
	}
}

// needed gives the names that are reached from uv's projects without their
// development groups; nil when the file tells of no project.
func (r *tomlReader) needed() map[string]bool {
	edges := map[string][]string{}
	var todo []string
	for _, p := range r.packages {
		edges[normal(p.name)] = append(edges[normal(p.name)], p.needs...)
		if p.root {
			todo = append(todo, normal(p.name))
		}
	}
	if len(todo) == 0 {
		return nil
	}
	needed := map[string]bool{}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if needed[name] {
			continue
		}
		needed[name] = true
		todo = append(todo, edges[name]...)
	}
	return needed
}
