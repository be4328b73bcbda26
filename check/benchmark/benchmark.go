// SPDX-License-Identifier: Apache-2.0

// Package benchmark says whether an image follows section 4 of the CIS Docker
// Benchmark, images and build files. It knows the twelve recommendations, which
// findings speak against each, and what an image cannot tell. It makes no
// findings: it is a function of a report that others finished.
//
// A recommendation passes only when something in the image shows that it is
// followed. What only its builder or its registry can answer is undecided, with
// what to look at: silence is no pass.
package benchmark

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Name is what a person asks for.
const Name = "cis-docker"

// Looked says what was looked for. The zero value is nothing.
type Looked struct {
	Config  bool // settings and history of the image, modes of its files
	Secrets bool
	Vulns   bool // against a database that is whole and fresh
}

// A control is one recommendation.
type control struct {
	number    string
	title     string
	rationale string
	severity  bulwark.Severity
	remedy    string
	rules     []string // findings of these speak against it
	class     bulwark.Class
	history   bool // only the build history tells
	manual    string
	decide    func(*bulwark.Report, Looked) (state, detail string)
}

const history = "the image keeps no build history: look into its build file"

var controls = []control{
	{
		number: "4.1", title: "Containers run as a user without rights", severity: bulwark.SeverityMedium,
		rationale: "Whoever breaks out of a process of root is one flaw of the kernel away from the host; a user of its own keeps what breaks to itself.",
		remedy:    "create a user in the build file and name it with USER, by number",
		rules:     []string{"BW-IMG-0001"},
	},
	{
		number: "4.2", title: "Images stand on a base that is trusted", severity: bulwark.SeverityMedium,
		rationale: "Everything that the base image brings runs with the rights of the application, so whoever makes it is trusted as much as its author.",
		remedy:    "keep a list of bases that may be used, and name them by digest",
		rules:     []string{"BW-IMG-0007"}, decide: base,
	},
	{
		number: "4.3", title: "No package is installed that the application does not need", severity: bulwark.SeverityLow,
		rationale: "Each program is something that can have flaws, and that an intruder finds ready for use.",
		remedy:    "install without recommended packages, build in a stage of its own, and start from a small base",
		rules:     []string{"BW-IMG-0010", "BW-IMG-0019", "BW-IMG-0023"},
		manual:    "none of the packages that containers seldom need is there; whether the application needs the rest only its author knows",
	},
	{
		number: "4.4", title: "Images are scanned, and rebuilt with security fixes", severity: bulwark.SeverityHigh,
		rationale: "Flaws become known after an image was built. Only a rebuild brings their fixes in.",
		remedy:    "rebuild without the builder's cache when a fix is out, and scan what runs every day",
		rules:     []string{"BW-EOL-0001", "BW-EOL-0002"}, decide: fixed,
	},
	{
		number: "4.5", title: "Images are pulled only when they are signed", severity: bulwark.SeverityMedium,
		rationale: "Without a signature, whoever controls the registry or the way to it decides what runs.",
		remedy:    "sign images, and let the engine or the admission of the cluster refuse what is not signed",
		manual:    "this is a setting of the engine that pulls, not of the image: look at DOCKER_CONTENT_TRUST, or at the admission policy",
	},
	{
		number: "4.6", title: "Images declare a health check", severity: bulwark.SeverityLow,
		rationale: "Without one the engine takes a service that hangs for one that works.",
		remedy:    "add a HEALTHCHECK, or probes in the deployment",
		rules:     []string{"BW-IMG-0002"},
	},
	{
		number: "4.7", title: "Package lists are not updated in a step of their own", severity: bulwark.SeverityLow,
		rationale: "The builder keeps the step and its old lists, so later installs miss fixes.",
		remedy:    "put update and install into one RUN step",
		rules:     []string{"BW-IMG-0009"}, history: true,
	},
	{
		number: "4.8", title: "No file is setuid or setgid", severity: bulwark.SeverityLow,
		rationale: "Such a program runs with its owner's rights, whoever starts it: a flaw in it makes root of anybody.",
		remedy:    "take the bits away (chmod a-s) where they are not needed, or run with no-new-privileges",
		rules:     []string{"BW-IMG-0006"},
	},
	{
		number: "4.9", title: "Files are copied by COPY, not by ADD", severity: bulwark.SeverityLow,
		rationale: "ADD fetches addresses and unpacks archives, and so brings in what nobody looked at.",
		remedy:    "use COPY; fetch and unpack in a RUN step that checks the digest",
		rules:     []string{"BW-IMG-0003", "BW-IMG-0004"}, history: true,
	},
	{
		number: "4.10", title: "Build files hold no secrets", severity: bulwark.SeverityHigh,
		rationale: "What a build file says or copies stays in a layer or in the history, where everybody reads it who can pull the image.",
		remedy:    "rotate the secret, and hand it to the build as a secret mount or to the container at run time",
		rules:     []string{"BW-IMG-0005", "BW-IMG-0020"}, class: bulwark.ClassSecret, decide: secrets,
	},
	{
		number: "4.11", title: "Only verified packages are installed", severity: bulwark.SeverityMedium,
		rationale: "What comes without a signature or a digest that somebody checked, anybody on the way may have changed.",
		remedy:    "leave the package manager's check of signatures on, and check the digest of everything else",
		rules:     []string{"BW-IMG-0012", "BW-IMG-0016", "BW-IMG-0017"}, history: true,
	},
	{
		number: "4.12", title: "The signatures of artefacts are validated", severity: bulwark.SeverityMedium,
		rationale: "A signature that nobody checks protects nobody.",
		remedy:    "check signatures of images and of what a build takes in, in the pipeline and at admission",
		manual:    "an image does not tell whether somebody checked the signatures of what went into it: look at the pipeline and the admission policy",
	},
}

