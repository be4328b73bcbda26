// SPDX-License-Identifier: Apache-2.0

package inline

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The bounds on what a comment says, bytes.
const (
	maxRule   = 200
	maxReason = 1000
	maxOwner  = 200
)

// parse reads what follows the mark: rules with commas between them, then
// key=value as often as there is something to say.
func (c *comment) parse(body string) {
	rules, rest := ruleWords(body)
	if rules == "" {
		c.faulty("no rule is named: write the id of a rule, or a glob, after " + Mark)
	} else {
		c.rules = strings.Split(rules, ",")
	}
	for i, rule := range c.rules {
		c.rules[i] = c.bounded("rule", rule, maxRule)
		switch n := strings.IndexFunc(rule, foreign); {
		case rule == "" && rules != "":
			c.faulty("a comma without a rule before or after it")
		case n >= 0:
			r, _ := utf8.DecodeRuneInString(rule[n:])
			c.faulty(fmt.Sprintf("%q is in no rule's id", string(r)))
		}
	}
	given := map[string]bool{}
	for rest = strings.Trim(rest, blanks); rest != ""; rest = strings.TrimLeft(rest, blanks) {
		var key, value string
		var ok bool
		if key, value, rest, ok = c.pair(rest); !ok {
			return
		}
		if given[key] {
			c.faulty(fmt.Sprintf("%s is given twice", key))
			continue
		}
		given[key] = true
		c.set(key, value)
	}
}

// faulty notes why the comment cannot be read: the first reason counts.
func (c *comment) faulty(why string) {
	if c.fault == "" {
		c.fault = why
	}
}

// ruleWords parts the list of rules, without blanks in it, from the rest.
func ruleWords(body string) (rules, rest string) {
	rest = strings.TrimLeft(body, blanks)
	for rest != "" {
		word, after := cutWord(rest)
		if strings.Contains(word, "=") || rules != "" && !strings.HasSuffix(rules, ",") && word[0] != ',' {
			break
		}
		rules, rest = rules+word, strings.TrimLeft(after, blanks)
	}
	return rules, rest
}

// cutWord parts s, which is not empty and does not begin with a blank, after its
// first word.
func cutWord(s string) (word, rest string) {
	if i := strings.IndexAny(s, blanks); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// foreign tells whether a rune is in no rule's id, alias or glob of them.
func foreign(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./:+@~*?", r)
}

// pair reads one key=value. It is not ok when what follows cannot be told apart
// from it.
func (c *comment) pair(s string) (key, value, rest string, ok bool) {
	word, rest := cutWord(s)
	key, value, ok = strings.Cut(word, "=")
	switch {
	case !ok:
		c.faulty(fmt.Sprintf(`%q is not key=value: quote what has blanks, as in reason="it is a test"`, short(word)))
		return "", "", "", false
	case value == "" || value[0] != '"' && value[0] != '\'':
		if strings.ContainsAny(value, `"'`) {
			c.faulty(fmt.Sprintf("the value of %q has a quote in it: quote all of it", short(key)))
			return "", "", "", false
		}
		return key, value, rest, true
	}
	quote, inside := value[:1], s[len(key)+2:]
	value, rest, ok = strings.Cut(inside, quote)
	if !ok {
		c.faulty(fmt.Sprintf("the quote of %q is not closed in its line", short(key)))
		return "", "", "", false
	}
	if rest != "" && !isBlank(rest[0]) {
		c.faulty(fmt.Sprintf("a blank has to follow the closing quote of %q", short(key)))
		return "", "", "", false
	}
	return key, value, rest, true
}

// set takes in one key=value.
func (c *comment) set(key, value string) {
	switch value = strings.Trim(value, blanks); {
	case key != "until" && key != "reason" && key != "owner":
		c.faulty(fmt.Sprintf("%q is none of until, reason and owner", short(key)))
	case value == "":
		c.faulty(key + " is empty")
	case key == "reason":
		c.reason = c.bounded(key, value, maxReason)
	case key == "owner":
		c.owner = c.bounded(key, value, maxOwner)
	default:
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			c.faulty(fmt.Sprintf("until=%q is no day of a calendar: write it as 2027-01-31", short(value)))
			return
		}
		c.until = value
	}
}

// bounded gives at most the first n bytes of a value, in UTF-8.
func (c *comment) bounded(key, value string, n int) string {
	if len(value) > n {
		c.faulty(fmt.Sprintf("the %s has more than %d bytes", key, n))
		value = value[:n]
	}
	return strings.ToValidUTF8(value, "\uFFFD")
}

// short gives what is repeated of a word that is not understood: enough to find it,
// too little to be a secret.
func short(s string) string {
	if len(s) > 16 {
		s = s[:16] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
