// SPDX-License-Identifier: Apache-2.0

// Package wordpress finds WordPress and its plugins and themes by the headers
// that WordPress itself reads. It does not know what a plugin bundles, which
// plugins are switched on, nor copies that lie outside of wp-content.
package wordpress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/bulwark-sec/bulwark"
)

const (
	// headerSize is how much of a file WordPress looks for a header in, bytes:
	// https://developer.wordpress.org/reference/functions/get_file_data/
	headerSize = 8 << 10
	// maxName bounds a name or version, bytes.
	maxName = 256
)

// base gives the last element of a path.
func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// plausible tells whether a name and a version can be those of a plugin. Its
// name is that of a directory; its version is whatever the author wrote.
func plausible(name, version string) bool {
	if name == "" || len(name) > maxName || len(version) > maxName {
		return false
	}
	for _, s := range []string{name, version} {
		for i := range len(s) {
			if s[i] <= ' ' || s[i] == 0x7f || strings.IndexByte(`<>"'\/@?#`, s[i]) >= 0 {
				return false
			}
		}
	}
	return true
}

// malformed names the file that does not follow its format.
func malformed(f *bulwark.File, err error) error { return fmt.Errorf("parse %q: %w", f.Path, err) }

// head reads the part of a file that may hold a header.
func head(ctx context.Context, f *bulwark.File) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := make([]byte, min(f.Size, headerSize))
	if n, err := f.ReadAt(b, 0); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %q: %w", f.Path, err)
	}
	return b, nil
}

// A header is what the comment at the top of a file says.
type header struct {
	title, version, license string
	line                    int // of the title
}

// parse finds a header whose title has a key, "Plugin Name" or "Theme Name". A
// key stands at the start of a line, after nothing but signs of a comment.
func parse(data []byte, key string) header {
	var h header
	for n := 1; len(data) > 0; n++ {
		var raw []byte
		raw, data, _ = bytes.Cut(data, []byte{'\n'})
		line := strings.TrimPrefix(strings.TrimSpace(string(raw)), "<?php")
		k, v, ok := strings.Cut(strings.TrimLeft(line, " \t/*#@"), ":")
		if !ok || len(k) > 32 {
			continue
		}
		v, _, _ = strings.Cut(v, "*/")
		v, _, _ = strings.Cut(v, "?>")
		v = strings.TrimSpace(v)
		set := func(to *string) {
			if *to == "" && len(v) <= maxName {
				*to = v
			}
		}
		switch k = strings.TrimSpace(k); {
		case strings.EqualFold(k, key):
			if set(&h.title); h.line == 0 {
				h.line = n
			}
		case strings.EqualFold(k, "Version"):
			set(&h.version)
		case strings.EqualFold(k, "License"):
			set(&h.license)
		}
	}
	return h
}

// made gives the package of a header. There is no registered kind of purl and no
// ecosystem in OSV; "wordpress" is the one that packageurl-go and osv-scalibr
// use, with the kind of the addition as namespace because plugins and themes may
// have one name.
func made(by, path, kind, slug string, h header) []bulwark.Package {
	if h.title == "" || !plausible(slug, h.version) {
		return nil
	}
	u := packageurl.PackageURL{Type: packageurl.TypeWORDPRESS, Namespace: kind, Name: slug, Version: h.version}
	p := bulwark.Package{
		PURL: u.ToString(), Name: slug, Version: h.version,
		Where: []bulwark.Location{{Path: path, Line: h.line}}, By: by,
	}
	if h.license != "" {
		p.Licenses = []string{license(h.license)}
	}
	return []bulwark.Package{p}
}

// license gives the SPDX identifier for the ways in which the licence that
// WordPress asks for is mostly written, else what is declared.
func license(declared string) string {
	s := strings.ToLower(declared)
	for _, other := range []string{"lesser", "lgpl", "affero", "agpl"} {
		if strings.Contains(s, other) {
			return declared
		}
	}
	rest := s
	for _, cut := range []string{"gnu general public license", "gnu gpl", "gpl", " ", "-", ",", "version"} {
		rest = strings.ReplaceAll(rest, cut, "")
	}
	if rest = strings.TrimPrefix(rest, "v"); !strings.Contains(s, "gpl") && !strings.Contains(s, "gnu general public") {
		return declared
	}
	switch rest {
	case "2", "2.0", "2only", "2.0only":
		return "GPL-2.0-only"
	case "2+", "2.0+", "2orlater", "2.0orlater", "2(orlater)", "2oranylater", "2orhigher":
		return "GPL-2.0-or-later"
	case "3", "3.0", "3only", "3.0only":
		return "GPL-3.0-only"
	case "3+", "3.0+", "3orlater", "3.0orlater":
		return "GPL-3.0-or-later"
	}
	return declared
}

