// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"strings"
)

// The phases of a release, in their order.
const (
	pepDevOnly = iota // 1.0.dev1 is before 1.0a0
	pepAlpha
	pepBeta
	pepRC
	pepFinal
)

// A pepVersion is a version of PEP 440, as parts of its text. A number that is
// not written is "", zero.
type pepVersion struct {
	epoch, release     string
	phase              int
	pre, postNo, devNo string
	post, dev          bool
	local              string
}

// comparePEP440 orders Python versions; see
// https://packaging.python.org/en/latest/specifications/version-specifiers/.
// What is no such version is ordered before all that are, as setuptools did.
func comparePEP440(a, b string) int {
	x, xok := parsePEP440(a)
	y, yok := parsePEP440(b)
	switch {
	case !xok && !yok:
		return compareLegacy(a, b)
	case !xok:
		return -1
	case !yok:
		return 1
	}
	if c := compareNumbers(x.epoch, y.epoch); c != 0 {
		return c
	}
	for x.release != "" || y.release != "" {
		var n, m string
		n, x.release = nextNumber(x.release)
		m, y.release = nextNumber(y.release)
		if c := compareNumbers(n, m); c != 0 {
			return c
		}
	}
	return cmp.Or(
		cmp.Compare(x.phase, y.phase),
		compareNumbers(x.pre, y.pre),
		compareBool(x.post, y.post),
		compareNumbers(x.postNo, y.postNo),
		compareBool(y.dev, x.dev),
		compareNumbers(x.devNo, y.devNo),
		compareLocal(x.local, y.local),
	)
}

