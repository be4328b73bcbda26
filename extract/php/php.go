// SPDX-License-Identifier: Apache-2.0

// Package php finds Composer packages: locked ones in composer.lock, and
// installed ones by the list that Composer keeps in vendor/composer. It does not
// know PEAR and PECL, nor plugins of web applications that come without Composer.
package php

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// ecosystem is OSV's name.
	ecosystem = "Packagist"
	// maxFile bounds a file, bytes. Large projects have some megabytes.
	maxFile = 32 << 20
	// maxName bounds a name or version, bytes.
	maxName = 256
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// A list collects the packages of one file, each once, in the order of the file.
type list struct {
	path, by string
	pkgs     []bulwark.Package
	index    map[string]int
	data     []byte
	at, line int // a place in data that has been counted to
}

// lineOf gives the line of an offset that is not before the last one asked for.
func (l *list) lineOf(offset int64) int {
	if end := int(offset); end > l.at && end <= len(l.data) {
		l.line += bytes.Count(l.data[l.at:end], []byte{'\n'})
		l.at = end
	}
	return l.line
}

// A library is one entry of either file.
type library struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	License json.RawMessage `json:"license"`
}

// licenses reads what is an array of names in most files and one name in some.
func (p library) licenses() []string {
	var many []string
	if json.Unmarshal(p.License, &many) == nil {
		return many[:min(len(many), 8)]
	}
	var one string
	if json.Unmarshal(p.License, &one) == nil && one != "" {
		return []string{one}
	}
	return nil
}

func (l *list) add(p library, line int, dev bool) {
	// Composer compares names without case, and so do advisories.
	name := strings.ToLower(p.Name)
	vendor, short, ok := strings.Cut(name, "/")
	if !ok || !plausible(vendor) || !plausible(short) {
		return
	}
	version := p.Version
	if !plausible(strings.NewReplacer("/", "-", "#", "-").Replace(version)) {
		version = ""
	}
	key := name + "\x00" + version
	if i, ok := l.index[key]; ok {
		l.pkgs[i].Dev = l.pkgs[i].Dev && dev
		return
	}
	l.index[key] = len(l.pkgs)
	u := packageurl.PackageURL{Type: packageurl.TypeComposer, Namespace: vendor, Name: short, Version: version}
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Ecosystem: ecosystem, Licenses: p.licenses(),
		Where: []bulwark.Location{{Path: l.path, Line: line}}, By: l.by, Dev: dev,
	})
}

// plausible tells whether s can be a part of a name, or a version.
func plausible(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
		case c == '.' || c == '-' || c == '_' || c == '+' || c == '~':
		default:
			return false
		}
	}
	return true
}

// libraries reads an array of packages.
func (l *list) libraries(ctx context.Context, d *json.Decoder, dev bool) error {
	t, err := d.Token()
	if err != nil {
		return noEnd(err)
	}
	if t == nil {
		return nil // null
	}
	if t != json.Delim('[') {
		return fmt.Errorf("%v where an array is expected", t)
	}
	return l.elements(ctx, d, dev)
}

// elements reads the rest of an array of packages.
func (l *list) elements(ctx context.Context, d *json.Decoder, dev bool) error {
	for d.More() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return noEnd(err)
		}
		line := l.lineOf(d.InputOffset() - int64(len(raw)))
		var p library
		if json.Unmarshal(raw, &p) == nil {
			l.add(p, line, dev)
		}
	}
	_, err := d.Token()
	return noEnd(err)
}

// noEnd makes the end of the file an error where more must follow.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

func newList(f *bulwark.File, by string, data []byte) *list {
	return &list{path: f.Path, by: by, index: map[string]int{}, data: data, line: 1}
}

// ComposerLock reads composer.lock. Its zero value is ready to use.
type ComposerLock struct{}

// Name gives "composer-lock".
func (ComposerLock) Name() string { return "composer-lock" }

// Wants tells whether p is a composer.lock that does not lie among installed
// packages.
func (ComposerLock) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "composer.lock" && st.Mode&fs.ModeType == 0 && !strings.HasPrefix(p, "vendor/") && !strings.Contains(p, "/vendor/")
}

// Extract gives the locked packages.
func (e ComposerLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name(), data)
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, malformed(f, errors.Join(errors.New("no object"), noEnd(err)))
	}
	err = l.members(ctx, d, func(key string) error {
		switch key {
		case "packages", "packages-dev":
			return l.libraries(ctx, d, key == "packages-dev")
		}
		return d.Decode(&json.RawMessage{})
	})
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// members reads the rest of an object.
func (l *list) members(ctx context.Context, d *json.Decoder, yield func(key string) error) error {
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
	_, err := d.Token()
	return noEnd(err)
}

// Installed reads vendor/composer/installed.json: an array from Composer 1, an
// object from Composer 2. Its zero value is ready to use.
type Installed struct{}

// Name gives "composer-installed".
func (Installed) Name() string { return "composer-installed" }

// Wants tells whether p is Composer's list of installed packages.
func (Installed) Wants(p string, st bulwark.Stat) bool {
	if st.Mode&fs.ModeType != 0 || !strings.HasSuffix(p, "composer/installed.json") {
		return false
	}
	return len(p) == len("composer/installed.json") || p[len(p)-len("/composer/installed.json")] == '/'
}

// Extract gives the installed packages.
func (e Installed) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name(), data)
	d := json.NewDecoder(bytes.NewReader(data))
	t, err := d.Token()
	switch {
	case err != nil:
		err = noEnd(err)
	case t == json.Delim('['):
		err = l.elements(ctx, d, false)
	case t == json.Delim('{'):
		var dev []string
		err = l.members(ctx, d, func(key string) error {
			switch key {
			case "packages":
				return l.libraries(ctx, d, false)
			case "dev-package-names":
				var raw json.RawMessage
				if err := d.Decode(&raw); err != nil {
					return err
				}
				_ = json.Unmarshal(raw, &dev) // of another type: no names
				return nil
			}
			return d.Decode(&json.RawMessage{})
		})
		l.mark(dev)
	default:
		err = errors.New("neither array nor object")
	}
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// mark tells the packages that are for development only.
func (l *list) mark(names []string) {
	dev := make(map[string]bool, len(names))
	for _, n := range names {
		dev[strings.ToLower(n)] = true
	}
	for i := range l.pkgs {
		l.pkgs[i].Dev = dev[l.pkgs[i].Name]
	}
}
