// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A finder looks for r where one of its keywords stands, in place of an
// expression. It gives what it found and how far it looked.
type finder func(r *rule, path string, data []byte, at int) (found []match, end int)

func finderNamed(name string) (finder, bool) {
	switch name {
	case "pem":
		return findPEM, true
	case "pem-base64":
		return findEncodedPEM, true
	case "putty":
		return findPuTTY, true
	case "keystore":
		return findNothing, true
	case "assigned":
		return findAssigned, true
	case "userinfo":
		return findUserinfo, true
	}
	return nil, false
}

// maxKey bounds the text of one key; an RSA key of 16,384 bits takes 12,700
// bytes, and quoting and indentation come on top.
const maxKey = 32 << 10

func findNothing(_ *rule, _ string, _ []byte, at int) ([]match, int) { return nil, at + 1 }

// findPEM finds a private key between its BEGIN and END lines, as a file, quoted
// in a program, or indented in a document.
func findPEM(r *rule, _ string, data []byte, at int) ([]match, int) {
	label, length := pemLabel(data[at:])
	if length == 0 {
		return nil, at + 1
	}
	if !strings.HasSuffix(label, "PRIVATE KEY") && label != "PGP PRIVATE KEY BLOCK" {
		return nil, at + length
	}
	from := at + length
	body := data[from:min(len(data), from+maxKey)]
	closed := false
	end := from + len(body)
	if n := bytes.Index(body, []byte("----")); n >= 0 { // the end, or another beginning
		tail := bytes.TrimLeft(body[n:], "- ")
		body, closed, end = body[:n], bytes.HasPrefix(tail, []byte("END")), from+n
	}
	k, ok := parseKey(label, body, closed)
	if !ok {
		return nil, from
	}
	m := match{rule: r, start: at, end: end, secret: bytes.TrimSpace(body), whole: data[at:end], severity: r.Severity, note: k.kind}
	switch {
	case k.encrypted:
		m.severity = bulwark.SeverityLow
		m.note += ", encrypted with a passphrase"
	case k.doubtful:
		m.severity = bulwark.SeverityMedium
		m.note += ", which does not parse as a key"
	}
	return []match{m}, end
}

// pemLabel gives what stands between "-----BEGIN " and "-----" at the start of
// b, and the length of all; 0 when there is none.
func pemLabel(b []byte) (string, int) {
	b = b[:min(len(b), 96)]
	open, shut := "-----BEGIN ", "-----"
	if bytes.HasPrefix(b, []byte("---- BEGIN ")) {
		open, shut = "---- BEGIN ", " ----"
	} else if !bytes.HasPrefix(b, []byte(open)) {
		return "", 0
	}
	label, _, ok := bytes.Cut(b[len(open):], []byte(shut))
	if !ok || len(label) > 64 {
		return "", 0
	}
	for _, c := range label {
		if c != ' ' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return "", 0
		}
	}
	return string(label), len(open) + len(label) + len(shut)
}

// A key is what can be told of a private key without using it.
type key struct {
	kind      string
	encrypted bool
	doubtful  bool // right form, wrong content
}

// parseKey looks into the body of an armoured key. A body with anything in it
// but base64, header lines and quoting is a sample that was cut short.
func parseKey(label string, body []byte, closed bool) (key, bool) {
	k := key{kind: strings.TrimSuffix(label, " BLOCK")}
	k.encrypted = bytes.Contains(body, []byte("ENCRYPTED")) || strings.Contains(label, "ENCRYPTED")
	armour, clean := unarmour(body)
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(armour)))
	n, err := base64.RawStdEncoding.Decode(raw, armour)
	if err != nil && len(armour)%4 == 1 {
		n, err = base64.RawStdEncoding.Decode(raw, armour[:len(armour)-1])
	}
	raw = raw[:n]
	if err != nil || len(raw) < 32 {
		return k, false
	}
	sound := false
	switch {
	case label == "OPENSSH PRIVATE KEY":
		rest, ok := bytes.CutPrefix(raw, []byte("openssh-key-v1\x00"))
		if ok && len(rest) > 8 {
			size := binary.BigEndian.Uint32(rest)
			sound = size <= 64 && int(size) <= len(rest)-4
			k.encrypted = sound && string(rest[4:4+size]) != "none"
		}
	case strings.HasPrefix(label, "PGP"):
		tag := raw[0] & 0x3F
		if raw[0]&0x40 == 0 {
			tag >>= 2
		}
		sound = raw[0]&0x80 != 0 && tag == 5 // RFC 9580, section 5.5.1.3: secret key packet
		k.encrypted = false                  // told only deep inside
	case strings.HasPrefix(label, "SSH2"):
		sound = len(raw) > 8 && binary.BigEndian.Uint32(raw) == 0x3F6FF9EB
	case label == "ENCRYPTED PRIVATE KEY":
		sound = encryptedDER(raw)
	case k.encrypted:
		sound = len(raw)%8 == 0 // whole cipher blocks
	default:
		_, sound = derKey(raw)
	}
	if sound {
		return k, true
	}
	k.doubtful = true
	return k, closed && clean && len(raw) >= 64 && entropy(armour) > 4.5
}

