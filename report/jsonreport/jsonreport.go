// SPDX-License-Identifier: Apache-2.0

// Package jsonreport writes a report as the JSON of the nouns, which is the
// form that is stored, sent and converted, and reads it again. It knows the
// limits of a report that comes from somebody else; it does not know what a
// report means.
package jsonreport

import (
	"encoding/json"
	"io"
	"maps"
	"slices"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
)

// A Format writes JSON with two spaces of indent, element by element, so that
// the memory it takes does not grow with the report. Characters that would act
// on a terminal are escaped.
type Format struct{}

// Name gives "json".
func (Format) Name() string { return "json" }

// Write writes r and a line feed. The bytes are those of json.MarshalIndent, but
// for the escapes. A number or time that JSON cannot hold is an error.
func (Format) Write(w io.Writer, r *bulwark.Report) error {
	out := text.NewJSONWriter(w)
	e := &encoder{w: out}
	e.raw("{")
	e.member(1, "schema", r.Schema)
	e.member(1, "tool", r.Tool)
	e.member(1, "created", r.Created)
	e.member(1, "artifact", r.Artifact)
	if r.Base != nil {
		e.member(1, "base", r.Base)
	}
	e.key(1, "inventory")
	e.open("{")
	if r.Inventory.OS != nil {
		e.member(2, "os", r.Inventory.OS)
	}
	list(e, 2, "packages", r.Inventory.Packages, false)
	list(e, 2, "removed", r.Inventory.Removed, true)
	list(e, 2, "programs", r.Inventory.Programs, true)
	list(e, 2, "layers", r.Inventory.Layers, true)
	list(e, 2, "gaps", r.Inventory.Gaps, true)
	list(e, 2, "functions", r.Inventory.Functions, true)
	list(e, 2, "suppressions", r.Inventory.Suppressions, true)
	e.close(1, "}")
	list(e, 1, "findings", r.Findings, false)
	list(e, 1, "gone", r.Gone, true)
	table(e, 1, "advisories", r.Advisories)
	table(e, 1, "rules", r.Rules)
	e.member(1, "database", r.Database)
	e.member(1, "decision", r.Decision)
	list(e, 1, "controls", r.Controls, true)
	list(e, 1, "actions", r.Actions, true)
	e.member(1, "scan", r.Scan)
	e.close(0, "}")
	e.raw("\n")
	if e.err != nil {
		return e.err
	}
	return out.Close()
}

// An encoder writes members of nested objects and keeps the first error.
type encoder struct {
	w    io.Writer
	more bool // a member stands before the next one
	err  error
}

const spaces = "          "

func (e *encoder) raw(s string) {
	if e.err == nil {
		_, e.err = io.WriteString(e.w, s)
	}
}

func (e *encoder) open(bracket string) {
	e.raw(bracket)
	e.more = false
}

func (e *encoder) close(depth int, bracket string) {
	e.raw("\n" + spaces[:2*depth] + bracket)
	e.more = true
}

// next begins a member or element on a line of its own.
func (e *encoder) next(depth int) {
	if e.more {
		e.raw(",")
	}
	e.raw("\n" + spaces[:2*depth])
	e.more = true
}

func (e *encoder) key(depth int, name string) {
	e.next(depth)
	e.value(0, name)
	e.raw(": ")
}

func (e *encoder) value(depth int, v any) {
	if e.err != nil {
		return
	}
	b, err := json.MarshalIndent(v, spaces[:2*depth], "  ")
	if err != nil {
		e.err = err
		return
	}
	_, e.err = e.w.Write(b)
}

func (e *encoder) member(depth int, name string, v any) {
	e.key(depth, name)
	e.value(depth, v)
}

func list[T any](e *encoder, depth int, name string, items []T, omit bool) {
	if len(items) == 0 {
		if !omit {
			e.member(depth, name, items) // [] and null are told apart
		}
		return
	}
	e.key(depth, name)
	e.open("[")
	for i := range items {
		e.next(depth + 1)
		e.value(depth+1, &items[i])
	}
	e.close(depth, "]")
}

func table[T any](e *encoder, depth int, name string, items map[string]T) {
	if len(items) == 0 {
		return
	}
	e.key(depth, name)
	e.open("{")
	for _, k := range slices.Sorted(maps.Keys(items)) {
		e.member(depth+1, k, items[k])
	}
	e.close(depth, "}")
}
