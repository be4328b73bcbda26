// SPDX-License-Identifier: Apache-2.0

package subject

import (
	"slices"
	"strings"
)

// Bounds of an SPDX expression that is taken apart: longer ones keep their words
// and lose their choices.
const (
	maxLicenseWords = 256
	maxLicenseDepth = 32
)

// licenseIDs gives the licences of an SPDX expression
// (https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/), and those of
// them that no choice avoids: of "MIT OR (Apache-2.0 AND GPL-2.0-only)" none, of
// "MIT AND (A OR B)" the first. Both are sorted. An exception stays with its
// licence: "GPL-2.0-only WITH Classpath-exception-2.0".
func licenseIDs(expression string) (all, unavoidable []string) {
	words := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(expression))
	for i := 0; i < len(words); i++ {
		switch strings.ToUpper(words[i]) {
		case "AND", "OR", "(", ")":
		case "WITH":
			if i > 0 && i+1 < len(words) {
				words[i-1] += " WITH " + words[i+1]
				words = slices.Delete(words, i, i+2)
				i--
			}
		}
	}
	for _, w := range words {
		if !slices.Contains([]string{"AND", "OR", "(", ")"}, strings.ToUpper(w)) {
			all = append(all, w)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	p := choice{words: words}
	if must, ok := p.or(0); ok && len(words) <= maxLicenseWords && p.at == len(words) {
		slices.Sort(must)
		return all, slices.Compact(must)
	}
	// No expression: a name in words, which is one licence.
	return all, all
}

// choice reads an expression and keeps what cannot be avoided.
type choice struct {
	words []string
	at    int
}

func (p *choice) next(word string) bool {
	if p.at < len(p.words) && strings.EqualFold(p.words[p.at], word) {
		p.at++
		return true
	}
	return false
}

func (p *choice) or(depth int) ([]string, bool) {
	must, ok := p.and(depth)
	for ok && p.next("OR") {
		var other []string
		if other, ok = p.and(depth); ok {
			must = slices.DeleteFunc(slices.Clone(must), func(s string) bool { return !slices.Contains(other, s) })
		}
	}
	return must, ok
}

func (p *choice) and(depth int) ([]string, bool) {
	must, ok := p.one(depth)
	for ok && p.next("AND") {
		var other []string
		if other, ok = p.one(depth); ok {
			must = slices.Concat(must, other)
		}
	}
	return must, ok
}

func (p *choice) one(depth int) ([]string, bool) {
	if depth > maxLicenseDepth || p.at >= len(p.words) {
		return nil, false
	}
	if p.next("(") {
		must, ok := p.or(depth + 1)
		return must, ok && p.next(")")
	}
	w := p.words[p.at]
	if w == ")" || strings.EqualFold(w, "AND") || strings.EqualFold(w, "OR") {
		return nil, false
	}
	p.at++
	return []string{w}, true
}