// inside gives what follows the last directory of a name in a path.
func inside(p, dir string) (rest string, ok bool) {
	i := strings.LastIndex(p, dir)
	if i < 0 || i > 0 && p[i-1] != '/' {
		return "", false
	}
	return p[i+len(dir):], true
}

// slug gives the name of the addition that a file belongs to if it may be its
// main file: one directly in the directory of plugins, or one level below.
func slug(p string) (name string, ok bool) {
	if !strings.HasSuffix(p, ".php") {
		return "", false
	}
	rest, ok := inside(p, "wp-content/plugins/")
	if !ok {
		rest, ok = inside(p, "wp-content/mu-plugins/")
	}
	if !ok {
		return "", false
	}
	dir, file, nested := strings.Cut(rest, "/")
	if !nested {
		return strings.TrimSuffix(dir, ".php"), dir != "index.php"
	}
	return dir, !strings.Contains(file, "/") && file != "index.php"
}

// Plugin finds plugins below wp-content. Its zero value is ready to use.
type Plugin struct{}

// Name gives "wordpress-plugin".
func (Plugin) Name() string { return "wordpress-plugin" }

// Wants tells whether p may be the main file of a plugin.
func (Plugin) Wants(p string, st bulwark.Stat) bool {
	_, ok := slug(p)
	return ok && st.Mode&fs.ModeType == 0
}

// Extract gives the plugin; a file without a plugin's header gives nothing.
func (e Plugin) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := head(ctx, f)
	if err != nil {
		return nil, err
	}
	name, _ := slug(f.Path)
	return made(e.Name(), f.Path, "plugin", name, parse(data, "Plugin Name")), nil
}

// Theme finds themes below wp-content. Its zero value is ready to use.
type Theme struct{}

// Name gives "wordpress-theme".
func (Theme) Name() string { return "wordpress-theme" }

// Wants tells whether p is the style sheet in which a theme names itself.
func (Theme) Wants(p string, st bulwark.Stat) bool {
	dir, ok := strings.CutSuffix(p, "/style.css")
	if !ok || st.Mode&fs.ModeType != 0 {
		return false
	}
	rest, ok := inside(dir, "wp-content/themes/")
	return ok && rest != "" && strings.Count(rest, "/") <= 1 // themes may lie in a directory for several
}

// Extract gives the theme; a style sheet without a theme's header gives nothing.
func (e Theme) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := head(ctx, f)
	if err != nil {
		return nil, err
	}
	slug := base(strings.TrimSuffix(f.Path, "/style.css"))
	return made(e.Name(), f.Path, "theme", slug, parse(data, "Theme Name")), nil
}

// Core finds WordPress itself. Advisories about it are Bitnami's. Its zero value
// is ready to use.
type Core struct{}

// Name gives "wordpress".
func (Core) Name() string { return "wordpress" }

// Wants tells whether p is the file in which WordPress keeps its version.
func (Core) Wants(p string, st bulwark.Stat) bool {
	rest, ok := strings.CutSuffix(p, "wp-includes/version.php")
	return ok && (rest == "" || rest[len(rest)-1] == '/') && st.Mode&fs.ModeType == 0
}

// Extract gives WordPress; the constant is $wp_version = '6.1.9';
func (e Core) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := head(ctx, f)
	if err != nil {
		return nil, err
	}
	for n := 1; len(data) > 0; n++ {
		var raw []byte
		raw, data, _ = bytes.Cut(data, []byte{'\n'})
		rest, ok := strings.CutPrefix(strings.TrimSpace(string(raw)), "$wp_version")
		if !ok {
			continue
		}
		rest, ok = strings.CutPrefix(strings.TrimSpace(rest), "=")
		if rest = strings.TrimSpace(rest); !ok || len(rest) < 2 || rest[0] != '\'' && rest[0] != '"' {
			continue
		}
		version, _, closed := strings.Cut(rest[1:], rest[:1])
		if !closed || !plausible("wordpress", version) || version == "" || version[0] < '0' || version[0] > '9' {
			break
		}
		u := packageurl.PackageURL{Type: packageurl.TypeGeneric, Name: "wordpress", Version: version}
		return []bulwark.Package{{
			PURL: u.ToString(), Name: "wordpress", Version: version, Ecosystem: "Bitnami", Licenses: []string{"GPL-2.0-or-later"},
			Where: []bulwark.Location{{Path: f.Path, Line: n}}, By: e.Name(),
		}}, nil
	}
	return nil, malformed(f, errors.New("no version of WordPress"))
}
