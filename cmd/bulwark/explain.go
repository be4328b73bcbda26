// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/check"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/report/table"
	"github.com/bulwark-sec/bulwark/store"
)

const explainLong = `Explain a vulnerability (CVE-2021-44228, GHSA-…), a rule of a check (BW-IMG-0001),
a policy or one of its rules (default-vulnerabilities/kev), a decision or a finding
(their ids). The first line says which of them it was taken for.

Decisions and findings are those of a saved report, or else of the newest scan on
this machine that has them. A finding is shown with what every rule in scope says
of it: each part of the condition with its value, what came of it, and every
exception that was asked. The policies are those that judged the report, which a
scan keeps, unless --policy names others; the time is that of the decision.

Of a vulnerability it shows the packages and versions that the database has for it.`

// maxAffected bounds the affected packages of a vulnerability that are told: a
// flaw of the kernel has thousands.
const maxAffected = 1000

// An explanation is what is known of one id. Exactly one of its members beside
// Kind is set, but for a finding, which has what it rests on, too, and for a
// decision, which has its policies.
type explanation struct {
	Kind     string             `json:"kind"` // "vulnerability", "rule", "policy", "decision" or "finding"
	Finding  *bulwark.Finding   `json:"finding,omitempty"`
	Package  *bulwark.Package   `json:"package,omitempty"`
	Layers   []bulwark.Layer    `json:"layers,omitempty"` // that brought the finding
	Actions  []bulwark.Action   `json:"actions,omitempty"`
	Advisory *bulwark.Advisory  `json:"advisory,omitempty"`
	More     int                `json:"moreAffected,omitempty"` // packages that the advisory affects and does not list
	Rule     *bulwark.Rule      `json:"rule,omitempty"`
	Decision *decided           `json:"decided,omitempty"`
	Policies []table.PolicyText `json:"policies,omitempty"` // of a decision those whose rules fired
	Accounts []policy.Account   `json:"accounts,omitempty"` // what rules say of a finding
}

// A decided report, as far as its decision goes.
type decided struct {
	Artifact bulwark.Artifact  `json:"artifact"`
	Decision *bulwark.Decision `json:"decision"`
	Findings []bulwark.Finding `json:"findings,omitempty"` // that the reasons name

	report *bulwark.Report
}

// explainFlags are what a person types to have something explained.
type explainFlags struct {
	outputs
	place
	gateFlags
	saved string
}

func (p *program) explainCommand() *cobra.Command {
	var o explainFlags
	c := &cobra.Command{
		Use: "explain ID", GroupID: "know", Short: "Explain a vulnerability, a rule, a policy, a decision, or a finding", Long: explainLong,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			if o.format != "" && o.format != "table" && o.format != "json" {
				return fmt.Errorf("--format %q: it is table or json: %w", o.format, bulwark.ErrUsage)
			}
			x, err := p.explain(cmd.Context(), args[0], &o)
			if err != nil {
				return err
			}
			if o.format == "json" {
				enc := json.NewEncoder(p.stdout)
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				return enc.Encode(x)
			}
			t, _ := p.dressed(table.Format{}, &o.outputs, true).(table.Format)
			return t.Explanation(p.stdout, x.table())
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.saved, "report", "", "JSON report that has the finding or the decision (default the newest kept one that does)")
	f.StringVarP(&o.format, "format", "f", "", "table or json (default table)")
	f.BoolVar(&o.noColor, "no-color", false, "no colours; NO_COLOR does the same")
	f.BoolVar(&o.all, "all", false, "show all rules, findings and exceptions, not a screenful")
	o.policySources.add(f)
	f.StringSliceVar(&o.labels, "label", nil, "NAME=VALUE of what was judged, as the scan was given it; may be repeated")
	o.place.add(f)
	return c
}

// findingID tells whether an id looks like that of a finding or a decision.
func findingID(id string) bool { return len(id) == 16 && strings.Trim(id, "0123456789abcdef") == "" }

