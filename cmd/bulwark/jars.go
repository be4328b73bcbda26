// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/extract"
)

const importJarsLong = `Make a table that names Java archives by their SHA-1, for the many that do not
say themselves which library they are. Scans use it with --jar-index FILE.

A list is a text with a line for each archive: its SHA-1, group, artifact and
version, separated by commas, semicolons or tabs. A table that was made before is
a list, too; of several lines with one SHA-1 the first counts. Whoever runs a
repository of archives has all of it: Maven keeps a file NAME.jar.sha1 beside
NAME.jar.`

const importJarsExample = `  bulwark db import-jars archives.csv --index jars.idx
  bulwark scan registry.example/shop/web:1.4 --jar-index jars.idx`

func (p *program) dbImportJars() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use: "import-jars LIST... --index FILE", Short: "Make a table that names Java archives by their SHA-1",
		Long: importJarsLong, Example: importJarsExample,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return &bulwark.Hint{Err: fmt.Errorf("--index is missing: %w", bulwark.ErrUsage), Next: "say where the table goes"}
			}
			var lists []*io.SectionReader
			for _, name := range args {
				f, err := os.Open(name)
				if err != nil {
					return err
				}
				defer f.Close()
				st, err := f.Stat()
				if err != nil {
					return err
				}
				if !st.Mode().IsRegular() {
					return fmt.Errorf("read %q: it is no regular file, and is read several times: %w", name, bulwark.ErrUsage)
				}
				lists = append(lists, io.NewSectionReader(f, 0, st.Size()))
			}
			var done extract.ImportedJars
			err := writeFile(to, func(w io.Writer) (err error) {
				done, err = extract.ImportJars(cmd.Context(), w, lists...)
				return err
			})
			if errors.Is(err, bulwark.ErrNotFound) {
				return &bulwark.Hint{Err: err, Next: "a line is SHA-1, group, artifact, version, separated by commas"}
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "%d archives in %s\n", done.Archives, to)
			if done.Twice > 0 {
				fmt.Fprintf(p.stdout, "%d lines left out: their SHA-1 was there already\n", done.Twice)
			}
			if done.Bad > 0 {
				fmt.Fprintf(p.stderr, "bulwark: %d lines left out; %s\n", done.Bad, done.Sample)
			}
			return nil
		},
	}
	c.Flags().StringVar(&to, "index", "", "file to write the table to")
	return c
}
