// SPDX-License-Identifier: Apache-2.0

// Package function finds faults in what is known of serverless functions:
// runtimes that their provider no longer mends. It knows the dates of AWS Lambda,
// Google Cloud Functions and Azure Functions, as of the day that stands in its
// table. It does not know where a function's facts come from.
package function

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// The rules, by id.
const (
	RuleEnded  = "BW-FN-0001" // the runtime is no longer mended
	RuleEnding = "BW-FN-0002" // it will not be for long
	RuleSecret = "BW-FN-0003" // a secret stands in the environment
)

// soon is how long before its end a runtime is told: a move to the next version
// of a language needs a plan, and providers themselves write 180 days before.
const soon = 180 * 24 * time.Hour

//go:embed runtimes.txt
var table string

// A runtime is one line of the table.
type runtime struct {
	ends    time.Time
	instead string // "" when it is the newest
}

// runtimes gives the table by provider and name. It is part of the program and
// tested with it: a line that cannot be read is a fault of the build.
var runtimes = sync.OnceValue(func() map[[2]string]runtime {
	out := map[[2]string]runtime{}
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var provider, name, day, instead string
		_, err := fmt.Sscan(line, &provider, &name, &day, &instead)
		ends, terr := time.Parse(time.DateOnly, day)
		if err != nil || terr != nil {
			panic(fmt.Sprintf("runtimes: %q", line))
		}
		out[[2]string{provider, name}] = runtime{ends, strings.TrimPrefix(instead, "-")}
	}
	return out
})

// Known tells whether the table has the runtime, and whose it is. The provider
// may be "": the first that has a runtime of the name is taken.
func Known(provider, name string) (whose string, ok bool) {
	for _, p := range [...]string{"aws", "gcp", "azure"} {
		if provider != "" && provider != p {
			continue
		}
		if _, ok := runtimes()[[2]string{p, plain(name)}]; ok {
			return p, true
		}
	}
	return provider, false
}

// plain gives the form in which the table has a name: Azure writes "NODE|18".
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "|", "")) }

// Findings gives a finding for each function whose runtime is no longer mended at
// the time now, or will not be for long. Runtimes that are not known give none.
func Findings(list []bulwark.Function, now time.Time) []bulwark.Finding {
	var out []bulwark.Finding
	told := map[string]int{} // place in out by id
	for i := range list {
		f := &list[i]
		provider, _ := Known(f.Provider, f.Runtime)
		r, ok := runtimes()[[2]string{provider, plain(f.Runtime)}]
		if !ok || now.Before(r.ends.Add(-soon)) {
			continue
		}
		rule, severity, ends := RuleEnded, bulwark.SeverityHigh, "ended"
		if now.Before(r.ends) {
			rule, severity, ends = RuleEnding, bulwark.SeverityLow, "ends"
		}
		subject := provider + ":" + plain(f.Runtime)
		e := bulwark.Evidence{
			Location: bulwark.Location{Path: f.Path, Line: f.Line},
			Detail:   fmt.Sprintf("%s%s: security updates %s on %s", named(f), f.Runtime, ends, r.ends.Format(time.DateOnly)),
		}
		id := bulwark.FindingID(bulwark.ClassMisconfiguration, rule, subject)
		if at, ok := told[id]; ok {
			out[at].Evidence = append(out[at].Evidence, e)
			continue
		}
		told[id] = len(out)
		g := bulwark.Finding{ID: id, Class: bulwark.ClassMisconfiguration, Rule: rule, Severity: severity, Subject: subject, Evidence: []bulwark.Evidence{e}}
		if r.instead != "" {
			g.Fix = "use the runtime " + r.instead
		}
		out = append(out, g)
	}
	return out
}

// Secret gives the finding of a secret in a function's environment; the setting
// is told by its name alone.
func Secret(f *bulwark.Function, name string) bulwark.Finding {
	subject := "env:" + name
	if f.Name != "" {
		subject = f.Name + " " + subject
	}
	return bulwark.Finding{
		ID:    bulwark.FindingID(bulwark.ClassMisconfiguration, RuleSecret, subject),
		Class: bulwark.ClassMisconfiguration, Rule: RuleSecret, Severity: bulwark.SeverityHigh, Subject: subject,
		Fix:      "read it from a secret store when the function starts, and change it: it was published",
		Evidence: []bulwark.Evidence{{Location: bulwark.Location{Path: f.Path, Line: f.Line}, Detail: named(f) + "the environment variable " + name + " holds a secret"}},
	}
}

func named(f *bulwark.Function) string {
	if f.Name == "" {
		return ""
	}
	return f.Name + ": "
}

// Rules lists every rule that a finding may name.
func Rules() []bulwark.Rule {
	refs := []string{
		"https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html",
		"https://cloud.google.com/functions/docs/runtime-support",
		"https://learn.microsoft.com/azure/azure-functions/language-support-policy",
	}
	return []bulwark.Rule{
		{ID: RuleEnded, Class: bulwark.ClassMisconfiguration, Severity: bulwark.SeverityHigh, Title: "The function's runtime is no longer mended",
			Description: "Its provider has ended security updates for the language and the system below it. No scan of the package finds the flaws that are there.",
			Remedy:      "Move the function to a runtime that is supported.", References: refs},
		{ID: RuleEnding, Class: bulwark.ClassMisconfiguration, Severity: bulwark.SeverityLow, Title: "The function's runtime will soon no longer be mended",
			Description: "Its provider ends security updates within 180 days.",
			Remedy:      "Plan the move to a newer runtime.", References: refs},
		{ID: RuleSecret, Class: bulwark.ClassMisconfiguration, Severity: bulwark.SeverityHigh, Title: "A secret stands in the function's environment",
			Description: "Environment variables of a function are shown to everybody who may read its configuration, and to every line of code in it. In a template they are in the repository, too.",
			Remedy:      "Read the secret from a secret store when the function starts.",
			References:  []string{"https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"}},
	}
}
