// SPDX-License-Identifier: Apache-2.0

// Package scan is the first road: from an artifact to its inventory, from there
// to findings, to a decision, to a report. It knows the order of the steps and
// what passes between them; what each step does is known where it is done.
package scan

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
	"github.com/bulwark-sec/bulwark/artifact"
	"github.com/bulwark-sec/bulwark/attest"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/check/live"
	"github.com/bulwark-sec/bulwark/check/malware"
	"github.com/bulwark-sec/bulwark/extract"
	"github.com/bulwark-sec/bulwark/internal/diskcache"
	"github.com/bulwark-sec/bulwark/internal/limit"
	"github.com/bulwark-sec/bulwark/internal/sandbox"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/ignore"
	"github.com/bulwark-sec/bulwark/store"
)

// A Scanner scans artifacts, one after another or several at a time. The zero
// Scanner looks for packages only, matches nothing and keeps nothing.
type Scanner struct {
	Tool     bulwark.Tool
	Open     artifact.Options
	DB       *advisory.DB     // nil: nothing is matched, and the report says so
	Cache    *diskcache.Cache // nil: nothing is kept
	Build    string           // names the build in the keys of what is kept; "" is Tool.Version
	Now      func() time.Time // nil is time.Now
	Stale    time.Duration    // age from which on the database is called stale; 0 is never
	Limits   limit.Limits
	Parallel int    // layers read at once; 0 is one for each processor, at most four
	TempDir  string // for scratch files; "" is the system's
	Exec     string // program that serves as parsing child with ChildArg; "" is this one

	Secrets  bool           // look for secrets
	Config   bool           // look for dangerous settings
	Malware  bool           // look for programs that do harm
	Rules    [][]byte       // further files of rules for them, which malware.New has accepted
	Hashes   malware.Hashes // digests of known malware; nil is none
	Clamd    *malware.Clamd // daemon that is asked, too; nil is none
	Daemon   string         // what Clamd.Version said; it must be there when Clamd is
	Archives bool           // look into archives that lie in the tree
	Licenses bool           // look for licences that ask for a decision
	Jars     *Jars          // what archives are whose own words do not tell; nil knows none
	Blame    Blame          // ask a repository who brought what
	VEX      []attest.Document
	Ignores  []ignore.Entry
	Baseline *bulwark.Report
	Judge    policy.Judge

	Live *live.Client // asks services whether secrets still work, and then nothing is kept; nil asks nobody

	Benchmark string // whose recommendations are judged, see check.Benchmarks; "" is none

	// Progress is told how far a scan has come; nil is nobody. It is called from
	// several goroutines.
	Progress func(Progress)

	Images *store.Images // what was seen before, to tell base images by; nil knows none
	// InProcessUnsafe parses in this process, without the sandbox. It serves to
	// measure what the sandbox costs.
	InProcessUnsafe bool

	revealed *revealed // of this run; nil when nobody is asked
}

// Progress says how far a scan has come.
type Progress struct {
	Phase  string // "open", "layers", "packages", "verify", "match"
	Layers int    // how many there are
	Done   int    // of them
	Cached int    // of them
	Bytes  int64  // read so far
	Total  int64  // bytes to read; 0 is unknown
}

// Run scans what target names. The report is nil only when the error is not.
func (s *Scanner) Run(ctx context.Context, target string) (*bulwark.Report, error) {
	start := s.now()
	s = s.forVerify()
	s.tell(Progress{Phase: "open"})
	kind, err := artifact.Guess(target, s.Open)
	if err != nil {
		return nil, err
	}
	set := s.plan().parsers(kind, extract.Known{}) // they are asked what they want, no more
	tree, err := s.open(ctx, target, &set)
	if err != nil {
		return nil, err
	}
	defer tree.Close()

	r, found, known, err := s.inventory(ctx, tree, &set)
	if err != nil {
		return nil, err
	}
	found, rules, err := s.configuration(ctx, r, found, &set)
	if err != nil {
		return nil, err
	}
	if rules, err = withRulesOf(rules, known, &set); err != nil {
		return nil, err
	}
	found = slices.Concat(found, known)
	if found, rules, err = s.functions(r, found, rules, &set); err != nil {
		return nil, err
	}
	r.Tool, r.Created = s.Tool, start.UTC().Truncate(time.Second)
	r.Scan.Looked = s.reads(r.Artifact.Kind)
	s.verify(ctx, r, found)

	s.tell(Progress{Phase: "match", Layers: r.Scan.Layers, Done: r.Scan.Layers, Cached: r.Scan.Cached})
	if err := s.judge(ctx, r, found, rules); err != nil {
		return nil, err
	}
	if err := s.since(ctx, r, tree); err != nil {
		return nil, err
	}
	r.Scan.DurationMS = s.now().Sub(start).Milliseconds()
	if err := s.remember(ctx, r, s.store(r.Artifact.Kind, &set).plan); err != nil { // slows nothing down, and hides nothing
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: "not remembered as a base of other images: " + err.Error()})
	}
	return r, nil
}

