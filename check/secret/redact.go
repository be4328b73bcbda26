// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"regexp"
	"strings"
	"sync"
)

// Redacted stands where Redact and RedactEnv took something out.
const Redacted = "[redacted]"

// secretName finds names of settings that hold secrets.
const secretName = `PASSWORD|PASSWD|PASSPHRASE|_PASS|_PWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|ENCRYPTION_?KEY|SIGNING_?KEY|CREDENTIALS?|_AUTH`

// named are places whose value is taken out whatever it is: redaction errs on
// the other side than findings do.
var named = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		// NAME=value, name: value, "name": "value", --name value
		regexp.MustCompile(`(?i)[A-Z0-9_.-]{0,64}(?:` + secretName + `)(?:_[A-Z0-9]{1,16}){0,2}["']?(?:\s{0,4}[=:]\s{0,4}|\s{1,4})(?:"([^"\r\n]+)"|'([^'\r\n]+)'|([^\s"';&|]{4,}))`),
		regexp.MustCompile(`://[^\s:/@]{0,256}:([^\s/@]{1,512})@`),
		regexp.MustCompile(`(?i)\b(?:Bearer|Basic)\s+([A-Za-z0-9._~+/=-]{8,})`),
		regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{0,64}PRIVATE KEY(?: BLOCK)?-----(.+?)(?:-----END|$)`),
		regexp.MustCompile(`(?i)\s(?:-u|--user)[= ]["']?[^\s:"']{1,128}:([^\s"']{1,256})`),
	}
})

var secretNamed = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)(?:` + secretName + `)`) })

// Redact gives s with every secret in it replaced by [Redacted]: what a rule
// finds, and the values of settings, options and addresses that are secret by
// their place. It may take out too much. Redacting twice changes nothing more.
func (c *Check) Redact(s string) string {
	if len(s) < 4 {
		return s
	}
	sc := c.pool.Get().(*scratch)
	found, err := c.scan(func() error { return nil }, sc, "#history", []byte(s))
	c.pool.Put(sc)
	if err != nil { // more than can be looked at is not shown at all
		return Redacted
	}
	var cuts []window
	for _, m := range found {
		cuts = append(cuts, window{m.start + m.public(), m.end})
	}
	for _, re := range named() {
		for _, loc := range re.FindAllStringSubmatchIndex(s, -1) {
			for g := 2; g+1 < len(loc); g += 2 {
				if loc[g] >= 0 && !harmless(s[loc[g]:loc[g+1]]) {
					cuts = append(cuts, window{loc[g], loc[g+1]})
				}
			}
		}
	}
	return cut(s, cuts)
}

// harmless tells whether a value only refers to a secret, or was redacted.
func harmless(v string) bool {
	return strings.Contains(v, Redacted) || strings.HasPrefix(v, "$") || strings.HasPrefix(v, "/bin/") || strings.HasPrefix(v, "/run/secrets/")
}

// RedactEnv gives "NAME=value" settings as Redact does, and with the whole value
// replaced where the name says that it is secret. The argument is not changed.
func (c *Check) RedactEnv(env []string) []string {
	if env == nil {
		return nil
	}
	out := make([]string, len(env))
	for i, e := range env {
		name, value, ok := strings.Cut(e, "=")
		switch {
		case !ok:
			out[i] = c.Redact(e)
		case value != "" && SecretName(name) && !harmless(value):
			out[i] = name + "=" + Redacted
		default:
			out[i] = name + "=" + c.Redact(value)
		}
	}
	return out
}

// SecretName tells whether a setting of this name holds a secret itself, and not
// the name, address or place of one.
func SecretName(name string) bool {
	up := strings.ToUpper(name)
	for _, end := range [...]string{"_FILE", "_PATH", "_DIR", "_URL", "_URI", "_NAME", "_TTL", "_LENGTH", "_TYPE", "_ENABLED", "_EXPIRY", "_ID", "_VERSION"} {
		if strings.HasSuffix(up, end) {
			return false
		}
	}
	return secretNamed().MatchString(name)
}

// cut replaces parts of s, which may overlap and be in any order.
func cut(s string, parts []window) string {
	if len(parts) == 0 {
		return s
	}
	gone := make([]bool, len(s))
	for _, p := range parts {
		for i := p.from; i < p.to; i++ {
			gone[i] = true
		}
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case !gone[i]:
			b.WriteByte(s[i])
		case i == 0 || !gone[i-1]:
			b.WriteString(Redacted)
		}
	}
	return b.String()
}
