// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Judges that look at what is inside a secret: fields, lengths, numbers.

// judgeMacaroon reads an upload token of PyPI: a macaroon of version 2 from
// pypi.org or test.pypi.org (https://pypi.org/help/#apitoken;
// https://github.com/rescrv/libmacaroons, doc/format.txt).
func judgeMacaroon(_ string, _ []byte, m *match) ruling {
	_, text, ok := bytes.Cut(m.secret, []byte("-"))
	if !ok {
		return ruling{}
	}
	raw := make([]byte, base64.RawURLEncoding.DecodedLen(len(text)))
	n, err := base64.RawURLEncoding.Decode(raw, bytes.TrimRight(text, "="))
	bad := ruling{severity: bulwark.SeverityLow, note: "no macaroon: changed or made up"}
	if err != nil || n < 2 || raw[0] != 2 {
		return bad
	}
	b := raw[1:n]
	location, caveats, signed := "", 0, false
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		if kind == 0 { // end of a section
			continue
		}
		size, used := uvarint(b)
		if used == 0 || size > len(b)-used {
			return bad
		}
		field := b[used : used+size]
		b = b[used+size:]
		switch kind {
		case 1:
			location = string(field)
		case 2:
			caveats++ // the first is the token's own identifier
		case 6:
			signed = size == 32
		}
	}
	if !signed || location != "pypi.org" && location != "test.pypi.org" {
		return bad
	}
	r := ruling{sure: true, note: "for " + location}
	if caveats > 1 {
		r.note += ", restricted"
	} else {
		r.note += ", without restrictions"
	}
	if location != "pypi.org" {
		r.severity = bulwark.SeverityLow
	}
	return r
}

// uvarint reads a length of at most three bytes; used is 0 when there is none.
func uvarint(b []byte) (n, used int) {
	for i, c := range b[:min(len(b), 3)] {
		n |= int(c&0x7F) << (7 * i)
		if c < 0x80 {
			return n, i + 1
		}
	}
	return 0, 0
}

// awsAccount gives the account that a key id belongs to: 40 bits of the base32
// after the prefix (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids).
// Ids from before 2019 have none there.
func awsAccount(id []byte) (string, bool) {
	if len(id) != 20 || id[4] < 'Q' { // older ids begin with I or J
		return "", false
	}
	var n uint64
	for _, c := range id[4:14] { // ten letters are 50 bits; 48 are wanted
		switch {
		case c >= 'A' && c <= 'Z':
			n = n<<5 | uint64(c-'A')
		case c >= '2' && c <= '7':
			n = n<<5 | uint64(c-'2'+26)
		default:
			return "", false
		}
	}
	n = n >> 2 & 0x7FFFFFFFFF80 >> 7
	if n >= 1_000_000_000_000 {
		return "", false
	}
	return fmt.Sprintf("%012d", n), true
}

// judgeDiscord checks the first part of a bot's token: its account number in
// base64 (https://discord.com/developers/docs/reference#authentication).
func judgeDiscord(_ string, _ []byte, m *match) ruling {
	first, _, _ := bytes.Cut(m.secret, []byte("."))
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(first)))
	n, err := base64.RawStdEncoding.Decode(raw, first)
	if err != nil || n < 16 || n > 20 {
		return ruling{drop: true}
	}
	for _, c := range raw[:n] {
		if c < '0' || c > '9' {
			return ruling{drop: true}
		}
	}
	return ruling{sure: true}
}

// judgeTunnel reads the token of a tunnel of Cloudflare: base64 of an object with
// account, tunnel and secret (https://github.com/cloudflare/cloudflared,
// connection.TunnelToken).
func judgeTunnel(_ string, _ []byte, m *match) ruling {
	var t struct{ A, T, S string }
	if !decodeStd(m.secret, &t) || len(t.A) != 32 || t.T == "" || t.S == "" {
		return ruling{drop: true}
	}
	return ruling{sure: true}
}

// judgeCloudGrafana reads a token of Grafana Cloud: base64 of an object with an
// organisation and a key.
func judgeCloudGrafana(_ string, _ []byte, m *match) ruling {
	_, text, _ := bytes.Cut(m.secret, []byte("_"))
	var t struct {
		O any
		K string
	}
	if !decodeStd(text, &t) || t.K == "" {
		return ruling{severity: bulwark.SeverityLow, note: "no token inside: changed or made up"}
	}
	return ruling{sure: true}
}

func decodeStd(b []byte, into any) bool {
	b = bytes.TrimRight(b, "=")
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	n, err := base64.RawStdEncoding.Decode(raw, b)
	return err == nil && json.Unmarshal(raw[:n], into) == nil
}

