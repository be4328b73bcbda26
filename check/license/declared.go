// SPDX-License-Identifier: Apache-2.0

package license

import (
	"regexp"
	"strings"
	"sync"
)

// maxDeclared bounds one declared string: a longer one is a text, not a name.
const maxDeclared = 4 << 10

// A Terms is how an ecosystem means several licences of one package. The zero
// Terms is any of them.
type Terms int

// The meanings of several licences.
const (
	AnyOf Terms = iota // Maven, npm, Composer, RubyGems: whoever uses it chooses
	AllOf              // Debian, rpm, apk: parts of the package have each
)

// Declared reads what a package says about its licences, in the words of any
// ecosystem: SPDX expressions, Debian's and rpm's short names, trove classifiers,
// names in Maven's, npm's and RubyGems' metadata, addresses of licences. What
// cannot be read becomes a LicenseRef of the same words. Nothing declared gives
// the zero Expression.
func Declared(list []string, terms Terms) Expression {
	var out []Expression
	for _, s := range list {
		if e := declared(s, terms); !e.Zero() {
			out = append(out, e)
		}
		if len(out) == maxTerms {
			break
		}
	}
	// "OSI Approved" beside a name that can be read says nothing more.
	if len(out) > 1 {
		kept := out[:0]
		for _, e := range out {
			if e.id != "LicenseRef-other" {
				kept = append(kept, e)
			}
		}
		if len(kept) > 0 {
			out = kept
		}
	}
	if terms == AllOf {
		return join(and, out)
	}
	return join(or, out)
}

var spaces = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\s+`) })

// later finds the ways to say that a later version may be chosen, which have
// operators in them.
var later = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)[\s,]*\(?\b(?:or|and)\s*-?\(?(?:\s*at\s+your\s+option\)?,?)?[\s-]*(?:any\s+|\(?at your option\)? any\s+)?(?:later|newer|greater|above)(?:\s+versions?)?\b\)?`)
})

func declared(s string, terms Terms) Expression {
	s = strings.TrimSpace(spaces().ReplaceAllString(s, " "))
	s = strings.Trim(s, `"'`)
	if s == "" || strings.EqualFold(s, "NONE") || strings.EqualFold(s, "NOASSERTION") || strings.EqualFold(s, "UNKNOWN") {
		return Expression{}
	}
	if len(s) > maxDeclared {
		return Expression{id: "LicenseRef-text"}
	}
	if i := strings.LastIndex(s, " :: "); i >= 0 { // a trove classifier
		s = s[i+4:]
	}
	if e, ok := name(s); ok {
		return e
	}
	loose := later().ReplaceAllString(s, "-or-later")
	if e, err := Parse(loose); err == nil {
		return modern(e)
	}
	if e, ok := name(loose); ok {
		return e
	}
	if terms == AllOf && !strings.ContainsAny(loose, "()") {
		if e, ok := stanza(loose); ok {
			return e
		}
	}
	if terms == AllOf {
		if e, ok := listed(loose); ok {
			return e
		}
	}
	best, hits := Expression{}, 0
	for _, f := range [...]func(string) string{punctuated, slashed} {
		a := loosely{}
		p := parser{words: words(f(loose)), atom: a.atom}
		e, err := p.all()
		if err != nil {
			continue
		}
		if a.hits > hits {
			best, hits = e, a.hits
		}
		if a.misses == 0 {
			break
		}
	}
	if hits == 0 { // nothing in it is a licence: keep the words together
		return Expression{id: ref(s)}
	}
	return best
}

// listed reads names with nothing but blanks between them, as old packages of
// Alpine have them: "MIT BSD GPL2+".
func listed(s string) (Expression, bool) {
	var terms []Expression
	for w := range strings.FieldsSeq(s) {
		e, ok := name(w)
		if !ok || operatorWord(w) {
			return Expression{}, false
		}
		terms = append(terms, e)
	}
	return join(and, terms), len(terms) > 1
}

// stanza reads the licence field of Debian's copyright files, in which a comma
// before a word closes what stands before it:
// "GPL-2+ or Artistic-2.0, and BSD-3-clause".
func stanza(s string) (Expression, bool) {
	left, right, ok := strings.Cut(s, ", and ")
	op := and
	if !ok {
		left, right, ok = strings.Cut(s, ", or ")
		op = or
	}
	if !ok {
		return Expression{}, false
	}
	a, b := declared(left, AllOf), declared(right, AllOf)
	return join(op, []Expression{a, b}), !a.Zero() && !b.Zero()
}

// punctuated writes operators for the signs that lists use.
func punctuated(s string) string {
	s = strings.ReplaceAll(s, "-with-", " WITH ")
	s = strings.NewReplacer(", and ", " AND ", ", or ", " OR ", " w/ ", " WITH ", " & ", " AND ", "||", " OR ", "|", " OR ", "&&", " AND ", ";", " AND ").Replace(s)
	return strings.ReplaceAll(s, ",", " AND ")
}

