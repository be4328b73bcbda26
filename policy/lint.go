// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/document"
	"github.com/bulwark-sec/bulwark/policy/ignore"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// What a Remark can be about.
const (
	RemarkExpired    = "expired"            // its end is over
	RemarkUnused     = "unused"             // it matches nothing anywhere
	RemarkGone       = "no-longer-matching" // it matched an earlier report, and not the newest of that artifact
	RemarkShadowed   = "shadowed"           // another one covers all that it covers, for longer
	RemarkFaulty     = "faulty"             // it cannot be read
	RemarkEarly      = "not-yet-valid"      // its time is still to come
	RemarkExpiring   = "expiring"           // its end is near
	RemarkNeedless   = "not-needed"         // it matches, and no rule that it is from fires
	RemarkRefused    = "not-counted"        // every policy that it asks refuses it
	RemarkUnreasoned = "no-reason"          // nobody can know why it is there
	RemarkLong       = "long-lived"         // its life is longer than its tier may give
	RemarkOff        = "policy-off"         // it is from a policy that is off
	RemarkUnasked    = "not-asked"          // no report was in its scope
)

// A Remark is one thing that is wrong with one exception, entry of an ignore file,
// or comment in a scanned file.
type Remark struct {
	Kind     string         `json:"kind"`               // see the Remark constants
	Name     string         `json:"name"`               // "exception/billing", "inline/Dockerfile:1", "ignore/.bulwark/ignore.yaml:2"
	Owner    string         `json:"owner,omitempty"`    // who answers for it; "" where nobody does
	Detail   string         `json:"detail"`             // one sentence for a person
	Artifact string         `json:"artifact,omitempty"` // that a comment was seen in
	Place    document.Place `json:"place"`
}

// Fails tells whether the exception does not do what its owner believes, or does
// it in vain: somebody must change it.
func (r *Remark) Fails() bool {
	switch r.Kind {
	case RemarkExpired, RemarkUnused, RemarkGone, RemarkShadowed, RemarkFaulty:
		return true
	}
	return false
}

// A Lint says how exceptions are looked at.
type Lint struct {
	Now      time.Time
	Expiring time.Duration     // an end that is nearer than this is told
	Labels   map[string]string // of every asset, over its own
	Ignores  []ignore.Entry    // of ignore files
}

// The longest lives of exceptions, by the tier that approved them. Whoever guards a
// whole organisation looks again after half a year; a year is what auditors ask of
// accepted risks; two years are what a team may forget without harm to others.
const (
	longestGuardrail = 180 * 24 * time.Hour
	longestOrg       = 365 * 24 * time.Hour
	longestTeam      = 730 * 24 * time.Hour
)

func (t tier) longest() time.Duration {
	switch t {
	case tierGuardrail:
		return longestGuardrail
	case tierOrg:
		return longestOrg
	}
	return longestTeam
}

// Linted is what came of looking at exceptions.
type Linted struct {
	Exceptions int      `json:"exceptions"` // documents
	Entries    int      `json:"entries"`    // of ignore files
	Comments   int      `json:"comments"`   // in scanned files
	Reports    int      `json:"reports"`    // the newest of each artifact
	Older      int      `json:"older"`      // earlier reports that were asked, too
	Remarks    []Remark `json:"remarks"`    // in the order of places
}

// Exceptions looks at the exceptions of a set, which may be nil, with the newest
// report of each artifact and with older ones, the newest of them first. Reports
// are not changed. Findings that the set's own exceptions, ignore files or comments
// closed count as open. Older reports are asked only for what the newest do not
// match. Without any report nothing is said that depends on one. Policies are asked
// at every stage that they are about.
func (l Lint) Exceptions(ctx context.Context, s *Set, newest, older iter.Seq[*bulwark.Report]) (Linted, error) {
	if s == nil {
		s = &Set{}
	}
	w := linter{Lint: l, set: s, uses: make([]use, len(s.exceptions)), entries: make([]past, len(l.Ignores)), last: map[string]time.Time{}}
	w.out.Exceptions, w.out.Entries = len(s.exceptions), len(l.Ignores)
	w.stages = s.asked()
	for r := range newest {
		if err := ctx.Err(); err != nil {
			return Linted{}, err
		}
		w.out.Reports++
		w.last[artifactKey(r)] = r.Created
		if err := w.newest(ctx, r); err != nil {
			return Linted{}, err
		}
	}
	for r := range older {
		if err := ctx.Err(); err != nil {
			return Linted{}, err
		}
		if !w.pending() {
			break
		}
		w.out.Older++
		if err := w.older(ctx, r); err != nil {
			return Linted{}, err
		}
	}
	for i, e := range s.exceptions {
		w.exception(i, e)
	}
	for i := range l.Ignores {
		w.entry(&l.Ignores[i], &w.entries[i])
	}
	slices.SortStableFunc(w.out.Remarks, func(a, b Remark) int {
		return cmp.Or(cmp.Compare(a.Artifact, b.Artifact), cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(a.Name, b.Name))
	})
	return w.out, ctx.Err()
}