// Controls gives the recommendations without a verdict, in order.
func Controls() []bulwark.Control {
	var out []bulwark.Control
	for i := range controls {
		out = append(out, controls[i].noun())
	}
	return out
}

func (c *control) noun() bulwark.Control {
	return bulwark.Control{ID: "CIS Docker " + c.number, Title: c.title, Rationale: c.rationale, Severity: c.severity, Remedy: c.remedy}
}

// DecidedBy says in a few words what decides a recommendation, for tables.
func DecidedBy(id string) string {
	for i := range controls {
		c := &controls[i]
		if "CIS Docker "+c.number != id {
			continue
		}
		by := slices.Clone(c.rules)
		if c.class != "" {
			by = append(by, "every finding of class "+string(c.class))
		}
		switch {
		case c.number == "4.4":
			by = append(by, "vulnerabilities with a fix")
		case len(by) == 0:
			return "nobody but you: " + c.manual
		case c.number == "4.2" || c.number == "4.3":
			return strings.Join(by, ", ") + "; never passes by itself"
		}
		return strings.Join(by, ", ")
	}
	return ""
}

// Judge says of each recommendation whether the image of r follows it. Findings
// that are not open do not speak against it, and are counted in the detail. What
// was not looked for is undecided. Of what is no image, everything is.
func Judge(r *bulwark.Report, l Looked) []bulwark.Control {
	out := make([]bulwark.Control, 0, len(controls))
	for i := range controls {
		c := &controls[i]
		n := c.noun()
		n.State, n.Detail, n.Findings = c.judge(r, l)
		out = append(out, n)
	}
	return out
}

func (c *control) judge(r *bulwark.Report, l Looked) (state, detail string, ids []string) {
	if r.Artifact.Image == nil {
		return bulwark.ControlUndecided, "this is no image", nil
	}
	open, closed := 0, 0
	for i := range r.Findings {
		f := &r.Findings[i]
		if !c.against(f) {
			continue
		}
		if !f.Status.Open() {
			closed++
			continue
		}
		open++
		if len(ids) < maxIDs {
			ids = append(ids, f.ID)
		}
	}
	slices.Sort(ids)
	if open > 0 {
		return bulwark.ControlFail, count(open, "finding speaks", "findings speak") + " against it", ids
	}
	switch {
	case c.manual != "":
		state, detail = bulwark.ControlUndecided, c.manual
	case !l.Config && c.class == "":
		state, detail = bulwark.ControlUndecided, "dangerous settings were not looked for"
	case c.history && len(r.Artifact.Image.History) == 0:
		state, detail = bulwark.ControlUndecided, history
	case c.decide != nil:
		state, detail = c.decide(r, l)
	default:
		state, detail = bulwark.ControlPass, "nothing speaks against it"
	}
	if closed > 0 {
		detail += "; " + count(closed, "finding is", "findings are") + " accepted or known"
	}
	return state, detail, nil
}

// maxIDs bounds the findings that are listed for one recommendation.
const maxIDs = 100

// against tells whether a finding speaks against the recommendation.
func (c *control) against(f *bulwark.Finding) bool {
	if f.Class == bulwark.ClassVulnerability {
		return c.number == "4.4" && f.Fix != ""
	}
	return slices.Contains(c.rules, f.Rule) || c.class != "" && f.Class == c.class
}

// base says what is known of the base image, which is a person's to trust.
func base(r *bulwark.Report, _ Looked) (state, detail string) {
	if b := r.Base; b != nil && b.Name != "" {
		return bulwark.ControlUndecided, fmt.Sprintf("the base is %q (%s, by %s): compare it with the list of those that you trust", b.Name, b.Confidence, b.By)
	}
	return bulwark.ControlUndecided, "nothing tells what the base is: look into the build file"
}

func fixed(_ *bulwark.Report, l Looked) (state, detail string) {
	if !l.Vulns {
		return bulwark.ControlUndecided, "the database is missing, old, or does not cover everything: update it and scan again"
	}
	return bulwark.ControlPass, "no known vulnerability has a fix that the image lacks"
}

func secrets(r *bulwark.Report, l Looked) (state, detail string) {
	switch {
	case !l.Secrets || !l.Config:
		return bulwark.ControlUndecided, "secrets were not looked for"
	case len(r.Artifact.Image.History) == 0:
		return bulwark.ControlUndecided, "no secret was found in files and settings, and " + history
	}
	return bulwark.ControlPass, "no secret was found in layers, settings and history"
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
