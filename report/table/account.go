// SPDX-License-Identifier: Apache-2.0

package table

import (
	"cmp"
	"slices"
	"strings"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/internal/text"
	"github.com/bulwark-sec/bulwark/report/internal/view"
)

// A PolicyText is a policy as it was written. Members that were not written have
// what holds without them.
type PolicyText struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Subject     string     `json:"subject"`
	Stages      []string   `json:"stages,omitempty"` // empty is every stage of the subject
	Tier        string     `json:"tier"`
	Mode        string     `json:"mode"`
	Combine     string     `json:"combine"`
	OnUnknown   string     `json:"onUnknown"`
	Scope       []string   `json:"scope,omitempty"`  // collections, "not NAME" those that are left out; empty is everywhere
	Place       string     `json:"place,omitempty"`  // "prod/gate.yaml:3"
	Source      string     `json:"source,omitempty"` // the whole document, YAML
	Rules       []RuleText `json:"rules"`
}

// A RuleText is a rule of a policy as it was written.
type RuleText struct {
	ID          string   `json:"id"`
	Description string   `json:"description,omitempty"`
	When        string   `json:"when"`   // CEL
	Effect      string   `json:"effect"` // "fail", "build: fail, else alert"
	Grace       string   `json:"grace,omitempty"`
	Severity    string   `json:"severity,omitempty"`
	Message     string   `json:"message,omitempty"` // CEL
	Remedy      string   `json:"remediation,omitempty"`
	Controls    []string `json:"controls,omitempty"`
	Place       string   `json:"place,omitempty"` // of When
}

// An Account is what every rule in scope says of one subject.
type Account struct {
	Kind, Name string
	Unknown    []string // variables
	Rulings    []Ruling
}

// A Ruling is what one rule says of one subject.
type Ruling struct {
	Rule, Tier, Description string
	When, Place             string // CEL, and where it is written
	Answer                  string // "match", "no" or "unknown"; "" when it was not asked
	Why                     string // it is unknown, or was not asked
	Leaves                  []Leaf
	Reason                  *bulwark.Reason      // nil where nothing came of it
	Exceptions              []bulwark.Considered // that were asked
}

// A Leaf is one part of a condition.
type Leaf struct {
	Source, Value, Why string
	Inputs             []string // `v.severity = 5`
}

// Bounds on what is shown without --all.
const (
	findingsShown   = 10
	exceptionsShown = 10
	silentShown     = 12 // rules that do not match
)

// policy writes a policy and its rules.
func (p *page) policy(t *PolicyText) {
	p.line(p.ink(dim, "policy "), p.ink(bold, p.cut(p.safe(t.Name), p.room()-7)))
	p.pair("says", t.Description)
	p.pair("written in", t.Place)
	p.pair("about", t.Subject)
	stages := "every stage"
	if len(t.Stages) > 0 {
		stages = strings.Join(t.Stages, ", ")
	}
	p.pair("stages", stages)
	p.pair("tier", t.Tier)
	if t.Mode != "enforce" {
		p.pair("mode", t.Mode)
	}
	if t.Combine != "strictest" {
		p.pair("combine", t.Combine)
	}
	p.pair("scope", strings.Join(t.Scope, ", "))
	p.pair("unknown", t.OnUnknown+", when a condition cannot be evaluated")
	for i := range t.Rules {
		p.blank()
		p.line(p.ink(dim, "rule "), p.ink(bold, p.cut(p.safe(t.Name+"/"+t.Rules[i].ID), p.room()-5)))
		p.ruleText(&t.Rules[i])
	}
	p.blank()
}

func (p *page) ruleText(r *RuleText) {
	p.pair("says", r.Description)
	p.pair("when", r.When)
	p.pair("effect", r.Effect)
	p.pair("grace", r.Grace)
	p.pair("severity", r.Severity)
	p.pair("message", r.Message)
	p.pair("what to do", r.Remedy)
	p.pair("controls", strings.Join(r.Controls, ", "))
	p.pair("written in", r.Place)
}

