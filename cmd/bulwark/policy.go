// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/document"
)

// policyCommand holds what is done with policies themselves.
func (p *program) policyCommand() *cobra.Command {
	return group("policy", "decide", "Check, test and carry policies",
		p.policyLint(),
		p.policyTest(),
		p.policyReplay(),
		p.policyPreview(),
		p.policySchema(),
	)
}

func (p *program) policyLint() *cobra.Command {
	var keys []string
	c := &cobra.Command{
		Use: "lint FILE|DIR...", Short: "Check documents of policies: every mistake with its place",
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			var sources []policy.Source
			for _, a := range args {
				list, err := p.named(a, keys)
				if err != nil {
					return err
				}
				sources = append(sources, list...)
			}
			s, err := policy.Load(sources)
			if err != nil {
				return err
			}
			n := 0
			for _, d := range s.Policies() {
				n += len(d.Rules)
			}
			fmt.Fprintf(p.stdout, "%d policies with %d rules, %d exceptions, %d tests in %d files; set %s\n", len(s.Policies()), n, len(s.Exceptions()), len(s.Tests()), len(sources), s.Digest())
			return nil
		},
	}
	c.Flags().StringSliceVar(&keys, "policy-key", nil, "public key that a bundle must be signed with; may be repeated")
	return c
}

func (p *program) policySchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema KIND", Short: "Print the JSON Schema of a kind of document, for editors",
		Args: arguments(cobra.ExactArgs(1)), ValidArgs: document.Kinds(),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := document.Schema(args[0])
			if err != nil {
				return err
			}
			_, err = p.stdout.Write(b)
			return err
		},
	}
}
