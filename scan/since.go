// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// A Blame says for what a repository's history is asked who brought it.
type Blame string

// The zero Blame asks for nothing.
const (
	BlameNone     Blame = ""
	BlameFindings Blame = "findings" // findings, and packages with open ones
	BlameAll      Blame = "all"      // every package, too
)

// How long the history may be asked, and for how many places.
const (
	blameFindings = 5 * time.Second
	blameAll      = 60 * time.Second
	maxTraces     = 50_000
)

// since finds the commits that brought packages and findings into a repository.
func (s *Scanner) since(ctx context.Context, r *bulwark.Report, tree *bulwark.Tree) error {
	if tree.Trace == nil || s.Blame == BlameNone {
		return nil
	}
	at := map[bulwark.Trace][]*bulwark.Location{}
	var asked []bulwark.Trace
	ask := func(t bulwark.Trace, l *bulwark.Location) {
		if t.Path == "" || strings.Contains(t.Path, "!/") { // in an archive
			return
		}
		if at[t] == nil {
			if len(asked) == maxTraces {
				return
			}
			asked = append(asked, t)
		}
		at[t] = append(at[t], l)
	}
	packages := map[string]*bulwark.Package{}
	for i := range r.Inventory.Packages {
		packages[r.Inventory.Packages[i].PURL] = &r.Inventory.Packages[i]
	}
	wanted := map[string]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		p := packages[f.Subject]
		for k := range f.Evidence {
			l := &f.Evidence[k].Location
			t := bulwark.Trace{Path: l.Path, Line: l.Line}
			if p != nil {
				t.Name, t.Version = p.Name, p.Version
			}
			ask(t, l)
		}
		if p != nil && f.Status.Open() {
			wanted[f.Subject] = true
		}
	}
	for i := range r.Inventory.Packages {
		p := &r.Inventory.Packages[i]
		if s.Blame != BlameAll && !wanted[p.PURL] {
			continue
		}
		for k := range p.Where {
			l := &p.Where[k]
			ask(bulwark.Trace{Path: l.Path, Line: l.Line, Name: p.Name, Version: p.Version}, l)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	limit := blameFindings
	if s.Blame == BlameAll {
		limit = blameAll
	}
	var changes []*bulwark.Change
	var gaps []bulwark.Gap
	err := safely(ctx, func(ctx context.Context) (err error) { // the history is the repository's, and nothing stands between
		changes, gaps, err = tree.Trace(ctx, asked, limit)
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		changes, gaps = nil, []bulwark.Gap{{Kind: bulwark.GapUnreadable, Detail: "the history was not asked who brought what: " + err.Error()}}
	}
	r.Inventory.Gaps = append(r.Inventory.Gaps, gaps...)
	for i, c := range changes {
		for _, l := range at[asked[i]] {
			l.Since = c
		}
	}
	return nil
}
