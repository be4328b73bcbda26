// SPDX-License-Identifier: Apache-2.0

package advisory

import (
	"cmp"
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
	system  string // what it was built for, as bulwark.Program has it
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
		q := program{system: p.System}
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
	elsewhere := false // some of them are flawed on other systems than a program's
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
		if !ok {
			worse(bulwark.ReachUnknown)
			continue
		}
		here := on(symbols, q.system)
		elsewhere = elsewhere || len(here) < len(symbols)
		if len(here) == 0 {
			r.words[i] = fmt.Sprintf("no function is flawed on %s, which the program is built for", strings.Trim(q.system, "/"))
			continue
		}
		if q.unknown != "" {
			worse(bulwark.ReachUnknown)
			r.words[i] = "whether its flawed functions are linked in is not known: " + q.unknown
			continue
		}
		var linked []string
		ask := true
		for _, s := range here {
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
			r.words[i] = "not linked in: " + named(here)
		}
	}
	if r.state == bulwark.ReachNotLinked {
		// The word is OpenVEX's (https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md#status-justifications).
		which := ""
		if elsewhere {
			which = " for its system"
		}
		r.reason = fmt.Sprintf("vulnerable_code_not_present: none of the functions that %s names%s is linked into the program", strings.Join(by, " and "), which)
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

// A symbol is a function that is flawed.
type symbol struct {
	name    string // as in bulwark.Affected
	systems string // "" is all
}

// on gives the names of the symbols that are flawed in a program that was built
// for a system, each once; symbols are sorted by name. What is not known of the
// system counts as if it were the one.
func on(symbols []symbol, system string) []string {
	os, arch, _ := strings.Cut(system, "/")
	var names []string
	for _, s := range symbols {
		wantOS, wantArch, _ := strings.Cut(s.systems, "/")
		if n := len(names); among(wantOS, os) && among(wantArch, arch) && (n == 0 || names[n-1] != s.name) {
			names = append(names, s.name)
		}
	}
	return names
}

// among tells whether one is in a list with commas. An empty one of them is
// anything. The go command takes files for Linux for Android, too, and so on
// (https://pkg.go.dev/cmd/go#hdr-Build_constraints).
func among(list, one string) bool {
	if list == "" || one == "" {
		return true
	}
	for w := range strings.SplitSeq(list, ",") {
		if w == one || one == "android" && w == "linux" || one == "ios" && w == "darwin" || one == "illumos" && w == "solaris" {
			return true
		}
	}
	return false
}

// symbolsOf gives the functions that a flaw is about, and which records say so.
// It gives none unless all that the database of Go says about the flaw names
// functions. Records of others, which never name any, do not count beside it.
func symbolsOf(f *flaw) (symbols []symbol, by []string) {
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
			for i, name := range d.Symbols {
				s := symbol{name: name}
				if len(d.Systems) == len(d.Symbols) {
					s.systems = d.Systems[i]
				}
				symbols = append(symbols, s)
			}
		}
		if !found {
			return nil, nil
		}
		by = append(by, h.rec.ID)
	}
	slices.SortFunc(symbols, func(a, b symbol) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.systems, b.systems))
	})
	return slices.Compact(symbols), by
}
