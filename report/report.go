// SPDX-License-Identifier: Apache-2.0

// Package report shows a report. A format is a function of the Report and of
// nothing else: it adds no knowledge, reads no clock, and gives the same bytes
// for the same Report. The package does not know where the bytes go.
package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/csv"
	"github.com/bulwark-sec/bulwark/report/cyclonedx"
	"github.com/bulwark-sec/bulwark/report/github"
	"github.com/bulwark-sec/bulwark/report/gitlab"
	"github.com/bulwark-sec/bulwark/report/html"
	"github.com/bulwark-sec/bulwark/report/internal/view"
	"github.com/bulwark-sec/bulwark/report/intoto"
	"github.com/bulwark-sec/bulwark/report/jsonl"
	"github.com/bulwark-sec/bulwark/report/jsonreport"
	"github.com/bulwark-sec/bulwark/report/junit"
	"github.com/bulwark-sec/bulwark/report/markdown"
	"github.com/bulwark-sec/bulwark/report/openvex"
	"github.com/bulwark-sec/bulwark/report/plain"
	"github.com/bulwark-sec/bulwark/report/sarif"
	"github.com/bulwark-sec/bulwark/report/spdx"
	"github.com/bulwark-sec/bulwark/report/table"
)

// A Format writes reports in one form. It is safe for concurrent use.
type Format interface {
	// Name is what a user asks for it by: "sarif".
	Name() string
	// Write writes the whole of r in this form. It does not change r, and bears
	// any strings in it: what they could do to a terminal, browser or parser is
	// made harmless. After an error, what was written is not complete.
	Write(w io.Writer, r *bulwark.Report) error
}

// An Assessment says how artifacts stand to the controls of a framework.
type Assessment = view.Assessment

// An Assessor is a Format that writes assessments, too, under the same promises.
type Assessor interface {
	Format
	// Assess writes the whole of a in this form. It does not change a.
	Assess(w io.Writer, a *Assessment) error
}

// Assessors lists the formats that write assessments.
func Assessors() []Assessor {
	var out []Assessor
	for _, f := range Formats() {
		if a, ok := f.(Assessor); ok {
			out = append(out, a)
		}
	}
	return out
}

// Formats lists every format, with the options of its zero value.
func Formats() []Format {
	return []Format{
		table.Format{},
		plain.Format{},
		jsonreport.Format{},
		jsonl.Format{},
		csv.Format{},
		html.Format{},
		markdown.Format{},
		sarif.Format{},
		junit.Format{},
		cyclonedx.Format{},
		cyclonedx.XML{},
		spdx.Format{},
		spdx.TagValue{},
		openvex.Format{},
		intoto.Format{},
		github.Format{},
		gitlab.Format{},
	}
}

// ByName gives the format of that name. Another name is [bulwark.ErrUsage] with
// a hint that lists all names.
func ByName(name string) (Format, error) {
	var names []string
	for _, f := range Formats() {
		if f.Name() == name {
			return f, nil
		}
		names = append(names, f.Name())
	}
	return nil, &bulwark.Hint{
		Err:  fmt.Errorf("format %q: %w", name, bulwark.ErrUsage),
		Next: "use one of " + strings.Join(names, ", "),
	}
}
