// SPDX-License-Identifier: Apache-2.0

package starter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// A record is one vulnerability of the set.
type record struct {
	id        string
	aliases   []string // in the order given
	severity  bulwark.Severity
	published string // RFC 3339 date; "" when it is not known
	exploited bool
	cvss      string // version 3 vector; "" when it is not known
	summary   string
	packages  []affected
}

// affected is one package and its affected versions.
type affected struct {
	ecosystem string // OSV ecosystem, with release for distributions
	name      string
	ranges    []versions
	versions  []string
}

// versions is one range; fixed and last are never both set.
type versions struct{ from, fixed, last string }

// The ecosystems that a set may name, without release. Bulwark is that of
// products.txt.
var ecosystems = []string{"AlmaLinux", "Alpine", "Bulwark", "crates.io", "Debian", "Go", "Maven", "npm", "NuGet", "Packagist", "PyPI", "RubyGems", "Ubuntu"}

// maxSummary keeps summaries to one line of a report.
const maxSummary = 120

// The forms of identifiers and vectors that the set uses.
var (
	idForm   = regexp.MustCompile(`^(CVE-[0-9]{4}-[0-9]{4,}|GHSA(-[23456789cfghjmpqrvwx]{4}){3}|GO-[0-9]{4}-[0-9]{4,}|PYSEC-[0-9]{4}-[0-9]+|RUSTSEC-[0-9]{4}-[0-9]{4})$`)
	cvssForm = regexp.MustCompile(`^CVSS:3\.[01]/AV:[NALP]/AC:[LH]/PR:[NLH]/UI:[NR]/S:[UC]/C:[NLH]/I:[NLH]/A:[NLH]$`)
)

// parse reads the set. It refuses everything that the head of starter.txt does
// not describe, because a fact that is misread in silence is worse than none.
func parse(text string) ([]record, error) {
	var (
		out  []record
		cur  *record
		seen = map[string]int{} // id → line
		errs []error
	)
	for i, line := range strings.Split(text, "\n") {
		n := i + 1
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("line %d: "+format, append([]any{n}, args...)...))
		}
		switch {
		case strings.TrimSpace(line) == "" || line[0] == '#':
			cur = finish(cur, fail)
		case line[0] != ' ':
			finish(cur, fail)
			r, err := head(line)
			if err != nil {
				fail("%w", err)
			}
			for _, id := range append([]string{r.id}, r.aliases...) {
				if seen[id] != 0 {
					fail("id %q is on line %d, too", id, seen[id])
				}
				seen[id] = n
			}
			out = append(out, r)
			cur = &out[len(out)-1]
		case cur == nil:
			fail("indented, but below no record")
		case cur.summary == "":
			cur.summary = strings.TrimSpace(line)
			if len(cur.summary) > maxSummary {
				fail("summary of %d bytes, limit %d", len(cur.summary), maxSummary)
			}
		default:
			a, err := pkg(line)
			if err != nil {
				fail("%w", err)
			}
			if slices.ContainsFunc(cur.packages, func(b affected) bool { return a.ecosystem == b.ecosystem && a.name == b.name }) {
				fail("package %q of %q is given twice", a.name, a.ecosystem)
			}
			cur.packages = append(cur.packages, a)
		}
	}
	finish(cur, func(format string, args ...any) { errs = append(errs, fmt.Errorf("last record: "+format, args...)) })
	return out, errors.Join(errs...)
}

// finish checks that a record that ends is whole.
func finish(r *record, fail func(string, ...any)) *record {
	if r != nil && len(r.packages) == 0 {
		fail("record %q above names no package", r.id)
	}
	return nil
}

// head reads the first line of a record.
func head(line string) (record, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return record{}, fmt.Errorf("want an id and a severity, got %q", line)
	}
	r := record{id: words[0]}
	if !idForm.MatchString(r.id) {
		return r, fmt.Errorf("id %q", r.id)
	}
	var err error
	if r.severity, err = bulwark.ParseSeverity(words[1]); err != nil || r.severity.String() != words[1] || r.severity == bulwark.SeverityUnknown {
		return r, fmt.Errorf("severity %q", words[1])
	}
	for _, w := range words[2:] {
		switch {
		case w == "exploited" && !r.exploited:
			r.exploited = true
		case cvssForm.MatchString(w) && r.cvss == "":
			r.cvss = w
		case idForm.MatchString(w):
			r.aliases = append(r.aliases, w)
		default:
			if _, err := time.Parse(time.DateOnly, w); err != nil || r.published != "" {
				return r, fmt.Errorf("word %q", w)
			}
			r.published = w
		}
	}
	return r, nil
}

// pkg reads the line of one package.
func pkg(line string) (affected, error) {
	words := strings.Fields(line)
	if len(words) < 3 {
		return affected{}, fmt.Errorf("want an ecosystem, a name and ranges, got %q", strings.TrimSpace(line))
	}
	a := affected{ecosystem: words[0], name: words[1]}
	base, release, _ := strings.Cut(a.ecosystem, ":")
	distribution := slices.Contains([]string{"AlmaLinux", "Alpine", "Debian", "Ubuntu"}, base)
	if !slices.Contains(ecosystems, base) || distribution != (release != "") {
		return a, fmt.Errorf("ecosystem %q", a.ecosystem)
	}
	for _, w := range words[2:] {
		if v, ok := strings.CutPrefix(w, "="); ok && v != "" {
			a.versions = append(a.versions, v)
			continue
		}
		from, to, ok := strings.Cut(w, "..")
		if !ok {
			return a, fmt.Errorf("range %q", w)
		}
		x := versions{from: from}
		if from == "" {
			x.from = "0"
		}
		if last, ok := strings.CutPrefix(to, "="); ok {
			x.last = last
			ok = last != ""
			if !ok {
				return a, fmt.Errorf("range %q", w)
			}
		} else {
			x.fixed = to
		}
		if n := len(a.ranges); n > 0 && a.ranges[n-1].fixed == "" && a.ranges[n-1].last == "" {
			return a, fmt.Errorf("range %q follows one without an end", w)
		}
		a.ranges = append(a.ranges, x)
	}
	return a, nil
}
