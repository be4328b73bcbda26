// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"

	"github.com/spf13/cobra"
)

// policyShow prints documents as one file, so that the shipped ones and those in a
// bundle can be read, and copied to be changed.
func (p *program) policyShow() *cobra.Command {
	var keys []string
	c := &cobra.Command{
		Use: "show default|FILE|DIR...", Short: "Print documents of policies as one file",
		Long: "Print documents of policies as one file. \"default\" is the shipped policies:\n" +
			"who wants others of them, or other lists, writes them to a file, changes that,\n" +
			"and names it with --policy in place of \"default\".",
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			w := bufio.NewWriter(p.stdout)
			mark := ""
			for _, a := range args {
				list, err := p.named(a, keys)
				if err != nil {
					return err
				}
				for _, s := range list {
					fmt.Fprintf(w, "%s# %q\n%s", mark, s.Name, s.Data)
					if mark = "---\n"; !bytes.HasSuffix(s.Data, []byte("\n")) {
						mark = "\n---\n"
					}
				}
			}
			return w.Flush()
		},
	}
	c.Flags().StringSliceVar(&keys, "policy-key", nil, "public key that a bundle must be signed with; may be repeated")
	return c
}
