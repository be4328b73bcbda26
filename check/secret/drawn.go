// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// What nobody wrote by hand, told by the signs alone.

// A shape counts what a text is made of.
type shape struct {
	upper, lower, digits, marks int
	changes                     int // between those four
}

func shapeOf(s []byte) (sh shape) {
	last := -1
	for _, c := range s {
		kind := 3
		switch {
		case c >= '0' && c <= '9':
			sh.digits++
			kind = 0
		case c >= 'A' && c <= 'Z':
			sh.upper++
			kind = 1
		case c >= 'a' && c <= 'z':
			sh.lower++
			kind = 2
		default:
			sh.marks++
		}
		if last >= 0 && kind != last {
			sh.changes++
		}
		last = kind
	}
	return sh
}

// randomToken tells whether s was drawn: hexadecimal digits, a UUID, or letters
// and digits that change all the time and make no words. name is what it is
// assigned to, in lower case.
func randomToken(name string, s []byte) bool {
	return drawn(name, s) && !encodedWords(s)
}

// drawn is randomToken without a look into base64.
func drawn(name string, s []byte) bool {
	s = bytes.TrimRight(s, "=")
	if len(s) < 16 || counted(s) || known(s) {
		return false
	}
	s = bytes.TrimPrefix(s, []byte("0x"))
	n := len(s)
	for _, c := range s {
		if !wordByte(c) && !in(c, "+/-.~!@#%^&*?:=;,()$") {
			return false
		}
	}
	sh := shapeOf(s)
	letters := sh.upper + sh.lower
	switch {
	case hexadecimal(s):
		short := n == 16 && strings.Contains(name, "secret") && sh.digits >= 5
		return (n >= 20 || short) && 5*sh.digits >= n && letters >= 3
	case n >= 24 && hexadecimal(bytes.ToLower(s)): // put together of some
		return 5*sh.digits >= n && letters >= 3
	case n == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-':
		return sh.digits >= 6 && sh.marks == 4
	case sh.upper == n-sh.digits && base32Only(s):
		return sh.digits >= 2 && (strings.Contains(name, "secret") || strings.Contains(name, "otp") || strings.Contains(name, "seed")) ||
			n >= 24 && 10*sh.digits >= n && (strings.Contains(name, "api") || strings.Contains(name, "token")) && !wordy(s)
	case sh.upper > 1 && sh.lower > 1 && sh.digits > 2 && sh.marks <= 4 && 2*sh.changes >= n:
		return true // no words are written like that
	case wordy(s):
		return false
	case sh.marks > 4 && 4*sh.marks > n:
		// Keys of web frameworks hold as many signs as letters.
		return n >= 40 && sh.digits >= 3 && sh.lower >= 6 && 2*sh.changes >= n
	case sh.upper > 0 && sh.lower > 0 && sh.digits > 0:
		return 5*sh.changes >= 2*n
	case sh.upper > 2 && sh.lower > 2:
		return n >= 20 && 5*sh.changes >= 2*n // of those that were drawn, half
	}
	// Keys that somebody struck blindly change less than those that were drawn.
	return sh.digits >= 3 && letters >= 4 && sh.marks <= 2 && (10*sh.changes >= 3*n || n >= 24 && 10*sh.changes >= 2*n)
}

// encodedWords tells whether s is base64 of a text that was not drawn either.
func encodedWords(s []byte) bool {
	s = bytes.TrimRight(s, "=")
	var buf [maxValue]byte
	if base64.RawStdEncoding.DecodedLen(len(s)) > len(buf) {
		return false
	}
	n, err := base64.RawStdEncoding.Decode(buf[:], s)
	if err != nil || n < 12 {
		return false
	}
	for _, c := range buf[:n] {
		if c < ' ' || c >= 0x7F {
			return false
		}
	}
	for f := range bytes.FieldsFuncSeq(buf[:n], func(r rune) bool { return strings.ContainsRune("\"'{}[],:;| ", r) }) {
		if drawn("", f) || randomPassword(f) { // in an object of JSON, too
			return false
		}
	}
	return true
}

// known tells whether s begins as what other rules look into, or as what is
// public: keys of SSH, certificates, signed tokens, addresses of Ethereum, text that
// OpenSSL encrypted.
func known(s []byte) bool {
	for _, w := range [...]string{"AAAA", "MII", "LS0t", "U2FsdGVkX1", "ssh-", "xpub", "tpub", "pk_", "sha256-", "sha512-", "sha256:", "urn:"} {
		if bytes.HasPrefix(s, []byte(w)) {
			return true
		}
	}
	return bytes.HasPrefix(s, []byte("eyJ")) && bytes.Count(s, []byte(".")) >= 2 || bytes.HasPrefix(s, []byte("0x")) && len(s) == 42
}