// judgeWireGuard drops what is no 32 bytes, and is surer of a clamped scalar, as
// wg genkey makes it (RFC 7748, section 5).
func judgeWireGuard(_ string, _ []byte, m *match) ruling {
	b, err := base64.StdEncoding.DecodeString(string(m.secret))
	if err != nil || len(b) != 32 {
		return ruling{drop: true}
	}
	if b[0]&7 == 0 && b[31]&0xC0 == 0x40 {
		return ruling{note: "clamped scalar"}
	}
	return ruling{}
}

// judgeSAS drops a "sig" that is not part of a shared access signature of Azure:
// a time of expiry and a version or permissions stand beside it.
func judgeSAS(_ string, data []byte, m *match) ruling {
	near := data[max(0, m.start-512):min(len(data), m.end+512)]
	if !bytes.Contains(near, []byte("se=")) || !bytes.Contains(near, []byte("sp=")) && !bytes.Contains(near, []byte("skn=")) && !bytes.Contains(near, []byte("sr=")) {
		return ruling{drop: true}
	}
	return ruling{}
}

// judgeJWK drops a "d" or "k" that is not in a JSON Web Key (RFC 7517).
func judgeJWK(_ string, data []byte, m *match) ruling {
	near := data[max(0, m.start-4096):min(len(data), m.end+4096)]
	return ruling{drop: !bytes.Contains(near, []byte("kty"))}
}

// judgeRandom drops what a person would write: words, few different letters, no
// digits.
func judgeRandom(_ string, _ []byte, m *match) ruling {
	var upper, lower, digit int
	for _, c := range m.secret {
		switch {
		case c >= '0' && c <= '9':
			digit++
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		}
	}
	if digit == 0 && (upper == 0 || lower == 0 || len(m.secret) < 20) || upper+lower == 0 {
		return ruling{drop: true}
	}
	// In random letters, case changes all the time; in words it does not.
	if digit < 2 && len(m.secret) < 32 && strings.ToLower(string(m.secret[1:])) == string(m.secret[1:]) {
		return ruling{drop: true}
	}
	return ruling{}
}

// judgeUUID drops the empty UUID and those that count up.
func judgeUUID(_ string, _ []byte, m *match) ruling {
	distinct := map[byte]bool{}
	for _, c := range m.secret {
		distinct[c] = true
	}
	return ruling{drop: len(distinct) < 8}
}

// judgeHash tells hashes that can be guessed at leisure from those that say that
// there is no password.
func judgeHash(_ string, _ []byte, m *match) ruling {
	return ruling{drop: len(m.secret) < 20, sure: true}
}

// judgeCrypt drops what has the form of a hash and is none: a row of one sign.
func judgeCrypt(_ string, _ []byte, m *match) ruling {
	distinct := map[byte]bool{}
	for _, c := range m.secret {
		distinct[c] = true
	}
	return ruling{drop: len(distinct) < 14 || counted(m.secret), sure: true}
}

// judgeBearer drops words behind "Bearer", and what other rules read.
func judgeBearer(_ string, _ []byte, m *match) ruling {
	if bytes.HasPrefix(m.secret, []byte("eyJ")) && bytes.Count(m.secret, []byte(".")) == 2 {
		return ruling{drop: true} // or a specimen that the rule for those has dropped
	}
	return ruling{drop: !randomToken("token", m.secret)}
}

// judgeMnemonic drops rows of one word, which tests have, numbers of words that
// no wallet has, and prose: words that the list of BIP 39 lacks.
func judgeMnemonic(_ string, _ []byte, m *match) ruling {
	words := bytes.Fields(m.secret)
	distinct := map[string]bool{}
	for _, w := range words {
		if len(w) < 3 || len(w) > 8 {
			return ruling{drop: true}
		}
		switch string(w) {
		case "the", "and", "for", "are", "from", "your", "has", "have", "which", "not", "its", "was", "were", "been", "using", "words":
			return ruling{drop: true}
		}
		distinct[string(w)] = true
	}
	return ruling{drop: len(words)%3 != 0 || len(distinct) < 10}
}

// judgeNKey checks the sum at the end of a seed of NATS
// (https://github.com/nats-io/nkeys): CRC-16 of XMODEM over what is before it.
func judgeNKey(_ string, _ []byte, m *match) ruling {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(m.secret))
	if err != nil || len(b) != 36 {
		return ruling{drop: true}
	}
	var crc uint16
	for _, c := range b[:34] {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	if crc != binary.LittleEndian.Uint16(b[34:]) {
		return ruling{drop: true}
	}
	return ruling{sure: true, note: sumRight}
}

// judgeStatement drops words in a statement of SQL.
func judgeStatement(_ string, _ []byte, m *match) ruling {
	s := m.secret
	if len(s) == 41 && s[0] == '*' && hexadecimal(s[1:]) {
		return ruling{}
	}
	return ruling{drop: !randomPassword(s) && !randomToken("password", s)}
}
