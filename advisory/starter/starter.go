// SPDX-License-Identifier: Apache-2.0

// Package starter holds the facts about vulnerabilities that are embedded: some
// 270 famous ones, so that a first scan without a network means something, and
// well-known ones of products that nobody publishes records of, which every
// database is asked with. It knows these facts and how to write them as OSV
// records; it does not know how records are stored or matched. It is no
// substitute for a database: whoever asks it says so.
package starter

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Built is the day on which the facts were last checked, an RFC 3339 date.
const Built = "2026-11-22"

// text is written by hand; its head says how.
//
//go:embed starter.txt
var text string

// products is written by hand, too.
//
//go:embed products.txt
var products string

// Records gives the set in the layout of OSV's exports: one record of the OSV
// schema 1.7 (https://ossf.github.io/osv-schema/) as a JSON file
// "osv/ECOSYSTEM/ID.json". As in the exports, a record that names packages of
// several ecosystems is in the folder of each. Beside the schema's members a
// record has database_specific.severity, a word in upper case, and
// database_specific.exploited when it is in CISA's catalogue. The file system
// is in memory, is the same bytes each time, and is safe for concurrent use.
func Records() (fs.FS, error) { return records(text) }

// Products gives the facts about products that are found as programs and
// libraries, and of which no ecosystem of OSV has records, in the form of
// [Records]: all of them in "osv/Bulwark".
func Products() (fs.FS, error) { return records(products) }

func records(text string) (fs.FS, error) {
	list, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("starter set: %w", err)
	}
	built, err := time.Parse(time.DateOnly, Built)
	if err != nil {
		return nil, fmt.Errorf("starter set: date %q: %w", Built, err)
	}
	files := map[string][]byte{}
	for i := range list {
		b, err := json.Marshal(list[i].osv())
		if err != nil {
			return nil, fmt.Errorf("starter set: record %q: %w", list[i].id, err)
		}
		for _, p := range list[i].packages {
			base, _, _ := strings.Cut(p.ecosystem, ":")
			files["osv/"+base+"/"+list[i].id+".json"] = b
		}
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	// A zip in memory is the standard library's only file system of bytes.
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, name := range names {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Modified: built})
		if err != nil {
			return nil, fmt.Errorf("starter set: %w", err)
		}
		if _, err := f.Write(files[name]); err != nil {
			return nil, fmt.Errorf("starter set: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("starter set: %w", err)
	}
	r, err := zip.NewReader(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		return nil, fmt.Errorf("starter set: %w", err)
	}
	return r, nil
}

// The parts of an OSV record that are written.
type osvRecord struct {
	SchemaVersion string         `json:"schema_version"`
	ID            string         `json:"id"`
	Modified      string         `json:"modified"`
	Published     string         `json:"published,omitempty"`
	Aliases       []string       `json:"aliases,omitempty"`
	Summary       string         `json:"summary"`
	Severity      []osvSeverity  `json:"severity,omitempty"`
	Affected      []osvAffected  `json:"affected"`
	References    []osvReference `json:"references"`
	Database      osvDatabase    `json:"database_specific"`
}

type osvSeverity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type osvAffected struct {
	Package  osvPackage `json:"package"`
	Ranges   []osvRange `json:"ranges,omitempty"`
	Versions []string   `json:"versions,omitempty"`
}

type osvPackage struct {
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
}

type osvRange struct {
	Type   string              `json:"type"`
	Events []map[string]string `json:"events"` // one member each
}

type osvReference struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

type osvDatabase struct {
	Severity  string `json:"severity"`
	Exploited bool   `json:"exploited,omitempty"`
}

func (r *record) osv() *osvRecord {
	const midnight = "T00:00:00Z"
	out := &osvRecord{
		SchemaVersion: "1.7.0", ID: r.id, Modified: Built + midnight, Aliases: r.aliases, Summary: r.summary,
		Database: osvDatabase{Severity: strings.ToUpper(r.severity.String()), Exploited: r.exploited},
	}
	if r.published != "" {
		out.Published = r.published + midnight
	}
	if r.cvss != "" {
		out.Severity = []osvSeverity{{"CVSS_V3", r.cvss}}
	}
	for _, p := range r.packages {
		a := osvAffected{Package: osvPackage{p.ecosystem, p.name}, Versions: p.versions}
		if len(p.ranges) > 0 {
			rng := osvRange{Type: rangeType(p.ecosystem)}
			for _, x := range p.ranges {
				rng.Events = append(rng.Events, map[string]string{"introduced": x.from})
				switch {
				case x.fixed != "":
					rng.Events = append(rng.Events, map[string]string{"fixed": x.fixed})
				case x.last != "":
					rng.Events = append(rng.Events, map[string]string{"last_affected": x.last})
				}
			}
			a.Ranges = []osvRange{rng}
		}
		out.Affected = append(out.Affected, a)
	}
	for _, id := range append([]string{r.id}, r.aliases...) {
		if url := page(id); url != "" {
			out.References = append(out.References, osvReference{"ADVISORY", url})
		}
	}
	return out
}

// rangeType gives the type of range that the OSV schema wants for an ecosystem.
func rangeType(ecosystem string) string {
	switch ecosystem {
	case "Go", "npm", "crates.io":
		return "SEMVER"
	}
	return "ECOSYSTEM"
}

// page gives the address at which an id is explained, or "".
func page(id string) string {
	kind, _, _ := strings.Cut(id, "-")
	switch kind {
	case "CVE":
		return "https://www.cve.org/CVERecord?id=" + id
	case "GHSA":
		return "https://github.com/advisories/" + id
	case "GO":
		return "https://pkg.go.dev/vuln/" + id
	case "RUSTSEC":
		return "https://rustsec.org/advisories/" + id + ".html"
	}
	return ""
}
