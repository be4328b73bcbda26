// SPDX-License-Identifier: Apache-2.0

package vers

import "strings"

// compareSemver orders versions of Semantic Versioning,
// https://semver.org/spec/v2.0.0.html#spec-item-11, and of its three relatives:
// NuGet ignores case, Pub orders builds, and Bitnami counts its rebuilds of a
// release after a hyphen.
//
// It reads more than the specification allows, because tags and advisories do
// so too: a leading v, one to any number of numbers (missing ones are zero),
// leading zeros, and a pre-release without its hyphen (1.21rc1).
func compareSemver(s scheme, a, b string) (int, error) {
	a, b = dropV(a), dropV(b)
	if why := notSemver(a); why != "" {
		return 0, unreadable(s, a, why)
	}
	if why := notSemver(b); why != "" {
		return 0, unreadable(s, b, why)
	}
	for {
		var x, y string
		x, a = nextNumber(a)
		y, b = nextNumber(b)
		if x == "" && y == "" {
			break
		}
		if c := compareNumbers(x, y); c != 0 {
			return c, nil
		}
	}
	if a == "" && b == "" {
		return 0, nil
	}
	a, abuild := cutBuild(a)
	b, bbuild := cutBuild(b)
	if s == schemeBitnami && (isRevision(a) || isRevision(b)) {
		return compareRevisions(a, b), nil
	}
	if c := comparePreRelease(a, b, s == schemeNuGet); c != 0 || s != schemePub {
		return c, nil
	}
	return comparePubBuild(abuild, bbuild), nil
}

// notSemver says why s cannot be read, or "".
func notSemver(s string) string {
	if !isDigit(s[0]) {
		return "it does not start with a number"
	}
	// Where a tag is due, for example in a workflow, a commit may stand. Read as
	// a version it would be a small number with a pre-release.
	if len(s) == 40 && isCommit(s) {
		return "it is a commit"
	}
	return ""
}

// isCommit tells whether s is in hexadecimal, with at least one letter.
func isCommit(s string) bool {
	letters := false
	for i := range len(s) {
		if !isDigit(s[i]) {
			if s[i]-'a' > 'f'-'a' {
				return false
			}
			letters = true
		}
	}
	return letters
}

// nextNumber takes the next number, and the dots before it, from the start of
// s; "" when what follows is no number.
func nextNumber(s string) (number, rest string) {
	for s != "" && s[0] == '.' {
		s = s[1:]
	}
	n := digitRun(s)
	return s[:n], s[n:]
}

// cutBuild splits what follows the numbers into pre-release and build, without
// the signs that introduce them.
func cutBuild(s string) (pre, build string) {
	pre, build, _ = strings.Cut(s, "+")
	if pre != "" && pre[0] == '-' {
		pre = pre[1:]
	}
	return pre, build
}

// comparePreRelease orders pre-releases, with none as the last of all.
func comparePreRelease(a, b string, fold bool) int {
	switch {
	case a == "" && b == "":
		return 0
	case a == "":
		return 1
	case b == "":
		return -1
	default:
		return compareIdentifiers(a, b, fold)
	}
}

// comparePubBuild orders builds as pub_semver does, with none as the first.
func comparePubBuild(a, b string) int {
	if a == "" || b == "" {
		return -comparePreRelease(a, b, false)
	}
	return compareIdentifiers(a, b, false)
}

// compareIdentifiers orders dotted identifiers: numbers by value and before
// words, words by byte, fewer before more.
func compareIdentifiers(a, b string, fold bool) int {
	for {
		x, arest, amore := strings.Cut(a, ".")
		y, brest, bmore := strings.Cut(b, ".")
		xn, yn := allDigits(x), allDigits(y)
		c := 0
		switch {
		case xn && yn:
			c = compareNumbers(x, y)
		case xn:
			return -1
		case yn:
			return 1
		case fold:
			c = compareFold(x, y)
		default:
			c = strings.Compare(x, y)
		}
		switch {
		case c != 0:
			return c
		case !amore && !bmore:
			return 0
		case !amore:
			return -1
		case !bmore:
			return 1
		}
		a, b = arest, brest
	}
}

// isRevision tells whether pre is a count of rebuilds: numbers only, or none.
func isRevision(pre string) bool {
	for i := range len(pre) {
		if !isDigit(pre[i]) && pre[i] != '.' {
			return false
		}
	}
	return true
}

// compareRevisions orders a and b when at least one of them counts rebuilds
// (https://github.com/bitnami/go-version). Rebuild 0 equals the release itself:
// advisories write 1.19.0-0 for the first version of a series.
func compareRevisions(a, b string) int {
	if !isRevision(a) {
		return -1
	}
	if !isRevision(b) {
		return 1
	}
	for a != "" || b != "" {
		var x, y string
		x, a = nextNumber(a)
		y, b = nextNumber(b)
		if c := compareNumbers(x, y); c != 0 {
			return c
		}
	}
	return 0
}
