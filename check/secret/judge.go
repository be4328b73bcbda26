// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// A judge says more about a match than its expression can.
type judge func(path string, data []byte, m *match) ruling

// A ruling is what a judge says. The zero ruling changes nothing.
type ruling struct {
	drop     bool
	sure     bool             // no dummy: its form proves it
	severity bulwark.Severity // unknown: the rule's
	note     string           // never holds content
}

func judgeNamed(name string) (judge, bool) {
	switch name {
	case "":
		return nil, true
	case "crc":
		return judgeCRC, true
	case "aws-id":
		return judgeAWSID, true
	case "aws-secret":
		return judgeAWSSecret, true
	case "jwt":
		return judgeJWT, true
	case "basic":
		return judgeBasic, true
	case "userinfo":
		return judgeUserinfo, true
	case "password":
		return judgePassword, true
	case "gcp":
		return judgeGCP, true
	case "test-mode":
		return judgeTestMode, true
	case "hex":
		return judgeMixed, true
	case "gitlab":
		return judgeGitLab, true
	case "grafana":
		return judgeGrafana, true
	case "grafana-cloud":
		return judgeCloudGrafana, true
	case "bech32":
		return judgeBech32, true
	case "base58":
		return judgeBase58, true
	case "annotated":
		return judgeAnnotated, true
	case "azure":
		return judgeAzure, true
	case "azure-client":
		return judgeAzureClient, true
	case "devops":
		return judgeDevOps, true
	case "macaroon":
		return judgeMacaroon, true
	case "discord":
		return judgeDiscord, true
	case "tunnel":
		return judgeTunnel, true
	case "wireguard":
		return judgeWireGuard, true
	case "sas":
		return judgeSAS, true
	case "jwk":
		return judgeJWK, true
	case "random":
		return judgeRandom, true
	case "uuid":
		return judgeUUID, true
	case "hash":
		return judgeHash, true
	case "crypt":
		return judgeCrypt, true
	case "bearer":
		return judgeBearer, true
	case "statement":
		return judgeStatement, true
	case "der":
		return judgeDER, true
	case "nkey":
		return judgeNKey, true
	case "mnemonic":
		return judgeMnemonic, true
	}
	return nil, false
}

// judgeCRC checks the last six characters of a token of GitHub or npm: the CRC-32
// of the 30 before them in base 62
// (https://github.blog/engineering/behind-githubs-new-authentication-token-formats/).
// A token with a wrong one never worked; it is kept as low, for the form is not
// a promise.
func judgeCRC(_ string, _ []byte, m *match) ruling {
	_, token, ok := bytes.Cut(m.secret, []byte("_"))
	if !ok || len(token) != 36 {
		return ruling{}
	}
	if string(base62(crc32.ChecksumIEEE(token[:30]))) == string(token[30:]) {
		return ruling{sure: true, note: "checksum is right"}
	}
	return ruling{severity: bulwark.SeverityLow, note: "checksum is wrong: changed or made up"}
}

// base62 writes n in six digits.
func base62(n uint32) []byte {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := []byte("000000")
	for i := 5; i >= 0; i-- {
		out[i] = digits[n%62]
		n /= 62
	}
	return out
}

// judgeAWSID raises an access key id with a secret access key near it. The id by
// itself opens nothing.
func judgeAWSID(_ string, data []byte, m *match) ruling {
	account := ""
	if a, ok := awsAccount(m.secret); ok {
		account = "account " + a + ", "
	}
	near := data[max(0, m.start-512):min(len(data), m.end+512)]
	run := 0
	for i := 0; i <= len(near); i++ {
		if i < len(near) && wordOrBase64(near[i]) {
			run++
			continue
		}
		if run == 40 && awsSecretLike(near[i-40:i]) {
			return ruling{severity: bulwark.SeverityCritical, note: account + "with a secret access key beside it"}
		}
		run = 0
	}
	return ruling{note: strings.TrimSuffix(account, ", ")}
}

