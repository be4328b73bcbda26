// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bulwark-sec/bulwark"
	"github.com/bulwark-sec/bulwark/policy"
	"github.com/bulwark-sec/bulwark/policy/lib"
	"github.com/bulwark-sec/bulwark/policy/policytest"
)

const policyTestLong = `Run the documents of kind PolicyTest: each case is one input and what must come
of it. Every rule needs a case that it matches and one that it does not, and
every part of every condition is turned into its opposite once, which a case
must notice. "default" is the shipped policies with their tests.

Files and directories are one set. A txtar archive is a set of its own: its files
that end in .yaml, and a file "want", if there is one, with what this command
must print about them.

The exit code is 2 when a case fails, a rule lacks an example or a mutant
survives, and 1 when a document cannot be read.`

// A testedSet is what came of one set.
type testedSet struct {
	Name   string             `json:"name,omitempty"` // of an archive
	OK     bool               `json:"ok"`
	Result *policytest.Result `json:"result"`
	// Difference tells where an archive wants another output; "" is nowhere.
	Difference string `json:"difference,omitempty"`

	text   []byte
	wanted bool
}

func (p *program) policyTest() *cobra.Command {
	var keys []string
	var format string
	var o policytest.Options
	c := &cobra.Command{
		Use: "test FILE|DIR|FILE.txtar|default...", Short: "Test policies like code: examples, coverage, mutants", Long: policyTestLong,
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := textOrJSON(format); err != nil {
				return err
			}
			sets, err := p.testSets(cmd.Context(), args, keys, o)
			if err != nil {
				return err
			}
			p.verdict = bulwark.Pass
			for _, s := range sets {
				if !s.OK {
					p.verdict = bulwark.Fail
				}
			}
			if format == "json" {
				return p.writeJSON(map[string]any{"sets": sets})
			}
			return p.writeTests(sets)
		},
	}
	c.Flags().BoolVar(&o.NoMutation, "no-mutation", false, "do not turn parts of conditions into their opposites")
	c.Flags().StringVarP(&format, "format", "f", "", "text or json (default text)")
	c.Flags().StringSliceVar(&keys, "policy-key", nil, "public key that a bundle must be signed with; may be repeated")
	return c
}

// textOrJSON checks a --format that has these two.
func textOrJSON(format string) error {
	if format != "" && format != "text" && format != "json" {
		return fmt.Errorf("--format %q: it is text or json: %w", format, bulwark.ErrUsage)
	}
	return nil
}

func (p *program) writeJSON(v any) error {
	enc := json.NewEncoder(p.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// testSets tests what was named.
func (p *program) testSets(ctx context.Context, args, keys []string, o policytest.Options) ([]testedSet, error) {
	var names, archives []string
	for _, a := range args {
		if filepath.Ext(a) == ".txtar" {
			archives = append(archives, a)
			continue
		}
		below, err := archivesBelow(a)
		if err != nil {
			return nil, err
		}
		archives = append(archives, below...)
		// A directory of archives needs no documents beside them.
		if _, err := p.allNamed([]string{a}, keys); err == nil || len(below) == 0 || !errors.Is(err, bulwark.ErrNotFound) {
			names = append(names, a)
		}
	}
	var out []testedSet
	if len(names) > 0 {
		sources, err := p.allNamed(names, keys)
		if err != nil {
			return nil, err
		}
		if slices.Contains(names, "default") {
			for _, f := range lib.Tests() {
				sources = append(sources, policy.Source{Name: f.Name, Data: f.Data})
			}
		}
		r, err := policytest.Run(ctx, sources, o)
		if err != nil {
			return nil, p.faults(err)
		}
		out = append(out, testedSet{OK: r.OK(), Result: r})
	}
	for _, name := range archives {
		s, err := testArchive(ctx, name, o)
		if policy.Faults(err) != nil {
			fmt.Fprintf(p.stderr, "# %s\n", name)
			return nil, p.faults(err)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// archivesBelow gives the txtar archives below a directory.
func archivesBelow(dir string) ([]string, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, nil // it is no directory, but a file or "default"
	}
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(path) != ".txtar" {
			return err
		}
		if len(out) == maxPolicyFiles {
			return fmt.Errorf("%q has more than %d archives: %w", dir, maxPolicyFiles, bulwark.ErrTooLarge)
		}
		out = append(out, path)
		return nil
	})
	return out, err
}

func testArchive(ctx context.Context, name string, o policytest.Options) (testedSet, error) {
	s := testedSet{Name: name}
	data, err := readFile(name)
	if err != nil {
		return s, err
	}
	sources, want, err := policytest.Archive(data)
	if err != nil {
		return s, err
	}
	if s.Result, err = policytest.Run(ctx, sources, o); err != nil {
		return s, err
	}
	var text bytes.Buffer
	if err := s.Result.WriteText(&text); err != nil {
		return s, err
	}
	s.text = text.Bytes()
	if s.OK = s.Result.OK(); want != nil {
		s.wanted = true
		s.Difference = firstDifference(string(want), text.String())
		s.OK = s.Difference == ""
	}
	return s, nil
}

// firstDifference tells which line of two texts is the first that differs.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "no more lines", "no more lines"
		if i < len(w) {
			a = fmt.Sprintf("%q", w[i])
		}
		if i < len(g) {
			b = fmt.Sprintf("%q", g[i])
		}
		if a != b {
			return fmt.Sprintf("line %d: want %s, got %s", i+1, a, b)
		}
	}
	return ""
}

func (p *program) writeTests(sets []testedSet) error {
	for i := range sets {
		s := &sets[i]
		switch {
		case s.wanted && s.OK:
			fmt.Fprintf(p.stdout, "ok    %s: it prints what it wants\n", s.Name)
			continue
		case s.wanted:
			fmt.Fprintf(p.stdout, "FAIL  %s: it prints something else than it wants: %s\n", s.Name, s.Difference)
		case s.Name != "":
			fmt.Fprintf(p.stdout, "# %s\n", s.Name)
		}
		if s.text == nil {
			if err := s.Result.WriteText(p.stdout); err != nil {
				return err
			}
			continue
		}
		if _, err := p.stdout.Write(s.text); err != nil {
			return err
		}
	}
	return nil
}