// slashed reads a slash as the choice that Cargo and npm once meant by it.
func slashed(s string) string {
	return strings.ReplaceAll(punctuated(s), "/", " OR ")
}

// loosely reads licences as packages write them, and counts those it knows.
type loosely struct{ hits, misses int }

func (l *loosely) atom(words, exception []string) (Expression, bool) {
	if len(words) == 0 {
		return Expression{}, false
	}
	s, with := strings.Join(words, " "), strings.Join(exception, " ")
	e, ok := name(s)
	if with != "" {
		if whole, known := name(s + " with " + with); known { // "Apache 2 with LLVM exception"
			l.hits++
			return whole, true
		}
		s += " with " + with
	}
	if !ok || with != "" && (e.op != single || e.exception != "") {
		l.misses++
		return Expression{id: ref(s)}, true
	}
	l.hits++
	if with == "" {
		return e, true
	}
	if id, ok := exceptionID(with); ok {
		e.exception = id
	} else if id, ok := known().additions[fold(with)]; ok {
		e.exception = id
	} else {
		e.exception = "AdditionRef-" + slug(with)
	}
	return e, true
}

// name reads the name of one licence: an SPDX id, an alias, or one of the GNU
// family.
func name(s string) (Expression, bool) {
	s = strings.TrimSpace(s)
	if !strings.ContainsAny(s, " ()") {
		if e, ok := licence(s); ok {
			return modern(e), true
		}
	}
	f := fold(s)
	if e, ok := known().aliases[f]; ok {
		return e, true
	}
	if e, ok := gnu(f); ok {
		return e, true
	}
	// "GNU GPL (GPL-3.0)", "MIT License (MIT)": the name twice.
	if open := strings.LastIndexByte(s, '('); open > 0 && strings.HasSuffix(s, ")") {
		a, ok := name(s[:open])
		b, also := name(s[open+1 : len(s)-1])
		switch {
		case ok && also && (a.String() == b.String() || a.Risk() == b.Risk()):
			return a, true
		case also && !ok && len(strings.Fields(s[:open])) > 1:
			return b, true
		}
	}
	return Expression{}, false
}

// modern writes the ids of the GNU family that SPDX has given up as those that
// say what they mean.
func modern(e Expression) Expression {
	for i := range e.terms {
		if i == 0 {
			e.terms = append([]Expression(nil), e.terms...)
		}
		e.terms[i] = modern(e.terms[i])
	}
	if e.op != single {
		return e
	}
	if base, exception, ok := strings.Cut(e.id, "-with-"); ok && e.exception == "" && strings.HasPrefix(base, "GPL-") {
		if id, ok := known().additions[fold(exception)]; ok {
			e.id, e.exception = base, id
		}
	}
	family, version, ok := strings.Cut(e.id, "-")
	if !ok || family != "GPL" && family != "LGPL" && family != "AGPL" && family != "GFDL" || strings.ContainsRune(version, '-') {
		return e
	}
	if e.later {
		e.id, e.later = e.id+"-or-later", false
	} else {
		e.id += "-only"
	}
	return e
}

