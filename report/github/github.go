// SPDX-License-Identifier: Apache-2.0

// Package github writes the inventory of a report as a snapshot for GitHub's
// dependency submission
// (https://docs.github.com/rest/dependency-graph/dependency-submission). It
// knows the form of a snapshot; it does not send it, and whose build it belongs
// to it must be told.
package github

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes one snapshot, with a manifest for each file that names
// packages. Its fields say which build the snapshot belongs to, as a workflow
// knows it from GITHUB_SHA and the like. The zero Format takes the commit of a
// scanned work tree, and for want of one the commit of forty zeros, which no
// repository has: GitHub refuses such a snapshot rather than filing it wrongly.
type Format struct {
	SHA        string // commit, 40 or 64 hexadecimal digits
	Ref        string // "refs/heads/main"
	Workflow   string // snapshots of one workflow and job replace each other
	Job        string //
	RunID      string // the job's own id
	Server     string // "https://github.com"
	Repository string // "owner/name"
}

// Name gives "github".
func (Format) Name() string { return "github" }

const (
	detectorURL = "https://github.com/bulwark-sec/bulwark"
	unknownRef  = "refs/bulwark/unknown"
)

type snapshot struct {
	Version  int            `json:"version"` // of what the submitter sends, by GitHub's own example 0
	SHA      string         `json:"sha"`
	Ref      string         `json:"ref"`
	Job      job            `json:"job"`
	Detector detector       `json:"detector"`
	Scanned  string         `json:"scanned"`
	Metadata map[string]any `json:"metadata,omitempty"` // at most eight keys, scalar values
}

type job struct {
	ID         string `json:"id"`
	Correlator string `json:"correlator"`
	URL        string `json:"html_url,omitempty"`
}

type detector struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	URL     string `json:"url"`
}

type manifest struct {
	Name     string                `json:"name"`
	File     *file                 `json:"file,omitempty"`
	Metadata map[string]any        `json:"metadata,omitempty"`
	Resolved map[string]dependency `json:"resolved"`
}

type file struct {
	Location string `json:"source_location"`
}

type dependency struct {
	PURL  string `json:"package_url"`
	Scope string `json:"scope"` // "runtime" or "development"
}

// Write writes the snapshot, manifest by manifest. Packages without a package
// URL are left out: GitHub knows no others.
func (f Format) Write(w io.Writer, r *bulwark.Report) error {
	v := view.New(r)
	out := text.NewJSONWriter(w)
	head, err := json.MarshalIndent(f.snapshot(v), "", "  ")
	if err != nil {
		return err
	}
	// The manifests are the last member, so that they need not be held at once.
	out.Raw(strings.TrimSuffix(string(head), "\n}"))
	out.Raw(",\n  \"manifests\": {")
	by := manifests(v)
	for i, name := range by.names {
		if i > 0 {
			out.Raw(",")
		}
		out.Raw("\n    ")
		out.Value("    ", name)
		out.Raw(": ")
		out.Value("    ", by.manifest(v, name))
	}
	if len(by.names) > 0 {
		out.Raw("\n  ")
	}
	out.Raw("}\n}\n")
	return out.Close()
}

func (f Format) snapshot(v *view.View) snapshot {
	a := &v.Artifact
	s := snapshot{
		SHA: strings.Repeat("0", 40), Ref: unknownRef,
		Job:      job{ID: cmp.Or(f.RunID, "bulwark"), Correlator: strings.Trim(f.Workflow+" "+f.Job, " ")},
		Detector: detector{Name: cmp.Or(v.Tool.Name, "bulwark"), Version: cmp.Or(v.Tool.Version, "0"), URL: detectorURL},
		Scanned:  "1970-01-01T00:00:00Z",
		Metadata: map[string]any{"artifact": v.ArtifactName(), "kind": string(a.Kind)},
	}
	// One workflow may scan several images; they must not replace each other.
	s.Job.Correlator = strings.TrimSpace(s.Job.Correlator + " bulwark " + string(a.Kind) + " " + a.Name)
	for _, c := range []string{a.Commit, f.SHA} {
		if isSHA(c) {
			s.SHA = c
		}
	}
	if strings.HasPrefix(f.Ref, "refs/") {
		s.Ref = f.Ref
	}
	if f.RunID != "" && f.Repository != "" {
		s.Job.URL = text.HTTPS(cmp.Or(f.Server, "https://github.com") + "/" + f.Repository + "/actions/runs/" + f.RunID)
	}
	if t := v.Created.UTC(); t.Year() > 1 && t.Year() <= 9999 {
		s.Scanned = t.Format(time.RFC3339)
	}
	if a.ID != "" {
		s.Metadata["digest"] = string(a.ID)
	}
	if a.Platform != "" {
		s.Metadata["platform"] = a.Platform
	}
	if v.Database.Starter {
		s.Metadata["database"] = "embedded starter set"
	}
	if n := v.Hiding(); n > 0 {
		s.Metadata["gaps_that_may_hide_packages"] = n
	}
	return s
}

// isSHA tells a full commit name of Git.
func isSHA(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// A listing holds the packages by the file that names them.
type listing struct {
	names []string // sorted
	of    map[string][]int
}

func manifests(v *view.View) listing {
	l := listing{of: map[string][]int{}}
	for i := range v.Inventory.Packages {
		p := &v.Inventory.Packages[i]
		if !strings.HasPrefix(p.PURL, "pkg:") {
			continue
		}
		// The first place: a package is one dependency wherever it lies.
		name := ""
		if len(p.Where) > 0 {
			name = p.Where[0].Path
		}
		if name == "" {
			name = v.ArtifactName()
		}
		if l.of[name] == nil {
			l.names = append(l.names, name)
		}
		l.of[name] = append(l.of[name], i)
	}
	slices.Sort(l.names)
	return l
}

func (l listing) manifest(v *view.View, name string) manifest {
	m := manifest{Name: name, Resolved: make(map[string]dependency, len(l.of[name]))}
	switch v.Artifact.Kind {
	case bulwark.KindRepo, bulwark.KindDir:
		m.File = &file{name}
	default:
		// A path inside an image is no path of the repository.
		m.Metadata = map[string]any{"inside": v.ArtifactName()}
	}
	for _, i := range l.of[name] {
		p := &v.Inventory.Packages[i]
		d := dependency{PURL: p.PURL, Scope: "runtime"}
		if p.Dev {
			d.Scope = "development"
		}
		key := p.Name + "@" + p.Version
		if _, taken := m.Resolved[key]; taken || p.Name == "" {
			key = p.PURL
		}
		m.Resolved[key] = d
	}
	return m
}
