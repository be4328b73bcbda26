// SPDX-License-Identifier: Apache-2.0

package bulwark

import "time"

// An Advisory says that some versions of some packages are flawed. It follows
// the OSV schema (https://ossf.github.io/osv-schema/), less what is not used.
type Advisory struct {
	ID        string    `json:"id"`
	Aliases   []string  `json:"aliases,omitempty"`  // the same flaw under other ids
	Upstream  []string  `json:"upstream,omitempty"` // flaws that this one derives from
	Related   []string  `json:"related,omitempty"`
	Summary   string    `json:"summary,omitempty"`
	Details   string    `json:"details,omitempty"`
	Published time.Time `json:"published,omitzero"`
	Modified  time.Time `json:"modified,omitzero"`
	Withdrawn time.Time `json:"withdrawn,omitzero"` // zero: it stands

	Severity   Severity   `json:"severity"`
	SeverityBy string     `json:"severityBy,omitempty"` // which source won: "Debian", "CVSS v3.1 of CVE-2021-44228"
	CVSS       string     `json:"cvss,omitempty"`       // vector, the newest version given
	Score      float64    `json:"score,omitempty"`      // CVSS base score, 0 to 10
	EPSS       float64    `json:"epss,omitempty"`       // probability of exploitation within 30 days, 0 to 1
	EPSSRank   float64    `json:"epssPercentile,omitempty"`
	Exploited  bool       `json:"exploited,omitempty"` // listed in CISA's Known Exploited Vulnerabilities
	Due        time.Time  `json:"due,omitzero"`        // CISA's due date
	CWEs       []string   `json:"cwes,omitempty"`
	References []string   `json:"references,omitempty"` // URLs
	Affected   []Affected `json:"affected,omitempty"`   // left out of reports
	Feed       string     `json:"feed,omitempty"`       // which feed said so
}

// Affected names versions of one package. A version is affected when Versions
// lists it or a range holds it.
type Affected struct {
	Ecosystem string   `json:"ecosystem"` // OSV ecosystem, with release where the feed gives one
	Name      string   `json:"name"`
	Ranges    []Range  `json:"ranges,omitempty"`
	Versions  []string `json:"versions,omitempty"`
	Severity  Severity `json:"severity,omitempty"` // of this package; zero: see the advisory
	CVSS      string   `json:"cvss,omitempty"`
	Module    string   `json:"module,omitempty"`  // rpm modularity label
	Symbols   []string `json:"symbols,omitempty"` // Go functions that are flawed, "path.F", "path.T.M", "path.*" for all of a package; empty when none are named, or too many
	// Systems says for each of Symbols on which systems it is flawed, as GOOS and
	// GOARCH: "windows", "linux,android/amd64", "/386,arm"; "" is all, and so is nil.
	Systems []string `json:"systems,omitempty"`
}

// A Range holds the versions from Introduced on, before Fixed or up to and
// including LastAffected.
type Range struct {
	Introduced   string `json:"introduced"`             // "0" is before every version
	Fixed        string `json:"fixed,omitempty"`        // "" when no fix is known
	LastAffected string `json:"lastAffected,omitempty"` //
}

// A Database says what a report's matching knew, and how old it was.
type Database struct {
	ID         Digest    `json:"id,omitempty"`        // of the manifest; zero when there is none
	Built      time.Time `json:"built,omitzero"`      //
	AgeSeconds int64     `json:"ageSeconds"`          // at the time of the report, seconds; -1 without a database
	Advisories int       `json:"advisories"`          //
	Feeds      []Feed    `json:"feeds,omitempty"`     // sorted by name
	Starter    bool      `json:"starter,omitempty"`   // only the embedded starter set of famous vulnerabilities was asked
	Stale      bool      `json:"stale,omitempty"`     // older than the limit
	Uncovered  []string  `json:"uncovered,omitempty"` // ecosystems in the inventory that no feed covers
	Unwatched  []string  `json:"unwatched,omitempty"` // types of packages in the inventory that nobody publishes advisories for
}

// A Feed is one source of advisories inside a Database.
type Feed struct {
	Name     string    `json:"name"` // "osv/Debian", "kev", "epss"
	Records  int       `json:"records"`
	Fetched  time.Time `json:"fetched,omitzero"`  // when it was last asked
	Modified time.Time `json:"modified,omitzero"` // newest record in it
	Source   string    `json:"source,omitempty"`  // URL or file it came from
}

// Risk weighs a finding: what is exploited comes before any number of what is only
// likely to be, and that before what is only severe. Only the order means anything.
func Risk(s Severity, a *Advisory) float64 {
	weight := map[Severity]float64{
		SeverityCritical: 10, SeverityHigh: 5, SeverityMedium: 2,
		SeverityLow: 0.5, SeverityNegligible: 0.1, SeverityUnknown: 1,
	}[s]
	weight += 100 * a.EPSS
	if a.Exploited {
		weight += 1000
	}
	return weight
}
