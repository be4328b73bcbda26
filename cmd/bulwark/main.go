// SPDX-License-Identifier: Apache-2.0

// Command bulwark says what is inside an image, a host, a repository or a
// directory and what is wrong with it. It wires packages together and holds no
// behaviour of its own: flags, configuration, environment, clock and exit codes
// are read and set here and nowhere else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/internal/nearest"
	"github.com/bulwark-sec/bulwark/scan"
)

// version is set by the linker in releases.
var version = "" //nolint:gochecknoglobals // -ldflags -X needs a variable

// The exit codes are a contract: scripts branch on them. 64, 130 and 1 win over
// 2, 2 over 3, 3 over 0.
const (
	exitPass        = 0
	exitError       = 1   // the tool could not do its work
	exitFail        = 2   // it ran, and the gate failed
	exitUntrusted   = 3   // it ran, and the answer is not trustworthy
	exitUsage       = 64  // wrong usage, EX_USAGE of sysexits.h
	exitInterrupted = 130 // SIGINT or SIGTERM
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == scan.ChildArg {
		// A small heap that is collected often keeps the pair of processes lean.
		debug.SetGCPercent(30)
		return scan.Child(context.Background(), os.Stdin, os.Stdout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := &program{
		stdout: os.Stdout, stderr: os.Stderr,
		env: os.Getenv, environ: os.Environ, now: time.Now, version: buildVersion(),
	}
	return p.main(ctx, os.Args[1:])
}

// A program is one call of the command. Its fields are what it knows of the
// world.
type program struct {
	stdout, stderr io.Writer
	env            func(string) string
	environ        func() []string
	now            func() time.Time
	version        string

	verdict bulwark.Verdict // of the scan, if there was one
	zero    bool            // a failed gate still exits 0
}

func (p *program) main(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(p.stderr, "bulwark: interrupted; what was read so far is kept, the next run goes on from there")
		return exitInterrupted
	case errors.Is(err, bulwark.ErrUsage):
		fmt.Fprintf(p.stderr, "bulwark: %v\n", err)
		return exitUsage
	case err != nil:
		fmt.Fprintf(p.stderr, "bulwark: %v\n", err)
		return exitError
	case p.zero:
		return exitPass
	}
	switch p.verdict {
	case bulwark.Fail:
		return exitFail
	case bulwark.Warn:
		return exitUntrusted
	}
	return exitPass
}

// usage marks an error as one of usage, so that it gets exit code 64.
func usage(err error) error {
	if err == nil || errors.Is(err, bulwark.ErrUsage) {
		return err
	}
	return &usageError{err}
}

type usageError struct{ error }

func (e *usageError) Is(target error) bool { return target == bulwark.ErrUsage }
func (e *usageError) Unwrap() error        { return e.error }

const long = `Bulwark says what is inside an image, a host, a repository or a directory,
what is wrong with it, and what to do first.

Exit codes: 0 pass, 1 tool error, 2 gate failed, 3 ran but the answer is not
trustworthy, 64 wrong usage, 130 interrupted.`

const examples = `  bulwark scan host                              this machine
  bulwark scan alpine:3.20                       an image, from where it is found
  bulwark scan . --fail-on high -o sarif=out.sarif
  bulwark db update                              fetch what is known`

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use: "bulwark", Short: "Full-lifecycle container security", Long: long, Example: examples,
		SilenceErrors: true, SilenceUsage: true, Version: p.version,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(unknownFlag)
	root.SetVersionTemplate("bulwark {{.Version}}\n")
	root.AddGroup(
		&cobra.Group{ID: "look", Title: "Look:"},
		&cobra.Group{ID: "know", Title: "Know:"},
		&cobra.Group{ID: "decide", Title: "Decide:"},
		&cobra.Group{ID: "tool", Title: "The tool itself:"},
	)
	root.SetHelpCommandGroupID("tool")
	root.SetCompletionCommandGroupID("tool")
	root.AddCommand(p.scanCommand(), p.layersCommand(), p.recommendCommand(), p.diffCommand(), p.explainCommand(), p.convertCommand(), p.reportCommand(), p.gateCommand(), p.policyCommand(), p.exceptionCommand(), p.dbCommand(), p.bundleCommand(), p.keyCommand(), p.cacheCommand(), p.configCommand(), p.manCommand(), p.versionCommand())
	strictCompletion(root)
	return root
}

// unknownCommand names the command that was probably meant.
func unknownCommand(cmd *cobra.Command, name string) error {
	err := fmt.Errorf("unknown command %q: %w", name, bulwark.ErrUsage)
	cmd.SuggestionsMinimumDistance = 2 // cobra sets its default only where it reports the error itself
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return &bulwark.Hint{Err: err, Next: "did you mean " + strings.Join(near, " or ") + "?"}
	}
	return &bulwark.Hint{Err: err, Next: "see bulwark --help"}
}

// unknownFlag names the flag that was probably meant.
func unknownFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage(err)
	}
	names := map[string]bool{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names[f.Name] = true
		}
	})
	if near := nearest.Of(unknown.GetSpecifiedName(), slices.Sorted(maps.Keys(names))); near != "" {
		return &bulwark.Hint{Err: usage(err), Next: "did you mean --" + near + "?"}
	}
	return &bulwark.Hint{Err: usage(err), Next: "see " + cmd.CommandPath() + " --help"}
}

// strictCompletion makes a shell that is not known wrong usage: cobra's own
// command prints its help and exits 0.
func strictCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args = nil
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		}
	}
}

// arguments wraps a check of positional arguments so that its errors count as
// usage.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return usage(check(cmd, args)) }
}

// group makes a command that only has subcommands.
func group(use, id, short string, sub ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, GroupID: id, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	c.AddCommand(sub...)
	return c
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", GroupID: "tool", Short: "Print the version", Args: arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.stdout, "bulwark", p.version)
			return err
		},
	}
}

// buildVersion gives the release's version, else the module's, else "devel".
func buildVersion() string {
	if version != "" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "devel"
}

// build names this very program: a version for a release, else the file itself,
// so that what one development build kept is not taken for another's.
func (p *program) build() string {
	if p.version != "devel" && !strings.Contains(p.version, "dirty") {
		return p.version
	}
	name, err := os.Executable()
	if err != nil {
		return p.version
	}
	info, err := os.Stat(name)
	if err != nil {
		return p.version
	}
	return fmt.Sprint(p.version, info.Size(), info.ModTime().UnixNano())
}
