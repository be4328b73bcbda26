// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Flags are the short forms of a policy that a command line has. The zero Flags
// are no policy.
type Flags struct {
	// FailOn is the mildest severity of an open finding that fails; zero is none.
	FailOn bulwark.Severity
	// FailUnknown fails on open findings without a severity, too.
	FailUnknown bool
	// IgnoreUnfixed leaves out vulnerabilities that have no known fix.
	IgnoreUnfixed bool
}

// Source gives the documents that the flags stand for; it is false when they stand
// for none.
func (f Flags) Source() (Source, bool) {
	if f.FailOn <= bulwark.SeverityUnknown && !f.FailUnknown {
		return Source{}, false
	}
	fixed := ""
	if f.IgnoreUnfixed {
		fixed = ` && (f.class != "vulnerability" || f.fix != "")`
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: bulwark.dev/v1\nkind: Policy\nmetadata: {name: fail-on}\nspec:\n  subject: finding\n  stages: [build, registry, admit, run]\n  tier: team\n  onUnknown: fail\n  rules:\n")
	rule := func(id, when, effect, description string) {
		fmt.Fprintf(&b, "  - id: %s\n    when: '%s%s'\n    effect: %s\n    description: %s\n    message: %q\n",
			id, when, fixed, effect, description, `(f.title == "" ? f.rule : f.title == f.rule ? f.rule : f.rule + " (" + f.title + ")") + " in " + f.subject + (f.class == "vulnerability" ? (f.fix == "" ? ", no fix is known" : ", fixed in " + f.fix) : "")`)
	}
	if f.FailOn > bulwark.SeverityUnknown {
		rule(f.FailOn.String(), "f.severity >= sev."+f.FailOn.String(), "fail", "open finding of severity "+f.FailOn.String()+" or worse")
	}
	unknown := "alert" // whole distributions publish without ratings, and a gate that always warns is a gate that nobody reads
	if f.FailUnknown {
		unknown = "fail"
	}
	rule("unknown", "f.severity == sev.unknown", unknown, "open finding without a severity")
	return Source{Name: "command-line.yaml", Data: []byte(b.String())}, true
}
