// SPDX-License-Identifier: Apache-2.0

package python

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// CondaLock reads the lock files of conda-lock (https://conda.github.io/conda-lock/)
// and of pixi (https://pixi.sh/latest/workspace/lockfile/), conda-lock.yml and
// pixi.lock. The tools write them as a list of packages with one key in each line,
// which is what is understood. Its zero value is ready to use.
type CondaLock struct{}

// Name gives "conda-lock".
func (CondaLock) Name() string { return "conda-lock" }

// Language gives "yaml": lines that are not understood are passed over, and told
// when no tool wrote them.
func (CondaLock) Language() string { return "yaml" }

// Wants tells whether p is pixi.lock, conda-lock.yml or NAME.conda-lock.yml.
func (CondaLock) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 {
		return false
	}
	b := base(p)
	return b == "pixi.lock" || strings.HasSuffix(b, "conda-lock.yml") || strings.HasSuffix(b, "conda-lock.yaml")
}

// Extract gives the locked packages of all platforms and environments, each
// version once: those of conda, and Python distributions that are installed
// beside them. Directories of the same repository are left out. What is only in
// other categories than "main" is for development; pixi does not say. A file of a
// newer version than conda-lock's 1 or pixi's 6 is read as if it were of that one
// and is [bulwark.ErrUnsupported].
func (e CondaLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	r := condaLock{list: newList(f, e.Name()), indent: -1}
	err = lines(ctx, data, r.line)
	r.flush()
	if err == nil && !r.known && len(bytes.TrimSpace(data)) > 0 {
		err = errors.New("not a lock file of this kind")
	}
	newest := 1
	if base(f.Path) == "pixi.lock" {
		newest = 6
	}
	if err == nil && r.version > newest {
		err = fmt.Errorf("version %d of the format: %w", r.version, bulwark.ErrUnsupported)
	}
	if err != nil {
		return r.list.pkgs, malformed(f, err)
	}
	return r.list.pkgs, nil
}

// A condaLock reads a lock file line by line.
type condaLock struct {
	list    *list
	known   bool
	version int
	in      bool // in the list of packages
	indent  int  // of the dash before a package, -1 before the first
	item    condaItem
}

// A condaItem is what the file says of one package.
type condaItem struct {
	name, version, build string
	manager              string // "conda", "pip"
	url, category        string
	license              string
	local                bool
	line                 int
}

// line takes one line.
func (r *condaLock) line(line string, number int) {
	text := strings.TrimLeft(line, " ")
	indent := len(line) - len(text)
	if text == "" || text[0] == '#' {
		return
	}
	dash := strings.HasPrefix(text, "- ")
	if indent == 0 && !dash {
		r.flush()
		key, value, _ := strings.Cut(text, ":")
		if key == "version" {
			r.version, _ = strconv.Atoi(strings.TrimSpace(value))
		}
		r.in = key == "package" || key == "packages"
		r.known = r.known || r.in
		r.indent = -1
		return
	}
	if !r.in {
		return
	}
	if r.indent < 0 && dash {
		r.indent = indent
	}
	switch {
	case dash && indent == r.indent:
		r.flush()
		r.item.line = number
		text = strings.TrimLeft(text[2:], " ")
	case indent != r.indent+2 || dash:
		return // within a value
	}
	key, value, ok := strings.Cut(text, ":")
	if !ok {
		return
	}
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && (value[0] == '\'' || value[0] == '"') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	r.pair(key, value)
}

func (r *condaLock) pair(key, value string) {
	i := &r.item
	switch key {
	case "name":
		i.name = value
	case "version":
		i.version = value
	case "build":
		i.build = value
	case "license":
		i.license = value
	case "category":
		i.category = value
	case "manager", "kind":
		i.manager = value
	case "url", "path":
		i.url = value
	case "conda", "pypi": // pixi names the kind by the key of the address
		i.manager, i.url = key, value
	}
	switch key {
	case "url", "path", "conda", "pypi":
		i.local = i.local || !strings.Contains(value, "://") || strings.HasPrefix(value, "file:")
	}
}

// flush takes the package that was read last.
func (r *condaLock) flush() {
	i := r.item
	r.item = condaItem{}
	if i.local {
		return
	}
	dev := i.category != "" && i.category != "main"
	switch i.manager {
	case "conda":
		c := condaPackage{name: i.name, version: i.version, build: i.build}
		c.locate(i.url)
		// The file has the package once for each platform, built for it.
		c.build, c.subdir, c.kind = "", "", ""
		if p := r.list.addConda(c, i.line, dev); p != nil && p.Licenses == nil && i.license != "" && len(i.license) <= maxName {
			p.Licenses = []string{i.license}
		}
	case "pip", "pypi":
		if i.name == "" {
			i.name, i.version = wheel(i.url)
		}
		r.list.add(i.name, i.version, i.line, dev)
	}
}

// CondaEnvironment reads environment.yml of conda
// (https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html).
// It understands the usual way to write it: each dependency in a line of its own.
// Its zero value is ready to use.
type CondaEnvironment struct{}

// Name gives "conda-environment".
func (CondaEnvironment) Name() string { return "conda-environment" }

// Wants tells whether p is environment.yml or environment.yaml.
func (CondaEnvironment) Wants(p string, st bulwark.Stat) bool {
	b := base(p)
	return (b == "environment.yml" || b == "environment.yaml") && st.Mode&fs.ModeType == 0
}

// Extract gives the dependencies that are tied to one version, "name=1.2" and
// "name==1.2.3", and of those below "pip:" the ones tied with "==". The first form
// means the newest version that starts so; the file says no more. All others are
// left out, and a file without dependencies, which may be of something else, has
// none.
func (e CondaEnvironment) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxLock)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name())
	in, pip := false, -1 // in the dependencies; where the dash before "pip:" stands
	err = lines(ctx, data, func(line string, number int) {
		text := strings.TrimLeft(line, " ")
		indent := len(line) - len(text)
		text, _, _ = strings.Cut(text, " #")
		if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
			return
		}
		item, dash := strings.CutPrefix(text, "- ")
		if !dash {
			if indent == 0 {
				in, pip = text == "dependencies:", -1
			}
			return
		}
		if !in {
			return
		}
		item = strings.Trim(strings.TrimSpace(item), `"'`)
		switch {
		case item == "pip:":
			pip = indent
		case pip >= 0 && indent > pip:
			if name, ver := requirement(item); ver != "" {
				l.add(name, ver, number, false)
			}
		default:
			pip = -1
			if c, ok := spec(item); ok {
				l.addConda(c, number, false)
			}
		}
	})
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// spec reads "channel/subdir::name=version=build", of which channel and build may
// be missing; ok is false when it allows more than one version.
func spec(s string) (c condaPackage, ok bool) {
	if before, rest, found := strings.Cut(s, "::"); found {
		c.channel, s = channel(before), rest
	}
	name, rest, ok := strings.Cut(s, "=")
	if !ok {
		return c, false
	}
	rest = strings.TrimPrefix(rest, "=")
	version, build, _ := strings.Cut(rest, "=")
	c.name, c.version, c.build = strings.TrimSpace(name), strings.TrimSpace(version), strings.TrimSpace(build)
	if strings.Contains(c.build, "*") {
		c.build = ""
	}
	return c, token(c.name) && token(c.version)
}
