// SPDX-License-Identifier: Apache-2.0

package bulwark

import "time"

// ReportSchema is the version of the Report's JSON. A change that is not an
// addition gives it a new number.
const ReportSchema = "bulwark.report/v1"

// A Report is the whole answer about one Artifact. Every output format is a
// function of a Report; nothing is shown that is not in one.
type Report struct {
	Schema     string              `json:"schema"` // ReportSchema
	Tool       Tool                `json:"tool"`
	Created    time.Time           `json:"created"` // when the scan was made
	Artifact   Artifact            `json:"artifact"`
	Base       *Base               `json:"base,omitempty"` // what an image was built from; nil when nothing tells
	Inventory  Inventory           `json:"inventory"`
	Findings   []Finding           `json:"findings"`             // worst first, then by rule and subject
	Gone       []Finding           `json:"gone,omitempty"`       // vulnerabilities of packages that a later layer took away
	Advisories map[string]Advisory `json:"advisories,omitempty"` // by the Rule of vulnerability findings
	Rules      map[string]Rule     `json:"rules,omitempty"`      // by the Rule of all other findings
	Database   Database            `json:"database"`
	Decision   Decision            `json:"decision"`
	Controls   []Control           `json:"controls,omitempty"` // of the benchmark that was asked for
	Actions    []Action            `json:"actions,omitempty"`  // what to do, most risk removed first
	Scan       Scan                `json:"scan"`
}

// A Tool names the program that made a report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// A Scan says how a report was made.
type Scan struct {
	Layers      int   `json:"layers"`     // layers the artifact has
	Cached      int   `json:"cached"`     // layers that were not read again
	Bytes       int64 `json:"bytes"`      // bytes read from the source
	Sandboxed   bool  `json:"sandboxed"`  // parsers ran without network and paths
	DurationMS  int64 `json:"durationMs"` // wall time, milliseconds
	Interrupted bool  `json:"interrupted,omitempty"`
	Verified    bool  `json:"verified,omitempty"` // every layer's content was seen to have the diff ID that the image claims
	Hidden      int   `json:"hidden,omitempty"`   // findings that were left out of the report on request

	Looked []string `json:"looked,omitempty"` // classes that were looked for, and rules that not every artifact lets be judged; nil is unknown
}

// The states of a control. The zero state decides nothing.
const (
	ControlPass      = "pass"
	ControlFail      = "fail"
	ControlUndecided = "undecided" // the artifact does not tell: somebody must look
)

// What an undecided control lacks, the nearest to an answer first.
const (
	LacksTrust  = "trust"  // the answer is not trustworthy: no database, an old one, gaps
	LacksCheck  = "check"  // what decides it was not looked for
	LacksKind   = "kind"   // another kind of artifact would tell
	LacksPerson = "person" // no artifact tells
)

// A Control is one recommendation of a benchmark, and whether an artifact follows
// it.
type Control struct {
	ID        string   `json:"id"`    // "CIS Docker 4.1"
	Title     string   `json:"title"` //
	Rationale string   `json:"rationale"`
	Severity  Severity `json:"severity"`
	Remedy    string   `json:"remedy"`
	State     string   `json:"state"`              // see the Control constants
	Detail    string   `json:"detail"`             // what decided it, or what somebody must look at
	Findings  []string `json:"findings,omitempty"` // ids of the findings that speak against it, sorted
	Count     int      `json:"count,omitempty"`    // how many, where Findings is cut
	Accepted  []string `json:"accepted,omitempty"` // ids of those that would, had nobody answered for them, sorted
	Lacks     string   `json:"lacks,omitempty"`    // of an undecided one, see the Lacks constants; "" is not said
}

// An Action is one thing to do, and what it removes.
type Action struct {
	Title    string   `json:"title"`             // "upgrade openssl 3.0.11-1 to 3.0.15-1~deb12u1"
	Command  string   `json:"command,omitempty"` // what to type or to write; "" if that depends
	Findings []string `json:"findings"`          // ids of the findings it removes, sorted
	Worst    Severity `json:"worst"`
	Risk     float64  `json:"risk"` // weight of what it removes; only the order matters
}
