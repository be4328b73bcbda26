// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/advisory"
)

func (p *program) dbCommand() *cobra.Command {
	return group("db", "know", "Update, check, publish and carry the advisory database",
		p.dbUpdate(), p.dbStatus(), p.dbVerify(), p.dbDiff(), p.dbBuild(), p.dbImport(), p.dbExport(), p.dbImportJars())
}

// db makes a subcommand that works on the database's folder.
func (p *program) db(use, short string, args cobra.PositionalArgs, run func(cmd *cobra.Command, dir string, args []string) error) *cobra.Command {
	var l place
	c := &cobra.Command{
		Use: use, Short: short, Args: arguments(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(configurable(cmd.Flags())); err != nil {
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

// feeds are where advisories come from when they are fetched feed by feed.
type feeds struct{ advisory.UpdateOptions }

func (o *feeds) add(f *pflag.FlagSet) {
	f.StringVar(&o.Source, "source", "", "URL or folder of the OSV export (default OSV.dev's)")
	f.StringVar(&o.KEV, "kev", "", "URL or file of CISA's Known Exploited Vulnerabilities; \"none\" leaves it out")
	f.StringVar(&o.EPSS, "epss", "", "URL or file of EPSS scores; \"none\" leaves it out")
	f.StringSliceVar(&o.Ecosystems, "ecosystem", nil, "only these OSV ecosystems; may be repeated (default all)")
	f.BoolVar(&o.Full, "full", false, "fetch everything anew")
}

// feedFlags are the flags that feeds adds.
var feedFlags = []string{"source", "kev", "epss", "ecosystem", "full"}

const dbUpdateLong = `Bring the database up to date: from the feeds themselves, or from a database
that somebody publishes (bulwark db build --publish) with --from. Several --from
are tried in order. Only what changed is fetched, an interrupted update goes on
where it was, and the database that there is stays until everything was checked.

The publisher's key must be known: say it with --key the first time, or set
bundle.keys in the configuration; db.mirrors there stands for --from.`

func (p *program) dbUpdate() *cobra.Command {
	var o feeds
	var r reach
	var k pins
	var from, mirrors []string
	var maxAge time.Duration
	var allowOlder, direct bool
	c := p.db("update", "Fetch what changed since the last update", cobra.NoArgs, func(cmd *cobra.Command, dir string, _ []string) error {
		if len(from) == 0 && !direct {
			from = mirrors
		}
		if len(from) == 0 {
			o.Dir, o.Now = dir, p.now()
			o.Progress = func(f advisory.Progress) { p.feedProgress(f) }
			s, err := advisory.Update(cmd.Context(), o.UpdateOptions)
			p.printStatus(s)
			return err
		}
		client, err := r.webClient()
		if err != nil {
			return err
		}
		keys, err := k.list()
		if err != nil {
			return err
		}
		got, err := advisory.Pull(cmd.Context(), advisory.PullOptions{
			Dir: dir, From: from, Keys: keys, MaxAge: maxAge, AllowOlder: allowOlder, Now: p.now(),
			Client: client, Registry: p.opener(&r, false),
			Progress: func(f advisory.Fetched) {
				fmt.Fprintf(p.stderr, "[%d/%d] %s\n", f.Blobs, f.Of, bytesText(f.Bytes))
			},
		})
		if err != nil {
			return err
		}
		p.printStatus(got.Status)
		p.printPulled(got)
		return nil
	})
	c.Long = dbUpdateLong
	c.PreRunE = func(cmd *cobra.Command, _ []string) error {
		// What was typed is looked at before configuration fills in the rest.
		direct = slices.ContainsFunc(feedFlags, cmd.Flags().Changed)
		if cmd.Flags().Changed("from") {
			return together(cmd, "from", feedFlags...)
		}
		return nil
	}
	f := c.Flags()
	o.add(f)
	f.StringSliceVar(&from, "from", nil, "published database: oci://…, https://… or a folder; may be repeated (configuration: "+mirrorsSetting+")")
	_ = f.SetAnnotation("from", typedOnly, nil)
	hidden(f, mirrorsSetting, &mirrors)
	k.add(f)
	f.DurationVar(&maxAge, "max-age", 0, "refuse a published database that is older; 0 is any age")
	f.BoolVar(&allowOlder, "allow-older", false, "take a published database that is older than the present one, or past its own date")
	r.add(f)
	return c
}

func (p *program) printPulled(got advisory.Pulled) {
	if got.Unchanged {
		fmt.Fprintf(p.stdout, "\nunchanged: %s has nothing newer\n", got.From)
		return
	}
	fmt.Fprintf(p.stdout, "\nfrom %s: moved %s of %s (%.1f %%), %d files made from older ones\n",
		got.From, bytesText(got.Moved), bytesText(got.Whole), percent(got.Moved, got.Whole), got.Deltas)
	if got.Refused > 0 {
		fmt.Fprintf(p.stderr, "bulwark: %d files were fetched whole, because another version of bulwark published them; use the same version to move less\n", got.Refused)
	}
}

func percent(part, whole int64) float64 { return 100 * float64(part) / float64(max(whole, 1)) }

// bytesText writes a size for people.
func bytesText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

const dbBuildLong = `Bring the database up to date from the feeds and publish it: to a folder that
any web server can serve, or to a registry. Others take it with
bulwark db update --from. What is there already is not written again, and each
publication keeps the changes since the ones before, so that readers fetch little.`

func (p *program) dbBuild() *cobra.Command {
	var o feeds
	var r reach
	var to, key string
	var valid time.Duration
	var fromCurrent, replace bool
	c := p.db("build --publish WHERE", "Bring the database up to date and publish it for others", cobra.NoArgs, func(cmd *cobra.Command, dir string, _ []string) error {
		if to == "" {
			return &bulwark.Hint{Err: fmt.Errorf("--publish is missing: %w", bulwark.ErrUsage), Next: "say oci://REGISTRY/REPOSITORY:TAG or a folder"}
		}
		signer, err := readSigningKey(key)
		if err != nil {
			return err
		}
		var failed error
		if !fromCurrent {
			o.Dir, o.Now = dir, p.now()
			o.Progress = func(f advisory.Progress) { p.feedProgress(f) }
			s, err := advisory.Update(cmd.Context(), o.UpdateOptions)
			if s.ID == "" {
				return err
			}
			failed = err // what could be fetched is worth publishing; the exit code tells
			p.printStatus(s)
		}
		pub, err := advisory.Publish(cmd.Context(), advisory.PublishOptions{
			Dir: dir, To: to, Key: signer, ValidFor: valid, Replace: replace, Now: p.now(), Registry: p.opener(&r, true),
		})
		if err != nil {
			return errors.Join(failed, err)
		}
		fmt.Fprintf(p.stdout, "published %s to %s\nsigned    %s\nwritten   %s; a new reader fetches %s, one with the last publication %s (%.1f %%)\n",
			pub.ID.Short(), to, pub.Key, bytesText(pub.Wrote), bytesText(pub.Whole), bytesText(pub.Step), percent(pub.Step, pub.Whole))
		fmt.Fprintf(p.stdout, "readers   bulwark db update --from %s --key %s\n", to, pub.Key)
		return failed
	})
	c.Long = dbBuildLong
	c.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if fromCurrent {
			return together(cmd, "from-current", feedFlags...)
		}
		return nil
	}
	f := c.Flags()
	f.StringVar(&to, "publish", "", "where to: oci://REGISTRY/REPOSITORY:TAG or a folder")
	f.BoolVar(&fromCurrent, "from-current", false, "publish the database as it is, fetch nothing")
	f.StringVar(&key, "signing-key", "", "private key of bulwark key new (default the database's own)")
	f.DurationVar(&valid, "valid-for", 0, "time after which readers refuse it; 0 is for ever")
	f.BoolVar(&replace, "replace", false, "publish also over what is newer or signed by another key")
	o.add(f)
	r.add(f)
	return c
}

const dbDiffLong = `Say which advisories came, went and changed from database A to database B. Each
is current, previous, the beginning of an id, the folder of a database, an
exported file, a bundle, or a published database: oci://…, https://… or its folder.
Without any it is previous and current: what the last update brought.`

func (p *program) dbDiff() *cobra.Command {
	var r reach
	var with, format string
	var all bool
	c := p.db("diff [A [B]]", "Say what is different between two databases", cobra.MaximumNArgs(2), func(cmd *cobra.Command, dir string, args []string) error {
		a, b := "previous", "current"
		switch {
		case with != "" && len(args) > 0:
			return fmt.Errorf("--with is for the current database, without A and B: %w", bulwark.ErrUsage)
		case with != "":
			a, b = "current", with
		case len(args) == 1:
			a = args[0]
		case len(args) == 2:
			a, b = args[0], args[1]
		}
		if format != "table" && format != "json" {
			return fmt.Errorf("--format %q: it is table or json: %w", format, bulwark.ErrUsage)
		}
		client, err := r.webClient()
		if err != nil {
			return err
		}
		d, err := advisory.Compare(cmd.Context(), a, b, advisory.CompareOptions{Dir: dir, Now: p.now(), Client: client, Registry: p.opener(&r, false)})
		if err != nil {
			return err
		}
		if format == "json" {
			enc := json.NewEncoder(p.stdout)
			enc.SetIndent("", "  ")
			return enc.Encode(d)
		}
		p.printDiff(d, all)
		return nil
	})
	c.Long = dbDiffLong
	c.Flags().StringVar(&with, "with", "", "compare the current database with this one")
	c.Flags().StringVarP(&format, "format", "f", "table", "table or json")
	c.Flags().BoolVar(&all, "all", false, "show every advisory, not the first ones of each ecosystem")
	r.add(c.Flags())
	return c
}

// diffShown is how many advisories of an ecosystem a table shows of each kind.
const diffShown = 10

func (p *program) printDiff(d *advisory.Comparison, all bool) {
	for _, s := range []struct {
		name string
		side advisory.Side
	}{{"from", d.Old}, {"to", d.New}} {
		fmt.Fprintf(p.stdout, "%-5s %s  %s  %d advisories\n", s.name, s.side.ID.Short(), s.side.Built.UTC().Format("2006-01-02 15:04 UTC"), s.side.Advisories)
	}
	if len(d.Ecosystems) == 0 && len(d.Exploited)+len(d.NoLonger)+d.Scores == 0 {
		fmt.Fprintln(p.stdout, "\nno difference")
		return
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nECOSYSTEM\tADDED\tWITHDRAWN\tCHANGED")
	for _, e := range d.Ecosystems {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", e.Ecosystem, len(e.Added), len(e.Withdrawn), len(e.Changed))
	}
	w.Flush()
	fmt.Fprintln(p.stdout)
	for _, e := range d.Ecosystems {
		for _, part := range []struct {
			sign string
			list []advisory.AdvisoryChange
		}{{"+", e.Added}, {"-", e.Withdrawn}, {"~", e.Changed}} {
			for i, a := range part.list {
				if i == diffShown && !all {
					fmt.Fprintf(w, "%s\t%s\t… %d more, see --all\t\t\n", part.sign, e.Ecosystem, len(part.list)-i)
					break
				}
				severity := a.Severity.String()
				if a.Was != nil {
					severity = a.Was.String() + " → " + severity
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", part.sign, e.Ecosystem, oneLine(a.ID, 60), severity, oneLine(strings.Join(a.Packages, ", "), 40), strings.Join(a.What, ", "))
			}
		}
	}
	for _, cve := range d.Exploited {
		fmt.Fprintf(w, "+\texploited\t%s\t\t\t\n", cve)
	}
	for _, cve := range d.NoLonger {
		fmt.Fprintf(w, "-\texploited\t%s\t\t\t\n", cve)
	}
	w.Flush()
	if d.Scores > 0 {
		fmt.Fprintf(p.stdout, "EPSS scores of %d CVEs changed\n", d.Scores)
	}
}

// oneLine makes text from a database fit for a terminal: one line of at most n
// characters, without control characters.
func oneLine(s string, n int) string {
	r := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s))
	if len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return string(r)
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
	var k pins
	c := p.db("import PATH", "Take in an exported file, or a folder in the layout of the OSV export", cobra.ExactArgs(1), func(cmd *cobra.Command, dir string, args []string) error {
		var err error
		if o.Keys, err = k.list(); err != nil {
			return err
		}
		o.Dir, o.Now = dir, p.now()
		o.Progress = func(f advisory.Progress) { p.feedProgress(f) }
		s, err := advisory.Import(cmd.Context(), args[0], o)
		p.printStatus(s)
		return err
	})
	c.Flags().StringSliceVar(&o.Ecosystems, "ecosystem", nil, "only these OSV ecosystems of a folder; may be repeated (default all)")
	k.add(c.Flags())
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
	if !s.Expires.IsZero() {
		fmt.Fprintf(p.stdout, "good      until %s\n\n", s.Expires.UTC().Format("2006-01-02 15:04 UTC"))
	}
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
