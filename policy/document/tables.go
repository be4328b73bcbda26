// SPDX-License-Identifier: Apache-2.0

package document

import (
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/bulwark-sec/bulwark"
)

// A kind is one kind of document: how it is read, and its schema.
type kind struct {
	name   string
	read   func(r *reader, n *yaml.Node) (*Head, func(*Set))
	schema func() object
}

// kinds lists every kind, the most important first.
var kinds = []kind{
	of("Policy", name, policyForm, func(p *Policy) *Head { return &p.Head }, func(s *Set) *[]Policy { return &s.Policies }),
	of("Collection", name, collectionForm, func(c *Collection) *Head { return &c.Head }, func(s *Set) *[]Collection { return &s.Collections }),
	of("Exception", name, exceptionForm, func(e *Exception) *Head { return &e.Head }, func(s *Set) *[]Exception { return &s.Exceptions }),
	of("PolicyTest", name, testForm, func(t *PolicyTest) *Head { return &t.Head }, func(s *Set) *[]PolicyTest { return &s.Tests }),
	of("ValueList", listName, valuesForm, func(l *ValueList) *Head { return &l.Head }, func(s *Set) *[]ValueList { return &s.Lists }),
}

// of is the kind whose specification has a form of its own; what is around that is
// the same for all.
func of[T any](kindName string, names text, spec mapping[T], head func(*T) *Head, to func(*Set) *[]T) kind {
	nowhere := func(*T) *string { return new(string) }
	root := mapping[T]{name: kindName, fields: []field[T]{
		need("apiVersion", "The version of the documents.", word{words: []string{APIVersion}, noun: "version"}, nowhere),
		need("kind", "What the document is.", word{words: []string{kindName}, noun: "kind"}, nowhere),
		need("metadata", "What the document is called.", headForm(names), head),
		need("spec", "What the document says.", spec, func(t *T) *T { return t }),
	}}
	return kind{
		name: kindName,
		read: func(r *reader, n *yaml.Node) (*Head, func(*Set)) {
			t := new(T)
			root.read(r, n, "a "+kindName, t)
			h := head(t)
			h.Place, h.Source = r.place(n), r.source
			if line, rest, ok := strings.Cut(h.Source, "\n"); ok && strings.TrimRight(line, " \t\r") == "---" {
				h.Source = rest
			}
			return h, func(s *Set) { *to(s) = append(*to(s), *t) }
		},
		schema: root.schema,
	}
}

// maxName bounds names and ids, bytes: they stand in lines of reports.
const maxName = 100

var (
	name   = text{pattern: regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`), bytes: maxName, like: "a name: small letters, digits, dots and dashes, with a letter or digit at both ends"}
	ruleID = text{pattern: regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`), bytes: maxName, like: "an id: small letters, digits, dots, dashes and underscores, with a letter or digit at both ends"}

	// Conditions say lists.NAME, where a dash would subtract.
	listName = text{pattern: regexp.MustCompile(`^[a-z][a-z0-9_]*$`), bytes: maxName, like: "the name of a list: small letters, digits and underscores, with a letter at the front"}

	// condition is an expression: "when: true" is one.
	condition = text{bools: true}
	scalar    = text{bools: true, numbers: true}

	stage    = text{words: stages(), noun: "stage"}
	effect   = text{words: effects(), noun: "effect"}
	severity = word{words: severities(), noun: "severity"}
	tier     = word{words: []string{"guardrail", "org", "team"}, noun: "tier"}
)

func stages() []string {
	var names []string
	for _, s := range bulwark.Stages() {
		names = append(names, string(s))
	}
	return names
}

func effects() []string {
	var names []string
	for e := bulwark.EffectAllow; e.String() != ""; e++ {
		names = append(names, e.String())
	}
	return names
}

func severities() []string {
	var names []string
	for _, s := range bulwark.Severities() {
		names = append(names, s.String())
	}
	return names
}

