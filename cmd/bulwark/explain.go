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
	"github.com/bulwark-sec/bulwark/report/table"
)

const explainLong = `Explain a vulnerability (CVE-2021-44228, GHSA-…), a rule (BW-IMG-0001), or a
finding (its id) of a saved report, or else of the newest scan on this machine
that found it. The first line says which of them it was taken for. Of a
vulnerability it shows the packages and versions that the database has for it.`

// maxAffected bounds the affected packages of a vulnerability that are told: a
// flaw of the kernel has thousands.
const maxAffected = 1000

// An explanation is what is known of one id. Exactly one of its members beside
// Kind is set, but for a finding, which has what it rests on, too.
type explanation struct {
	Kind     string            `json:"kind"` // "vulnerability", "rule" or "finding"
	Finding  *bulwark.Finding  `json:"finding,omitempty"`
	Package  *bulwark.Package  `json:"package,omitempty"`
	Layers   []bulwark.Layer   `json:"layers,omitempty"` // that brought the finding
	Actions  []bulwark.Action  `json:"actions,omitempty"`
	Advisory *bulwark.Advisory `json:"advisory,omitempty"`
	More     int               `json:"moreAffected,omitempty"` // packages that the advisory affects and does not list
	Rule     *bulwark.Rule     `json:"rule,omitempty"`
}

func (p *program) explainCommand() *cobra.Command {
	var o outputs
	var l place
	var saved string
	c := &cobra.Command{
		Use: "explain ID", GroupID: "know", Short: "Explain a vulnerability, a rule, or a finding", Long: explainLong,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			if o.format != "" && o.format != "table" && o.format != "json" {
				return fmt.Errorf("--format %q: it is table or json: %w", o.format, bulwark.ErrUsage)
			}
			var r *bulwark.Report
			var err error
			if saved != "" {
				if r, err = readReport(saved); err != nil {
					return err
				}
			} else if findingID(args[0]) {
				if r, err = p.keptWith(cmd.Context(), l, args[0]); err != nil {
					return err
				}
			}
			db, err := p.database(cmd.Context(), l)
			if err != nil {
				return err
			}
			defer db.Close()
			x, err := explain(args[0], r, db.Advisory)
			if err != nil {
				return err
			}
			if x.Kind == "vulnerability" {
				// A saved report has none of them, and the database may not know the id.
				if x.Advisory.Affected, x.More, err = db.Affected(cmd.Context(), args[0], maxAffected); err != nil {
					return err
				}
			}
			if o.format == "json" {
				enc := json.NewEncoder(p.stdout)
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				return enc.Encode(x)
			}
			t, _ := p.dressed(table.Format{}, &o, true).(table.Format)
			return t.Explanation(p.stdout, table.Explained(*x))
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&saved, "report", "", "JSON report that has the finding (default the newest kept one that does)")
	f.StringVarP(&o.format, "format", "f", "", "table or json (default table)")
	f.BoolVar(&o.noColor, "no-color", false, "no colours; NO_COLOR does the same")
	l.add(f)
	return c
}

// findingID tells whether an id looks like that of a finding.
func findingID(id string) bool { return len(id) == 16 && strings.Trim(id, "0123456789abcdef") == "" }

// keptWith gives the newest kept report that has a finding, nil when there is none,
// and tells which one it is.
func (p *program) keptWith(ctx context.Context, l place, id string) (*bulwark.Report, error) {
	k, skipped, err := p.reports(l).Find(ctx, id)
	for _, err := range skipped {
		fmt.Fprintf(p.stderr, "bulwark: passed over: %v\n", err)
	}
	if errors.Is(err, bulwark.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(p.stderr, "bulwark: from the scan of %s at %s\n", oneLine(k.Name, 200), k.Created.UTC().Format("2006-01-02 15:04 UTC"))
	return k.Report, nil
}

// explain finds out what id is: a finding of the report, a rule, or a
// vulnerability.
func explain(id string, r *bulwark.Report, advisory func(string) (bulwark.Advisory, error)) (*explanation, error) {
	if r != nil {
		if i := slices.IndexFunc(r.Findings, func(f bulwark.Finding) bool { return f.ID == id }); i >= 0 {
			return explainFinding(r, &r.Findings[i]), nil
		}
	}
	rules, err := check.Every()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(rules, func(r bulwark.Rule) bool { return r.ID == id }); i >= 0 {
		return &explanation{Kind: "rule", Rule: &rules[i]}, nil
	}
	a, err := advisory(id)
	if err == nil {
		return &explanation{Kind: "vulnerability", Advisory: &a}, nil
	}
	if !errors.Is(err, bulwark.ErrNotFound) {
		return nil, err
	}
	if r != nil {
		if a, ok := r.Advisories[id]; ok {
			return &explanation{Kind: "vulnerability", Advisory: &a}, nil
		}
	}
	next := "run bulwark db update, if it may be newer than the database"
	if findingID(id) {
		next = "it looks like the id of a finding, which no report has that is kept: say --report FILE"
		if r != nil {
			next = "the report has no finding with it"
		}
	}
	return nil, &bulwark.Hint{Err: fmt.Errorf("%q is no vulnerability, rule or finding that is known: %w", id, bulwark.ErrNotFound), Next: next}
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