// Rejudge makes a new report of a saved one: the inventory stands, everything
// that is known about it is asked again.
func (s *Scanner) Rejudge(ctx context.Context, old *bulwark.Report) (*bulwark.Report, error) {
	r := *old
	r.Tool, r.Created, r.Actions, r.Controls = s.Tool, s.now().UTC().Truncate(time.Second), nil, nil
	r.Inventory.Gaps = slices.DeleteFunc(slices.Clone(r.Inventory.Gaps), func(g bulwark.Gap) bool { return g.Kind == bulwark.GapAdvisory })
	var found []bulwark.Finding
	for _, f := range old.Findings {
		if f.Class != bulwark.ClassVulnerability {
			f.Status = bulwark.Status{}
			found = append(found, f)
		}
	}
	found, rules, err := s.recalled(ctx, &r, found, old.Rules)
	if err != nil {
		return nil, err
	}
	return &r, s.judge(ctx, &r, found, rules)
}

func (s *Scanner) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Scanner) tell(p Progress) {
	if s.Progress != nil {
		s.Progress(p)
	}
}

func (s *Scanner) open(ctx context.Context, target string, set *parsers) (*bulwark.Tree, error) {
	o := s.Open
	o.Wants, o.Beginning = set.wants, set.beginning
	return artifact.Open(ctx, target, o)
}

// inventory reads what tree holds: the part of the road that is a function of
// content alone, and, beside it, the files that the list of malware knows today.
func (s *Scanner) inventory(ctx context.Context, tree *bulwark.Tree, set *parsers) (r *bulwark.Report, found, known []bulwark.Finding, err error) {
	r = &bulwark.Report{Schema: bulwark.ReportSchema, Artifact: tree.Artifact}
	r.Scan.Layers, r.Scan.Sandboxed = len(tree.Layers), sandbox.Supported && !s.InProcessUnsafe
	p := s.plan()
	records := s.store(tree.Artifact.Kind, set)
	var lookup []bulwark.Gap
	layers := make([]bulwark.Layer, len(tree.Layers))
	for i, b := range tree.Layers {
		layers[i] = b.Layer
	}
	key, cacheable := chainKey(records.plan, layers)
	if cacheable {
		kept, err := getResult(s.Cache, key)
		if err == nil && s.hashes() != nil {
			// Without the digests of a layer that one is read again.
			var st *stack
			if st, err = records.recall(layers); err == nil {
				known, lookup = st.known(ctx, s.hashes())
			}
		}
		if err == nil {
			r.Inventory, r.Scan.Cached, r.Scan.Verified = kept.Inventory, len(layers), true
			r.Inventory.Layers = described(kept.Layers, layers)
			r.Inventory.Gaps = slices.Concat(tree.Gaps, r.Inventory.Gaps, lookup)
			return r, kept.Findings, known, nil
		}
	}

	lanes := s.Parallel
	if lanes <= 0 {
		lanes = min(4, runtime.GOMAXPROCS(0))
	}
	e, err := newEngine(tree.Artifact.Kind, p, max(1, min(lanes, len(tree.Layers))), s.TempDir, s.Exec)
	if err != nil {
		return nil, nil, nil, err
	}
	if e.inProcess = s.InProcessUnsafe || !sandbox.Supported; !sandbox.Supported {
		e.missing = []string{unsandboxed}
	}
	if s.Clamd != nil && s.Malware {
		e.daemon = &daemon{clamd: s.Clamd}
	}
	e.jars = s.Jars
	for _, b := range tree.Layers {
		if b.Whole != nil {
			e.whole = append(e.whole, b.Whole)
		}
	}
	defer e.close()

	st, err := s.layers(ctx, e, tree, records, r)
	if err != nil {
		return nil, nil, nil, err
	}
	s.tell(Progress{Phase: "packages", Layers: len(st.layers), Done: len(st.layers), Cached: r.Scan.Cached, Bytes: e.read})
	inv, found, err := st.inventory(ctx, e)
	if err != nil {
		return nil, nil, nil, err
	}
	s.revealed.layers(st)
	inv.Layers = st.layers
	if h := s.hashes(); h != nil {
		known, lookup = st.known(ctx, h)
	}
	r.Scan.Verified = st.proven()
	if cacheable && keepable(inv.Gaps) && r.Scan.Verified {
		// A cache that cannot be written to slows the next run, nothing else.
		if err := putResult(s.Cache, key, &result{Inventory: inv, Findings: found, Layers: st.layers}); err != nil {
			r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: err.Error()})
		}
	}
	var extra []bulwark.Gap
	for _, part := range e.missing {
		extra = append(extra, bulwark.Gap{Kind: bulwark.GapSandbox, Detail: part})
	}
	inv.Gaps = slices.Concat(tree.Gaps, r.Inventory.Gaps, inv.Gaps, extra, lookup)
	for _, b := range tree.Layers {
		if b.Gaps == nil {
			continue
		}
		for _, g := range b.Gaps() {
			// Who walks a tree does not know what its files mean.
			g.Hides = g.Hides || g.Kind == bulwark.GapUnreadable && g.Path != "" && set.hides(g.Path)
			inv.Gaps = append(inv.Gaps, g)
		}
	}
	r.Inventory, r.Scan.Bytes = inv, e.read
	if tree.Artifact.Kind != bulwark.KindImage {
		r.Inventory.Layers = nil
	}
	// A cache that cannot be trimmed is told; the finished answer is not thrown away.
	if err := s.Cache.Trim(ctx); err != nil && ctx.Err() == nil {
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: err.Error()})
	}
	return r, found, known, ctx.Err()
}

