// SPDX-License-Identifier: Apache-2.0

// Package license says what risk the licences of software carry. It knows SPDX
// licence expressions, how distributions and language ecosystems write
// licences, the texts of the common ones, and the usual classes of risk.
//
// It does not know what somebody may do: it is no legal advice. It does not know
// which packages are linked into which, nor who owns them, and it does not
// guess: what cannot be read stays as it was, as LicenseRef, and is told as
// unknown.
//
// The classes are those of Google's and Trivy's lists
// (https://github.com/google/licenseclassifier, license_type.go;
// https://trivy.dev/latest/docs/scanner/license/) with three changes: the AGPL is
// restricted and not forbidden, for it is a free licence that one can fulfil;
// the WTFPL is permissive; and forbidden are the licences that rule out a use:
// commercial, competing, or in production.
package license

import (
	"bufio"
	_ "embed" // ids, aliases and classes
	"strings"
	"sync"

	"github.com/bulwark-sec/bulwark"
)

//go:embed ids.txt
var idsText string

//go:embed aliases.txt
var aliasesText string

//go:embed classes.txt
var classesText string

// A Risk is a class of licences. The zero Risk is unknown.
type Risk int

// The classes of risk.
const (
	Unknown      Risk = iota // cannot be read, or is in no class
	Unencumbered             // no conditions: public domain, CC0
	Permissive               // conditions that nobody breaks by using it: WTFPL, MIT-0
	Notice                   // the notice must be kept: MIT, BSD, Apache
	Reciprocal               // changes must be published under the same terms: MPL, EPL
	Restricted               // the whole program must be published under the same terms: GPL, AGPL
	Forbidden                // rules out a use: commercial, competing, in production
)

// Risks lists every class, worst first; unknown stands where it counts in a
// conjunction.
func Risks() []Risk {
	return []Risk{Forbidden, Restricted, Reciprocal, Unknown, Notice, Permissive, Unencumbered}
}

// String gives the lower-case name of the class: "restricted".
func (r Risk) String() string {
	switch r {
	case Unencumbered:
		return "unencumbered"
	case Permissive:
		return "permissive"
	case Notice:
		return "notice"
	case Reciprocal:
		return "reciprocal"
	case Restricted:
		return "restricted"
	case Forbidden:
		return "forbidden"
	}
	return "unknown"
}

// Severity gives what Trivy gives: critical for forbidden, high for restricted,
// medium for reciprocal, unknown for unknown and low for the rest.
func (r Risk) Severity() bulwark.Severity {
	switch r {
	case Forbidden:
		return bulwark.SeverityCritical
	case Restricted:
		return bulwark.SeverityHigh
	case Reciprocal:
		return bulwark.SeverityMedium
	case Notice, Permissive, Unencumbered:
		return bulwark.SeverityLow
	}
	return bulwark.SeverityUnknown
}

// Risky tells whether the class asks for a decision: forbidden, restricted and
// reciprocal do.
func (r Risk) Risky() bool { return r >= Reciprocal }

// rank orders classes by what they cost where all terms hold: something unknown
// is worse than a notice, but does not hide what is known to be worse.
func (r Risk) rank() int {
	for i, s := range Risks() {
		if s == r {
			return -i
		}
	}
	return 0
}

// Risk gives the class of e: of OR the least known one, for whoever uses the
// software may choose; of AND the worst. The zero Expression is unknown.
func (e Expression) Risk() Risk {
	switch e.op {
	case single:
		return known().risk(e)
	case or:
		best, found := Unknown, false
		for _, t := range e.terms {
			if r := t.Risk(); r != Unknown && (!found || r.rank() < best.rank()) {
				best, found = r, true
			}
		}
		return best
	}
	worst := Unencumbered
	for _, t := range e.terms {
		if r := t.Risk(); r.rank() > worst.rank() {
			worst = r
		}
	}
	return worst
}

// unread gives the references in e that no class is known of.
func (e Expression) unread() []string {
	var out []string
	e.each(func(t Expression) {
		if strings.Contains(t.id, "LicenseRef-") && known().risk(t) == Unknown {
			out = append(out, t.id)
		}
	})
	return out
}

// tables are the lists of this package, ready for use.
type tables struct {
	licenses, exceptions map[string]string // lower case to canonical
	aliases              map[string]Expression
	additions            map[string]string // folded words to an exception
	classes              map[string]Risk   // by id
	globs                []glob
	frees                map[string]bool // exceptions that free what is built with the software
}

// A glob gives the class of all ids that begin and end so.
type glob struct {
	head, tail string
	risk       Risk
}

var known = sync.OnceValue(func() *tables {
	t := &tables{
		licenses: map[string]string{}, exceptions: map[string]string{}, aliases: map[string]Expression{}, additions: map[string]string{},
		classes: map[string]Risk{}, frees: map[string]bool{},
	}
	into := t.licenses
	for line := range lines(idsText) {
		if line == "--" {
			into = t.exceptions
			continue
		}
		into[strings.ToLower(line)] = line
	}
	t.readClasses()
	t.readAliases()
	return t
})

// lines yields the lines of a list without comments and blank lines.
func lines(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
			line := strings.TrimSpace(s.Text())
			if line != "" && line[0] != '#' && !yield(line) {
				return
			}
		}
	}
}

// readClasses reads lines of "class: id id head*tail".
func (t *tables) readClasses() {
	for line := range lines(classesText) {
		name, ids, _ := strings.Cut(line, ":")
		for id := range strings.FieldsSeq(ids) {
			if name == "frees" {
				t.frees[id] = true
				continue
			}
			for _, r := range Risks() {
				if r.String() != name {
					continue
				}
				if head, tail, ok := strings.Cut(id, "*"); ok {
					t.globs = append(t.globs, glob{head, tail, r})
				} else {
					t.classes[id] = r
				}
			}
		}
	}
}

// risk gives the class of one licence.
func (t *tables) risk(e Expression) Risk {
	r, ok := t.classes[e.id]
	if !ok {
		length := 0
		for _, g := range t.globs {
			if n := len(g.head) + len(g.tail); n > length && n <= len(e.id) && strings.HasPrefix(e.id, g.head) && strings.HasSuffix(e.id, g.tail) {
				r, length = g.risk, n
			}
		}
	}
	// A name that somebody made up may hold more than its begin or end says.
	if low := strings.ToLower(e.id); r != Unknown && r < Restricted && strings.HasPrefix(e.id, "LicenseRef-") {
		for _, w := range [...]string{"gpl", "commercial", "proprietary", "sharealike", "-nc"} {
			if strings.Contains(low, w) {
				return Unknown
			}
		}
	}
	if r == Restricted && t.frees[e.exception] {
		return Reciprocal
	}
	return r
}
