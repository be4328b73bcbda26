// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/store"
)

const exceptionLintLong = `Say what is wrong with exceptions, with file and line: those of the named files
and of .bulwark/, the entries of the ignore file, and the comments in scanned
files. They are held against reports: those of --report, else the kept ones, of
each artifact the newest; older ones tell since when nothing is matched.

  expired             its end is over
  unused              it matches nothing in any report
  no-longer-matching  it matched an older report, and no newest one
  shadowed            another one covers the same findings for longer
  faulty              a comment that cannot be read
  not-yet-valid, expiring, not-needed, not-counted, no-reason, long-lived,
  policy-off, not-asked

Exit codes: 0 nothing of the first five; 2 one of them; 3 no report could be
asked, or none in the scope of an exception, so that nobody knows whether it is
used; 1 a document cannot be read.`

// exceptionCommand holds what is done with exceptions from policies.
func (p *program) exceptionCommand() *cobra.Command {
	return group("exception", "decide", "Find forgotten exceptions; carry them to and from VEX",
		p.exceptionLint(),
		p.exceptionImport(),
		p.exceptionExport(),
	)
}

// exceptionFlags are what every command about exceptions needs.
type exceptionFlags struct {
	place
	gateFlags
	reports []string
}

func (o *exceptionFlags) add(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringSliceVar(&o.reports, "report", nil, "JSON report to hold them against (default the kept ones); may be repeated")
	f.StringSliceVar(&o.policies, "policy", nil, `further file or directory of policies, a signed bundle, or "default"; may be repeated`)
	f.StringSliceVar(&o.keys, "policy-key", nil, "public key that a bundle of policies must be signed with; may be repeated")
	f.StringSliceVar(&o.labels, "label", nil, "NAME=VALUE of what was scanned, for scopes; may be repeated")
	o.place.add(f)
}

func (p *program) exceptionLint() *cobra.Command {
	var o exceptionFlags
	var expiring, format, ignored string
	c := &cobra.Command{
		Use: "lint [FILE|DIR|default...]", Short: "Say which exceptions are expired, unused, shadowed or forgotten", Long: exceptionLintLong,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			if format != "" && format != "table" && format != "json" {
				return fmt.Errorf("--format %q: it is table or json: %w", format, bulwark.ErrUsage)
			}
			l := policy.Lint{Now: p.now()}
			var err error
			if l.Expiring, err = days(expiring); err != nil {
				return fmt.Errorf("--expiring %q: %w", expiring, err)
			}
			o.policies = append(o.policies, args...)
			j, err := p.judge(&o.gateFlags)
			if err != nil {
				return err
			}
			l.Labels = j.Labels
			if l.Ignores, err = ignores(ignored); err != nil {
				return err
			}
			reports, err := p.asked(cmd.Context(), o.place, o.reports)
			if err != nil {
				return err
			}
			out, err := l.Exceptions(cmd.Context(), j.Set, reports.newest, reports.older)
			if err != nil {
				return err
			}
			p.verdict = linted(&out, reports.skipped)
			if format == "json" {
				if out.Remarks == nil {
					out.Remarks = []policy.Remark{}
				}
				enc := json.NewEncoder(p.stdout)
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				return enc.Encode(out)
			}
			return p.remarks(&out)
		},
	}
	f := c.Flags()
	o.add(f)
	f.StringVar(&ignored, "ignore-file", "", "file of accepted risks (default "+ignoreFile+", if it is there)")
	f.StringVar(&expiring, "expiring", "30d", "tell of an end that is nearer than this: 30d, 12h")
	f.StringVarP(&format, "format", "f", "", "table or json (default table)")
	return c
}

// linted gives the verdict about exceptions.
func linted(out *policy.Linted, skipped int) bulwark.Verdict {
	v := bulwark.Pass
	if out.Reports == 0 || skipped > 0 {
		v = bulwark.Warn
	}
	for i := range out.Remarks {
		switch r := &out.Remarks[i]; {
		case r.Fails():
			return bulwark.Fail
		case r.Kind == policy.RemarkUnasked:
			v = bulwark.Warn
		}
	}
	return v
}