// proven tells whether every layer's content was seen to have the diff ID that
// the artifact claims: a result that is kept under other people's diff IDs would
// speak for their images.
func (s *stack) proven() bool {
	for i, r := range s.records {
		if !s.layers[i].DiffID.Valid() || r.DiffID != s.layers[i].DiffID {
			return false
		}
	}
	return true
}

// keepable tells whether gaps are a function of content, so that a result with
// them may be kept.
func keepable(gaps []bulwark.Gap) bool {
	return !slices.ContainsFunc(gaps, func(g bulwark.Gap) bool {
		return g.Kind == bulwark.GapUnreadable || g.Kind == bulwark.GapSandbox || g.Kind == bulwark.GapLimit && g.Hides
	})
}

// described gives kept layers with what this artifact says of them.
func described(kept, now []bulwark.Layer) []bulwark.Layer {
	out := slices.Clone(kept)
	for i := range out {
		if i < len(now) {
			out[i].CreatedBy, out[i].Digest, out[i].Blob = now[i].CreatedBy, now[i].Digest, now[i].Blob
		}
	}
	return out
}

// unsandboxed says what a system without the wall lacks.
const unsandboxed = "not sandboxed on this system (" + runtime.GOOS + "): files were parsed by this process with its rights, and nothing but the parsers' own limits bounds them; scan what you do not trust on Linux"

// readAgain is how often a layer's source is opened again after an error.
const readAgain = 3

