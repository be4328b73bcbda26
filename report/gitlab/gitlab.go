// SPDX-License-Identifier: Apache-2.0

// Package gitlab writes a report as GitLab's container scanning report, schema
// 15 (https://gitlab.com/gitlab-org/security-products/security-report-schemas).
// It knows the form that GitLab takes in as artifact of a job; findings that are
// no vulnerabilities have no place in it, and those that do not count are left
// out and counted in a message.
package gitlab

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
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

// A Format writes one report, vulnerability by vulnerability.
type Format struct{}

// Name gives "gitlab".
func (Format) Name() string { return "gitlab" }

const (
	schemaVersion = "15.0.7"
	schemaURL     = "https://gitlab.com/gitlab-org/security-products/security-report-schemas/-/raw/v" + schemaVersion + "/dist/container-scanning-report-format.json"
	homepage      = "https://github.com/bulwark-sec/bulwark"

	// Limits of the schema, characters, and what GitLab takes of identifiers.
	maxName, maxDescription, maxSolution = 255, 1 << 20, 7000
	maxIdentifiers                       = 20
	maxLinks                             = 50
	maxVector                            = 128
)

type scan struct {
	Analyzer  product   `json:"analyzer"`
	Scanner   product   `json:"scanner"`
	StartTime string    `json:"start_time"`
	EndTime   string    `json:"end_time"`
	Status    string    `json:"status"`
	Type      string    `json:"type"`
	Messages  []message `json:"messages,omitempty"`
}

type product struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	URL     string `json:"url"`
	Version string `json:"version"`
	Vendor  vendor `json:"vendor"`
}

type vendor struct {
	Name string `json:"name"`
}

type message struct {
	Level string `json:"level"` // "info", "warn", "fatal"
	Value string `json:"value"`
}

type vulnerability struct {
	ID          string            `json:"id"`
	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Severity    string            `json:"severity"`
	Solution    string            `json:"solution,omitempty"`
	Identifiers []identifier      `json:"identifiers"`
	CVSS        []cvss            `json:"cvss_vectors,omitempty"`
	Links       []link            `json:"links,omitempty"`
	Details     map[string]detail `json:"details,omitempty"`
	Location    location          `json:"location"`
}

type identifier struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
	URL   string `json:"url,omitempty"`
}

type cvss struct {
	Vendor string `json:"vendor"`
	Vector string `json:"vector"`
}

type link struct {
	URL string `json:"url"`
}

type detail struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

type location struct {
	Dependency struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
		Version string `json:"version"`
	} `json:"dependency"`
	System string `json:"operating_system"`
	Image  string `json:"image"`
}

// Write writes the report.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	v := view.New(r)
	out := text.NewJSONWriter(w)
	out.Raw("{\n  \"version\": \"" + schemaVersion + "\",\n  \"schema\": \"" + schemaURL + "\",\n  \"scan\": ")
	out.Value("  ", about(v))
	out.Raw(",\n  \"vulnerabilities\": [")
	place := location{System: "unknown", Image: image(&r.Artifact)}
	if os := r.Inventory.OS; os != nil {
		place.System = cmp.Or(strings.TrimSpace(os.ID+" "+os.Version), "unknown")
	}
	n := 0
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Class != bulwark.ClassVulnerability || !f.Status.Open() {
			continue
		}
		if n++; n > 1 {
			out.Raw(",")
		}
		out.Raw("\n    ")
		out.Value("    ", entry(v, f, place))
	}
	if n > 0 {
		out.Raw("\n  ")
	}
	out.Raw("]\n}\n")
	return out.Close()
}

// about says who scanned when, and what the answer does not cover.
func about(v *view.View) scan {
	p := product{ID: "bulwark", Name: "Bulwark", URL: homepage, Version: cmp.Or(v.Tool.Version, "0"), Vendor: vendor{"Bulwark"}}
	s := scan{Analyzer: p, Scanner: p, Status: "success", Type: "container_scanning"}
	start := v.Created.UTC()
	s.StartTime = clock(start)
	const century = 100 * 365 * 24 * 3600 * 1000
	s.EndTime = clock(start.Add(time.Duration(min(max(v.Scan.DurationMS, 0), century)) * time.Millisecond))
	if v.Scan.Interrupted {
		s.Status = "failure"
	}
	for _, c := range v.Caveats() {
		level := "info"
		if c.Loud {
			level = "warn"
		}
		s.Messages = append(s.Messages, message{level, strings.TrimSpace(c.Text + " " + c.Next)})
	}
	closed := 0
	for i := range v.Findings {
		if f := &v.Findings[i]; f.Class == bulwark.ClassVulnerability && !f.Status.Open() {
			closed++
		}
	}
	if closed > 0 {
		s.Messages = append(s.Messages, message{"info", text.Plural(closed, "vulnerability does", "vulnerabilities do") + " not count and are left out."})
	}
	return s
}

// clock gives a time as the schema wants it: UTC, without saying so.
func clock(t time.Time) string {
	if t.Year() < 1970 || t.Year() > 9999 {
		t = time.Unix(0, 0).UTC()
	}
	return t.Format("2006-01-02T15:04:05")
}

