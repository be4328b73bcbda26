// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark/policy"
)

const targetsLong = `Tell of each rule in which form an enforcement point can hold it: as a table of
literals (for a kernel's maps), as an expression that a Kubernetes API server
evaluates itself (ValidatingAdmissionPolicy), or as one that has to be asked, and
why. -f json has the tables.`

// policyTargets shows rules as enforcement points hold them.
func (p *program) policyTargets() *cobra.Command {
	var keys []string
	var format string
	c := &cobra.Command{
		Use: "targets FILE|DIR|default...", Short: "Show which rules are tables of literals, and which have to be asked", Long: targetsLong,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := textOrJSON(format); err != nil {
				return err
			}
			sources, err := p.allNamed(args, keys)
			if err != nil {
				return err
			}
			set, err := policy.Load(sources)
			if err != nil {
				return p.faults(err)
			}
			targets := set.Targets()
			if format == "json" {
				return p.writeJSON(targets)
			}
			w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "RULE\tSUBJECT\tFORM\tROWS\tWHY")
			for _, t := range targets {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", t.Rule, t.Subject, t.Form, len(t.Table), t.Why)
			}
			return w.Flush()
		},
	}
	c.Flags().StringVarP(&format, "format", "f", "", "text or json (default text)")
	c.Flags().StringSliceVar(&keys, "policy-key", nil, "public key that a bundle must be signed with; may be repeated")
	return c
}
