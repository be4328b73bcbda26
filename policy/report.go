// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/condition"
	"github.com/bulwark-sec/bulwark/policy/subject"
)

// What the word of exceptions and of comments in files begins with, in the status
// of a finding.
const (
	byException = "exception/"
	byComment   = "inline/"
)

// maxTold is how many messages of one rule a reason repeats.
const maxTold = 3

// A Judge decides about whole reports. The zero Judge fails nothing and still warns
// when an answer is not trustworthy.
type Judge struct {
	Set    *Set
	Stage  bulwark.Stage // "" is the build
	Trust  Trust
	Labels map[string]string // of the asset, over its own
	// Record is told every input that rules were asked about; nil is nobody. It must
	// not keep the subject.
	Record func(Input) error
}

// A Use says what became of one exception in a report.
type Use struct {
	Name    string
	Matched int    // findings that it is about
	Applied int    // of them, those that a rule fired on and that it closed
	Why     string // it did not apply where it was asked; "" where it was not asked
}

// Judge decides about a report, of which nothing but the status of findings
// changes. What exceptions of an earlier decision closed is open again, see
// [Reopen]: a finding is closed by an exception when every rule that fired on it is
// excepted. The verdict is Fail when a rule refuses, else Warn when the answer is
// not trustworthy, else Pass. Reasons that refuse come first, then the milder,
// then why the answer is not to be trusted. What could not be evaluated is in
// Errors. A nil report is undecided.
func (j Judge) Judge(r *bulwark.Report, at time.Time) (bulwark.Decision, []Use, error) {
	d := bulwark.Decision{Stage: cmp.Or(j.Stage, bulwark.StageBuild), Policy: j.Set.Digest(), Now: at.UTC()}
	if r == nil {
		d.Errors = []bulwark.Reason{{Rule: "gate/report", Detail: "there is no report to judge"}}
		return d, nil, nil
	}
	Reopen(r.Findings)
	asset := subject.AssetOf(r, j.Labels)
	v := j.Set.At(d.Stage, &asset)
	g := grouper{view: v, at: at, decision: &d, record: j.Record, uses: v.uses(at)}
	inline := v.inline(r, at)
	for item := range subject.OfReport(r, asset, v.Judges) {
		if err := g.item(&item, inline); err != nil {
			return d, nil, err
		}
	}
	g.close()
	v.unread(r, &d)
	d.Input = r.Artifact.ID
	conclude(&d)
	if warns := j.Trust.warns(r); len(warns) > 0 {
		d.Reasons = append(d.Reasons, warns...)
		if d.Verdict == bulwark.Pass {
			d.Verdict = bulwark.Warn
		}
	}
	more, err := j.canonical()
	if err != nil {
		return d, nil, err
	}
	identify(&d, more)
	return d, append(g.uses, inline.uses()...), nil
}

// canonical gives the one form of what a decision depends on, beside what is judged,
// the policies and the time.
func (j Judge) canonical() ([]byte, error) {
	out := j.Trust.canonical()
	if stage := cmp.Or(j.Stage, bulwark.StageBuild); stage != bulwark.StageBuild || len(j.Labels) > 0 {
		b, err := json.Marshal(struct {
			Stage  bulwark.Stage     `json:"stage"`
			Labels map[string]string `json:"labels"`
		}{stage, j.Labels})
		if err != nil {
			return nil, fmt.Errorf("labels of a decision: %w", err)
		}
		out = append(out, b...)
	}
	return out, nil
}

// unread tells of policies about subjects that what is judged may hold and that
// nobody looked for: they were not asked, which is no pass.
func (v *View) unread(r *bulwark.Report, d *bulwark.Decision) {
	told := map[*policy]bool{}
	for _, k := range subject.Kinds() {
		why := notLooked(k.Name, r)
		if why == "" || !v.Judges(k.Name) {
			continue
		}
		for _, rule := range v.tables[k.Name].rules {
			p := rule.policy
			if told[p] {
				continue
			}
			told[p] = true
			e := p.unknown[d.Stage]
			if p.audit {
				e = min(e, bulwark.EffectAlert)
			}
			d.Effect = max(d.Effect, e)
			d.Errors = append(d.Errors, bulwark.Reason{Rule: p.doc.Name, Effect: e, Detail: "not asked: " + why + "; leave the policy out, or say onUnknown: ignore"})
		}
	}
}

