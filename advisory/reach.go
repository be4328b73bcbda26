// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/funcset"
)

// notLinked is the rule that answers for functions that are not in a program.
const notLinked = "bulwark/not-linked"

// maxNamed bounds the functions that evidence names.
const maxNamed = 3

// A place is where a program is.
type place struct {
	path  string
	layer bulwark.Digest
}

// A program is what can be asked of one.
type program struct {
	set     funcset.Set
	unknown string // why nothing can be asked
}

// programs makes the programs of an inventory ready to be asked.
func programs(inv *bulwark.Inventory) map[place]program {
	if len(inv.Programs) == 0 {
		return nil
	}
	out := make(map[place]program, len(inv.Programs))
	for i := range inv.Programs {
		p := &inv.Programs[i]
		var q program
		var err error
		switch q.set, err = funcset.Parse(p.Functions); {
		case err == nil:
		case p.Unknown != "":
			q.unknown = p.Unknown
		default:
			q.unknown = "what is kept of its functions cannot be read"
		}
		out[place{p.Path, p.Layer}] = q
	}
	return out
}

// A reach says whether flawed functions are in programs.
type reach struct {
	state  string   // see the Reach constants
	words  []string // for each place of the package; nil when the state says it all
	reason string   // why the flaw cannot be used; for ReachNotLinked only
}

// reach finds out whether the flawed functions of a Go module are in the programs
// that it was found in. What is not known for certain counts as if they were.
func (m *matcher) reach(p *bulwark.Package, f *flaw) reach {
	if len(m.programs) == 0 || !slices.ContainsFunc(p.Where, func(l bulwark.Location) bool {
		_, ok := m.programs[place{l.Path, l.Layer}]
		return ok
	}) {
		return reach{}
	}
	symbols, by := symbolsOf(f)
	if len(symbols) == 0 {
		return reach{state: bulwark.ReachUnknown}
	}
	r := reach{state: bulwark.ReachNotLinked, words: make([]string, len(p.Where))}
	worse := func(state string) {
		if r.state != bulwark.ReachLinked {
			r.state = state
		}
	}
	for i, l := range p.Where {
		q, ok := m.programs[place{l.Path, l.Layer}]
		switch {
		case !ok:
			worse(bulwark.ReachUnknown)
			continue
		case q.unknown != "":
			worse(bulwark.ReachUnknown)
			r.words[i] = "whether its flawed functions are linked in is not known: " + q.unknown
			continue
		}
		var linked []string
		ask := true
		for _, s := range symbols {
			has, ok := q.set.Has(s)
			ask = ask && ok
			if has {
				linked = append(linked, s)
			}
		}
		switch {
		case len(linked) > 0:
			r.state = bulwark.ReachLinked
			r.words[i] = "linked in: " + named(linked)
		case !ask:
			worse(bulwark.ReachUnknown)
			r.words[i] = "whether its flawed functions are linked in is not known: one of them has no name of its own in a program"
		default:
			r.words[i] = "not linked in: " + named(symbols)
		}
	}
	if r.state == bulwark.ReachNotLinked {
		// The word is OpenVEX's (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md#status-justifications).
		r.reason = fmt.Sprintf("vulnerable_code_not_present: none of the functions that %s names is linked into the program", strings.Join(by, " and "))
	}
	return r
}

// weaker joins two answers about one finding.
func weaker(a, b string) string {
	for _, s := range []string{bulwark.ReachLinked, bulwark.ReachUnknown, bulwark.ReachNone} {
		if a == s || b == s {
			return s
		}
	}
	return bulwark.ReachNotLinked
}

// named gives the first names, and how many more there are.
func named(names []string) string {
	s := strings.Join(names[:min(len(names), maxNamed)], ", ")
	if n := len(names) - maxNamed; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// symbolsOf gives the functions that a flaw is about, and which records say so.
// It gives none unless all that the database of Go says about the flaw names
// functions. Records of others, which never name any, do not count beside it.
func symbolsOf(f *flaw) (symbols, by []string) {
	for _, h := range f.hits {
		if !strings.HasPrefix(h.rec.ID, "GO-") {
			continue
		}
		found := false
		for _, d := range h.rec.Packages {
			if d.Name != h.name || !sameRelease(h.base, h.release, d.Release) {
				continue
			}
			if len(d.Symbols) == 0 {
				return nil, nil // another range of versions is affected as a whole
			}
			found = true
			symbols = append(symbols, d.Symbols...)
		}
		if !found {
			return nil, nil
		}
		by = append(by, h.rec.ID)
	}
	slices.Sort(symbols)
	return slices.Compact(symbols), by
}
