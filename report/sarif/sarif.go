// SPDX-License-Identifier: Apache-2.0

// Package sarif writes a report as SARIF 2.1.0
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), the form
// that code hosts and editors read. It knows what GitHub asks of it beside the
// standard. It does not carry the inventory: a SARIF log says what is wrong, not
// what is there.
package sarif

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes one SARIF log with one run.
type Format struct{}

// Name gives "sarif".
func (Format) Name() string { return "sarif" }

const (
	schemaURI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	home      = "https://github.com/bulwark-sec/bulwark"

	// fingerprint is the key of Finding.ID; the number rises when IDs change.
	fingerprint = "bulwarkFinding/v1"

	maxRelated = 50 // related locations of one result
	maxNotes   = 10_000
)

// A base is the root that relative URIs are resolved against.
const (
	sourceRoot = "%SRCROOT%" // the work tree or directory; the name that GitHub knows
	imageRoot  = "IMAGEROOT"
)

// Write writes the log. Results are written one by one; rules are held.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	out := text.NewJSONWriter(w)
	l := log{v: view.New(r), w: out, rules: map[string]int{}}
	l.base = sourceRoot
	if r.Artifact.Kind == bulwark.KindImage || r.Artifact.Kind == bulwark.KindSBOM {
		l.base = imageRoot
	}
	l.write()
	if l.err != nil {
		return l.err
	}
	return out.Close()
}

type log struct {
	v     *view.View
	w     io.Writer
	base  string
	rules map[string]int // rule id to its index
	err   error
}

func (l *log) raw(s string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, s)
	}
}

func (l *log) value(indent string, v any) {
	b, err := json.MarshalIndent(v, indent, "  ")
	if l.err == nil {
		l.err = err
	}
	if l.err == nil {
		_, l.err = l.w.Write(b)
	}
}

func (l *log) member(indent, key string, v any) {
	l.raw(indent + `"` + key + `": `)
	l.value(indent, v)
	l.raw(",\n")
}

func (l *log) write() {
	const in = "      " // members of the run
	l.raw("{\n  \"$schema\": \"" + schemaURI + "\",\n  \"version\": \"2.1.0\",\n  \"runs\": [\n    {\n")
	rules := l.collect()
	l.raw(in + "\"tool\": {\n        \"driver\": {\n")
	d := l.driver()
	l.member("          ", "name", d.Name)
	if d.Version != "" {
		l.member("          ", "version", d.Version)
	}
	if d.SemanticVersion != "" {
		l.member("          ", "semanticVersion", d.SemanticVersion)
	}
	l.member("          ", "informationUri", d.InformationURI)
	notes, descriptors := l.notes()
	l.member("          ", "notifications", descriptors)
	l.raw("          \"rules\": [")
	for i, u := range rules {
		l.element(i, "            ")
		l.value("            ", l.rule(u))
	}
	l.raw("]\n        }\n      },\n")
	l.member(in, "automationDetails", map[string]string{"id": l.category()})
	l.member(in, "originalUriBaseIds", map[string]any{l.base: map[string]any{
		"description": message{Text: "the root of " + clean(l.v.ArtifactName())},
	}})
	inv := invocation{Successful: !l.v.Scan.Interrupted, Notifications: notes}
	if t := l.v.Created.UTC(); !t.IsZero() && t.Year() <= 9999 && t.Year() > 0 {
		inv.EndTime = t.Format(time.RFC3339)
	}
	l.member(in, "invocations", []invocation{inv})
	l.member(in, "columnKind", "utf16CodeUnits")
	l.member(in, "properties", l.properties())
	l.raw(in + "\"results\": [")
	for i := range l.v.Findings {
		l.element(i, "        ")
		l.value("        ", l.result(&l.v.Findings[i]))
	}
	l.raw("]\n    }\n  ]\n}\n")
}

func (l *log) element(i int, indent string) {
	if i > 0 {
		l.raw(",")
	}
	l.raw("\n" + indent)
}

// A use is a rule that findings name.
type use struct {
	id    string           // as shown
	first *bulwark.Finding // names the rule as the report has it
	worst bulwark.Severity
}