// notLooked says why nobody knows whether a report has subjects of a kind; "" where
// it was looked for, or cannot be there, or nobody tells what was looked for.
func notLooked(kind string, r *bulwark.Report) string {
	switch kind {
	case "iac.resource", "k8s.object":
		if k := r.Artifact.Kind; k == bulwark.KindDir || k == bulwark.KindRepo {
			return "a scan does not read subjects of " + kind + " yet"
		}
		return ""
	}
	looked := func(c bulwark.Class) bool { return slices.Contains(r.Scan.Looked, string(c)) }
	if r.Scan.Looked == nil || r.Artifact.Kind == bulwark.KindSBOM { // it has no files
		return ""
	}
	switch {
	case kind == "secret" && !looked(bulwark.ClassSecret):
		return "the scan did not look for secrets (--secrets on)"
	case kind == "malware" && !looked(bulwark.ClassMalware):
		return "the scan did not look for malware (--malware on)"
	case kind == "compliance.check" && !looked(bulwark.ClassMisconfiguration) && !looked(bulwark.ClassCompliance):
		return "the scan did not look for dangerous settings (--no-config)"
	}
	return ""
}

// grouper gathers what rules say of many inputs into one decision.
type grouper struct {
	view     *View
	at       time.Time
	decision *bulwark.Decision
	record   func(Input) error
	uses     []Use
	outs     []outcome
	hits     []hit
	scratch  []int
	fired    []*rule // in the order in which they fired first
	groups   []*group
	byKey    map[groupKey]*group
	asked    map[askedKey]*bulwark.Considered
	order    []*bulwark.Considered
	// What exceptions make of findings on which rules fired; nil: some rule is not
	// excepted. It is written last, for one finding can be subjects of several kinds.
	statuses map[*bulwark.Finding]*bulwark.Status
}

// What is told together.
type groupKey struct {
	rule         *rule
	effect       bulwark.Effect
	failed, held string // held: the beginning, for dates differ
}

type askedKey struct {
	name, rule, why string
	about, applied  bool
}

type group struct {
	reason   bulwark.Reason
	about    string // the rule's description
	failed   bool
	messages []string
	count    int
	ids      []string
	rated    map[bulwark.Severity]int
}

// item asks all rules about one subject.
func (g *grouper) item(item *subject.Item, inline *inlines) error {
	t := g.view.tables[item.Kind]
	in, err := t.env.Bind(item.Subject, g.at, item.Unknown)
	if err != nil {
		return err
	}
	defer in.Release()
	if g.record != nil {
		if err := g.record(Input{g.decision.Stage, item.Kind, item.Subject, item.Unknown, g.at}); err != nil {
			return err
		}
	}
	closed := closedBy(item.Finding)
	if g.hits == nil {
		g.hits = []hit{}
	}
	g.hits, g.scratch = t.covers.hits(item.Kind, item.Subject, in, g.hits[:0], g.scratch[:0])
	g.outs = g.view.judge(item.Kind, item.Subject, in, g.at, closed, g.hits, g.outs[:0])
	inline.apply(item, g.outs)
	g.count()
	for i := range g.outs {
		g.add(&g.outs[i], item, in)
	}
	if f := item.Finding; f != nil && closed == nil && len(g.outs) > 0 {
		g.status(f)
	}
	return nil
}

// status notes what the rules that just fired on an open finding leave of it.
func (g *grouper) status(f *bulwark.Finding) {
	if g.statuses == nil {
		g.statuses = map[*bulwark.Finding]*bulwark.Status{}
	}
	status, ok := agreed(g.outs)
	if !ok {
		g.statuses[f] = nil
	} else if _, before := g.statuses[f]; !before {
		g.statuses[f] = &status
	}
}

