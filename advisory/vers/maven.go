// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"strings"
)

// The qualifiers that Maven knows, in their order. Others follow by name.
const (
	mavenAlpha = iota
	mavenBeta
	mavenMilestone
	mavenRC
	mavenSnapshot
	mavenRelease // no qualifier, and its names
	mavenSP
	mavenOther
)

// A mavenToken is a number or a qualifier of a version, after a dot or a hyphen.
type mavenToken struct {
	text   string
	number bool
	dot    bool
	rank   uint8 // of a qualifier
}

// null tells whether t says nothing at the end of a list: zero, or release.
func (t mavenToken) null() bool {
	if t.number {
		return isZero(t.text)
	}
	return t.rank == mavenRelease
}

// compareMaven orders Maven versions; see
// https://maven.apache.org/pom.html#version-order-specification. A version with
// an unresolved property ("${revision}") is an error, not a qualifier.
func compareMaven(a, b string) (int, error) {
	if strings.Contains(a, "${") {
		return 0, unreadable(schemeMaven, a, "it has an unresolved property")
	}
	if strings.Contains(b, "${") {
		return 0, unreadable(schemeMaven, b, "it has an unresolved property")
	}
	var abuf, bbuf [16]mavenToken // more than nearly all versions need
	x, y := mavenTokens(abuf[:0], a), mavenTokens(bbuf[:0], b)
	for i := range max(len(x), len(y)) {
		c := 0
		switch {
		case i >= len(x):
			c = -compareMavenEnd(y[i])
		case i >= len(y):
			c = compareMavenEnd(x[i])
		default:
			c = compareMavenTokens(x[i], y[i])
		}
		if c != 0 {
			return c, nil
		}
	}
	return 0, nil
}

// compareMavenEnd orders t against the end of the other version.
func compareMavenEnd(t mavenToken) int {
	switch {
	case !t.number:
		return cmp.Compare(t.rank, mavenRelease)
	case isZero(t.text):
		return 0
	default:
		return 1
	}
}

// compareMavenTokens orders two tokens: qualifiers after dots, then those after
// hyphens, then numbers after hyphens, then numbers after dots.
func compareMavenTokens(x, y mavenToken) int {
	switch {
	case x.number != y.number:
		return compareBool(x.number, y.number)
	case x.dot != y.dot:
		return compareBool(x.dot == x.number, y.dot == y.number)
	case x.number:
		return compareNumbers(x.text, y.text)
	case x.rank != y.rank || x.rank != mavenOther:
		return cmp.Compare(x.rank, y.rank)
	default:
		return compareFold(x.text, y.text)
	}
}

// mavenTokens splits v at dots, hyphens and the borders of numbers, which count
// as hyphens, and appends to ts. What says nothing before a hyphen, and at the
// end, is dropped.
func mavenTokens(ts []mavenToken, v string) []mavenToken {
	dot := true // the first number of a version is as one after a dot
	for {
		n := digitRun(v)
		t := mavenToken{text: v[:n], number: true, dot: dot}
		if n == 0 && v != "" && v[0] != '.' && v[0] != '-' {
			n = mavenWord(v)
			t = mavenToken{text: v[:n], dot: dot, rank: mavenRank(v[:n], n < len(v) && isDigit(v[n]))}
		}
		if !t.dot {
			ts = dropNull(ts)
		}
		ts = append(ts, t)
		v = v[n:]
		if v == "" {
			return dropNull(ts)
		}
		switch v[0] {
		case '.':
			dot, v = true, v[1:]
		case '-':
			dot, v = false, v[1:]
		default:
			dot = false
		}
	}
}

// mavenWord gives the length of the qualifier at the start of v.
func mavenWord(v string) int {
	n := 0
	for n < len(v) && !isDigit(v[n]) && v[n] != '.' && v[n] != '-' {
		n++
	}
	return n
}

// dropNull drops the tokens at the end that say nothing.
func dropNull(ts []mavenToken) []mavenToken {
	for len(ts) > 0 && ts[len(ts)-1].null() {
		ts = ts[:len(ts)-1]
	}
	return ts
}

// mavenRank ranks a qualifier, in any case. The one-letter names hold only
// right before a number (1.0a1).
func mavenRank(word string, beforeNumber bool) uint8 {
	if len(word) == 1 && beforeNumber {
		switch lower(word[0]) {
		case 'a':
			return mavenAlpha
		case 'b':
			return mavenBeta
		case 'm':
			return mavenMilestone
		}
	}
	switch len(word) {
	case 2:
		switch {
		case hasPrefixFold(word, "rc"), hasPrefixFold(word, "cr"):
			return mavenRC
		case hasPrefixFold(word, "ga"):
			return mavenRelease
		case hasPrefixFold(word, "sp"):
			return mavenSP
		}
	case 4:
		if hasPrefixFold(word, "beta") {
			return mavenBeta
		}
	case 5:
		switch {
		case hasPrefixFold(word, "alpha"):
			return mavenAlpha
		case hasPrefixFold(word, "final"):
			return mavenRelease
		}
	case 7:
		if hasPrefixFold(word, "release") {
			return mavenRelease
		}
	case 8:
		if hasPrefixFold(word, "snapshot") {
			return mavenSnapshot
		}
	case 9:
		if hasPrefixFold(word, "milestone") {
			return mavenMilestone
		}
	}
	return mavenOther
}