// layers reads the layers that no record is kept of.
func (s *Scanner) layers(ctx context.Context, e *engine, tree *bulwark.Tree, store recordStore, r *bulwark.Report) (*stack, error) {
	st := &stack{records: make([]*record, len(tree.Layers)), layers: make([]bulwark.Layer, len(tree.Layers))}
	progress := Progress{Phase: "layers", Layers: len(tree.Layers)}
	at := map[*job]int{}
	var jobs []*job
	first := map[[2]bulwark.Digest]int{} // an image may have one layer several times
	same := func(l bulwark.Layer) [2]bulwark.Digest { return [...]bulwark.Digest{l.DiffID, l.Digest} }
	for i := range tree.Layers {
		b := &tree.Layers[i]
		st.layers[i] = b.Layer
		if _, ok := first[same(b.Layer)]; ok && b.DiffID != "" {
			progress.Done++
			continue
		}
		first[same(b.Layer)] = i
		if rec, err := store.get(b.Layer, s.hashes() != nil, e.keep); err == nil {
			st.records[i] = rec
			r.Scan.Cached++
			progress.Done, progress.Cached = progress.Done+1, r.Scan.Cached
			continue
		}
		j := &job{blob: b}
		at[j] = i
		jobs = append(jobs, j)
		progress.Total += b.Blob
	}
	s.tell(progress)
	var broken error
	finish := func(j *job) {
		if j.err != nil {
			return
		}
		want, i := j.blob.Layer, at[j]
		if err := verify(want, j); err != nil && broken == nil {
			broken = err
			return
		}
		if tree.Artifact.ID == "" && len(tree.Layers) == 1 {
			r.Artifact.ID = j.sum
		}
		j.rec.Blob = j.sum
		st.records[i] = j.rec
		if want.DiffID != "" && keepable(j.rec.Gaps) {
			if err := store.put(j.rec, e.kept); err != nil {
				r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Layer: want.DiffID, Detail: "not kept for the next scan: " + err.Error()})
			}
		}
		if s.hashes() == nil {
			j.rec.Files = nil // they are kept for a later scan
		}
		progress.Done++
		progress.Bytes += j.blob.Blob
		s.tell(progress)
	}
	for _, j := range jobs {
		j.done = finish
	}
	for try := 0; len(jobs) > 0; try++ {
		if err := e.run(ctx, jobs); err != nil {
			return nil, err
		}
		if broken != nil {
			return nil, broken
		}
		var again []*job
		for _, j := range jobs {
			if j.err != nil {
				again = append(again, j)
			}
		}
		if len(again) > 0 && (try == readAgain || errors.Is(again[0].err, bulwark.ErrNotFound)) {
			return nil, fmt.Errorf("read layer %s: %w", again[0].blob.Digest.Short(), again[0].err)
		}
		if jobs = again; len(jobs) > 0 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Duration(1<<try) * 300 * time.Millisecond):
			}
		}
	}
	for i := range st.records {
		l := &st.layers[i]
		if st.records[i] == nil {
			twin := *st.records[first[same(*l)]]
			st.records[i] = &twin
		}
		rec := st.records[i]
		l.Entries, l.Size = rec.Entries, rec.Size
	}
	if r.Artifact.ID == "" && len(st.records) > 1 {
		sum := sha256.New()
		for _, rec := range st.records {
			io.WriteString(sum, string(rec.Blob)+"\n")
		}
		r.Artifact.ID = bulwark.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
	}
	return st, nil
}

// verify compares what was read with what the artifact promised.
func verify(want bulwark.Layer, j *job) error {
	// A layer that killed its parser has been told as a gap already.
	if j.next > tries {
		return nil
	}
	if want.Digest != "" && j.sum != want.Digest {
		return &bulwark.Hint{
			Err:  fmt.Errorf("layer %s: its bytes have the digest %s: %w", want.Digest.Short(), j.sum.Short(), bulwark.ErrDigest),
			Next: "the registry or archive is damaged or lies; pull or save the image again",
		}
	}
	if want.DiffID != "" && j.rec.DiffID != "" && j.rec.DiffID != want.DiffID {
		return &bulwark.Hint{
			Err:  fmt.Errorf("layer %s: its content has the diff ID %s: %w", want.DiffID.Short(), j.rec.DiffID.Short(), bulwark.ErrDigest),
			Next: "the image's configuration does not belong to its layers; build or pull the image again",
		}
	}
	return nil
}

// judge asks everything that is known about an inventory: advisories, VEX, the
// baseline, exceptions, and the gate.
func (s *Scanner) judge(ctx context.Context, r *bulwark.Report, found []bulwark.Finding, rules map[string]bulwark.Rule) error {
	r.Rules = map[string]bulwark.Rule{}
	r.Findings = slices.Clone(found)
	if s.DB != nil {
		m, err := s.DB.Match(ctx, &r.Inventory)
		if err != nil {
			return fmt.Errorf("match: %w", err)
		}
		r.Findings = append(r.Findings, m.Findings...)
		r.Advisories = m.Advisories
		r.Inventory.Gaps = append(r.Inventory.Gaps, m.Gaps...)
		if r.Gone, err = s.gone(ctx, r); err != nil {
			return fmt.Errorf("match: %w", err)
		}
		r.Database = s.DB.Info(s.now(), s.Stale)
		r.Database.Uncovered, r.Database.Unwatched = m.Uncovered, m.Unwatched
	} else {
		r.Database = bulwark.Database{AgeSeconds: -1}
	}
	rules = maps.Clone(rules)
	if rules == nil {
		rules = map[string]bulwark.Rule{}
	}
	if s.Config {
		list, more := s.lifecycle(r)
		found, rule := check.Packages(&r.Artifact, r.Inventory.Packages)
		list, more = append(list, found...), append(more, rule...)
		r.Findings = append(slices.DeleteFunc(r.Findings, func(f bulwark.Finding) bool {
			return slices.ContainsFunc(more, func(rule bulwark.Rule) bool { return rule.ID == f.Rule })
		}), list...)
		for _, rule := range more {
			rules[rule.ID] = rule
		}
	}
	if s.Licenses {
		var texts []bulwark.Finding // the rest of the class is made anew
		r.Findings = slices.DeleteFunc(r.Findings, func(f bulwark.Finding) bool {
			if f.Class == bulwark.ClassLicense && !strings.HasPrefix(f.Subject, "pkg:") {
				texts = append(texts, f)
			}
			return f.Class == bulwark.ClassLicense
		})
		pkgs, list, more := check.Licenses(r.Inventory.Packages, texts)
		r.Inventory.Packages, r.Findings = pkgs, append(r.Findings, list...)
		for _, rule := range more {
			rules[rule.ID] = rule
		}
	}
	rules = s.runtimes(r, rules)
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Class == bulwark.ClassVulnerability {
			continue
		}
		if rule, ok := rules[f.Rule]; ok {
			r.Rules[f.Rule] = rule
		}
	}
	r.Scan.Looked = s.looked(r)
	s.apply(r)
	s.ancestry(r)
	sortFindings(r.Findings)
	var err error
	if s.Benchmark != "" {
		d := &r.Database
		looked := check.Looked{Config: s.Config, Secrets: s.Secrets, Vulns: s.DB != nil && !d.Starter && !d.Stale && len(d.Uncovered) == 0}
		if r.Controls, err = check.Benchmark(s.Benchmark, r, looked); err != nil {
			return err
		}
	}
	if err = s.decide(r); err != nil {
		return err
	}
	if r.Actions, err = s.DB.Plan(&r.Inventory, r.Findings, r.Advisories); err != nil {
		return err
	}
	if err = s.bumpAction(ctx, r); err != nil {
		return err
	}
	return nil
}

