// SPDX-License-Identifier: Apache-2.0

// Package secret finds secrets in files and in image configurations: keys,
// tokens, passwords. It knows what they look like and how to say so without
// repeating them. It does not know layers, who may read a file, or whether a
// secret still works: it never tries one. Who does is handed it by Reveal.
//
// The rules are those of the gitleaks module and our own in rules/. A bit map
// over four bytes of every keyword finds the few places of a text worth a look
// (see filter), and only there expressions run.
package secret

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bulwark-sec/bulwark"
)

// A Check finds secrets. New makes it; it is safe for concurrent use.
type Check struct {
	rules  []*rule
	allow  []allowlist       // of the module, for all its rules
	wide   *filter           // rules for every file
	narrow *filter           // rules for files of some names
	limits []int             // indexes of the rules in narrow
	names  map[string][]name // their file names by key
	pool   sync.Pool         // *scratch
}

// New reads the rules. Expressions are compiled when a text first needs them. An
// error is a fault in the rules, not in the caller.
func New() (*Check, error) { return load(false) }

// load is New, with or without the rules' examples.
func load(examples bool) (*Check, error) {
	ours, err := readRules(ruleFiles, examples)
	if err != nil {
		return nil, fmt.Errorf("secret rules: %w", err)
	}
	module, allow, err := moduleRules(ours)
	if err != nil {
		return nil, fmt.Errorf("secret rules: %w", err)
	}
	c := &Check{allow: allow, names: map[string][]name{}}
	seen := map[string]bool{}
	var wide []int
	for _, r := range append(ours.Rules, module...) {
		if seen[r.ID] {
			return nil, fmt.Errorf("secret rules: rule %q is there twice: %w", r.ID, bulwark.ErrUsage)
		}
		seen[r.ID] = true
		if r.Regex == "" && r.Find == "" {
			continue // a rule of the module for names alone; ours looks inside
		}
		if err := r.prepare(); err != nil {
			return nil, fmt.Errorf("secret rules: %w", err)
		}
		if r.Fix == "" {
			r.Fix = defaultFix
		}
		if r.limited() {
			c.limits = append(c.limits, len(c.rules))
			for _, n := range r.names(len(c.rules)) {
				c.names[n.key()] = append(c.names[n.key()], n)
			}
		} else {
			wide = append(wide, len(c.rules))
		}
		c.rules = append(c.rules, r)
	}
	if c.wide, err = newFilter(c.rules, wide); err != nil {
		return nil, fmt.Errorf("secret rules: %w", err)
	}
	if c.narrow, err = newFilter(c.rules, c.limits); err != nil {
		return nil, fmt.Errorf("secret rules: %w", err)
	}
	c.pool.New = func() any {
		return &scratch{pending: make([]window, len(c.rules)), on: make([]bool, len(c.rules))}
	}
	return c, nil
}

const defaultFix = "revoke the secret and make a new one; take it out of the layer that brought it, for later layers do not remove it, and hand it over at run time"

// Name gives "secret".
func (c *Check) Name() string { return "secret" }

// Rules lists every rule that a finding may name, by id.
func (c *Check) Rules() []bulwark.Rule {
	out := make([]bulwark.Rule, 0, len(c.rules))
	for _, r := range c.rules {
		out = append(out, bulwark.Rule{
			ID:          "secret/" + r.ID,
			Class:       bulwark.ClassSecret,
			Title:       r.Title,
			Severity:    r.Severity,
			Description: r.Description,
			Remedy:      r.Fix,
			References:  r.References,
		})
	}
	slices.SortFunc(out, func(a, b bulwark.Rule) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Check gives the findings of f, one for each rule, with evidence for each
// secret. A file that costs more than the limit gives what was found so far and
// [bulwark.ErrTooLarge]. Errors never hold content.
func (c *Check) Check(ctx context.Context, f *bulwark.File) ([]bulwark.Finding, error) {
	out, _, err := c.look(ctx, f)
	return out, err
}

// look gives the findings of f and, of each, the secrets that its evidence stands for.
func (c *Check) look(ctx context.Context, f *bulwark.File) ([]bulwark.Finding, [][]string, error) {
	if f.Size < minSize {
		return nil, nil, nil
	}
	s := c.pool.Get().(*scratch)
	defer c.pool.Put(s)
	data, kind, err := s.read(f)
	if err != nil {
		return nil, nil, fmt.Errorf("check %q for secrets: %w", f.Path, err)
	}
	var found []match
	switch kind {
	case kindStore:
		found = c.keystore(f.Path, data)
	case kindText:
		found, err = c.scan(ctx.Err, s, f.Path, data)
		if err != nil {
			err = fmt.Errorf("check %q for secrets: %w", f.Path, err)
		}
	}
	if len(found) == 0 {
		return nil, nil, err
	}
	line := max(1, f.Line)
	out, values := report(found, f.Path, data, kind == kindText, line)
	return out, values, err
}

// maxEvidence bounds the secrets of one rule that are shown for one file.
const maxEvidence = 16

// report makes findings of matches: one for each rule. The secret that evidence
// stands for has its place in values.
func report(found []match, subject string, data []byte, lines bool, first int) (out []bulwark.Finding, values [][]string) {
	slices.SortStableFunc(found, func(a, b match) int { return a.start - b.start })
	count := map[string]int{}
	known := map[string]bool{}
	number, upto := first, 0
	for i := range found {
		m := &found[i]
		key := m.rule.ID + "\x00" + string(m.secret)
		if known[key] {
			continue
		}
		known[key] = true
		count[m.rule.ID]++
		if count[m.rule.ID] > maxEvidence {
			continue
		}
		e := bulwark.Evidence{Location: bulwark.Location{Path: subject}, Detail: m.detail()}
		if lines {
			number += newlines(data[upto:m.start])
			upto = m.start
			e.Line = number
		}
		id := "secret/" + m.rule.ID
		at := slices.IndexFunc(out, func(f bulwark.Finding) bool { return f.Rule == id })
		if at < 0 {
			out = append(out, bulwark.Finding{
				ID:       bulwark.FindingID(bulwark.ClassSecret, id, subject),
				Class:    bulwark.ClassSecret,
				Rule:     id,
				Severity: m.severity,
				Subject:  subject,
				Fix:      m.rule.Fix,
			})
			values = append(values, nil)
			at = len(out) - 1
			if m.brought { // as are all others of this rule in this file
				out[at].Status = bulwark.Status{State: bulwark.StateSuppressed, By: "secret/package", Reason: "part of a package, which anybody can read"}
			}
		}
		out[at].Severity = max(out[at].Severity, m.severity)
		out[at].Evidence = append(out[at].Evidence, e)
		values[at] = append(values[at], string(m.secret))
	}
	for i := range out {
		f := &out[i]
		if n := count[strings.TrimPrefix(f.Rule, "secret/")]; n > maxEvidence {
			f.Evidence[maxEvidence-1].Detail += fmt.Sprintf("; %d more are not shown", n-maxEvidence)
		}
		if why := sampleReason(subject); why != "" {
			f.Severity = min(f.Severity, bulwark.SeverityLow)
			if installed(subject) {
				f.Status = bulwark.Status{State: bulwark.StateSuppressed, By: "secret/sample", Reason: why}
			}
		}
	}
	return out, values
}
