// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"strings"
)

// compareDpkg orders Debian versions, [epoch:]upstream[-revision]; see
// https://www.debian.org/doc/debian-policy/ch-controlfields.html#version.
func compareDpkg(a, b string) (int, error) {
	ae, a, ok := cutEpoch(a)
	if !ok {
		return 0, unreadable(schemeDpkg, ae, "the epoch is not a number")
	}
	be, b, ok := cutEpoch(b)
	if !ok {
		return 0, unreadable(schemeDpkg, be, "the epoch is not a number")
	}
	if c := compareNumbers(ae, be); c != 0 {
		return c, nil
	}
	a, ar := cutRevision(a)
	b, br := cutRevision(b)
	if c := compareDpkgPart(a, b); c != 0 {
		return c, nil
	}
	return compareDpkgPart(ar, br), nil
}

// cutEpoch splits at the first colon; without one the epoch is "", zero. When
// the epoch is no number it gives the whole version instead, for the error.
func cutEpoch(v string) (epoch, rest string, ok bool) {
	i := strings.IndexByte(v, ':')
	if i < 0 {
		return "", v, true
	}
	if !allDigits(v[:i]) {
		return v, "", false
	}
	return v[:i], v[i+1:], true
}

// cutRevision splits at the last hyphen. No revision equals revision 0.
func cutRevision(v string) (upstream, revision string) {
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

// compareDpkgPart orders upstream versions or revisions: in turn a stretch
// without digits, by weight, and a number. Opam uses it on whole versions.
func compareDpkgPart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && b != "" && a[0] == b[0] && !isDigit(a[0]) {
			a, b = a[1:], b[1:]
		}
		// Different bytes weigh the same only when both stretches are at their end.
		if x, y := dpkgWeight(a), dpkgWeight(b); x != y {
			return cmp.Compare(x, y)
		}
		n, m := digitRun(a), digitRun(b)
		if c := compareNumbers(a[:n], b[:m]); c != 0 {
			return c
		}
		a, b = a[n:], b[m:]
	}
	return 0
}

// dpkgWeight ranks the first byte of s: tilde, then the end of the stretch,
// then letters, then everything else. Only the end of the stretch weighs zero.
func dpkgWeight(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isLetter(s[0]):
		return int(s[0])
	default:
		return int(s[0]) + 256
	}
}
