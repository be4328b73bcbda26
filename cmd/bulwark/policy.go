// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
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
		p.policyShow(),
		p.policyTargets(),
		p.policyBundle(),
	)
}

const lintLong = `Check documents of policies, without anything to judge: every mistake is told on a
line of its own, FILE:LINE:COLUMN: what is wrong, in order, and the exit code is 1.
What is sound and can do nothing – a policy that never holds at one of its stages,
a rule that is never reached, a list that nothing uses – is a warning.`

func (p *program) policyLint() *cobra.Command {
	var keys []string
	c := &cobra.Command{
		Use: "lint FILE|DIR...", Short: "Check documents of policies: every mistake with its place", Long: lintLong,
		Example: "  bulwark policy lint policies/\n  bulwark policy lint .bulwark collections.yaml prod.yaml",
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			sources, err := p.allNamed(args, keys)
			if err != nil {
				return err
			}
			s, err := policy.Load(sources)
			if err != nil {
				return p.faults(err)
			}
			for _, w := range s.Warnings() {
				fmt.Fprintf(p.stdout, "%s: warning: %s\n", w.Place, w.Detail)
			}
			rules := 0
			for _, d := range s.Policies() {
				rules += len(d.Rules)
			}
			_, err = fmt.Fprintf(p.stdout, "%s with %s, %s, %s in %s; set %s\n", counted(len(s.Policies()), "policy", "policies"), counted(rules, "rule", "rules"),
				counted(len(s.Exceptions()), "exception", "exceptions"), counted(len(s.Tests()), "test", "tests"), counted(len(s.Files()), "file", "files"), s.Digest())
			return err
		},
	}
	c.Flags().StringSliceVar(&keys, "policy-key", nil, "public key that a bundle must be signed with; may be repeated")
	return c
}

// faults prints the mistakes in documents, one a line, and gives how many there
// are as an error.
func (p *program) faults(err error) error {
	list := policy.Faults(err)
	if list == nil {
		return err
	}
	files := map[string]bool{}
	for _, f := range list {
		files[f.Place.File] = true
		fmt.Fprintln(p.stderr, f)
	}
	next := "until it is mended no document counts"
	if len(list) > 1 {
		next = "mend them from the top, for one may cause others; until then no document counts"
	}
	return &bulwark.Hint{Err: fmt.Errorf("%s in %s", counted(len(list), "mistake", "mistakes"), counted(len(files), "file", "files")), Next: next}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (p *program) policySchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema KIND", Short: "Print the JSON Schema of a kind of document, for editors",
		Long:    "Print the JSON Schema of a kind of document, for editors: " + strings.Join(document.Kinds(), ", ") + ".",
		Example: "  bulwark policy schema Policy > policy.schema.json",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgs: document.Kinds(),
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := document.Schema(args[0])
			if err != nil {
				return &bulwark.Hint{Err: err, Next: "kinds are " + strings.Join(document.Kinds(), ", ")}
			}
			_, err = p.stdout.Write(b)
			return err
		},
	}
}