// unarmour gives the base64 of an armoured body, without padding, and whether
// nothing else was in it.
func unarmour(body []byte) (out []byte, clean bool) {
	clean = true
	out = make([]byte, 0, len(body))
	for len(body) > 0 {
		line := body
		if n := bytes.IndexByte(body, '\n'); n >= 0 {
			line, body = body[:n], body[n+1:]
		} else {
			body = nil
		}
		for len(line) > 0 {
			part := line
			// A line break may be written as \n or \r\n, in a string in a string as \\n.
			if n := bytes.IndexByte(line, '\\'); n >= 0 {
				part, line = line[:n], bytes.TrimLeft(line[n:], `\`)
				if len(line) > 0 && (line[0] == 'n' || line[0] == 'r' || line[0] == 't') {
					line = line[1:]
				}
			} else {
				line = nil
			}
			if bytes.IndexByte(part, ':') >= 0 { // a header of the armour, or the name of a field
				continue
			}
			for _, f := range bytes.FieldsFunc(part, between) {
				f = bytes.TrimRight(f, "=")
				if len(f) < 2 { // the sum of two strings, a mark of a comment
					continue
				}
				if !base64Bytes(f) {
					clean = false
					return out, clean
				}
				out = append(out, f...)
			}
		}
	}
	return out, clean
}

func between(r rune) bool { return strings.ContainsRune(" \t\r\f\"'`,;#*>|()", r) }

func base64Bytes(b []byte) bool {
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
		case c == '=' && i == 0:
			return true // checksum line of OpenPGP: dropped by the decoder's caller
		default:
			return false
		}
	}
	return true
}

// der splits the first element of b: its tag, its content, what follows.
func der(b []byte) (tag byte, content, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	tag, size, b := b[0], int(b[1]), b[2:]
	if size >= 0x80 {
		n := size & 0x7F
		if n == 0 || n > 3 || len(b) < n {
			return 0, nil, nil, false
		}
		size = 0
		for _, c := range b[:n] {
			size = size<<8 | int(c)
		}
		b = b[n:]
	}
	if size > len(b) {
		return 0, nil, nil, false
	}
	return tag, b[:size], b[size:], true
}

const (
	derInteger  = 0x02
	derOctets   = 0x04
	derOID      = 0x06
	derSequence = 0x30
)

// derKey tells the kind of an unencrypted private key in DER: PKCS #1 (RFC 8017)
// and its like for DSA, SEC 1 (RFC 5915) or PKCS #8 (RFC 5958).
func derKey(b []byte) (string, bool) {
	tag, seq, _, ok := der(b)
	if !ok || tag != derSequence {
		return "", false
	}
	tag, version, rest, ok := der(seq)
	if !ok || tag != derInteger || len(version) != 1 || version[0] > 1 {
		return "", false
	}
	tag, content, rest, ok := der(rest)
	switch {
	case !ok:
	case tag == derInteger && len(content) >= 32 && len(rest) > len(content):
		return "RSA or DSA private key", true
	case tag == derOctets && len(content) >= 16 && len(content) <= 80:
		return "EC private key", true
	case tag == derSequence && len(content) > 4 && content[0] == derOID:
		if tag, _, _, ok = der(rest); ok && tag == derOctets {
			return "PKCS #8 private key", true
		}
	}
	return "", false
}

// encryptedDER tells whether b is an EncryptedPrivateKeyInfo (RFC 5958,
// section 3).
func encryptedDER(b []byte) bool {
	tag, seq, _, ok := der(b)
	if !ok || tag != derSequence {
		return false
	}
	tag, alg, rest, ok := der(seq)
	if !ok || tag != derSequence || len(alg) < 4 || alg[0] != derOID {
		return false
	}
	tag, _, _, ok = der(rest)
	return ok && tag == derOctets
}

// findEncodedPEM finds a PEM key that was put into base64 once more, as
// kubeconfig files and Kubernetes secrets have it.
func findEncodedPEM(r *rule, path string, data []byte, at int) ([]match, int) {
	end := at
	for limit := min(len(data), at+2*maxKey); end < limit && wordOrBase64(data[end]); {
		end++
	}
	plain := make([]byte, base64.RawStdEncoding.DecodedLen(end-at))
	n, _ := base64.RawStdEncoding.Decode(plain, data[at:end])
	plain = plain[:n]
	for from := 0; ; {
		i := bytes.Index(plain[from:], []byte("-----BEGIN "))
		if i < 0 {
			return nil, max(end, at+1)
		}
		ms, next := findPEM(r, path, plain, from+i)
		if len(ms) > 0 {
			m := ms[0]
			m.start, m.end, m.secret, m.whole = at, end, data[at:end], data[at:end]
			m.note += ", in base64"
			return []match{m}, max(end, at+1)
		}
		from = next
	}
}

func wordOrBase64(c byte) bool {
	return c == '+' || c == '/' || c >= '0' && c <= '9' || c|foldBit >= 'a' && c|foldBit <= 'z'
}

// findPuTTY finds a private key of PuTTY, versions 1 to 3
// (https://the.earth.li/~sgtatham/putty/latest/htmldoc/AppendixC.html).
func findPuTTY(r *rule, _ string, data []byte, at int) ([]match, int) {
	b := data[at:min(len(data), at+maxKey)]
	i := bytes.Index(b, []byte("Private-Lines: "))
	if i < 0 {
		// A header in the first half would have its lines in b, too.
		return nil, at + max(1, len(b)/2)
	}
	_, lines, _ := bytes.Cut(b[i:], []byte("\n"))
	body, _, ok := bytes.Cut(lines, []byte("Private-MAC"))
	if !ok || len(bytes.TrimSpace(body)) < 24 {
		return nil, at + i
	}
	for _, f := range bytes.Fields(body) {
		if !base64Bytes(bytes.TrimRight(f, "=")) {
			return nil, at + i
		}
	}
	m := match{rule: r, start: at, end: at + len(b), secret: bytes.TrimSpace(body), whole: b, severity: r.Severity, note: "PuTTY private key"}
	if !bytes.Contains(b[:i], []byte("Encryption: none")) {
		m.severity = bulwark.SeverityLow
		m.note += ", encrypted with a passphrase"
	}
	return []match{m}, m.end
}

// keystoreName tells whether a binary file of this name may hold a private key.
func keystoreName(path string) bool {
	var buf [12]byte
	switch string(extension(path, &buf)) {
	case "p12", "pfx", "jks", "keystore", "key", "der", "p8", "pk8":
		return true
	}
	return false
}

// keystore finds private keys in binary files: DER, PKCS #12 (RFC 7292) and
// Java key stores.
func (c *Check) keystore(path string, data []byte) []match {
	note, severity := "", bulwark.SeverityMedium
	if kind, ok := derKey(data); ok {
		note, severity = kind+" in DER", bulwark.SeverityHigh
	} else if encryptedDER(data) {
		note, severity = "PKCS #8 private key in DER, encrypted with a passphrase", bulwark.SeverityLow
	} else if isPKCS12(data) {
		note = "PKCS #12 key store; only its password protects it"
	} else if jksHasKey(data) {
		note = "Java key store with a private key; only its password protects it"
	}
	if note == "" {
		return nil
	}
	for _, r := range c.rules {
		if r.Find == "keystore" {
			return []match{{rule: r, end: len(data), secret: data, whole: data, severity: severity, note: note}}
		}
	}
	return nil
}

func isPKCS12(b []byte) bool {
	tag, seq, _, ok := der(b)
	if !ok || tag != derSequence {
		return false
	}
	tag, version, rest, ok := der(seq)
	if !ok || tag != derInteger || len(version) != 1 || version[0] != 3 {
		return false
	}
	tag, safe, _, ok := der(rest)
	pkcs7 := []byte{derOID, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07}
	return ok && tag == derSequence && bytes.HasPrefix(safe, pkcs7)
}

// jksHasKey tells whether a Java key store begins with a private key. A store of
// trusted certificates, as each Java runtime has it, begins with one of those.
func jksHasKey(b []byte) bool {
	if len(b) < 16 {
		return false
	}
	magic := binary.BigEndian.Uint32(b)
	return (magic == 0xFEEDFEED || magic == 0xCECECECE) && binary.BigEndian.Uint32(b[8:]) > 0 && binary.BigEndian.Uint32(b[12:]) == 1
}