// closedBy says what closed a finding before any rule was asked; nil is nothing.
func closedBy(f *bulwark.Finding) *closing {
	if f == nil || f.Status.Open() {
		return nil
	}
	return &closing{cmp.Or(f.Status.By, "the report"), strings.Join(nonEmpty(f.Status.State, f.Status.Reason), ": ")}
}

// agreed gives the status of a finding of which every rule that fired is excepted.
func agreed(outs []outcome) (bulwark.Status, bool) {
	for i := range outs {
		if outs[i].by == nil && outs[i].inline == nil {
			return bulwark.Status{}, false
		}
	}
	if len(outs) == 0 {
		return bulwark.Status{}, false
	}
	if o := &outs[0]; o.by != nil {
		return o.by.status(), true
	}
	s := outs[0].inline
	return bulwark.Status{State: bulwark.StateAccepted, By: s.name(), Reason: s.Reason, Owner: s.Owner, Until: s.Until}, true
}

func nonEmpty(list ...string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// count says which exceptions are about the item that was judged.
func (g *grouper) count() {
	for i := range g.hits {
		h := &g.hits[i]
		if h.err != nil || h.match == nil && len(g.outs) == 0 {
			continue // it is from rules, and none fired
		}
		g.uses[h.at].Matched++
		if slices.ContainsFunc(g.outs, func(o outcome) bool { return o.by == h.exception }) {
			g.uses[h.at].Applied++
		}
	}
}

// about tells whether the exception may be from any rule about a kind of subject.
func (e *exception) about(kind string) bool {
	switch {
	case e.match != nil:
		return e.match[kind] != nil
	case e.policies != nil:
		for p := range e.policies {
			if p.kind.Name == kind {
				return true
			}
		}
		return false
	}
	return e.kind == "" || e.kind == kind
}

// add takes one outcome into its group.
func (g *grouper) add(o *outcome, item *subject.Item, in *condition.Input) {
	if g.byKey == nil {
		g.byKey, g.asked = map[groupKey]*group{}, map[askedKey]*bulwark.Considered{}
	}
	g.decision.Effect = max(g.decision.Effect, o.effect)
	k := groupKey{rule: o.rule, effect: o.effect}
	if o.err != nil {
		k.failed = o.err.Error()
	}
	k.held, _, _ = strings.Cut(o.held, " until ")
	p := g.byKey[k]
	if p == nil {
		p = &group{about: o.rule.doc.Description, reason: o.reason(in, item.Name()), failed: o.err != nil, rated: map[bulwark.Severity]int{}}
		p.messages = []string{p.reason.Detail}
		g.byKey[k] = p
		g.groups = append(g.groups, p)
		if o.wanted != bulwark.EffectAllow && !slices.Contains(g.fired, o.rule) {
			g.fired = append(g.fired, o.rule)
		}
	} else {
		if p.reason.Until.After(o.until) && !o.until.IsZero() {
			p.reason.Until, p.reason.Held = o.until, o.held // the first to end
		}
		if len(p.messages) < maxTold && o.err == nil {
			p.messages = append(p.messages, o.text(in, item.Name()))
		}
	}
	p.count++
	id := ""
	if f := item.Finding; f != nil {
		id = f.ID
		p.ids = append(p.ids, id)
		p.rated[f.Severity]++
	}
	for i := range o.asked {
		a := &o.asked[i]
		k := askedKey{a.name, o.rule.name, a.why, a.about, a.applied}
		c := g.asked[k]
		if c == nil {
			told := a.considered(o.rule)
			c = &told
			g.asked[k] = c
			g.order = append(g.order, c)
		}
		if c.Count++; id != "" && len(c.Findings) < maxIDs {
			c.Findings = append(c.Findings, id)
		}
	}
}

// close writes the groups into the decision.
func (g *grouper) close() {
	for _, p := range g.groups {
		r := p.reason
		if p.count > 1 {
			r.Detail = p.summary()
		}
		slices.Sort(p.ids)
		p.ids = slices.Compact(p.ids)
		r.Count = p.count
		if r.Findings = p.ids; len(p.ids) > maxIDs {
			r.Findings = p.ids[:maxIDs]
		}
		if p.failed {
			g.decision.Errors = append(g.decision.Errors, r)
		} else {
			g.decision.Reasons = append(g.decision.Reasons, r)
		}
	}
	for f, status := range g.statuses {
		if status != nil {
			f.Status = *status
		}
	}
	for _, c := range g.order {
		slices.Sort(c.Findings)
		c.Findings = slices.Compact(c.Findings)
		g.decision.Exceptions = append(g.decision.Exceptions, *c)
	}
	g.others()
}

// summary tells of several inputs in one sentence.
func (p *group) summary() string {
	var parts []string
	for _, s := range bulwark.Severities() {
		if n := p.rated[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	what := number(p.count, "subject")
	if len(p.ids) == p.count {
		what = number(p.count, "finding")
	}
	if len(parts) > 0 {
		what += " (" + strings.Join(parts, ", ") + ")"
	}
	told := slices.Clone(p.messages)
	if more := p.count - len(told); more > 0 && !p.failed {
		told = append(told, fmt.Sprintf("and %d more", more))
	}
	what += ": " + strings.Join(told, "; ")
	if p.about != "" && !p.failed {
		what = p.about + ": " + what
	}
	return what
}

// Reopen opens the findings, in place, that exceptions of policies or comments in
// scanned files closed when a report was judged, so that it can be judged again.
// What vendors, ignore files and baselines said stays. It gives how many there
// were.
func Reopen(findings []bulwark.Finding) int {
	n := 0
	for i := range findings {
		if s := &findings[i].Status; !s.Open() && (strings.HasPrefix(s.By, byException) || strings.HasPrefix(s.By, byComment)) {
			*s = bulwark.Status{}
			n++
		}
	}
	return n
}

// uses gives a count for every exception, with why those that cannot apply here do
// not.
func (v *View) uses(at time.Time) []Use {
	if v.set == nil {
		return nil
	}
	var out []Use
	for _, e := range v.set.exceptions {
		u := Use{Name: e.doc.Name}
		switch {
		case !at.Before(e.doc.Expires):
			u.Why = fmt.Sprintf("it ended on %s; owner %s", e.until(), e.doc.Owner)
		case at.Before(e.doc.Starts):
			u.Why = "it begins on " + day(e.doc.Starts)
		case !v.within[e]:
			u.Why = notWithin
		}
		out = append(out, u)
	}
	return out
}

// Warnings tells of exceptions that did nothing in a report, so that every run
// shows them: forgotten exceptions are risks that nobody remembers taking.
func Warnings(uses []Use) []string {
	var out []string
	for _, u := range uses {
		switch {
		case u.Why == notWithin || u.Applied > 0:
		case u.Why != "" && u.Matched > 0:
			out = append(out, fmt.Sprintf(warning+"%q does not hold: %s; %s without it", u.Name, u.Why, number(u.Matched, "finding")))
		case u.Why != "":
			out = append(out, fmt.Sprintf(warning+"%q does not hold: %s", u.Name, u.Why))
		case u.Matched == 0:
			out = append(out, fmt.Sprintf(warning+"%q matches nothing: remove it or correct it", u.Name))
		default:
			out = append(out, fmt.Sprintf(warning+"%q is not needed: it matches %s, and no rule that it is from fires on them", u.Name, number(u.Matched, "finding")))
		}
	}
	return out
}

// warning begins each of Warnings.
const warning = "exception "

// Warned tells whether a sentence is one of [Warnings], which are no longer true of
// a report that is judged again.
func Warned(s string) bool { return strings.HasPrefix(s, warning+`"`) }
