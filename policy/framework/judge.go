// SPDX-License-Identifier: Apache-2.0

package framework

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
)

// Options say from when and how strictly reports are judged.
type Options struct {
	// Now is the time of the assessment: exceptions that have ended by then do not
	// count, and what is known has the age of then.
	Now time.Time
	// StaleAfter is the age of the advisories from which on their silence decides
	// nothing. Zero is never.
	StaleAfter time.Duration
	// AllowStarter accepts the embedded starter set of famous vulnerabilities.
	AllowStarter bool
}

// An Assessment says how artifacts stand to a framework.
type Assessment struct {
	Framework string         // "pci-4.0"
	Title     string         // "PCI DSS 4.0"
	About     string         // what of it was judged, one sentence
	Source    string         // URL of its publisher's text
	Mapping   bulwark.Digest // of the data that say what decides each control
	Now       time.Time      // when it was made
	// Verdict is Fail when a control fails, else Warn when one that an artifact
	// could decide is not decided, else Pass.
	Verdict  bulwark.Verdict
	Controls []bulwark.Control // of all artifacts together, in the framework's order
	Reports  []*bulwark.Report // with Controls of this framework, in the same order
}

// Judge says of each control of the framework of that name whether the artifacts
// of the reports follow it. A control fails when it fails for any of them. The
// reports are not changed: the assessment has copies with other Controls. No
// report is [bulwark.ErrUsage], and so is a name that [ByName] does not know.
func Judge(name string, reports []*bulwark.Report, o Options) (*Assessment, error) {
	f, err := ByName(name)
	if err != nil {
		return nil, err
	}
	if len(reports) == 0 || slices.Contains(reports, nil) {
		return nil, fmt.Errorf("judge %q: no report: %w", name, bulwark.ErrUsage)
	}
	a := &Assessment{Framework: f.Name, Title: f.Title, About: f.About, Source: f.Source, Mapping: f.Digest, Now: o.Now}
	for _, r := range reports {
		w := newWitness(r, o)
		judged := *r
		judged.Controls = make([]bulwark.Control, 0, len(f.Controls))
		for i := range f.Controls {
			judged.Controls = append(judged.Controls, f.Controls[i].judge(w))
		}
		a.Reports = append(a.Reports, &judged)
	}
	for i := range f.Controls {
		a.Controls = append(a.Controls, together(a.Reports, i))
	}
	a.Verdict = verdict(a.Controls)
	return a, nil
}

// verdict puts the states of controls together. When nothing at all could be
// decided, the answer is not trustworthy either.
func verdict(list []bulwark.Control) bulwark.Verdict {
	v := bulwark.Warn
	for i := range list {
		switch c := &list[i]; {
		case c.State == bulwark.ControlFail:
			return bulwark.Fail
		case c.State == bulwark.ControlPass:
			if v == bulwark.Warn {
				v = bulwark.Pass
			}
		}
	}
	for i := range list {
		if open(&list[i]) {
			return bulwark.Warn
		}
	}
	return v
}

// open tells whether a better scan would decide an undecided control.
func open(c *bulwark.Control) bool {
	return c.State == bulwark.ControlUndecided && (c.Lacks == bulwark.LacksTrust || c.Lacks == bulwark.LacksCheck)
}

// together gives the answer of all artifacts to control number i: the worst of
// them. Artifacts of a kind that cannot tell do not count when another can.
func together(reports []*bulwark.Report, i int) bulwark.Control {
	if len(reports) == 1 {
		return reports[0].Controls[i]
	}
	c := reports[0].Controls[i]
	c.Findings, c.Accepted, c.Count = nil, nil, 0 // ids name findings of one report
	by := map[string]int{}
	worst := -1
	for _, r := range reports {
		x := &r.Controls[i]
		by[x.State]++
		c.Count += x.Count
		if rank := badness(x); rank > worst {
			worst = rank
			c.State, c.Lacks, c.Detail = x.State, x.Lacks, x.Detail
		}
	}
	var parts []string
	for _, x := range [...]struct{ state, words string }{
		{bulwark.ControlFail, "fails for"}, {bulwark.ControlUndecided, "undecided for"}, {bulwark.ControlPass, "passes for"},
	} {
		if n := by[x.state]; n > 0 {
			parts = append(parts, x.words+" "+group(n))
		}
	}
	if by[bulwark.ControlUndecided] != len(reports) {
		c.Detail = strings.Join(parts, ", ") + " of " + group(len(reports)) + " artifacts"
	}
	return c
}

