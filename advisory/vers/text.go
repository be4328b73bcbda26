// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"strings"
)

// Versions are ASCII in every scheme, so all that follows works on bytes; other
// bytes are neither digits nor letters and keep their byte order.

func isDigit(c byte) bool { return c-'0' <= 9 }

func isLower(c byte) bool { return c-'a' <= 'z'-'a' }

func isLetter(c byte) bool { return (c|0x20)-'a' <= 'z'-'a' }

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }

// lower folds one ASCII letter.
func lower(c byte) byte {
	if c-'A' <= 'Z'-'A' {
		return c | 0x20
	}
	return c
}

// digitRun counts the digits at the start of s.
func digitRun(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// letterRun counts the letters at the start of s.
func letterRun(s string) int {
	n := 0
	for n < len(s) && isLetter(s[n]) {
		n++
	}
	return n
}

// allDigits tells whether s is one number. An empty s is none.
func allDigits(s string) bool { return s != "" && digitRun(s) == len(s) }

// trimZeros drops the leading zeros of a number; zero becomes "".
func trimZeros(s string) string {
	for s != "" && s[0] == '0' {
		s = s[1:]
	}
	return s
}

// isZero tells whether a run of digits is the number zero; "" is zero.
func isZero(s string) bool { return trimZeros(s) == "" }

// compareNumbers orders two runs of digits by value; "" is zero. A longer number
// is greater, so no arithmetic is needed and the size has no limit.
func compareNumbers(a, b string) int {
	if len(a) == 1 && len(b) == 1 {
		return cmp.Compare(a[0], b[0])
	}
	a, b = trimZeros(a), trimZeros(b)
	if len(a) != len(b) {
		return cmp.Compare(len(a), len(b))
	}
	return strings.Compare(a, b)
}

// compareFold orders two strings by byte, with ASCII letters folded.
func compareFold(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

// hasPrefixFold tells whether s starts with prefix, which is in lower case
// and not empty.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && lower(s[0]) == prefix[0] && compareFold(s[:len(prefix)], prefix) == 0
}

// dropV drops a leading v before a number, as in a tag.
func dropV(s string) string {
	if len(s) > 1 && s[0]|0x20 == 'v' && isDigit(s[1]) {
		return s[1:]
	}
	return s
}