// compareBool has false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// compareLocal orders local versions: none first, then segment by segment,
// words before numbers, fewer before more.
func compareLocal(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = cutSegment(a)
		y, b = cutSegment(b)
		xn, yn := allDigits(x), allDigits(y)
		c := 0
		switch {
		case xn && yn:
			c = compareNumbers(x, y)
		case xn:
			return 1
		case yn:
			return -1
		default:
			c = compareFold(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return compareBool(a != "", b != "")
}

// cutSegment splits at the first separator of a local version.
func cutSegment(s string) (before, after string) {
	for i := range len(s) {
		if isPEPSeparator(s[i]) {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func isPEPSeparator(c byte) bool { return c == '.' || c == '-' || c == '_' }

// parsePEP440 takes a version apart; ok is false for one that is not of the form
// [v][N!]N{.N}[{a|b|rc}N][.postN][.devN][+local], with all the spellings that
// the specification normalises.
func parsePEP440(s string) (v pepVersion, ok bool) {
	if s != "" && lower(s[0]) == 'v' {
		s = s[1:]
	}
	n := digitRun(s)
	if n > 0 && n < len(s) && s[n] == '!' {
		v.epoch, s = s[:n], s[n+1:]
		n = digitRun(s)
	}
	if n == 0 {
		return v, false
	}
	for n+1 < len(s) && s[n] == '.' && isDigit(s[n+1]) {
		n += 1 + digitRun(s[n+1:])
	}
	v.release, s = s[:n], s[n:]
	v.phase = pepFinal
	if s == "" {
		return v, true
	}
	s = v.parsePre(s)
	s = v.parsePost(s)
	s = v.parseDev(s)
	if v.dev && v.phase == pepFinal && !v.post {
		v.phase = pepDevOnly
	}
	if s == "" {
		return v, true
	}
	v.local, ok = parseLocal(s)
	return v, ok
}

// pepLabel reads an optional separator, a label in any case, and its number,
// which may have a separator before it. It gives s back when there is no label.
func pepLabel(s, label string) (number, rest string, ok bool) {
	t := s
	if t != "" && isPEPSeparator(t[0]) {
		t = t[1:]
	}
	if !hasPrefixFold(t, label) {
		return "", s, false
	}
	t = t[len(label):]
	if t != "" && isPEPSeparator(t[0]) {
		t = t[1:]
	}
	n := digitRun(t)
	return t[:n], t[n:], true
}

// pepPhases are the spellings of pre-releases, longer before shorter ones.
var pepPhases = [...]struct {
	label string
	phase int
}{
	{"alpha", pepAlpha}, {"beta", pepBeta}, {"preview", pepRC}, {"pre", pepRC},
	{"rc", pepRC}, {"a", pepAlpha}, {"b", pepBeta}, {"c", pepRC},
}

func (v *pepVersion) parsePre(s string) string {
	for _, p := range pepPhases {
		if number, rest, ok := pepLabel(s, p.label); ok {
			v.phase, v.pre = p.phase, number
			return rest
		}
	}
	return s
}

func (v *pepVersion) parsePost(s string) string {
	if len(s) > 1 && s[0] == '-' && isDigit(s[1]) {
		n := 1 + digitRun(s[1:])
		v.post, v.postNo = true, s[1:n]
		return s[n:]
	}
	for _, label := range [...]string{"post", "rev", "r"} {
		if number, rest, ok := pepLabel(s, label); ok {
			v.post, v.postNo = true, number
			return rest
		}
	}
	return s
}

func (v *pepVersion) parseDev(s string) string {
	number, rest, ok := pepLabel(s, "dev")
	if ok {
		v.dev, v.devNo = true, number
	}
	return rest
}

// parseLocal reads "+" and segments of letters and digits between separators.
func parseLocal(s string) (local string, ok bool) {
	if s[0] != '+' {
		return "", false
	}
	s = s[1:]
	for i := range len(s) {
		last := i == len(s)-1
		if !isAlnum(s[i]) && (!isPEPSeparator(s[i]) || i == 0 || last || !isAlnum(s[i-1])) {
			return "", false
		}
	}
	return s, s != ""
}

// A legacyPart is a number or a word of a version from before PEP 440.
type legacyPart struct {
	text   string
	number bool
}

// compareLegacy orders versions from before PEP 440 as setuptools did
// (https://setuptools.pypa.io/en/latest/history.html#v8-0): parts in turn, words
// before numbers, with "-", "final" and the names of pre-releases special.
func compareLegacy(a, b string) int {
	x, y := legacyParts(strings.ToLower(a)), legacyParts(strings.ToLower(b))
	for i := range min(len(x), len(y)) {
		if c := compareLegacyParts(x[i], y[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

func compareLegacyParts(x, y legacyPart) int {
	switch {
	case x.number && y.number:
		return comparePadded(x.text, y.text)
	case x.number:
		return 1
	case y.number:
		return -1
	default:
		return strings.Compare(x.text, y.text)
	}
}

// legacyWidth is the width to which setuptools padded numbers with zeros before
// it compared them as text.
const legacyWidth = 8

// comparePadded orders two numbers as text, each padded to legacyWidth.
func comparePadded(a, b string) int {
	apad, bpad := max(0, legacyWidth-len(a)), max(0, legacyWidth-len(b))
	for i := range min(len(a)+apad, len(b)+bpad) {
		x, y := byte('0'), byte('0')
		if i >= apad {
			x = a[i-apad]
		}
		if i >= bpad {
			y = b[i-bpad]
		}
		if x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a)+apad, len(b)+bpad)
}

// legacyParts splits s, in lower case, into numbers, words, hyphens and whatever
// stands between those. A word that is before "final" takes away hyphens and
// zeros before it, so that 1.0-rc1 is before 1.0.
func legacyParts(s string) []legacyPart {
	const final, hyphen = "final", "final-"
	var parts []legacyPart
	for s != "" {
		n := legacyRun(s)
		part := legacyPart{s[:n], isDigit(s[0])}
		s = s[n:]
		switch part.text {
		case ".":
			continue
		case "-":
			part.text = hyphen
		case "pre", "preview", "rc":
			part.text = "c"
		case "dev":
			part.text = "@"
		}
		parts = appendLegacy(parts, part, hyphen, final)
	}
	return appendLegacy(parts, legacyPart{text: final}, hyphen, final)
}

// appendLegacy appends a part and takes away what it makes void.
func appendLegacy(parts []legacyPart, part legacyPart, hyphen, final string) []legacyPart {
	n := len(parts)
	if !part.number {
		for n > 0 && part.text < final && parts[n-1].text == hyphen {
			n--
		}
		for n > 0 && parts[n-1].number && len(parts[n-1].text) <= legacyWidth && isZero(parts[n-1].text) {
			n--
		}
	}
	return append(parts[:n], part)
}

// legacyRun gives the length of the first part of s.
func legacyRun(s string) int {
	kind := func(c byte) int {
		switch {
		case isDigit(c):
			return 0
		case isLower(c):
			return 1
		case c == '.' || c == '-':
			return 2
		default:
			return 3
		}
	}
	k, n := kind(s[0]), 1
	for k != 2 && n < len(s) && kind(s[n]) == k {
		n++
	}
	return n
}