func headForm(names text) mapping[Head] {
	return mapping[Head]{name: "metadata", fields: []field[Head]{
		need("name", "Unique among the documents of its kind.", word(names), func(h *Head) *string { return &h.Name }),
		in("labels", "For people and tools.", table[string]{name: "labels", of: word{}}, func(h *Head) *map[string]string { return &h.Labels }),
		in("description", "What it is for.", word{}, func(h *Head) *string { return &h.Description }),
	}}
}

var policyForm = mapping[Policy]{name: "the spec of a Policy", fields: []field[Policy]{
	need("subject", `What the rules are about: "vulnerability", "image" … It says which variables conditions have.`, text{}, func(p *Policy) *Text { return &p.Subject }),
	in("stages", "When the rules are asked. Left out: whenever there is such a subject.", texts(stage), func(p *Policy) *[]Text { return &p.Stages }),
	in("tier", "Whose policy it is. A lower tier can only be stricter. Left out: team.", tier, func(p *Policy) *string { return &p.Tier }),
	in("mode", "off: the rules are not asked; audit: nothing is refused because of them. Left out: enforce.", word{words: []string{"off", "audit", "enforce"}, noun: "mode"}, func(p *Policy) *string { return &p.Mode }),
	in("scope", "Where the policy holds. Left out: everywhere.", scopeForm, func(p *Policy) *Scope { return &p.Scope }),
	in("combine", "strictest: all rules count, the strictest effect wins; firstMatch: the first rule that matches decides. Left out: strictest.", word{words: []string{"strictest", "firstMatch"}, noun: "combination"}, func(p *Policy) *string { return &p.Combine }),
	in("onUnknown", "The effect of a rule whose condition cannot be evaluated. Left out: alert.", word{words: []string{"ignore", "alert", "fail", "block"}, noun: "effect"}, func(p *Policy) *string { return &p.OnUnknown }),
	in("allowInline", "Whether comments in scanned files may except from the rules. Left out: withReasonAndExpiry.", word{words: []string{"never", "withReasonAndExpiry", "always"}, noun: "answer"}, func(p *Policy) *string { return &p.AllowInline }),
	in("controls", `Controls of frameworks that every rule serves: "pci-4.0/6.3.3".`, words(text{}), func(p *Policy) *[]string { return &p.Controls }),
	need("rules", "What is asked, in order.", list[Rule]{of: ruleForm, key: func(r *Rule) string { return r.ID.Value }, free: true, noun: "rule"}, func(p *Policy) *[]Rule { return &p.Rules }),
}}

var scopeForm = mapping[Scope]{name: "scope", some: []string{"collections", "not", "kinds", "resourceTypes"}, fields: append(exceptionScope.fields[:2:2],
	in("kinds", "Kinds of Kubernetes objects.", texts(text{}), func(s *Scope) *[]Text { return &s.Kinds }),
	in("resourceTypes", "Types of resources of infrastructure as code.", texts(text{}), func(s *Scope) *[]Text { return &s.ResourceTypes }),
)}

var exceptionScope = mapping[Scope]{name: "scope", some: []string{"collections", "not"}, fields: []field[Scope]{
	in("collections", "In any of these collections.", texts(text{}), func(s *Scope) *[]Text { return &s.Collections }),
	in("not", "And in none of these.", texts(text{}), func(s *Scope) *[]Text { return &s.Not }),
}}