// days reads a time in days, or in the units of Go.
func days(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		if d, err := strconv.ParseUint(n, 10, 16); err == nil {
			return time.Duration(d) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	return 0, fmt.Errorf("a time like 30d or 12h is wanted: %w", bulwark.ErrUsage)
}

// remarks writes what is wrong: aligned on a terminal, else a line each.
func (p *program) remarks(out *policy.Linted) error {
	w := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', tabwriter.StripEscape)
	gap := "\t"
	if p.terminal() == 0 {
		gap = " "
	}
	artifact := ""
	for i := range out.Remarks {
		r := &out.Remarks[i]
		if r.Artifact != artifact {
			artifact = r.Artifact
			fmt.Fprintf(w, "comments in %s:\n", oneLine(artifact, 200))
		}
		at := oneLine(r.Place.File, 200)
		if r.Place.Line > 0 {
			at += ":" + strconv.Itoa(r.Place.Line)
		}
		what := r.Detail
		if name, ok := strings.CutPrefix(r.Name, "exception/"); ok {
			what = fmt.Sprintf("exception %q: %s", name, what)
		}
		if r.Owner != "" {
			what += " (owner " + r.Owner + ")"
		}
		fmt.Fprintf(w, "%s:%s%s:%s%s\n", at, gap, r.Kind, gap, oneLine(what, 1000))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fails := 0
	for i := range out.Remarks {
		if out.Remarks[i].Fails() {
			fails++
		}
	}
	_, err := fmt.Fprintf(p.stdout, "%d exceptions, %d entries of ignore files and %d comments, held against %d reports and %d older ones: %d remarks, %d to mend\n",
		out.Exceptions, out.Entries, out.Comments, out.Reports, out.Older, len(out.Remarks), fails)
	if out.Reports == 0 && err == nil {
		fmt.Fprintln(p.stderr, "bulwark: no report could be asked, so nobody knows which exceptions are used: scan first, or name reports with --report")
	}
	return err
}

// asked are the reports that exceptions are held against.
type asked struct {
	newest, older iter.Seq[*bulwark.Report]
	skipped       int // that could not be read, which was told
}

// asked gives the reports with these names, or else those that are kept. Kept ones
// are read one after the other.
func (p *program) asked(ctx context.Context, l place, names []string) (*asked, error) {
	a := new(asked)
	if len(names) > 0 {
		var all []*bulwark.Report
		for _, name := range names {
			r, err := readReport(name)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		slices.SortStableFunc(all, func(x, y *bulwark.Report) int { return y.Created.Compare(x.Created) })
		newest, older := split(all, func(r *bulwark.Report) string { return string(r.Artifact.Kind) + "\x00" + r.Artifact.Name })
		a.newest, a.older = slices.Values(newest), slices.Values(older)
		return a, nil
	}
	kept := p.reports(l)
	var all []store.Header
	for h, err := range kept.List(ctx) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			a.skip(p, err)
			continue
		}
		all = append(all, h)
	}
	slices.Reverse(all)
	newest, older := split(all, func(h store.Header) string { return string(h.Kind) + "\x00" + h.Name })
	read := func(list []store.Header) iter.Seq[*bulwark.Report] {
		return func(yield func(*bulwark.Report) bool) {
			for _, h := range list {
				if ctx.Err() != nil {
					return
				}
				k, err := kept.Get(ctx, h.ID)
				if err != nil {
					a.skip(p, err)
				} else if !yield(k.Report) {
					return
				}
			}
		}
	}
	a.newest, a.older = read(newest), read(older)
	return a, nil
}

func (a *asked) skip(p *program, err error) {
	a.skipped++
	fmt.Fprintf(p.stderr, "bulwark: passed over: %v\n", err)
}

// split parts the first of each artifact from the rest.
func split[T any](all []T, artifact func(T) string) (first, rest []T) {
	seen := map[string]bool{}
	for _, x := range all {
		if k := artifact(x); seen[k] {
			rest = append(rest, x)
		} else {
			seen[k] = true
			first = append(first, x)
		}
	}
	return first, rest
}
