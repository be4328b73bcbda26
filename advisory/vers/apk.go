// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"strings"
)

// An apkKind is a piece of an apk version. The order of the kinds is the order
// of versions that are the same up to a piece of different kind: more numbers
// win over a letter, a letter over a suffix, and so on; anything valid wins over
// the end, and the end over what apk does not accept.
type apkKind uint8

const (
	apkBroken apkKind = iota // everything from here on is not a version
	apkGap                   // a dot without its number
	apkEnd
	apkRevision // -r3
	apkHash     // ~0123abcd
	apkSuffixNo // the 2 of _rc2
	apkSuffix   // _rc, _p
	apkLetter   // the b of 1.2b
	apkNumber   // the 2 of 1.2
	apkFirst    // the 1 of 1.2
)

// apkSuffixes is the order of suffixes; the first four are before the release.
var apkSuffixes = [...]string{"alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"}

const apkPreReleases = 4

// An apkPiece is one piece and its text, without the sign that introduces it.
type apkPiece struct {
	kind   apkKind
	suffix uint8 // index into apkSuffixes
	text   string
}

// compareAPK orders apk versions, number{.number}[letter]{_suffix[number]}
// [~hash][-r#], as apk-tools since 2.14 does; see
// https://man.archlinux.org/man/extra/apk-tools/apk-package.5.en. It is lenient
// as apk is: what follows the first fault of a version does not count, and a
// version with a fault is before the one without.
func compareAPK(a, b string) (int, error) {
	x, a := apkStart(a)
	y, b := apkStart(b)
	if x.kind == apkBroken {
		return 0, unreadable(schemeAPK, a, "it does not start with a number")
	}
	if y.kind == apkBroken {
		return 0, unreadable(schemeAPK, b, "it does not start with a number")
	}
	for x.kind == y.kind {
		if x.kind == apkEnd || x.kind == apkBroken {
			return 0, nil
		}
		if c := comparePieces(x, y); c != 0 {
			return c, nil
		}
		x, a = apkNext(x.kind, a)
		y, b = apkNext(y.kind, b)
	}
	if x.kind == apkSuffix && x.suffix < apkPreReleases {
		return -1, nil
	}
	if y.kind == apkSuffix && y.suffix < apkPreReleases {
		return 1, nil
	}
	return cmp.Compare(x.kind, y.kind), nil
}

// comparePieces orders two pieces of the same kind.
func comparePieces(x, y apkPiece) int {
	switch x.kind {
	case apkNumber:
		// Numbers after the first are decimal fractions when one of them is
		// written with a leading zero: 1.05 is before 1.1.
		if x.text[0] == '0' || y.text[0] == '0' {
			return strings.Compare(x.text, y.text)
		}
		return compareNumbers(x.text, y.text)
	case apkFirst, apkSuffixNo, apkRevision:
		return compareNumbers(x.text, y.text)
	case apkSuffix:
		return cmp.Compare(x.suffix, y.suffix)
	default:
		return strings.Compare(x.text, y.text)
	}
}

// apkStart reads the first number. A version that starts with a dot or a letter
// is read as one that lacks its first number.
func apkStart(s string) (apkPiece, string) {
	if n := digitRun(s); n > 0 {
		return apkPiece{kind: apkFirst, text: s[:n]}, s[n:]
	}
	if s != "" && (s[0] == '.' || isLower(s[0])) {
		return apkPiece{kind: apkGap}, s
	}
	return apkPiece{kind: apkBroken}, s
}

// apkNext reads the piece at the start of s, which follows one of kind prev.
func apkNext(prev apkKind, s string) (apkPiece, string) {
	if s == "" {
		return apkPiece{kind: apkEnd}, ""
	}
	inNumbers := prev == apkFirst || prev == apkNumber || prev == apkGap
	switch c := s[0]; {
	case c == '.' && inNumbers:
		if n := digitRun(s[1:]); n > 0 {
			return apkPiece{kind: apkNumber, text: s[1 : n+1]}, s[n+1:]
		}
		return apkPiece{kind: apkGap}, s[1:]
	case isDigit(c) && prev == apkLetter: // 6.6.2p1: apk goes on with numbers
		n := digitRun(s)
		return apkPiece{kind: apkNumber, text: s[:n]}, s[n:]
	case isDigit(c) && prev == apkSuffix:
		n := digitRun(s)
		return apkPiece{kind: apkSuffixNo, text: s[:n]}, s[n:]
	case isLower(c) && inNumbers:
		return apkPiece{kind: apkLetter, text: s[:1]}, s[1:]
	case c == '_' && prev >= apkSuffixNo || c == '_' && prev == apkGap:
		n := letterRun(s[1:])
		for i, name := range apkSuffixes {
			if s[1:n+1] == name {
				return apkPiece{kind: apkSuffix, suffix: uint8(i)}, s[n+1:]
			}
		}
	case c == '~' && prev > apkHash:
		n := 1
		for n < len(s) && (isDigit(s[n]) || s[n]-'a' <= 'f'-'a') {
			n++
		}
		if n > 1 {
			return apkPiece{kind: apkHash, text: s[1:n]}, s[n:]
		}
	case c == '-' && prev != apkRevision && len(s) > 1 && s[1] == 'r':
		n := digitRun(s[2:])
		// -r alone is -r0, but -rc is no revision.
		if n > 0 || len(s) == 2 || !isLetter(s[2]) {
			return apkPiece{kind: apkRevision, text: s[2 : n+2]}, s[n+2:]
		}
	}
	return apkPiece{kind: apkBroken}, ""
}
