// SPDX-License-Identifier: Apache-2.0

// Package dotnet finds NuGet packages: those that a published application
// carries, by its deps.json, and those that a project has locked or listed. It
// does not know project files, whose versions are settled elsewhere, nor
// programs that were bundled into a single file.
package dotnet

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
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
	ecosystem = "NuGet"
	// maxFile bounds a file, bytes. Large applications have some megabytes.
	maxFile = 32 << 20
	// maxName bounds a name or version, bytes. NuGet allows 128 for names.
	maxName = 256
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// plausible tells whether a name and a version can be those of a package.
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || version == "" || len(version) > maxName || version[0] < '0' || version[0] > '9' {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_':
		default:
			return false
		}
	}
	for i := range len(version) {
		if version[i] <= ' ' || version[i] >= 0x7f {
			return false
		}
	}
	return true
}

// A list collects the packages of one file, each once, in the order of the file.
type list struct {
	path, by string
	pkgs     []bulwark.Package
	index    map[string]int
	data     []byte
	at, line int // a place in data that has been counted to
}

func newList(f *bulwark.File, by string, data []byte) *list {
	return &list{path: f.Path, by: by, index: map[string]int{}, data: data, line: 1}
}

// lineOf gives the line of an offset that is not before the last one asked for.
func (l *list) lineOf(offset int64) int {
	if end := int(offset); end > l.at && end <= len(l.data) {
		l.line += bytes.Count(l.data[l.at:end], []byte{'\n'})
		l.at = end
	}
	return l.line
}

func (l *list) add(name, version string, line int, dev bool) {
	if !plausible(name, version) {
		return
	}
	key := strings.ToLower(name) + "\x00" + version
	if i, ok := l.index[key]; ok {
		l.pkgs[i].Dev = l.pkgs[i].Dev && dev
		return
	}
	l.index[key] = len(l.pkgs)
	u := packageurl.PackageURL{Type: packageurl.TypeNuget, Name: name, Version: version}
	l.pkgs = append(l.pkgs, bulwark.Package{
		PURL: u.ToString(), Name: name, Version: version, Ecosystem: ecosystem,
		Where: []bulwark.Location{{Path: l.path, Line: line}}, By: l.by, Dev: dev,
	})
}

// decoder reads JSON; files written on Windows may begin with a mark.
func (l *list) decoder() *json.Decoder {
	l.data = bytes.TrimPrefix(l.data, []byte("\xef\xbb\xbf"))
	return json.NewDecoder(bytes.NewReader(l.data))
}

// members calls yield with each key of an object. Yield must read the value.
func members(ctx context.Context, d *json.Decoder, yield func(key string) error) error {
	t, err := d.Token()
	if err != nil {
		return noEnd(err)
	}
	if t == nil {
		return nil // null
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

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// DepsJSON reads the *.deps.json file that lies beside a published application
// (https://github.com/dotnet/sdk/blob/main/documentation/specs/runtime-configuration-file.md).
// Its zero value is ready to use.
type DepsJSON struct{}

// Name gives "deps-json".
func (DepsJSON) Name() string { return "deps-json" }

// Wants tells whether p is a deps.json file.
func (DepsJSON) Wants(p string, st bulwark.Stat) bool {
	return strings.HasSuffix(p, ".deps.json") && st.Mode&fs.ModeType == 0
}

// Extract gives the packages that the application carries, and the runtime if it
// carries that. The application's own projects are left out.
func (e DepsJSON) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name(), data)
	d := l.decoder()
	err = members(ctx, d, func(section string) error {
		if section != "libraries" {
			return d.Decode(&json.RawMessage{})
		}
		return members(ctx, d, func(key string) error {
			line := l.lineOf(d.InputOffset())
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				return err
			}
			var lib struct {
				Type string `json:"type"`
			}
			if json.Unmarshal(raw, &lib) != nil || lib.Type != "package" && lib.Type != "runtimepack" {
				return nil
			}
			name, version, _ := strings.Cut(strings.TrimPrefix(key, "runtimepack."), "/")
			l.add(name, version, line, false)
			return nil
		})
	})
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// PackagesLock reads packages.lock.json
// (https://learn.microsoft.com/nuget/consume-packages/package-references-in-project-files).
// Its zero value is ready to use.
type PackagesLock struct{}

// Name gives "packages-lock-json".
func (PackagesLock) Name() string { return "packages-lock-json" }

// Wants tells whether p is NuGet's lock file, or that of one project among
// several: packages.PROJECT.lock.json.
func (PackagesLock) Wants(p string, st bulwark.Stat) bool {
	b := base(p)
	return strings.HasPrefix(b, "packages.") && strings.HasSuffix(b, ".lock.json") && st.Mode&fs.ModeType == 0
}

// Extract gives the packages of all frameworks. Projects of the same repository
// are left out.
func (e PackagesLock) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name(), data)
	d := l.decoder()
	err = members(ctx, d, func(section string) error {
		if section != "dependencies" {
			return d.Decode(&json.RawMessage{})
		}
		return members(ctx, d, func(string) error { // framework
			return members(ctx, d, func(name string) error {
				line := l.lineOf(d.InputOffset())
				var raw json.RawMessage
				if err := d.Decode(&raw); err != nil {
					return err
				}
				var p struct {
					Type     string `json:"type"`
					Resolved string `json:"resolved"`
				}
				if json.Unmarshal(raw, &p) == nil && p.Type != "Project" {
					l.add(name, p.Resolved, line, false)
				}
				return nil
			})
		})
	})
	if err != nil {
		return l.pkgs, malformed(f, err)
	}
	return l.pkgs, nil
}

// PackagesConfig reads packages.config, the older way to list packages
// (https://learn.microsoft.com/nuget/reference/packages-config). Its zero value
// is ready to use.
type PackagesConfig struct{}

// Name gives "packages-config".
func (PackagesConfig) Name() string { return "packages-config" }

// Wants tells whether p is a packages.config.
func (PackagesConfig) Wants(p string, st bulwark.Stat) bool {
	return base(p) == "packages.config" && st.Mode&fs.ModeType == 0
}

// Extract gives the listed packages.
func (e PackagesConfig) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxFile)
	if err != nil {
		return nil, err
	}
	l := newList(f, e.Name(), data)
	d := xml.NewDecoder(bytes.NewReader(data))
	depth := 0
	for {
		if err := ctx.Err(); err != nil {
			return l.pkgs, err
		}
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return l.pkgs, nil
		}
		if err != nil {
			return l.pkgs, malformed(f, err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; t.Name.Local != "package" || depth != 2 {
				continue
			}
			line, _ := d.InputPos()
			var name, version string
			dev := false
			for _, a := range t.Attr {
				switch a.Name.Local {
				case "id":
					name = a.Value
				case "version":
					version = a.Value
				case "developmentDependency":
					dev = strings.EqualFold(a.Value, "true")
				}
			}
			l.add(name, version, line, dev)
		case xml.EndElement:
			depth--
		}
	}
}
