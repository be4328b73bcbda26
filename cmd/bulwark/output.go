// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/report"
	"github.com/bulwark-sec/bulwark/report/github"
	"github.com/bulwark-sec/bulwark/report/table"
)

// outputs say in which forms a report is written, and where to.
type outputs struct {
	list                       []string
	format                     string
	quiet, noColor, noProgress bool
	all                        bool
	quick, full                bool // quick: on a terminal one screen is enough, unless full
}

func (o *outputs) add(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.list, "output", "o", nil, "FORMAT or FORMAT=FILE; may be repeated: "+strings.Join(formatNames(), ", "))
	f.StringVarP(&o.format, "format", "f", "", "form of what goes to standard output (default table on a terminal, else plain)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress, and nothing on standard output but what -o or -f asks for")
	f.BoolVar(&o.noColor, "no-color", false, "no colours; NO_COLOR does the same")
	f.BoolVar(&o.noProgress, "no-progress", false, "no progress on standard error")
	f.BoolVar(&o.all, "all", false, "show every finding in the table, not a screenful")
}

// addFull makes one screen the answer on a terminal, and adds the flag that asks
// for the whole table.
func (o *outputs) addFull(f *pflag.FlagSet) {
	o.quick = true
	f.BoolVar(&o.full, "full", false, "on a terminal, show the whole table and not one screen of it")
}

func formatNames() []string {
	var names []string
	for _, f := range report.Formats() {
		names = append(names, f.Name())
	}
	return names
}

// An output is one form and one place.
type output struct {
	format report.Format
	file   string // "" is standard output
}

type writers struct {
	p    *program
	list []output
}

// writers checks what was asked for before any work is done.
func (p *program) writers(o *outputs) (*writers, error) {
	w := &writers{p: p}
	asked := slices.Clone(o.list)
	if o.format != "" {
		asked = append(asked, o.format)
	}
	stdout := 0
	for _, a := range asked {
		name, file, _ := strings.Cut(a, "=")
		f, err := report.ByName(name)
		if err != nil {
			return nil, err
		}
		if file == "" || file == "-" {
			file = ""
			stdout++
		}
		w.list = append(w.list, output{p.dressed(f, o, file == ""), file})
	}
	if stdout > 1 {
		return nil, fmt.Errorf("two formats go to standard output; write one of them to a file, FORMAT=FILE: %w", bulwark.ErrUsage)
	}
	if stdout == 0 && !o.quiet {
		name := "plain"
		if p.terminal() > 0 {
			name = "table"
		}
		f, err := report.ByName(name)
		if err != nil {
			return nil, err
		}
		dressed := p.dressed(f, o, true)
		if t, ok := dressed.(table.Format); ok && o.quick && !o.full && !o.all {
			_, t.Rows = p.screen()
			t.Quick = true
			dressed = t
		}
		w.list = append(w.list, output{dressed, ""})
	}
	return w, nil
}

// terminal gives the width of standard output, 0 when it is no terminal.
func (p *program) terminal() int {
	width, _ := p.screen()
	return width
}

// screen gives the columns and rows of standard output, 0 when it is no
// terminal.
func (p *program) screen() (columns, rows int) {
	f, ok := p.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, 0
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 {
		return 80, 24
	}
	return columns, rows
}

// dressed fits the table to where it goes, and a snapshot to the workflow that
// it is made in.
func (p *program) dressed(f report.Format, o *outputs, stdout bool) report.Format {
	switch f.(type) {
	case github.Format: // https://docs.github.com/actions/reference/workflows-and-actions/variables
		return github.Format{
			SHA: p.env("GITHUB_SHA"), Ref: p.env("GITHUB_REF"), Workflow: p.env("GITHUB_WORKFLOW"), Job: p.env("GITHUB_JOB"),
			RunID: p.env("GITHUB_RUN_ID"), Server: p.env("GITHUB_SERVER_URL"), Repository: p.env("GITHUB_REPOSITORY"),
		}
	case table.Format:
	default:
		return f
	}
	t := table.Format{Unicode: p.unicode()}
	if stdout {
		t.Width = p.terminal()
		t.Color = t.Width > 0 && !o.noColor && p.env("NO_COLOR") == "" && p.env("TERM") != "dumb"
	}
	if o.all {
		t.Limit = -1
	}
	return t
}

// unicode tells whether the locale says UTF-8.
func (p *program) unicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := p.env(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return p.terminal() == 0
}

func (w *writers) write(ctx context.Context, r *bulwark.Report) error {
	for _, o := range w.list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if o.file == "" {
			if err := o.format.Write(w.p.stdout, r); err != nil {
				return fmt.Errorf("write %s: %w", o.format.Name(), err)
			}
			continue
		}
		if err := writeFile(o.file, func(f io.Writer) error { return o.format.Write(f, r) }); err != nil {
			return fmt.Errorf("write %s: %w", o.format.Name(), err)
		}
	}
	return nil
}

// writeFile writes aside and renames, so that no half of a report is ever seen.
// What is no regular file, a pipe say, is written to as it is.
func writeFile(name string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func (p *program) convertCommand() *cobra.Command {
	var o outputs
	c := &cobra.Command{
		Use: "convert REPORT.json", GroupID: "look", Short: "Show a saved JSON report in another form",
		Long: "Show a saved JSON report in another form. Nothing is scanned or matched again; the exit code is that of the saved decision.",
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			w, err := p.writers(&o)
			if err != nil {
				return err
			}
			r, err := readReport(args[0])
			if err != nil {
				return err
			}
			p.verdict = r.Decision.Verdict
			return w.write(cmd.Context(), r)
		},
	}
	o.add(c.Flags())
	return c
}
