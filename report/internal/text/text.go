// SPDX-License-Identifier: Apache-2.0

// Package text makes strings that an attacker chose fit to be shown: it names
// control and direction characters instead of sending them, measures and cuts
// by terminal columns, and says numbers in words. It does not know reports,
// colours or markup.
package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks in a row are shown on one letter. More
// than a few is not writing; it is ink over other lines.
const maxMarks = 4

// Clean gives s on one line with nothing in it that moves a cursor, turns the
// writing direction or is invisible: such characters become their names in the
// form of Go's escapes, for example \x1b, \u202e or \n. Bytes that are not UTF-8
// become \xff. The answer of a clean string is the string.
func Clean(s string) string { return clean(s, false) }

// Block is Clean for text of several lines: line feeds stay, and a tab becomes
// a space.
func Block(s string) string { return clean(s, true) }

// Safe tells whether r can be shown as it is.
func Safe(r rune) bool {
	// IsPrint is false for controls, formats (bidirectional marks, zero-width
	// characters, tags), private use, surrogates and every space but U+0020.
	// The fillers count as letters and look like nothing.
	switch r {
	case 0x115f, 0x1160, 0x3164, 0xffa0, 0x2800:
		return false
	}
	return unicode.IsPrint(r)
}

func clean(s string, lines bool) string {
	i := 0
	for i < len(s) && s[i] >= ' ' && s[i] < 0x7f {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:i])
	marks := 0
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x`)
			b.WriteString(hex(uint32(s[i]), 2))
		case lines && r == '\n':
			b.WriteByte('\n')
		case lines && r == '\r':
		case lines && r == '\t':
			b.WriteByte(' ')
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks <= maxMarks {
				b.WriteString(s[i : i+n])
			}
			i += n
			continue
		case Safe(r):
			b.WriteString(s[i : i+n])
		default:
			b.WriteString(escape(r))
		}
		marks = 0
		i += n
	}
	return b.String()
}

// ASCII gives Clean(s) with every other character outside ASCII named, too.
func ASCII(s string) string {
	s = Clean(s)
	var b strings.Builder
	for i, r := range s {
		if r < utf8.RuneSelf {
			if b.Len() > 0 {
				b.WriteRune(r)
			}
			continue
		}
		if b.Len() == 0 {
			b.WriteString(s[:i])
		}
		b.WriteString(escape(r))
	}
	if b.Len() == 0 {
		return s
	}
	return b.String()
}

func escape(r rune) string {
	switch {
	case r < 0x80:
		return `\x` + hex(uint32(r), 2)
	case r < 0x10000:
		return `\u` + hex(uint32(r), 4)
	}
	return `\U` + hex(uint32(r), 8)
}

func hex(v uint32, digits int) string {
	s := strconv.FormatUint(uint64(v), 16)
	return strings.Repeat("0", max(0, digits-len(s))) + s
}

// Count gives n with a comma between thousands.
func Count[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Plural gives the count and the right one of two words: "1 layer", "2 layers".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

// Bytes gives a size in the decimal units that registries use: "142 MB".
func Bytes(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n), 0
	for v >= 999.5 && unit < 5 {
		v /= 1000
		unit++
	}
	prec := 0
	if v < 9.95 {
		prec = 1
	}
	return strconv.FormatFloat(v, 'f', prec, 64) + " " + []string{"B", "kB", "MB", "GB", "TB", "PB"}[unit]
}

// Age gives a number of seconds in the unit that suits it: "3 days", "5 hours".
func Age(seconds int64) string {
	switch {
	case seconds < 0:
		return "unknown age"
	case seconds < 2*60:
		return Plural(int(seconds), "second", "seconds")
	case seconds < 2*3600:
		return Plural(int(seconds/60), "minute", "minutes")
	case seconds < 2*86400:
		return Plural(int(seconds/3600), "hour", "hours")
	}
	return Plural(int(seconds/86400), "day", "days")
}

// Duration gives milliseconds as a person says them: "85 ms", "3.2 s", "4 min 10 s".
func Duration(ms int64) string {
	switch {
	case ms < 1000:
		return strconv.FormatInt(max(ms, 0), 10) + " ms"
	case ms < 60_000:
		return strconv.FormatFloat(float64(ms)/1000, 'f', 1, 64) + " s"
	}
	return Count(ms/60_000) + " min " + strconv.FormatInt(ms/1000%60, 10) + " s"
}

// Quote gives s as one word for a POSIX shell, bare where that is safe.
func Quote(s string) string {
	s = Clean(s)
	bare := s != "" && s[0] != '-' && s[0] != '~'
	for i := 0; i < len(s) && bare; i++ {
		c := s[i]
		bare = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("@%+=:,./_-", c) >= 0
	}
	if bare {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// HTTPS gives u when it is a plain https URL without user, control or space
// characters, and "" when it is anything else.
func HTTPS(u string) string {
	rest, ok := strings.CutPrefix(u, "https://")
	host, _, _ := strings.Cut(rest, "/")
	if !ok || host == "" || len(u) > 2048 || strings.Contains(host, "@") {
		return ""
	}
	for i := 0; i < len(u); i++ {
		if c := u[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"'<>\\^`{|}", c) >= 0 {
			return ""
		}
	}
	return u
}
