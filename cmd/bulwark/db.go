// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark/advisory"
)

func (p *program) dbCommand() *cobra.Command {
	return group("db", "know", "Update, check and carry the advisory database",
		p.dbUpdate(), p.dbStatus(), p.dbVerify(), p.dbImport(), p.dbExport())
}

// db makes a subcommand that works on the database's folder.
func (p *program) db(use, short string, args cobra.PositionalArgs, run func(cmd *cobra.Command, dir string, args []string) error) *cobra.Command {
	var l place
	c := &cobra.Command{
		Use: use, Short: short, Args: arguments(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			dir, err := p.dbDir(l)
			if err != nil {
				return err
			}
			return run(cmd, dir, args)
		},
	}
	c.Flags().SortFlags = false
	l.add(c.Flags())
	return c
}

func (p *program) dbUpdate() *cobra.Command {
	var o advisory.UpdateOptions
	c := p.db("update", "Fetch what changed since the last update", cobra.NoArgs, func(cmd *cobra.Command, dir string, _ []string) error {
		o.Dir, o.Now = dir, p.now()
		o.Progress = func(f advisory.Progress) { p.feedProgress(f) }
		s, err := advisory.Update(cmd.Context(), o)
		p.printStatus(s)
		return err
	})
	f := c.Flags()
	f.StringVar(&o.Source, "source", "", "URL or folder of the OSV export (default OSV.dev's)")
	f.StringVar(&o.KEV, "kev", "", "URL or file of CISA's Known Exploited Vulnerabilities; \"none\" leaves it out")
	f.StringVar(&o.EPSS, "epss", "", "URL or file of EPSS scores; \"none\" leaves it out")
	f.StringSliceVar(&o.Ecosystems, "ecosystem", nil, "only these OSV ecosystems; may be repeated (default all)")
	f.BoolVar(&o.Full, "full", false, "fetch everything anew")
	return c
}

func (p *program) dbStatus() *cobra.Command {
	return p.db("status", "Say how old the database is and what is in it", cobra.NoArgs, func(_ *cobra.Command, dir string, _ []string) error {
		s, err := advisory.Stored(dir)
		if err != nil {
			return err
		}
		p.printStatus(s)
		if age := p.now().Sub(s.Built); age > 24*time.Hour {
			fmt.Fprintf(p.stdout, "\nIt is %s old: run bulwark db update.\n", age.Round(time.Hour))
		}
		return nil
	})
}

func (p *program) dbVerify() *cobra.Command {
	return p.db("verify", "Check the signature and every checksum", cobra.NoArgs, func(cmd *cobra.Command, dir string, _ []string) error {
		s, err := advisory.Verify(cmd.Context(), dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "ok: %s, %d feeds, signed by %s\n", s.ID, len(s.Feeds), s.Key)
		return nil
	})
}

func (p *program) dbImport() *cobra.Command {
	var o advisory.ImportOptions
	c := p.db("import PATH", "Take in an exported file, or a folder in the layout of the OSV export", cobra.ExactArgs(1), func(cmd *cobra.Command, dir string, args []string) error {
		o.Dir, o.Now = dir, p.now()
		o.Progress = func(f advisory.Progress) { p.feedProgress(f) }
		s, err := advisory.Import(cmd.Context(), args[0], o)
		p.printStatus(s)
		return err
	})
	c.Flags().StringSliceVar(&o.Ecosystems, "ecosystem", nil, "only these OSV ecosystems of a folder; may be repeated (default all)")
	c.Flags().StringVar(&o.Key, "key", "", "public key that must have signed an exported file")
	return c
}

func (p *program) dbExport() *cobra.Command {
	return p.db("export FILE", "Write the database to one file, to carry it where there is no network", cobra.ExactArgs(1), func(cmd *cobra.Command, dir string, args []string) error {
		if args[0] == "-" {
			return advisory.Export(cmd.Context(), dir, p.stdout)
		}
		return writeFile(args[0], func(w io.Writer) error { return advisory.Export(cmd.Context(), dir, w) })
	})
}

func (p *program) feedProgress(f advisory.Progress) {
	if !f.Done {
		fmt.Fprintf(p.stderr, "[%d/%d] %s\n", f.Index+1, f.Count, f.Feed)
	}
}

func (p *program) printStatus(s advisory.Status) {
	if s.ID == "" {
		return
	}
	fmt.Fprintf(p.stdout, "database  %s\nbuilt     %s\nsize      %.1f MiB, %d advisories, %d affected packages\nsigned    %s\n\n",
		s.ID.Short(), s.Built.UTC().Format("2006-01-02 15:04 UTC"), float64(s.Bytes)/(1<<20), s.Advisories, s.Rows, s.Key)
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FEED\tRECORDS\tNEWEST\tFETCHED\tNOTE")
	for _, f := range s.Feeds {
		note := ""
		switch {
		case f.Err != "":
			note = "not updated: " + f.Err
		case f.Unchanged:
			note = "unchanged"
		case f.Changed > 0:
			note = fmt.Sprint(f.Changed, " read")
		}
		if f.Bad > 0 {
			note += fmt.Sprintf("; %d unreadable, such as %s", f.Bad, first(f.Samples))
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", f.Name, f.Records, day(f.Modified), day(f.Fetched), note)
	}
	w.Flush()
}

func first(list []string) string {
	if len(list) == 0 {
		return "?"
	}
	return list[0]
}

func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}
