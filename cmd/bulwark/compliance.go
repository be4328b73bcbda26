// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy/framework"
	"github.com/bulwark-sec/bulwark/report"
)

const complianceLong = `Judge saved JSON reports by the controls of a framework: what fails and why, what
passes and what was looked at, and what no scan decides. Nothing is scanned again.

A control passes only when what decides it was looked for, with advisories that
are fresh, and nothing open speaks against it. Accepted findings do not, until
the day on which that ends; a baseline excuses nothing. Of several reports the
worst answer counts.

Exit codes: 0 every control that an artifact can decide passes, 2 one fails, 3
none fails, and one was not decided though a better scan would tell.`

const complianceExamples = `  bulwark scan shop/web:1.4 --licenses -o json=web.json
  bulwark report compliance --framework pci-4.0 web.json
  bulwark report compliance --framework nist-800-190 -o html=audit.html -o json=audit.json *.json
  bulwark report frameworks`

func (p *program) reportCommand() *cobra.Command {
	return group("report", "look", "Judge saved reports by compliance frameworks", p.complianceCommand(), p.frameworksCommand())
}

// complianceFlags are what a person types for an assessment.
type complianceFlags struct {
	outputs
	framework              string
	staleAfter             time.Duration
	allowStarter, exitZero bool
}

func (p *program) complianceCommand() *cobra.Command {
	var o complianceFlags
	c := &cobra.Command{
		Use: "compliance --framework NAME REPORT.json...", Short: "Show how scanned artifacts stand to a framework's controls",
		Long: complianceLong, Example: complianceExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && o.framework != "list" {
				return &bulwark.Hint{Err: fmt.Errorf("no report is named: %w", bulwark.ErrUsage), Next: "make one with bulwark scan TARGET -o json=FILE"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			if o.framework == "list" {
				return p.frameworks(o.format)
			}
			return p.comply(cmd, &o, args)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.framework, "framework", "", "whose controls are judged; list shows which there are")
	var forms []string
	for _, x := range report.Assessors() {
		forms = append(forms, x.Name())
	}
	names := strings.Join(forms, ", ")
	f.StringArrayVarP(&o.list, "output", "o", nil, "FORMAT or FORMAT=FILE; may be repeated: "+names)
	f.StringVarP(&o.format, "format", "f", "", "form of what goes to standard output (default table): "+names)
	f.BoolVarP(&o.quiet, "quiet", "q", false, "nothing on standard output but what -o or -f asks for")
	f.BoolVar(&o.noColor, "no-color", false, "no colours; NO_COLOR does the same")
	f.BoolVar(&o.all, "all", false, "show every finding and artifact in the table")
	f.DurationVar(&o.staleAfter, "stale-after", 7*24*time.Hour, "age of the advisories from which on a pass is not decided; 0 is never")
	f.BoolVar(&o.allowStarter, "allow-starter", false, "accept an answer from the embedded starter set")
	f.BoolVar(&o.exitZero, "exit-zero", false, "exit 0 when a control fails or is not decided")
	return c
}

// comply judges the reports and writes the assessment. What was asked for is
// checked before any report is read.
func (p *program) comply(cmd *cobra.Command, o *complianceFlags, names []string) error {
	if o.framework == "" {
		return &bulwark.Hint{Err: fmt.Errorf("--framework is not given: %w", bulwark.ErrUsage), Next: "see bulwark report frameworks"}
	}
	if o.staleAfter < 0 {
		return fmt.Errorf("--stale-after %s: it is not negative: %w", o.staleAfter, bulwark.ErrUsage)
	}
	if _, err := framework.ByName(o.framework); err != nil {
		return err
	}
	asked := slices.Clone(o.list)
	if o.format != "" {
		asked = append(asked, o.format)
	}
	if !o.quiet && !slices.ContainsFunc(asked, toStdout) {
		asked = append(asked, "table")
	}
	o.list, o.format, o.quiet = asked, "", true
	w, err := p.writers(&o.outputs)
	if err != nil {
		return err
	}
	for _, x := range w.list {
		if _, ok := x.format.(report.Assessor); !ok {
			var forms []string
			for _, a := range report.Assessors() {
				forms = append(forms, a.Name())
			}
			return &bulwark.Hint{Err: fmt.Errorf("format %q has no form for an assessment: %w", x.format.Name(), bulwark.ErrUsage), Next: "use one of " + strings.Join(forms, ", ")}
		}
	}
	var reports []*bulwark.Report
	for _, name := range names {
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		r, err := readReport(name)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	a, err := framework.Judge(o.framework, reports, framework.Options{Now: p.now().UTC().Truncate(time.Second), StaleAfter: o.staleAfter, AllowStarter: o.allowStarter})
	if err != nil {
		return err
	}
	p.verdict, p.zero = a.Verdict, o.exitZero
	shown := report.Assessment(*a)
	for _, x := range w.list {
		f, _ := x.format.(report.Assessor)
		write := func(to io.Writer) error { return f.Assess(to, &shown) }
		if x.file == "" {
			err = write(p.stdout)
		} else {
			err = writeFile(x.file, write)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", f.Name(), err)
		}
	}
	return nil
}

// toStdout tells whether an output that was asked for goes to standard output.
func toStdout(asked string) bool {
	_, file, _ := strings.Cut(asked, "=")
	return file == "" || file == "-"
}

func (p *program) frameworksCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "frameworks", Short: "List the compliance frameworks, and how many of their controls a scan decides", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			return p.frameworks(format)
		},
	}
	c.Flags().StringVarP(&format, "format", "f", "", "table or json (default table)")
	return c
}

// frameworks lists the frameworks: a control that says what to look at is never
// passed by a scan, but may fail.
func (p *program) frameworks(format string) error {
	if format != "" && format != "table" && format != "json" {
		return fmt.Errorf("--format %q: it is table or json: %w", format, bulwark.ErrUsage)
	}
	list, err := framework.All()
	if err != nil {
		return err
	}
	type row struct {
		Name     string         `json:"name"`
		Title    string         `json:"title"`
		About    string         `json:"about"`
		Source   string         `json:"source"`
		Mapping  bulwark.Digest `json:"mapping"`
		Controls int            `json:"controls"`
		Decided  int            `json:"decided"`  // by a scan
		Refuted  int            `json:"refuted"`  // a scan can only speak against them
		Persons  int            `json:"byPerson"` // no scan says anything
	}
	var rows []row
	for _, f := range list {
		x := row{Name: f.Name, Title: f.Title, About: f.About, Source: f.Source, Mapping: f.Digest, Controls: len(f.Controls)}
		for _, c := range f.Controls {
			switch {
			case c.Look == "":
				x.Decided++
			case len(c.Rules) > 0:
				x.Refuted++
			default:
				x.Persons++
			}
		}
		rows = append(rows, x)
	}
	if format == "json" {
		enc := json.NewEncoder(p.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	}
	_, err = fmt.Fprintf(p.stdout, "%-14s %8s %8s %8s %8s  %s\n", "framework", "controls", "decided", "refuted", "person", "title")
	for _, x := range rows {
		_, werr := fmt.Fprintf(p.stdout, "%-14s %8d %8d %8d %8d  %s\n", x.Name, x.Controls, x.Decided, x.Refuted, x.Persons, x.Title)
		err = errors.Join(err, werr)
	}
	_, werr := fmt.Fprintln(p.stdout, "\ndecided: a scan passes or fails it; refuted: a scan can fail it, a person passes it; person: no scan says anything")
	return errors.Join(err, werr)
}