func entry(v *view.View, f *bulwark.Finding, place location) vulnerability {
	a := v.Advisory(f)
	name, version := v.SubjectName(f)
	place.Dependency.Package.Name = name
	place.Dependency.Version = version
	out := vulnerability{
		ID: uuid(f.ID), Name: cut(cmp.Or(v.Title(f), f.Rule), maxName), Description: cut(cmp.Or(a.Details, a.Summary), maxDescription),
		Severity: severity(f.Severity), Solution: solution(f, name, version), Identifiers: identifiers(f, a), Location: place,
	}
	if len(a.CVSS) <= maxVector && vectorForm().MatchString(a.CVSS) {
		out.CVSS = []cvss{{"unknown", a.CVSS}} // the schema's word for a vendor that nobody names
	}
	for _, u := range a.References {
		if u = text.HTTPS(u); u != "" && !slices.Contains(out.Links, link{u}) && len(out.Links) < maxLinks {
			out.Links = append(out.Links, link{u})
		}
	}
	details := map[string]detail{}
	add := func(key, name, value string) {
		if value != "" {
			details[key] = detail{"text", name, value}
		}
	}
	add("package_url", "Package URL", f.Subject)
	add("place", "Place", v.Where(v.Place(f).Location))
	add("seen", "Seen", v.Place(f).Detail)
	add("cvss", "CVSS", a.CVSS)
	if a.Exploited {
		add("exploited", "Known to be exploited", "yes, says CISA")
	}
	if a.EPSS > 0 && a.EPSS <= 1 {
		add("epss", "EPSS", strconv.FormatFloat(a.EPSS, 'f', -1, 64))
	}
	if len(details) > 0 {
		out.Details = details
	}
	return out
}

func solution(f *bulwark.Finding, name, version string) string {
	if f.Fix == "" {
		return ""
	}
	return cut("Upgrade "+strings.TrimSpace(name+" "+version)+" to "+f.Fix+".", maxSolution)
}

// identifiers gives the names of a vulnerability. The first is the one by which
// GitLab recognises it later.
func identifiers(f *bulwark.Finding, a bulwark.Advisory) []identifier {
	var list []identifier
	add := func(kind, name, value string) {
		if value == "" || len(list) == maxIdentifiers || slices.ContainsFunc(list, func(x identifier) bool { return x.Name == name }) {
			return
		}
		id := identifier{Type: kind, Name: name, Value: value}
		for _, u := range a.References {
			if text.HTTPS(u) != "" && strings.HasSuffix(u, "/"+name) {
				id.URL = u
				break
			}
		}
		list = append(list, id)
	}
	for _, id := range append([]string{cmp.Or(f.Rule, "unnamed")}, a.Aliases...) {
		kind, _, ok := strings.Cut(id, "-")
		if !ok || kind == "" {
			kind = "bulwark"
		}
		add(strings.ToLower(kind), id, id)
	}
	for _, id := range a.CWEs {
		if n, ok := strings.CutPrefix(id, "CWE-"); ok {
			add("cwe", id, n)
		}
	}
	return list
}

func severity(s bulwark.Severity) string {
	switch s {
	case bulwark.SeverityCritical:
		return "Critical"
	case bulwark.SeverityHigh:
		return "High"
	case bulwark.SeverityMedium:
		return "Medium"
	case bulwark.SeverityLow:
		return "Low"
	case bulwark.SeverityNegligible:
		return "Info"
	}
	return "Unknown"
}

// vectorForm is a CVSS vector of version 3, the newest that the schema takes.
var vectorForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^CVSS:3\.[01](/(AV:[NALP]|AC:[LH]|PR:[NLH]|UI:[NR]|S:[UC]|[CIA]:[NLH]|E:[XUPFH]|RL:[XOTWU]|RC:[XURC]|[CIA]R:[XLMH]|MAV:[XNALP]|MAC:[XLH]|MPR:[XNLH]|MUI:[XNR]|MS:[XUC]|M[CIA]:[XNLH])){8,}$`)
})

// imageForm is the pattern of an image in the first schemas of version 15.
var imageForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[^:]+(:\d+[^:]*)?:[^:]+(:[^:]+)?$`)
})

// image gives the artifact as the schema wants an image: with a tag or digest.
// Other artifacts are named in the same form.
func image(a *bulwark.Artifact) string {
	name := strings.Join(strings.Fields(text.Clean(a.Name)), "_")
	if name == "" {
		name = "unnamed"
	}
	last := name[strings.LastIndexByte(name, '/')+1:]
	if a.Kind == bulwark.KindImage && strings.ContainsAny(last, ":@") && imageForm().MatchString(name) {
		return name
	}
	const latest = "latest" // what a name without a tag means
	if tagged := name + ":" + latest; a.Kind == bulwark.KindImage && imageForm().MatchString(tagged) {
		return tagged
	}
	tag := latest
	if a.ID.Valid() {
		tag = a.ID.Short()
	}
	return strings.ReplaceAll(name, ":", "_") + ":" + tag
}

// uuid gives a UUID of version 8 (RFC 9562) that stands for a finding's id.
func uuid(id string) string {
	sum := sha256.Sum256([]byte("bulwark\x00gitlab\x00" + id))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// cut gives at most n characters of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	i := 0
	for at := range s {
		if i++; i > n {
			return s[:at]
		}
	}
	return s
}