// randomPassword tells whether s is a password that was drawn, not a word with a
// number behind it nor one in which numbers stand for letters.
func randomPassword(s []byte) bool {
	n := len(s)
	if n < 7 || n > 64 || counted(s) || weakWord(s) {
		return false
	}
	for _, c := range s {
		if c <= ' ' || c >= 0x7F || in(c, "\"'`<>(){}[]\\|$,;") {
			return false
		}
	}
	if in(s[0], "/.@&~:%") || bytes.Contains(s, []byte("://")) || bytes.Contains(s, []byte("...")) || bytes.Contains(s, []byte("***")) {
		return false
	}
	sh := shapeOf(s)
	if sh.digits == 0 || sh.upper+sh.lower < 3 || 5*sh.changes < 2*n || 2*sh.marks > n {
		return false
	}
	plain := []byte(strings.ToLower(string(s)))
	for i, c := range plain {
		if j := strings.IndexByte("0134578@$!", c); j >= 0 {
			plain[i] = "oleastbasi"[j]
		}
	}
	if wordy(plain) || wordy(s) {
		return false
	}
	for _, w := range [...]string{"pass", "pwd", "word", "secr", "test", "adm", "user", "root", "demo", "hello", "welc", "qwer", "abc", "letme", "chang", "login", "guest", "temp", "token", "super", "defau", "examp", "foo", "bar", "baz", "key"} {
		if bytes.Contains(plain, []byte(w)) {
			return false
		}
	}
	kinds := 0
	for _, k := range [...]int{sh.upper, sh.lower, sh.digits, sh.marks} {
		if k > 0 {
			kinds++
		}
	}
	return kinds >= 3 || n >= 10 && sh.digits >= 2
}

// counted tells whether the digits or the letters of s are in the order of the
// keys or of the alphabet.
func counted(s []byte) bool {
	if steady(s) {
		return true
	}
	var digits, letters []byte
	for _, c := range s {
		if c >= '0' && c <= '9' {
			digits = append(digits, c)
		} else if c |= foldBit; c >= 'a' && c <= 'z' {
			letters = append(letters, c)
		}
	}
	for _, w := range [...]string{"12345", "54321", "11111"} {
		if bytes.Contains(digits, []byte(w)) {
			return true
		}
	}
	for _, w := range [...]string{"abcdef", "qwerty", "asdfgh", "fedcba", "xyzxyz", "aaaaa", "xxxx"} {
		if bytes.Contains(letters, []byte(w)) {
			return true
		}
	}
	return false
}

// steady tells whether s is bytes in hexadecimal, one as far from the next as all
// others: 00010203, fffcf9f6, 5a5a5a5a.
func steady(s []byte) bool {
	b := make([]byte, len(s)/2)
	if _, err := hex.Decode(b, s[:len(s)&^1]); err != nil || len(b) < 4 {
		return false
	}
	for i := 2; i < len(b); i++ {
		if b[i]-b[i-1] != b[1]-b[0] {
			return false
		}
	}
	return true
}

func hexadecimal(s []byte) bool {
	upper, lower := false, false
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
		case c >= 'a' && c <= 'f':
			lower = true
		case c >= 'A' && c <= 'F':
			upper = true
		default:
			return false
		}
	}
	return !upper || !lower
}

func base32Only(s []byte) bool {
	for _, c := range s {
		if (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// wordy tells whether the letters of s follow each other as in words: nine in
// ten of the pairs in English, one in three of those that were drawn.
func wordy(s []byte) bool {
	pairs, common := 0, 0
	for i := 1; i < len(s); i++ {
		a, b := s[i-1]|foldBit, s[i]|foldBit
		if a < 'a' || a > 'z' || b < 'a' || b > 'z' {
			continue
		}
		pairs++
		if strings.IndexByte(followers(a), b) >= 0 {
			common++
		}
	}
	return pairs >= 4 && 20*common >= 13*pairs
}

// followers gives the letters that often follow a in words.
func followers(a byte) string {
	switch a {
	case 'a':
		return "bcdgilmnprstuvy"
	case 'b':
		return "aeiloruy"
	case 'c':
		return "aehikloprt"
	case 'd':
		return "adeiorsu"
	case 'e':
		return "acdelmnprstvxy"
	case 'f':
		return "aefiloru"
	case 'g':
		return "aehilors"
	case 'h':
		return "aeiort"
	case 'i':
		return "acdefglmnorstv"
	case 'j':
		return "aeou"
	case 'k':
		return "einsy"
	case 'l':
		return "adefilopsty"
	case 'm':
		return "abeimopsu"
	case 'n':
		return "acdegiknostuv"
	case 'o':
		return "bcdfklmnoprstuvw"
	case 'p':
		return "aehiloprstu"
	case 'q':
		return "u"
	case 'r':
		return "acdegiklmnostuvy"
	case 's':
		return "acehikmopstuw"
	case 't':
		return "aehiorstuwy"
	case 'u':
		return "bcdeglmnprst"
	case 'v':
		return "aeio"
	case 'w':
		return "aehiors"
	case 'x':
		return "aeipt"
	case 'y':
		return "eopst"
	}
	return "aeio"
}