var ruleForm = mapping[Rule]{name: "rule", place: func(r *Rule) *Place { return &r.Place }, fields: []field[Rule]{
	need("id", "Unique in the policy.", ruleID, func(r *Rule) *Text { return &r.ID }),
	in("description", "What the rule is for.", word{}, func(r *Rule) *string { return &r.Description }),
	need("when", "The condition: CEL, true or false.", condition, func(r *Rule) *Text { return &r.When }),
	in("grace", "Time to mend it, in which the effect is alert at the most.", optional[Grace]{graceForm}, func(r *Rule) **Grace { return &r.Grace }),
	need("effect", "What comes of a match: at every stage, or by stage.", form[Effect](effectForm{}), func(r *Rule) *Effect { return &r.Effect }),
	in("severity", "Severity of what the rule finds. Left out: that of the subject.", severity, func(r *Rule) *string { return &r.Severity }),
	in("message", "What people are told: CEL, a text. Left out: the description.", text{}, func(r *Rule) *Text { return &r.Message }),
	in("remediation", "What to do, with {{variable}}.", word{}, func(r *Rule) *string { return &r.Remediation }),
	in("controls", `Controls of frameworks that the rule serves: "pci-4.0/6.3.3".`, words(text{}), func(r *Rule) *[]string { return &r.Controls }),
}}

// maxGrace bounds a grace, days: a century, so that dates stay dates.
const maxGrace = 36500

var graceForm = mapping[Grace]{name: "grace", some: []string{"days", "severity"}, place: func(g *Grace) *Place { return &g.Place }, fields: []field[Grace]{
	in("days", "For severities that are not named.", count{maxGrace}, func(g *Grace) *int { return &g.Days }),
	in("severity", "Days by severity.", table[int]{name: "severity", of: count{maxGrace}, keys: severities()}, func(g *Grace) *map[string]int { return &g.Severity }),
	in("from", "Where counting begins. Left out: the date of the fix, else of publication.", word{words: []string{"fix_date", "published", "first_seen"}, noun: "date"}, func(g *Grace) *string { return &g.From }),
}}

var collectionForm = mapping[Collection]{name: "the spec of a Collection", some: []string{"include", "exclude"}, fields: []field[Collection]{
	in("include", "What is in it: all that any of these picks. Left out: everything.", list[Selector]{of: selectorForm, noun: "selector"}, func(c *Collection) *[]Selector { return &c.Include }),
	in("exclude", "And what is not, though it was picked.", list[Selector]{of: selectorForm, noun: "selector"}, func(c *Collection) *[]Selector { return &c.Exclude }),
}}

var selectorForm = mapping[Selector]{
	name: "selector", place: func(s *Selector) *Place { return &s.Place },
	some: []string{"collections", "kinds", "registries", "repos", "tags", "digests", "names", "namespaces", "clusters", "hosts", "accounts", "labels"},
	fields: []field[Selector]{
		in("collections", "Names of other collections.", texts(text{}), func(s *Selector) *[]Text { return &s.Collections }),
		in("kinds", `Kinds of artifact: "image", "host" …`, texts(text{}), func(s *Selector) *[]Text { return &s.Kinds }),
		in("registries", "Hosts of registries. * is any characters, here and below.", texts(text{}), func(s *Selector) *[]Text { return &s.Registries }),
		in("repos", "Repositories of images, without the registry.", texts(text{}), func(s *Selector) *[]Text { return &s.Repos }),
		in("tags", "Tags of images.", texts(text{}), func(s *Selector) *[]Text { return &s.Tags }),
		in("digests", "Digests of images.", texts(text{}), func(s *Selector) *[]Text { return &s.Digests }),
		in("names", "Names of artifacts, as they were asked for.", texts(text{}), func(s *Selector) *[]Text { return &s.Names }),
		in("namespaces", "Namespaces of Kubernetes.", texts(text{}), func(s *Selector) *[]Text { return &s.Namespaces }),
		in("clusters", "Clusters of Kubernetes.", texts(text{}), func(s *Selector) *[]Text { return &s.Clusters }),
		in("hosts", "Names of machines.", texts(text{}), func(s *Selector) *[]Text { return &s.Hosts }),
		in("accounts", "Accounts of clouds.", texts(text{}), func(s *Selector) *[]Text { return &s.Accounts }),
		in("labels", "Labels by name.", table[Text]{name: "labels", of: text{}}, func(s *Selector) *map[string]Text { return &s.Labels }),
	},
}

