// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/policytest"
)

// candidateFlags say which policies are tried, against which, and what an answer is
// worth to a script.
type candidateFlags struct {
	against, keys []string
	format        string
	failOnChange  bool
}

func (o *candidateFlags) add(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringSliceVar(&o.against, "against", nil, `file or directory of the policies that there are, or "default"; may be repeated (default no policies)`)
	f.BoolVar(&o.failOnChange, "fail-on-change", false, "exit 2 when anything would come out otherwise")
	f.StringVarP(&o.format, "format", "f", "", "text or json (default text)")
	f.StringSliceVar(&o.keys, "policy-key", nil, "public key that a bundle must be signed with; may be repeated")
}

// sets loads the candidate and what it is compared with, nil when that is nothing.
func (p *program) sets(candidate []string, o *candidateFlags) (now, base *policy.Set, err error) {
	load := func(names []string) (*policy.Set, error) {
		sources, err := p.allNamed(names, o.keys)
		if err != nil {
			return nil, err
		}
		set, err := policy.Load(sources)
		if err != nil {
			return nil, p.faults(err)
		}
		return set, nil
	}
	if now, err = load(candidate); err == nil && len(o.against) > 0 {
		base, err = load(o.against)
	}
	return now, base, err
}

// conclude sets what the exit code says: changed wins over unread.
func (p *program) conclude(changed, unread bool) {
	p.verdict = bulwark.Pass
	if unread {
		p.verdict = bulwark.Warn
	}
	if changed {
		p.verdict = bulwark.Fail
	}
}

const policyReplayLong = `Ask policies about inputs that were recorded by bulwark scan --record-inputs, and
tell what they would newly refuse, newly let pass or treat otherwise than those of
--against do, grouped by rule. Every input is judged at the time of its record.

A line that cannot be read is counted and told; the exit code is 3 then.`

func (p *program) policyReplay() *cobra.Command {
	var o candidateFlags
	var inputs []string
	c := &cobra.Command{
		Use: "replay --inputs FILE|DIR FILE|DIR...", Short: "Ask policies about recorded inputs: what would come out otherwise?", Long: policyReplayLong,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := textOrJSON(o.format); err != nil {
				return err
			}
			if len(inputs) == 0 {
				return &bulwark.Hint{Err: fmt.Errorf("--inputs is missing: %w", bulwark.ErrUsage), Next: "record some with bulwark scan --record-inputs FILE"}
			}
			now, base, err := p.sets(args, &o)
			if err != nil {
				return err
			}
			r := policytest.NewReplay(now, base)
			for _, name := range inputs {
				if err := replayFrom(cmd.Context(), r, name); err != nil {
					return err
				}
			}
			out := r.Result()
			p.conclude(o.failOnChange && len(out.Changes) > 0, out.Bad > 0)
			if o.format == "json" {
				return p.writeJSON(out)
			}
			return out.WriteText(p.stdout)
		},
	}
	o.add(c.Flags())
	c.Flags().StringSliceVar(&inputs, "inputs", nil, "file of recorded inputs, or a directory of files that end in .jsonl, .ndjson or .json; may be repeated")
	return c
}

// filesBelow gives the regular files of a directory with one of some endings, in
// order; anything else is itself.
func filesBelow(name string, endings ...string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	var out []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && slices.Contains(endings, filepath.Ext(path)) {
			out = append(out, path)
		}
		return err
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%q has no files that end in %s: %w", name, strings.Join(endings, ", "), bulwark.ErrNotFound)
	}
	return out, err
}

func replayFrom(ctx context.Context, r *policytest.Replay, name string) error {
	files, err := filesBelow(name, ".jsonl", ".ndjson", ".json")
	if err != nil {
		return fmt.Errorf("--inputs: %w", err)
	}
	for _, file := range files {
		if err := readThrough(file, func(in io.Reader) error { return r.Read(ctx, file, in) }); err != nil {
			return err
		}
	}
	return nil
}

func readThrough(name string, read func(io.Reader) error) (err error) {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return read(f)
}

const policyPreviewLong = `Ask policies about saved reports, and tell which artifacts they would newly fail
or newly let pass, compared with the policies of --against, and because of which
rules. Without --reports these are the reports that the last scans left in the
cache. Every report is judged at the time at which it was made; of several on one
artifact the newest counts.

A report that cannot be read is told; the exit code is 3 then.`

func (p *program) policyPreview() *cobra.Command {
	var o candidateFlags
	var l place
	var g gateFlags
	var reports []string
	c := &cobra.Command{
		Use: "preview FILE|DIR...", Short: "Ask policies about saved reports: which artifacts would newly fail?", Long: policyPreviewLong,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := textOrJSON(o.format); err != nil {
				return err
			}
			about, err := gateOf(&g)
			if err != nil {
				return err
			}
			now, base, err := p.sets(args, &o)
			if err != nil {
				return err
			}
			v := policytest.NewPreview(now, base, about.Stage, about.Labels)
			unread := 0
			if len(reports) > 0 {
				unread, err = p.previewFiles(cmd.Context(), v, reports)
			} else {
				unread, err = p.previewKept(cmd.Context(), v, l)
			}
			if err != nil {
				return err
			}
			out := v.Result()
			if out.Artifacts == 0 && unread == 0 {
				return &bulwark.Hint{Err: fmt.Errorf("there are no saved reports: %w", bulwark.ErrNotFound), Next: "scan something first, or name reports with --reports"}
			}
			p.conclude(o.failOnChange && len(out.Failing)+len(out.Passing) > 0, unread > 0)
			if o.format == "json" {
				return p.writeJSON(map[string]any{"unread": unread, "preview": out})
			}
			return out.WriteText(p.stdout)
		},
	}
	f := c.Flags()
	o.add(f)
	f.StringSliceVar(&reports, "reports", nil, "JSON report, or a directory of files that end in .json; may be repeated (default the reports in the cache)")
	g.addAbout(f)
	l.add(f)
	return c
}

// previewFiles judges the reports of files, and counts those that it cannot read.
func (p *program) previewFiles(ctx context.Context, v *policytest.Preview, names []string) (unread int, err error) {
	for _, name := range names {
		files, err := filesBelow(name, ".json")
		if err != nil {
			return unread, fmt.Errorf("--reports: %w", err)
		}
		for _, file := range files {
			if err := ctx.Err(); err != nil {
				return unread, err
			}
			r, err := readReport(file)
			if err == nil {
				err = v.Add(r)
			}
			if err != nil {
				unread++
				fmt.Fprintf(p.stderr, "bulwark: passed over: %v\n", err)
			}
		}
	}
	return unread, nil
}

// previewKept judges the reports in the cache.
func (p *program) previewKept(ctx context.Context, v *policytest.Preview, l place) (unread int, err error) {
	kept := p.reports(l)
	newest := map[string]string{} // ids, by what identifies an artifact
	for h, err := range kept.List(ctx) {
		if ctx.Err() != nil {
			return unread, ctx.Err()
		}
		if err != nil {
			unread++
			fmt.Fprintf(p.stderr, "bulwark: passed over: %v\n", err)
			continue
		}
		newest[string(h.Kind)+"\x00"+cmpOr(h.Name, string(h.Artifact))] = h.ID
	}
	ids := []string{}
	for _, id := range newest {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		k, err := kept.Get(ctx, id)
		if err == nil {
			err = v.Add(k.Report)
		}
		if ctx.Err() != nil {
			return unread, ctx.Err()
		}
		if err != nil {
			unread++
			fmt.Fprintf(p.stderr, "bulwark: passed over: %v\n", err)
		}
	}
	return unread, nil
}