// decide asks the policies. Exceptions that did nothing are told.
func (s *Scanner) decide(r *bulwark.Report) error {
	d, uses, err := s.Judge.Judge(r, s.now().UTC().Truncate(time.Second))
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	r.Decision = d
	for _, w := range policy.Warnings(uses) {
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: w})
	}
	return nil
}

// lifecycle gives what gets no security fixes today, which is not kept: it
// depends on the day.
func (s *Scanner) lifecycle(r *bulwark.Report) ([]bulwark.Finding, []bulwark.Rule) {
	os := r.Inventory.OS
	last, ok := extract.SupportEnds(os)
	if !ok {
		os = nil
	}
	return check.Lifecycle(r.Inventory.Packages, os, last, s.now())
}

// gone gives the vulnerabilities that went with the packages that later layers
// took away.
func (s *Scanner) gone(ctx context.Context, r *bulwark.Report) ([]bulwark.Finding, error) {
	if len(r.Inventory.Removed) == 0 {
		return nil, nil
	}
	m, err := s.DB.Match(ctx, &bulwark.Inventory{OS: r.Inventory.OS, Packages: r.Inventory.Removed})
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(m.Findings, func(f bulwark.Finding) bool { return !f.Status.Open() })
	for _, f := range out {
		if _, ok := r.Advisories[f.Rule]; !ok {
			r.Advisories[f.Rule] = m.Advisories[f.Rule]
		}
	}
	return out, nil
}

func sortFindings(f []bulwark.Finding) {
	slices.SortStableFunc(f, func(a, b bulwark.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject))
	})
}

// apply sets the status of findings: vendors' statements first, then what was
// known before, then accepted risks. What had no effect is told.
func (s *Scanner) apply(r *bulwark.Report) {
	_, unused := attest.Apply(r.Findings, &r.Inventory, &r.Artifact, r.Advisories, s.VEX)
	r.Inventory.Gaps = append(r.Inventory.Gaps, attest.Gaps(unused)...)
	outcome := ignore.Apply(r.Findings, r.Advisories, s.Ignores, s.now())
	r.Inventory.Gaps = append(r.Inventory.Gaps, outcome.Gaps()...)
	if s.Baseline != nil {
		policy.ApplyBaseline(r.Findings, s.Baseline)
	}
}

// Show leaves out of a report what is of other severities than those of a list,
// and says how many. An empty list is all. The decision counts every one.
func Show(r *bulwark.Report, only []bulwark.Severity) {
	if len(only) == 0 {
		return
	}
	all := len(r.Findings)
	r.Findings = slices.DeleteFunc(r.Findings, func(f bulwark.Finding) bool { return !slices.Contains(only, f.Severity) })
	if left := all - len(r.Findings); left > 0 {
		r.Scan.Hidden += left
		r.Inventory.Gaps = append(r.Inventory.Gaps, bulwark.Gap{Kind: bulwark.GapSkipped, Detail: fmt.Sprintf("%d%s", left, notShown)})
	}
}

// notShown ends the gap that tells of findings that were left out.
const notShown = " findings of other severities are not shown; the gate counted them"