// explain finds out what an id is and what is known of it: a decision or a finding
// of a report, a rule of a check, a policy or a rule of it, or a vulnerability.
func (p *program) explain(ctx context.Context, id string, o *explainFlags) (*explanation, error) {
	var r *bulwark.Report
	var kept *store.Kept
	var err error
	switch {
	case o.saved != "":
		if r, err = readReport(o.saved); err != nil {
			return nil, err
		}
		if r.Decision.ID != "" { // the policies may be kept all the same
			kept, err = p.find(ctx, o.place, r.Decision.ID)
		}
	case findingID(id):
		if kept, err = p.find(ctx, o.place, id); kept != nil {
			r = kept.Report
			fmt.Fprintf(p.stderr, "bulwark: from the scan of %s at %s\n", oneLine(kept.Name, 200), kept.Created.UTC().Format("2006-01-02 15:04 UTC"))
		}
	}
	if err != nil {
		return nil, err
	}
	if r != nil && r.Decision.ID == id {
		return p.explainDecision(r, kept, o)
	}
	if r != nil {
		if i := slices.IndexFunc(r.Findings, func(f bulwark.Finding) bool { return f.ID == id }); i >= 0 {
			x := explainFinding(r, &r.Findings[i])
			x.Accounts, err = p.accounts(r, kept, id, o)
			return x, err
		}
	}
	rules, err := check.Every()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(rules, func(r bulwark.Rule) bool { return r.ID == id }); i >= 0 {
		return &explanation{Kind: "rule", Rule: &rules[i]}, nil
	}
	if id == strings.ToLower(id) { // as names of policies are, and ids of vulnerabilities are not
		if x, err := p.explainPolicy(ctx, id, o); x != nil || err != nil {
			return x, err
		}
	}
	return p.explainVulnerability(ctx, id, r, o)
}

func (p *program) explainVulnerability(ctx context.Context, id string, r *bulwark.Report, o *explainFlags) (*explanation, error) {
	db, err := p.database(ctx, o.place)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	x := &explanation{Kind: "vulnerability"}
	a, err := db.Advisory(id)
	switch {
	case err == nil:
		x.Advisory = &a
	case !errors.Is(err, bulwark.ErrNotFound):
		return nil, err
	case r != nil:
		if a, ok := r.Advisories[id]; ok {
			x.Advisory = &a
		}
	}
	if x.Advisory != nil {
		// A saved report has none of them, and the database may not know the id.
		x.Advisory.Affected, x.More, err = db.Affected(ctx, id, maxAffected)
		return x, err
	}
	next := "run bulwark db update, if it may be newer than the database"
	switch {
	case findingID(id) && r != nil:
		next = "the report has no finding with it"
	case findingID(id):
		next = "it looks like the id of a finding or a decision, which no report has that is kept: say --report FILE"
	case strings.Contains(id, "/"):
		next = "if it is a rule of a policy, say --policy FILE"
	}
	return nil, &bulwark.Hint{Err: fmt.Errorf("%q is no vulnerability, rule, policy, decision or finding that is known: %w", id, bulwark.ErrNotFound), Next: next}
}

func explainFinding(r *bulwark.Report, f *bulwark.Finding) *explanation {
	x := &explanation{Kind: "finding", Finding: f}
	if a, ok := r.Advisories[f.Rule]; ok {
		x.Advisory = &a
	}
	if rule, ok := r.Rules[f.Rule]; ok {
		x.Rule = &rule
	}
	if i := slices.IndexFunc(r.Inventory.Packages, func(p bulwark.Package) bool { return p.PURL == f.Subject }); i >= 0 {
		x.Package = &r.Inventory.Packages[i]
	}
	for _, l := range r.Inventory.Layers {
		if slices.ContainsFunc(f.Evidence, func(e bulwark.Evidence) bool { return e.Layer == l.DiffID }) {
			x.Layers = append(x.Layers, l)
		}
	}
	for _, a := range r.Actions {
		if slices.Contains(a.Findings, f.ID) {
			x.Actions = append(x.Actions, a)
		}
	}
	return x
}
