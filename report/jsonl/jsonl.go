// SPDX-License-Identifier: Apache-2.0

// Package jsonl writes a report as JSON lines (https://jsonlines.org): one object
// on each line, for log shippers, search engines and jq. It knows how to take a
// report apart so that each line stands for itself; it does not read the lines
// again.
package jsonl

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A Format writes lines of these types, in this order:
//
//	report    schema, tool, time and effort of the scan
//	artifact  what was scanned
//	os        the operating system, if one was recognised
//	layer     one layer
//	base      the image that this one was built from, if anything tells
//	package   one package
//	removed   one package that a later layer took away
//	gap       what could not be read
//	database  what the matching knew
//	advisory  one vulnerability that findings name
//	rule      one rule that other findings name
//	finding   one finding, with its title
//	gone      one vulnerability of a package that was taken away, with its title
//	decision  the verdict and its reasons
//	action    one thing to do
//	end       how many packages and findings there were
//
// Every line has its type in "type" and the artifact's digest in "of"; the other
// members are those of the report's JSON. A file without its end line is not
// whole. Memory does not grow with the report.
type Format struct{}

// Name gives "jsonl".
func (Format) Name() string { return "jsonl" }

// head is what every line begins with.
type head struct {
	Type string         `json:"type"`
	Of   bulwark.Digest `json:"of"`
}

// Write writes the lines. Characters that would act on a terminal are escaped. A
// number or time that JSON cannot hold is an error.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	out := text.NewJSONWriter(w)
	l := lines{w: out, of: r.Artifact.ID}
	v := view.New(r)
	l.write(struct {
		head
		Schema  string       `json:"schema"`
		Tool    bulwark.Tool `json:"tool"`
		Created time.Time    `json:"created"`
		Scan    bulwark.Scan `json:"scan"`
	}{l.head("report"), r.Schema, r.Tool, r.Created, r.Scan})
	l.write(struct {
		head
		*bulwark.Artifact
	}{l.head("artifact"), &r.Artifact})
	if r.Inventory.OS != nil {
		l.write(struct {
			head
			*bulwark.OS
		}{l.head("os"), r.Inventory.OS})
	}
	for i := range r.Inventory.Layers {
		l.write(struct {
			head
			*bulwark.Layer
		}{l.head("layer"), &r.Inventory.Layers[i]})
	}
	if r.Base != nil {
		l.write(struct {
			head
			*bulwark.Base
		}{l.head("base"), r.Base})
	}
	l.packages("package", r.Inventory.Packages)
	l.packages("removed", r.Inventory.Removed)
	for i := range r.Inventory.Gaps {
		l.write(struct {
			head
			*bulwark.Gap
		}{l.head("gap"), &r.Inventory.Gaps[i]})
	}
	l.write(struct {
		head
		*bulwark.Database
	}{l.head("database"), &r.Database})
	for _, id := range slices.Sorted(maps.Keys(r.Advisories)) {
		a := r.Advisories[id]
		l.write(struct {
			head
			*bulwark.Advisory
		}{l.head("advisory"), &a})
	}
	for _, id := range slices.Sorted(maps.Keys(r.Rules)) {
		rule := r.Rules[id]
		l.write(struct {
			head
			*bulwark.Rule
		}{l.head("rule"), &rule})
	}
	l.findings("finding", v, r.Findings)
	l.findings("gone", v, r.Gone)
	l.write(struct {
		head
		*bulwark.Decision
	}{l.head("decision"), &r.Decision})
	for i := range r.Actions {
		l.write(struct {
			head
			*bulwark.Action
		}{l.head("action"), &r.Actions[i]})
	}
	l.write(struct {
		head
		Packages int `json:"packages"`
		Findings int `json:"findings"`
	}{l.head("end"), len(r.Inventory.Packages), len(r.Findings)})
	if l.err != nil {
		return l.err
	}
	return out.Close()
}

// lines writes values and keeps the first error.
type lines struct {
	w   io.Writer
	of  bulwark.Digest
	err error
}

func (l *lines) head(kind string) head { return head{kind, l.of} }

func (l *lines) packages(kind string, list []bulwark.Package) {
	for i := range list {
		l.write(struct {
			head
			*bulwark.Package
		}{l.head(kind), &list[i]})
	}
}

func (l *lines) findings(kind string, v *view.View, list []bulwark.Finding) {
	for i := range list {
		l.write(struct {
			head
			*bulwark.Finding
			Title string `json:"title,omitempty"`
		}{l.head(kind), &list[i], v.Title(&list[i])})
	}
}

func (l *lines) write(v any) {
	if l.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		l.err = err
		return
	}
	_, l.err = l.w.Write(append(b, '\n'))
}