// collect numbers the rules in the order of their ids.
func (l *log) collect() []use {
	by := map[string]*use{}
	for i := range l.v.Findings {
		f := &l.v.Findings[i]
		id := ruleID(f)
		if by[id] == nil {
			by[id] = &use{id: id, first: f}
		}
		by[id].worst = max(by[id].worst, f.Severity)
	}
	var list []use
	for i, id := range slices.Sorted(maps.Keys(by)) {
		l.rules[id] = i
		list = append(list, *by[id])
	}
	return list
}

// ruleID names a rule; an empty id is not allowed.
func ruleID(f *bulwark.Finding) string {
	return cmp.Or(clean(f.Rule), "unnamed")
}

var semver = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)$`)
})

func (l *log) driver() driver {
	d := driver{Name: "Bulwark", Version: clean(l.v.Tool.Version), InformationURI: home}
	if m := semver().FindStringSubmatch(l.v.Tool.Version); m != nil {
		d.SemanticVersion = m[1]
	}
	return d
}

// category tells the runs of one commit apart: by kind and name of the
// artifact, without tag and digest, so that alerts live on from tag to tag.
func (l *log) category() string {
	name := l.v.Artifact.Name
	if l.v.Artifact.Kind == bulwark.KindImage {
		name, _, _ = strings.Cut(name, "@")
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
			name = name[:i]
		}
	}
	return "bulwark/" + cmp.Or(string(l.v.Artifact.Kind), "unknown") + "/" + clean(name) + "/"
}

func (l *log) properties() map[string]any {
	v := l.v
	p := map[string]any{
		"artifact": clean(v.Artifact.Name), "artifactId": string(v.Artifact.ID), "artifactKind": string(v.Artifact.Kind),
		"verdict": string(v.Decision.Verdict), "database": v.DatabaseWords(), "starterSet": v.Database.Starter, "staleDatabase": v.Database.Stale,
	}
	if v.Artifact.Platform != "" {
		p["platform"] = v.Artifact.Platform
	}
	if d := &v.Decision; d.ID != "" {
		p["decision"], p["effect"], p["stage"], p["policy"] = d.ID, d.Effect.String(), string(d.Stage), string(d.Policy)
	}
	var reasons []gateReason
	for _, x := range v.Reasons() {
		reasons = append(reasons, gateReason{clean(x.Rule), x.Effect.String(), clean(x.Detail), clean(view.Aside(&x)), clean(x.Remedy), cleanAll(x.Controls)})
	}
	if len(reasons) > 0 {
		p["reasons"] = reasons
	}
	if x := v.Excepted(); x.Count > 0 {
		p["excepted"] = clean(x.Words())
	}
	if v.Artifact.Commit != "" {
		p["commit"] = v.Artifact.Commit
	}
	return p
}

// A gateReason is one rule's part in the verdict.
type gateReason struct {
	Rule     string   `json:"rule"`
	Effect   string   `json:"effect,omitempty"`
	Detail   string   `json:"detail"`
	Held     string   `json:"held,omitempty"`
	Remedy   string   `json:"remedy,omitempty"`
	Controls []string `json:"controls,omitempty"`
}

func (l *log) rule(u use) rule {
	id, worst := u.id, u.worst
	r := rule{ID: id, Configuration: &configuration{Level: level(worst)}, Properties: ruleProperties{Precision: "high"}}
	a := l.v.Advisory(u.first)
	c, known := l.v.Rules[u.first.Rule]
	var refs []string
	switch {
	case u.first.Class == bulwark.ClassVulnerability:
		r.ShortDescription.Text = cmp.Or(clean(a.Summary), id)
		r.FullDescription.Text = cmp.Or(text.Block(text.Cut(a.Details, 4000, "…")), r.ShortDescription.Text)
		r.Properties.Tags = []string{"security", "vulnerability"}
		r.Properties.Aliases, r.Properties.CVSS, r.Properties.Exploited = cleanAll(a.Aliases), clean(a.CVSS), a.Exploited
		if a.EPSS > 0 && a.EPSS <= 1 {
			r.Properties.EPSS = a.EPSS
		}
		for _, cwe := range a.CWEs[:min(10, len(a.CWEs))] { // GitHub shows at most 20 tags
			if n, ok := strings.CutPrefix(cwe, "CWE-"); ok && clean(n) == n {
				r.Properties.Tags = append(r.Properties.Tags, "external/cwe/cwe-"+n)
			}
		}
		r.Help = help(r.FullDescription.Text, "", a.References)
		refs = a.References
		r.Properties.SecuritySeverity = score(worst, a.Score)
	case known:
		r.Name = clean(c.Title)
		r.ShortDescription.Text = cmp.Or(clean(c.Title), id)
		r.FullDescription.Text = cmp.Or(text.Block(c.Description), r.ShortDescription.Text)
		r.Properties.Tags = []string{"security", cmp.Or(clean(string(c.Class)), "other")}
		r.Properties.Controls = cleanAll(c.Controls)
		r.Help = help(r.FullDescription.Text, text.Block(c.Remedy), c.References)
		refs = c.References
		r.Properties.SecuritySeverity = score(worst, 0)
	default:
		r.ShortDescription.Text, r.FullDescription.Text = id, id
		r.Properties.Tags = []string{"security"}
		r.Properties.SecuritySeverity = score(worst, 0)
	}
	for _, u := range refs {
		if r.HelpURI = text.HTTPS(u); r.HelpURI != "" {
			break
		}
	}
	return r
}

func help(full, remedy string, refs []string) *message {
	m := &message{Text: full}
	if remedy != "" {
		m.Text += "\n\nWhat to do: " + remedy
	}
	for _, u := range refs[:min(10, len(refs))] {
		if u = text.HTTPS(u); u != "" {
			m.Text += "\n" + u
		}
	}
	return m
}

func (l *log) result(f *bulwark.Finding) result {
	name, version := l.v.SubjectName(f)
	r := result{
		RuleID: ruleID(f), Level: level(f.Severity),
		Fingerprints: map[string]string{fingerprint: clean(f.ID)},
		Suppressions: []suppression{},
		Properties: resultProperties{
			Class: clean(string(f.Class)), Severity: f.Severity.String(), Subject: clean(f.Subject), Fixed: clean(f.Fix), State: clean(f.Status.State),
		},
	}
	r.RuleIndex = l.rules[r.RuleID]
	r.Message.Text = l.message(f, name, version)
	if f.Class == bulwark.ClassVulnerability {
		r.Properties.Package, r.Properties.Installed = clean(name), clean(version)
	}
	evidence := f.Evidence
	if len(evidence) == 0 {
		evidence = []bulwark.Evidence{{}}
	}
	first := l.location(evidence[0])
	if s := clean(f.Subject); s != "" {
		first.Logical = []logical{{Name: clean(name), FullyQualifiedName: s, Kind: "module"}}
	}
	r.Locations = []location{first}
	for i, e := range evidence[1:] {
		if i == maxRelated {
			r.Properties.Evidence = len(evidence) - 1 - maxRelated
			break
		}
		loc := l.location(e)
		loc.ID = &i
		r.Related = append(r.Related, loc)
	}
	if !f.Status.Open() {
		s := suppression{Kind: "external", Status: "accepted", Justification: clean(view.StatusWords(f.Status))}
		s.Properties = &suppressionProperties{State: clean(f.Status.State), By: clean(f.Status.By), Owner: clean(f.Status.Owner), Until: clean(f.Status.Until)}
		r.Suppressions = []suppression{s}
	}
	return r
}

func (l *log) message(f *bulwark.Finding, name, version string) string {
	title := clean(l.v.Title(f))
	var b strings.Builder
	if f.Class == bulwark.ClassVulnerability {
		b.WriteString(strings.TrimSpace(clean(name) + " " + clean(version)))
		b.WriteString(" is affected by " + clean(f.Rule))
		if title != "" {
			b.WriteString(" (" + title + ")")
		}
		if f.Fix != "" {
			b.WriteString(". Fixed in " + clean(f.Fix) + ".")
		} else {
			b.WriteString(". No fix is known.")
		}
	} else {
		b.WriteString(cmp.Or(title, clean(f.Rule), "finding") + ": " + cmp.Or(clean(l.v.Place(f).Detail), clean(name)) + ".")
		if f.Fix != "" {
			b.WriteString(" What to change: " + clean(f.Fix) + ".")
		}
	}
	if where := l.v.Layer(l.v.Place(f).Location); where != "" {
		b.WriteString(" Seen in " + where + ".")
	}
	return text.Cut(b.String(), 2000, "…")
}

func (l *log) location(e bulwark.Evidence) location {
	loc := location{Physical: physicalLocation{
		Artifact: artifactLocation{URI: relativeURI(e.Path), URIBaseID: l.base},
		Region:   &region{StartLine: max(e.Line, 1)},
	}}
	if e.Path == "" {
		// Code hosts drop results without a file. The artifact itself stands in.
		loc.Physical.Artifact = artifactLocation{URI: relativeURI(cmp.Or(l.v.Artifact.Name, string(l.v.Artifact.ID), "artifact"))}
	}
	detail := clean(e.Detail)
	if layer := l.v.Layer(e.Location); layer != "" {
		detail = strings.TrimPrefix(detail+" ("+layer+")", " ")
	}
	if detail != "" {
		loc.Message = &message{Text: text.Cut(detail, 1000, "…")}
	}
	return loc
}

// notes gives what the answer does not cover, and the kinds of it that occur.
func (l *log) notes() ([]notification, []notificationRule) {
	notes := []notification{}
	rules := []notificationRule{}
	index := map[string]int{}
	add := func(id, title string, n notification) {
		i, ok := index[id]
		if !ok {
			i = len(rules)
			index[id] = i
			rules = append(rules, notificationRule{ID: id, ShortDescription: message{Text: title}})
		}
		n.Descriptor = descriptor{ID: id, Index: i}
		notes = append(notes, n)
	}
	for _, c := range l.v.Caveats() {
		n := notification{Level: "note", Message: message{Text: clean(c.Text)}}
		if c.Loud {
			n.Level = "warning"
		}
		if c.Next != "" {
			n.Message.Text += " Next: " + c.Next + "."
		}
		add("coverage", "what the answer does not cover", n)
	}
	gaps := l.v.Gaps()
	for i, g := range gaps {
		if i == maxNotes {
			add("coverage", "what the answer does not cover", notification{Level: "warning",
				Message: message{Text: text.Plural(len(gaps)-maxNotes, "more gap is", "more gaps are") + " left out here."}})
			break
		}
		n := notification{Level: "note", Message: message{Text: cmp.Or(clean(g.Detail), clean(g.Kind), "gap")}}
		if g.Hides {
			n.Level = "warning"
			n.Message.Text += " (may hide packages)"
		}
		if g.Path != "" {
			n.Locations = []location{l.location(bulwark.Evidence{Location: bulwark.Location{Path: g.Path, Layer: g.Layer}})}
			n.Locations[0].Physical.Region = nil
		}
		add("gap/"+clean(g.Kind), "part of the artifact that was not read", n)
	}
	for _, x := range l.v.Refused() {
		add("exception", "an exception that does not count", notification{Level: "warning", Message: message{Text: clean(x.Words())}})
	}
	for _, e := range l.v.Decision.Errors {
		add("policy", "a rule that could not be evaluated", notification{Level: "warning", Message: message{Text: clean(e.Rule + ": " + e.Detail)}})
	}
	return notes, rules
}

func level(s bulwark.Severity) string {
	switch s {
	case bulwark.SeverityCritical, bulwark.SeverityHigh:
		return "error"
	case bulwark.SeverityLow, bulwark.SeverityNegligible:
		return "note"
	}
	return "warning" // medium, and unknown, which is not low
}

// score gives the number that code hosts rank by. It is the CVSS score where
// that agrees with the severity we settled on, else a number in the middle of
// the severity's range, so that a vendor's "low" does not show as critical.
func score(s bulwark.Severity, cvss float64) string {
	if cvss > 0 && bulwark.SeverityOfScore(cvss) == s {
		return strconv.FormatFloat(cvss, 'f', 1, 64)
	}
	switch s {
	case bulwark.SeverityCritical:
		return "9.5"
	case bulwark.SeverityHigh:
		return "8.0"
	case bulwark.SeverityMedium:
		return "5.5"
	case bulwark.SeverityLow:
		return "2.0"
	case bulwark.SeverityNegligible:
		return "0.1"
	}
	return ""
}

// relativeURI gives a path as a relative reference of RFC 3986 without dot
// segments: everything but unreserved characters and a few others is escaped.
func relativeURI(path string) string {
	var b strings.Builder
	for segment := range strings.SplitSeq(strings.ReplaceAll(path, `\`, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		for i := 0; i < len(segment); i++ {
			c := segment[i]
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~!$&'()*+,;=@", c) >= 0 {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
	}
	if b.Len() == 0 {
		return "artifact"
	}
	return b.String()
}

func clean(s string) string { return text.Clean(s) }

func cleanAll(list []string) []string {
	var out []string
	for _, s := range list {
		out = append(out, clean(s))
	}
	return out
}
