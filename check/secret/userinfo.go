// SPDX-License-Identifier: Apache-2.0

package secret

import "bytes"

const (
	maxScheme   = 32  // bytes of an address's scheme
	maxUserinfo = 512 // bytes of a name and password in an address
)

// findUserinfo finds a password, or a token in the place of a name, in an
// address of any scheme (RFC 3986, section 3.2.1). at is the place of "://".
func findUserinfo(r *rule, _ string, data []byte, at int) ([]match, int) {
	from := at + len("://")
	colon, host := -1, -1
	limit := min(len(data), from+maxUserinfo)
scan:
	for i := from; i < limit; i++ {
		switch c := data[i]; c {
		case ':':
			if colon < 0 {
				colon = i
			}
		case '@':
			host = i // the last one counts
		case '/', '?', '#', '"', '\'', '`', '<', '>', '\\', '{', '}', '$', '|', '(', ')', '*', ',', ';':
			break scan
		default:
			if c <= ' ' || c >= 0x7F {
				break scan
			}
		}
	}
	if host < 0 || host+1 >= len(data) || !wordByte(data[host+1]) && data[host+1] != '[' {
		return nil, at + 1
	}
	begin := at
	for begin > 0 && at-begin < maxScheme && (wordByte(data[begin-1]) || in(data[begin-1], "+.-")) {
		begin--
	}
	if at-begin < 2 || at-begin == maxScheme {
		return nil, at + 1
	}
	user, password := data[from:host], []byte(nil)
	if colon >= 0 && colon < host {
		user, password = data[from:colon], data[colon+1:host]
	}
	// What is written as %2F is one sign.
	plain := make([]byte, 0, len(password))
	for i := 0; i < len(password); i++ {
		if password[i] == '%' && i+2 < len(password) {
			plain, i = append(plain, '-'), i+2
		} else {
			plain = append(plain, password[i])
		}
	}
	m := match{rule: r, whole: data[begin : host+1], severity: r.Severity}
	switch {
	case len(plain) >= 6 && !bytes.EqualFold(user, password) && (randomPassword(plain) || randomToken("", plain)):
		m.start, m.end = colon+1, host
	case len(password) <= 1 || string(password) == "x-oauth-basic":
		// A name in front of no password is one, or the public half of a pair.
		if colon < 0 || colon > host || len(user) < 20 || !randomToken("", user) {
			return nil, at + 1
		}
		m.start, m.end = from, colon
	default:
		return nil, at + 1
	}
	m.secret = data[m.start:m.end]
	return []match{m}, at + 1
}
