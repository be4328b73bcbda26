// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report/table"
	"github.com/bulwark-sec/bulwark/scan"
	"github.com/bulwark-sec/bulwark/store"
)

// images opens what was seen of images. Without a place to keep things nothing
// was.
func (p *program) images(l place) *store.Images {
	root, err := p.cacheRoot(l)
	if err != nil {
		return nil
	}
	return store.OpenImages(filepath.Join(root, "images"), store.Bounds{})
}

// A look is a command that shows one side of reports, from targets or from saved
// ones.
type look struct {
	scanFlags
}

// report gives the report that a name means: of a saved report, else of a scan.
func (p *program) report(ctx context.Context, name string, s *scan.Scanner) (*bulwark.Report, error) {
	if strings.HasSuffix(name, ".json") {
		r, err := readReport(name)
		switch {
		case err == nil:
			return s.Rejudge(ctx, r)
		case !errors.Is(err, bulwark.ErrUnsupported):
			return nil, err
		}
	}
	r, err := s.Run(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("scan %q: %w", name, err)
	}
	return r, nil
}

// look makes a command that shows one side of its arguments' reports.
func (p *program) look(use, short, long string, n int, show func(ctx context.Context, s *scan.Scanner, list []*bulwark.Report, t table.Format) (any, func(io.Writer) error, error)) *cobra.Command {
	var o look
	c := &cobra.Command{
		Use: use, Short: short, Long: long, GroupID: "look",
		Args: arguments(cobra.ExactArgs(n)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			if o.format != "" && o.format != "table" && o.format != "json" {
				return fmt.Errorf("--format %q: it is table or json: %w", o.format, bulwark.ErrUsage)
			}
			s, done, err := p.scanner(cmd.Context(), "", &o.scanFlags)
			if err != nil {
				return err
			}
			defer done()
			ctx := cmd.Context()
			if o.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, o.timeout)
				defer cancel()
			}
			bar := p.progress(&o.outputs)
			s.Progress = lean(bar.tell)
			var list []*bulwark.Report
			for _, name := range args {
				r, err := p.report(ctx, name, s)
				if err != nil {
					bar.end()
					return err
				}
				list = append(list, r)
			}
			bar.end()
			t, _ := p.dressed(table.Format{}, &o.outputs, true).(table.Format)
			v, write, err := show(ctx, s, list, t)
			if err != nil {
				return err
			}
			if o.format == "json" {
				enc := json.NewEncoder(p.stdout)
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				return enc.Encode(v)
			}
			return write(p.stdout)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.format, "format", "f", "", "table or json (default table)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress")
	f.BoolVar(&o.noColor, "no-color", false, "no colours; NO_COLOR does the same")
	f.BoolVar(&o.noProgress, "no-progress", false, "no progress on standard error")
	o.addAccess(f)
	return c
}

const layersLong = `Show the layers of an image: whose each one is, what it is for, the instruction
that made it, its size, packages and findings, and what later layers made
useless of it.

The base image is recognised by its layers, if it was scanned before under its
name or imported as one of a list; else by labels, else guessed from the history.`

func (p *program) layersCommand() *cobra.Command {
	c := p.look("layers IMAGE|REPORT.json", "Show whose each layer of an image is, and what it brings", layersLong, 1,
		func(_ context.Context, _ *scan.Scanner, list []*bulwark.Report, t table.Format) (any, func(io.Writer) error, error) {
			r := list[0]
			return struct {
				Artifact string            `json:"artifact"`
				ID       bulwark.Digest    `json:"id"`
				Base     *bulwark.Base     `json:"base"`
				Layers   []bulwark.Layer   `json:"layers"`
				Removed  []bulwark.Package `json:"removed,omitempty"`
			}{r.Artifact.Name, r.Artifact.ID, r.Base, r.Inventory.Layers, r.Inventory.Removed}, func(w io.Writer) error { return t.Layers(w, r) }, nil
		})
	var l place
	imp := &cobra.Command{
		Use: "import FILE", Short: "Take in a list of base images",
		Long: `Take in a list of base images: one JSON object a line with name (with its tag),
layers (diff IDs, oldest first), and if known digest, platform, created. "-" is
standard input.`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			images := p.images(l)
			if images == nil {
				return errors.New("neither HOME nor XDG_CACHE_HOME is set; say --cache DIR")
			}
			in := io.Reader(os.Stdin)
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			n, err := images.Import(cmd.Context(), in)
			if err != nil {
				return fmt.Errorf("import %q: %w", args[0], err)
			}
			fmt.Fprintf(p.stdout, "%d base images imported\n", n)
			return nil
		},
	}
	l.add(imp.Flags())
	c.AddCommand(imp)
	return c
}

const recommendLong = `Say what to do about an image: which other tag of its base image has less risk,
and exactly which findings it would take away, then which packages to upgrade.
Other tags are those that were scanned before.`

func (p *program) recommendCommand() *cobra.Command {
	return p.look("recommend IMAGE|REPORT.json", "Say which base image and which upgrades remove most risk", recommendLong, 1,
		func(ctx context.Context, s *scan.Scanner, list []*bulwark.Report, t table.Format) (any, func(io.Writer) error, error) {
			r := list[0]
			bumps, err := s.Bumps(ctx, r)
			if err != nil {
				return nil, nil, err
			}
			if bumps == nil {
				bumps = []bulwark.Bump{}
			}
			return struct {
				Artifact string           `json:"artifact"`
				Base     *bulwark.Base    `json:"base"`
				Bumps    []bulwark.Bump   `json:"bumps"`
				Actions  []bulwark.Action `json:"actions"`
			}{r.Artifact.Name, r.Base, bumps, r.Actions}, func(w io.Writer) error { return t.Advice(w, r, bumps) }, nil
		})
}

const diffLong = `Show what changed from one artifact to another: packages, findings, and settings
of the image. Each may be anything that scan takes, or a saved JSON report.`

func (p *program) diffCommand() *cobra.Command {
	return p.look("diff OLD NEW", "Show what changed between two artifacts or reports", diffLong, 2,
		func(_ context.Context, _ *scan.Scanner, list []*bulwark.Report, t table.Format) (any, func(io.Writer) error, error) {
			d := scan.Diff(list[0], list[1])
			return d, func(w io.Writer) error { return t.Difference(w, d) }, nil
		})
}
