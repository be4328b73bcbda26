// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"strings"
)

const (
	maxName  = 64  // bytes of a name before and after the keyword in it; a longer run is data
	maxGap   = 72  // bytes between a name and its value: operators, types, calls
	maxValue = 400 // bytes of a value; keys that are longer have forms of their own
	maxItems = 32  // values of one list
	maxProse = 40  // bytes of words between a name and the colon before its value
	maxBlank = 16  // bytes of blanks that may part a value from its name
	minBare  = 10  // bytes of a value that only a blank parts from its name
)

// findAssigned finds a value that nobody wrote by hand behind a name that says
// that it is secret, in whatever language: name = value, "name": "value",
// name("value"), <name>value</name>, --name value. It knows no service and goes
// by chance alone, see randomToken and randomPassword.
func findAssigned(r *rule, path string, data []byte, at int) ([]match, int) {
	from, to := at, at
	for from > 0 && at-from < maxName && nameByte(data[from-1]) {
		from--
	}
	for to < len(data) && to-at < maxName && nameByte(data[to]) {
		to++
	}
	if at-from == maxName || to-at == maxName || from == to {
		return nil, at + 1
	}
	option := data[from] == '-'
	start, end, quoted := assignedValue(data, to, option)
	if start < 0 {
		return nil, at + 1
	}
	value := data[start:end]
	if quoted && end < len(data) && in(data[end], "\r\n") && bytes.HasPrefix(value, []byte("eyJ")) {
		return nil, at + 1 // a signed token over some lines, which a rule of its own reads
	}
	list := bytes.IndexByte(data[to:start], '[') >= 0
	if quoted { // "Bearer abc" is one of its words
		if n := bytes.LastIndexByte(value, ' '); n >= 0 && n <= 8 {
			start += n + 1
			value = value[n+1:]
		}
	}
	name := strings.ToLower(string(data[from:to]))
	// In a program, what is not quoted is a name, but for the fields of an address.
	field := from > 0 && in(data[from-1], "&?")
	code := !quoted && sourceCode(path) && !field
	if !option && !field && len(bytes.Trim(data[to:start], " \t\"'`")) == 0 && start-to <= maxBlank && (!parted(name, value, quoted, code) || partedBefore(data[:from])) {
		return nil, at + 1
	}
	switch {
	case len(value) < 7 || code && bytes.IndexByte(value, '.') >= 0:
		return nil, at + 1
	case !secretive(name):
		return nil, at + 1
	case !drawnFor(name, path, value, field, code):
		return nil, at + 1
	case strings.Contains(path, "test_vector") || strings.Contains(path, "testvector") || strings.Contains(path, "test-vector"):
		return nil, at + 1 // of a standard
	case plainKey(name) && (len(value) < 22 || strings.Contains(name, "consumer") || bytes.Contains(bytes.ToLower(data[end:min(len(data), end+64)]), []byte("secret"))):
		return nil, at + 1 // of a key and a secret, the key is the name
	}
	found := []match{{rule: r, start: start, end: end, secret: value, whole: data[from:end], severity: r.Severity}}
	// What looks further at the same bytes, as at a key in base64, is not kept
	// from them: hence no more than the place is said to be done.
	done := at + 1
	for quoted && list && len(found) < maxItems {
		if start, end = nextItem(data, end); start < 0 {
			break
		}
		if value = data[start:end]; len(value) < 7 || !drawnFor(name, path, value, field, code) {
			break
		}
		found = append(found, match{rule: r, start: start, end: end, secret: value, whole: value, severity: r.Severity})
		done = start // so that no list is walked again for what stands in it
	}
	return found, done
}

// parted tells whether value belongs to a name that only blanks part it from:
// password "abc", ENV TOKEN abc. In a program and in prose, much more does.
func parted(name string, value []byte, quoted, code bool) bool {
	if code {
		return false
	}
	sh := shapeOf(value)
	return quoted || len(value) >= 16 || strings.Contains(name, "pass") && sh.upper > 0 && sh.lower > 0 && sh.digits > 1 && 2*sh.changes >= len(value)
}

// partedBefore tells whether before ends in a way that what follows is no name
// with a value: a path, or the part of a statement of SQL that a password follows,
// for which there is a rule.
func partedBefore(before []byte) bool {
	if bytes.HasSuffix(before, []byte("/")) {
		return true
	}
	low := bytes.ToLower(before[max(0, len(before)-10):])
	return bytes.HasSuffix(low, []byte(" by ")) || bytes.HasSuffix(low, []byte("with ")) || bytes.HasSuffix(low, []byte("encrypted "))
}

// drawnFor tells whether value was drawn, for a name: a password may be short.
func drawnFor(name, path string, value []byte, field, code bool) bool {
	if strings.Contains(name, "pass") || strings.Contains(name, "pwd") || name == "psk" {
		if path == "" { // an environment, where the name counts, see package image
			return false
		}
		return randomToken(name, value) || !code && randomPassword(value)
	}
	return randomToken(name, value) || field && len(value) >= 10 && randomPassword(value)
}

