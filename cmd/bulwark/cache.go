// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bulwark-sec/bulwark/internal/diskcache"
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

func (p *program) cacheCommand() *cobra.Command {
	var l place
	info := &cobra.Command{
		Use: "info", Short: "Say where kept results are, how many and how large", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			c, err := p.results(l)
			if err != nil {
				return err
			}
			i, err := c.Info(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "folder:   %s\nentries:  %d\nsize:     %.1f MiB of %d MiB\n", i.Dir, i.Entries, float64(i.Bytes)/(1<<20), l.size)
			if !i.Oldest.IsZero() {
				fmt.Fprintf(p.stdout, "oldest:   last used %s\n", i.Oldest.UTC().Format("2006-01-02 15:04 UTC"))
			}
			return nil
		},
	}
	clear := &cobra.Command{
		Use: "clear", Short: "Remove kept results; the advisory database stays", Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := p.configure(cmd.Flags()); err != nil {
				return err
			}
			c, err := p.results(l)
			if err != nil {
				return err
			}
			return c.Clear()
		},
	}
	l.add(info.Flags())
	l.add(clear.Flags())
	return group("cache", "tool", "Look at or clear what earlier scans kept", info, clear)
}