// fold brings a name to the form in which aliases are compared: words in lower
// case, without those that say nothing, "v2.0" as "2".
func fold(s string) string {
	low := strings.ToLower(s)
	low = strings.TrimPrefix(strings.TrimPrefix(low, "https://"), "http://")
	parts := strings.FieldsFunc(low, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '+')
	})
	out := parts[:0]
	for _, w := range parts {
		if w = strings.TrimPrefix(strings.Trim(w, "."), "www."); w == "" {
			continue
		}
		switch w {
		case "the", "license", "licence", "licenses", "licences", "licensed", "version", "ver", "v", "under", "software", "terms":
			continue
		}
		for _, ext := range [...]string{".txt", ".html", ".php"} { // ends of addresses
			w = strings.TrimSuffix(w, ext)
		}
		if len(w) > 1 && w[0] == 'v' && w[1] >= '0' && w[1] <= '9' {
			w = w[1:]
		}
		if n, plus := strings.CutSuffix(w, "+"); plus {
			w = strings.TrimSuffix(n, ".0") + "+"
		} else {
			w = strings.TrimSuffix(w, ".0")
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// gnu reads a folded name of the GNU family: "gplv2+", "lgpl 2.1 or later",
// "gnu affero general public 3 agplv3".
func gnu(f string) (Expression, bool) {
	for _, long := range [...][2]string{
		{"affero general public", "agpl"}, {"affero gpl", "agpl"}, {"library or lesser general public", "lgpl"}, {"lesser or library general public", "lgpl"},
		{"lesser general public", "lgpl"}, {"library general public", "lgpl"}, {"lesser gpl", "lgpl"}, {"library gpl", "lgpl"}, {"lesser public", "lgpl"}, {"general public", "gpl"},
		{"free documentation", "gfdl"}, {"fdl", "gfdl"}, {"ggfdl", "gfdl"}, {"gnu", ""},
	} {
		f = strings.ReplaceAll(f, long[0], long[1])
	}
	family, version, plus, only, niv := "", "", false, false, false
	for w := range strings.FieldsSeq(f) {
		rest := w
		for _, name := range [...]string{"agpl", "lgpl", "gpl", "gfdl"} {
			if r, ok := strings.CutPrefix(w, name); ok {
				if family != "" && family != name {
					return Expression{}, false
				}
				family, rest = name, strings.TrimPrefix(r, "v")
				break
			}
		}
		if family == "" {
			return Expression{}, false
		}
		if n, ok := strings.CutSuffix(rest, "+"); ok {
			rest, plus = n, true
		}
		switch rest {
		case "", "or", "any", "at", "your", "option", "of":
		case "later", "newer", "greater", "above":
			plus = true
		case "only":
			only = true
		case "niv":
			niv = true
		case "1", "1.1", "1.2", "1.3", "2", "2.1", "3":
			if version != "" && version != rest {
				return Expression{}, false
			}
			version = rest
		default:
			return Expression{}, false
		}
	}
	if family == "" || plus && only {
		return Expression{}, false
	}
	if version == "" { // any version ever published
		version, plus = map[string]string{"gpl": "1", "lgpl": "2", "agpl": "3", "gfdl": "1.1"}[family], !only
	}
	if !strings.ContainsRune(version, '.') {
		version += ".0"
	}
	id := strings.ToUpper(family) + "-" + version
	if niv && family == "gfdl" {
		id += "-no-invariants"
	}
	if plus {
		id += "-or-later"
	} else {
		id += "-only"
	}
	_, ok := known().licenses[strings.ToLower(id)]
	return Expression{id: id}, ok
}

// ref gives a reference for words that are no licence.
func ref(s string) string { return "LicenseRef-" + slug(s) }

// slug writes words as an idstring of at most 64 bytes.
func slug(s string) string {
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < 64; i++ {
		switch {
		case idByte(s[i]):
			b.WriteByte(s[i])
		case s[i] == '+':
			b.WriteString("-plus")
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-")
	if out == "" {
		return "unnamed"
	}
	return out
}

// readAliases reads lines of "expression: name | name".
func (t *tables) readAliases() {
	for line := range lines(aliasesText) {
		i := strings.Index(line, ": ")
		p := parser{words: words(line[:i]), atom: func(name, exception []string) (Expression, bool) { return t.atom(name, exception) }}
		e, err := p.all()
		if err != nil {
			continue // the tests read every line
		}
		for n := range strings.SplitSeq(line[i+2:], "|") {
			if n = fold(n); n != "" {
				if _, ok := t.aliases[n]; !ok {
					t.aliases[n] = e
				}
			}
		}
	}
	for id, names := range map[string]string{
		"Autoconf-exception-generic":   "autoconf|autoconf exception|autoconf macro exception|configure script exception|autotools exception",
		"Autoconf-exception-2.0":       "autoconf exception 2",
		"Autoconf-exception-3.0":       "autoconf exception 3",
		"Libtool-exception":            "libtool|libtool exception|libtool special exception",
		"Bison-exception-2.2":          "bison|bison exception|bison 2.2 exception|bison parser exception|bison exception 2.2",
		"Classpath-exception-2.0":      "classpath|classpath exception|gnu classpath exception|classpath exception 2|cpe|cp exception",
		"GCC-exception-3.1":            "gcc|gcc exception|gcc runtime library exception|gcc exception 3.1|gcc runtime exception|gcc rle",
		"GCC-exception-2.0":            "gcc exception 2",
		"Font-exception-2.0":           "font exception|font embedding exception|font",
		"Linux-syscall-note":           "linux syscall note|syscall note",
		"LLVM-exception":               "llvm|llvm exception|llvm exceptions",
		"Texinfo-exception":            "texinfo|texinfo exception|texinfo tex exception",
		"OCaml-LGPL-linking-exception": "ocaml linking exception|ocaml exception|static linking exception|ocaml lgpl linking exception|linking exception",
		"WxWindows-exception-3.1":      "wxwindows|wxwindows exception|wxwindows library exception",
		"Qt-LGPL-exception-1.1":        "qt exception|qt lgpl exception|qt lgpl exception 1.1|digia qt lgpl exception 1.1",
		"Universal-FOSS-exception-1.0": "universal foss exception 1|universal foss exception",
		"Swift-exception":              "swift exception|runtime library exception",
		"cryptsetup-OpenSSL-exception": "cryptsetup openssl exception",
	} {
		for n := range strings.SplitSeq(names, "|") {
			t.additions[fold(n)] = id
		}
	}
}

// atom is strictAtom while the tables are still being read.
func (t *tables) atom(name, exception []string) (Expression, bool) {
	if len(name) != 1 || len(exception) > 1 {
		return Expression{}, false
	}
	e := Expression{id: name[0]}
	ok := reference(name[0])
	if !ok {
		e.id, ok = t.licenses[strings.ToLower(name[0])], true
	}
	if len(exception) == 1 {
		e.exception = t.exceptions[strings.ToLower(exception[0])]
	}
	return e, ok && e.id != "" && (len(exception) == 0 || e.exception != "")
}