// nextItem gives the text in quotes that follows the one that ends at i, after a
// comma; -1 when the list ends.
func nextItem(data []byte, i int) (start, end int) {
	comma := false
	i++
	for limit := min(len(data), i+maxGap); i < limit; i++ {
		switch c := data[i]; {
		case c == ',' && !comma:
			comma = true
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		case comma && (c == '"' || c == '\'' || c == '`'):
			i++
			n := bytes.IndexAny(data[i:min(len(data), i+maxValue)], string([]byte{c, '\\', '\n', '\r'}))
			if n <= 0 || data[i+n] != c {
				return -1, -1
			}
			return i, i + n
		default:
			return -1, -1
		}
	}
	return -1, -1
}

// plainKey tells whether a name is that of any key: of a cipher, or of a table.
func plainKey(name string) bool {
	return strings.HasSuffix(name, "key") && !strings.Contains(name, "api") && !strings.Contains(name, "secret") && !strings.Contains(name, "priv")
}

func nameByte(b byte) bool { return wordByte(b) || b == '-' || b == '.' || b == '$' }

// assignedValue gives the value that is assigned to the name that ends at i, and
// whether it was in quotes; -1 when there is none. After an option of a command
// a space is enough.
func assignedValue(data []byte, i int, option bool) (start, end int, quoted bool) {
	op, lines, calls := option, 0, 0
	var last byte // the last operator
	limit := min(len(data), i+maxGap)
	if n := pairValue(data[i:limit]); n > 0 {
		i, op, last = i+n, true, '='
	}
	for i < limit {
		c := data[i]
		switch {
		case c == ' ' || c == '\t' || c == '\\' || c == '\r' || c == ']':
			i++
		case c == '\n':
			if lines++; !op || option || lines > 1 {
				return -1, -1, false
			}
			i++
		case c == '|' && !op && (i+1 == limit || data[i+1] != '|'): // a table
			return -1, -1, false
		case c == '<' && i+1 < limit && data[i+1] == '(': // of a shell: what a command prints
			i++
		case c == '[' && i+1 < limit && data[i+1] == ']': // of Go: a type
			i += 2
		case in(c, "=:>|?,(&!"):
			op, last = true, c
			i++
		case c == '-' && op && !option && i+1 < limit && data[i+1] == ' ': // a list of YAML
			i++
		case c == ')' && i+1 < limit && data[i+1] == '.': // expect(token).toBe("abc"), token().should.equal("abc")
			n := comparison(data[i+1 : limit])
			if n < 0 {
				return -1, -1, false
			}
			op, last = true, '('
			i += 1 + n
		case c == ')' && !op && i+4 < limit && string(data[i:i+4]) == ") { " && in(data[i+4], "\"'"): // let(:name) { "…" }
			op, last = true, '='
			i += 4
		case c == '[' && in(last, "=:") && i+1 < limit && in(data[i+1], " \t\r\n\"'`"): // a list
			i++
		case c == '{' && in(last, "=:"): // keys by their version
			n := versionKey(data[i+1 : limit])
			if n < 0 {
				return -1, -1, false
			}
			i += 1 + n
		case c == '"' || c == '\'' || c == '`':
			i++
			switch {
			case !op && in(data[i-2], " \t"): // password "abc"
			case !op:
				continue // closes the name
			case c == '`' && i < limit && data[i] == '`': // of reStructuredText
				i++
			}
			n := bytes.IndexAny(data[i:min(len(data), i+maxValue)], string([]byte{c, '\\', '\n', '\r'}))
			if n < 0 {
				return -1, -1, false
			}
			return i, i + n, true
		default:
			if !op && in(data[i-1], " \t") { // ENV TOKEN abc
				if end = bareWord(data, i); end > 0 {
					return i, end, false
				}
			}
			if !op && c >= 'a' && c <= 'z' && data[i-1] == ' ' { // Password for this key: abc
				if i = proseColon(data, i); i < 0 {
					return -1, -1, false
				}
				op, last = true, ':'
				continue
			}
			if !op || !wordByte(c) && !in(c, "+/-~!@#%^*") {
				return -1, -1, false
			}
			j := i
			for j < limit && (wordByte(data[j]) || data[j] == '.') {
				j++
			}
			next := j
			for next < limit && data[next] == ' ' {
				next++
			}
			switch {
			case j == limit || next == limit:
			case j == i+3 && data[j] == '(' && string(data[i:j]) == "ENC": // encrypted
				return -1, -1, false
			case j > i && data[j] == '(':
				if calls++; calls > 2 {
					return -1, -1, false
				}
				i = j + 1
				continue
			case j > i && j-i <= 3 && (data[j] == '"' || data[j] == '\''): // b"…"
				i = j
				continue
			case (last == ':' || last == '&') && data[next] == '=' && next > j: // the name's type
				i = next
				continue
			case last == ',' && data[next] == ':' && next > j: // a second name: a, err := …
				i = next
				continue
			case next > j && j-i <= 4 && (string(data[i:j]) == "new" || string(data[i:j]) == "or" || string(data[i:j]) == "echo"):
				i = next
				continue
			}
			for j = i; j < len(data) && j-i < maxValue && data[j] > ' ' && data[j] < 0x7F && !in(data[j], "\"'`,;<>(){}[]&|\\$"); {
				j++
			}
			if j < len(data) && in(data[j], "({[$") {
				return -1, -1, false // a call, a template
			}
			return i, j, false
		}
	}
	return -1, -1, false
}