var exceptionForm = mapping[Exception]{name: "the spec of an Exception", check: checkException, fields: []field[Exception]{
	in("for", "What it is an exception from. Left out: every rule.", forForm, func(e *Exception) *For { return &e.For }),
	in("scope", "Where it holds. Left out: everywhere.", exceptionScope, func(e *Exception) *Scope { return &e.Scope }),
	in("match", "What it is about: CEL, true or false, with the variables of the subject. Left out: everything that the rest names.", condition, func(e *Exception) *Text { return &e.Match }),
	in("vex", "What is so, in the words of OpenVEX. Left out: the risk is accepted.", optional[VEX]{vexForm}, func(e *Exception) **VEX { return &e.VEX }),
	need("reason", "Why.", word{}, func(e *Exception) *string { return &e.Reason }),
	need("owner", "Who answers for it.", word{}, func(e *Exception) *string { return &e.Owner }),
	in("approvedBy", "Who agreed.", word{}, func(e *Exception) *string { return &e.ApprovedBy }),
	in("approverTier", "Tier of who agreed. Left out: team.", tier, func(e *Exception) *string { return &e.ApproverTier }),
	in("starts", "From when it holds: a date, or a time. Left out: at once.", moment{}, func(e *Exception) *time.Time { return &e.Starts }),
	need("expires", "Its last day, in UTC, or the time at which it ends.", moment{end: true}, func(e *Exception) *time.Time { return &e.Expires }),
}, also: object{"allOf": []object{
	{"anyOf": []object{
		{"required": []string{"match"}},
		{"required": []string{"scope"}},
		{"required": []string{"for"}, "properties": object{"for": object{"required": []string{"policies"}}}},
	}},
	{
		"if": object{"required": []string{"match"}},
		"then": object{"required": []string{"for"}, "properties": object{"for": object{"anyOf": []object{
			{"required": []string{"policies"}},
			{"required": []string{"subject"}},
		}}}},
	},
}}}

func checkException(r *reader, n *yaml.Node, f nodes, e *Exception) {
	if len(e.For.Policies) == 0 {
		switch {
		case f["match"] == nil && f["scope"] == nil:
			r.fault(r.place(n), `the exception is from everything, everywhere; name policies in "for", or a "scope", or write a "match"`)
		case f["match"] != nil && e.For.Subject.Value == "":
			r.fault(r.place(f["match"]), `"match" without policies or a subject in "for": its variables are not known`)
		}
	}
	if !e.Starts.Before(e.Expires) {
		r.fault(r.place(f["expires"]), "the exception ends before it starts")
	}
}

var forForm = mapping[For]{
	name: "for", place: func(f *For) *Place { return &f.Place },
	some: []string{"subject", "policies", "rules"},
	fields: []field[For]{
		in("subject", `What "match" is about, where no policies say so.`, text{}, func(f *For) *Text { return &f.Subject }),
		in("policies", "Names of policies. Left out: all.", texts(text{}), func(f *For) *[]Text { return &f.Policies }),
		in("rules", "Ids of rules of these policies. Left out: all.", texts(text{}), func(f *For) *[]Text { return &f.Rules }),
	},
	check: func(r *reader, _ *yaml.Node, f nodes, _ *For) {
		if f["rules"] != nil && f["policies"] == nil {
			r.fault(r.place(f["rules"]), `"rules" without "policies": ids are unique in a policy only`)
		}
	},
	also: object{"dependentRequired": object{"rules": []string{"policies"}}},
}

