// SPDX-License-Identifier: Apache-2.0

package perl

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/bulwark-sec/bulwark"
)

// Local reads perllocal.pod, to which MakeMaker adds a paragraph with each
// installation: https://metacpan.org/pod/ExtUtils::Install. Its zero value is
// ready to use.
type Local struct{}

// Name gives "perllocal".
func (Local) Name() string { return "perllocal" }

// Wants tells whether p is a log of installations.
func (Local) Wants(p string, st bulwark.Stat) bool {
	return named(p, "perllocal.pod") && st.Mode&fs.ModeType == 0
}

// Extract gives each distribution in the version that was installed last. Its
// name is made of that of its main module, as MakeMaker does.
func (e Local) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxList)
	if err != nil {
		return nil, err
	}
	var (
		pkgs  []bulwark.Package
		index = map[string]int{}
		name  string
		known bool
	)
	err = lines(ctx, data, func(line string, n int) {
		if strings.HasPrefix(line, "=head2 ") {
			name = module(line)
			known = known || name != ""
			return
		}
		_, rest, ok := strings.Cut(line, "C<VERSION: ")
		version, _, closed := strings.Cut(rest, ">")
		if !ok || !closed || !plausible(name, version) {
			return
		}
		p := distribution(e.Name(), f.Path, name, version, n, nil)
		if i, ok := index[name]; ok {
			pkgs[i] = p
			return
		}
		index[name] = len(pkgs)
		pkgs = append(pkgs, p)
	})
	if err == nil && !known && len(bytes.TrimSpace(data)) > 0 {
		err = errors.New("not a log of installations")
	}
	if err != nil {
		return pkgs, malformed(f, err)
	}
	return pkgs, nil
}

// module takes the module from a heading, "=head2 Sat Nov 22 03:00:00 2025:
// C<Module> L<Capture::Tiny|Capture::Tiny>", and makes a distribution's name of it.
func module(heading string) string {
	_, rest, ok := strings.Cut(heading, "C<Module> L<")
	name, _, closed := strings.Cut(rest, "|")
	if !ok || !closed || len(name) > maxName {
		return ""
	}
	return strings.ReplaceAll(name, "::", "-")
}

// Snapshot reads cpanfile.snapshot of Carton and Carmel. Its zero value is ready
// to use.
type Snapshot struct{}

// Name gives "cpanfile-snapshot".
func (Snapshot) Name() string { return "cpanfile-snapshot" }

// Wants tells whether p is a cpanfile.snapshot.
func (Snapshot) Wants(p string, st bulwark.Stat) bool {
	return named(p, "cpanfile.snapshot") && st.Mode&fs.ModeType == 0
}

// Extract gives the locked distributions: the lines with two spaces below
// DISTRIBUTIONS.
func (e Snapshot) Extract(ctx context.Context, f *bulwark.File) ([]bulwark.Package, error) {
	data, err := f.Bytes(maxList)
	if err != nil {
		return nil, err
	}
	var (
		pkgs         []bulwark.Package
		seen         = map[string]bool{}
		known, below bool
	)
	err = lines(ctx, data, func(line string, n int) {
		if line == "" || line[0] == '#' {
			return
		}
		if line[0] != ' ' {
			below = line == "DISTRIBUTIONS"
			known = known || below
			return
		}
		dist, ok := strings.CutPrefix(line, "  ")
		if !below || !ok || dist == "" || dist[0] == ' ' || seen[dist] {
			return
		}
		if name, version := split(dist); plausible(name, version) {
			seen[dist] = true
			pkgs = append(pkgs, distribution(e.Name(), f.Path, name, version, n, nil))
		}
	})
	if err == nil && !known && len(bytes.TrimSpace(data)) > 0 {
		err = errors.New("not a snapshot of this kind")
	}
	if err != nil {
		return pkgs, malformed(f, err)
	}
	return pkgs, nil
}
