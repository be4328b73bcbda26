// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/sandbox"
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
	if tree.Past == nil || s.Blame == BlameNone {
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
	told, gaps, err := s.trace(ctx, tree, asked, limit)
	if err != nil {
		return err
	}
	for _, g := range gaps {
		if !slices.Contains(r.Inventory.Gaps, g) { // the layers may have told what the sandbox lacks
			r.Inventory.Gaps = append(r.Inventory.Gaps, g)
		}
	}
	for i, c := range told {
		for _, l := range at[asked[i]] {
			l.Since = c
		}
	}
	return nil
}

// trace has the history asked: what it holds is the repository's, and may be hostile.
// The error is ctx's; any other costs the answers and is a gap.
func (s *Scanner) trace(ctx context.Context, tree *bulwark.Tree, asked []bulwark.Trace, limit time.Duration) ([]*bulwark.Change, []bulwark.Gap, error) {
	var gaps []bulwark.Gap
	gap := func(kind, detail string) { gaps = append(gaps, bulwark.Gap{Kind: kind, Detail: detail}) }
	told, err := func() (t traced, err error) {
		p, err := tree.Past()
		if err != nil {
			return t, err
		}
		defer p.Close()
		if !sandbox.Supported {
			gap(bulwark.GapSandbox, unsandboxed)
		}
		if s.InProcessUnsafe || !sandbox.Supported {
			return traceHere(ctx, p, asked, limit)
		}
		there := tracing{past: p, asked: asked, exec: s.Exec, limit: limit, grace: traceGrace}
		t, err = there.run(ctx)
		for _, part := range there.missing {
			gap(bulwark.GapSandbox, part)
		}
		return t, err
	}()
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil:
		gap(bulwark.GapUnreadable, "the history was not asked who brought what: "+err.Error())
		return nil, gaps, nil
	}
	if told.Shallow {
		gap(bulwark.GapSkipped, "the clone is shallow: what is older than it was brought by a commit that is not here; run git fetch --unshallow")
	}
	if told.Cut != "" {
		gap(bulwark.GapLimit, "not every commit that brought something was found: "+told.Cut)
	}
	return told.changes, gaps, nil
}