// comparison counts the bytes of the calls at the start of b that compare with
// what follows in brackets, .should.equal( or .toBe(; -1 when there is none.
func comparison(b []byte) int {
	n := 0
	for n < len(b) && (wordByte(b[n]) || b[n] == '.') {
		n++
	}
	if n == len(b) || b[n] != '(' || !bytes.Contains(b[:n], []byte("qual")) && !bytes.Contains(b[:n], []byte("eql")) && !bytes.HasSuffix(b[:n], []byte("toBe")) {
		return -1
	}
	return n + 1
}

// pairValue counts the bytes between a name that is a value itself and what is
// called its value: name="token" value="abc", "name": "token", "value": "abc",
// and a key and a text of a property list; 0 when there is none.
func pairValue(b []byte) int {
	if bytes.HasPrefix(b, []byte("</key>")) {
		n := bytes.IndexByte(b, '>') + 1
		n += len(b[n:]) - len(bytes.TrimLeft(b[n:], " \t\r\n"))
		if bytes.HasPrefix(b[n:], []byte("<string>")) {
			return n + len("<string>")
		}
		return 0
	}
	i := 0
	for i < len(b) && i < 32 && in(b[i], "\"' \t\r\n,{") {
		i++
	}
	if i < 2 || i == len(b) || b[i]|foldBit != 'v' && b[i] != 'd' {
		return 0
	}
	j := i
	for j < len(b) && wordByte(b[j]) {
		j++
	}
	switch string(b[i:j]) {
	case "value", "Value", "default":
	default:
		return 0
	}
	for j < len(b) && in(b[j], "\"' \t") {
		j++
	}
	if j == len(b) || b[j] != ':' && b[j] != '=' {
		return 0
	}
	return j + 1
}

// bareWord gives the end of the word at i when it has a digit and may be a value
// by itself, else 0.
func bareWord(data []byte, i int) int {
	j, digits := i, 0
	for ; j < len(data) && j-i < maxValue && (wordByte(data[j]) || in(data[j], "+/-=~!@#%^*.")); j++ {
		if data[j] >= '0' && data[j] <= '9' {
			digits++
		}
	}
	if digits < 2 || j-i < minBare || j < len(data) && !in(data[j], " \t\r\n;<\\") {
		return 0
	}
	return j
}

// proseColon gives the place behind the colon and the blank that end the words at
// i, in lower case, or behind "is"; -1 when there are none within maxProse bytes.
func proseColon(data []byte, i int) int {
	begin := i
	for limit := min(len(data)-1, i+maxProse); i < limit; i++ {
		switch c := data[i]; {
		case c == ' ' && i == begin+2 && data[begin] == 'i' && data[begin+1] == 's' && bareWord(data, i+1) > 0:
			return i + 1
		case c == ' ' || c == '@' || c >= 'a' && c <= 'z':
		case c == ':' && data[i+1] == ' ':
			return i + 2
		default:
			return -1
		}
	}
	return -1
}

// versionKey counts the bytes of a key of three signs at most, one of them a
// digit, in quotes and with its colon, at the start of b; -1 when there is none.
func versionKey(b []byte) int {
	i := len(b) - len(bytes.TrimLeft(b, " \t\r\n"))
	if i == len(b) || !in(b[i], "\"'") {
		return -1
	}
	n := bytes.IndexByte(b[i+1:min(len(b), i+5)], b[i])
	if n < 1 || bytes.IndexAny(b[i+1:i+1+n], "0123456789") < 0 {
		return -1
	}
	i += n + 2
	for i < len(b) && b[i] == ' ' {
		i++
	}
	if i == len(b) || b[i] != ':' {
		return -1
	}
	return i + 1
}

// secretive tells whether a name, in lower case, is that of the secret itself:
// not of what is published, counted or looked up, nor of its place or kind.
func secretive(name string) bool {
	for _, w := range [...]string{"public", "publish", "pubkey", "pub_key", "sitekey", "site_key", "digest", "fingerprint", "checksum", "integrity", "address", "contract", "page", "next", "contin", "cursor", "sync", "resum", "idempot", "tokeniz", "purchase", "csrf", "xsrf", "authenticity", "keyid", "key_id", "key-id", "class"} {
		if strings.Contains(name, w) {
			return false
		}
	}
	if strings.Contains(name, "hash") && !strings.Contains(name, "pass") && name != "hash_base64" && name != "hash_hex" {
		return false
	}
	name = strings.TrimRight(name, "_-.")
	for _, w := range [...]string{"id", "ids", "type", "name", "url", "uri", "path", "file", "dir", "endpoint", "expires", "expiry", "length", "size", "index", "count", "field", "header", "regex", "pattern", "label", "prefix", "version", "arn", "hint", "title", "description", "ref", "policy", "algorithm", "format", ".encode", ".decode"} {
		if strings.HasSuffix(name, w) {
			return false
		}
	}
	return true
}
