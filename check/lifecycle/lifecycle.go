// SPDX-License-Identifier: Apache-2.0

// Package lifecycle tells which software gets no security fixes any more. It
// knows until when upstream maintains the releases of runtimes, and what the end
// of a distribution's release means. It does not know which flaws there are: no
// fix will come for the ones that are found from then on.
//
// A package that a distribution installed is its maintainer's affair, whatever
// upstream says: only copies that came another way are judged by upstream's
// dates.
package lifecycle

import (
	"bufio"
	"cmp"
	_ "embed" // dates
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
)

//go:embed runtimes.txt
var runtimesText string

// The rules.
const (
	RuleOS      = "BW-EOL-0001" // of a distribution's release
	ruleRuntime = "BW-EOL-0002"
)

// Soon is how long before its end a release is told of.
const Soon = 90 * 24 * time.Hour

// long is from when on an end counts as long past: a year without fixes has
// known flaws for certain.
const long = 365 * 24 * time.Hour

// maxEvidence bounds the places of one package that are shown.
const maxEvidence = 4

// A Support is a release of a product and its end.
type Support struct {
	Product string    // as classifiers name it: "node"
	Title   string    // for a person: "Node.js"
	Source  string    // address of the page that says so
	Release string    // leading parts of the version: "18", "3.9"
	Last    time.Time // last day with security fixes for everybody, midnight UTC
}

// Rules lists every rule that a finding may name.
func Rules() []bulwark.Rule {
	return []bulwark.Rule{
		{
			ID: RuleOS, Class: bulwark.ClassCompliance, Title: "The distribution's release gets no security fixes", Severity: bulwark.SeverityHigh,
			Description: "Its maker ended or soon ends security fixes for everybody; paid extensions are not counted. Flaws that are found from then on stay, and no advisory tells of them. Severity is medium in the first year, high after it, low before the end.",
			Remedy:      "build on a release that is maintained",
			Controls:    []string{"CIS Docker 4.4"},
		},
		{
			ID: ruleRuntime, Class: bulwark.ClassCompliance, Title: "The runtime's release gets no security fixes", Severity: bulwark.SeverityHigh,
			Description: "Upstream ended or soon ends security fixes for this release. Copies that a distribution maintains are not counted. Severity is medium in the first year, high after it, low before the end.",
			Remedy:      "change to a release that is maintained",
			Controls:    []string{"CIS Docker 4.4"},
			References:  sources(),
		},
	}
}

// Findings gives one finding for each package whose release got its last fixes
// before now, or gets them within [Soon]. It is a function of what it is handed.
func Findings(pkgs []bulwark.Package, now time.Time) []bulwark.Finding {
	var out []bulwark.Finding
	seen := map[string]bool{}
	for i := range pkgs {
		p := &pkgs[i]
		s, ok := Of(p)
		if !ok {
			continue
		}
		sev, when, ok := judge(s.Last, now)
		if !ok {
			continue
		}
		id := bulwark.FindingID(bulwark.ClassCompliance, ruleRuntime, p.PURL)
		if seen[id] {
			continue
		}
		seen[id] = true
		f := bulwark.Finding{ID: id, Class: bulwark.ClassCompliance, Rule: ruleRuntime, Severity: sev, Subject: p.PURL, Fix: advice(s, now)}
		detail := fmt.Sprintf("%s %s %s; see %s", s.Title, s.Release, when, s.Source)
		for _, w := range p.Where[:min(len(p.Where), maxEvidence)] {
			f.Evidence = append(f.Evidence, bulwark.Evidence{Location: w, Detail: detail})
		}
		if f.Evidence == nil {
			f.Evidence = []bulwark.Evidence{{Detail: detail}}
		}
		out = append(out, f)
	}
	return out
}

// OS gives the finding about a distribution's release whose last day with fixes
// is known; none when it is not near.
func OS(os *bulwark.OS, last, now time.Time) []bulwark.Finding {
	sev, when, ok := judge(last, now)
	if os == nil || !ok {
		return nil
	}
	name := os.ID
	if os.Version != "" {
		name += " " + os.Version
	}
	return []bulwark.Finding{{
		ID: bulwark.FindingID(bulwark.ClassCompliance, RuleOS, name), Class: bulwark.ClassCompliance, Rule: RuleOS, Severity: sev,
		Subject: name, Fix: "build on a release that is maintained",
		Evidence: []bulwark.Evidence{{Detail: fmt.Sprintf("%q %s", name, when)}},
	}}
}