// decision writes a verdict with every rule that has a part in it.
func (p *page) decision(x *Explained) {
	p.v = view.New(x.Report)
	d := &p.v.Decision
	word, badge := p.badge()
	id := p.cut(p.safe(d.ID), 16)
	tally := p.cut(p.v.Tally(), p.room()-len("decision ")-text.Width(id)-text.Width(word)-4)
	p.line(p.ink(dim, "decision "), p.ink(bold, id), "  ", p.ink(badge, word), "  ", p.ink(dim, tally))
	p.pair("about", p.v.ArtifactName())
	p.pair("", strings.Join(p.v.Identity(), ", "))
	p.pair("decided", strings.TrimSuffix(view.Minute(d.Now)+", stage "+string(d.Stage), ", stage "))
	p.pair("policies", string(d.Policy))
	list := p.v.Reasons()
	if len(list) == 0 {
		p.pair("because", p.v.VerdictWords())
	}
	for i := range list {
		p.part(&list[i], x)
	}
	for i := range d.Errors {
		p.part(&d.Errors[i], x)
	}
	p.blank()
	if len(x.Policies) == 0 && d.Effect != bulwark.EffectNone {
		p.wrap(dim, "", "The policies that judged are not kept, so conditions are not shown: say --policy FILE.")
	}
	p.exempt()
	var asked []string
	for i := range d.Exceptions {
		c := &d.Exceptions[i]
		if !c.Applied && !c.About && !slices.Contains(asked, c.Name) {
			asked = append(asked, c.Name)
		}
	}
	asked = slices.DeleteFunc(asked, func(name string) bool {
		return slices.ContainsFunc(d.Exceptions, func(c bulwark.Considered) bool { return c.Name == name && (c.Applied || c.About) })
	})
	if n := len(asked) - exceptionsShown; n > 0 && p.Limit >= 0 {
		asked = append(asked[:exceptionsShown:exceptionsShown], "and "+text.Count(n)+" more")
	}
	if len(asked) > 0 {
		p.wrap(dim, "", "Asked, and about something else: "+p.safe(strings.Join(asked, ", ")))
	}
	p.wrap(dim, "", "What each rule says of one finding: bulwark explain and the finding's id.")
	p.blank()
}

// part writes one rule's part in a decision.
func (p *page) part(r *bulwark.Reason, x *Explained) {
	p.blank()
	word := r.Effect.String()
	if word != "" {
		word += " "
	}
	p.line(p.ink(effectStyle(r.Effect), word), p.ink(bold, p.cutLeft(p.safe(r.Rule), p.room()-text.Width(word))))
	p.pair("says", r.Detail)
	p.outcome(r)
	name, id, _ := strings.Cut(r.Rule, "/")
	for i := range x.Policies {
		if x.Policies[i].Name != name {
			continue
		}
		for k := range x.Policies[i].Rules {
			if t := &x.Policies[i].Rules[k]; t.ID == id {
				p.pair("when", t.When)
				p.pair("written in", t.Place+", tier "+x.Policies[i].Tier)
			}
		}
	}
	for i, id := range r.Findings {
		if i == findingsShown && p.Limit >= 0 {
			break
		}
		head := ""
		if i == 0 {
			head = "findings"
		}
		what := id
		if k := slices.IndexFunc(p.v.Findings, func(f bulwark.Finding) bool { return f.ID == id }); k >= 0 {
			f := &p.v.Findings[k]
			subject, version := p.v.SubjectName(f)
			what += "  " + f.Rule + " in " + strings.TrimSpace(subject+" "+version)
		}
		p.pair2(head, what)
	}
	shown := len(r.Findings)
	if p.Limit >= 0 {
		shown = min(shown, findingsShown)
	}
	if n := r.Count - shown; n > 0 && len(r.Findings) > 0 {
		p.pair("", "and "+text.Count(n)+" more")
	}
}