// asked gives the fewest stages at which every rule is asked.
func (s *Set) asked() (out []bulwark.Stage) {
	type answer struct {
		rule  *rule
		allow bool
	}
	seen := map[answer]bool{}
	for _, stage := range bulwark.Stages() {
		more := false
		for _, p := range s.policies {
			if !slices.Contains(p.stages, stage) {
				continue
			}
			for _, r := range p.rules {
				if e, ok := r.effects[stage]; ok {
					a := answer{r, e == bulwark.EffectAllow}
					more, seen[a] = more || !seen[a], true
				}
			}
		}
		if more {
			out = append(out, stage)
		}
	}
	return out
}

// artifactKey tells artifacts apart over the years: by what they are called, for
// their digests change with every build.
func artifactKey(r *bulwark.Report) string { return string(r.Artifact.Kind) + "\x00" + r.Artifact.Name }

// reopened gives a copy of a report in which whatever exceptions and comments
// closed is open again.
func reopened(r *bulwark.Report) *bulwark.Report {
	out := *r
	out.Findings = slices.Clone(r.Findings)
	Reopen(out.Findings)
	return &out
}

// past is what reports know of an exception or entry.
type past struct {
	matched int       // findings of the newest reports
	gone    string    // artifact that it matched in before; "" is none
	when    time.Time // first report of that artifact without it
}

func (p *past) idle() bool { return p.matched == 0 && p.gone == "" }

// a use is what became of one exception in all reports.
type use struct {
	past
	asked   bool // some report is in its scope
	fired   int  // findings that it matches and a rule that it is from fires on
	covered bool // shadows is known
	shadows []int
}

type linter struct {
	Lint
	set     *Set
	stages  []bulwark.Stage
	uses    []use
	entries []past
	last    map[string]time.Time                    // by artifact: the report that was asked last
	each    func(exception int, item *subject.Item) // is told what matches; nil is nobody
	out     Linted
}

// pending tells whether something that holds was not seen to match.
func (w *linter) pending() bool {
	for i, e := range w.set.exceptions {
		if w.uses[i].idle() && w.Now.Before(e.doc.Expires) {
			return true
		}
	}
	for i := range w.Ignores {
		if w.entries[i].idle() && !w.Ignores[i].Expired(w.Now) {
			return true
		}
	}
	return false
}

// newest asks the newest report of an artifact about everything.
func (w *linter) newest(ctx context.Context, r *bulwark.Report) error {
	r = reopened(r)
	comments := (&View{}).inline(r, w.Now)
	if err := w.walk(ctx, r, comments); err != nil {
		return err
	}
	for i, n := range w.ignored(r) {
		w.entries[i].matched += n
	}
	w.comments(r, comments)
	return nil
}

// older asks an older report about what no newer report matches.
func (w *linter) older(ctx context.Context, r *bulwark.Report) error {
	key := artifactKey(r)
	when, ok := w.last[key]
	if !ok {
		return nil
	}
	w.last[key] = r.Created
	r = reopened(r)
	probe := linter{Lint: w.Lint, set: w.set, stages: w.stages, uses: make([]use, len(w.uses))}
	if err := probe.walk(ctx, r, nil); err != nil {
		return err
	}
	note := func(p *past, n int) {
		if p.idle() && n > 0 { // else every report from when on is without it
			p.gone, p.when = r.Artifact.Name, when
		}
	}
	for i := range w.uses {
		note(&w.uses[i].past, probe.uses[i].matched)
	}
	for i, n := range w.ignored(r) {
		note(&w.entries[i], n)
	}
	return nil
}

// ignored counts the findings of each entry of ignore files.
func (w *linter) ignored(r *bulwark.Report) []int {
	out := make([]int, len(w.Ignores))
	at := map[string]int{}
	for i := range w.Ignores {
		at[w.Ignores[i].Name()] = i
	}
	o := ignore.Apply(slices.Clone(r.Findings), r.Advisories, w.Ignores, w.Now)
	for _, list := range [][]ignore.Use{o.Used, o.Expired} {
		for i := range list {
			out[at[list[i].Entry.Name()]] = len(list[i].Findings)
		}
	}
	return out
}

// walk asks everything about each subject of a report.
func (w *linter) walk(ctx context.Context, r *bulwark.Report, comments *inlines) error {
	asset := subject.AssetOf(r, w.Labels)
	views := []*View{}
	for _, stage := range w.stages {
		views = append(views, w.set.At(stage, &asset))
	}
	if len(views) == 0 { // exceptions can match where there is no policy
		views = append(views, w.set.At(bulwark.StageBuild, &asset))
	}
	for i, e := range w.set.exceptions {
		w.uses[i].asked = w.uses[i].asked || views[0].within[e]
	}
	var outs []outcome
	n := 0
	for item := range subject.OfReport(r, asset, func(kind string) bool { return w.set.envs[kind] != nil }) {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		in, err := w.set.envs[item.Kind].Bind(item.Subject, w.Now, item.Unknown)
		if err != nil {
			return err
		}
		outs = outs[:0]
		for _, v := range views {
			if v.Judges(item.Kind) {
				outs = v.judge(item.Kind, item.Subject, in, w.Now, nil, nil, outs)
			}
		}
		outs = slices.DeleteFunc(outs, func(o outcome) bool { return o.effect == bulwark.EffectAllow })
		w.item(views[0], &item, in, outs)
		if comments != nil {
			comments.apply(&item, outs)
		}
		in.Release()
	}
	return nil
}