// badness orders the answers of artifacts to one control.
func badness(c *bulwark.Control) int {
	switch {
	case c.State == bulwark.ControlFail:
		return 5
	case c.State == bulwark.ControlPass:
		return 1
	case c.Lacks == bulwark.LacksKind:
		return 0
	case c.Lacks == bulwark.LacksPerson:
		return 2
	case c.Lacks == bulwark.LacksCheck:
		return 3
	}
	return 4
}

// maxIDs bounds the findings that are listed for one control; Count tells how
// many there are.
const maxIDs = 100

// judge answers for one artifact.
func (c *Control) judge(w *witness) bulwark.Control {
	out := bulwark.Control{ID: c.ID, Title: c.Title, Remedy: c.Do, Rationale: c.Beyond}
	s := w.against(c.concerning(w.r.Artifact.Kind))
	out.Count = len(s.bad)
	out.Findings = slices.Clone(s.bad[:min(len(s.bad), maxIDs)])
	out.Accepted = slices.Clone(s.accepted[:min(len(s.accepted), maxIDs)])
	slices.Sort(out.Findings)
	slices.Sort(out.Accepted)
	if s.fails() {
		out.State, out.Detail = bulwark.ControlFail, s.failed()
		return out
	}
	out.State, out.Lacks, out.Detail = c.decide(w, s)
	if more := s.closed(); more != "" && out.Lacks != bulwark.LacksKind {
		out.Detail += "; " + more
	}
	return out
}

// concerning gives the rules that can speak against the control for a kind of
// artifact. Outside of its scope there are none, but that what is wrong in a build
// file will be wrong in its image.
func (c *Control) concerning(k bulwark.Kind) []Rule {
	if slices.Contains(c.Scope, k) {
		return c.Rules
	}
	if !slices.Contains(c.Scope, bulwark.KindImage) || k != bulwark.KindDir && k != bulwark.KindRepo {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Rules), func(x Rule) bool { return !strings.HasPrefix(x.Rule, "BW-IMG-") })
}

// decide answers when nothing speaks against the control.
func (c *Control) decide(w *witness, s *speech) (state, lacks, detail string) {
	const undecided = bulwark.ControlUndecided
	if c.Look != "" {
		return undecided, bulwark.LacksPerson, "look at " + c.Look
	}
	if !slices.Contains(c.Scope, w.r.Artifact.Kind) {
		return undecided, bulwark.LacksKind, "this is about: " + kindNames(c.Scope) + "; the report is of: " + kindName(w.r.Artifact.Kind)
	}
	if s.unrated > 0 {
		return undecided, bulwark.LacksTrust, fmt.Sprintf("%s without a severity cannot be compared with what is asked; fix them, or look how bad they are", plural(s.unrated, "vulnerability", "vulnerabilities"))
	}
	var seen []string
	var what doubt
	for i := range c.Rules {
		said, d := w.silent(&c.Rules[i])
		if rank(d.lacks) > rank(what.lacks) {
			what = d
		}
		for s := range strings.SplitSeq(said, "; ") { // several rules may rest on the same
			if s != "" && !slices.Contains(seen, s) {
				seen = append(seen, s)
			}
		}
	}
	switch {
	case what.lacks != "":
		return undecided, what.lacks, what.why
	case len(seen) == 0:
		return undecided, bulwark.LacksKind, "this " + kindName(w.r.Artifact.Kind) + " has nothing that decides it"
	}
	return bulwark.ControlPass, "", strings.Join(seen, "; ")
}

// rank orders what stands between a control and its pass.
func rank(lacks string) int {
	switch lacks {
	case bulwark.LacksTrust:
		return 2
	case bulwark.LacksCheck:
		return 1
	}
	return 0
}

func kindName(k bulwark.Kind) string {
	switch k {
	case bulwark.KindDir:
		return "directory"
	case bulwark.KindRepo:
		return "repository"
	case bulwark.KindSBOM:
		return "bill of materials"
	case bulwark.KindVM:
		return "virtual machine"
	case bulwark.KindImage, bulwark.KindHost, bulwark.KindFunction:
		return string(k)
	}
	return "thing of an unknown kind"
}

func kindNames(list []bulwark.Kind) string {
	var names []string
	for _, k := range list {
		names = append(names, kindName(k))
	}
	return strings.Join(names, ", ")
}
