// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"strings"
)

// The weights of what a composer version is made of. A number and "#" weigh the
// same; a missing part weighs as much against a word, and less than a number.
const (
	composerUnknown = iota - 1
	composerDev
	composerAlpha
	composerBeta
	composerRC
	composerNumber
	composerPatch
)

// compareComposer orders Packagist versions as PHP's version_compare does,
// https://www.php.net/manual/en/function.version-compare.php, after dropping a
// leading v as Composer does. Like PHP, and unlike Composer, it has 1.0 before
// 1.0.0 and knows no BETA in capitals.
func compareComposer(a, b string) (int, error) {
	a, b = dropV(a), dropV(b)
	x, a := composerPart(a)
	y, b := composerPart(b)
	if x == "" {
		return 0, unreadable(schemeComposer, a, "it has neither number nor word")
	}
	if y == "" {
		return 0, unreadable(schemeComposer, b, "it has neither number nor word")
	}
	for x != "" || y != "" {
		if c := compareComposerParts(x, y); c != 0 {
			return c, nil
		}
		x, a = composerPart(a)
		y, b = composerPart(b)
	}
	return 0, nil
}

// compareComposerParts orders two parts; "" is a missing one.
func compareComposerParts(x, y string) int {
	xn, yn := x != "" && isDigit(x[0]), y != "" && isDigit(y[0])
	switch {
	case xn && yn:
		return compareNumbers(x, y)
	case xn && y == "":
		return 1
	case yn && x == "":
		return -1
	default:
		return cmp.Compare(composerWeight(x), composerWeight(y))
	}
}

// composerPart takes the next number or word from s; a word is letters and "#",
// and everything else separates. It is "" at the end; s then is what it was.
func composerPart(s string) (part, rest string) {
	i := 0
	for i < len(s) && !isDigit(s[i]) && !isComposerWord(s[i]) {
		i++
	}
	if i == len(s) {
		return "", s
	}
	n := i + digitRun(s[i:])
	if n == i {
		for n < len(s) && isComposerWord(s[n]) {
			n++
		}
	}
	return s[i:n], s[n:]
}

func isComposerWord(c byte) bool { return isLetter(c) || c == '#' }

// composerWeight weighs a part by how it starts, as PHP does.
func composerWeight(part string) int {
	if part == "" || isDigit(part[0]) {
		return composerNumber
	}
	switch part[0] {
	case 'a':
		return composerAlpha
	case 'b':
		return composerBeta
	case '#':
		return composerNumber
	case 'p':
		return composerPatch
	}
	switch {
	case strings.HasPrefix(part, "dev"):
		return composerDev
	case strings.HasPrefix(part, "rc"), strings.HasPrefix(part, "RC"):
		return composerRC
	default:
		return composerUnknown
	}
}
