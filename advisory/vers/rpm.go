// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"strings"
)

// compareRPM orders RPM versions, [epoch:]version[-release]; see
// https://rpm-software-management.github.io/rpm/manual/dependencies.html and
// https://docs.fedoraproject.org/en-US/packaging-guidelines/Versioning/. A
// version without a release is before the same version with any.
func compareRPM(a, b string) int {
	ae, a := cutRPMEpoch(a)
	be, b := cutRPMEpoch(b)
	if c := compareNumbers(ae, be); c != 0 {
		return c
	}
	ai, bi := strings.LastIndexByte(a, '-'), strings.LastIndexByte(b, '-')
	av, bv := a, b
	if ai >= 0 {
		av = a[:ai]
	}
	if bi >= 0 {
		bv = b[:bi]
	}
	if c := compareRPMPart(av, bv); c != 0 {
		return c
	}
	switch {
	case ai >= 0 && bi >= 0:
		return compareRPMPart(a[ai+1:], b[bi+1:])
	case ai >= 0:
		return 1
	case bi >= 0:
		return -1
	default:
		return 0
	}
}

// cutRPMEpoch splits off an epoch. What stands before a colon and is no number
// belongs to the version, as rpm itself reads it.
func cutRPMEpoch(v string) (epoch, rest string) {
	n := digitRun(v)
	if n < len(v) && v[n] == ':' {
		return v[:n], v[n+1:]
	}
	return "", v
}

// The marks that a part of an RPM version is made of, in their order. Anything
// else separates marks and does not count.
const (
	rpmTilde = iota // before the end: a pre-release
	rpmEnd
	rpmCaret // just after the end: a snapshot
	rpmWord
	rpmNumber
)

// compareRPMPart orders versions or releases, mark by mark.
func compareRPMPart(a, b string) int {
	for {
		var x, y int
		x, a = rpmMark(a)
		y, b = rpmMark(b)
		if x != y {
			return cmp.Compare(x, y)
		}
		n, m, c := 1, 1, 0
		switch x {
		case rpmEnd:
			return 0
		case rpmWord:
			n, m = letterRun(a), letterRun(b)
			c = strings.Compare(a[:n], b[:m])
		case rpmNumber:
			n, m = digitRun(a), digitRun(b)
			c = compareNumbers(a[:n], b[:m])
		}
		if c != 0 {
			return c
		}
		a, b = a[n:], b[m:]
	}
}

// rpmMark skips separators and tells what mark s then starts with.
func rpmMark(s string) (int, string) {
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			return rpmNumber, s[i:]
		case isLetter(c):
			return rpmWord, s[i:]
		case c == '~':
			return rpmTilde, s[i:]
		case c == '^':
			return rpmCaret, s[i:]
		}
	}
	return rpmEnd, ""
}