// outcome writes what came of a rule beside its effect.
func (p *page) outcome(r *bulwark.Reason) {
	if r.Wanted > r.Effect {
		p.pair("asks for", r.Wanted.String())
	}
	p.pair("held", r.Held)
	if r.Severity > bulwark.SeverityUnknown {
		p.pair("severity", r.Severity.String())
	}
	p.pair("what to do", r.Remedy)
	p.pair("controls", strings.Join(r.Controls, ", "))
}

// pair2 is pair on one line.
func (p *page) pair2(name, value string) {
	p.line(text.Pad(name, 12), p.cut(p.safe(value), p.room()-12))
}

// account writes what every rule says of one subject, those that fired first.
func (p *page) account(a *Account) {
	p.section("what policies say", "as "+p.safe(a.Kind))
	if len(a.Unknown) > 0 {
		p.pair("not known", strings.Join(a.Unknown, ", "))
	}
	if len(a.Rulings) == 0 {
		p.line("No rule in scope is about it.")
	}
	list := slices.Clone(a.Rulings)
	rank := func(r *Ruling) int { // the strictest first
		switch {
		case r.Reason != nil:
			return -1 - int(r.Reason.Effect)
		case r.Answer != "":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(x, y Ruling) int { return cmp.Compare(rank(&x), rank(&y)) })
	silent := 0
	for i := range list {
		if i > 0 {
			p.blank()
		}
		if list[i].Reason == nil {
			silent++
		}
		if silent > silentShown && p.Limit >= 0 {
			p.line(p.ink(dim, text.Plural(len(list)-i, "more rule does not match", "more rules do not match")+": --all"))
			break
		}
		p.ruling(&list[i])
	}
	p.blank()
}

func (p *page) ruling(r *Ruling) {
	word, st := "does not match", dim
	switch {
	case r.Reason != nil:
		word, st = cmp.Or(r.Reason.Effect.String(), "none"), effectStyle(r.Reason.Effect)
		if r.Reason.Effect == bulwark.EffectIgnore && r.Reason.Wanted > r.Reason.Effect {
			word = "excepted"
		}
	case r.Answer == "":
		word = "not asked"
	}
	p.line(p.ink(bold, p.cutLeft(p.safe(r.Rule), p.room()-2-text.Width(word))), "  ", p.ink(st, word))
	p.pair("says", r.Description)
	if r.Reason != nil {
		p.pair("message", r.Reason.Detail)
		p.outcome(r.Reason)
	}
	p.pair("because", r.Why)
	p.pair("when", r.When)
	p.pair("written in", strings.TrimSpace(r.Place+", tier "+r.Tier))
	for _, l := range r.Leaves {
		mark, st := "no", dim
		switch l.Value {
		case "yes":
			mark, st = "yes", green
		case "unknown":
			mark, st = "unknown", yellow
		}
		head := p.cell(st, "", 12-9) + p.cell(st, mark, 9)
		for _, s := range text.Wrap(p.safe(l.Source), p.room()-12) {
			p.line(head, s)
			head = strings.Repeat(" ", 12)
		}
		for _, in := range append(slices.Clone(l.Inputs), nonEmpty([]string{l.Why})...) {
			for _, s := range text.Wrap(p.safe(in), p.room()-14) {
				p.line(strings.Repeat(" ", 14), p.ink(dim, s))
			}
		}
	}
	shown := 0
	for i := range r.Exceptions {
		c := &r.Exceptions[i]
		if shown++; shown > exceptionsShown && p.Limit >= 0 {
			p.pair("", "and "+text.Count(len(r.Exceptions)-exceptionsShown)+" more exceptions")
			break
		}
		s := c.Name + ": "
		switch {
		case c.Applied:
			s += "counts, "
		case c.About:
			s += "does not count: "
		}
		p.pair("exception", s+c.Why)
	}
}
