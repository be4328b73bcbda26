// SPDX-License-Identifier: Apache-2.0

package osv

import (
	"regexp"
	"strings"

	gocvss30 "github.com/pandatix/go-cvss/30" // CVSS is a formula with many tables; this library is tested against the calculators of FIRST
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"github.com/bulwark-sec/bulwark"
)

// vector gives the CVSS vector of the newest version among list, and its base
// score. Version 2 and vectors that cannot be read are left out.
func vector(list []severity) (best string, score float64) {
	rank := 0
	for _, s := range list {
		v := strings.TrimSpace(string(s.Score))
		if r, sc, ok := Score(v); ok && r > rank {
			rank, best, score = r, v, sc
		}
	}
	return best, score
}

// Score reads a CVSS vector of version 3.0, 3.1 or 4.0: a number that orders
// the versions, and the base score from 0 to 10.
func Score(v string) (version int, score float64, ok bool) {
	if len(v) > 400 {
		return 0, 0, false
	}
	switch {
	case strings.HasPrefix(v, "CVSS:4.0/"):
		c, err := gocvss40.ParseVector(v)
		if err != nil {
			return 0, 0, false
		}
		return 40, c.Score(), true
	case strings.HasPrefix(v, "CVSS:3.1/"):
		c, err := gocvss31.ParseVector(v)
		if err != nil {
			return 0, 0, false
		}
		return 31, c.BaseScore(), true
	case strings.HasPrefix(v, "CVSS:3.0/"):
		c, err := gocvss30.ParseVector(v)
		if err != nil {
			return 0, 0, false
		}
		return 30, c.BaseScore(), true
	}
	return 0, 0, false
}

// worded gives the first severity that is a vendor's word and not a vector.
func worded(list []severity, words ...string) bulwark.Severity {
	for _, s := range list {
		if s.Type == "Ubuntu" { // the only word in the schema so far
			words = append([]string{string(s.Score)}, words...)
		}
	}
	for _, w := range words {
		if s, err := bulwark.ParseSeverity(strings.TrimRight(strings.TrimSpace(w), "*")); err == nil && s != bulwark.SeverityUnknown {
			return s
		}
	}
	return bulwark.SeverityUnknown
}

// informational rates what RustSec publishes without it being a vulnerability
// (https://rustsec.org/categories/): code that can be misused, and notices.
func informational(kind string) bulwark.Severity {
	switch kind {
	case "unsound":
		return bulwark.SeverityLow
	case "unmaintained", "notice":
		return bulwark.SeverityNegligible
	}
	return bulwark.SeverityUnknown
}

// rating gives the vendor's own rating of a whole record, and whose it is.
func rating(r *record, db specific, base string) (bulwark.Severity, string) {
	by := Vendor(r.ID, base)
	if s := worded(r.Severity, db.string("severity")); s != bulwark.SeverityUnknown {
		return s, by
	}
	if errata.MatchString(r.ID) {
		word, _, ok := strings.Cut(string(r.Summary), ":")
		if s := worded(nil, word); ok && s != bulwark.SeverityUnknown {
			return s, by
		}
	}
	if strings.HasPrefix(r.ID, "MAL-") {
		return bulwark.SeverityCritical, "malicious package"
	}
	return bulwark.SeverityUnknown, ""
}

// Vendor names who publishes an id: "GitHub", "Debian", else the ecosystem base.
func Vendor(id, base string) string {
	for _, v := range [...][2]string{{"GHSA-", "GitHub"}, {"RUSTSEC-", "RustSec"}, {"GO-", "Go"}, {"PYSEC-", "PyPA"}, {"USN-", "Ubuntu"}, {"UBUNTU-", "Ubuntu"}, {"DEBIAN-", "Debian"}, {"DSA-", "Debian"}, {"DLA-", "Debian"}} {
		if strings.HasPrefix(id, v[0]) {
			return v[1]
		}
	}
	if base != "" {
		return base
	}
	return id
}

var (
	// errata are ids of distributions that begin a summary with their rating:
	// "Important: firefox security update".
	errata = regexp.MustCompile(`^(AL|RL|RH|EL|RX)[SBE]A-`)
	// stream is a module and its stream in the summary of an erratum.
	stream = regexp.MustCompile(`[A-Za-z0-9][\w.+-]*:[\w.+-]+`)
)

// module gives the rpm modules whose builds a is about, separated by commas:
// "python38:3.8,python38-devel:3.8". It is "*" when the versions are builds of a
// module that the record does not name, and "" for ordinary packages. Records do
// not say it in a member of its own: the version shows that there is a module,
// the summary which one.
func module(a *bulwark.Affected, r *record) string {
	modular := false
	for _, g := range a.Ranges {
		for _, v := range []string{g.Fixed, g.LastAffected} {
			modular = modular || strings.Contains(v, ".module+el") || strings.Contains(v, ".module_el")
		}
	}
	if !modular {
		return ""
	}
	summary := string(r.Summary)
	if word, rest, ok := strings.Cut(summary, ": "); ok && !strings.Contains(word, " ") || errata.MatchString(word) {
		summary = rest
	}
	found := stream.FindAllString(summary, 8)
	for i := 0; i < len(found); {
		if errata.MatchString(found[i]) {
			found = append(found[:i], found[i+1:]...)
			continue
		}
		i++
	}
	if len(found) == 0 {
		return "*"
	}
	return strings.Join(found, ",")
}
