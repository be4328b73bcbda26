// SPDX-License-Identifier: Apache-2.0

package jsonreport

import (
	"io"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// AssessmentSchema is the version of the JSON of an assessment. A change that is
// not an addition gives it a new number.
const AssessmentSchema = "bulwark.compliance/v1"

// Assess writes an assessment and a line feed. It stands for itself: of each
// artifact it has what it rests on, and not the whole report.
func (Format) Assess(w io.Writer, a *view.Assessment) error {
	doc := assessment{
		Schema:    AssessmentSchema,
		Framework: framework{a.Framework, a.Title, a.About, a.Source, a.Mapping},
		Created:   a.Now, Verdict: a.Verdict, Meaning: view.Meaning,
		Counts: count(a.Controls),
	}
	views := make([]*view.View, 0, len(a.Reports))
	for _, r := range a.Reports {
		views = append(views, view.New(r))
		doc.Artifacts = append(doc.Artifacts, judged{
			Name: r.Artifact.Name, ID: r.Artifact.ID, Kind: r.Artifact.Kind, Platform: r.Artifact.Platform, Scanned: r.Created, Tool: r.Tool,
			Packages: len(r.Inventory.Packages), Looked: r.Scan.Looked,
			Database: database{r.Database.ID, r.Database.Built, r.Database.Advisories}, Policy: r.Decision.Policy, Counts: count(r.Controls),
		})
	}
	for i := range a.Controls {
		c := control(&a.Controls[i])
		c.Beyond, c.Remedy = a.Controls[i].Rationale, a.Controls[i].Remedy
		for n, v := range views {
			if i >= len(v.Controls) {
				continue
			}
			one := &v.Controls[i]
			x := answer{Artifact: n, verdict: control(one).verdict}
			x.Findings = evidence(v, one.Findings)
			x.Exceptions = evidence(v, one.Accepted)
			c.Artifacts = append(c.Artifacts, x)
		}
		doc.Controls = append(doc.Controls, c)
	}
	out := text.NewJSONWriter(w)
	out.Value("", doc)
	out.Raw("\n")
	return out.Close()
}

type assessment struct {
	Schema    string          `json:"schema"`
	Framework framework       `json:"framework"`
	Created   time.Time       `json:"created"`
	Verdict   bulwark.Verdict `json:"verdict"`
	Counts    counts          `json:"counts"`
	Meaning   string          `json:"meaning"`
	Artifacts []judged        `json:"artifacts"`
	Controls  []controlled    `json:"controls"`
}

type framework struct {
	Name    string         `json:"name"`
	Title   string         `json:"title"`
	About   string         `json:"about"`
	Source  string         `json:"source"`
	Mapping bulwark.Digest `json:"mapping"`
}

type counts struct {
	Fail       int `json:"fail"`
	NotDecided int `json:"notDecided"` // a better scan would tell
	Pass       int `json:"pass"`
	Person     int `json:"person"`    // no scan tells
	OtherKind  int `json:"otherKind"` // another kind of artifact would tell
}

type database struct {
	ID         bulwark.Digest `json:"id,omitempty"`
	Built      time.Time      `json:"built,omitzero"`
	Advisories int            `json:"advisories"`
}

type judged struct {
	Name     string         `json:"name"`
	ID       bulwark.Digest `json:"id"`
	Kind     bulwark.Kind   `json:"kind"`
	Platform string         `json:"platform,omitempty"`
	Scanned  time.Time      `json:"scanned"`
	Tool     bulwark.Tool   `json:"tool"`
	Packages int            `json:"packages"`
	Looked   []string       `json:"looked,omitempty"`
	Database database       `json:"database"`
	Policy   bulwark.Digest `json:"policy,omitempty"`
	Counts   counts         `json:"counts"`
}

type verdict struct {
	State  string `json:"state"`
	Lacks  string `json:"lacks,omitempty"`
	Detail string `json:"detail"`
	Count  int    `json:"count,omitempty"` // findings against it, also those that are not listed
}

type controlled struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Beyond string `json:"beyond,omitempty"` // what it asks for beyond an artifact
	Remedy string `json:"remedy,omitempty"`
	verdict
	Artifacts []answer `json:"artifacts"`
}

type answer struct {
	Artifact int `json:"artifact"` // its place in artifacts, from 0
	verdict
	Findings   []fact `json:"findings,omitempty"`
	Exceptions []fact `json:"exceptions,omitempty"`
}

type fact struct {
	ID       string           `json:"id"`
	Class    bulwark.Class    `json:"class"`
	Rule     string           `json:"rule"`
	Severity bulwark.Severity `json:"severity"`
	Subject  string           `json:"subject"`
	Fix      string           `json:"fix,omitempty"`
	Path     string           `json:"path,omitempty"`
	Line     int              `json:"line,omitempty"`
	Layer    bulwark.Digest   `json:"layer,omitempty"`
	Status   *bulwark.Status  `json:"status,omitempty"` // of what is not open
}

func control(c *bulwark.Control) controlled {
	return controlled{ID: c.ID, Title: c.Title, verdict: verdict{c.State, c.Lacks, c.Detail, c.Count}}
}

func count(list []bulwark.Control) counts {
	var n counts
	for i := range list {
		switch view.GroupOf(&list[i]) {
		case view.GroupFail:
			n.Fail++
		case view.GroupScan:
			n.NotDecided++
		case view.GroupPass:
			n.Pass++
		case view.GroupKind:
			n.OtherKind++
		default:
			n.Person++
		}
	}
	return n
}

func evidence(v *view.View, ids []string) []fact {
	list, _ := v.Named(ids, len(ids))
	var out []fact
	for _, f := range list {
		l := v.Place(f).Location
		x := fact{f.ID, f.Class, f.Rule, f.Severity, f.Subject, f.Fix, l.Path, l.Line, l.Layer, nil}
		if !f.Status.Open() {
			x.Status = &f.Status
		}
		out = append(out, x)
	}
	return out
}