// judge says how bad an end is at a time. It is not ok when it is far off.
func judge(last, now time.Time) (sev bulwark.Severity, when string, ok bool) {
	day := last.Format(time.DateOnly)
	end := last.AddDate(0, 0, 1) // the last day counts to its end
	switch past := now.Sub(end); {
	case past >= long:
		return bulwark.SeverityHigh, "got its last security fixes on " + day, true
	case past >= 0:
		return bulwark.SeverityMedium, "got its last security fixes on " + day, true
	case past > -Soon:
		return bulwark.SeverityLow, "gets its last security fixes on " + day, true
	}
	return bulwark.SeverityUnknown, "", false
}

// advice names the release that is maintained for the longest time.
func advice(s Support, now time.Time) string {
	best := Support{}
	for _, t := range Supports() {
		if t.Product == s.Product && t.Last.After(best.Last) {
			best = t
		}
	}
	if best.Last.After(now.Add(Soon)) && best.Release != s.Release {
		return fmt.Sprintf("change to %s %s, maintained until %s, or another release that is", best.Title, best.Release, best.Last.Format(time.DateOnly))
	}
	return "change to a release that is maintained"
}

// Of gives the end of a package's release. It is false for what a distribution
// maintains, and for what no end is known of.
func Of(p *bulwark.Package) (Support, bool) {
	product := product(p)
	if product == "" {
		return Support{}, false
	}
	var found Support
	for _, s := range byProduct()[product] {
		if within(p.Version, s.Release) && len(s.Release) > len(found.Release) {
			found = s
		}
	}
	return found, found.Release != ""
}

// netRuntime begins the names of the packages that the .NET runtime consists of.
const netRuntime = "Microsoft.NETCore.App.Runtime."

// product gives the product that a package is an upstream copy of; "" is none.
func product(p *bulwark.Package) string {
	if p.Owner != "" || p.Version == "" {
		return ""
	}
	kind, rest, _ := strings.Cut(strings.TrimPrefix(p.PURL, "pkg:"), "/")
	switch kind {
	case "generic", "bitnami":
		name, _, _ := strings.Cut(rest, "@")
		if name == "go" || name == "golang" {
			return "go"
		}
		if _, ok := byProduct()[name]; ok {
			return name
		}
	case "golang":
		if p.Name == "stdlib" {
			return "go"
		}
	case "nuget":
		if strings.HasPrefix(p.Name, netRuntime) {
			return "dotnet"
		}
	}
	return ""
}

// within tells whether a version belongs to a release: it begins with it, and
// what follows is no digit.
func within(version, release string) bool {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(version, "v"), release)
	return ok && (rest == "" || rest[0] < '0' || rest[0] > '9')
}

// Supports gives every release whose end is known, by product and end. It is not
// to be changed.
func Supports() []Support { return supports() }

// supports reads the table, which is part of the program and tested with it:
// lines of "product | title | source", then lines of "release date".
var supports = sync.OnceValue(func() []Support {
	var out []Support
	var head Support
	for s := bufio.NewScanner(strings.NewReader(runtimesText)); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if part := strings.Split(line, " | "); len(part) == 3 {
			head = Support{Product: part[0], Title: part[1], Source: part[2]}
			continue
		}
		release, day, _ := strings.Cut(line, " ")
		last, err := time.Parse(time.DateOnly, day)
		if err != nil {
			panic(err)
		}
		head.Release, head.Last = release, last
		out = append(out, head)
	}
	slices.SortStableFunc(out, func(a, b Support) int {
		return cmp.Or(cmp.Compare(a.Product, b.Product), a.Last.Compare(b.Last))
	})
	return out
})

var byProduct = sync.OnceValue(func() map[string][]Support {
	out := map[string][]Support{}
	for _, s := range supports() {
		out[s.Product] = append(out[s.Product], s)
	}
	return out
})

func sources() []string {
	var out []string
	for _, s := range supports() {
		if !slices.Contains(out, s.Source) {
			out = append(out, s.Source)
		}
	}
	return out
}
