// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/report/openvex"
)

const exceptionExportLong = `Write the exceptions of the named files and of .bulwark/ as an OpenVEX document:
those with "vex" with their own status, the others as affected, with who accepted
the risk until when. Products are those that a match names literally (v.id with
img.digest or pkg.purl), else those in which a report has findings that it
matches: the reports of --report, else the kept ones.

An exception that does not hold now, or without a vulnerability and product, is
told, and then the exit code is 3.`

func (p *program) exceptionExport() *cobra.Command {
	var o exceptionFlags
	var out, author string
	c := &cobra.Command{
		Use: "export [FILE|DIR...]", Short: "Write exceptions as an OpenVEX document", Long: exceptionExportLong,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			o.policies = append(o.policies, args...)
			j, err := p.judge(&o.gateFlags)
			if err != nil {
				return err
			}
			reports, err := p.asked(cmd.Context(), o.place, o.reports)
			if err != nil {
				return err
			}
			l := policy.Lint{Now: p.now(), Labels: j.Labels}
			claims, silent, err := l.Claims(cmd.Context(), j.Set, reports.newest)
			if err != nil {
				return err
			}
			for i := range silent {
				r := &silent[i]
				fmt.Fprintf(p.stderr, "bulwark: left out: %s: %s: %s\n", oneLine(r.Place.String(), 200), r.Name, oneLine(r.Detail, 500))
			}
			if len(silent) > 0 || reports.skipped > 0 {
				p.verdict = bulwark.Warn
			}
			if len(claims) == 0 { // OpenVEX allows no document without statements
				fmt.Fprintln(p.stderr, "bulwark: no exception says anything about a vulnerability of a product; nothing is written")
				p.verdict = bulwark.Warn
				return nil
			}
			d := openvex.Document{Author: author, Tool: strings.TrimSpace("bulwark " + p.version), Created: p.now().UTC().Truncate(time.Second)}
			for i := range claims {
				d.Statements = append(d.Statements, statementOf(&claims[i]))
			}
			if out == "" || out == "-" {
				return d.Write(p.stdout)
			}
			return writeFile(out, func(w io.Writer) error { return d.Write(w) })
		},
	}
	f := c.Flags()
	o.add(f)
	f.StringVarP(&out, "output", "o", "", "file to write (default standard output)")
	f.StringVar(&author, "author", "", "who makes the statements (default the name of the tool)")
	return c
}

// statementOf says with OpenVEX what an exception says.
func statementOf(c *policy.Claim) openvex.Statement {
	e := c.Exception
	s := openvex.Statement{Vulnerability: c.Vulnerability, Aliases: c.Aliases, Image: c.Image, Packages: c.Packages, Status: "affected"}
	until := e.Expires.Add(-time.Second).UTC().Format(time.DateOnly)
	by := fmt.Sprintf("Exception %s, owner %s, until %s.", e.Name, e.Owner, until)
	impact := ""
	if e.VEX != nil {
		s.Status, s.Justification, impact = e.VEX.Status, e.VEX.Justification, e.VEX.Impact
	}
	switch s.Status {
	case "affected":
		s.Action = fmt.Sprintf("accepted by %s until %s: %s", e.Owner, until, e.Reason)
		s.Notes = strings.Join(nonEmptyOf(impact, by), " ")
	case "not_affected":
		if s.Justification == "" { // the schema takes a justification or words, not both
			s.Impact, impact = impact, ""
		}
		s.Notes = strings.Join(nonEmptyOf(impact, e.Reason, by), " ")
	default:
		s.Notes = strings.Join(nonEmptyOf(impact, e.Reason, by), " ")
	}
	return s
}