var vexForm = mapping[VEX]{
	name: "vex", place: func(v *VEX) *Place { return &v.Place },
	fields: []field[VEX]{
		need("status", "Status of OpenVEX.", word{words: []string{"not_affected", "affected", "fixed", "under_investigation"}, noun: "status"}, func(v *VEX) *string { return &v.Status }),
		in("justification", "Why it is not affected, in a word of OpenVEX.", word{words: []string{
			"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
			"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
		}, noun: "justification"}, func(v *VEX) *string { return &v.Justification }),
		in("impact", "Why it is not affected, in words of your own.", word{}, func(v *VEX) *string { return &v.Impact }),
	},
	check: func(r *reader, n *yaml.Node, f nodes, v *VEX) {
		switch {
		case v.Status == "not_affected" && v.Justification == "" && v.Impact == "":
			r.fault(r.place(n), `vex with status "not_affected" without "justification" or "impact"`)
		case v.Status != "not_affected" && v.Justification != "":
			r.fault(r.place(f["justification"]), `"justification" is for status "not_affected" only`)
		}
	},
	also: object{
		"if":   object{"required": []string{"status"}, "properties": object{"status": object{"const": "not_affected"}}},
		"then": object{"anyOf": []object{{"required": []string{"justification"}}, {"required": []string{"impact"}}}},
		"else": object{"properties": object{"justification": false}},
	},
}

var testForm = mapping[PolicyTest]{name: "the spec of a PolicyTest", fields: []field[PolicyTest]{
	in("policies", "Names of the policies that are asked. Left out: all.", texts(text{}), func(t *PolicyTest) *[]Text { return &t.Policies }),
	in("now", "The time that rules see.", moment{}, func(t *PolicyTest) *time.Time { return &t.Now }),
	need("cases", "Examples.", list[Case]{of: caseForm, key: func(c *Case) string { return c.Name }, free: true, noun: "case"}, func(t *PolicyTest) *[]Case { return &t.Cases }),
}}

var caseForm = mapping[Case]{name: "case", place: func(c *Case) *Place { return &c.Place }, fields: []field[Case]{
	need("name", "Unique in the test.", word{}, func(c *Case) *string { return &c.Name }),
	need("stage", "When the policies are asked.", stage, func(c *Case) *Text { return &c.Stage }),
	in("subject", "What the input is. Left out: the subject of the first policy.", text{}, func(c *Case) *Text { return &c.Subject }),
	in("input", "The variables of the subject, by name.", form[map[string]any](values{}), func(c *Case) *map[string]any { return &c.Input }),
	in("unknown", "Names of variables, or of their members, that are not known.", texts(text{}), func(c *Case) *[]Text { return &c.Unknown }),
	in("lists", "Value lists for this case, by name.", table[[]string]{name: "lists", of: list[string]{of: word(scalar), empty: true, key: func(s *string) string { return *s }, free: true}}, func(c *Case) *map[string][]string { return &c.Lists }),
	in("now", "The time that rules see. Left out: that of the test.", moment{}, func(c *Case) *time.Time { return &c.Now }),
	need("want", "What must come of it.", wantForm, func(c *Case) *Want { return &c.Want }),
}}

var wantForm = mapping[Want]{
	name: "want", place: func(w *Want) *Place { return &w.Place },
	some: []string{"effect", "rules", "messages", "excepted"},
	fields: []field[Want]{
		in("effect", `The effect of the decision; "none" is none.`, optional[string]{form[string](wantedEffect{})}, func(w *Want) **string { return &w.Effect }),
		in("rules", "What became of rules, by id, or policy/id.", table[string]{name: "rules", of: word{words: []string{"match", "no", "unknown"}, noun: "answer"}}, func(w *Want) *map[string]string { return &w.Rules }),
		in("messages", "Texts that messages hold.", words(text{}), func(w *Want) *[]string { return &w.Messages }),
		in("excepted", "Names of exceptions that apply.", words(text{}), func(w *Want) *[]string { return &w.Excepted }),
	},
}

var valuesForm = mapping[ValueList]{name: "the spec of a ValueList", fields: []field[ValueList]{
	need("values", "Texts; numbers are taken as written.", list[Text]{of: scalar, empty: true, key: func(t *Text) string { return t.Value }, free: true, noun: "value"}, func(l *ValueList) *[]Text { return &l.Values }),
}}
