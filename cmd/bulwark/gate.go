// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/table"
	"github.com/bulwark-sec/bulwark/scan"
)

const gateLong = `Judge saved JSON reports with the policies of today, without scanning again.

What exceptions of policies and comments in files closed when a report was made is
asked again. What vendors (--vex), ignore files and baselines closed stays closed,
and more of them can be given. The database is as old as it was, and the time
since.

Of one report the whole is shown, in every form that a scan has, and kept, so that
bulwark explain knows the decision. Of several there is a table of verdicts, or --format json or plain. The exit code is that of the
worst: 1 a report could not be judged, 2 one fails, 3 one is not trustworthy, 0
all pass.`

const gateExamples = `  bulwark gate report.json --policy default --policy policies/
  bulwark gate reports/*.json --fail-on critical
  bulwark gate report.json --policy next/ -o html=next.html`

// An entry of gate's answer about several reports. Exactly one of Decision and
// Error is set.
type gated struct {
	File     string            `json:"file"`
	Artifact string            `json:"artifact,omitempty"`
	Created  time.Time         `json:"created,omitzero"`
	Open     int               `json:"open"` // findings
	Decision *bulwark.Decision `json:"decision,omitempty"`
	Error    string            `json:"error,omitempty"`

	report *bulwark.Report
}

func (p *program) gateCommand() *cobra.Command {
	var o struct {
		outputs
		gateFlags
		closers
		place
		exitZero bool
	}
	c := &cobra.Command{
		Use: "gate REPORT.json...", GroupID: "decide", Short: "Judge saved reports again, without scanning", Long: gateLong, Example: gateExamples,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			if err := several(&o.outputs, len(args)); err != nil {
				return err
			}
			w, err := p.writers(&o.outputs)
			if err != nil {
				return err
			}
			s := &scan.Scanner{Tool: bulwark.Tool{Name: "bulwark", Version: p.version}, Now: p.now, Stale: 24 * time.Hour}
			if s.Judge, err = p.judge(&o.gateFlags); err != nil {
				return err
			}
			if s.Baseline, err = baseline(o.onlyNew, o.baseline); err != nil {
				return err
			}
			if s.VEX, err = statements(o.vex); err != nil {
				return err
			}
			if s.Ignores, err = ignores(o.ignoreFile); err != nil {
				return err
			}
			var list []gated
			var faults []error
			for _, name := range args {
				if err := cmd.Context().Err(); err != nil {
					return err
				}
				g, err := judgeSaved(s, name)
				if err != nil {
					faults = append(faults, err)
				} else {
					p.verdict = worse(p.verdict, g.Decision.Verdict)
				}
				if len(args) > 1 {
					g.report = nil // a hundred reports need not be in memory
				}
				list = append(list, g)
			}
			p.zero = o.exitZero
			if len(args) == 1 {
				if len(faults) > 0 {
					return faults[0]
				}
				p.keep(cmd.Context(), o.place, list[0].report, s.Judge.Set)
				return w.write(cmd.Context(), list[0].report)
			}
			return errors.Join(append(faults, p.verdicts(&o.outputs, list))...)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	o.outputs.add(f)
	o.outputs.addFull(f)
	o.gateFlags.add(f)
	o.closers.addBaseline(f)
	o.closers.add(f)
	o.gateFlags.addTrust(f)
	f.BoolVar(&o.exitZero, "exit-zero", false, "exit 0 when the gate fails or the answer is not trustworthy")
	o.place.add(f)
	return c
}

// several says which forms there are for several reports.
func several(o *outputs, n int) error {
	if n > 1 && (len(o.list) > 0 || !slices.Contains([]string{"", "table", "plain", "json"}, o.format)) {
		return &bulwark.Hint{Err: fmt.Errorf("of several reports there is --format table, plain or json: %w", bulwark.ErrUsage), Next: "judge one report at a time for other forms and files"}
	}
	return nil
}

func judgeSaved(s *scan.Scanner, name string) (gated, error) {
	g := gated{File: name}
	old, err := readReport(name)
	if err == nil {
		if g.report, err = s.Decide(old); err != nil {
			err = fmt.Errorf("judge report %q: %w", name, err)
		}
	}
	if err != nil {
		g.Error = err.Error()
		return g, err
	}
	d := g.report.Decision
	g.Artifact, g.Created, g.Decision = g.report.Artifact.Name, g.report.Created, &d
	for i := range g.report.Findings {
		if g.report.Findings[i].Status.Open() {
			g.Open++
		}
	}
	return g, nil
}

// worse gives the worse of two verdicts; undecided is no verdict yet.
func worse(a, b bulwark.Verdict) bulwark.Verdict {
	for _, v := range []bulwark.Verdict{bulwark.Fail, bulwark.Warn, bulwark.Pass} {
		if a == v || b == v {
			return v
		}
	}
	return a
}

// verdicts shows what became of several reports.
func (p *program) verdicts(o *outputs, list []gated) error {
	if o.format == "json" {
		enc := json.NewEncoder(p.stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(list)
	}
	if o.quiet && o.format == "" {
		return nil
	}
	var rows []table.Judged
	for _, g := range list {
		rows = append(rows, table.Judged{File: g.File, Artifact: g.Artifact, Created: g.Created, Open: g.Open, Decision: g.Decision, Error: g.Error})
	}
	if o.format == "plain" || o.format == "" && p.terminal() == 0 {
		return table.PlainVerdicts(p.stdout, rows)
	}
	t, _ := p.dressed(table.Format{}, o, true).(table.Format)
	return t.Verdicts(p.stdout, rows)
}
