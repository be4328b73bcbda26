// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	toml "github.com/pelletier/go-toml/v2"
	gitleaks "github.com/zricethezav/gitleaks/v8/config" // only DefaultConfig, the rules: its own reader needs viper and compiles everything

	"github.com/bulwark-sec/bulwark"
)

// assignment is the part of the module's expressions that joins a provider's
// name to a value. No text has it without one of the bytes that assigned knows.
const assignment = `(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)`

// moduleConfig is the module's configuration, as far as it is used
// (https://github.com/gitleaks/gitleaks, MIT).
type moduleConfig struct {
	Allowlist  moduleAllow   `toml:"allowlist"`
	Allowlists []moduleAllow `toml:"allowlists"`
	Rules      []struct {
		ID          string        `toml:"id"`
		Description string        `toml:"description"`
		Regex       string        `toml:"regex"`
		SecretGroup int           `toml:"secretGroup"`
		Path        string        `toml:"path"`
		Entropy     float64       `toml:"entropy"`
		Keywords    []string      `toml:"keywords"`
		Allowlists  []moduleAllow `toml:"allowlists"`
	} `toml:"rules"`
}

type moduleAllow struct {
	Condition   string   `toml:"condition"`
	Paths       []string `toml:"paths"`
	RegexTarget string   `toml:"regexTarget"`
	Regexes     []string `toml:"regexes"`
	StopWords   []string `toml:"stopwords"`
}

func (m moduleAllow) list() (allowlist, error) {
	a := allowlist{all: strings.EqualFold(m.Condition, "and"), target: m.RegexTarget}
	var err error
	if a.path, _, err = newLazy(either(m.Paths)); err != nil {
		return a, err
	}
	if a.regex, _, err = newLazy(either(m.Regexes)); err != nil {
		return a, err
	}
	for _, w := range m.StopWords {
		a.stop = append(a.stop, strings.ToLower(w))
	}
	return a, nil
}

// moduleRules gives the module's rules less those of ours.Drop, changed by
// ours.Tune, and its allowlists for all rules.
func moduleRules(ours ruleFile) ([]*rule, []allowlist, error) {
	var c moduleConfig
	if err := toml.Unmarshal([]byte(gitleaks.DefaultConfig), &c); err != nil {
		return nil, nil, fmt.Errorf("read the rules of gitleaks: %w", err)
	}
	var global []allowlist
	for _, m := range append(c.Allowlists, c.Allowlist) {
		a, err := m.list()
		if err != nil {
			return nil, nil, fmt.Errorf("allowlist of gitleaks: %w", err)
		}
		global = append(global, a)
	}
	var out []*rule
	for _, m := range c.Rules {
		if slices.Contains(ours.Drop, m.ID) {
			continue
		}
		r := &rule{
			ID:          m.ID,
			Title:       strings.ToUpper(m.ID[:min(1, len(m.ID))]) + strings.ReplaceAll(m.ID[min(1, len(m.ID)):], "-", " "),
			Description: m.Description,
			Severity:    bulwark.SeverityHigh,
			Regex:       m.Regex,
			Group:       m.SecretGroup,
			Entropy:     m.Entropy,
			Keywords:    m.Keywords,
			References:  []string{"https://github.com/gitleaks/gitleaks/blob/v8.30.1/config/gitleaks.toml"},
		}
		for _, t := range ours.Tune {
			if slices.Contains(t.IDs, m.ID) {
				t.apply(r)
			}
		}
		var err error
		if len(r.Files) > 0 {
			m.Path = ""
		}
		if r.path, _, err = newLazy(m.Path); err != nil {
			return nil, nil, fmt.Errorf("rule %q of gitleaks: %w", m.ID, err)
		}
		for _, al := range m.Allowlists {
			a, err := al.list()
			if err != nil {
				return nil, nil, fmt.Errorf("rule %q of gitleaks: %w", m.ID, err)
			}
			r.allow = append(r.allow, a)
		}
		out = append(out, r)
	}
	return out, global, nil
}

func (t tuning) apply(r *rule) {
	if t.Title != "" {
		r.Title = t.Title
	}
	if t.Severity != bulwark.SeverityUnknown {
		r.Severity = t.Severity
	}
	if t.Validate != "" {
		r.Validate = t.Validate
	}
	if t.Entropy != 0 {
		r.Entropy = t.Entropy
	}
	if len(t.Files) > 0 {
		r.Files = t.Files
	}
	if len(t.Near) > 0 {
		r.Near = t.Near
	}
	r.Public = r.Public || t.Public
	if len(t.Keywords) > 0 {
		r.Keywords = t.Keywords
	}
	if t.Fix != "" {
		r.Fix = t.Fix
	}
}

// trimName takes from an expression of the module the name before the provider's:
// it is optional, never part of the secret, and makes the program so long that
// the regexp package falls back to its slow machine.
func trimName(src string) string {
	const name = `[\w.-]{0,50}?`
	if rest, ok := strings.CutPrefix(src, "(?i)"+name); ok {
		return "(?i)" + rest
	}
	if rest, ok := strings.CutPrefix(src, name+"(?i:"+name); ok {
		return "(?i:" + rest
	}
	return src
}

// valueLeads gives what the value after an assignment begins with.
func valueLeads(src string) []lead {
	const quotes = "[\\x60'\"\\s=]{0,5}"
	_, rest, ok := strings.Cut(src, assignment+quotes)
	if !ok {
		return nil
	}
	if strings.HasPrefix(src, "(?i)") {
		rest = "(?i)" + rest
	}
	tree, err := syntax.Parse(rest, syntax.Perl)
	if err != nil {
		return nil
	}
	return leads(tree)
}

// assigned tells whether an assignment and a value that begins right can follow
// b[i:], the end of a keyword.
func (r *rule) assigned(b []byte, i int) bool {
	end := min(len(b), i+80)
	for i < end && (wordByte(b[i]) || in(b[i], "-. \t\n\r\f'\"")) {
		i++
	}
	if i == end || !in(b[i], "=>:|?,") {
		return false
	}
	if r.value == nil {
		return true
	}
	for end = min(len(b), i+10); i < end; i++ {
		for _, l := range r.value {
			if l.at(b[i+1:]) {
				return true
			}
		}
		if !in(b[i], "=>:|?,`'\" \t\n\r\f") {
			return false
		}
	}
	return false
}

func in(c byte, set string) bool { return strings.IndexByte(set, c) >= 0 }