func judgeAWSSecret(_ string, _ []byte, m *match) ruling {
	return ruling{drop: !awsSecretLike(m.secret)}
}

// awsSecretLike tells 40 random characters of base64 from a path, a word or a
// hexadecimal digest.
func awsSecretLike(b []byte) bool {
	return len(b) == 40 && !dummy(b) && mixed(b) && entropy(b) > 4
}

// mixed tells whether b has upper case, lower case and digits.
func mixed(b []byte) bool {
	var upper, lower, digit bool
	for _, c := range b {
		upper = upper || c >= 'A' && c <= 'Z'
		lower = lower || c >= 'a' && c <= 'z'
		digit = digit || c >= '0' && c <= '9'
	}
	return upper && lower && digit
}

func judgeMixed(_ string, _ []byte, m *match) ruling {
	digits, letters := 0, 0
	for _, c := range m.secret {
		if c >= '0' && c <= '9' {
			digits++
		} else if c|foldBit >= 'a' && c|foldBit <= 'z' {
			letters++
		}
	}
	return ruling{drop: digits < 3 || letters < 3}
}

// judgeJWT reads a token's header and claims (RFC 7519) and drops what is none,
// and the specimens of the specification and of jwt.io.
func judgeJWT(_ string, _ []byte, m *match) ruling {
	// It may be broken over lines, or a text of a program put together of some.
	whole := bytes.Map(func(r rune) rune {
		if r <= ' ' || strings.ContainsRune("\"'`+\\", r) {
			return -1
		}
		return r
	}, m.secret)
	parts := bytes.Split(whole, []byte("."))
	if len(parts) != 3 {
		return ruling{drop: true}
	}
	var header struct {
		Alg string `json:"alg"`
	}
	var claims map[string]any
	if !decodeJSON(parts[0], &header) || header.Alg == "" || !decodeJSON(parts[1], &claims) {
		return ruling{drop: true}
	}
	name, _ := claims["name"].(string)
	if name == "John Doe" || claims["sub"] == "1234567890" || len(claims) == 0 {
		return ruling{drop: true}
	}
	for _, signature := range [...]string{"dBjftJeZ4CVP", "cC4hiUPoj9Ee", "DtEhU3ljbEg8"} { // RFC 7515, appendix A
		if bytes.HasPrefix(parts[2], []byte(signature)) {
			return ruling{drop: true}
		}
	}
	if header.Alg == "none" {
		return ruling{severity: bulwark.SeverityLow, note: "not signed"}
	}
	if _, ok := claims["exp"]; !ok {
		return ruling{sure: true, severity: bulwark.SeverityHigh, note: "never expires"}
	}
	return ruling{sure: true}
}

func decodeJSON(b []byte, into any) bool {
	b = bytes.TrimRight(b, "=")
	raw := make([]byte, base64.RawURLEncoding.DecodedLen(len(b)))
	n, err := base64.RawURLEncoding.Decode(raw, b)
	return err == nil && json.Unmarshal(raw[:n], into) == nil
}

// judgeBasic reads base64 of "user:password".
func judgeBasic(_ string, _ []byte, m *match) ruling {
	b := bytes.TrimRight(m.secret, "=")
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	n, err := base64.RawStdEncoding.Decode(raw, b)
	if err != nil {
		return ruling{drop: true}
	}
	user, password, ok := bytes.Cut(raw[:n], []byte(":"))
	if !ok || len(user) == 0 || len(password) < 4 || weakLetters(password) || lowerOnly(password) || dummy(password) || !printable(raw[:n]) {
		return ruling{drop: true}
	}
	return ruling{}
}

