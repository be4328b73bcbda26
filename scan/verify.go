// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"fmt"
	"slices"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/check/live"
)

// Whether secrets still work is asked by the parent, for the parsers have no
// network. It has them in clear from the parsers, in memory alone: no record,
// report, error or line of a log has one.

const (
	maxRaws = 1000    // secrets of one layer, and of a whole scan
	maxRaw  = 4 << 10 // bytes of a secret
)

// revealed is the secrets of one run in clear. Nil takes in none.
type revealed struct {
	of   map[place][]string // secrets by the evidence that stands for them
	n    int
	over int // left out
}

// A place is evidence of a finding, without what is learnt of it later.
type place struct {
	finding string
	layer   bulwark.Digest
	path    string
	line    int
	detail  string
}

func placeOf(finding string, layer bulwark.Digest, e *bulwark.Evidence) place {
	return place{finding, layer, e.Path, e.Line, e.Detail}
}

// forVerify gives the scanner of one run. With Live it neither reads nor writes
// what is kept: records have no secrets in them, and must not have.
func (s *Scanner) forVerify() *Scanner {
	if s.Live == nil || !s.Secrets {
		return s
	}
	run := *s
	run.Cache, run.revealed = nil, &revealed{of: map[place][]string{}}
	return &run
}

// reveal tells the parent in clear what c found in f.
func (p *parser) reveal(ctx context.Context, c check.Check, f *bulwark.File) {
	r, ok := c.(check.Revealer)
	if !ok {
		return
	}
	// Its error is the one that Check had.
	raws, _ := r.Reveal(ctx, f)
	for i := range raws {
		if p.raws++; p.raws > maxRaws {
			if p.raws == maxRaws+1 {
				p.gap(bulwark.Gap{Kind: bulwark.GapLimit, Path: f.Path, Detail: fmt.Sprintf("more than %d secrets in one layer: no service is asked about the rest", maxRaws)})
			}
			return
		}
		p.spent += p.emit(&answer{Raw: &raws[i]})
	}
}

func (v *revealed) add(layer bulwark.Digest, raw *check.Raw) {
	at := placeOf(raw.Finding, layer, &raw.Evidence)
	if slices.Contains(v.of[at], raw.Value) {
		return
	}
	if v.n++; v.n > maxRaws {
		v.over++
		return
	}
	v.of[at] = append(v.of[at], raw.Value)
}

// layers takes in what the parsers revealed.
func (v *revealed) layers(st *stack) {
	if v == nil {
		return
	}
	for i, rec := range st.records {
		for k := range rec.raws {
			v.add(st.layers[i].DiffID, &rec.raws[k])
		}
		rec.raws = nil
	}
}

// configuration takes in the secrets of an image's configuration.
func (v *revealed) configuration(ctx context.Context, a *bulwark.Artifact, checks *check.Set) error {
	if v == nil {
		return nil
	}
	raws, err := checks.RevealImage(ctx, a)
	for i := range raws {
		v.add("", &raws[i])
	}
	return err
}

// verify asks the services whether the secrets of the findings work, and says it
// in their evidence. One that works is of severity critical, and open even where
// it looked like a sample.
func (s *Scanner) verify(ctx context.Context, r *bulwark.Report, found []bulwark.Finding) {
	v := s.revealed
	if v == nil {
		return
	}
	defer clear(v.of)
	if v.over > 0 {
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapLimit, Detail: fmt.Sprintf("more than %d secrets: no service was asked about %d of them", maxRaws, v.over)})
	}
	var questions []live.Question
	var of [][2]int // finding and evidence of each
	for i := range found {
		f := &found[i]
		if f.Class != bulwark.ClassSecret {
			continue
		}
		for k := range f.Evidence {
			for _, value := range v.of[placeOf(f.ID, f.Evidence[k].Layer, &f.Evidence[k])] {
				questions = append(questions, live.Question{Rule: f.Rule, Value: value})
				of = append(of, [2]int{i, k})
			}
		}
	}
	if len(questions) > 0 {
		s.tell(Progress{Phase: "verify", Layers: r.Scan.Layers, Done: r.Scan.Layers})
	}
	day := s.now()
	told := map[[2]int]live.Answer{}
	for i, a := range s.Live.Ask(ctx, questions) {
		// Two secrets may have the same evidence: it says the worse.
		if old, ok := told[of[i]]; !ok || rank(a.State) > rank(old.State) {
			told[of[i]] = a
		}
	}
	for at, a := range told {
		text := a.Text(day)
		if text == "" {
			continue
		}
		f := &found[at[0]]
		f.Evidence = slices.Clone(f.Evidence)
		f.Evidence[at[1]].Detail += "; " + text
		if a.State == live.Live {
			f.Severity, f.Status = bulwark.SeverityCritical, bulwark.Status{}
		}
	}
}

// rank orders states by how much they matter.
func rank(s live.State) int {
	return slices.Index([]live.State{live.Unasked, live.Refused, live.Unknown, live.Live}, s)
}
