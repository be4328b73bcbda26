// SPDX-License-Identifier: Apache-2.0

package portage

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// split takes the name of a package with its version apart, as section 3 of the
// Package Manager Specification has them (https://projects.gentoo.org/pms/8/pms.html).
// The revision is a part of the version.
func split(pf string) (name, version string, ok bool) {
	end := len(pf)
	if i := strings.LastIndexByte(pf, '-'); i > 0 && len(pf)-i > 2 && pf[i+1] == 'r' && digits(pf[i+2:]) == len(pf)-i-2 {
		end = i
	}
	i := strings.LastIndexByte(pf[:end], '-')
	if i <= 0 || !isVersion(pf[i+1:end]) {
		return "", "", false
	}
	return pf[:i], pf[i+1:], true
}

// isVersion tells whether s is a version without revision: numbers with dots
// between, a letter, and suffixes that may have numbers.
func isVersion(s string) bool {
	for {
		n := digits(s)
		if n == 0 {
			return false
		}
		s = s[n:]
		if s == "" || s[0] != '.' {
			break
		}
		s = s[1:]
	}
	if s != "" && s[0] >= 'a' && s[0] <= 'z' {
		s = s[1:]
	}
	for s != "" {
		rest, ok := strings.CutPrefix(s, "_")
		if !ok {
			return false
		}
		ok = false
		for _, suffix := range [...]string{"alpha", "beta", "pre", "rc", "p"} {
			if after, found := strings.CutPrefix(rest, suffix); found {
				s, ok = after[digits(after):], true
				break
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

// digits counts the digits that s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// licenses reads a LICENSE: names that all hold. With a choice among them it is
// one expression.
func licenses(text string) []string {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil
	}
	if len(words) > maxTerms || slices.ContainsFunc(words, func(w string) bool { return strings.ContainsAny(w, "()|?") }) {
		return []string{strings.Join(words, " ")}
	}
	var out []string
	for _, w := range words {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// contents reads the files and links in a list of what a package owns. Each line
// begins with a kind; "obj" is followed by path, digest and time, "sym" by path,
// an arrow, target and time. A path may have spaces in it. The paths are parts
// of text.
func contents(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		kind, p, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		ok := false
		switch kind {
		case "obj":
			if i := strings.LastIndexByte(p, ' '); i > 0 {
				if j := strings.LastIndexByte(p[:i], ' '); j > 0 {
					p, ok = p[:j], true
				}
			}
		case "sym":
			p, _, ok = strings.Cut(p, " -> ")
		}
		if !ok {
			continue
		}
		p = strings.TrimPrefix(p, "/")
		if !fs.ValidPath(p) {
			p = path.Clean(p)
		}
		if p == "." || !fs.ValidPath(p) {
			continue
		}
		out = append(out, p)
		// On merged systems these directories are links into /usr.
		if first, _, ok := strings.Cut(p, "/"); ok && (first == "bin" || first == "sbin" || first == "lib" || first == "lib64") {
			out = append(out, "usr/"+p)
		}
	}
	return out
}
