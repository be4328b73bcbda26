// SPDX-License-Identifier: Apache-2.0

package vers

import "strings"

// Bulwark is the ecosystem of Bulwark's own facts about products that no other
// ecosystem knows. It is not OSV's.
const Bulwark = "Bulwark"

// The kinds of pieces of a product's version, in their order: 1.0rc1 is before
// 1.0, which is before 1.0a and 9.8p1, which are before 1.0.1.
const (
	pieceBefore = iota // alpha, beta, rc, pre, dev
	pieceEnd
	pieceWord
	pieceNumber
)

// compareProduct orders versions as the makers of programs write them, each with
// its own habits: 1.1.1k and 1.0.2zd (OpenSSL), 9.8p1 (OpenSSH), 9.9.7-P2 (BIND),
// 7.1.0-49 (ImageMagick), 1.3.5rc3 (ProFTPD), 128.3.1esr (Firefox). A version is
// its numbers and words; what stands between them only parts them.
func compareProduct(a, b string) (int, error) {
	for _, v := range [...]string{a, b} {
		if !isDigit(v[0]) {
			return 0, unreadable(schemeProduct, v, "it does not begin with a number")
		}
	}
	for {
		var x, y string
		var kx, ky int
		kx, x, a = piece(a)
		ky, y, b = piece(b)
		if kx != ky {
			if kx < ky {
				return -1, nil
			}
			return 1, nil
		}
		c := 0
		switch kx {
		case pieceEnd:
			return 0, nil
		case pieceNumber:
			c = compareNumbers(x, y)
		default:
			c = compareFold(x, y)
		}
		if c != 0 {
			return c, nil
		}
	}
}

// piece gives the first number or word of v, and what is behind it.
func piece(v string) (kind int, text, rest string) {
	for v != "" && !isAlnum(v[0]) {
		v = v[1:]
	}
	if v == "" {
		return pieceEnd, "", ""
	}
	if n := digitRun(v); n > 0 {
		return pieceNumber, v[:n], v[n:]
	}
	n := letterRun(v)
	kind = pieceWord
	switch strings.ToLower(v[:min(n, 8)]) {
	case "alpha", "beta", "rc", "pre", "dev":
		kind = pieceBefore
	}
	return kind, v[:n], v[n:]
}