// lowerOnly tells whether s is nothing but letters in lower case, short enough for
// a word.
func lowerOnly(s []byte) bool {
	for _, c := range s {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return len(s) < 12
}

// judgeUserinfo weighs the password of a URL, which stands before the last @.
func judgeUserinfo(_ string, _ []byte, m *match) ruling {
	user := m.whole
	if _, after, ok := bytes.Cut(user, []byte("://")); ok {
		user = after
	}
	user, _, _ = bytes.Cut(user, []byte(":"))
	if weakLetters(m.secret) || bytes.EqualFold(user, m.secret) || m.secret[0] == '$' || bytes.Contains(bytes.ToLower(m.secret), []byte("password")) {
		return ruling{drop: true}
	}
	return ruling{}
}

// judgePassword weighs the value of a setting whose name says that it is secret.
func judgePassword(_ string, _ []byte, m *match) ruling {
	s := m.secret
	switch {
	case len(s) < 6, weakWord(s), !printable(s),
		s[0] == '/' || s[0] == '.' || s[0] == '$' || s[0] == '<' || s[0] == '{' || s[0] == '%' || s[0] == '@' || s[0] == '&' || s[0] == '~',
		bytes.Contains(s, []byte("://")), bytes.HasPrefix(s, []byte("file:")), bytes.HasPrefix(s, []byte("ENC[")),
		bytes.HasSuffix(s, []byte("()")), bytes.Contains(s, []byte("process.env")), bytes.Contains(s, []byte("getenv")):
		return ruling{drop: true}
	}
	var upper, lower, digit, sign bool
	for _, c := range s {
		switch {
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= '0' && c <= '9':
			digit = true
		default:
			sign = true
		}
	}
	kinds := 0
	for _, k := range [...]bool{upper, lower, digit, sign} {
		if k {
			kinds++
		}
	}
	// A word, a name with dashes or a number is a setting more often than a secret.
	if kinds < 2 || !digit && !(upper && lower && sign) {
		return ruling{drop: true}
	}
	return ruling{}
}

// judgeDER drops what stands right behind a BEGIN line: that key has a rule of its
// own, which knows one that was cut short.
func judgeDER(_ string, data []byte, m *match) ruling {
	return ruling{drop: bytes.HasSuffix(bytes.TrimRight(data[max(0, m.start-32):m.start], " \t\r\n"), []byte("KEY-----"))}
}

// judgeGCP checks that a service account's file has a key in it.
func judgeGCP(_ string, data []byte, m *match) ruling {
	near := data[max(0, m.start-maxKey/8):min(len(data), m.end+maxKey/8)]
	return ruling{drop: !bytes.Contains(near, []byte("-----BEGIN")) || !bytes.Contains(near, []byte(`client_email`))}
}

// judgeTestMode lowers keys that their maker marked as for tests.
func judgeTestMode(_ string, _ []byte, m *match) ruling {
	if bytes.Contains(bytes.ToLower(m.secret), []byte("test")) {
		return ruling{severity: bulwark.SeverityLow, note: "for test mode"}
	}
	return ruling{}
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7F {
			return false
		}
	}
	return true
}

// weakWord tells whether s is a word that documentation writes for a password.
func weakWord(s []byte) bool {
	if len(s) > 24 {
		return false
	}
	switch strings.ToLower(strings.Trim(string(s), `"'<>[]{}()*`)) {
	case "", "password", "passwd", "passw0rd", "password1", "password123", "pass", "pwd", "pw", "secret", "secrets", "mysecret", "mysecretpassword", "my-secret-pw", "mypassword", "mypass", "mypwd",
		"token", "mytoken", "apikey", "api_key", "api-key", "key", "user", "username", "admin", "root", "guest", "test", "test123", "testing", "tester", "demo", "foo", "bar", "baz", "foobar", "foobarbaz",
		"qwerty", "letmein", "hunter2", "default", "none", "null", "nil", "true", "false", "undefined", "empty", "string", "value", "pass123", "passwd123", "abc123", "123456", "12345678", "123456789", "1234567890", "p4ssw0rd", "s3cr3t", "s3cret", "sekret", "sesame", "opensesame", "swordfish", "changeit", "port", "host", "postgres", "mysql", "redis", "mongo", "rabbitmq", "creds", "credentials", "auth", "login", "pass@word1":
		return true
	}
	return false
}

