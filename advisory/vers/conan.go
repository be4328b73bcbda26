// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"strings"
)

// compareConan orders versions of Conan, which are items between dots, an
// optional pre-release after the first hyphen and an optional build after the
// last plus; see https://docs.conan.io/2/tutorial/versioning/versions.html.
//
// Conan orders a number against a mixed item (10 against 9a) as text, which
// makes circles. Here the number that an item starts with counts first, which
// is the same in every case outside such a circle.
func compareConan(a, b string) int {
	a, abuild := cutLast(dropV(a), '+')
	b, bbuild := cutLast(dropV(b), '+')
	a, apre, _ := strings.Cut(a, "-")
	b, bpre, _ := strings.Cut(b, "-")
	if c := compareItems(a, b); c != 0 {
		return c
	}
	switch {
	case apre != "" && bpre != "":
		if c := compareItems(apre, bpre); c != 0 {
			return c
		}
	case apre != "":
		return -1
	case bpre != "":
		return 1
	}
	if abuild == "" || bbuild == "" {
		return cmp.Compare(len(abuild), len(bbuild))
	}
	return compareItems(abuild, bbuild)
}

// cutLast splits at the last sep.
func cutLast(s string, sep byte) (before, after string) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// compareItems orders dotted items; a missing item is zero, the first of all.
func compareItems(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := compareItem(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// compareItem orders two items by leading number, then by what follows it. An
// item without a number is after all that have one.
func compareItem(x, y string) int {
	n, m := digitRun(x), digitRun(y)
	xword, yword := n == 0 && x != "", m == 0 && y != ""
	switch {
	case xword && !yword:
		return 1
	case yword && !xword:
		return -1
	}
	if c := compareNumbers(x[:n], y[:m]); c != 0 {
		return c
	}
	return strings.Compare(x[n:], y[m:])
}
