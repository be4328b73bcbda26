// SPDX-License-Identifier: Apache-2.0

package ignore

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A star says what "*" stands for.
type star bool

const (
	anyStar  star = false // any characters
	pathStar star = true  // any characters but "/"; "**" is any characters
)

// A glob matches whole strings; a nil glob matches all. "*" is any characters,
// "?" is one; nothing else is special.
type glob struct {
	re *regexp.Regexp // linear in the text, whatever the pattern

	version    *glob             // package globs: nil is any version
	qualifiers map[string]string // package globs: those that must be there
	purl       bool              // package globs: base is "type/namespace/name"
}

func newGlob(pattern string, kind star) *glob { return &glob{re: compile(pattern, kind, true)} }

func compile(pattern string, kind star, question bool) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*' && kind == pathStar:
			deep := false
			for i+1 < len(pattern) && pattern[i+1] == '*' {
				deep = true
				i++
			}
			switch {
			case !deep:
				b.WriteString(`[^/]*`)
			case i+1 < len(pattern) && pattern[i+1] == '/' && (i < 2 || pattern[i-2] == '/'):
				b.WriteString(`(?:.*/)?`) // "**/x" is "x", too
				i++
			default:
				b.WriteString(`.*`)
			}
		case c == '*':
			for i+1 < len(pattern) && pattern[i+1] == '*' {
				i++
			}
			b.WriteString(`.*`)
		case c == '?' && question && kind == pathStar:
			b.WriteString(`[^/]`)
		case c == '?' && question:
			b.WriteString(`.`)
		case c < 0x80:
			b.WriteString(regexp.QuoteMeta(string(rune(c))))
		default:
			// Bytes of a longer character, or bytes that are no UTF-8: match as
			// the regexp package decodes them.
			j := i + 1
			for j < len(pattern) && pattern[j] >= 0x80 {
				j++
			}
			b.WriteString(regexp.QuoteMeta(strings.ToValidUTF8(pattern[i:j], "\uFFFD")))
			i = j - 1
		}
	}
	b.WriteString(`\z`)
	re, err := regexp.Compile(b.String())
	if err != nil { // too large for the compiler: match nothing rather than too much
		return nil
	}
	return re
}

func (g *glob) match(s string) bool {
	return g == nil || g.re != nil && g.re.MatchString(s)
}

// newPathGlob reads a glob of paths. A leading "/" does not count, and a
// trailing one means all that is below. "" is nil.
func newPathGlob(pattern string) *glob {
	if pattern == "" {
		return nil
	}
	pattern = strings.TrimPrefix(pattern, "/")
	if strings.HasSuffix(pattern, "/") {
		pattern += "**"
	}
	return newGlob(pattern, pathStar)
}

// newPackageGlob reads a glob of packages: a purl, "name" or "name@version".
// Percent signs may be written out or not. "" is nil.
func newPackageGlob(pattern string) *glob {
	if pattern == "" {
		return nil
	}
	base, version, quals := splitPackage(pattern)
	g := &glob{re: compile(strings.ToLower(base), anyStar, false), qualifiers: quals}
	if rest, ok := strings.CutPrefix(strings.ToLower(base), "pkg:"); ok {
		g.purl = true
		g.re = compile(rest, anyStar, false)
	}
	if version != "" {
		g.version = newGlob(version, anyStar)
	}
	return g
}

// matchPackage tells whether the package URL is one that the glob means. Names
// are compared without case: no two ecosystems agree on it, and purls of one
// package are written both ways.
func (g *glob) matchPackage(purl string) bool {
	if g == nil {
		return true
	}
	base, version, quals := splitPackage(purl)
	base, ok := strings.CutPrefix(strings.ToLower(base), "pkg:")
	if !ok || g.re == nil || !g.version.match(version) {
		return false
	}
	for k, v := range g.qualifiers {
		if got, ok := quals[k]; !ok || got != v {
			return false
		}
	}
	if g.purl {
		return g.re.MatchString(base)
	}
	kind, rest, _ := strings.Cut(base, "/")
	return slices.ContainsFunc(names(kind, rest), g.re.MatchString)
}

// names gives the ways in which people write the name of a package: alone, with
// its namespace, and as Maven does.
func names(kind, rest string) []string {
	out := []string{rest}
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		out = append(out, rest[i+1:])
		if kind == "maven" {
			out = append(out, rest[:i]+":"+rest[i+1:])
		}
	}
	return out
}

// splitPackage takes a package URL, or a glob of one, apart. The parts are
// percent-decoded. A subpath is left out.
func splitPackage(s string) (base, version string, quals map[string]string) {
	s, _, _ = strings.Cut(s, "#")
	s, q, _ := strings.Cut(s, "?")
	for pair := range strings.SplitSeq(q, "&") {
		if k, v, ok := strings.Cut(pair, "="); ok {
			if quals == nil {
				quals = map[string]string{}
			}
			quals[strings.ToLower(k)] = unescape(v)
		}
	}
	// An "@" at the start of a name is the scope of an npm package.
	slash := strings.LastIndexByte(s, '/')
	if at := strings.LastIndexByte(s, '@'); at > 0 && at > slash && at != slash+1 {
		s, version = s[:at], s[at+1:]
	}
	return unescape(s), unescape(version), quals
}

// unescape decodes percent signs; text with a broken one stays as it is.
func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
