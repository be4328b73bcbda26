// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/diskcache"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/store"
)

// A place is the folder that holds what is kept between runs: scan results and
// the advisory database.
type place struct {
	dir  string
	size int64 // MiB
}

func (l *place) add(f *pflag.FlagSet) {
	f.StringVar(&l.dir, "cache", "", "folder for results and the advisory database (default: bulwark in the user's cache folder)")
	f.Int64Var(&l.size, "cache-size", 2048, "most that kept scan results may take, MiB")
}

// root gives the folder; without a home there is none, which is an error only
// to those who need it.
func (p *program) cacheRoot(l place) (string, error) {
	switch {
	case l.dir != "":
		return filepath.Abs(l.dir)
	case filepath.IsAbs(p.env("XDG_CACHE_HOME")):
		return filepath.Join(p.env("XDG_CACHE_HOME"), "bulwark"), nil
	case filepath.IsAbs(p.env("HOME")):
		return filepath.Join(p.env("HOME"), ".cache", "bulwark"), nil
	}
	return "", errors.New("neither HOME nor XDG_CACHE_HOME is set; say --cache DIR")
}

func (p *program) results(l place) (*diskcache.Cache, error) {
	root, err := p.cacheRoot(l)
	if err != nil {
		return nil, err
	}
	return diskcache.Open(filepath.Join(root, "results"), l.size<<20), nil
}

func (p *program) dbDir(l place) (string, error) {
	root, err := p.cacheRoot(l)
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "db"), nil
}

// reports gives the last reports; without a folder nil, which keeps none.
func (p *program) reports(l place) *store.Reports {
	root, err := p.cacheRoot(l)
	if err != nil {
		return nil
	}
	return store.OpenReports(filepath.Join(root, "reports"), store.ReportBounds{})
}

// keep keeps a report, and the policies that judged it, for those who ask about it
// later. That it cannot is told, and is no reason to fail: the report is there.
func (p *program) keep(ctx context.Context, l place, r *bulwark.Report, set *policy.Set) {
	b, err := packed(set)
	if err == nil {
		_, err = p.reports(l).Put(ctx, r, b)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(p.stderr, "bulwark: explain and preview will not know this report: %v\n", err)
	}
}

// A keeping is everything that is kept between runs.
type keeping struct {
	Results  diskcache.Info    `json:"results"`
	Images   store.Held        `json:"images"`
	Reports  store.HeldReports `json:"reports"`
	Database int64             `json:"database"` // bytes
}

// kept is a command about what is kept.
func (p *program) kept(use, short, long string, run func(ctx context.Context, l place, results *diskcache.Cache, images *store.Images) error) *cobra.Command {
	var l place
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			c, err := p.results(l)
			if err != nil {
				return err
			}
			return run(cmd.Context(), l, c, p.images(l))
		},
	}
	l.add(c.Flags())
	return c
}

func (p *program) cacheCommand() *cobra.Command {
	return group("cache", "tool", "Look at, trim or clear what earlier scans kept", p.cacheInfo(), p.cacheTrim(), p.cacheClear())
}

func (p *program) cacheInfo() *cobra.Command {
	var format string
	c := p.kept("info", "Say what is kept, how much and where", "", func(ctx context.Context, l place, results *diskcache.Cache, images *store.Images) error {
		if format != "" && format != "text" && format != "json" {
			return fmt.Errorf("--format %q: it is text or json: %w", format, bulwark.ErrUsage)
		}
		var k keeping
		root, err := p.cacheRoot(l)
		if err != nil {
			return err
		}
		if k.Results, err = results.Info(ctx); err != nil {
			return err
		}
		if k.Images, err = images.Held(ctx); err != nil {
			return err
		}
		if k.Reports, err = p.reports(l).Held(ctx); err != nil {
			return err
		}
		if k.Database, err = size(ctx, filepath.Join(root, "db")); err != nil {
			return err
		}
		if format == "json" {
			enc := json.NewEncoder(p.stdout)
			enc.SetIndent("", "  ")
			return enc.Encode(k)
		}
		fmt.Fprintf(p.stdout, "folder:   %s\n", root)
		fmt.Fprintf(p.stdout, "results:  %d entries, %s of %s%s\n", k.Results.Entries, mib(k.Results.Bytes), mib(k.Results.Max), lastUsed(k.Results.Oldest))
		fmt.Fprintf(p.stdout, "images:   %d of %d remembered, %d declared as bases, %s of %s%s\n",
			k.Images.Images-k.Images.Declared, k.Images.Max.Images, k.Images.Declared, mib(k.Images.Bytes), mib(k.Images.Max.Bytes), lastUsed(k.Images.Oldest))
		fmt.Fprintf(p.stdout, "reports:  %d of %d, %s of %s%s\n", k.Reports.Reports, k.Reports.Max.Reports, mib(k.Reports.Bytes), mib(k.Reports.Max.Bytes), since(&k.Reports))
		if n := k.Reports.Foreign; n > 0 {
			fmt.Fprintf(p.stdout, "          %d files in %s are no reports\n", n, k.Reports.Dir)
		}
		fmt.Fprintf(p.stdout, "database: %s\n", mib(k.Database))
		return nil
	})
	c.Flags().StringVarP(&format, "format", "f", "", "text or json (default text)")
	return c
}

func (p *program) cacheTrim() *cobra.Command {
	const long = `Remove what was not used for longest until results fit --cache-size and images
and reports their bounds. A scan does this by itself; it serves to make
--cache-size smaller at once. Declared base images and the advisory database
stay.`
	return p.kept("trim", "Remove what was not used for longest, down to the bounds", long, func(ctx context.Context, l place, results *diskcache.Cache, images *store.Images) error {
		before, err := results.Info(ctx)
		if err != nil {
			return err
		}
		if err := results.Trim(ctx); err != nil {
			return err
		}
		after, err := results.Info(ctx)
		if err != nil {
			return err
		}
		gone, err := images.Trim(ctx)
		if err != nil {
			return err
		}
		old, err := p.reports(l).Trim(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "removed: %d results, %s; %d images; %d reports\n", max(0, before.Entries-after.Entries), mib(max(0, before.Bytes-after.Bytes)), gone, old)
		return nil
	})
}

func (p *program) cacheClear() *cobra.Command {
	var declared bool
	c := p.kept("clear", "Remove kept results, reports and remembered images; declared bases and the advisory database stay", "", func(ctx context.Context, l place, results *diskcache.Cache, images *store.Images) error {
		return errors.Join(results.Clear(), images.Clear(ctx, declared), p.reports(l).Clear())
	})
	c.Flags().BoolVar(&declared, "declared", false, "remove the images that were declared to be bases, too")
	return c
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func lastUsed(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", the oldest last used " + t.UTC().Format("2006-01-02 15:04 UTC")
}

func since(h *store.HeldReports) string {
	if h.Reports == 0 {
		return ""
	}
	return ", since " + h.Oldest.UTC().Format("2006-01-02 15:04 UTC")
}

// size gives the bytes of the files below a folder, 0 when there is none.
func size(ctx context.Context, dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			return nil
		case err != nil:
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return ctx.Err()
	})
	return n, err
}