// weakLetters tells whether s is such a word, or is one without its digits and
// signs: mysecret123, my-password.
func weakLetters(s []byte) bool {
	if weakWord(s) {
		return true
	}
	if len(s) > 32 {
		return false
	}
	letters, signs := make([]byte, 0, len(s)), 0
	for i := 0; i < len(s); i++ {
		switch c := s[i] | foldBit; {
		case s[i] == '%' && i+2 < len(s): // %2F is one sign
			i += 2
			signs++
		case c >= 'a' && c <= 'z':
			letters = append(letters, c)
		default:
			signs++
		}
	}
	return (len(letters) >= 5 || len(letters) > 2 && len(letters) >= signs) && weakWord(letters)
}

// dummy tells whether b is a place holder: it says so, or nobody would draw it.
func dummy(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	var distinct [256]bool
	kinds, same, run := 0, 1, 1
	for i, c := range b {
		if !distinct[c] {
			distinct[c] = true
			kinds++
		}
		if i > 0 && c == b[i-1] {
			same++
			run = max(run, same)
		} else {
			same = 1
		}
	}
	if len(b) >= 16 && kinds <= 5 || len(b) < 16 && kinds <= 2 || run >= 6 && run*3 >= len(b) {
		return true
	}
	if len(b) > 512 { // by chance, four letters make any word
		return false
	}
	low := strings.ToLower(string(b))
	for _, w := range [...]string{"example", "changeme", "change_me", "change-me", "replaceme", "replace_me", "replace-me", "placeholder", "redacted",
		"xxxxx", "your_", "your-", "your ", "yourtoken", "yourpass", "yoursecret", "yourkey", "my_pass", "insert_", "insert-", "dummy", "_here", "-here", " here", "fakekey", "faketoken", "notasecret", "not_a_", "not-a-", "sample",
		"0123456789", "1234567890", "abcdefgh", "qwertyui", "deadbeef", "00000000", "....", "****", "todo", "lorem", "foobar"} {
		if len(w) >= 4 && strings.Contains(low, w) && (len(w) > 4 || len(low) < 40) {
			return true
		}
	}
	if strings.ContainsAny(low, "<>") && strings.Contains(low, "<") && strings.Contains(low, ">") ||
		strings.Contains(low, "${") || strings.Contains(low, "$(") || strings.Contains(low, "{{") || strings.Contains(low, "#{") || strings.Contains(low, "<%") || strings.Contains(low, "%(") || strings.Contains(low, "%s") {
		return true
	}
	return repeats(b) || published(low)
}

// repeats tells whether b is one piece of at most a quarter of it over and over.
func repeats(b []byte) bool {
	for n := 1; n <= len(b)/4 && n <= 16; n++ {
		if bytes.Equal(b[n:], b[:len(b)-n]) {
			return true
		}
	}
	return false
}

// published tells whether low, in lower case, is a secret that its maker prints
// in documentation.
func published(low string) bool {
	for _, w := range [...]string{
		"4ec39hqlyjwdarjtt1zdp7dc",               // Stripe's documentation
		"eby8vdm02xnocqflquwjpllmetlcdxj1ouzft",  // Azure's storage emulator
		"c2y6yddjf5",                             // Azure's Cosmos DB emulator
		"t00000000",                              // Slack's web hooks
		"jbswy3dpehpk3px",                        // seed in the documentation of one-time passwords
		"gezdgnbvgy3tqojq",                       // 1234567890 in base32, of RFC 6238
		"a3ddj3w",                                // RFC 6749
		"vf9dft4qmtc2nvb3rlckbhbhrhdmlzdgeuy29t", // RFC 6750
		"dpf43f3p2l4k3l03",                       // OAuth Core 1.0, appendix A
		"kd94hf93k423kf44",
		"nnch734d00sl2jdk",
		"pfkkdhi9sl3r4s00",
		"ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80", // accounts of Hardhat, Anvil and Ganache
		"59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
		"5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
		"4f3edf983ac636a65a842ce7c78d9aa706d3b113bce9c46f30d7d21715b23b1d",
	} {
		if strings.Contains(low, w) {
			return true
		}
	}
	return false
}
