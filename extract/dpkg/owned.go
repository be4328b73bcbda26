// SPDX-License-Identifier: Apache-2.0

package dpkg

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

const (
	// Bytes of one list of files. The longest in Debian have about 5 MB.
	maxList = 32 << 20
	// Bytes of a control file of opkg; real ones have less than one thousand.
	maxControl = 64 << 10
	// Licences of one package.
	maxLicenses = 64
)

// files gives the paths that a package owns, less directories, which belong to
// many.
func (c *collector) files(s stanza, db database) []string {
	// A name with a slash is no name, but could be a path to anywhere.
	if strings.ContainsRune(s.name, '/') || strings.ContainsRune(s.arch, '/') {
		return nil
	}
	if db.single {
		return sums(c.list(db.sums))
	}
	// Of a package that may be installed for several architectures, the file
	// name has the architecture in it.
	for _, base := range [...]string{s.name + ":" + s.arch, s.name} {
		base = path.Join(db.info, base)
		if text := c.list(base + listExt); text != "" {
			return list(text, db.kind)
		}
		if text := c.list(base + sumsExt); text != "" {
			return sums(text)
		}
	}
	return nil
}

// list gives the text of a list the first time that it is asked for.
func (c *collector) list(p string) string {
	if c.lists[p] {
		return ""
	}
	text := c.text(p, maxList)
	if text != "" {
		c.lists[p] = true
	}
	return text
}

// text gives a whole file as text; "" when there is none. Only what a package
// owns is lost with it, not the package.
func (c *collector) text(p string, limit int64) string {
	if !fs.ValidPath(p) {
		return ""
	}
	f, err := c.fsys.Open(p)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		c.gap(p, err, false)
		return ""
	}
	defer f.Close() //nolint:errcheck // only read from
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		return ""
	}
	if err == nil && st.Size() > limit {
		if limit == maxCopyright { // which Wants leaves out, too
			return ""
		}
		err = bulwark.ErrTooLarge
	}
	var b strings.Builder
	if err == nil {
		_, err = io.Copy(&b, io.LimitReader(f, limit))
	}
	if err != nil {
		c.gap(p, err, false)
		return ""
	}
	return b.String()
}

// list reads a file of absolute paths, one a line. What something else is in is a
// directory and left out, wherever it stands; dpkg lists it just before what is in
// it, other tools do not. The paths are parts of text.
func list(text, kind string) []string {
	files := make([]string, 0, strings.Count(text, "\n"))
	dirs := map[string]bool{} // what something is in; true once it is gone from files
	last := ""                // the directory of the path before
	apart := 0                // how many of dirs did not stand just before their contents
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if kind == kindOpkg {
			// Newer ones have the mode and the target of a link behind it.
			line, _, _ = strings.Cut(line, "\t")
		}
		p, ok := clean(strings.TrimPrefix(line, "/"))
		if !ok {
			continue
		}
		if d := parent(p); d != last {
			last = d
			if _, known := dirs[d]; !known && d != "" {
				n := len(files)
				dirs[d] = n > 0 && files[n-1] == d
				if dirs[d] {
					files = files[:n-1]
				} else {
					apart++
				}
			}
		}
		files = append(files, p)
	}
	if apart > 0 {
		files = slices.DeleteFunc(files, func(p string) bool {
			gone, dir := dirs[p]
			if dir && !gone {
				dirs[p] = true
				apart--
			}
			return dir
		})
	}
	if apart > 0 { // a directory is not listed: those that it is in may be
		files = leaves(files)
	}
	return withAliases(files)
}

// leaves gives the paths that nothing is in, in another order.
func leaves(files []string) []string {
	slices.SortFunc(files, func(a, b string) int { // a directory just before its contents
		n := min(len(a), len(b))
		for i := range n {
			if a[i] == b[i] {
				continue
			}
			if a[i] == '/' || b[i] != '/' && a[i] < b[i] {
				return -1
			}
			return 1
		}
		return len(a) - len(b)
	})
	out := files[:0]
	for i, p := range files {
		if i+1 < len(files) {
			if rest, ok := strings.CutPrefix(files[i+1], p); ok && rest != "" && rest[0] == '/' {
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// parent gives the directory that a clean relative path is in, or "".
func parent(p string) string { return p[:max(strings.LastIndexByte(p, '/'), 0)] }

// sums reads a file of digests and relative paths.
func sums(text string) []string {
	files := make([]string, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		_, p, ok := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !ok {
			continue
		}
		if p, ok = clean(strings.TrimPrefix(strings.TrimLeft(p, " *"), "/")); ok {
			files = append(files, p)
		}
	}
	return withAliases(files)
}

func clean(p string) (string, bool) {
	if p == "" || p == "." {
		return "", false
	}
	if !fs.ValidPath(p) {
		if p = path.Clean(p); p == "." || !fs.ValidPath(p) {
			return "", false
		}
	}
	return p, true
}

// withAliases adds the second name of files in directories that are links into
// /usr on merged systems. Packages own them by either name.
func withAliases(files []string) []string {
	n := len(files)
	for _, p := range files[:n] {
		if first, _, ok := strings.Cut(p, "/"); ok {
			switch first {
			case "bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32":
				files = append(files, "usr/"+p)
			}
		}
	}
	if len(files) == 0 {
		return nil
	}
	return files
}

// licenses gives the short names that a machine-readable copyright file
// declares, in its order and each once
// (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/).
func (c *collector) licenses(pkg string) []string {
	if strings.ContainsRune(pkg, '/') {
		return nil
	}
	if known, ok := c.terms[pkg]; ok { // of another architecture
		return known
	}
	out := declared(c.text(path.Join(docDir, pkg, "copyright"), maxCopyright))
	c.terms[pkg] = out
	return out
}

// control gives the licence in a control file of opkg, one expression.
func (c *collector) control(info, pkg string) []string {
	if strings.ContainsRune(pkg, '/') {
		return nil
	}
	for line := range strings.Lines(c.text(path.Join(info, pkg+ctrlExt), maxControl)) {
		key, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(key, "License") {
			continue
		}
		if l := strings.Join(strings.Fields(value), " "); l != "" && len(l) <= maxValue {
			return []string{l}
		}
	}
	return nil
}

func declared(text string) (out []string) {
	if !machineReadable(text) {
		return nil
	}
	for line := range strings.Lines(text) {
		const key = "license:"
		if len(line) < len(key) || !strings.EqualFold(line[:len(key)], key) {
			continue
		}
		l := strings.Join(strings.Fields(line[len(key):]), " ")
		if l == "" || len(l) > maxValue || slices.Contains(out, l) {
			continue
		}
		if out = append(out, l); len(out) == maxLicenses {
			break
		}
	}
	return out
}

// machineReadable tells whether the first stanza names the format.
func machineReadable(text string) bool {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return false
		}
		if strings.EqualFold(key, "Format") || strings.EqualFold(key, "Format-Specification") {
			return strings.Contains(value, "copyright-format") || strings.Contains(value, "dep.debian.net") || strings.Contains(value, "DEP5")
		}
	}
	return false
}
